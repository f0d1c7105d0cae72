package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/signer"
)

// countAttempt commits on its own: whatever happens to the comparison that
// follows, the attempt has been counted.
func (db *DB) countAttempt(ctx context.Context, kind, subject string, now time.Time) (int, error) {
	var failures int
	err := db.pool.QueryRow(ctx, `
		INSERT INTO attempts (kind, subject, failures, updated_at)
		VALUES (@kind, @subject, 1, @now)
		ON CONFLICT (kind, subject, source) DO UPDATE
		SET failures = attempts.failures + 1, updated_at = @now
		RETURNING failures`, pgx.NamedArgs{"kind": kind, "subject": subject, "now": now}).Scan(&failures)
	return failures, err
}

// CountPasswordAttempt implements signer.Store. Guesses from a network that the
// citizen has come from have a row of their own; all others share one.
func (db *DB) CountPasswordAttempt(ctx context.Context, g signer.Guess) (signer.Tally, error) {
	var t signer.Tally
	err := db.inTx(ctx, func(tx pgx.Tx) error {
		args := pgx.NamedArgs{
			"subject": g.Identifier,
			"source":  g.Source,
			"now":     g.Now,
			"since":   g.Now.Add(-g.Limits.Familiar),
			"tries":   g.Limits.Tries,
			"hard":    g.Limits.Hard,
		}
		err := tx.QueryRow(ctx, `
			SELECT
				EXISTS (SELECT FROM familiar_sources WHERE subject = @subject AND source = @source AND last_at > @since),
				EXISTS (SELECT FROM attempts WHERE kind = 'password' AND subject = @subject
					AND failures >= CASE source WHEN '' THEN @hard::integer ELSE @tries::integer END)`, args).Scan(&t.Familiar, &t.Locked)
		if err != nil {
			return err
		}
		if !t.Familiar {
			args["source"] = ""
		}
		return countGuess(ctx, tx, g, args, &t)
	})
	return t, err
}

// countGuess adds one to a row unless it is paused. The pause that this guess
// begins is for the next one.
func countGuess(ctx context.Context, tx pgx.Tx, g signer.Guess, args pgx.NamedArgs, t *signer.Tally) error {
	err := tx.QueryRow(ctx, `
		INSERT INTO attempts (kind, subject, source, failures, updated_at)
		VALUES ('password', @subject, @source, 1, @now)
		ON CONFLICT (kind, subject, source) DO UPDATE
		SET failures = attempts.failures + 1, updated_at = @now
		WHERE attempts.not_before <= @now
		RETURNING failures`, args).Scan(&t.Failures)
	if errors.Is(err, pgx.ErrNoRows) {
		return tx.QueryRow(ctx, `
			SELECT failures, not_before
			FROM attempts
			WHERE kind = 'password' AND subject = @subject AND source = @source`, args).Scan(&t.Failures, &t.RetryAt)
	}
	pause := g.Limits.PauseAfter(t.Failures)
	if err != nil || pause == 0 {
		return err
	}
	args["until"] = g.Now.Add(pause)
	_, err = tx.Exec(ctx, `
		UPDATE attempts
		SET not_before = @until
		WHERE kind = 'password' AND subject = @subject AND source = @source`, args)
	return err
}

// clearAttempts forgets the failures of one kind about a citizen.
func clearAttempts(ctx context.Context, tx pgx.Tx, kind, citizenID string) error {
	_, err := tx.Exec(ctx, `
		DELETE FROM attempts
		WHERE kind = @kind AND subject = (SELECT identifier FROM citizens WHERE id = @id)`,
		pgx.NamedArgs{"kind": kind, "id": citizenID})
	return err
}

// PasswordProved implements signer.Store.
func (db *DB) PasswordProved(ctx context.Context, t signer.TicketRow, e audit.Entry) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		if err := trust(ctx, tx, t, e.At); err != nil {
			return err
		}
		return db.record(ctx, tx, e)
	})
}

// trust clears the failures of a citizen who has proved the password, and
// remembers the network.
func trust(ctx context.Context, tx pgx.Tx, t signer.TicketRow, now time.Time) error {
	if err := clearAttempts(ctx, tx, "password", t.CitizenID); err != nil || t.Source == "" {
		return err
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO familiar_sources (subject, source, last_at)
		SELECT identifier, @source, @now FROM citizens WHERE id = @id
		ON CONFLICT (subject, source) DO UPDATE
		SET last_at = @now`, pgx.NamedArgs{"source": t.Source, "now": now, "id": t.CitizenID})
	return err
}
