// Package mirror keeps a copy of the log as others serve it: a directory with
// the files of /log/.
//
// What it promises:
//
//   - nothing is written that the log did not sign for, and that enough
//     witnesses did not see: every tile and every entry hashes to the checkpoint;
//   - the copy only grows. A checkpoint that does not continue the one that the
//     copy has is a fork: both are kept, as the proof of it, and the copy stays;
//   - the checkpoint is written last, at once or not at all: a copy that was
//     interrupted is the older one, whole.
package mirror

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/audit/check"
)

// Mirror copies one log into one directory. One process at a time may do so.
type Mirror struct {
	Source check.Source
	Dir    string
	// Policy is whom to believe.
	Policy audit.Policy
	// Progress is told how many entries of how many are copied; nil tells nobody.
	Progress func(done, total int64)
}

// Errors of a log that is not the one that was copied.
var (
	// ErrFork is a log that signed two checkpoints of which one does not continue
	// the other. It can be proved to anybody with both.
	ErrFork = errors.New("fork: the log signed two checkpoints that cannot both be true")
	// ErrBehind is a log that offers less than the copy has.
	ErrBehind = errors.New("the log is behind its copy")
)

// The files of a copy.
const (
	checkpointFile = "checkpoint"
	forksDir       = "forks"
)

// Copy brings the directory up to the log's checkpoint, which it returns, with
// the number of entries that the copy had before.
func (m Mirror) Copy(ctx context.Context) (now audit.Signed, before int64, err error) {
	if err := os.MkdirAll(m.Dir, 0o755); err != nil { //nolint:gosec // the log is public
		return audit.Signed{}, 0, fmt.Errorf("making the copy's directory: %w", err)
	}
	held, err := m.held()
	if err != nil {
		return audit.Signed{}, 0, err
	}
	note, err := m.Source.ReadEndpoint(ctx, checkpointFile)
	if err != nil {
		return audit.Signed{}, held.Size, fmt.Errorf("reading the checkpoint: %w", err)
	}
	offered, err := m.Policy.Open(note)
	if err != nil {
		return audit.Signed{}, held.Size, fmt.Errorf("reading the checkpoint: %w", err)
	}
	if err := m.continues(ctx, held, offered); err != nil {
		return held, held.Size, err
	}
	if err := m.grow(ctx, held.Size, offered); err != nil {
		return held, held.Size, err
	}
	if err := m.stamp(ctx, offered.Size); err != nil {
		return held, held.Size, err
	}
	// The tiles must be there before a checkpoint says so.
	if err := settle(m.Dir); err != nil {
		return held, held.Size, err
	}
	if err := errors.Join(place(m.Dir, checkpointFile, note), settle(m.Dir)); err != nil {
		return held, held.Size, err
	}
	return offered, held.Size, m.tidy(held.Size, offered.Size)
}

// tidy removes what only the older checkpoint asked for.
func (m Mirror) tidy(before, now int64) error {
	if before == now {
		return nil
	}
	old := []string{check.StampPath(before)}
	for level := 0; before>>(torchwood.TileHeight*level) > 0; level++ {
		hashes := before >> (torchwood.TileHeight * level)
		t := tlog.Tile{H: torchwood.TileHeight, L: level, N: hashes / torchwood.TileWidth, W: int(hashes % torchwood.TileWidth)}
		if t.W == 0 || now>>(torchwood.TileHeight*level) == hashes {
			continue
		}
		old = append(old, torchwood.TilePath(t))
		if t.L = -1; level == 0 {
			old = append(old, torchwood.TilePath(t))
		}
	}
	for _, name := range old {
		if err := os.Remove(filepath.Join(m.Dir, filepath.FromSlash(name))); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("removing what the older checkpoint asked for: %w", err)
		}
	}
	return nil
}

// held is the checkpoint of the copy, zero for none.
func (m Mirror) held() (audit.Signed, error) {
	note, err := os.ReadFile(filepath.Join(m.Dir, checkpointFile))
	if errors.Is(err, os.ErrNotExist) {
		return audit.Signed{}, nil
	}
	if err != nil {
		return audit.Signed{}, fmt.Errorf("reading the copy's checkpoint: %w", err)
	}
	held, err := m.Policy.Open(note)
	if err != nil {
		return audit.Signed{}, fmt.Errorf("reading the copy's checkpoint: %w", err)
	}
	return held, nil
}

