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

var _ citizen.CardStore = (*DB)(nil)

// PutCard implements citizen.CardStore.
func (db *DB) PutCard(ctx context.Context, c citizen.Card, e audit.Entry) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `
			INSERT INTO cards (number, identifier, email, pepper_epoch, pin_mac, seal_epoch, seal, created_at)
			VALUES (@number, @identifier, @email, @pepper, @pin, @epoch, @seal, @now)
			ON CONFLICT (number) DO UPDATE
			SET identifier = @identifier, email = @email, pepper_epoch = @pepper, pin_mac = @pin, key_epoch = NULL, key_mac = NULL, key_at = NULL,
				seal_epoch = @epoch, seal = @seal, created_at = @now, disabled_at = NULL`, pgx.NamedArgs{
			"number":     c.Number,
			"identifier": c.Identifier,
			"email":      c.Email,
			"pepper":     c.Pepper,
			"pin":        c.PINMAC,
			"epoch":      c.Seal.Epoch,
			"seal":       c.Seal.MAC,
			"now":        c.CreatedAt,
		}); err != nil {
			return err
		}
		if err := forgetCardAttempts(ctx, tx, c.Number); err != nil {
			return err
		}
		return db.record(ctx, tx, e)
	})
}

// Card implements citizen.CardStore.
func (db *DB) Card(ctx context.Context, number string) (citizen.Card, error) {
	var (
		c     citizen.Card
		epoch *int
		at    *time.Time
	)
	err := db.pool.QueryRow(ctx, `
		SELECT
			number,
			identifier,
			email,
			pepper_epoch,
			pin_mac,
			key_epoch,
			key_mac,
			key_at,
			seal_epoch,
			seal,
			created_at
		FROM cards
		WHERE number = @number AND disabled_at IS NULL`, pgx.NamedArgs{"number": number}).Scan(
		&c.Number,
		&c.Identifier,
		&c.Email,
		&c.Pepper,
		&c.PINMAC,
		&epoch,
		&c.Key.MAC,
		&at,
		&c.Seal.Epoch,
		&c.Seal.MAC,
		&c.CreatedAt,
	)
	if errors.Is(err, pgx.ErrNoRows) {
		return c, nil
	}
	if epoch != nil {
		c.Key.Pepper = *epoch
	}
	c.Key.At = orZero(at)
	return c, classify(err)
}

// CountCardAttempt implements citizen.CardStore.
func (db *DB) CountCardAttempt(ctx context.Context, number string, now time.Time) (int, error) {
	return db.countAttempt(ctx, "card", number, now)
}

// CardProved implements citizen.CardStore.
func (db *DB) CardProved(ctx context.Context, c citizen.Card, e audit.Entry) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		err := swap(ctx, tx, policies.Refuse(policies.CardMismatch), `
			UPDATE cards
			SET pepper_epoch = @pepper, pin_mac = @pin, seal_epoch = @epoch, seal = @seal,
				key_epoch = CASE WHEN key_mac IS NULL THEN NULL ELSE @key_epoch::integer END, key_mac = CASE WHEN key_mac IS NULL THEN NULL ELSE @key::bytea END
			WHERE number = @number AND created_at = @created AND disabled_at IS NULL AND key_at IS NOT DISTINCT FROM @key_at`, pgx.NamedArgs{
			"number":    c.Number,
			"created":   c.CreatedAt,
			"pepper":    c.Pepper,
			"pin":       c.PINMAC,
			"epoch":     c.Seal.Epoch,
			"seal":      c.Seal.MAC,
			"key_epoch": c.Key.Pepper,
			"key":       c.Key.MAC,
			"key_at":    orNever(c.Key.At),
		})
		if err != nil {
			return err
		}
		if err := forgetCardAttempts(ctx, tx, c.Number); err != nil {
			return err
		}
		return db.record(ctx, tx, e)
	})
}

// SetCardKey implements citizen.CardStore.
func (db *DB) SetCardKey(ctx context.Context, number string, k citizen.CardKey, e audit.Entry) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		err := swap(ctx, tx, policies.Refuse(policies.CardMismatch), `
			UPDATE cards
			SET key_epoch = @epoch, key_mac = @mac, key_at = @at
			WHERE number = @number AND disabled_at IS NULL`, pgx.NamedArgs{"number": number, "epoch": k.Pepper, "mac": k.MAC, "at": k.At})
		if err != nil {
			return err
		}
		return db.record(ctx, tx, e)
	})
}

func forgetCardAttempts(ctx context.Context, tx pgx.Tx, number string) error {
	_, err := tx.Exec(ctx, `
		DELETE FROM attempts
		WHERE kind = 'card' AND subject = @number`, pgx.NamedArgs{"number": number})
	return err
}
