package store

import (
	"context"

	"github.com/jackc/pgx/v5"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/audit/publication"
)

// What the public side may read of the log: what everybody may, and the entries
// of which receipts are made.

// SignatureEntries reads intents and outcomes of a request's signatures, oldest
// first, without those that were erased.
func (p Public) SignatureEntries(ctx context.Context, operation string) ([]audit.Record, error) {
	rows, err := p.db.pool.Query(ctx, `
		SELECT
			seq,
			type,
			operation,
			at,
			leaf,
			payload,
			salt
		FROM signature_entries
		WHERE operation = @operation
		ORDER BY seq`, pgx.NamedArgs{"operation": operation})
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (audit.Record, error) {
		var r audit.Record
		err := row.Scan(
			&r.Seq,
			&r.Type,
			&r.Operation,
			&r.At,
			&r.Leaf,
			&r.Payload,
			&r.Salt,
		)
		return r, err
	})
}

// RequestCheckpoint has the log published now.
func (p Public) RequestCheckpoint(ctx context.Context) error { return p.db.RequestCheckpoint(ctx) }

// ReadHashes implements audit.HashReader.
func (p Public) ReadHashes(ctx context.Context, indexes []int64) ([]tlog.Hash, error) {
	return p.db.ReadHashes(ctx, indexes)
}

// Leaves reads those of the entries [from, to).
func (p Public) Leaves(ctx context.Context, from, to int64) ([][]byte, error) {
	return p.db.Leaves(ctx, from, to)
}

// Trees lists the names of the tree.
func (p Public) Trees(ctx context.Context) ([]publication.Tree, error) { return p.db.Trees(ctx) }

// LastCheckpoint is the largest that was signed.
func (p Public) LastCheckpoint(ctx context.Context, origin string) (publication.Published, error) {
	return p.db.LastCheckpoint(ctx, origin)
}

// LastWitnessed is the largest that the quorum cosigned.
func (p Public) LastWitnessed(ctx context.Context, origin string) (publication.Published, error) {
	return p.db.LastWitnessed(ctx, origin)
}

// CheckpointAt is the one of a size.
func (p Public) CheckpointAt(ctx context.Context, origin string, size int64) (publication.Published, error) {
	return p.db.CheckpointAt(ctx, origin, size)
}

// WitnessedWith is the first that the quorum cosigned and that covers an entry.
func (p Public) WitnessedWith(ctx context.Context, origin string, seq int64) (publication.Published, error) {
	return p.db.WitnessedWith(ctx, origin, seq)
}
