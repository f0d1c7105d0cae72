package check

import (
	"context"
	"fmt"
	"path"
	"strconv"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sync/errgroup"

	"github.com/rubrica-firma/rubrica/audit"
)

// batch is how many bundles are read before their hashes are put together: one
// tile of the level above.
const batch = torchwood.TileWidth

// Log verifies a whole log as it is served: every entry, every tile, the
// checkpoint and its time-stamp.
func (c Checker) Log(ctx context.Context, name string, source Source) (*Report, error) {
	r := &Report{Name: name, Kind: Log}
	note, err := source.ReadEndpoint(ctx, "checkpoint")
	if err != nil {
		return nil, fmt.Errorf("reading the checkpoint of %s: %w", name, err)
	}
	under, ok := c.open(r, note, "")
	if !ok {
		return r.conclude(), nil
	}
	l := &walk{checker: c, report: r, source: source, tree: under.Tree, pyramid: newPyramid(under.Size)}
	if under.known != nil && under.known.Size > 0 {
		l.keep = (under.known.Size - 1) / torchwood.TileWidth
	}
	if err := l.entries(ctx); err != nil {
		return nil, fmt.Errorf("reading the entries of %s: %w", name, err)
	}
	if err := l.judge(ctx, under.known); err != nil {
		return nil, fmt.Errorf("reading the tiles of %s: %w", name, err)
	}
	token, err := source.ReadEndpoint(ctx, StampPath(under.Size))
	if err != nil {
		return nil, fmt.Errorf("reading the time-stamp of %s: %w", name, err)
	}
	c.stamp(r, token, under.LogSigned)
	return r.conclude(), nil
}

// StampPath is where a log serves the time-stamp of its checkpoint.
func StampPath(size int64) string {
	return path.Join("timestamp", strconv.FormatInt(size, 10)+".tsr")
}

// walk is one verification of a log.
type walk struct {
	checker Checker
	report  *Report
	source  Source
	tree    audit.Tree // that the checkpoint promises
	pyramid *pyramid   // that the entries make
	keep    int64      // the tile whose leaves' hashes the known checkpoint needs
	// tile is the first tile of level 0 that is not its entries' hashes.
	tile *Fault
}

// bundle is what came of one bundle and the tile of its hashes.
type bundle struct {
	hashes []tlog.Hash // as many as the size asks for; zero where there is no entry
	root   tlog.Hash   // over hashes, if it is whole
	unread int64
	tile   *Fault // the tile is not the hashes
}

