package witness

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"
)

// given is a cosignature that somebody has got.
type given struct {
	checkpoint torchwood.Checkpoint
	at         time.Time
}

// checkGiven demands of all cosignatures together what a witness promises: none
// is of a smaller tree than an earlier one, and none is of two pasts.
func checkGiven(tb testing.TB, all []given, branches ...*tree) {
	tb.Helper()
	slices.SortFunc(all, func(a, b given) int { return a.at.Compare(b.at) })
	for i := 1; i < len(all); i++ {
		if a, b := all[i-1], all[i]; b.checkpoint.N < a.checkpoint.N {
			tb.Errorf("got %d entries cosigned at %v, after %d at %v", b.checkpoint.N, b.at, a.checkpoint.N, a.at)
		}
	}
	of := func(l *tree, c torchwood.Checkpoint) bool { return c.N <= l.n && l.checkpoint(tb, c.N) == c }
	if !slices.ContainsFunc(branches, func(l *tree) bool {
		return !slices.ContainsFunc(all, func(g given) bool { return !of(l, g.checkpoint) })
	}) {
		tb.Errorf("got cosignatures of more than one past: %v", all)
	}
}

// TestRace submits three futures of one log from many sides, in steps of all
// kinds, and restarts nothing.
func TestRace(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const size, common, sides, tries = 96, 5, 24, 30
	trunk := b.tree.grow(t, common, "trunk")
	branches := []*tree{trunk.branch().grow(t, size, "left"), trunk.branch().grow(t, size, "right"), trunk.branch().grow(t, size, "third")}
	requests := make([][]Request, len(branches)) // by branch: from each size to each
	for i, l := range branches {
		for old := range int64(size) {
			for _, step := range []int64{0, 1, 1, 2} {
				requests[i] = append(requests[i], l.request(t, old, min(size, old+step)))
			}
		}
	}
	var (
		group sync.WaitGroup
		mu    sync.Mutex
		all   []given
	)
	for side := range sides {
		group.Go(func() {
			l, known := requests[side%len(requests)], int64(0)
			for try := range tries {
				r := l[int(known)*4+try%4]
				line, err := b.Add(t.Context(), r)
				conflict, isConflict := errors.AsType[*ConflictError](err)
				switch {
				case err == nil:
					at := b.verified(t, r.checkpoint, line)
					mu.Lock()
					all = append(all, given{r.checkpoint, at})
					mu.Unlock()
					known = r.checkpoint.N
				case isConflict:
					known = min(conflict.Size, size-1)
				case !errors.Is(err, ErrInconsistent):
					t.Errorf("got %v, want a cosignature, a conflict or ErrInconsistent", err)
				}
			}
		})
	}
	group.Wait()
	if len(all) < sides {
		t.Errorf("got %d cosignatures, want more", len(all))
	}
	checkGiven(t, all, branches...)
	if got, want := b.Report().Logs[0].Size, all[len(all)-1].checkpoint.N; got != want {
		t.Errorf("got %d entries held, want those of the last cosignature, %d", got, want)
	}
	b.again(t)
	if got, want := b.Report().Logs[0].Size, all[len(all)-1].checkpoint.N; got != want {
		t.Errorf("after a restart: got %d entries held, want %d", got, want)
	}
}

