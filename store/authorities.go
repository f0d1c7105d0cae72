package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/audit"
)

// Authority is a certificate of the internal CA.
type Authority struct {
	Name     string // root or issuing
	KeyLabel string
	DER      []byte
}

// Authorities reads the hierarchy by name.
func (db *DB) Authorities(ctx context.Context) (map[string]Authority, error) {
	rows, err := db.pool.Query(ctx, `SELECT name, key_label, der FROM authorities`)
	if err != nil {
		return nil, err
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Authority])
	out := make(map[string]Authority, len(list))
	for _, a := range list {
		out[a.Name] = a
	}
	return out, err
}

// KeyChecks reads the check values of the token's secret keys, by label.
func (db *DB) KeyChecks(ctx context.Context) (map[string][]byte, error) {
	rows, err := db.pool.Query(ctx, `SELECT label, check_value FROM key_checks`)
	if err != nil {
		return nil, err
	}
	out := make(map[string][]byte)
	var (
		label string
		value []byte
	)
	_, err = pgx.ForEachRow(rows, []any{&label, &value}, func() error {
		out[label] = value
		return nil
	})
	return out, err
}

// Ceremony is what a first ceremony of keys leaves in the database.
type Ceremony struct {
	Authorities []Authority
	Checks      map[string][]byte
}

// RecordCeremony stores the ceremony with its log entry, once.
func (db *DB) RecordCeremony(ctx context.Context, c Ceremony, e audit.Entry) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		for _, a := range c.Authorities {
			if _, err := tx.Exec(ctx, `
				INSERT INTO authorities (name, key_label, der, created_at)
				VALUES (@name, @label, @der, @now)`,
				pgx.NamedArgs{"name": a.Name, "label": a.KeyLabel, "der": a.DER, "now": e.At}); err != nil {
				return err
			}
		}
		for label, value := range c.Checks {
			if _, err := tx.Exec(ctx, `
				INSERT INTO key_checks (label, check_value, created_at)
				VALUES (@label, @value, @now)`,
				pgx.NamedArgs{"label": label, "value": value, "now": e.At}); err != nil {
				return err
			}
		}
		return db.record(ctx, tx, e)
	})
}

// CRL is a published revocation list.
type CRL struct {
	Number     int64
	DER        []byte
	ThisUpdate time.Time
	NextUpdate time.Time
}

// NewestCRL returns the list with the highest number, one with number 0 if
// there is none yet.
func (db *DB) NewestCRL(ctx context.Context) (CRL, error) {
	var c CRL
	err := db.pool.QueryRow(ctx, `
		SELECT number, der, this_update, next_update
		FROM crls
		ORDER BY number DESC
		LIMIT 1`).Scan(&c.Number, &c.DER, &c.ThisUpdate, &c.NextUpdate)
	if errors.Is(err, pgx.ErrNoRows) {
		return CRL{}, nil
	}
	return c, err
}

// PublishCRL stores a list; it reports false if another process was faster.
func (db *DB) PublishCRL(ctx context.Context, c CRL) (bool, error) {
	tag, err := db.pool.Exec(ctx, `
		INSERT INTO crls (number, der, this_update, next_update)
		VALUES (@number, @der, @this, @next)
		ON CONFLICT DO NOTHING`,
		pgx.NamedArgs{"number": c.Number, "der": c.DER, "this": c.ThisUpdate, "next": c.NextUpdate})
	return tag.RowsAffected() == 1, err
}

// Revocation is an entry of the revocation list.
type Revocation struct {
	Serial string // lower-case hexadecimal
	At     time.Time
	Reason int // RFC 5280 section 5.3.1
}

// Revocations lists the revoked certificates that have not expired.
func (db *DB) Revocations(ctx context.Context, now time.Time) ([]Revocation, error) {
	rows, err := db.pool.Query(ctx, `
		SELECT serial, revoked_at, reason
		FROM certificates
		WHERE revoked_at IS NOT NULL AND not_after > @now
		ORDER BY revoked_at`, pgx.NamedArgs{"now": now})
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Revocation])
}

// RevokedSince reports whether anything was revoked after t.
func (db *DB) RevokedSince(ctx context.Context, t time.Time) (bool, error) {
	var found bool
	err := db.pool.QueryRow(ctx, `
		SELECT EXISTS (SELECT FROM certificates WHERE revoked_at > @t)`, pgx.NamedArgs{"t": t}).Scan(&found)
	return found, err
}
