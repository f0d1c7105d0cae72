package publication

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/rubrica-firma/rubrica/audit"
)

// Refill puts lost entries back.
type Refill struct {
	Origin string // the name in use, empty for none
	From   int64  // size of the log as found
	// Leaves are the lost ones, in portions.
	Leaves iter.Seq2[[][]byte, error]
	Until  audit.Tree // what the log is then
}

// RecoveryStore is what a Recovery works on. Both changes are made only to a log
// that is still as it was found (ErrMoved), with their entry.
type RecoveryStore interface {
	Reader
	Lead(ctx context.Context) (Lease, error)
	Refill(ctx context.Context, r Refill, entry audit.Entry) error
	// RenameLog ends the name in use (empty for none) and begins the next one.
	RenameLog(ctx context.Context, was string, next Tree, entry audit.Entry) error
}

// Errors of a recovery.
var (
	ErrNothingLost = errors.New("nothing is to be recovered: the log is the one that others have seen")
	// ErrOccupied means that lost entries cannot be put back.
	ErrOccupied = errors.New("what was lost cannot be put back, since the log goes on in another way than the one that was seen: only --new-tree is left")
	ErrMirror   = errors.New("this mirror does not have what was lost")
)

// Recovery lets a log go on of which entries were lost. No Publisher may be at
// work: it takes the lease.
type Recovery struct {
	Store RecoveryStore
	Watch *Watch
	// Operator and Reason are who decided, and why.
	Operator, Reason string
	Now              func() time.Time
}

// Refill puts the lost entries back from a mirror of the log, as erased ones:
// the public leaves are there, what they commit to is not. It returns the tree
// that the log then was, before the entry about this.
func (r *Recovery) Refill(ctx context.Context, mirror fs.FS) (audit.Tree, error) {
	lease, f, err := r.begin(ctx)
	if err != nil {
		return audit.Tree{}, err
	}
	defer lease.Close()
	if f.Reason == Rekeyed {
		return audit.Tree{}, ErrOtherKey
	}
	if f.Reason != Behind || f.Known.Origin != f.Tree.Origin {
		return audit.Tree{}, refused(f, ErrOccupied)
	}
	m, err := r.openMirror(ctx, mirror, f)
	if err != nil {
		return audit.Tree{}, err
	}
	client, err := torchwood.NewClient(m.tiles)
	if err != nil {
		return audit.Tree{}, fmt.Errorf("reading the mirror: %w", err)
	}
	err = r.Store.Refill(ctx, Refill{
		Origin: nameInUse(f), From: f.Head.Size, Leaves: portions(ctx, client, m.Tree, f.Head.Size), Until: m.Tree,
	}, r.entry(f, f.Tree.Origin, m.Size-f.Head.Size))
	return m.Tree, err
}

// Find says what is to be recovered.
func (r *Recovery) Find(ctx context.Context) (Finding, error) { return r.Watch.Examine(ctx) }

// begin takes the lease and sees that there is something to do.
func (r *Recovery) begin(ctx context.Context) (Lease, Finding, error) {
	lease, err := r.lead(ctx)
	if err != nil {
		return nil, Finding{}, err
	}
	f, err := r.Find(ctx)
	if err == nil && f.Reason == "" {
		err = ErrNothingLost
	}
	if err != nil {
		lease.Close()
		return nil, f, err
	}
	return lease, f, nil
}

// lead waits a moment for a publisher that has just been stopped.
func (r *Recovery) lead(ctx context.Context) (Lease, error) {
	const tries, pause = 20, 100 * time.Millisecond
	for try := 1; ; try++ {
		lease, err := r.Store.Lead(ctx)
		if try == tries || !errors.Is(err, ErrHeld) {
			return lease, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(pause):
		}
	}
}

func refused(f Finding, err error) error {
	return fmt.Errorf("%w (%s: %d entries here, %d known to %s)", err, f.Reason, f.Head.Size, f.Known.Size, f.Known.By)
}

// nameInUse is empty where the log has no name yet.
func nameInUse(f Finding) string {
	if f.Tree.Key == "" {
		return ""
	}
	return f.Tree.Origin
}

// entry is about a log that goes on under a name, with so many of the lost
// leaves.
func (r *Recovery) entry(f Finding, origin string, refilled int64) audit.Entry {
	payload := map[string]any{
		"tree": origin, "operator": r.Operator, "reason": r.Reason, "refilled": refilled,
		"lost_from": f.Head.Size, "lost_to": max(f.Head.Size+refilled, f.Known.Size), "last_witnessed": f.Known.Size,
	}
	if f.Known.By != "" {
		payload["root"] = hex.EncodeToString(f.Known.Root[:])
	}
	return audit.Entry{Type: audit.LogRecovered, Operation: operation, At: r.Now(), Payload: payload}
}

// mirror is a copy of the log as /log/ publishes it.
type mirror struct {
	audit.Tree

	tiles *torchwood.TileFS
}

