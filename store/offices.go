package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
)

var (
	_ citizen.Offices    = (*DB)(nil)
	_ citizen.OfficeRows = (*DB)(nil)
)

const selectOffice = `
	SELECT
		id,
		name,
		organisation,
		scopes,
		enabled,
		public_key,
		seal,
		coalesce(seal_epoch, 0)
	FROM applications`

func scanOffice(row pgx.CollectableRow) (citizen.Office, error) {
	var o citizen.Office
	err := row.Scan(
		&o.ID,
		&o.Name,
		&o.Organisation,
		&o.Scopes,
		&o.Enabled,
		&o.PublicKey,
		&o.Seal,
		&o.SealEpoch,
	)
	return o, err
}

// Office implements citizen.Offices.
func (db *DB) Office(ctx context.Context, id string) (citizen.Office, error) {
	rows, err := db.pool.Query(ctx, selectOffice+` WHERE id = @id`, pgx.NamedArgs{"id": id})
	if err != nil {
		return citizen.Office{}, err
	}
	o, err := pgx.CollectExactlyOneRow(rows, scanOffice)
	if errors.Is(err, pgx.ErrNoRows) {
		return o, policies.Refuse(policies.ApplicationUnknown)
	}
	return o, err
}

// AllOffices implements citizen.OfficeRows.
func (db *DB) AllOffices(ctx context.Context) ([]citizen.Office, error) {
	rows, err := db.pool.Query(ctx, selectOffice+` WHERE public_key IS NOT NULL ORDER BY id`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanOffice)
}

// ResealOffice implements citizen.OfficeRows.
func (db *DB) ResealOffice(ctx context.Context, o citizen.Office, key citizen.OfficeKey) error {
	_, err := db.pool.Exec(ctx, `
		UPDATE applications
		SET seal = @seal, seal_epoch = @epoch
		WHERE id = @id AND seal = @was`, pgx.NamedArgs{"id": o.ID, "was": o.Seal, "seal": key.Seal, "epoch": key.SealEpoch})
	return err
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

// OfficeActs implements citizen.Store.
func (db *DB) OfficeActs(ctx context.Context, office string, kind citizen.ActKind, since time.Time) (int, error) {
	var n int
	err := db.pool.QueryRow(ctx, `
		SELECT count(*)
		FROM office_acts
		WHERE office = @office AND act = @act AND at > @since`, pgx.NamedArgs{"office": office, "act": kind, "since": since}).Scan(&n)
	return n, err
}