// continues is whether what is offered grew out of what is held.
func (m Mirror) continues(ctx context.Context, held, offered audit.Signed) error {
	switch {
	case held.Note == nil:
		return nil
	case held.Origin != offered.Origin:
		return fmt.Errorf("the copy is of %s, the log is %s", held.Origin, offered.Origin)
	case held.Size == offered.Size && held.Root == offered.Root:
		return nil
	case held.Size == offered.Size:
		return m.fork(held, offered)
	}
	older, newer, tiles := held, offered, m.Source
	if offered.Size < held.Size {
		older, newer = offered, held
		local, err := check.Open(m.Dir)
		if err != nil {
			return err
		}
		tiles = local
	}
	if older.Size > 0 {
		proof, err := tlog.ProveTree(newer.Size, older.Size, hashes(ctx, newer.Tree, tiles))
		if err != nil {
			return fmt.Errorf("proving that the log of %d entries continues the %d of the copy: %w", newer.Size, older.Size, err)
		}
		if err := audit.CheckConsistency(proof, newer.Tree, older.Tree); err != nil {
			return m.fork(held, offered)
		}
	}
	if offered.Size < held.Size {
		return fmt.Errorf("%w: it offers %d entries, the copy has %d", ErrBehind, offered.Size, held.Size)
	}
	return nil
}

// hashes reads hashes of a tree from its tiles, all of them authentic.
func hashes(ctx context.Context, tree audit.Tree, source check.Source) tlog.HashReader {
	return torchwood.TileHashReaderWithContext(ctx, tlog.Tree{N: tree.Size, Hash: tree.Root}, &tiles{source: source})
}

// fork keeps both checkpoints beside the copy.
func (m Mirror) fork(held, offered audit.Signed) error {
	for _, s := range []audit.Signed{held, offered} {
		sum := sha256.Sum256([]byte(s.Text()))
		name := path.Join(forksDir, fmt.Sprintf("%d-%x", s.Size, sum[:8]))
		if err := place(m.Dir, name, s.Note); err != nil {
			return errors.Join(ErrFork, err)
		}
	}
	return fmt.Errorf("%w: of %d and of %d entries, kept in %s", ErrFork, held.Size, offered.Size, filepath.Join(m.Dir, forksDir))
}

// grow copies the tiles that the copy has not. What is written was verified
// against the checkpoint before.
func (m Mirror) grow(ctx context.Context, before int64, offered audit.Signed) error {
	if offered.Size == before {
		return nil
	}
	saved := &tiles{source: m.Source, dir: m.Dir, written: make(map[tlog.Tile]bool)}
	client, err := torchwood.NewClient(saved)
	if err != nil {
		return fmt.Errorf("copying entries: %w", err)
	}
	tree := tlog.Tree{N: offered.Size, Hash: offered.Root}
	// From the beginning of a tile: one that was partial in the copy is whole now.
	from := before - before%torchwood.TileWidth
	for seq := range client.AllEntries(ctx, tree, from) {
		if m.Progress != nil && seq%torchwood.TileWidth == 0 {
			m.Progress(seq, offered.Size)
		}
	}
	if err := errors.Join(client.Err(), saved.err, ctx.Err()); err != nil {
		return fmt.Errorf("copying entries: %w", err)
	}
	// Tiles of hashes that no entry needed in order to be verified.
	reader := torchwood.TileHashReaderWithContext(ctx, tree, saved)
	for _, t := range audit.Tiles(before, offered.Size) {
		if saved.written[t] {
			continue
		}
		if t.L < 0 {
			return fmt.Errorf("copying entries: %s was not there", torchwood.TilePath(t))
		}
		data, err := tlog.ReadTileData(t, reader)
		if err != nil {
			return fmt.Errorf("copying tiles: %w", err)
		}
		if err := place(m.Dir, torchwood.TilePath(t), data); err != nil {
			return err
		}
	}
	if m.Progress != nil {
		m.Progress(offered.Size, offered.Size)
	}
	return saved.err
}

// stamp copies the checkpoint's time-stamp, which may not be there.
func (m Mirror) stamp(ctx context.Context, size int64) error {
	token, err := m.Source.ReadEndpoint(ctx, check.StampPath(size))
	if err != nil {
		return fmt.Errorf("reading the time-stamp: %w", err)
	}
	if len(token) == 0 {
		return nil
	}
	return place(m.Dir, check.StampPath(size), token)
}
