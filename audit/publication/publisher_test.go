package publication_test

import (
	"context"
	"crypto"
	"crypto/sha256"
	"errors"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/audit/publication"
	"github.com/rubrica-firma/rubrica/internal/hsmtest"
	"github.com/rubrica-firma/rubrica/policies"
)

// What was appended is signed, by a real token, and witnessed, by the quorum and
// then by all; the name is taken once.
func TestPublish(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 0, 0)
	key, err := hsmtest.New(t).CreateServiceKey(t.Context(), "rubrica-checkpoint", "ed25519")
	if err != nil {
		t.Fatalf("making the log's key: %v", err)
	}
	h.key = key
	h.introduce(3, 2)
	p := h.start()
	h.opens(p.guard)
	for range 3 {
		h.append(3)
		got := h.witnessed(origin)
		s, err := h.policy.Open(got.Note)
		if err != nil || s.Tree != h.head() || got.WitnessedAt.IsZero() {
			t.Fatalf("the last checkpoint: %v, got %+v, want the tree %+v", err, s, h.head())
		}
	}
	h.eventually("all to have cosigned", func() bool {
		last, err := h.db.LastWitnessed(t.Context(), origin)
		if err != nil {
			t.Fatal(err)
		}
		s, err := h.policy.Open(last.Note)
		return err == nil && len(s.Witnesses) == 3
	})
	trees, err := h.db.Trees(t.Context())
	if err != nil || len(trees) != 1 || trees[0].Origin != origin || trees[0].Key != h.vkey {
		t.Errorf("names: got %+v, %v", trees, err)
	}
	note, err := os.ReadFile(h.state)
	if err != nil || !slices.Equal(note, mustOpen(t, h.policy, h.witnessed(origin).Note).LogSigned) {
		t.Errorf("state: %v, got %q, want the note as the log signed it", err, note)
	}
	f, err := h.db.Publication(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	health := publication.Survey(f, h.policy, time.Now())
	if health.Size != 9 || health.Signed.Size != 9 || health.Witnessed.Size != 9 || health.Unwitnessed != 0 || health.Stamped.Size != 0 ||
		len(health.Witnesses) != 3 || health.Witnesses[2].Size != 9 || health.Witnessed.Age > time.Minute {
		t.Errorf("health: got %+v", health)
	}
	if got := p.guard.Check(); got != nil {
		t.Errorf("guard: %v", got)
	}
}

func mustOpen(t *testing.T, policy audit.Policy, note []byte) audit.Signed {
	t.Helper()
	s, err := policy.Open(note)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Somebody asks for a checkpoint now.
func TestOnDemand(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 1, 1)
	p := h.start(func(c *publication.Config) { c.Interval = time.Hour })
	h.opens(p.guard)
	// The publisher may have looked for the guard to open a moment too early.
	p.stop()
	p.run()
	h.eventually("the name to be taken", func() bool {
		trees, err := h.db.Trees(t.Context())
		return err == nil && len(trees) == 1
	})
	h.append(2)
	h.eventually("the checkpoint that was asked for", func() bool {
		if err := h.db.RequestCheckpoint(t.Context()); err != nil {
			t.Fatal(err)
		}
		last, err := h.db.LastWitnessed(t.Context(), origin)
		return err == nil && last.Size == 2
	})
}

// Of two publishers one works; when it ends the other takes over, with the same
// log. At no time is there a size with two roots.
func TestTwoPublishers(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 1, 1)
	first, second := h.start(), h.start()
	h.opens(first.guard)
	h.opens(second.guard)
	h.append(5)
	h.witnessed(origin)
	if _, err := h.db.Lead(t.Context()); !errors.Is(err, publication.ErrHeld) {
		t.Errorf("a third publisher: got %v, want %v", err, publication.ErrHeld)
	}
	first.stop()
	h.append(5)
	h.witnessed(origin)
	h.append(1)
	second.stop()
	third := h.start()
	h.opens(third.guard)
	h.witnessed(origin)
	h.sameAsLog(origin)
}

// sameAsLog holds each checkpoint on record against the log.
func (h *house) sameAsLog(name string) {
	h.Helper()
	n := 0
	for p, err := range h.db.EachCheckpoint(h.Context(), name) {
		if err != nil {
			h.Fatal(err)
		}
		n++
		tree, err := audit.TreeHash(h.Context(), p.Size, h.db)
		if err != nil || tree != p.Tree {
			h.Errorf("checkpoint of %d: got root %v, %v, want %v", p.Size, p.Root, err, tree.Root)
		}
	}
	if n == 0 {
		h.Error("no checkpoint on record")
	}
}

// Even without the lease, as where a server lets go of it unnoticed, a size has
// one root and one note.
func TestNoLease(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 1, 1)
	publishers := make([]*signerProcess, 4)
	for i := range publishers {
		publishers[i] = h.process(func(c *publication.Config) { c.Store = leaseless{c.Store} })
	}
	for _, p := range publishers {
		p.run()
	}
	for range 40 {
		h.append(1)
		time.Sleep(3 * time.Millisecond)
	}
	h.witnessed(origin)
	h.sameAsLog(origin)
	for _, p := range publishers {
		if err := p.guard.Check(); err != nil {
			t.Errorf("a guard: %v", err)
		}
	}
	if h.journal.has("ErrSplit") {
		t.Error("a size was signed twice")
	}
}

// leaseless lets everybody lead.
type leaseless struct{ publication.Store }

func (leaseless) Lead(context.Context) (publication.Lease, error) { return freeLease{}, nil }

type freeLease struct{}

func (freeLease) Wait(ctx context.Context, atMost time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(atMost):
		return nil
	}
}
func (freeLease) Close() {}

