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

var _ citizen.PINStore = (*DB)(nil)

// PreparePIN implements citizen.PINStore. The citizen's row orders concurrent
// demands. A stranger's passes through the same statements.
func (db *DB) PreparePIN(ctx context.Context, p citizen.PINRow, perHour int, e audit.Entry) (send bool, err error) {
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		args := pgx.NamedArgs{
			"id":         p.ID,
			"identifier": p.Identifier,
			"citizen":    orNull(p.CitizenID),
			"pepper":     p.Pepper,
			"mac":        p.MAC,
			"state":      p.State,
			"now":        p.CreatedAt,
			"expires":    p.ExpiresAt,
			"hour":       p.CreatedAt.Add(-time.Hour),
		}
		if _, err := tx.Exec(ctx, `SELECT 1 FROM citizens WHERE id = @citizen FOR UPDATE`, args); err != nil {
			return err
		}
		var sent int
		if err := tx.QueryRow(ctx, `
			SELECT count(*)
			FROM pins
			WHERE citizen_id = @citizen AND created_at > @hour`, args).Scan(&sent); err != nil {
			return err
		}
		if send = p.CitizenID != "" && sent < perHour; !send {
			args["citizen"] = nil
		}
		if _, err := tx.Exec(ctx, `
			UPDATE pins
			SET state = 'superseded'
			WHERE citizen_id = @citizen AND state IN ('prepared', 'sent', 'failed')`, args); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
			INSERT INTO pins (id, identifier, citizen_id, pepper_epoch, mac, state, created_at, expires_at)
			VALUES (@id, @identifier, @citizen, @pepper, @mac, @state, @now, @expires)`, args); err != nil {
			return err
		}
		return db.record(ctx, tx, e)
	})
	return send && err == nil, err
}

// SentPIN implements citizen.PINStore. A PIN that was superseded or used since
// stays so.
func (db *DB) SentPIN(ctx context.Context, id string, to citizen.PINState, e audit.Entry) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `
			UPDATE pins
			SET state = @to
			WHERE id = @id AND state = 'prepared'`, pgx.NamedArgs{"id": id, "to": to}); err != nil {
			return err
		}
		return db.record(ctx, tx, e)
	})
}

// TryPIN implements citizen.PINStore.
func (db *DB) TryPIN(ctx context.Context, try citizen.PINTry) (citizen.PINRow, error) {
	var p citizen.PINRow
	err := db.inTx(ctx, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `
			SELECT
				id,
				identifier,
				coalesce(citizen_id, ''),
				pepper_epoch,
				mac,
				attempts,
				state,
				created_at,
				expires_at
			FROM pins
			WHERE id = @id
			FOR UPDATE`, pgx.NamedArgs{"id": try.ID}).Scan(
			&p.ID,
			&p.Identifier,
			&p.CitizenID,
			&p.Pepper,
			&p.MAC,
			&p.Attempts,
			&p.State,
			&p.CreatedAt,
			&p.ExpiresAt,
		)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return policies.Refuse(policies.PINMismatch, "reason", "expired")
		case err != nil:
			return err
		case p.State == citizen.PINConsumed, !try.Now.Before(p.ExpiresAt):
			return policies.Refuse(policies.PINMismatch, "reason", "expired")
		case p.Attempts >= try.Limit:
			return policies.Refuse(policies.PINMismatch, "reason", "exhausted")
		}
		p.Attempts++
		_, err = tx.Exec(ctx, `
			UPDATE pins
			SET attempts = attempts + 1
			WHERE id = @id`, pgx.NamedArgs{"id": p.ID})
		return err
	})
	return p, err
}

// UsePIN implements citizen.PINStore.
func (db *DB) UsePIN(ctx context.Context, id string, now time.Time) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		return swap(ctx, tx, policies.Refuse(policies.PINMismatch, "reason", "expired"), `
			UPDATE pins
			SET state = 'consumed'
			WHERE id = @id AND state IN ('prepared', 'sent', 'failed') AND expires_at > @now`, pgx.NamedArgs{"id": id, "now": now})
	})
}
