package audit

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
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
	// Unexplained are those of them of which no entry says that they were erased
	// (log.erased) or put back from their leaves (log.recovered).
	Unexplained []int64
}

// CorruptionError is the first entry that is not as it was written.
type CorruptionError struct {
	// Seq is its number, and the size of the log when what is wrong is its head.
	// Where only a known tree tells, it is the size of that tree, and From the
	// first entry that may be the altered one.
	Seq    int64
	From   int64
	Reason string
}

// Error says which entry and why.
func (e *CorruptionError) Error() string {
	if e.From != e.Seq {
		return fmt.Sprintf("log entries %d to %d: %s", e.From, e.Seq-1, e.Reason)
	}
	return fmt.Sprintf("log entry %d: %s", e.Seq, e.Reason)
}

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
	v := verifier{known: slices.SortedFunc(slices.Values(known), func(a, b Tree) int { return cmp.Compare(a.Size, b.Size) })}
	if err := v.compare(); err != nil {
		return Report{}, err
	}
	if err := inOrder(log.Records(ctx), examine, v.add); err != nil {
		if _, corrupt := errors.AsType[*CorruptionError](err); corrupt {
			return Report{}, err
		}
		return Report{}, fmt.Errorf("reading log entry %d: %w", v.size, err)
	}
	if head.Size != v.size || !head.Last.Equal(v.last) {
		return Report{}, v.corrupt("the head names %d entries until %s", head.Size, head.Last.UTC().Format(timeForm))
	}
	if !slices.Equal(head.Edge, v.roots) {
		return Report{}, v.corrupt("the head's subtrees are not those of the leaves")
	}
	if len(v.known) > 0 {
		return Report{}, v.corrupt("the log ends here, and once had %d entries", v.known[len(v.known)-1].Size)
	}
	return Report{Tree: v.tree(), Erased: int64(len(v.erased.found)), Unexplained: v.erased.unexplained()}, nil
}

// verifier has seen the entries of its edge.
type verifier struct {
	edge

	last    time.Time
	erased  erasures
	known   []Tree // those that are still to come
	matched int64  // size of the latest known tree that the log had
}

func (v *verifier) corrupt(format string, args ...any) error {
	return &CorruptionError{Seq: v.size, From: v.size, Reason: fmt.Sprintf(format, args...)}
}

// add takes the next record, of which everything has been looked at that
// stands in itself.
func (v *verifier) add(r Record, reason string) error {
	switch {
	case r.Seq != v.size:
		return v.corrupt("number %d stands in its place", r.Seq)
	case reason != "":
		return v.corrupt("%s", reason)
	}
	if hashes := v.push(r.Leaf); !slices.Equal(hashes, r.Hashes) {
		return &CorruptionError{Seq: r.Seq, From: r.Seq, Reason: "the stored hashes are not the leaf's"}
	}
	if err := v.erased.add(r); err != nil {
		return &CorruptionError{Seq: r.Seq, From: r.Seq, Reason: err.Error()}
	}
	if r.At.After(v.last) {
		v.last = r.At
	}
	return v.compare()
}

// compare holds the log so far against what was known of it at this size.
func (v *verifier) compare() error {
	for len(v.known) > 0 && v.known[0].Size <= v.size {
		if v.known[0] != v.tree() {
			return &CorruptionError{Seq: v.size, From: v.matched, Reason: "the log up to here is not the one that was known at this size"}
		}
		v.matched, v.known = v.size, v.known[1:]
	}
	return nil
}

// examine finds what is wrong with a record in itself, if anything.
func examine(r Record) (reason string) {
	leaf, err := ParseLeaf(r.Leaf)
	switch {
	case err != nil:
		return err.Error()
	case leaf.Type != r.Type || leaf.Operation != r.Operation || !leaf.At.Equal(r.At):
		return "type, operation or time are not the leaf's"
	case len(r.Salt) == 0 && (len(r.Payload) > 0 || r.Person != "" || len(r.Terms) > 0):
		return "salt erased, payload, person or terms left"
	case len(r.Salt) == 0:
		return ""
	case !leaf.Opens(r.Salt, r.Payload):
		return "the payload is not the one committed to"
	}
	var committed map[string]any // read once: it is most of the work
	if err := json.Unmarshal(r.Payload, &committed); err != nil {
		return fmt.Sprintf("the payload is no JSON: %v", err)
	}
	person, _ := committed[personKey].(string)
	schema, _ := SchemaOf(r.Type)
	switch {
	case person != r.Person:
		return "the person is not the one committed to"
	case !slices.Equal(schema.terms(committed), r.Terms):
		return "the terms that it is found by are not those of its payload"
	}
	return ""
}
