package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
)

var _ citizen.LetterStore = (*DB)(nil)

// RequestLetter implements citizen.LetterStore. The index letters_one makes one
// of all requests at once.
func (db *DB) RequestLetter(ctx context.Context, l citizen.Letter, again time.Time, e func(created bool) audit.Entry) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		args := pgx.NamedArgs{
			"id":         l.ID,
			"identifier": l.Identifier,
			"recipient":  l.Recipient,
			"state":      l.State,
			"requested":  l.RequestedAt,
			"expires":    l.ExpiresAt,
			"epoch":      l.Seal.Epoch,
			"seal":       l.Seal.MAC,
			"again":      again,
		}
		if _, err := tx.Exec(ctx, `
			UPDATE letters
			SET state = 'void'
			WHERE identifier = @identifier AND state IN ('requested', 'printed') AND (expires_at <= @requested OR printed_at <= @again)`, args); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `
			INSERT INTO letters (id, identifier, recipient, state, requested_at, expires_at, seal_epoch, seal)
			VALUES (@id, @identifier, @recipient, @state, @requested, @expires, @epoch, @seal)
			ON CONFLICT DO NOTHING`, args)
		if err != nil {
			return err
		}
		return db.record(ctx, tx, e(tag.RowsAffected() == 1))
	})
}

// Letter implements citizen.LetterStore.
func (db *DB) Letter(ctx context.Context, id string, now time.Time) (citizen.Letter, error) {
	l, err := db.readLetter(ctx, `id = @key AND state IN ('requested', 'printed')`, id, now)
	if err == nil && l.ID == "" {
		err = policies.Refuse(policies.NotFound)
	}
	return l, err
}

// LetterTo implements citizen.LetterStore.
func (db *DB) LetterTo(ctx context.Context, identifier string, now time.Time) (citizen.Letter, error) {
	return db.readLetter(ctx, `identifier = @key AND state = 'printed'`, identifier, now)
}

func (db *DB) readLetter(ctx context.Context, where, key string, now time.Time) (citizen.Letter, error) {
	var (
		l       citizen.Letter
		printed *time.Time
		by      *citizen.LetterPrinting
	)
	err := db.pool.QueryRow(ctx, `
		SELECT
			id,
			identifier,
			recipient,
			state,
			pepper_epoch,
			mac,
			requested_at,
			printed_at,
			printed_by,
			times,
			expires_at,
			seal_epoch,
			seal
		FROM letters
		WHERE expires_at > @now AND `+where, pgx.NamedArgs{"key": key, "now": now}).Scan(
		&l.ID,
		&l.Identifier,
		&l.Recipient,
		&l.State,
		&l.Pepper,
		&l.MAC,
		&l.RequestedAt,
		&printed,
		&by,
		&l.Times,
		&l.ExpiresAt,
		&l.Seal.Epoch,
		&l.Seal.MAC,
	)
	if errors.Is(err, pgx.ErrNoRows) {
		return l, nil
	}
	l.PrintedAt = orZero(printed)
	if by != nil {
		l.PrintedBy = *by
	}
	return l, classify(err)
}

// PrintLetter implements citizen.LetterStore.
func (db *DB) PrintLetter(ctx context.Context, l citizen.Letter, e audit.Entry) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		args := pgx.NamedArgs{
			"id":         l.ID,
			"identifier": l.Identifier,
			"state":      l.State,
			"pepper":     l.Pepper,
			"mac":        l.MAC,
			"printed":    l.PrintedAt,
			"by":         l.PrintedBy,
			"times":      l.Times,
			"expires":    l.ExpiresAt,
		}
		err := swap(ctx, tx, policies.Refuse(policies.RequestState, "state", string(l.State)), `
			UPDATE letters
			SET state = @state, pepper_epoch = @pepper, mac = @mac, printed_at = @printed, printed_by = @by, times = @times, expires_at = @expires
			WHERE id = @id AND times = @times - 1 AND state IN ('requested', 'printed')`, args)
		if err != nil {
			return err
		}
		if err := forgetLetterAttempts(ctx, tx, l.Identifier); err != nil {
			return err
		}
		return db.record(ctx, tx, e)
	})
}

// CountLetterAttempt implements citizen.LetterStore.
func (db *DB) CountLetterAttempt(ctx context.Context, identifier string, now time.Time) (int, error) {
	return db.countAttempt(ctx, "letter", identifier, now)
}

// LetterAnswered implements citizen.LetterStore.
func (db *DB) LetterAnswered(ctx context.Context, identifier string, e audit.Entry) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		if err := forgetLetterAttempts(ctx, tx, identifier); err != nil {
			return err
		}
		return db.record(ctx, tx, e)
	})
}

func forgetLetterAttempts(ctx context.Context, tx pgx.Tx, identifier string) error {
	_, err := tx.Exec(ctx, `
		DELETE FROM attempts
		WHERE kind = 'letter' AND subject = @identifier`, pgx.NamedArgs{"identifier": identifier})
	return err
}

// voidLetters withdraws what invites somebody to register who has died.
func voidLetters(ctx context.Context, tx pgx.Tx, citizenID string) error {
	_, err := tx.Exec(ctx, `
		UPDATE letters
		SET state = 'void'
		WHERE identifier = (SELECT identifier FROM citizens WHERE id = @id) AND state IN ('requested', 'printed')`, pgx.NamedArgs{"id": citizenID})
	return err
}

// endLetters is what a registration does to letters that invite to one.
func endLetters(ctx context.Context, tx pgx.Tx, citizenID string) error {
	_, err := tx.Exec(ctx, `
		UPDATE letters
		SET state = 'used'
		WHERE identifier = (SELECT identifier FROM citizens WHERE id = @id) AND state IN ('requested', 'printed')`, pgx.NamedArgs{"id": citizenID})
	return err
}
