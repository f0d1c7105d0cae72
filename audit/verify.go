package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// Log is the stored log, read as one consistent snapshot.
type Log interface {
	Head(ctx context.Context) (Head, error)
	// Records gives every record in the order of Seq, Hashes among them.
	// After an error it ends.
	Records(ctx context.Context) iter.Seq2[Record, error]
}

// Report is what Verify checked.
type Report struct {
	Tree
	// Erased counts the entries whose salt was erased: their place and their
	// public part hold, what they commit to can no longer be shown.
	Erased int64
}

// CorruptionError is the first entry that is not as it was written. Seq is the
// size of the log when what is wrong is its head.
type CorruptionError struct {
	Seq    int64
	Reason string
}

// Error says which entry and why.
func (e *CorruptionError) Error() string { return fmt.Sprintf("log entry %d: %s", e.Seq, e.Reason) }

// Verify recomputes the whole tree from the leaves, compares it with the
// stored hashes and the head, and opens every commitment that was not erased.
// It reads the log once and keeps log₂(size) hashes.
//
// Whoever can write the database can write a log that is consistent in
// itself. Only trees that others keep tell it from the true one: give them as
// known, and the log must have had these roots at these sizes.
func Verify(ctx context.Context, log Log, known ...Tree) (Report, error) {
	head, err := log.Head(ctx)
	if err != nil {
		return Report{}, fmt.Errorf("reading the head of the log: %w", err)
	}
	var v verifier
	if err := v.compare(known); err != nil {
		return Report{}, err
	}
	for record, err := range log.Records(ctx) {
		if err != nil {
			return Report{}, fmt.Errorf("reading log entry %d: %w", v.size, err)
		}
		if err := v.add(record); err != nil {
			return Report{}, err
		}
		if err := v.compare(known); err != nil {
			return Report{}, err
		}
	}
	if head.Size != v.size || !head.Last.Equal(v.last) {
		return Report{}, v.corrupt("the head names %d entries until %s", head.Size, head.Last.UTC().Format(timeForm))
	}
	for _, tree := range known {
		if tree.Size > v.size {
			return Report{}, v.corrupt("the log ends here, and once had %d entries", tree.Size)
		}
	}
	return Report{Size: v.size, Root: v.root(), Erased: v.erased}, nil
}

// verifier has seen size entries. edge holds the roots of the complete
// subtrees that they form, from left to right.
type verifier struct {
	size   int64
	edge   []tlog.Hash
	last   time.Time
	erased int64
}

func (v *verifier) corrupt(format string, args ...any) error {
	return &CorruptionError{Seq: v.size, Reason: fmt.Sprintf(format, args...)}
}

func (v *verifier) add(r Record) error {
	if r.Seq != v.size {
		return v.corrupt("number %d stands in its place", r.Seq)
	}
	leaf, err := ParseLeaf(r.Leaf)
	if err != nil {
		return v.corrupt("%v", err)
	}
	if leaf.Type != r.Type || leaf.Operation != r.Operation || !leaf.At.Equal(r.At) {
		return v.corrupt("type, operation or time are not the leaf's")
	}
	if err := v.open(leaf, r); err != nil {
		return err
	}
	if !slices.Equal(v.push(r.Leaf), r.Hashes) {
		return v.corrupt("the stored hashes are not the leaf's")
	}
	v.size++
	if leaf.At.After(v.last) {
		v.last = leaf.At
	}
	return nil
}

// open checks that payload and person are the ones committed to.
func (v *verifier) open(leaf Leaf, r Record) error {
	if len(r.Salt) == 0 {
		v.erased++
		if len(r.Payload) > 0 || r.Person != "" {
			return v.corrupt("salt erased, payload or person left")
		}
		return nil
	}
	if !leaf.Opens(r.Salt, r.Payload) {
		return v.corrupt("the payload is not the one committed to")
	}
	var committed struct {
		Person string `json:"person"`
	}
	if err := json.Unmarshal(r.Payload, &committed); err != nil {
		return v.corrupt("the payload is no JSON: %v", err)
	}
	if committed.Person != r.Person {
		return v.corrupt("the person is not the one committed to")
	}
	return nil
}

// push adds a leaf to the tree and returns the hashes that it completes, from
// the leaf's upwards, as they are stored. It builds the tree of RFC 6962,
// section 2.1 from the left: each 1 at the end of size is a complete subtree
// that the new one joins.
func (v *verifier) push(leaf []byte) []tlog.Hash {
	h := tlog.RecordHash(leaf)
	hashes := []tlog.Hash{h}
	for n := v.size; n&1 == 1; n >>= 1 {
		left := len(v.edge) - 1
		h = tlog.NodeHash(v.edge[left], h)
		v.edge = v.edge[:left]
		hashes = append(hashes, h)
	}
	v.edge = append(v.edge, h)
	return hashes
}

func (v *verifier) root() tlog.Hash {
	if len(v.edge) == 0 {
		// The hash of nothing, RFC 6962, section 2.1; TreeHash reads nothing for it.
		root, _ := tlog.TreeHash(0, nil)
		return root
	}
	h := v.edge[len(v.edge)-1]
	for _, left := range slices.Backward(v.edge[:len(v.edge)-1]) {
		h = tlog.NodeHash(left, h)
	}
	return h
}

func (v *verifier) compare(known []Tree) error {
	for _, tree := range known {
		if tree.Size == v.size && tree.Root != v.root() {
			return v.corrupt("the log up to here is not the one that was known at this size")
		}
	}
	return nil
}