// openMirror sees that a mirror has the log that was seen, and that this log is
// its beginning.
func (r *Recovery) openMirror(ctx context.Context, dir fs.FS, f Finding) (mirror, error) {
	text, err := fs.ReadFile(dir, "checkpoint")
	if err != nil {
		return mirror{}, fmt.Errorf("reading the mirror: %w", err)
	}
	s, err := r.Watch.open(&f, text)
	if err != nil {
		return mirror{}, fmt.Errorf("%w: %w", ErrMirror, err)
	}
	if s.Origin != f.Tree.Origin || s.Size < f.Known.Size {
		return mirror{}, fmt.Errorf("%w: it has %d entries of %s, %d of %s are known", ErrMirror, s.Size, s.Origin, f.Known.Size, f.Tree.Origin)
	}
	m := mirror{Tree: s.Tree}
	if m.tiles, err = torchwood.NewTileFS(dir); err != nil {
		return mirror{}, fmt.Errorf("reading the mirror: %w", err)
	}
	if err := m.begins(ctx, f.Known.Tree); err != nil {
		return mirror{}, fmt.Errorf("%w: %w", ErrMirror, err)
	}
	switch err := m.begins(ctx, f.Head); {
	case errors.Is(err, audit.ErrProof):
		return mirror{}, refused(f, errors.Join(ErrOccupied, err))
	case err != nil:
		return mirror{}, fmt.Errorf("%w: %w", ErrMirror, err)
	}
	return m, nil
}

// begins proves that the mirror's log begins with a tree.
func (m mirror) begins(ctx context.Context, older audit.Tree) error {
	verified := torchwood.TileHashReaderWithContext(ctx, tlog.Tree{N: m.Size, Hash: m.Root}, m.tiles)
	return begins(ctx, mirrored{verified}, m.Tree, older)
}

// mirrored is an audit.HashReader.
type mirrored struct{ tlog.HashReader }

// ReadHashes implements audit.HashReader.
func (m mirrored) ReadHashes(_ context.Context, indexes []int64) ([]tlog.Hash, error) {
	return m.HashReader.ReadHashes(indexes)
}

// portions reads the leaves from a number on, each verified with the tree.
func portions(ctx context.Context, client *torchwood.Client, tree audit.Tree, from int64) iter.Seq2[[][]byte, error] {
	const portion = 1000
	return func(yield func([][]byte, error) bool) {
		var leaves [][]byte
		for _, leaf := range client.AllEntries(ctx, tlog.Tree{N: tree.Size, Hash: tree.Root}, from) {
			if leaves = append(leaves, leaf); len(leaves) == portion {
				if !yield(leaves, nil) {
					return
				}
				leaves = nil
			}
		}
		if err := client.Err(); err != nil {
			yield(nil, err)
			return
		}
		if len(leaves) > 0 {
			yield(leaves, nil)
		}
	}
}

// Rename lets the log go on as it is under another name, which no witness knows,
// and under the key that it has now: what was published under the old name stays
// as it was, and is not continued.
func (r *Recovery) Rename(ctx context.Context) (Tree, error) {
	lease, f, err := r.begin(ctx)
	if err != nil {
		return Tree{}, err
	}
	defer lease.Close()
	origin, err := r.freshName(ctx, f)
	if err != nil {
		return Tree{}, err
	}
	next := Tree{Origin: origin, Begun: f.Head.Size, BegunAt: r.Now()}
	if next.Key, err = r.Watch.Key(origin); err != nil {
		return Tree{}, fmt.Errorf("naming the key: %w", err)
	}
	return next, r.Store.RenameLog(ctx, nameInUse(f), next, r.entry(f, origin, 0))
}

// freshName is a name that nobody has seen: a witness would refuse another log
// under one that it knows.
func (r *Recovery) freshName(ctx context.Context, f Finding) (string, error) {
	const tries = 1000
	trees, err := r.Store.Trees(ctx)
	if err != nil {
		return "", fmt.Errorf("reading the names of the log: %w", err)
	}
	taken := map[string]bool{f.Known.Origin: true}
	for _, t := range trees {
		taken[t.Origin] = true
	}
	origin := f.Tree.Origin
	for range tries {
		if origin = successor(origin); taken[origin] {
			continue
		}
		known, err := r.Watch.knows(ctx, origin)
		if err != nil {
			return "", err
		}
		if !known {
			return origin, nil
		}
	}
	return "", fmt.Errorf("no name is free after %s", f.Tree.Origin)
}

// knows is whether a witness has cosigned something under a name.
func (w *Watch) knows(ctx context.Context, origin string) (bool, error) {
	var failures []error
	witnesses := w.Policy.Witnesses()
	for _, known := range witnesses {
		asking, cancel := context.WithTimeout(ctx, w.Timeout)
		text, err := witness{known, w.Client}.latest(asking, origin)
		cancel()
		if err == nil && text != nil {
			return true, nil
		}
		if err != nil {
			failures = append(failures, err)
		}
	}
	if len(witnesses) > 0 && len(failures) == len(witnesses) {
		return false, fmt.Errorf("no witness says whether it knows the name %s: %w", origin, errors.Join(failures...))
	}
	return false, nil
}