// TestModel does anything in any order, and compares with what the norm says.
func TestModel(t *testing.T) {
	t.Parallel()
	dirs, made := t.TempDir(), 0
	rapid.Check(t, func(r *rapid.T) {
		made++
		b := newBenchOf(t, filepath.Join(dirs, fmt.Sprint(made)))
		trunk := b.tree.grow(t, 6, "trunk")
		branches := []*tree{trunk.branch().grow(t, 40, "left"), trunk.branch().grow(t, 40, "right")}
		var held *torchwood.Checkpoint
		var all []given
		r.Repeat(map[string]func(*rapid.T){
			"restart": func(*rapid.T) { b.again(t) },
			"submit": func(r *rapid.T) {
				l := rapid.SampledFrom(branches).Draw(r, "branch")
				n := rapid.Int64Range(0, 40).Draw(r, "size")
				old := rapid.Int64Range(0, n).Draw(r, "old")
				at := int64(0)
				if held != nil {
					at = held.N
					if rapid.Bool().Draw(r, "in step") {
						old = at
						n = max(n, old)
					}
				}
				request := l.request(t, old, n)
				line, err := b.Add(t.Context(), request)
				conflict, isConflict := errors.AsType[*ConflictError](err)
				consistent := held == nil || at == 0 || l.checkpoint(t, at) == *held
				switch {
				case old != at:
					if !isConflict || conflict.Size != at {
						r.Fatalf("from %d to %d over %d: got %v, want a conflict", old, n, at, err)
					}
				case !consistent:
					if !errors.Is(err, ErrInconsistent) {
						r.Fatalf("fork from %d to %d: got %v, want ErrInconsistent", old, n, err)
					}
				case err != nil:
					r.Fatalf("from %d to %d: got %v, want a cosignature", old, n, err)
				default:
					all = append(all, given{request.checkpoint, b.verified(t, request.checkpoint, line)})
					held = &request.checkpoint
				}
			},
			"": func(*rapid.T) {
				checkGiven(t, slices.Clone(all), branches...)
				if signed, found := b.Checkpoint(OriginHash(origin)); found != (held != nil) ||
					found && !strings.HasPrefix(string(signed), held.String()) {
					t.Errorf("got checkpoint %q, want %v", signed, held)
				}
			},
		})
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestClock gives no time that contradicts an earlier statement.
func TestClock(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	l := b.tree.grow(t, 20, "entry")
	now := time.Date(2026, 11, 22, 12, 0, 0, 999, time.UTC)
	b.Now = func() time.Time { return now }
	b.config.Now = b.Now
	for _, test := range []struct {
		name   string
		to     time.Duration
		n, old int64
		want   error
	}{
		{"at first", 0, 1, 0, nil},
		{"within the same second", -time.Nanosecond * 900, 2, 1, nil},
		{"a second back", -time.Second, 3, 2, ErrClock},
		{"a year back", -365 * 24 * time.Hour, 3, 2, ErrClock},
		{"in time again", time.Second, 3, 2, nil},
	} {
		b.again(t)
		before := now
		now = now.Add(test.to)
		line, err := b.Add(t.Context(), l.request(t, test.old, test.n))
		if !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", test.name, err, test.want)
		}
		if err == nil {
			if got := b.verified(t, l.checkpoint(t, test.n), line); got.Unix() != now.Unix() {
				t.Errorf("%s: got a cosignature of %v, want %v", test.name, got, now)
			}
			continue
		}
		now = before
	}
	now = time.Unix(0, 0)
	other := newBench(t)
	other.Now = b.Now
	if _, err := other.Add(t.Context(), other.tree.request(t, 0, 0)); !errors.Is(err, ErrClock) {
		t.Errorf("in 1970: got %v, want ErrClock: a time of zero says something else", err)
	}
	if status := statusOf(ErrClock); status != 503 {
		t.Errorf("got status %d, want 503", status)
	}
}

// TestEvidence keeps what a log cannot have signed in good faith.
func TestEvidence(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	l := b.tree.grow(t, 5, "trunk")
	fork := l.branch().grow(t, 20, "other")
	l.grow(t, 20, "entry")
	if _, err := b.Add(t.Context(), l.request(t, 0, 13)); err != nil {
		t.Fatal(err)
	}
	held, _ := b.Checkpoint(OriginHash(origin))
	files := func() []string {
		t.Helper()
		found, err := filepath.Glob(filepath.Join(b.config.Dir, forksDir, "*"))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	for _, step := range []struct {
		name            string
		r               Request
		forks, unproven int
	}{
		{"behind", l.request(t, 0, 12), 0, 0},
		{"ahead without a proof from there", l.request(t, 0, 20), 0, 0},
		{"a fork behind, which nobody can see", fork.request(t, 0, 12), 0, 0},
		{"a fork of the same size", fork.request(t, 13, 13), 1, 0},
		{"the same again", fork.request(t, 13, 13), 1, 0},
		{"the same in step with another size", fork.request(t, 0, 13), 1, 0},
		{"a fork ahead", fork.request(t, 13, 20), 2, 0},
		{"a fork ahead with another's proof", parse(t, Request{OldSize: 13, Proof: l.proof(t, 13, 19), Note: fork.sign(t, fork.checkpoint(t, 19))}), 2, 1},
		{"nonsense", parse(t, Request{OldSize: 13, Proof: []tlog.Hash{{}}, Note: l.sign(t, l.checkpoint(t, 19))}), 2, 2},
	} {
		if _, err := b.Add(t.Context(), step.r); err == nil {
			t.Errorf("%s: got a cosignature", step.name)
		}
		if got := b.Report(); got.Forks != step.forks || got.Unproven != step.unproven || len(files()) != step.forks+step.unproven {
			t.Errorf("%s: got %d forks, %d unproven and files %q, want %d and %d", step.name, got.Forks, got.Unproven, files(), step.forks, step.unproven)
		}
	}
	if said := b.said.String(); !strings.Contains(said, `"level":"ERROR","msg":"log_forked"`) || !strings.Contains(said, `"level":"WARN","msg":"log_consistency_unproven"`) {
		t.Errorf("got %s, want the fork as an error, and the rest as a warning", said)
	}
	i := slices.IndexFunc(files(), func(path string) bool { return strings.Contains(path, "fork-") && strings.Contains(path, "-13-") })
	content, err := os.ReadFile(files()[i])
	if err != nil {
		t.Fatal(err)
	}
	var e Evidence
	if err := json.Unmarshal(content, &e); err != nil {
		t.Fatal(err)
	}
	want := Evidence{Kind: "fork", Origin: origin, SeenAt: e.SeenAt, Held: string(held), Submitted: string(fork.request(t, 13, 13).Note), OldSize: 13, Proof: []string{}}
	if fmt.Sprint(e) != fmt.Sprint(want) || e.SeenAt.IsZero() {
		t.Errorf("got %+v, want %+v", e, want)
	}
	b.again(t)
	if got := b.Report(); got.Forks != 2 || got.Unproven != 2 {
		t.Errorf("after a restart: got %d forks and %d unproven, want 2 and 2", got.Forks, got.Unproven)
	}
	if got, err := ReadReport(b.config.Dir); err != nil || got.Forks != 2 || got.Unproven != 2 {
		t.Errorf("as read: got %+v (%v), want 2 forks and 2 unproven", got, err)
	}
	if _, err := b.Add(t.Context(), l.request(t, 13, 20)); err != nil {
		t.Errorf("the past that was cosigned: got %v, want it to go on", err)
	}
}

// TestRoots compares with package tlog, which made the proofs.
func TestRoots(t *testing.T) {
	t.Parallel()
	const size = 70
	l := newTree(t).grow(t, size, "entry")
	for to := int64(1); to <= size; to++ {
		for from := int64(1); from < to; from++ {
			proof := l.proof(t, from, to)
			old, root, ok := roots(proof, from, to)
			power := from&(from-1) == 0
			if ok == power || ok && (old != l.checkpoint(t, from).Hash || root != l.checkpoint(t, to).Hash) {
				t.Errorf("from %d to %d: got %v, %v, %v, want both roots: %v", from, to, old, root, ok, !power)
			}
			if !power {
				if _, root, ok := roots(proof[:len(proof)-1], from, to); ok && root == l.checkpoint(t, to).Hash {
					t.Errorf("from %d to %d: got the root without the proof's end", from, to)
				}
				if _, _, ok := roots(append(slices.Clone(proof), tlog.Hash{}), from, to); ok {
					t.Errorf("from %d to %d: got roots of a proof with more", from, to)
				}
			}
		}
	}
}

// TestEvidenceIsBounded sends more nonsense than is kept.
func TestEvidenceIsBounded(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	l := b.tree.grow(t, 1, "entry")
	if _, err := b.Add(t.Context(), l.request(t, 0, 1)); err != nil {
		t.Fatal(err)
	}
	for i := range maxEvidence + 10 {
		signed := l.sign(t, torchwood.Checkpoint{Origin: origin, N: int64(i) + 2})
		if _, err := b.Add(t.Context(), parse(t, Request{OldSize: 1, Note: signed})); !errors.Is(err, ErrInconsistent) {
			t.Fatalf("got %v, want ErrInconsistent", err)
		}
	}
	if got := b.Report().Unproven; got != maxEvidence {
		t.Errorf("got %d files, want %d", got, maxEvidence)
	}
	if !strings.Contains(b.said.String(), "witness_evidence_lost") {
		t.Error("got nothing said about what was not kept")
	}
	fork := parse(t, Request{OldSize: 1, Note: l.sign(t, torchwood.Checkpoint{Origin: origin, N: 1})})
	if _, err := b.Add(t.Context(), fork); !errors.Is(err, ErrInconsistent) || b.Report().Forks != 1 {
		t.Errorf("got %v and %d forks, want room for a true one", err, b.Report().Forks)
	}
}

// TestClosed leaves what comes after the end to the next process.
func TestClosed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	l := b.tree.grow(t, 3, "entry")
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Add(t.Context(), l.request(t, 0, 3)); !errors.Is(err, os.ErrClosed) {
		t.Errorf("got %v, want os.ErrClosed", err)
	}
	if strings.Contains(read(t, b), origin) {
		t.Error("got a checkpoint written after the end")
	}
}

// BenchmarkAdd is an add-checkpoint after the other: two signatures verified,
// one made, and a file written through to the disk.
func BenchmarkAdd(b *testing.B) {
	w := newBench(b)
	r := w.tree.grow(b, 20, "entry").request(b, 20, 20)
	if _, err := w.Add(b.Context(), w.tree.request(b, 0, 20)); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := w.Add(b.Context(), r); err != nil {
			b.Fatal(err)
		}
	}
}
