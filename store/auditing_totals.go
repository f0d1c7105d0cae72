package store

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/audit"
)

// totalPortion is how many entries one transaction counts.
const totalPortion = 5000

// errCounted means that another process has counted in the meantime.
var errCounted = errors.New("the totals have gone on")

// Total counts what has been appended since it was called last. It may be
// broken off and called by several at once: each entry is counted once.
func (db *DB) Total(ctx context.Context) error {
	for {
		more, err := db.total(ctx)
		if errors.Is(err, errCounted) {
			return nil // by the other
		}
		if err != nil || !more {
			return err
		}
	}
}

// total counts one portion. The head is touched last, so that appends wait for
// no more than its update.
func (db *DB) total(ctx context.Context) (more bool, err error) {
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		var from, size int64
		if err := tx.QueryRow(ctx, `SELECT totalled, size FROM log_head`).Scan(&from, &size); err != nil {
			return err
		}
		to := min(size, from+totalPortion)
		if more = to < size; from == to {
			return nil
		}
		if err := addTotals(ctx, tx, from, to); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `UPDATE log_head SET totalled = @to WHERE totalled = @from`, pgx.NamedArgs{"from": from, "to": to})
		if err == nil && tag.RowsAffected() != 1 {
			return errCounted
		}
		return err
	})
	return more, err
}

func addTotals(ctx context.Context, tx pgx.Tx, from, to int64) error {
	rows, err := tx.Query(ctx, `
		SELECT type, at, payload
		FROM log_entries
		WHERE seq >= @from AND seq < @to`, pgx.NamedArgs{"from": from, "to": to})
	if err != nil {
		return err
	}
	var (
		kind    audit.EventType
		at      time.Time
		payload []byte
		counts  = map[audit.Total]*audit.Total{}
	)
	_, err = pgx.ForEachRow(rows, []any{&kind, &at, &payload}, func() error {
		one := audit.Total{Day: at.UTC().Truncate(24 * time.Hour), Type: kind}
		// What was erased, or altered, has nothing to tell; that it happened counts.
		terms, _ := audit.Terms(kind, payload)
		for _, t := range terms {
			switch t.Kind {
			case audit.TermApplication:
				one.Application = t.Value
			case audit.TermReason:
				one.Reason = t.Value
			}
		}
		if counts[one] == nil {
			counts[one] = new(one)
		}
		counts[one].N++
		counts[one].Seconds += secondsOf(kind, payload)
		return nil
	})
	if err != nil {
		return err
	}
	return writeTotals(ctx, tx, slices.Collect(maps.Values(counts)))
}

// secondsOf is the time from a code to its confirmation, which consent was given with.
func secondsOf(kind audit.EventType, payload []byte) int64 {
	var told struct {
		Seconds int64 `json:"seconds"`
	}
	if kind != audit.SignAuthorised || json.Unmarshal(payload, &told) != nil {
		return 0
	}
	return told.Seconds
}

// writeTotals is in one order for all, so that two of them wait for each other
// instead of for ever.
func writeTotals(ctx context.Context, tx pgx.Tx, totals []*audit.Total) error {
	slices.SortFunc(totals, func(a, b *audit.Total) int {
		return cmp.Or(a.Day.Compare(b.Day), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Application, b.Application), cmp.Compare(a.Reason, b.Reason))
	})
	var batch pgx.Batch
	for _, t := range totals {
		batch.Queue(`
			INSERT INTO log_totals AS t (day, type, application, reason, n, seconds)
			VALUES (@day, @type, @application, @reason, @n, @seconds)
			ON CONFLICT (day, type, application, reason) DO UPDATE
			SET
				n = t.n + excluded.n,
				seconds = t.seconds + excluded.seconds`, pgx.NamedArgs{
			"day":         t.Day,
			"type":        t.Type,
			"application": t.Application,
			"reason":      t.Reason,
			"n":           t.N,
			"seconds":     t.Seconds,
		})
	}
	return tx.SendBatch(ctx, &batch).Close()
}
