package audit

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// memory is a log in memory, with the contract of Tx and Log.
type memory struct {
	now     time.Time
	head    Head
	records []Record
	hashes  []tlog.Hash
}

func (m *memory) Now() time.Time { return m.now }

func (m *memory) LockHead(context.Context) (Head, error) { return m.head, nil }

func (m *memory) Head(context.Context) (Head, error) { return m.head, nil }

func (m *memory) ReadHashes(_ context.Context, indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		if index >= int64(len(m.hashes)) {
			return nil, fmt.Errorf("no hash %d", index)
		}
		hashes[i] = m.hashes[index]
	}
	return hashes, nil
}

func (m *memory) Write(_ context.Context, next Head, records []Record) error {
	for _, r := range records {
		if r.FirstHash() != int64(len(m.hashes)) {
			return fmt.Errorf("hashes of entry %d begin at %d, want %d", r.Seq, r.FirstHash(), len(m.hashes))
		}
		m.records = append(m.records, r)
		m.hashes = append(m.hashes, r.Hashes...)
	}
	m.head = next
	return nil
}

func (m *memory) Records(context.Context) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for _, r := range m.records {
			if !yield(r, nil) {
				return
			}
		}
	}
}

var start = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

func newMemory() *memory { return &memory{now: start} }

// fill appends n entries, one transaction each.
func (m *memory) fill(tb testing.TB, n int) *memory {
	tb.Helper()
	for range n {
		m.append(tb, entry(m.now, int(m.head.Size)))
		m.now = m.now.Add(time.Second)
	}
	return m
}

func (m *memory) append(tb testing.TB, entries ...Entry) {
	tb.Helper()
	if _, err := Append(tb.Context(), m, entries...); err != nil {
		tb.Fatalf("Append: %v", err)
	}
}

func entry(at time.Time, n int) Entry {
	return Entry{
		Type: SignIntent, Operation: fmt.Sprintf("request-%d", n), At: at, Person: "12345678Z",
		Payload: map[string]any{"authorisation": "A1", "serial": fmt.Sprintf("%032x", n), "generation": n},
	}
}

// clone copies what a tamperer may change in place.
func (m *memory) clone() *memory {
	c := *m
	c.records = make([]Record, len(m.records))
	for i, r := range m.records {
		r.Leaf, r.Payload, r.Salt = slices.Clone(r.Leaf), slices.Clone(r.Payload), slices.Clone(r.Salt)
		r.Terms, r.Hashes = slices.Clone(r.Terms), slices.Clone(r.Hashes)
		c.records[i] = r
	}
	c.hashes, c.head.Edge = slices.Clone(m.hashes), slices.Clone(m.head.Edge)
	return &c
}

// rebuild makes a forged log consistent in itself, as whoever can write the
// whole database would.
func (m *memory) rebuild() *memory {
	forged := &memory{now: m.now}
	next, err := forged.head.follow(forged.now, m.records)
	if err != nil {
		panic(err)
	}
	if err := forged.Write(context.Background(), next, m.records); err != nil {
		panic(err)
	}
	return forged
}

func (m *memory) leaves() [][]byte {
	leaves := make([][]byte, len(m.records))
	for i, r := range m.records {
		leaves[i] = r.Leaf
	}
	return leaves
}

func (m *memory) tree(tb testing.TB, size int64) Tree {
	tb.Helper()
	tree, err := TreeHash(tb.Context(), size, m)
	if err != nil {
		tb.Fatal(err)
	}
	return tree
}

// naiveRoot is RFC 6962, section 2.1, word by word.
func naiveRoot(leaves [][]byte) tlog.Hash {
	switch n := len(leaves); n {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return sha256.Sum256(append([]byte{0}, leaves[0]...))
	default:
		k := 1
		for 2*k < n {
			k *= 2
		}
		left, right := naiveRoot(leaves[:k]), naiveRoot(leaves[k:])
		return sha256.Sum256(slices.Concat([]byte{1}, left[:], right[:]))
	}
}

// naivePath is RFC 6962, section 2.1.1.
func naivePath(m int, leaves [][]byte) tlog.RecordProof {
	n := len(leaves)
	if n == 1 {
		return tlog.RecordProof{}
	}
	k := 1
	for 2*k < n {
		k *= 2
	}
	if m < k {
		return append(naivePath(m, leaves[:k]), naiveRoot(leaves[k:]))
	}
	return append(naivePath(m-k, leaves[k:]), naiveRoot(leaves[:k]))
}

func wantCorruption(tb testing.TB, err error, seq int64) {
	tb.Helper()
	var corruption *CorruptionError
	if !errors.As(err, &corruption) {
		tb.Fatalf("got error %v, want a CorruptionError", err)
	}
	if corruption.Seq != seq {
		tb.Errorf("got %v, want it at entry %d", corruption, seq)
	}
}
