package publication_test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"filippo.io/torchwood"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/audit/publication"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/store"
)

// mirror copies the log as it is published, up to its last witnessed checkpoint.
func (h *house) mirror() string {
	h.Helper()
	last := h.witnessed(origin)
	dir := h.TempDir()
	write := func(path string, data []byte) {
		h.Helper()
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			h.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			h.Fatal(err)
		}
	}
	for _, tile := range audit.Tiles(0, last.Size) {
		var data []byte
		var err error
		if tile.L == -1 {
			var from, to int64
			if from, to, err = audit.BundleRange(last.Size, tile); err != nil {
				h.Fatal(err)
			}
			leaves, readErr := h.db.Leaves(h.Context(), from, to)
			if readErr != nil {
				h.Fatal(readErr)
			}
			data, err = audit.Bundle(leaves)
		} else {
			data, err = audit.Tile(h.Context(), last.Size, tile, h.db)
		}
		if err != nil {
			h.Fatal(err)
		}
		write(torchwood.TilePath(tile), data)
	}
	write("checkpoint", last.Note)
	return dir
}

// recovery is an operator's, on a machine that has the database and the policy.
func (h *house) recovery(db *store.DB) *publication.Recovery {
	h.Helper()
	return &publication.Recovery{
		Store: db, Watch: h.watch(db, h.state), Operator: "M. Ruiz", Reason: "disco roto", Now: time.Now,
	}
}

// lose witnesses five entries and more, keeps a mirror, and puts a backup of the
// five back. It gives what was witnessed.
func (h *house) lose(lost int) (mirror string, seen publication.Published) {
	h.Helper()
	p := h.start()
	h.opens(p.guard)
	h.append(5)
	h.witnessed(origin)
	restore := h.backup()
	h.append(lost)
	mirror = h.mirror()
	p.stop()
	seen, err := h.db.LastWitnessed(h.Context(), origin)
	if err != nil {
		h.Fatal(err)
	}
	restore()
	return mirror, seen
}

// last is the payload of the log's last entry, which has to be of a type.
func (h *house) last(kind audit.EventType) map[string]any {
	h.Helper()
	var facts map[string]any
	err := h.db.Snapshot(context.Background(), func(log audit.Log) error {
		var last audit.Record
		for r, err := range log.Records(context.Background()) {
			if err != nil {
				return err
			}
			last = r
		}
		if last.Type != kind {
			h.Errorf("the last entry: got %s, want %s", last.Type, kind)
		}
		payload, err := last.Open()
		if err != nil {
			return err
		}
		return json.Unmarshal(payload, &facts)
	})
	if err != nil {
		h.Fatal(err)
	}
	return facts
}

// Lost entries come back from a mirror: the log is the one that was witnessed,
// and the same witnesses go on with it.
func TestRefill(t *testing.T) {
	t.Parallel()
	for name, lost := range map[string]int{"a few": 3, "over tiles and portions": 1100} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, 2, 2)
			mirror, seen := h.lose(lost)
			p := h.start()
			h.closed(p.guard, publication.Behind)

			r := h.recovery(h.db)
			f, err := r.Watch.Examine(t.Context())
			if err != nil || f.Reason != publication.Behind || f.Head.Size != 5 || f.Known.Tree != seen.Tree {
				t.Fatalf("what is lost: %+v, %v", f, err)
			}
			tree, err := r.Refill(t.Context(), os.DirFS(mirror))
			if err != nil || tree != seen.Tree {
				t.Fatalf("refilling: got %+v, %v, want %+v", tree, err, seen.Tree)
			}
			if report := h.whole(seen.Tree); report.Erased != int64(lost) || report.Size < seen.Size+1 {
				t.Errorf("the log: %+v, want %d erased of %d and more", report, lost, seen.Size)
			}
			h.opens(p.guard) // by itself
			h.witnessed(origin)
			h.sameAsLog(origin)
			h.eventually("the log to say so", func() bool {
				events := h.events()
				return slices.Equal(events[seen.Size:], []audit.EventType{audit.LogRecovered, audit.LogResumed})
			})
			if _, err := r.Refill(t.Context(), os.DirFS(mirror)); !errors.Is(err, publication.ErrHeld) {
				t.Errorf("again, while it is published: got %v, want %v", err, publication.ErrHeld)
			}
			p.stop()
			if _, err := r.Refill(t.Context(), os.DirFS(mirror)); !errors.Is(err, publication.ErrNothingLost) {
				t.Errorf("again: got %v, want %v", err, publication.ErrNothingLost)
			}
			if _, err := r.Rename(t.Context()); !errors.Is(err, publication.ErrNothingLost) {
				t.Errorf("renaming what is whole: got %v, want %v", err, publication.ErrNothingLost)
			}
		})
	}
}

