package witness

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
)

// key cosigns under the witness's name (C2SP tlog-cosignature, Ed25519).
type key struct {
	private  ed25519.PrivateKey
	verifier *torchwood.CosignatureVerifier
}

var (
	errName = errors.New("not a name of a witness: an address without a scheme, such as witness.example.es/w1")
	errKey  = errors.New("key file of the witness")
)

func newKey(name string, private ed25519.PrivateKey) (key, error) {
	// A policy file has no more than these: blanks and # end a word there.
	if strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '+' || r == '#' }) || strings.Contains(name, "://") {
		return key{}, fmt.Errorf("%w: %q", errName, name)
	}
	signer, err := torchwood.NewCosignatureSigner(name, private)
	if err != nil {
		return key{}, fmt.Errorf("%w: %q: %w", errName, name, err)
	}
	return key{private, signer.Verifier()}, nil
}

func generateKey(name string) (key, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return key{}, fmt.Errorf("making the key: %w", err)
	}
	return newKey(name, private)
}

// keyPrefix begins a private key as package note writes it, which other
// witnesses take as well. Type 1 is Ed25519.
const keyPrefix = "PRIVATE+KEY+"

// encode is the content of the key file: PRIVATE+KEY+name+hash+base64(1 ‖ seed).
func (k key) encode() (string, error) {
	// The hash of this format is that of the key as a plain Ed25519 one.
	vkey, err := note.NewEd25519VerifierKey(k.name(), ed25519.PublicKey(k.private[ed25519.SeedSize:]))
	if err != nil {
		return "", fmt.Errorf("naming the key: %w", err)
	}
	_, hash, _ := strings.Cut(vkey, "+")
	hash, _, _ = strings.Cut(hash, "+")
	seed := append([]byte{1}, k.private.Seed()...)
	defer clear(seed)
	return keyPrefix + k.name() + "+" + hash + "+" + base64.StdEncoding.EncodeToString(seed) + "\n", nil
}

func parseKey(text string) (key, error) {
	encoded := strings.TrimSuffix(text, "\n")
	if _, err := note.NewSigner(encoded); err != nil {
		return key{}, fmt.Errorf("%w: %w", errKey, err)
	}
	parts := strings.SplitN(encoded, "+", 5)
	seed, err := base64.StdEncoding.DecodeString(parts[4])
	if err != nil {
		return key{}, fmt.Errorf("%w: it is not in base64", errKey) // the cause would quote it
	}
	defer clear(seed)
	return newKey(parts[2], ed25519.NewKeyFromSeed(seed[1:]))
}

// readKey reads a file that nobody else may read.
func readKey(path string) (key, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return key{}, fmt.Errorf("%w: %w: make a witness with rubrica witness init", errKey, err)
	}
	if err != nil {
		return key{}, fmt.Errorf("%w: %w", errKey, err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return key{}, fmt.Errorf("%w: others may read it: chmod 600 %s", errKey, path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return key{}, fmt.Errorf("%w: %w", errKey, err)
	}
	defer clear(text)
	return parseKey(string(text))
}

func (k key) name() string { return k.verifier.Name() }

// cosign is the signature line for a checkpoint at that time. It is verified
// before anybody sees it: a faulty signature of Ed25519 may give the key away.
func (k key) cosign(text string, at time.Time) (string, error) {
	seconds := at.Unix()
	if seconds <= 0 { // zero is for other statements (C2SP tlog-cosignature)
		return "", fmt.Errorf("%w: %v", ErrClock, at)
	}
	signature := binary.BigEndian.AppendUint32(nil, k.verifier.KeyHash())
	signature = binary.BigEndian.AppendUint64(signature, uint64(seconds))
	message := fmt.Sprintf("cosignature/v1\ntime %d\n%s", seconds, text)
	signature = append(signature, ed25519.Sign(k.private, []byte(message))...)
	if !k.verifier.Verify([]byte(text), signature[4:]) {
		return "", errors.New("the cosignature does not verify")
	}
	return fmt.Sprintf("— %s %s\n", k.name(), base64.StdEncoding.EncodeToString(signature)), nil
}
