package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/audit/publication"
)

// publicationLock is the number of the advisory lock that one publisher holds.
const publicationLock = 0x52_75_62_4c_6f_67 // "RubLog"

// publicationChannel is notified by whoever wants a checkpoint at once.
const publicationChannel = "log_publish"

// RequestCheckpoint asks the publisher, in whatever process, for a checkpoint of
// what has been committed so far.
func (db *DB) RequestCheckpoint(ctx context.Context) error {
	_, err := db.pool.Exec(ctx, `SELECT pg_notify($1, '')`, publicationChannel)
	return err
}

// Lead implements publication.Store: the lock belongs to a connection, and so
// goes away with whoever holds it.
func (db *DB) Lead(ctx context.Context) (publication.Lease, error) {
	conn, err := pgx.ConnectConfig(ctx, db.pool.Config().ConnConfig)
	if err != nil {
		return nil, classify(fmt.Errorf("connecting for the publisher: %w", err))
	}
	held := &lease{conn}
	var locked bool
	err = conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1)`, int64(publicationLock)).Scan(&locked)
	if err == nil && !locked {
		err = publication.ErrHeld
	}
	if err == nil {
		_, err = conn.Exec(ctx, `LISTEN `+publicationChannel)
	}
	if err != nil {
		held.Close() //nolint:contextcheck // it lets go also when ctx has ended
		return nil, classify(err)
	}
	return held, nil
}

type lease struct{ conn *pgx.Conn }

// Wait implements publication.Lease. Requests that came while nobody waited
// count as well, all together once.
func (l *lease) Wait(ctx context.Context, atMost time.Duration) error {
	waiting, cancel := context.WithTimeout(ctx, atMost)
	defer cancel()
	_, err := l.conn.WaitForNotification(waiting)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil && !pgconn.Timeout(err):
		return classify(err)
	}
	// A server that has gone without a word holds no lock for anybody.
	asking, cancel := context.WithTimeout(ctx, leaseTime)
	defer cancel()
	if err := l.conn.Ping(asking); err != nil {
		return classify(err)
	}
	l.drain(ctx)
	return nil
}

// leaseTime is how long the server may take to say that it is there.
const leaseTime = 5 * time.Second

// drain takes what is there already.
func (l *lease) drain(ctx context.Context) {
	now, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	for {
		if _, err := l.conn.WaitForNotification(now); err != nil {
			return
		}
	}
}

// Close implements publication.Lease.
func (l *lease) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	// The server takes its time to notice that a connection has ended; whoever
	// comes next need not wait for that.
	_, _ = l.conn.Exec(ctx, `SELECT pg_advisory_unlock_all()`)
	_ = l.conn.Close(ctx)
}

// Refill implements publication.RecoveryStore. Leaves come in portions; the
// transaction that holds them all may be long.
func (db *DB) Refill(ctx context.Context, r publication.Refill, entry audit.Entry) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		if err := unmoved(ctx, tx, r.Origin, r.From); err != nil {
			return err
		}
		t, ok := tx.(*transaction)
		if !ok {
			return errNotOurs
		}
		var head audit.Head
		for leaves, err := range r.Leaves {
			if err != nil {
				return fmt.Errorf("reading lost entries: %w", err)
			}
			if head, err = audit.Restore(ctx, db.logTx(t), leaves); err != nil {
				return fmt.Errorf("putting entries back: %w", err)
			}
		}
		if tree, err := head.Tree(); err != nil || tree != r.Until {
			return fmt.Errorf("%w: the leaves do not make the tree of %d entries", audit.ErrProof, r.Until.Size)
		}
		return db.record(ctx, tx, entry)
	})
}

// RenameLog implements publication.RecoveryStore.
func (db *DB) RenameLog(ctx context.Context, was string, next publication.Tree, entry audit.Entry) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		if err := unmoved(ctx, tx, was, next.Begun); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE log_trees SET ended_at = @at WHERE origin = @was`, pgx.NamedArgs{"was": was, "at": next.BegunAt})
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			INSERT INTO log_trees (origin, key, begun, begun_at)
			VALUES (@origin, @key, @begun, @at)`,
			pgx.NamedArgs{"origin": next.Origin, "key": next.Key, "begun": next.Begun, "at": next.BegunAt})
		if err != nil {
			return err
		}
		return db.record(ctx, tx, entry)
	})
}

// unmoved locks the log and its name, and compares them with what the recovery
// was decided upon.
func unmoved(ctx context.Context, tx pgx.Tx, origin string, size int64) error {
	head, err := readHead(ctx, tx, "FOR UPDATE")
	if err != nil {
		return err
	}
	var current string
	if err := tx.QueryRow(ctx, `SELECT origin FROM log_trees WHERE ended_at IS NULL`).Scan(&current); err != nil {
		return err
	}
	if head.Size != size || current != origin {
		return publication.ErrMoved
	}
	return nil
}
