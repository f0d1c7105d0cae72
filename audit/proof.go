package audit

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json/v2"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/tlog"
)

// Proof is one entry with the proof of its place in the log (C2SP tlog-proof).
// It needs nothing else but a Policy to be verified.
type Proof struct {
	Seq  int64
	Leaf []byte
	// Payload and Salt are what the leaf commits to, both or neither.
	Payload, Salt []byte
	Path          tlog.RecordProof
	// Checkpoint is the signed note that Path leads to.
	Checkpoint []byte
}

// proofHeader begins a C2SP tlog-proof.
const proofHeader = "c2sp.org/tlog-proof@v1\n"

// maxPath is the longest path of a tree whose size fits in 63 bits.
const maxPath = 63

// ErrProofForm is text that is no proof, or not in its canonical form.
var ErrProofForm = errors.New("not a proof of an entry of the log")

// proofExtra is the extra data of a proof: what the record hash is made from,
// and the payload with what opens it.
type proofExtra struct {
	Leaf    []byte `json:"leaf"`
	Payload []byte `json:"payload,omitempty"`
	Salt    []byte `json:"salt,omitempty"`
}

// NewProof proves a record under a signed checkpoint that includes it.
func NewProof(ctx context.Context, r Record, checkpoint []byte, stored HashReader) (Proof, error) {
	text, _, ok := cutNote(checkpoint)
	if !ok {
		return Proof{}, fmt.Errorf("%w: no signed note", errCheckpointForm)
	}
	c, err := ParseCheckpoint(string(text))
	if err != nil {
		return Proof{}, err
	}
	path, err := ProveInclusion(ctx, c.Size, r.Seq, stored)
	if err != nil {
		return Proof{}, err
	}
	return Proof{Seq: r.Seq, Leaf: r.Leaf, Payload: r.Payload, Salt: r.Salt, Path: path, Checkpoint: checkpoint}, nil
}

// Text is the proof as C2SP tlog-proof has it, for a file *.tlog-proof.
func (p Proof) Text() ([]byte, error) {
	extra, err := json.Marshal(proofExtra{Leaf: p.Leaf, Payload: p.Payload, Salt: p.Salt})
	if err != nil {
		return nil, fmt.Errorf("encoding entry %d: %w", p.Seq, err)
	}
	return torchwood.FormatProofWithExtraData(p.Seq, extra, p.Path, p.Checkpoint), nil
}

// ParseProof reads what Text wrote, and nothing else. It verifies nothing.
func ParseProof(text []byte) (Proof, error) {
	rest, ok := strings.CutPrefix(string(text), proofHeader)
	if !ok {
		return Proof{}, fmt.Errorf("%w: it begins otherwise", ErrProofForm)
	}
	head, checkpoint, ok := strings.Cut(rest, "\n\n")
	if !ok {
		return Proof{}, fmt.Errorf("%w: no checkpoint", ErrProofForm)
	}
	p := Proof{Checkpoint: []byte(checkpoint)}
	lines := strings.Split(head, "\n")
	if len(lines) < 2 || len(lines) > 2+maxPath {
		return Proof{}, fmt.Errorf("%w: %d lines", ErrProofForm, len(lines))
	}
	extra, err := parseExtra(lines[0])
	if err != nil {
		return Proof{}, err
	}
	p.Leaf, p.Payload, p.Salt = extra.Leaf, extra.Payload, extra.Salt
	if p.Seq, err = strconv.ParseInt(strings.TrimPrefix(lines[1], "index "), 10, 64); err != nil || p.Seq < 0 {
		return Proof{}, fmt.Errorf("%w: number of the entry", ErrProofForm)
	}
	for _, line := range lines[2:] {
		h, err := tlog.ParseHash(line)
		if err != nil {
			return Proof{}, fmt.Errorf("%w: %w", ErrProofForm, err)
		}
		p.Path = append(p.Path, h)
	}
	again, err := p.Text()
	if err != nil || !bytes.Equal(again, text) {
		return Proof{}, fmt.Errorf("%w: not in its canonical form", ErrProofForm)
	}
	return p, nil
}

func parseExtra(line string) (proofExtra, error) {
	encoded, ok := strings.CutPrefix(line, "extra ")
	if !ok {
		return proofExtra{}, fmt.Errorf("%w: no extra data", ErrProofForm)
	}
	decoded, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return proofExtra{}, fmt.Errorf("%w: extra data: %w", ErrProofForm, err)
	}
	var extra proofExtra
	if err := json.Unmarshal(decoded, &extra, json.RejectUnknownMembers(true)); err != nil {
		return proofExtra{}, fmt.Errorf("%w: extra data: %w", ErrProofForm, err)
	}
	return extra, nil
}

// Fact is what an entry says, and what of it could be verified.
type Fact struct {
	Seq       int64
	Type      EventType
	Operation string
	At        time.Time
	// Opened is whether the payload was there and is the one committed to;
	// otherwise Person and Payload are empty.
	Opened  bool
	Person  string
	Payload []byte // canonical JSON
}

// OpenFact reads a leaf and, if it is there, what opens its commitment. Whether
// the leaf is in the log is another question.
func OpenFact(seq int64, leafBytes, payload, salt []byte) (Fact, error) {
	leaf, err := ParseLeaf(leafBytes)
	if err != nil {
		return Fact{}, fmt.Errorf("entry %d: %w", seq, err)
	}
	f := Fact{Seq: seq, Type: leaf.Type, Operation: leaf.Operation, At: leaf.At}
	if len(payload) == 0 && len(salt) == 0 {
		return f, nil
	}
	if !leaf.Opens(salt, payload) {
		return Fact{}, fmt.Errorf("entry %d: %w", seq, ErrNotCommitted)
	}
	if f.Person, err = personOf(payload); err != nil {
		return Fact{}, fmt.Errorf("entry %d: reading its payload: %w", seq, err)
	}
	f.Opened, f.Payload = true, payload
	return f, nil
}

// Check verifies that the entry is in the log under a checkpoint that the
// policy believes, and opens it. If only the witnesses are missing, Signed and
// Fact are filled and the error is ErrUnwitnessed.
func (p Proof) Check(policy Policy) (Signed, Fact, error) {
	signed, unwitnessed := policy.Open(p.Checkpoint)
	if unwitnessed != nil && !errors.Is(unwitnessed, ErrUnwitnessed) {
		return Signed{}, Fact{}, unwitnessed
	}
	fact, err := p.Under(signed.Tree)
	if err != nil {
		return signed, Fact{}, err
	}
	return signed, fact, unwitnessed
}

// Under verifies the entry under a tree that is believed, and opens it.
func (p Proof) Under(tree Tree) (Fact, error) {
	if err := CheckInclusion(p.Path, tree, p.Seq, p.Leaf); err != nil {
		return Fact{}, err
	}
	return OpenFact(p.Seq, p.Leaf, p.Payload, p.Salt)
}
