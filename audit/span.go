package audit

import (
	"context"
	"fmt"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/tlog"
)

// Span proves that a stretch of the log is complete: it begins with the edge of
// the entries before it, takes every leaf, and ends at a root which a
// checkpoint begins with. Nothing in between can have been left out, added or
// moved.
type Span struct{ edge edge }

// NewSpan begins at entry from; edge holds the roots of the complete subtrees
// that the entries before form, from left to right.
func NewSpan(from int64, edge []tlog.Hash) (*Span, error) {
	e, err := newEdge(from, edge)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProof, err)
	}
	return &Span{edge: e}, nil
}

// Add takes the next leaf.
func (s *Span) Add(leaf []byte) { s.edge.push(leaf) }

// Tree is the log up to the last leaf that was added.
func (s *Span) Tree() Tree { return s.edge.tree() }

// Check verifies that a checkpoint's tree begins with what the span ended at. A
// span without an entry, at the beginning of the log, says nothing and holds.
func (s *Span) Check(checkpoint Tree, consistency tlog.TreeProof) error {
	if s.edge.size == 0 && len(consistency) == 0 {
		return nil
	}
	return CheckConsistency(consistency, checkpoint, s.Tree())
}

// Edge is what a span beginning at entry from starts with.
func Edge(ctx context.Context, from int64, stored HashReader) ([]tlog.Hash, error) {
	if from < 0 {
		return nil, fmt.Errorf("%w: a span from %d", ErrProof, from)
	}
	hashes, err := bind(ctx, stored).ReadHashes(torchwood.RightEdge(from))
	if err != nil {
		return nil, fmt.Errorf("reading the edge of %d entries: %w", from, err)
	}
	return hashes, nil
}

// EndSpan proves that the checkpoint of size entries begins with the first to.
func EndSpan(ctx context.Context, size, to int64, stored HashReader) (tlog.TreeProof, error) {
	if to == 0 {
		return nil, nil
	}
	return ProveConsistency(ctx, size, to, stored)
}
