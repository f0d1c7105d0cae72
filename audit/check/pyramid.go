package check

import (
	"fmt"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/rubrica-firma/rubrica/audit"
)

// pyramid is a tree as it follows from its leaves, by the hashes that stand in
// tiles: levels[k] has the roots of whole tiles of level k-1, from left to
// right, for k > 0. Of the leaves' own hashes it keeps those of the last,
// partial tile and of others that were asked for: the memory is 1/256 of them.
type pyramid struct {
	size   int64
	levels [][]tlog.Hash
	leaves map[int64][]tlog.Hash // by number of tile
}

func newPyramid(size int64) *pyramid {
	return &pyramid{size: size, levels: make([][]tlog.Hash, 1), leaves: make(map[int64][]tlog.Hash)}
}

// add takes the root of the next whole tile of level k-1.
func (p *pyramid) add(k int, root tlog.Hash) {
	if k == len(p.levels) {
		p.levels = append(p.levels, nil)
	}
	p.levels[k] = append(p.levels[k], root)
	if n := len(p.levels[k]); n%torchwood.TileWidth == 0 {
		p.add(k+1, subtree(p.levels[k][n-torchwood.TileWidth:]))
	}
}

// subtree is the root over a whole tile's hashes.
func subtree(hashes []tlog.Hash) tlog.Hash {
	row := append(make([]tlog.Hash, 0, torchwood.TileWidth), hashes...)
	for len(row) > 1 {
		for i := range len(row) / 2 {
			row[i] = tlog.NodeHash(row[2*i], row[2*i+1])
		}
		row = row[:len(row)/2]
	}
	return row[0]
}

// hash is the root of 2^level entries, the n-th such.
func (p *pyramid) hash(level int, n int64) (tlog.Hash, error) {
	if k := level / torchwood.TileHeight; level%torchwood.TileHeight == 0 {
		if k > 0 && k < len(p.levels) && n < int64(len(p.levels[k])) {
			return p.levels[k][n], nil
		}
		if k == 0 {
			tile, ok := p.leaves[n/torchwood.TileWidth]
			if i := n % torchwood.TileWidth; ok && i < int64(len(tile)) {
				return tile[i], nil
			}
			return tlog.Hash{}, fmt.Errorf("hash of entry %d was not kept", n)
		}
	}
	left, err := p.hash(level-1, 2*n)
	if err != nil {
		return tlog.Hash{}, err
	}
	right, err := p.hash(level-1, 2*n+1)
	if err != nil {
		return tlog.Hash{}, err
	}
	return tlog.NodeHash(left, right), nil
}

// tree is the tree of the first size entries. For a size that is not a multiple
// of 256 the last of them must be in a tile that was kept.
func (p *pyramid) tree(size int64) (audit.Tree, error) { return treeOf(size, p.hash) }

// treeOf is the tree whose subtrees' roots a function has.
func treeOf(size int64, hash func(level int, n int64) (tlog.Hash, error)) (audit.Tree, error) {
	root, err := tlog.TreeHash(size, tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		hashes := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			var err error
			if hashes[i], err = hash(tlog.SplitStoredHashIndex(index)); err != nil {
				return nil, err
			}
		}
		return hashes, nil
	}))
	if err != nil {
		return audit.Tree{}, fmt.Errorf("hashing the tree of %d entries: %w", size, err)
	}
	return audit.Tree{Size: size, Root: root}, nil
}
