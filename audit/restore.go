package audit

import (
	"context"
	"fmt"
)

// Restore puts back entries that were lost, from their leaves alone: as erased
// ones, under the numbers that follow the head. It returns the head after them.
// Whether they are the lost ones, the root of its tree tells; the caller compares
// it before the transaction commits.
func Restore(ctx context.Context, tx Tx, leaves [][]byte) (Head, error) {
	records := make([]Record, len(leaves))
	for i, b := range leaves {
		leaf, err := ParseLeaf(b)
		if err != nil {
			return Head{}, fmt.Errorf("reading lost entry %d of %d: %w", i+1, len(leaves), err)
		}
		records[i] = Record{Type: leaf.Type, Operation: leaf.Operation, At: leaf.At, Leaf: b}
	}
	head, err := tx.LockHead(ctx)
	if err != nil || len(records) == 0 {
		return head, err
	}
	next, err := head.follow(tx.Now(), records)
	if err != nil {
		return Head{}, err
	}
	if err := tx.Write(ctx, next, records); err != nil {
		return Head{}, fmt.Errorf("writing to the log: %w", err)
	}
	return next, nil
}
