package audit

import (
	"context"
	"errors"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"
)

func TestProofs(t *testing.T) {
	t.Parallel()
	const size = 37
	m := newMemory().fill(t, size)
	leaves := m.leaves()
	for n := range int64(size) {
		tree := m.tree(t, n+1)
		if want := naiveRoot(leaves[:n+1]); tree.Root != want {
			t.Fatalf("root of %d: got %v, want %v", n+1, tree.Root, want)
		}
		for seq := range n + 1 {
			proof, err := ProveInclusion(t.Context(), n+1, seq, m)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(naivePath(int(seq), leaves[:n+1]), proof); diff != "" {
				t.Fatalf("proof of %d in %d (-want +got):\n%s", seq, n+1, diff)
			}
			if err := CheckInclusion(proof, tree, seq, leaves[seq]); err != nil {
				t.Error(err)
			}
			if err := CheckInclusion(proof, tree, seq, leaves[(seq+1)%size]); !errors.Is(err, ErrProof) {
				t.Errorf("proof of %d in %d shown for another leaf: got %v, want ErrProof", seq, n+1, err)
			}
			older := m.tree(t, seq+1)
			consistency, err := ProveConsistency(t.Context(), n+1, seq+1, m)
			if err != nil {
				t.Fatal(err)
			}
			if err := CheckConsistency(consistency, tree, older); err != nil {
				t.Error(err)
			}
			older.Root[0] ^= 1
			if err := CheckConsistency(consistency, tree, older); !errors.Is(err, ErrProof) {
				t.Errorf("consistency of %d with a forged %d: got %v, want ErrProof", n+1, seq+1, err)
			}
		}
	}
	if _, err := ProveInclusion(t.Context(), 3, 3, m); err == nil {
		t.Error("proof of an entry beyond the tree: got none, want an error")
	}
	if _, err := ProveConsistency(t.Context(), 3, 4, m); err == nil {
		t.Error("proof that a tree begins with a larger one: got none, want an error")
	}
}

func TestVerifyEmpty(t *testing.T) {
	t.Parallel()
	report, err := Verify(t.Context(), newMemory())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := report.Root, naiveRoot(nil); got != want || report.Size != 0 {
		t.Errorf("got %+v, want the hash of nothing %v", report, want)
	}
}

// erase takes from an entry what can be taken.
func (m *memory) erase(seq int) {
	r := &m.records[seq]
	r.Salt, r.Payload, r.Person, r.Terms = nil, nil, "", nil
}

func TestVerifyErased(t *testing.T) {
	t.Parallel()
	m := newMemory().fill(t, 9)
	root := m.tree(t, 9)
	m.erase(4)
	m.erase(6)
	report, err := Verify(t.Context(), m, root)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Report{Tree: root, Erased: 2, Unexplained: []int64{4, 6}}, report); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
}

// What the log says of erasures is known, as long as that is not erased itself.
func TestVerifyExplainsErasures(t *testing.T) {
	t.Parallel()
	m := newMemory().fill(t, 9)
	m.append(t, Entry{Type: LogErased, Operation: "log", At: m.now, Payload: map[string]any{
		"entries": 2, "numbers": []int64{2, 4}, "reason": "x", "operator": "op",
	}}, Entry{Type: LogRecovered, Operation: "log", At: m.now, Payload: map[string]any{
		"tree": "example.es/log", "lost_from": 6, "lost_to": 9, "last_witnessed": 9, "refilled": 2, "reason": "x", "operator": "op",
	}})
	for _, seq := range []int{2, 4, 5, 6, 7, 8} {
		m.erase(seq)
	}
	for _, want := range [][]int64{{5, 8}, {2, 4, 5, 8, 9}} {
		report, err := Verify(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, report.Unexplained); diff != "" {
			t.Errorf("unexplained (-want +got):\n%s", diff)
		}
		m.erase(9)
	}
}

