package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/signer"
)

// AddApplication registers a client with its return addresses.
func (db *DB) AddApplication(ctx context.Context, c signer.Client, now time.Time) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			INSERT INTO applications (id, name, organisation, secret_hash, scopes, created_at)
			VALUES (@id, @name, @organisation, @secret, @scopes, @now)`, pgx.NamedArgs{
			"id":           c.ID,
			"name":         c.Name,
			"organisation": c.Organisation,
			"secret":       c.SecretHash,
			"scopes":       c.Scopes,
			"now":          now,
		})
		if err != nil {
			return err
		}
		for _, url := range c.ReturnAddresses {
			if _, err := tx.Exec(ctx, `
				INSERT INTO return_addresses (application_id, url)
				VALUES (@id, @url)`, pgx.NamedArgs{"id": c.ID, "url": url}); err != nil {
				return err
			}
		}
		return db.record(ctx, tx, audit.Entry{
			Type: audit.ApplicationAdded, Operation: c.ID, At: now,
			Payload: map[string]any{"name": c.Name, "organisation": c.Organisation, "scopes": c.Scopes, "return_addresses": c.ReturnAddresses},
		})
	})
}
