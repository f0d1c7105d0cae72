package check_test

import (
	"bytes"
	"context"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/audit/check"
	"github.com/rubrica-firma/rubrica/audit/publication"
	"github.com/rubrica-firma/rubrica/internal/audittest"
)

// stored implements check.Stored and audit.Log.
type stored struct {
	head        audit.Head
	records     []audit.Record
	trees       []publication.Tree
	checkpoints map[string][]publication.Published
}

func (s *stored) Snapshot(_ context.Context, read func(audit.Log) error) error { return read(s) }

func (s *stored) Head(context.Context) (audit.Head, error) { return s.head, nil }

func (s *stored) Records(context.Context) iter.Seq2[audit.Record, error] {
	return func(yield func(audit.Record, error) bool) {
		for _, r := range s.records {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func (s *stored) Trees(context.Context) ([]publication.Tree, error) { return s.trees, nil }

func (s *stored) EachCheckpoint(_ context.Context, origin string) iter.Seq2[publication.Published, error] {
	return func(yield func(publication.Published, error) bool) {
		for _, p := range s.checkpoints[origin] {
			if !yield(p, nil) {
				return
			}
		}
	}
}

// store is a database with the log and its checkpoints at these sizes; the last
// one has a time-stamp, and none but the first of a log no witnesses.
func store(tb testing.TB, l *audittest.Log, stamps *audittest.Authority, sizes ...int64) *stored {
	tb.Helper()
	head, err := l.LockHead(tb.Context())
	must(tb, err)
	s := &stored{
		head: head, records: slices.Clone(l.Records), trees: []publication.Tree{{Origin: l.Origin}},
		checkpoints: map[string][]publication.Published{},
	}
	s.keep(tb, l, stamps, sizes...)
	return s
}

func (s *stored) keep(tb testing.TB, l *audittest.Log, stamps *audittest.Authority, sizes ...int64) {
	tb.Helper()
	for i, size := range sizes {
		p := publication.Published{Origin: l.Origin, Tree: l.Tree(tb, size), Note: l.Witnessed(tb, size)}
		if i == 0 {
			p.Note = l.Signed(tb, size)
		}
		if i == len(sizes)-1 {
			p.Timestamp = stamps.Token(tb, l.Signed(tb, size))
		}
		s.checkpoints[l.Origin] = append(s.checkpoints[l.Origin], p)
	}
}

func (s *stored) verify(tb testing.TB, c check.Checker) *check.Report {
	tb.Helper()
	r, err := c.Database(tb.Context(), "database", s)
	must(tb, err)
	return r
}

func TestDatabase(t *testing.T) {
	t.Parallel()
	l := audittest.New(t).Fill(t, 30)
	stamps := audittest.NewAuthority(t, func() time.Time { return l.Clock })
	c := check.Checker{Policy: l.Policy(t), Known: l.Signed(t, 17)}
	honest := func() *stored { return store(t, l, stamps, 10, 20, 25) }
	r := honest().verify(t, c)
	if r.Verdict != check.Holds || r.Entries != (check.Entries{Checked: 30, Opened: 30}) || r.Checkpoint.Size != 25 || r.Stamp == nil || !r.Known.Consistent {
		t.Errorf("got %+v", r)
	}
	erased := honest()
	erased.records[4].Payload, erased.records[4].Salt, erased.records[4].Person, erased.records[4].Terms = nil, nil, "", nil
	if r := erased.verify(t, c); r.Verdict != check.Undecided || r.Fault != nil || r.Entries != (check.Entries{Checked: 30, Opened: 29, Erased: 1}) {
		t.Errorf("one erased, and nobody says why: got %+v", r)
	}
	if r := honest().verify(t, check.Checker{}); r.Verdict != check.Undecided {
		t.Errorf("without a policy: got %+v, want it undecided", r)
	}
	if r := store(t, l, stamps, 30).verify(t, c); r.Verdict != check.Undecided {
		t.Errorf("without a witness: got %+v, want it undecided", r)
	}

	twin := l.Twin().Fill(t, 30)
	for name, tc := range map[string]struct {
		change       func(s *stored)
		index, until int64
	}{
		"payload":           {func(s *stored) { s.records[7].Payload = []byte("{}") }, 7, 8},
		"deleted":           {func(s *stored) { s.records = slices.Delete(s.records, 7, 8) }, 7, 8},
		"truncated":         {func(s *stored) { s.records = s.records[:27] }, 27, 28},
		"head":              {func(s *stored) { s.head.Size = 29 }, 30, 31},
		"rewritten":         {func(s *stored) { s.records = twin.Records; s.head, _ = twin.LockHead(t.Context()) }, 0, 10},
		"checkpoint's row":  {func(s *stored) { s.checkpoints[l.Origin][1].Root[0] ^= 1 }, -1, -1},
		"checkpoint's note": {func(s *stored) { s.checkpoints[l.Origin][1].Note = twin.Witnessed(t, 20) }, -1, -1},
		"cosignature": {func(s *stored) {
			note := bytes.Clone(s.checkpoints[l.Origin][1].Note)
			note[len(note)-20] ^= 1
			s.checkpoints[l.Origin][1].Note = note
		}, -1, -1},
		"time-stamp": {func(s *stored) { s.checkpoints[l.Origin][2].Timestamp = stamps.Token(t, l.Signed(t, 24)) }, -1, -1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := honest()
			tc.change(s)
			wantFault(t, s.verify(t, c), tc.index, tc.until)
		})
	}

	// Who holds every key and the whole database makes another log; what was kept
	// elsewhere gives it away.
	forged := store(t, twin, stamps, 10, 20, 25)
	if r := forged.verify(t, check.Checker{Policy: l.Policy(t)}); r.Verdict != check.Holds {
		t.Errorf("forged, in itself: got %+v", r)
	}
	wantFault(t, forged.verify(t, c), 10, 17)
	yesterday := store(t, twin, stamps, 10)
	wantFault(t, yesterday.verify(t, check.Checker{Policy: l.Policy(t), Known: twin.Fill(t, 2).Signed(t, 31)}), 30, 31)
}

// A name ends where entries were lost: what it said of them is no fault of the
// log that goes on without them.
func TestDatabaseOfTwoTrees(t *testing.T) {
	t.Parallel()
	before := audittest.New(t).Fill(t, 12)
	stamps := audittest.NewAuthority(t, func() time.Time { return before.Clock })
	lost := before.Origin
	s := &stored{checkpoints: map[string][]publication.Published{}}
	s.keep(t, before, stamps, 3, 6, 12)
	after := before.Twin()
	after.Records = before.Records[:8]
	after = after.Regrown(t)
	after.Origin += "/2"
	fresh := store(t, after, stamps, 7, 8)
	s.records, s.checkpoints[after.Origin] = fresh.records, fresh.checkpoints[after.Origin]
	s.trees = []publication.Tree{{Origin: lost}, {Origin: after.Origin, Begun: 8}}
	tree := after.Tree(t, 8)
	edge, err := audit.Edge(t.Context(), 8, after)
	must(t, err)
	s.head = audit.Head{Size: tree.Size, Last: s.records[7].At, Edge: edge}
	policy, err := before.Policy(t).WithLog(after.Key(t).VerifierKey())
	must(t, err)
	if r := s.verify(t, check.Checker{Policy: policy}); r.Verdict != check.Holds || r.Checkpoint.Origin != after.Origin {
		t.Errorf("got %+v, want it to hold", r)
	}
	s.trees[1].Begun = 12
	wantFault(t, s.verify(t, check.Checker{Policy: policy}), 8, 9)
}
