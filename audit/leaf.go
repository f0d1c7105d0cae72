package audit

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// leafVersion is the version of the leaf's form.
const leafVersion = 1

// timeForm has microseconds, what PostgreSQL keeps, and always six digits, so
// that a time has one spelling.
const timeForm = "2006-01-02T15:04:05.000000Z"

// Leaf is what the tree holds of an entry. Its bytes are canonical JSON of
// RFC 8785 and may be published.
type Leaf struct {
	Type      EventType
	Operation string
	At        time.Time // UTC, whole microseconds
	// Commitment is SHA-256(salt ‖ payload).
	Commitment [sha256.Size]byte
}

// wireLeaf lists its members in the order of their names, which makes
// encoding/json write the canonical form.
type wireLeaf struct {
	At         string    `json:"at"`
	Commitment string    `json:"c"`
	Operation  string    `json:"op"`
	Type       EventType `json:"type"`
	Version    int       `json:"v"`
}

// commit binds a payload without giving it away: 32 random bytes of salt keep
// a DNI, which has only 10^8 values, from being found by trying.
func commit(salt, payload []byte) [sha256.Size]byte {
	return sha256.Sum256(slices.Concat(salt, payload))
}

// Opens is whether salt and payload are the ones committed to.
func (l Leaf) Opens(salt, payload []byte) bool {
	got := commit(salt, payload)
	return subtle.ConstantTimeCompare(got[:], l.Commitment[:]) == 1
}

// Bytes is the canonical form.
func (l Leaf) Bytes() ([]byte, error) {
	b, err := json.Marshal(wireLeaf{
		At:         l.At.UTC().Format(timeForm),
		Commitment: base64.StdEncoding.EncodeToString(l.Commitment[:]),
		Operation:  l.Operation,
		Type:       l.Type,
		Version:    leafVersion,
	})
	if err != nil {
		return nil, fmt.Errorf("encoding a leaf: %w", err)
	}
	return b, nil
}

var errLeafForm = errors.New("leaf is not in its canonical form")

// ParseLeaf reads what Bytes wrote, and nothing else.
func ParseLeaf(b []byte) (Leaf, error) {
	var wire wireLeaf
	if err := json.Unmarshal(b, &wire); err != nil {
		return Leaf{}, fmt.Errorf("%w: %w", errLeafForm, err)
	}
	if wire.Version != leafVersion {
		return Leaf{}, fmt.Errorf("leaf of version %d, this program knows %d", wire.Version, leafVersion)
	}
	if !wire.Type.Known() || !operationForm.MatchString(wire.Operation) {
		return Leaf{}, errLeafForm
	}
	at, err := time.Parse(timeForm, wire.At)
	if err != nil {
		return Leaf{}, fmt.Errorf("%w: %w", errLeafForm, err)
	}
	commitment, err := base64.StdEncoding.Strict().DecodeString(wire.Commitment)
	if err != nil || len(commitment) != sha256.Size {
		return Leaf{}, errLeafForm
	}
	leaf := Leaf{Type: wire.Type, Operation: wire.Operation, At: at, Commitment: [sha256.Size]byte(commitment)}
	again, err := leaf.Bytes()
	if err != nil || !bytes.Equal(again, b) {
		return Leaf{}, errLeafForm
	}
	return leaf, nil
}
