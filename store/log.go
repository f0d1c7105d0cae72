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
		if err := db.record(ctx, tx, audit.Entry{Type: audit.ServiceStarted, Operation: "readiness", At: db.Now()}); err != nil {
			return err
		}
		if err := tx.(*transaction).flush(ctx); err != nil { //nolint:forcetypeassert // inTx gives no other
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
	head, err := readHead(ctx, t.Tx, "FOR UPDATE")
	if err != nil || t.admitted || t.admit == nil {
		return head, err
	}
	// Once: what this transaction has added itself may still be taken back.
	t.admitted = true
	return head, t.admit(head)
}

func readHead(ctx context.Context, q querier, lock string) (audit.Head, error) {
	var (
		h    audit.Head
		edge [][]byte
	)
	err := q.QueryRow(ctx, `SELECT size, last_time, edge FROM log_head `+lock).Scan(&h.Size, &h.Last, &edge)
	if err != nil {
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
	writeEntries(&t.last, records)
	writeHashes(&t.last, records)
	writeTerms(&t.last, records)
	t.last.Queue(`UPDATE log_head SET size = @size, last_time = @last, edge = @edge`,
		pgx.NamedArgs{"size": next.Size, "last": next.Last, "edge": hashBytes(next.Edge)})
	return nil
}

func writeEntries(batch *pgx.Batch, records []audit.Record) {
	n := len(records)
	var (
		seqs                        = make([]int64, n)
		types, operations, people   = make([]string, n), make([]string, n), make([]string, n)
		times                       = make([]time.Time, n)
		leaves, payloads, saltBytes = make([][]byte, n), make([][]byte, n), make([][]byte, n)
	)
	for i, r := range records {
		seqs[i], types[i], operations[i], people[i], times[i] = r.Seq, string(r.Type), r.Operation, r.Person, r.At
		leaves[i], payloads[i], saltBytes[i] = r.Leaf, r.Payload, r.Salt
	}
	batch.Queue(`
		INSERT INTO log_entries (seq, type, operation, person, at, leaf, payload, salt)
		SELECT *
		FROM unnest(
			@seqs::bigint[],
			@types::text[],
			@operations::text[],
			@people::text[],
			@times::timestamptz[],
			@leaves::bytea[],
			@payloads::bytea[],
			@salts::bytea[]
		)`, pgx.NamedArgs{
		"seqs":       seqs,
		"types":      types,
		"operations": operations,
		"people":     people,
		"times":      times,
		"leaves":     leaves,
		"payloads":   payloads,
		"salts":      saltBytes,
	})
}

// writeHashes relies on that hashes of consecutive entries have consecutive
// indexes.
func writeHashes(batch *pgx.Batch, records []audit.Record) {
	var hashes []tlog.Hash
	for _, r := range records {
		hashes = append(hashes, r.Hashes...)
	}
	batch.Queue(`
		INSERT INTO log_hashes (index, hash)
		SELECT @first::bigint + place - 1, hash
		FROM unnest(@hashes::bytea[]) WITH ORDINALITY AS fresh (hash, place)`, pgx.NamedArgs{
		"first":  records[0].FirstHash(),
		"hashes": hashBytes(hashes),
	})
}

func writeTerms(batch *pgx.Batch, records []audit.Record) {
	var (
		kinds, values []string
		seqs          []int64
	)
	for _, r := range records {
		for _, term := range r.Terms {
			kinds, values, seqs = append(kinds, term.Kind), append(values, term.Value), append(seqs, r.Seq)
		}
	}
	if len(seqs) == 0 {
		return
	}
	batch.Queue(`
		INSERT INTO log_terms (kind, value, seq)
		SELECT *
		FROM unnest(@kinds::text[], @values::text[], @seqs::bigint[])`, pgx.NamedArgs{
		"kinds":  kinds,
		"values": values,
		"seqs":   seqs,
	})
}

func hashBytes(hashes []tlog.Hash) [][]byte {
	out := make([][]byte, len(hashes))
	for i := range hashes {
		out[i] = hashes[i][:]
	}
	return out
}

func itoa(n int) string { return strconv.Itoa(n) }
