package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
)

var _ citizen.Offices = (*DB)(nil)

// Office implements citizen.Offices.
func (db *DB) Office(ctx context.Context, id string) (citizen.Office, error) {
	var o citizen.Office
	err := db.pool.QueryRow(ctx, `
		SELECT
			id,
			name,
			organisation,
			scopes,
			enabled,
			public_key,
			seal,
			coalesce(seal_epoch, 0)
		FROM applications
		WHERE id = @id`, pgx.NamedArgs{"id": id}).Scan(
		&o.ID,
		&o.Name,
		&o.Organisation,
		&o.Scopes,
		&o.Enabled,
		&o.PublicKey,
		&o.Seal,
		&o.SealEpoch,
	)
	if errors.Is(err, pgx.ErrNoRows) {
		return o, policies.Refuse(policies.ApplicationUnknown)
	}
	return o, err
}

// RecordAct implements citizen.Offices.
func (db *DB) RecordAct(ctx context.Context, s citizen.Statement, now time.Time) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		return swap(ctx, tx, policies.Refuse(policies.OfficeActRepeated), `
			INSERT INTO office_acts (office, jti, act, at)
			VALUES (@office, @jti, @act, @now)
			ON CONFLICT (office, jti) DO NOTHING`, pgx.NamedArgs{
			"office": s.Office,
			"jti":    s.ID,
			"act":    s.Kind,
			"now":    now,
		})
	})
}
