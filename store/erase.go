package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/audit"
)

// Erasure says whose entries lose their salt, and what that is to be recorded
// with: either all of one person, or some by their numbers.
type Erasure struct {
	// Person is a DNI or NIE. The person must be deregistered or dead, and the last of
	// their certificates must have ended before Ended.
	Person string
	Ended  time.Time
	// Numbers are those of entries.
	Numbers []int64
	// Operator and Reason stand in the log, so neither names the person.
	Operator, Reason string
}

// Why nothing is erased.
var (
	ErrErasureUnclear = errors.New("an erasure names a person or entries, not both, an operator and a reason")
	ErrErasureEarly   = errors.New("the person is registered, or the last certificate has not ended for long enough")
	ErrErasureNeeded  = errors.New("an entry is needed: the service relies on what it says")
)

// Erase unlinks entries from whom they are about: salt, payload, person and
// terms go, the leaf stays and so does the tree. That it was done is recorded
// in the same transaction, with the entries' numbers. It returns how many they
// were; those that were erased before do not count. The database's owner alone
// may do this.
//
// What the service still relies on is not erased: which record of a citizen is
// the newest as long as there is one, what makes a certificate revoked that has
// not ended, and why entries are erased.
func (db *DB) Erase(ctx context.Context, e Erasure) (int, error) {
	if (e.Person == "") == (len(e.Numbers) == 0) || e.Operator == "" || e.Reason == "" {
		return 0, ErrErasureUnclear
	}
	erased := 0
	err := db.inTx(ctx, func(tx pgx.Tx) error {
		var (
			records []audit.Record
			err     error
		)
		if e.Person != "" {
			records, err = erasableOf(ctx, tx, e.Person, e.Ended)
		} else {
			records, err = erasableAt(ctx, tx, e.Numbers, db.Now())
		}
		if err != nil || len(records) == 0 {
			return err
		}
		erased = len(records)
		if err := erase(ctx, tx, records); err != nil {
			return err
		}
		return db.record(ctx, tx, erasures(e, records, db.Now())...)
	})
	if err != nil {
		return 0, err
	}
	return erased, nil
}

// erasableOf are the entries about somebody who is gone for long enough.
func erasableOf(ctx context.Context, tx pgx.Tx, person string, ended time.Time) ([]audit.Record, error) {
	var ripe bool
	// Without a row there is nobody of that number, and nothing but the entries
	// themselves tells how long ago.
	err := tx.QueryRow(ctx, `
		SELECT CASE
			WHEN EXISTS (SELECT FROM citizens WHERE identifier = @person) THEN
				NOT EXISTS (SELECT FROM citizens WHERE identifier = @person AND status NOT IN ('deregistered', 'deceased'))
				AND NOT EXISTS (
					SELECT
					FROM citizens c
					JOIN credentials k ON k.citizen_id = c.id
					JOIN certificates z ON z.credential_id = k.id
					WHERE c.identifier = @person AND z.not_after >= @ended
				)
			ELSE NOT EXISTS (SELECT FROM log_entries WHERE person = @person AND at >= @ended)
		END`, pgx.NamedArgs{"person": person, "ended": ended}).Scan(&ripe)
	if err != nil {
		return nil, err
	}
	if !ripe {
		return nil, ErrErasureEarly
	}
	return erasable(ctx, tx, `
		WHERE person = @person AND salt IS NOT NULL AND NOT (
			type = 'citizen.sealed' AND EXISTS (SELECT FROM citizens WHERE identifier = @person)
		)`, pgx.NamedArgs{"person": person})
}

// erasableAt are entries by their numbers, all or an error.
func erasableAt(ctx context.Context, tx pgx.Tx, numbers []int64, now time.Time) ([]audit.Record, error) {
	var needed *int64
	err := tx.QueryRow(ctx, `
		SELECT min(seq)
		FROM log_entries e
		WHERE seq = ANY(@numbers) AND (
			type IN ('log.erased', 'log.recovered')
			OR type = 'citizen.sealed' AND EXISTS (SELECT FROM citizens WHERE identifier = e.person)
			OR type IN `+statusTypes+` AND EXISTS (
				SELECT
				FROM credentials k
				JOIN certificates z ON z.credential_id = k.id
				WHERE k.citizen_id = e.operation AND z.not_after >= @now
			)
		)`, pgx.NamedArgs{"numbers": numbers, "now": now}).Scan(&needed)
	if err != nil {
		return nil, err
	}
	if needed != nil {
		return nil, fmt.Errorf("%w: number %d", ErrErasureNeeded, *needed)
	}
	return erasable(ctx, tx, `WHERE seq = ANY(@numbers) AND salt IS NOT NULL`, pgx.NamedArgs{"numbers": numbers})
}

// erasable reads what tells an entry's terms, and locks it.
func erasable(ctx context.Context, tx pgx.Tx, where string, args pgx.NamedArgs) ([]audit.Record, error) {
	rows, err := tx.Query(ctx, `
		SELECT seq, type, payload
		FROM log_entries
		`+where+`
		ORDER BY seq
		FOR UPDATE`, args)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (r audit.Record, err error) {
		if err := row.Scan(&r.Seq, &r.Type, &r.Payload); err != nil {
			return r, err
		}
		r.Terms, err = audit.Terms(r.Type, r.Payload)
		return r, err
	})
}

func erase(ctx context.Context, tx pgx.Tx, records []audit.Record) error {
	var w written
	for _, r := range records {
		w.add(r)
	}
	_, err := tx.Exec(ctx, `
		DELETE FROM log_terms t
		USING unnest(@kinds::text[], @values::text[], @entries::bigint[]) AS erased (kind, value, seq)
		WHERE t.kind = erased.kind AND t.value = erased.value AND t.seq = erased.seq`, pgx.NamedArgs{
		"kinds":   w.kinds,
		"values":  w.values,
		"entries": w.entries,
	})
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE log_entries SET person = '', payload = NULL, salt = NULL WHERE seq = ANY(@seqs)`, pgx.NamedArgs{"seqs": w.seqs})
	return err
}

// erasures say which entries were erased, a thousand at a time.
func erasures(e Erasure, records []audit.Record, now time.Time) []audit.Entry {
	const most = 1000
	var (
		entries []audit.Entry
		numbers []int64
	)
	for i, r := range records {
		numbers = append(numbers, r.Seq)
		if len(numbers) < most && i+1 < len(records) {
			continue
		}
		entries = append(entries, audit.Entry{Type: audit.LogErased, Operation: "log", At: now, Payload: map[string]any{
			"entries": len(numbers), "numbers": numbers, "operator": e.Operator, "reason": e.Reason,
		}})
		numbers = nil
	}
	return entries
}