// entries hashes all entries, several bundles at once.
func (w *walk) entries(ctx context.Context) error {
	bundles := (w.tree.Size + torchwood.TileWidth - 1) / torchwood.TileWidth
	for from := int64(0); from < bundles; from += batch {
		read := make([]bundle, min(batch, bundles-from))
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(requests)
		for i := range read {
			group.Go(func() (err error) {
				read[i], err = w.read(ctx, from+int64(i))
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return err
		}
		for i, b := range read {
			w.take(from+int64(i), b)
		}
		w.checker.progress(min((from+batch)*torchwood.TileWidth, w.tree.Size), w.tree.Size)
	}
	return nil
}

// width is how many entries bundle n has.
func (w *walk) width(n int64) int {
	return int(min(torchwood.TileWidth, w.tree.Size-n*torchwood.TileWidth))
}

func (w *walk) read(ctx context.Context, n int64) (bundle, error) {
	hashes, unread, err := w.hashes(ctx, n)
	if err != nil {
		return bundle{}, err
	}
	b := bundle{hashes: hashes, unread: unread}
	if len(hashes) == torchwood.TileWidth {
		b.root = subtree(hashes)
	}
	served, err := w.served(ctx, tlog.Tile{H: torchwood.TileHeight, L: 0, N: n, W: len(hashes)})
	if err != nil {
		return bundle{}, err
	}
	if i := differ(served, hashes); i >= 0 {
		at := n*torchwood.TileWidth + int64(i)
		b.tile = &Fault{Index: at, Until: at + 1, Reason: "the tile does not have the hash of this entry"}
	}
	return b, nil
}

// hashes reads a bundle. Entries that are not there have the zero hash, which no
// entry has.
func (w *walk) hashes(ctx context.Context, n int64) (hashes []tlog.Hash, unread int64, err error) {
	width := w.width(n)
	data, err := w.source.ReadEndpoint(ctx, torchwood.TilePath(tlog.Tile{H: torchwood.TileHeight, L: -1, N: n, W: width}))
	if err != nil {
		return nil, 0, err
	}
	leaves, damaged := audit.Unbundle(data, width)
	hashes = make([]tlog.Hash, width)
	for i, leaf := range leaves {
		hashes[i] = tlog.RecordHash(leaf)
		if _, err := audit.ParseLeaf(leaf); err != nil {
			unread++
		}
	}
	if damaged != nil && len(leaves) == width { // something after the last one
		hashes[width-1] = tlog.Hash{}
	}
	return hashes, unread, nil
}

// served reads a tile of hashes, as many as are there.
func (w *walk) served(ctx context.Context, t tlog.Tile) ([]tlog.Hash, error) {
	data, err := w.source.ReadEndpoint(ctx, torchwood.TilePath(t))
	if err != nil {
		return nil, err
	}
	if len(data) > t.W*tlog.HashSize {
		return nil, nil // another tile: not a hash of it is where it should be
	}
	hashes := make([]tlog.Hash, len(data)/tlog.HashSize)
	for i := range hashes {
		hashes[i] = tlog.Hash(data[i*tlog.HashSize:])
	}
	return hashes, nil
}

// differ is the first place where two rows of hashes differ, -1 if none.
func differ(got, want []tlog.Hash) int {
	for i := range want {
		if i >= len(got) || got[i] != want[i] {
			return i
		}
	}
	return -1
}

// take puts the next bundle into the pyramid.
func (w *walk) take(n int64, b bundle) {
	if len(b.hashes) == torchwood.TileWidth {
		w.pyramid.add(1, b.root)
	}
	if len(b.hashes) < torchwood.TileWidth || n == w.keep {
		w.pyramid.leaves[n] = b.hashes
	}
	if w.tile == nil {
		w.tile = b.tile
	}
	w.report.Entries.Unread += b.unread
}

// judge compares what the entries make with what was promised.
func (w *walk) judge(ctx context.Context, known *audit.Tree) error {
	r := w.report
	r.Entries.Checked = w.tree.Size
	if r.Entries.Unread > 0 {
		r.note("%d entries are in the tree, in a form that this program does not know", r.Entries.Unread)
	}
	made, err := w.pyramid.tree(w.tree.Size)
	if err != nil {
		return err
	}
	believed, err := w.grown(known)
	if err != nil {
		return err
	}
	if made.Root != w.tree.Root {
		fault, err := w.locate(ctx, believed)
		if err != nil {
			return err
		}
		r.broken(fault.Index, fault.Until, "%s", fault.Reason)
		return nil
	}
	r.checked("the %d entries are those of the checkpoint, in this order", w.tree.Size)
	return w.tiles(ctx)
}

// grown compares with the known checkpoint, and is how many entries are known to
// be right.
func (w *walk) grown(known *audit.Tree) (int64, error) {
	switch {
	case known == nil:
		return 0, nil
	case known.Size > w.tree.Size:
		w.report.broken(w.tree.Size, known.Size, "the log ends here, and once had %d entries", known.Size)
		return 0, nil
	}
	then, err := w.pyramid.tree(known.Size)
	if err != nil {
		return 0, err
	}
	if then.Root != known.Root {
		w.report.broken(0, known.Size, "the log up to here is not the one that was known at %d entries", known.Size)
		return 0, nil
	}
	w.report.Known.Consistent = true
	w.report.checked("the log begins with the %d entries that were known", known.Size)
	return known.Size, nil
}

// tiles compares the tiles with the entries, which are right.
func (w *walk) tiles(ctx context.Context) error {
	if w.tile != nil {
		w.report.broken(w.tile.Index, w.tile.Until, "%s", w.tile.Reason)
	}
	for _, t := range audit.Tiles(0, w.tree.Size) {
		if t.L < 1 {
			continue
		}
		served, err := w.served(ctx, t)
		if err != nil {
			return err
		}
		first := t.N * torchwood.TileWidth
		if i := differ(served, w.pyramid.levels[t.L][first:first+int64(t.W)]); i >= 0 {
			index, until := span(t.L, first+int64(i), w.tree.Size)
			w.report.broken(index, until, "tile %s does not have the hash of these entries", torchwood.TilePath(t))
		}
	}
	w.report.checked("the tiles are the hashes of the entries")
	return nil
}

// span is which entries a hash of a level is over.
func span(level int, n, size int64) (from, until int64) {
	width := int64(1) << (torchwood.TileHeight * level)
	return n * width, min((n+1)*width, size)
}
