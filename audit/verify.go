package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"time"
)

// Log is the stored log, read as one consistent snapshot.
type Log interface {
	Head(ctx context.Context) (Head, error)
	// Records gives every record in the order of Seq, with its Hashes and its
	// Terms, these sorted. After an error it ends.
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
// stored hashes and the head, opens every commitment that was not erased, and
// compares the terms that entries are found by with what is committed to. It
// reads the log once and keeps log₂(size) hashes.
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
	if !slices.Equal(head.Edge, v.roots) {
		return Report{}, v.corrupt("the head's subtrees are not those of the leaves")
	}
	for _, tree := range known {
		if tree.Size > v.size {
			return Report{}, v.corrupt("the log ends here, and once had %d entries", tree.Size)
		}
	}
	return Report{Tree: v.tree(), Erased: v.erased}, nil
}

// verifier has seen the entries of its edge.
type verifier struct {
	edge

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
		return &CorruptionError{Seq: r.Seq, Reason: "the stored hashes are not the leaf's"}
	}
	if leaf.At.After(v.last) {
		v.last = leaf.At
	}
	return nil
}

// open checks that payload, person and terms are the ones committed to.
func (v *verifier) open(leaf Leaf, r Record) error {
	if len(r.Salt) == 0 {
		v.erased++
		if len(r.Payload) > 0 || r.Person != "" || len(r.Terms) > 0 {
			return v.corrupt("salt erased, payload, person or terms left")
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
	terms, err := Terms(r.Type, r.Payload)
	if err != nil {
		return v.corrupt("%v", err)
	}
	if !slices.Equal(terms, r.Terms) {
		return v.corrupt("the terms that it is found by are not those of its payload")
	}
	return nil
}

func (v *verifier) compare(known []Tree) error {
	for _, tree := range known {
		if tree.Size == v.size && tree != v.tree() {
			return v.corrupt("the log up to here is not the one that was known at this size")
		}
	}
	return nil
}