// The log goes on under another name, which its entry gives.
func TestRename(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 1, 1)
	_, seen := h.lose(4)
	p := h.start()
	h.closed(p.guard, publication.Behind)
	tree, err := h.recovery(h.db).Rename(t.Context())
	if err != nil || tree.Origin != origin+"/2" || tree.Begun != 5 {
		t.Fatalf("renaming: got %+v, %v", tree, err)
	}
	if want := h.named(tree.Origin); tree.Key != want {
		t.Errorf("key: got %s, want %s", tree.Key, want)
	}
	facts := h.last(audit.LogRecovered)
	for name, want := range map[string]any{
		"tree": tree.Origin, "lost_from": 5., "lost_to": float64(seen.Size), "refilled": 0., "operator": "M. Ruiz", "reason": "disco roto",
	} {
		if facts[name] != want {
			t.Errorf("%s: got %v, want %v", name, facts[name], want)
		}
	}
	h.opens(p.guard)
	// The witness learns of the name, as its operator tells it.
	h.witnesses[0].Watch(watching(t, tree.Key))
	h.append(2)
	h.witnessed(tree.Origin)
	h.sameAsLog(tree.Origin)
	p.stop()

	// Another start, and another machine, find nothing wrong.
	for _, state := range []string{h.state, filepath.Join(t.TempDir(), "replica")} {
		h.state = state
		p = h.start()
		h.opens(p.guard)
		p.stop()
	}
	h.whole()
}

// A database from before the name is found out, even if it has all that the old
// name had.
func TestOlderThanItsName(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 1, 1)
	p := h.start()
	h.opens(p.guard)
	h.append(5)
	h.witnessed(origin)
	yesterday := h.backup()
	h.append(4)
	h.witnessed(origin)
	p.stop()
	today := h.backup()
	yesterday()
	tree, err := h.recovery(h.db).Rename(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	h.witnesses[0].Watch(watching(t, tree.Key))
	p = h.start()
	h.opens(p.guard)
	h.append(1)
	h.witnessed(tree.Origin)
	p.stop()
	today() // found at last, with everything but the name
	for _, state := range []string{h.state, filepath.Join(t.TempDir(), "replica")} {
		h.state = state
		p = h.start()
		h.closed(p.guard, publication.Behind)
		h.suspended(p)
		p.stop()
	}
	third, err := h.recovery(h.db).Rename(t.Context())
	if err != nil || third.Origin != origin+"/3" {
		t.Errorf("renaming again: got %+v, %v, want a name that no witness knows", third, err)
	}
}

// What does not fit is not put back.
func TestRefillRefuses(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 1, 1)
	mirror, seen := h.lose(300)
	file := func(dir fs.FS, name string) []byte {
		t.Helper()
		content, err := fs.ReadFile(dir, name)
		if err != nil {
			t.Fatal(err)
		}
		return content
	}
	copied := func(change func(dir string)) fs.FS {
		t.Helper()
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(mirror)); err != nil {
			t.Fatal(err)
		}
		change(dir)
		return os.DirFS(dir)
	}
	write := func(dir, name string, content []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	older, err := h.db.CheckpointAt(t.Context(), origin, 5)
	if err != nil {
		t.Fatal(err)
	}
	bundle := file(os.DirFS(mirror), "tile/entries/000")
	flipped := slices.Clone(bundle)
	flipped[len(flipped)/2] ^= 1
	for name, tc := range map[string]struct {
		mirror fs.FS
		want   error
	}{
		"an empty directory":     {os.DirFS(t.TempDir()), fs.ErrNotExist},
		"a shorter mirror":       {copied(func(dir string) { write(dir, "checkpoint", older.Note) }), publication.ErrMirror},
		"nobody's checkpoint":    {copied(func(dir string) { write(dir, "checkpoint", []byte(seen.Text()+"\n")) }), publication.ErrMirror},
		"an entry altered":       {copied(func(dir string) { write(dir, "tile/entries/000", flipped) }), nil},
		"entries missing":        {copied(func(dir string) { write(dir, "tile/entries/000", bundle[:100]) }), nil},
		"hashes of another tree": {copied(func(dir string) { write(dir, "tile/0/000", make([]byte, 256*32)) }), publication.ErrMirror},
	} {
		r := h.recovery(h.db)
		if _, err := r.Refill(t.Context(), tc.mirror); err == nil || tc.want != nil && !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v, want %v", name, err, tc.want)
		}
		if got := h.head(); got.Size != 5 {
			t.Fatalf("%s: the log has %d entries, want still 5", name, got.Size)
		}
	}
	// An entry that got in after the backup was put back has a lost one's number.
	h.append(1)
	if _, err := h.recovery(h.db).Refill(t.Context(), os.DirFS(mirror)); !errors.Is(err, publication.ErrOccupied) {
		t.Errorf("with an entry in the way: got %v, want %v", err, publication.ErrOccupied)
	}
	if _, err := h.recovery(h.db).Rename(t.Context()); err != nil {
		t.Errorf("renaming then: %v", err)
	}
}