// Each change that the holder of one table can make is found at its place.
func TestVerifyFindsTampering(t *testing.T) {
	t.Parallel()
	const size, at = 13, 5
	whole := newMemory().fill(t, size)
	other := newMemory().fill(t, size+1)
	for name, tc := range map[string]struct {
		seq    int64
		tamper func(m *memory)
	}{
		"payload edited":    {at, func(m *memory) { m.records[at].Payload[2] ^= 1 }},
		"payload emptied":   {at, func(m *memory) { m.records[at].Payload = nil }},
		"salt edited":       {at, func(m *memory) { m.records[at].Salt[0] ^= 1 }},
		"salt alone erased": {at, func(m *memory) { m.records[at].Salt = nil }},
		"person changed":    {at, func(m *memory) { m.records[at].Person = "X1234567L" }},
		"person removed":    {at, func(m *memory) { m.records[at].Person = "" }},
		"type changed":      {at, func(m *memory) { m.records[at].Type = SignDone }},
		"operation changed": {at, func(m *memory) { m.records[at].Operation = "other" }},
		"time changed":      {at, func(m *memory) { m.records[at].At = m.records[at].At.Add(time.Microsecond) }},
		"term removed":      {at, func(m *memory) { m.records[at].Terms = m.records[at].Terms[1:] }},
		"terms removed":     {at, func(m *memory) { m.records[at].Terms = nil }},
		"term edited":       {at, func(m *memory) { m.records[at].Terms[0].Value += "x" }},
		"term added":        {at, func(m *memory) { m.records[at].Terms = append(m.records[at].Terms, Term{"reason", "x"}) }},
		"erased, term left": {at, func(m *memory) { r := &m.records[at]; r.Salt, r.Payload, r.Person = nil, nil, "" }},
		"leaf edited":       {at, func(m *memory) { m.records[at].Leaf[10] ^= 1 }},
		"leaf exchanged":    {at, func(m *memory) { m.records[at].Leaf = slices.Clone(other.records[at].Leaf) }},
		"hash edited":       {at, func(m *memory) { m.records[at].Hashes[1][0] ^= 1 }},
		"hash removed":      {at, func(m *memory) { m.records[at].Hashes = m.records[at].Hashes[:1] }},
		"deleted":           {at, func(m *memory) { m.records = slices.Delete(m.records, at, at+1) }},
		"first deleted":     {0, func(m *memory) { m.records = m.records[1:] }},
		"inserted":          {at + 1, func(m *memory) { m.records = slices.Insert(m.records, at, m.records[at]) }},
		"exchanged":         {at, func(m *memory) { m.records[at], m.records[at+1] = m.records[at+1], m.records[at] }},
		"exchanged, renumbered": {at, func(m *memory) {
			m.records[at], m.records[at+1] = m.records[at+1], m.records[at]
			m.records[at].Seq, m.records[at+1].Seq = at, at+1
		}},
		"another's whole record": {at, func(m *memory) { m.records[at] = other.clone().records[at] }},
		"truncated":              {size - 1, func(m *memory) { m.records = m.records[:size-1] }},
		"appended":               {size, func(m *memory) { m.records = append(m.records, other.records[size]) }},
		"head too small":         {size, func(m *memory) { m.head.Size-- }},
		"head's subtree edited":  {size, func(m *memory) { m.head.Edge[1][0] ^= 1 }},
		"head without subtrees":  {size, func(m *memory) { m.head.Edge = nil }},
		"head too late":          {size, func(m *memory) { m.head.Last = m.head.Last.Add(time.Hour) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := whole.clone()
			tc.tamper(m)
			_, err := Verify(t.Context(), m)
			wantCorruption(t, err, tc.seq)
		})
	}
	if _, err := Verify(t.Context(), whole); err != nil {
		t.Errorf("the untouched log: %v", err)
	}
}

// Whoever can write everything makes a log without a flaw; an older tree that
// somebody else kept gives the forgery away.
func TestVerifyAgainstKnownTrees(t *testing.T) {
	t.Parallel()
	const size = 13
	m := newMemory().fill(t, size)
	known := []Tree{m.tree(t, 0), m.tree(t, 4), m.tree(t, 10)}
	if _, err := Verify(t.Context(), m, known...); err != nil {
		t.Fatalf("the true log: %v", err)
	}

	rewritten := m.clone()
	record, err := newRecord(entry(rewritten.records[6].At, 99))
	if err != nil {
		t.Fatal(err)
	}
	rewritten.records[6] = record
	rewritten = rewritten.rebuild()
	if _, err := Verify(t.Context(), rewritten); err != nil {
		t.Fatalf("the forged log in itself: %v", err)
	}
	_, err = Verify(t.Context(), rewritten, known[2], known[0], known[1]) // in no order
	wantCorruption(t, err, 10)
	if corruption, _ := errors.AsType[*CorruptionError](err); corruption.From != 4 {
		t.Errorf("got %v, want it in entries 4 to 9", err)
	}

	yesterday := m.clone()
	yesterday.records = yesterday.records[:7]
	yesterday = yesterday.rebuild()
	if _, err := Verify(t.Context(), yesterday, known[:2]...); err != nil {
		t.Fatalf("yesterday's log against what was known then: %v", err)
	}
	_, err = Verify(t.Context(), yesterday, known...)
	wantCorruption(t, err, 7)
}

// One changed bit anywhere in what a log stores never goes unseen.
func TestVerifyFindsEveryBit(t *testing.T) {
	t.Parallel()
	whole := newMemory().fill(t, 21)
	rapid.Check(t, func(t *rapid.T) {
		m := whole.clone()
		r := &m.records[rapid.IntRange(0, 20).Draw(t, "record")]
		fields := [][]byte{r.Leaf, r.Payload, r.Salt}
		for i := range r.Hashes {
			fields = append(fields, r.Hashes[i][:])
		}
		field := rapid.SampledFrom(fields).Draw(t, "field")
		bit := rapid.IntRange(0, 8*len(field)-1).Draw(t, "bit")
		field[bit/8] ^= 1 << (bit % 8)
		_, err := Verify(context.Background(), m)
		var corruption *CorruptionError
		if !errors.As(err, &corruption) || corruption.Seq != r.Seq {
			t.Errorf("bit %d of entry %d: got %v, want corruption there", bit, r.Seq, err)
		}
	})
}

type unreadable struct{ *memory }

func (u unreadable) Records(context.Context) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		_ = yield(u.records[0], nil) && yield(Record{}, errBroken)
	}
}

func TestVerifyFailsWithItsStore(t *testing.T) {
	t.Parallel()
	_, err := Verify(t.Context(), unreadable{newMemory().fill(t, 3)})
	var corruption *CorruptionError
	if !errors.Is(err, errBroken) || errors.As(err, &corruption) {
		t.Errorf("got %v, want %v and no corruption", err, errBroken)
	}
}

func TestStoredHashesAreThoseOfThePackage(t *testing.T) {
	t.Parallel()
	m := newMemory().fill(t, 64)
	var v verifier
	for _, r := range m.records {
		if diff := cmp.Diff(r.Hashes, v.push(r.Leaf)); diff != "" {
			t.Fatalf("hashes of entry %d (-stored +recomputed):\n%s", r.Seq, diff)
		}
		if got, want := r.FirstHash(), tlog.StoredHashIndex(0, r.Seq); got != want {
			t.Errorf("first hash of %d: got %d, want %d", r.Seq, got, want)
		}
	}
}
