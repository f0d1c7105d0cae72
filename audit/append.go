package audit

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// clockSkew is how far the clocks of two hosts may differ before one of them
// is not believed.
const clockSkew = 2 * time.Second

// Delay is how long after its event an entry may be appended at most. Who looks
// for a time relies on it: later entries are not about earlier events.
const Delay = 15 * time.Minute

// saltSize is the salt's length in bytes.
const saltSize = 32

// ErrClockBehind is a clock that runs before what the log already holds. The
// transaction must be given up: nothing is signed at a time that is not
// believed.
var ErrClockBehind = errors.New("clock is behind the log")

// ErrLate is an entry of an event that is too long ago.
var ErrLate = errors.New("entry comes too late for the log")

// Head is the state of the tree, in a row of its own.
type Head struct {
	Size int64
	Last time.Time // the latest time of any entry; zero for an empty log
	// Edge holds the roots of the complete subtrees that the entries form, from
	// left to right.
	Edge []tlog.Hash
}

// Tree is the log as the head has it, with nothing read.
func (h Head) Tree() (Tree, error) {
	e, err := newEdge(h.Size, h.Edge)
	if err != nil {
		return Tree{}, fmt.Errorf("%w: %w", errHead, err)
	}
	return e.tree(), nil
}

var errHead = errors.New("the head of the log is damaged")

// Record is one entry as it is stored.
type Record struct {
	Seq       int64
	Type      EventType
	Operation string
	At        time.Time // UTC, whole microseconds
	Person    string    // empty when there is none, or erased
	Leaf      []byte
	Payload   []byte // canonical JSON; nil when erased
	Salt      []byte // nil when erased
	// Terms are what the payload is found by, as Terms gives them; none when
	// erased.
	Terms []Term
	// Hashes are the tree's new hashes, to be stored under consecutive indexes
	// from tlog.StoredHashIndex(0, Seq) on.
	Hashes []tlog.Hash
}

// FirstHash is the stored hash index of the first of Hashes.
func (r Record) FirstHash() int64 { return tlog.StoredHashIndex(0, r.Seq) }

// ErrNotCommitted is an entry that does not hold what its leaf commits to.
var ErrNotCommitted = errors.New("entry differs from its leaf")

// Open returns the payload if it is the one that the leaf commits to.
func (r Record) Open() ([]byte, error) {
	leaf, err := ParseLeaf(r.Leaf)
	if err != nil {
		return nil, err
	}
	if !leaf.Opens(r.Salt, r.Payload) {
		return nil, ErrNotCommitted
	}
	return r.Payload, nil
}

// HashReader reads stored hashes by index, in the order asked, all or an error.
type HashReader interface {
	ReadHashes(ctx context.Context, indexes []int64) ([]tlog.Hash, error)
}

// Tx is the business transaction that entries are appended in. The caller
// commits it after Append has returned without an error, and rolls it back
// otherwise.
type Tx interface {
	// Now is the clock of this process.
	Now() time.Time
	// LockHead reads the head and keeps it locked against other transactions
	// until the end of this one.
	LockHead(ctx context.Context) (Head, error)
	// Write stores the records, and next as the head, at the latest when the
	// transaction commits.
	Write(ctx context.Context, next Head, records []Record) error
}

// Append adds entries in this order and returns the number of the first.
// Entry.At may lie before Tx.Now by the length of an operation, Delay at most;
// what must not lie before the log is the clock. Call it last in a
// transaction: from here to the commit all others wait.
func Append(ctx context.Context, tx Tx, entries ...Entry) (int64, error) {
	if len(entries) == 0 {
		return 0, fmt.Errorf("%w: no entry", ErrPayload)
	}
	records := make([]Record, len(entries))
	for i, e := range entries {
		var err error
		if records[i], err = newRecord(e); err != nil {
			return 0, err
		}
	}
	head, err := tx.LockHead(ctx)
	if err != nil {
		return 0, fmt.Errorf("locking the head of the log: %w", err)
	}
	now := tx.Now()
	for _, r := range records {
		if r.At.Before(now.Add(-Delay)) {
			return 0, fmt.Errorf("%w: after %s", ErrLate, now.Sub(r.At).Round(time.Second))
		}
	}
	next, err := head.follow(now, records)
	if err != nil {
		return 0, err
	}
	if err := tx.Write(ctx, next, records); err != nil {
		return 0, fmt.Errorf("writing to the log: %w", err)
	}
	return head.Size, nil
}

// newRecord does what needs no lock: encoding, salting, committing.
func newRecord(e Entry) (Record, error) {
	payload, err := e.canonical()
	if err != nil {
		return Record{}, err
	}
	salt := make([]byte, saltSize)
	rand.Read(salt)
	at := e.At.UTC().Truncate(time.Microsecond)
	leaf, err := Leaf{Type: e.Type, Operation: e.Operation, At: at, Commitment: commit(salt, payload)}.Bytes()
	if err != nil {
		return Record{}, err
	}
	terms, err := Terms(e.Type, payload)
	if err != nil {
		return Record{}, err
	}
	return Record{
		Type: e.Type, Operation: e.Operation, At: at, Person: e.Person,
		Leaf: leaf, Payload: payload, Salt: salt, Terms: terms,
	}, nil
}

// follow numbers the records, computes their hashes and returns the head after
// them. It reads nothing: others wait for it.
func (h Head) follow(now time.Time, records []Record) (Head, error) {
	if now.Before(h.Last.Add(-clockSkew)) {
		return Head{}, fmt.Errorf("%w by %s", ErrClockBehind, h.Last.Sub(now).Round(time.Millisecond))
	}
	e, err := newEdge(h.Size, h.Edge)
	if err != nil {
		return Head{}, fmt.Errorf("%w: %w", errHead, err)
	}
	last := h.Last
	for i := range records {
		r := &records[i]
		if r.At.After(now.Add(clockSkew)) {
			return Head{}, fmt.Errorf("%w: an entry is %s ahead of it", ErrClockBehind, r.At.Sub(now).Round(time.Millisecond))
		}
		if r.At.After(last) {
			last = r.At
		}
		r.Seq = e.size
		r.Hashes = e.push(r.Leaf)
	}
	return Head{Size: e.size, Last: last, Edge: e.roots}, nil
}
