package audit

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// Tree is the log at one size, by its root hash (RFC 6962, section 2.1).
type Tree struct {
	Size int64
	Root tlog.Hash
}

// ErrProof is a proof that does not prove what it is shown for.
var ErrProof = errors.New("proof does not hold")

// TreeHash is the tree at a size, computed from at most log₂(size)+1 stored hashes.
func TreeHash(ctx context.Context, size int64, stored HashReader) (Tree, error) {
	root, err := tlog.TreeHash(size, bind(ctx, stored))
	if err != nil {
		return Tree{}, fmt.Errorf("hashing the tree of %d entries: %w", size, err)
	}
	return Tree{Size: size, Root: root}, nil
}

// ProveInclusion proves that entry seq is in the tree of a size (RFC 6962,
// section 2.1.1).
func ProveInclusion(ctx context.Context, size, seq int64, stored HashReader) (tlog.RecordProof, error) {
	proof, err := tlog.ProveRecord(size, seq, bind(ctx, stored))
	if err != nil {
		return nil, fmt.Errorf("proving entry %d of %d: %w", seq, size, err)
	}
	return proof, nil
}

// CheckInclusion verifies that leaf is entry seq of the tree.
func CheckInclusion(proof tlog.RecordProof, tree Tree, seq int64, leaf []byte) error {
	if err := tlog.CheckRecord(proof, tree.Size, tree.Root, seq, tlog.RecordHash(leaf)); err != nil {
		return fmt.Errorf("%w: entry %d in the tree of %d: %w", ErrProof, seq, tree.Size, err)
	}
	return nil
}

// ProveConsistency proves that the tree of size newer begins with the tree of
// size older (RFC 6962, section 2.1.2).
func ProveConsistency(ctx context.Context, newer, older int64, stored HashReader) (tlog.TreeProof, error) {
	proof, err := tlog.ProveTree(newer, older, bind(ctx, stored))
	if err != nil {
		return nil, fmt.Errorf("proving that %d entries begin with %d: %w", newer, older, err)
	}
	return proof, nil
}

// CheckConsistency verifies that newer begins with older: that nothing of
// older was changed, moved or removed.
func CheckConsistency(proof tlog.TreeProof, newer, older Tree) error {
	if err := tlog.CheckTree(proof, newer.Size, newer.Root, older.Size, older.Root); err != nil {
		return fmt.Errorf("%w: the tree of %d does not begin with that of %d: %w", ErrProof, newer.Size, older.Size, err)
	}
	return nil
}

func bind(ctx context.Context, stored HashReader) tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		if len(indexes) == 0 {
			return nil, nil
		}
		return stored.ReadHashes(ctx, indexes)
	})
}
