package check

import (
	"context"
	"fmt"
	"slices"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/rubrica-firma/rubrica/audit"
)

// locate finds the first entry that is not the one of the checkpoint, when the
// entries do not make its tree. What the served tiles say is believed as far as
// they hash to the checkpoint's root, from there downwards; below a tile that
// does not, nobody can say which of its entries is wrong. The first believed
// entries are known to be right.
func (w *walk) locate(ctx context.Context, believed int64) (Fault, error) {
	edge, err := w.edge(ctx)
	if err != nil {
		return Fault{}, err
	}
	if !edge.makes(w.tree) {
		return Fault{believed, w.tree.Size, "the entries do not make the tree of the checkpoint, nor do its tiles"}, nil
	}
	// The edge's tiles are authentic, and lie side by side: the highest level has
	// the first entries.
	for level, row := range slices.Backward(edge.rows) {
		for i, want := range row.hashes {
			n := row.first + int64(i)
			if got, err := w.made(level, n); err == nil && got == want {
				continue
			}
			return w.descend(ctx, level, n, want)
		}
	}
	return Fault{believed, w.tree.Size, "the entries do not make the tree of the checkpoint"}, nil
}

// edge is the tree by its partial tiles.
type edge struct{ rows []row }

// row is the partial tile of a level.
type row struct {
	first  int64
	hashes []tlog.Hash
}

func (w *walk) edge(ctx context.Context) (edge, error) {
	var e edge
	for level := 0; w.tree.Size>>(torchwood.TileHeight*level) > 0; level++ {
		hashes := w.tree.Size >> (torchwood.TileHeight * level)
		t := tlog.Tile{H: torchwood.TileHeight, L: level, N: hashes / torchwood.TileWidth, W: int(hashes % torchwood.TileWidth)}
		r := row{first: t.N * torchwood.TileWidth}
		if t.W > 0 {
			var err error
			if r.hashes, err = w.served(ctx, t); err != nil {
				return edge{}, err
			}
		}
		e.rows = append(e.rows, r)
	}
	return e, nil
}

// makes is whether the partial tiles hash to a tree's root.
func (e edge) makes(tree audit.Tree) bool {
	promised, err := treeOf(tree.Size, e.hash)
	return err == nil && promised.Root == tree.Root
}

// hash is the root of 2^level entries, the n-th such, from the partial tiles.
func (e edge) hash(level int, n int64) (tlog.Hash, error) {
	k := level / torchwood.TileHeight
	if level%torchwood.TileHeight == 0 {
		if i := n - e.rows[k].first; i >= 0 && i < int64(len(e.rows[k].hashes)) {
			return e.rows[k].hashes[i], nil
		}
		return tlog.Hash{}, fmt.Errorf("no hash %d at level %d", n, level)
	}
	left, err := e.hash(level-1, 2*n)
	if err != nil {
		return tlog.Hash{}, err
	}
	right, err := e.hash(level-1, 2*n+1)
	return tlog.NodeHash(left, right), err
}

// made is what the entries make of a hash of a tile.
func (w *walk) made(level int, n int64) (tlog.Hash, error) {
	return w.pyramid.hash(level*torchwood.TileHeight, n)
}

// descend looks below a hash that is authentic, and not what the entries make,
// for the first entry that is to blame.
func (w *walk) descend(ctx context.Context, level int, n int64, want tlog.Hash) (Fault, error) {
	for ; level > 0; level-- {
		below, err := w.served(ctx, tlog.Tile{H: torchwood.TileHeight, L: level - 1, N: n, W: torchwood.TileWidth})
		if err != nil {
			return Fault{}, err
		}
		if len(below) != torchwood.TileWidth || subtree(below) != want {
			index, until := span(level, n, w.tree.Size)
			return Fault{index, until, "these entries are not those of the checkpoint, and their tile neither"}, nil
		}
		made, err := w.madeBelow(ctx, level, n)
		if err != nil {
			return Fault{}, err
		}
		i := differ(made, below)
		if i < 0 {
			index, until := span(level, n, w.tree.Size)
			return Fault{index, until, "these entries are not those of the checkpoint"}, nil
		}
		n, want = n*torchwood.TileWidth+int64(i), below[i]
	}
	return Fault{n, n + 1, "the entry is not the one of the checkpoint, or is missing"}, nil
}

// madeBelow is the tile under a hash, as the entries make it. The leaves' hashes
// are made again.
func (w *walk) madeBelow(ctx context.Context, level int, n int64) ([]tlog.Hash, error) {
	if level == 1 {
		hashes, _, err := w.hashes(ctx, n)
		return hashes, err
	}
	first := n * torchwood.TileWidth
	return w.pyramid.levels[level-1][first : first+torchwood.TileWidth], nil
}
