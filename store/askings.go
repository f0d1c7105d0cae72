package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/citizen"
)

// CountAsking implements citizen.Counter. The rows are locked in one order,
// from the narrowest to the one that all share.
func (db *DB) CountAsking(ctx context.Context, a citizen.Asking) (citizen.Asked, error) {
	var asked citizen.Asked
	rows, err := db.pool.Query(ctx, `
		INSERT INTO askings (kind, scope, subject, hour, n)
		VALUES
			(@kind, 'here', @person || ' ' || @address, @hour, 1),
			(@kind, 'person', @person, @hour, 1),
			(@kind, 'address', @address, @hour, 1),
			(@kind, 'service', '', @hour, 1)
		ON CONFLICT (kind, scope, subject, hour) DO UPDATE
		SET n = askings.n + 1
		RETURNING scope, n`, pgx.NamedArgs{
		"kind":    a.Kind,
		"person":  a.Person,
		"address": a.Address,
		"hour":    a.Now.UTC().Truncate(time.Hour),
	})
	if err != nil {
		return asked, classify(err)
	}
	var (
		scope string
		n     int
	)
	_, err = pgx.ForEachRow(rows, []any{&scope, &n}, func() error {
		switch scope {
		case "here":
			asked.Here = n
		case "person":
			asked.Person = n
		case "address":
			asked.Address = n
		case "service":
			asked.Service = n
		}
		return nil
	})
	return asked, classify(err)
}

// UncountAsking implements citizen.LetterCounter.
func (db *DB) UncountAsking(ctx context.Context, a citizen.Asking) error {
	_, err := db.pool.Exec(ctx, `
		WITH counted AS (
			SELECT n, kind, scope, subject, hour
			FROM askings
			WHERE kind = @kind AND hour = @hour AND (scope, subject) IN (('here', @person || ' ' || @address), ('person', @person))
			FOR UPDATE
		), less AS (
			UPDATE askings a
			SET n = a.n - 1
			FROM counted c
			WHERE (a.kind, a.scope, a.subject, a.hour) = (c.kind, c.scope, c.subject, c.hour) AND c.n > 1
		)
		DELETE FROM askings a
		USING counted c
		WHERE (a.kind, a.scope, a.subject, a.hour) = (c.kind, c.scope, c.subject, c.hour) AND c.n = 1`, pgx.NamedArgs{
		"kind":    a.Kind,
		"person":  a.Person,
		"address": a.Address,
		"hour":    a.Now.UTC().Truncate(time.Hour),
	})
	return classify(err)
}
