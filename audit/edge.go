package audit

import (
	"fmt"
	"math/bits"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

// edge is a tree of size entries by the roots of the complete subtrees that
// they form, from left to right: one for each 1 of size in binary. It is all
// that is needed to add to the tree, and to know its root.
type edge struct {
	size  int64
	roots []tlog.Hash
}

// newEdge copies roots.
func newEdge(size int64, roots []tlog.Hash) (edge, error) {
	if size < 0 || len(roots) != bits.OnesCount64(uint64(size)) {
		return edge{}, fmt.Errorf("a tree of %d entries does not have %d complete subtrees", size, len(roots))
	}
	return edge{size: size, roots: slices.Clone(roots)}, nil
}

// push adds a leaf and returns the hashes that it completes, from the leaf's
// upwards, as they are stored. It builds the tree of RFC 6962, section 2.1 from
// the left: each 1 at the end of size is a complete subtree that the new one
// joins.
func (e *edge) push(leaf []byte) []tlog.Hash {
	h := tlog.RecordHash(leaf)
	hashes := make([]tlog.Hash, 1, 1+bits.TrailingZeros64(^uint64(e.size))) //nolint:gosec // a size is not negative
	hashes[0] = h
	for n := e.size; n&1 == 1; n >>= 1 {
		left := len(e.roots) - 1
		h = tlog.NodeHash(e.roots[left], h)
		e.roots = e.roots[:left]
		hashes = append(hashes, h)
	}
	e.roots = append(e.roots, h)
	e.size++
	return hashes
}

// tree joins the subtrees.
func (e *edge) tree() Tree {
	if len(e.roots) == 0 {
		// The hash of nothing, RFC 6962, section 2.1; TreeHash reads nothing for it.
		root, _ := tlog.TreeHash(0, nil)
		return Tree{Root: root}
	}
	h := e.roots[len(e.roots)-1]
	for _, left := range slices.Backward(e.roots[:len(e.roots)-1]) {
		h = tlog.NodeHash(left, h)
	}
	return Tree{Size: e.size, Root: h}
}
