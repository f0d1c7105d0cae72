package store

import (
	"context"
	"errors"
	"fmt"
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
	t, ok := tx.(*transaction)
	if !ok {
		return errNotOurs
	}
	_, err := audit.Append(ctx, db.logTx(t), entries...)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, audit.ErrPayload): // ours
		return fmt.Errorf("appending to the log: %w", err)
	}
	return notAppended(err)
}

// errNotOurs is a transaction that does not write the log when it commits.
var errNotOurs = errors.New("a transaction that inTx did not begin cannot append to the log")

// notAppended is how callers hear that there is no entry, and so nothing is done.
func notAppended(err error) error {
	if _, ok := errors.AsType[*policies.Refusal](err); ok {
		return err // Admit's
	}
	return fmt.Errorf("appending to the log: %w: %w", policies.Refuse(policies.Unavailable).After(retryAfter), err)
}

// errTakenBack ends a transaction that is not meant to be.
var errTakenBack = errors.New("taken back")

// Appendable reports why the log takes no entries, nil if it does: it adds one
// and takes it back. Without the log nothing is signed (DESIGN section 7).
func (db *DB) Appendable(ctx context.Context) error {
	err := db.inTx(ctx, func(tx pgx.Tx) error {
		if err := db.record(ctx, tx, audit.Entry{
			Type: audit.ServiceStarted, Operation: "readiness", At: db.Now(), Payload: map[string]any{"version": "readiness"},
		}); err != nil {
			return err
		}
		if t, ok := tx.(*transaction); !ok {
			return errNotOurs
		} else if err := t.flush(ctx); err != nil {
			return notAppended(err)
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
	*transaction

	now   func() time.Time
	admit func(audit.Head) error
}

func (db *DB) logTx(t *transaction) logTx { return logTx{transaction: t, now: db.Now, admit: db.Admit} }

// Now implements audit.Tx: the clock of this process, which must not be behind
// the log.
func (t logTx) Now() time.Time { return t.now() }

// LockHead implements audit.Tx.
func (t logTx) LockHead(ctx context.Context) (audit.Head, error) {
	if err := t.flush(ctx); err != nil { // of an append before, in the same transaction
		return audit.Head{}, err
	}
	head, err := t.await(ctx)
	if err != nil || t.admitted || t.admit == nil {
		return head, err
	}
	// Once: what this transaction has added itself may still be taken back.
	t.admitted = true
	return head, t.admit(head)
}

// headLock is the number of the advisory lock in whose queue writers wait.
const headLock = 0x727562726c6f67

// await locks the head, in one round trip. Those who wait for a row that is
// updated again and again are all woken each time, to see that it has moved on;
// so they wait for a lock of its own, in a queue, and then find the row free.
func (t logTx) await(ctx context.Context) (audit.Head, error) {
	var batch pgx.Batch
	batch.Queue(`SELECT pg_advisory_xact_lock($1)`, int64(headLock))
	batch.Queue(selectHead + `FOR UPDATE`)
	results := t.SendBatch(ctx, &batch)
	if _, err := results.Exec(); err != nil {
		_ = results.Close() // says the same
		return audit.Head{}, err
	}
	head, err := scanHead(results.QueryRow())
	return head, errors.Join(err, results.Close())
}

const selectHead = `SELECT size, last_time, edge FROM log_head `

func readHead(ctx context.Context, q querier, lock string) (audit.Head, error) {
	return scanHead(q.QueryRow(ctx, selectHead+lock))
}

func scanHead(row pgx.Row) (audit.Head, error) {
	var (
		h    audit.Head
		edge [][]byte
	)
	if err := row.Scan(&h.Size, &h.Last, &edge); err != nil {
		return audit.Head{}, err
	}
	if h.Size == 0 {
		h.Last = time.Time{}
	}
	for _, b := range edge {
		if len(b) != tlog.HashSize {
			return audit.Head{}, errEdge
		}
		h.Edge = append(h.Edge, tlog.Hash(b))
	}
	return h, nil
}

var errEdge = errors.New("the head of the log holds something that is no hash")

// Write implements audit.Tx: when the transaction commits.
func (t logTx) Write(_ context.Context, next audit.Head, records []audit.Record) error {
	var w written
	for _, r := range records {
		w.add(r)
	}
	// One statement, and arguments by number: while it is built and done, every
	// other writer waits. Hashes of consecutive entries have consecutive indexes.
	t.last.Queue(`
		WITH entries AS (
			INSERT INTO log_entries (seq, type, operation, person, at, leaf, payload, salt)
			SELECT seq, type, operation, person, at, leaf, payload, salt
			FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::bytea[], $7::bytea[], $8::bytea[])
				AS fresh (seq, type, operation, person, at, leaf, payload, salt)
		), hashes AS (
			INSERT INTO log_hashes (index, hash)
			SELECT $9::bigint + place - 1, hash
			FROM unnest($10::bytea[]) WITH ORDINALITY AS fresh (hash, place)
		), terms AS (
			INSERT INTO log_terms (kind, value, seq)
			SELECT kind, value, seq
			FROM unnest($11::text[], $12::text[], $13::bigint[]) AS fresh (kind, value, seq)
		)
		UPDATE log_head SET size = $14, last_time = $15, edge = $16`,
		w.seqs, w.types, w.operations, w.people, w.times, w.leaves, w.payloads, w.salts,
		records[0].FirstHash(), w.hashes,
		w.kinds, w.values, w.entries,
		next.Size, next.Last, hashBytes(next.Edge))
	return nil
}

// written are records as columns.
type written struct {
	seqs                      []int64
	types, operations, people []string
	times                     []time.Time
	leaves, payloads, salts   [][]byte
	hashes                    [][]byte
	kinds, values             []string
	entries                   []int64 // of kinds and values
}

func (w *written) add(r audit.Record) {
	w.seqs = append(w.seqs, r.Seq)
	w.types = append(w.types, string(r.Type))
	w.operations = append(w.operations, r.Operation)
	w.people = append(w.people, r.Person)
	w.times = append(w.times, r.At)
	w.leaves = append(w.leaves, r.Leaf)
	w.payloads = append(w.payloads, r.Payload)
	w.salts = append(w.salts, r.Salt)
	w.hashes = append(w.hashes, hashBytes(r.Hashes)...)
	for _, t := range r.Terms {
		w.kinds = append(w.kinds, t.Kind)
		w.values = append(w.values, t.Value)
		w.entries = append(w.entries, r.Seq)
	}
}

func hashBytes(hashes []tlog.Hash) [][]byte {
	out := make([][]byte, len(hashes))
	for i := range hashes {
		out[i] = hashes[i][:]
	}
	return out
}

func itoa(n int) string { return strconv.Itoa(n) }