// One of three witnesses hangs, then one is down: the quorum of two goes on.
// Whoever comes back catches up with what it missed.
func TestSlowWitness(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 3, 2)
	p := h.start(func(c *publication.Config) { c.Timeout = time.Hour })
	h.opens(p.guard)
	h.append(2)
	h.witnessed(origin)
	thaw := h.witnesses[0].freeze()
	for range 3 {
		h.append(1)
		h.witnessed(origin)
	}
	thaw()
	h.witnesses[1].down.Store(true)
	h.append(1)
	h.witnessed(origin) // by the first and the third: the first has caught up
	h.witnesses[1].down.Store(false)
	h.eventually("the second to catch up", func() bool {
		f, err := h.db.Publication(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return publication.Survey(f, h.policy, time.Now()).Witnesses[1].Size == h.head().Size
	})
	if !h.journal.has("witness_failed") || !h.journal.has("witness_back") {
		t.Error("operators did not read of the witness that was down")
	}
}

// Without a quorum the log is signed and not witnessed; with it again, it is.
func TestNoQuorum(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 2, 2)
	p := h.start()
	h.opens(p.guard)
	h.append(1)
	h.witnessed(origin)
	h.witnesses[1].down.Store(true)
	h.append(4)
	h.eventually("the checkpoint with one cosignature", func() bool {
		last, err := h.db.LastCheckpoint(t.Context(), origin)
		if err != nil {
			t.Fatal(err)
		}
		s, err := h.policy.Open(last.Note)
		return last.Size == 5 && last.WitnessedAt.IsZero() && errors.Is(err, audit.ErrUnwitnessed) && len(s.Witnesses) == 1
	})
	if err := p.guard.Check(); err != nil {
		t.Errorf("a witness that went away closed the guard: %v", err)
	}
	h.witnesses[1].down.Store(false)
	h.witnessed(origin)
}

// While nothing happens cosignatures are renewed, and none is lost by it.
func TestRefresh(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 2, 2)
	p := h.start(func(c *publication.Config) { c.Refresh = 100 * time.Millisecond })
	h.opens(p.guard)
	h.append(1) // of two the publisher may find the first alone
	first := h.witnessed(origin)
	h.eventually("a later cosignature", func() bool {
		last, err := h.db.LastWitnessed(t.Context(), origin)
		if err != nil {
			t.Fatal(err)
		}
		s, err := h.policy.Open(last.Note)
		if err != nil || last.Size != 1 {
			t.Fatalf("renewing: %v, %+v", err, last)
		}
		return s.WitnessedAt.After(first.WitnessedAt)
	})
	found, err := h.db.Checkpoints(t.Context(), origin, 10)
	if err != nil || len(found) != 1 {
		t.Errorf("checkpoints: got %d, %v, want 1", len(found), err)
	}
}

// stampers stamp, or not.
type stampers struct {
	broken atomic.Bool
	mu     sync.Mutex
	asked  [][]byte
}

func (s *stampers) TimeStamp(_ context.Context, hash crypto.Hash, digest []byte) ([]byte, error) {
	if s.broken.Load() || hash != crypto.SHA256 {
		return nil, errors.New("no stamp")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, digest)
	return append([]byte("stamp of "), digest...), nil
}

// Stamps are of the note as the log signed it. Where there are none, publication
// goes on, and they are asked for again.
func TestStamps(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 1, 1)
	stamper := &stampers{}
	stamper.broken.Store(true)
	p := h.start(func(c *publication.Config) { c.Stamper = stamper })
	h.opens(p.guard)
	h.append(1)
	h.witnessed(origin)
	h.append(1)
	h.witnessed(origin)
	stamper.broken.Store(false)
	for _, size := range []int64{1, 2} {
		h.eventually("a stamp", func() bool {
			c, err := h.db.CheckpointAt(t.Context(), origin, size)
			if errors.Is(err, policies.Refuse(policies.NotFound)) {
				return size == 1 // both entries went into one checkpoint
			}
			if err != nil {
				t.Fatal(err)
			}
			want := sha256.Sum256(mustOpen(t, h.policy, c.Note).LogSigned)
			return slices.Equal(c.Timestamp, append([]byte("stamp of "), want[:]...))
		})
	}
	if !h.journal.has("checkpoint_not_stamped") {
		t.Error("operators did not read of the stamps that failed")
	}
}

// errKilled stands for the end of a process.
var errKilled = errors.New("killed")

// killed dies instead of keeping a checkpoint.
type killed struct {
	publication.Store

	dead atomic.Bool
}

func (k *killed) SaveCheckpoint(ctx context.Context, p publication.Published) (publication.Published, error) {
	k.dead.Store(true)
	return p, errKilled
}

// A process dies between signing and keeping: the next one goes on from what was
// signed, and a database from before it is found out.
func TestKilledBetween(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 1, 1)
	p := h.start()
	h.opens(p.guard)
	h.append(3)
	h.witnessed(origin)
	p.stop()
	restore := h.backup()
	h.append(2)
	dying := &killed{}
	p = h.start(func(c *publication.Config) { dying.Store = c.Store; c.Store = dying })
	h.eventually("the process to die", dying.dead.Load)
	p.stop()
	if last, err := h.db.LastCheckpoint(t.Context(), origin); err != nil || last.Size != 3 {
		t.Fatalf("got a checkpoint of %d, %v, want 3", last.Size, err)
	}

	restore()
	p = h.start()
	h.closed(p.guard, publication.Behind)
	p.stop()

	// It was 5 entries long; what follows has as many.
	h.append(2)
	p = h.start()
	h.closed(p.guard, publication.Forked)
}
