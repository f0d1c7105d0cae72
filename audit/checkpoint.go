package audit

import (
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
)

// Checkpoint is what the log says of itself: under which name it had how many
// entries, and their root (C2SP tlog-checkpoint). It has no extension lines.
type Checkpoint struct {
	Origin string
	Tree
}

// Text is the note's text, without signatures.
func (c Checkpoint) Text() string {
	return torchwood.Checkpoint{Origin: c.Origin, N: c.Size, Hash: c.Root}.String()
}

var errCheckpointForm = errors.New("not a checkpoint of this log")

// maxSize is the largest tree whose arithmetic stays within 63 bits: beyond it
// package tlog would not come to an end.
const maxSize = 1 << 62

// ParseCheckpoint reads what Text wrote, and nothing else.
func ParseCheckpoint(text string) (Checkpoint, error) {
	read, err := torchwood.ParseCheckpoint(text)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("%w: %w", errCheckpointForm, err)
	}
	c := Checkpoint{Origin: read.Origin, Size: read.N, Root: read.Hash}
	switch {
	case c.Size > maxSize:
		return Checkpoint{}, fmt.Errorf("%w: %d entries", errCheckpointForm, c.Size)
	case c.Origin == "" || c.Text() != text:
		return Checkpoint{}, fmt.Errorf("%w: not in its canonical form", errCheckpointForm)
	case c.Size == 0 && c.Root != sha256.Sum256(nil): // RFC 6962, section 2.1
		return Checkpoint{}, fmt.Errorf("%w: of no entries, with a root", errCheckpointForm)
	}
	return c, nil
}

// LogKey signs checkpoints with the log's Ed25519 key, signature type 0x01 of
// C2SP signed-note. A log must never sign two checkpoints of which one does not
// begin with the other: whoever holds a LogKey answers for that.
type LogKey struct {
	signer   crypto.Signer
	public   ed25519.PublicKey
	verifier note.Verifier
	vkey     string
}

// NewLogKey names a key. The signer, a token's as well, signs messages and not
// hashes: Sign(rand, message, crypto.Hash(0)).
func NewLogKey(origin string, key crypto.Signer) (*LogKey, error) {
	public, ok := key.Public().(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("key of the log is %T, want Ed25519", key.Public())
	}
	vkey, err := note.NewEd25519VerifierKey(origin, public)
	if err != nil {
		return nil, fmt.Errorf("naming the key of the log: %w", err)
	}
	verifier, err := note.NewVerifier(vkey) // refuses names that a note cannot hold
	if err != nil {
		return nil, fmt.Errorf("naming the key of the log %q: %w", origin, err)
	}
	return &LogKey{signer: key, public: public, verifier: verifier, vkey: vkey}, nil
}

// Origin is the name of the log.
func (k *LogKey) Origin() string { return k.verifier.Name() }

// VerifierKey is what others verify with (C2SP signed-note, "Verifier keys").
func (k *LogKey) VerifierKey() string { return k.vkey }

// Sign makes the signed note of a checkpoint, with the log's signature alone:
// what is time-stamped, and what witnesses cosign.
func (k *LogKey) Sign(c Checkpoint) ([]byte, error) {
	if c.Origin != k.Origin() {
		return nil, fmt.Errorf("checkpoint of %q for the key of %q", c.Origin, k.Origin())
	}
	text := c.Text()
	if _, err := ParseCheckpoint(text); err != nil {
		return nil, err
	}
	signed, err := note.Sign(&note.Note{Text: text}, noteSigner{k})
	if err != nil {
		return nil, fmt.Errorf("signing the checkpoint of %d entries: %w", c.Size, err)
	}
	return signed, nil
}

// noteSigner is a LogKey as package note wants it.
type noteSigner struct{ k *LogKey }

func (s noteSigner) Name() string    { return s.k.verifier.Name() }
func (s noteSigner) KeyHash() uint32 { return s.k.verifier.KeyHash() }

// errFaultySignature is a signature that the key's public half refuses.
var errFaultySignature = errors.New("the key's signature does not verify")

// Sign verifies before it returns: a faulty signature of Ed25519 may give the
// key away.
func (s noteSigner) Sign(message []byte) ([]byte, error) {
	signature, err := s.k.signer.Sign(nil, message, crypto.Hash(0))
	if err != nil {
		return nil, err
	}
	if !ed25519.Verify(s.k.public, message, signature) {
		return nil, errFaultySignature
	}
	return signature, nil
}

// logSigned is a note with one signature.
func logSigned(text string, signature note.Signature) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n— %s %s\n", text, signature.Name, signature.Base64)
	return []byte(b.String())
}
