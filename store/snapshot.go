package store

import (
	"context"
	"errors"
	"iter"
	"math"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/rubrica-firma/rubrica/audit"
)

// Snapshot gives the whole log to audit.Verify, read in one transaction.
func (db *DB) Snapshot(ctx context.Context, read func(audit.Log) error) error {
	options := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	return pgx.BeginTxFunc(ctx, db.pool, options, func(tx pgx.Tx) error { return read(snapshot{tx}) })
}

type snapshot struct{ tx pgx.Tx }

// Head implements audit.Log.
func (s snapshot) Head(ctx context.Context) (audit.Head, error) { return readHead(ctx, s.tx, "") }

// page is how many entries, hashes or terms are read at a time.
const page = 4096

// Records implements audit.Log. Three sources are merged: entries and hashes by
// their keys, and terms, which have to be sorted by entry first.
func (s snapshot) Records(ctx context.Context) iter.Seq2[audit.Record, error] {
	return func(yield func(audit.Record, error) bool) {
		if err := s.merge(ctx, yield); err != nil && !errors.Is(err, errEnough) {
			yield(audit.Record{}, err)
		}
	}
}

// errEnough is a reader who wants no more.
var errEnough = errors.New("enough")

func (s snapshot) merge(ctx context.Context, yield func(audit.Record, error) bool) error {
	terms, err := s.sortTerms(ctx)
	if err != nil {
		return err
	}
	var size int64
	for from := int64(math.MinInt64); ; {
		records, err := s.page(ctx, from)
		if err != nil {
			return err
		}
		for _, r := range records {
			if r.Terms, err = terms.of(ctx, r.Seq); err != nil {
				return err
			}
			if !yield(r, nil) {
				return errEnough
			}
			size, from = r.Seq+1, r.Seq+1
		}
		if len(records) < page {
			break
		}
	}
	return errors.Join(terms.end(ctx), s.noHashesFrom(ctx, size))
}

// page reads entries from a number on, with the hashes that each one added.
func (s snapshot) page(ctx context.Context, from int64) ([]audit.Record, error) {
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
		WHERE seq >= @from
		ORDER BY seq
		LIMIT @page`, pgx.NamedArgs{"from": from, "page": page})
	if err != nil {
		return nil, err
	}
	records := make([]audit.Record, 0, page)
	var r audit.Record
	_, err = pgx.ForEachRow(rows, []any{
		&r.Seq,
		&r.Type,
		&r.Operation,
		&r.Person,
		&r.At,
		&r.Leaf,
		&r.Payload,
		&r.Salt,
	}, func() error {
		r.At = r.At.UTC()
		records = append(records, r)
		r = audit.Record{}
		return nil
	})
	if err != nil || len(records) == 0 {
		return nil, err
	}
	return records, s.hashes(ctx, records)
}

// hashes reads those of the records that stand in an unbroken row: at a gap the
// log is not whole, and what comes after it does not matter any more.
func (s snapshot) hashes(ctx context.Context, records []audit.Record) error {
	first := records[0].Seq
	unbroken := 0
	for unbroken < len(records) && records[unbroken].Seq == first+int64(unbroken) {
		unbroken++
	}
	rows, err := s.tx.Query(ctx, `
		SELECT index, hash
		FROM log_hashes
		WHERE index >= @from AND index < @to
		ORDER BY index`, pgx.NamedArgs{
		"from": records[0].FirstHash(),
		"to":   tlog.StoredHashIndex(0, first+int64(unbroken)),
	})
	if err != nil {
		return err
	}
	var (
		index int64
		hash  []byte
		n     int
	)
	_, err = pgx.ForEachRow(rows, []any{&index, (*pgtype.DriverBytes)(&hash)}, func() error {
		for n+1 < unbroken && index >= records[n+1].FirstHash() {
			n++
		}
		if len(hash) == tlog.HashSize { // one that is not is missed
			records[n].Hashes = append(records[n].Hashes, tlog.Hash(hash))
		}
		return nil
	})
	return err
}

// noHashesFrom finds hashes of entries that are not there: the next append
// would stumble over them.
func (s snapshot) noHashesFrom(ctx context.Context, size int64) error {
	var stray bool
	err := s.tx.QueryRow(ctx, `
		SELECT EXISTS (SELECT FROM log_hashes WHERE index < 0) OR EXISTS (SELECT FROM log_hashes WHERE index >= @end)`,
		pgx.NamedArgs{"end": tlog.StoredHashIndex(0, size)}).Scan(&stray)
	if err == nil && stray {
		return &audit.CorruptionError{Seq: size, From: size, Reason: "there are hashes of entries that are not there"}
	}
	return err
}

// terms are all of them in the order of their entries.
type terms struct {
	tx   pgx.Tx
	page []term
}

type term struct {
	seq int64
	audit.Term
}

// sortTerms lets the server sort them, on disk if they are many. The order of
// bytes is the one of audit.Terms.
func (s snapshot) sortTerms(ctx context.Context) (*terms, error) {
	_, err := s.tx.Exec(ctx, `
		DECLARE sorted_terms NO SCROLL CURSOR FOR
		SELECT seq, kind, value
		FROM log_terms
		ORDER BY seq, kind COLLATE "C", value COLLATE "C"`)
	return &terms{tx: s.tx}, err
}

// next is the first one that was not taken, nil after the last.
func (t *terms) next(ctx context.Context) (*term, error) {
	if len(t.page) > 0 {
		return &t.page[0], nil
	}
	rows, err := t.tx.Query(ctx, `FETCH `+itoa(page)+` FROM sorted_terms`)
	if err != nil {
		return nil, err
	}
	t.page, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (out term, err error) {
		return out, row.Scan(&out.seq, &out.Kind, &out.Value)
	})
	if err != nil || len(t.page) == 0 {
		return nil, err
	}
	return &t.page[0], nil
}

// of takes an entry's terms.
func (t *terms) of(ctx context.Context, seq int64) ([]audit.Term, error) {
	var found []audit.Term
	for {
		next, err := t.next(ctx)
		switch {
		case err != nil:
			return nil, err
		case next == nil || next.seq > seq:
			return found, nil
		case next.seq < seq:
			return nil, stray(next)
		}
		found = append(found, next.Term)
		t.page = t.page[1:]
	}
}

// end is an error if one is left.
func (t *terms) end(ctx context.Context) error {
	next, err := t.next(ctx)
	if err == nil && next != nil {
		err = stray(next)
	}
	return err
}

func stray(t *term) error {
	return &audit.CorruptionError{Seq: t.seq, From: t.seq, Reason: "a term names an entry that is not there"}
}