// Of two operators one recovers.
func TestTwoOperators(t *testing.T) {
	t.Parallel()
	for name, leased := range map[string]bool{"with the lease": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, 1, 1)
			mirror, seen := h.lose(4)
			var group sync.WaitGroup
			errs := make([]error, 4)
			for i := range errs {
				r := h.recovery(h.open())
				if !leased {
					r.Store = leaselessRecovery{r.Store}
				}
				group.Go(func() {
					if i%2 == 0 {
						_, errs[i] = r.Refill(context.Background(), os.DirFS(mirror))
					} else {
						_, errs[i] = r.Rename(context.Background())
					}
				})
			}
			group.Wait()
			done := 0
			for _, err := range errs {
				switch {
				case err == nil:
					done++
				case !errors.Is(err, publication.ErrHeld) && !errors.Is(err, publication.ErrMoved) && !errors.Is(err, publication.ErrNothingLost):
					t.Errorf("the one who came late: %v", err)
				}
			}
			if done != 1 {
				t.Errorf("%d operators recovered the log, want 1", done)
			}
			events := h.events()
			if n := len(slices.DeleteFunc(events, func(k audit.EventType) bool { return k != audit.LogRecovered })); n != 1 {
				t.Errorf("%d recoveries in a log of %d, witnessed to %d", n, len(events), seen.Size)
			}
		})
	}
}

// leaselessRecovery lets everybody recover.
type leaselessRecovery struct{ publication.RecoveryStore }

func (leaselessRecovery) Lead(context.Context) (publication.Lease, error) { return freeLease{}, nil }

// A forked log has one way out.
func TestRecoverForked(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 1, 1)
	mirror, _ := h.lose(4)
	h.append(6)
	p := h.start()
	h.closed(p.guard, publication.Forked)
	if _, err := h.recovery(h.db).Refill(t.Context(), os.DirFS(mirror)); !errors.Is(err, publication.ErrOccupied) {
		t.Errorf("refilling: got %v, want %v", err, publication.ErrOccupied)
	}
	if _, err := h.recovery(h.db).Rename(t.Context()); err != nil {
		t.Fatalf("renaming: %v", err)
	}
	h.opens(p.guard)
	h.append(1)
}

// A token with another key needs another name.
func TestRekey(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 1, 1)
	p := h.start()
	h.opens(p.guard)
	h.append(2)
	h.witnessed(origin)
	p.stop()
	if _, err := h.recovery(h.db).Rename(t.Context()); !errors.Is(err, publication.ErrNothingLost) {
		t.Errorf("with the key that it has: got %v, want %v", err, publication.ErrNothingLost)
	}
	h.key = newHouse(t, 0, 0).key
	if _, err := h.recovery(h.db).Refill(t.Context(), os.DirFS(t.TempDir())); !errors.Is(err, publication.ErrOtherKey) {
		t.Errorf("refilling: got %v, want %v", err, publication.ErrOtherKey)
	}
	tree, err := h.recovery(h.db).Rename(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if tree.Origin != origin+"/2" || tree.Key != h.named(tree.Origin) {
		t.Errorf("got %+v, want the next name with the key %s", tree, h.named(tree.Origin))
	}
	h.witnesses[0].Watch(watching(t, tree.Key))
	p = h.start()
	h.opens(p.guard)
	h.witnessed(tree.Origin)
}

// With every witness silent nobody can say which name is free.
func TestRenameNeedsAWitness(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 1, 1)
	h.lose(4)
	h.witnesses[0].down.Store(true)
	if _, err := h.recovery(h.db).Rename(t.Context()); err == nil {
		t.Error("a name was taken that a witness may know")
	}
	if err := h.db.RequestCheckpoint(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := h.db.LastWitnessed(t.Context(), origin+"/2"); !errors.Is(err, policies.Refuse(policies.NotFound)) {
		t.Errorf("the name: %v", err)
	}
}
