package store

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/policies"
)

// Log implements signer.Store and citizen.Store.
func (db *DB) Log(ctx context.Context, entries ...audit.Entry) error {
	return db.inTx(ctx, func(tx pgx.Tx) error { return db.record(ctx, tx, entries...) })
}

// record appends entries to the log inside the business transaction. It comes
// last in each: the head row that it locks orders all others.
func (db *DB) record(ctx context.Context, tx pgx.Tx, entries ...audit.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	_, err := audit.Append(ctx, logTx{tx, db.Now}, entries...)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, audit.ErrPayload): // ours
		return fmt.Errorf("appending to the log: %w", err)
	}
	return fmt.Errorf("appending to the log: %w: %w", policies.Refuse(policies.Unavailable).After(retryAfter), err)
}

// errTakenBack ends a transaction that is not meant to be.
var errTakenBack = errors.New("taken back")

// Appendable reports why the log takes no entries, nil if it does: it adds one
// and takes it back. Without the log nothing is signed (DESIGN section 7).
func (db *DB) Appendable(ctx context.Context) error {
	err := db.inTx(ctx, func(tx pgx.Tx) error {
		if err := db.record(ctx, tx, audit.Entry{Type: audit.ServiceStarted, Operation: "readiness", At: db.Now()}); err != nil {
			return err
		}
		return errTakenBack
	})
	if errors.Is(err, errTakenBack) {
		return nil
	}
	return err
}

// logTx is a transaction as the log sees it.
type logTx struct {
	pgx.Tx
	now func() time.Time
}

// Now implements audit.Tx: the clock of this process, which must not be behind
// the log.
func (t logTx) Now() time.Time { return t.now() }

// LockHead implements audit.Tx.
func (t logTx) LockHead(ctx context.Context) (audit.Head, error) {
	return readHead(ctx, t.Tx, "FOR UPDATE")
}

func readHead(ctx context.Context, q querier, lock string) (audit.Head, error) {
	var h audit.Head
	err := q.QueryRow(ctx, `SELECT size, last_time FROM log_head `+lock).Scan(&h.Size, &h.Last)
	if h.Size == 0 {
		h.Last = time.Time{}
	}
	return h, err
}

// ReadHashes implements audit.Tx.
func (t logTx) ReadHashes(ctx context.Context, indexes []int64) ([]tlog.Hash, error) {
	return readHashes(ctx, t.Tx, indexes)
}

func readHashes(ctx context.Context, q querier, indexes []int64) ([]tlog.Hash, error) {
	rows, err := q.Query(ctx, `
		SELECT h.hash
		FROM unnest(@indexes::bigint[]) WITH ORDINALITY AS asked (index, place)
		JOIN log_hashes h USING (index)
		ORDER BY asked.place`, pgx.NamedArgs{"indexes": indexes})
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (tlog.Hash, error) {
		var (
			b []byte
			h tlog.Hash
		)
		err := row.Scan(&b)
		copy(h[:], b)
		return h, err
	})
}

// Write implements audit.Tx, in one round trip.
func (t logTx) Write(ctx context.Context, next audit.Head, records []audit.Record) error {
	var batch pgx.Batch
	for _, r := range records {
		batch.Queue(`
			INSERT INTO log_entries (seq, type, operation, person, at, leaf, payload, salt)
			VALUES (@seq, @type, @operation, @person, @at, @leaf, @payload, @salt)`, pgx.NamedArgs{
			"seq":       r.Seq,
			"type":      r.Type,
			"operation": r.Operation,
			"person":    r.Person,
			"at":        r.At,
			"leaf":      r.Leaf,
			"payload":   r.Payload,
			"salt":      r.Salt,
		})
		hashes := make([][]byte, len(r.Hashes))
		for i := range r.Hashes {
			hashes[i] = r.Hashes[i][:]
		}
		batch.Queue(`
			INSERT INTO log_hashes (index, hash)
			SELECT @first::bigint + place - 1, hash
			FROM unnest(@hashes::bytea[]) WITH ORDINALITY AS fresh (hash, place)`, pgx.NamedArgs{
			"first":  r.FirstHash(),
			"hashes": hashes,
		})
	}
	batch.Queue(`UPDATE log_head SET size = @size, last_time = @last`, pgx.NamedArgs{"size": next.Size, "last": next.Last})
	return t.SendBatch(ctx, &batch).Close()
}

// Snapshot gives the whole log to audit.Verify, read in one transaction.
func (db *DB) Snapshot(ctx context.Context, read func(audit.Log) error) error {
	options := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	return pgx.BeginTxFunc(ctx, db.pool, options, func(tx pgx.Tx) error { return read(snapshot{tx}) })
}

type snapshot struct{ tx pgx.Tx }

// Head implements audit.Log.
func (s snapshot) Head(ctx context.Context) (audit.Head, error) { return readHead(ctx, s.tx, "") }

// Records implements audit.Log.
func (s snapshot) Records(ctx context.Context) iter.Seq2[audit.Record, error] {
	return func(yield func(audit.Record, error) bool) {
		const page = 1000
		for from := int64(0); ; from += page {
			records, err := s.page(ctx, from, from+page)
			if err != nil {
				yield(audit.Record{}, err)
				return
			}
			for _, r := range records {
				if !yield(r, nil) {
					return
				}
			}
			if len(records) < page {
				return
			}
		}
	}
}

// page reads entries [from, to) with the hashes that each one added.
func (s snapshot) page(ctx context.Context, from, to int64) ([]audit.Record, error) {
	rows, err := s.tx.Query(ctx, `
		SELECT
			seq,
			type,
			operation,
			person,
			at,
			leaf,
			payload,
			salt
		FROM log_entries
		WHERE seq >= @from AND seq < @to
		ORDER BY seq`, pgx.NamedArgs{"from": from, "to": to})
	if err != nil {
		return nil, err
	}
	records, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (audit.Record, error) {
		var r audit.Record
		err := row.Scan(
			&r.Seq,
			&r.Type,
			&r.Operation,
			&r.Person,
			&r.At,
			&r.Leaf,
			&r.Payload,
			&r.Salt,
		)
		r.At = r.At.UTC()
		return r, err
	})
	if err != nil {
		return nil, err
	}
	for i := range records {
		first, next := records[i].FirstHash(), tlog.StoredHashIndex(0, records[i].Seq+1)
		indexes := make([]int64, 0, next-first)
		for index := first; index < next; index++ {
			indexes = append(indexes, index)
		}
		if records[i].Hashes, err = readHashes(ctx, s.tx, indexes); err != nil {
			return nil, err
		}
	}
	return records, nil
}

func itoa(n int) string { return strconv.Itoa(n) }
