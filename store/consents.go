package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// GiveConsent implements signer.Store.
func (db *DB) GiveConsent(ctx context.Context, c signer.ServiceConsent, ticketHash []byte, e audit.Entry) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		if err := spendTicket(ctx, tx, ticketHash, e.At); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			INSERT INTO service_consents (id, citizen_id, application_id, scopes, given_at)
			VALUES (@id, @citizen, @application, @scopes, @at)`, pgx.NamedArgs{
			"id":          c.ID,
			"citizen":     c.CitizenID,
			"application": c.Application.ID,
			"scopes":      c.Scopes,
			"at":          c.GivenAt,
		})
		if violated(err, "service_consents_application_id_fkey") {
			return policies.Refuse(policies.ApplicationUnknown)
		}
		if err != nil {
			return err
		}
		return db.record(ctx, tx, e)
	})
}

// WithdrawConsents implements signer.Store. Tokens are read with their grant: that
// one ends, and they end with it.
func (db *DB) WithdrawConsents(ctx context.Context, citizenID, applicationID string, e audit.Entry) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		args := pgx.NamedArgs{"citizen": citizenID, "application": applicationID, "at": e.At}
		tag, err := tx.Exec(ctx, `
			UPDATE service_consents
			SET withdrawn_at = @at
			WHERE citizen_id = @citizen AND application_id = @application AND withdrawn_at IS NULL`, args)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return policies.Refuse(policies.NotFound)
		}
		if _, err := tx.Exec(ctx, `
			UPDATE oauth_grants
			SET revoked_at = @at, sad = NULL
			WHERE revoked_at IS NULL AND consent_id IN (
				SELECT id FROM service_consents WHERE citizen_id = @citizen AND application_id = @application)`, args); err != nil {
			return err
		}
		return db.record(ctx, tx, e)
	})
}

// LiveConsents lists what applications may see of a citizen now, one row an
// application, the newest first.
func (p Public) LiveConsents(ctx context.Context, citizenID string, now time.Time) ([]signer.ServiceConsent, error) {
	rows, err := p.db.pool.Query(ctx, `
		SELECT
			a.id,
			a.name,
			a.organisation,
			array_agg(DISTINCT scope ORDER BY scope),
			max(c.given_at) AS given,
			max(g.expires_at)
		FROM service_consents c
		JOIN oauth_grants g ON g.consent_id = c.id AND g.revoked_at IS NULL AND g.expires_at > @now
		JOIN applications a ON a.id = c.application_id
		CROSS JOIN unnest(c.scopes) AS scope
		WHERE c.citizen_id = @citizen AND c.withdrawn_at IS NULL
		GROUP BY a.id
		ORDER BY given DESC, a.id`, pgx.NamedArgs{"citizen": citizenID, "now": now})
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (c signer.ServiceConsent, err error) {
		err = row.Scan(&c.Application.ID, &c.Application.Name, &c.Application.Organisation, &c.Scopes, &c.GivenAt, &c.Until)
		c.CitizenID = citizenID
		return c, err
	})
}
