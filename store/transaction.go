package store

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// transaction keeps what goes to the log for its end, and sends it with the
// COMMIT: while the log's head is locked every other writer waits, and each
// round trip is one that they all wait for.
type transaction struct {
	pgx.Tx

	last     pgx.Batch
	admitted bool // to append to the log
}

// inTx runs one transaction.
func (db *DB) inTx(ctx context.Context, run func(pgx.Tx) error) error {
	return classify(db.pool.AcquireFunc(ctx, func(conn *pgxpool.Conn) error {
		tx, err := conn.Begin(ctx)
		if err != nil {
			return err
		}
		t := &transaction{Tx: tx}
		if err = run(t); err == nil {
			err = t.commit(ctx)
		}
		if conn.Conn().PgConn().TxStatus() != 'I' {
			_ = tx.Rollback(ctx) // there is an error to return; a connection that fails at this is closed
		}
		return err
	}))
}

// commit ends the transaction, in one round trip.
func (t *transaction) commit(ctx context.Context) error {
	writes := t.last.Len()
	if writes == 0 {
		return t.Commit(ctx)
	}
	t.last.Queue(`COMMIT`)
	results := t.SendBatch(ctx, &t.last)
	for range writes {
		if _, err := results.Exec(); err != nil {
			_ = results.Close() // says the same: what follows an error is not done
			return notAppended(err)
		}
	}
	return results.Close()
}

// flush sends what was kept, before the end.
func (t *transaction) flush(ctx context.Context) error {
	if t.last.Len() == 0 {
		return nil
	}
	defer func() { t.last = pgx.Batch{} }()
	return t.SendBatch(ctx, &t.last).Close()
}
