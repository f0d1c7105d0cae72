package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/signer"
)

// AddApplication registers a client with its return addresses.
func (db *DB) AddApplication(ctx context.Context, c signer.Client, now time.Time) error {
	return db.addClient(ctx, c, citizen.OfficeKey{}, now)
}

// AddOffice registers a client with the key that its acts are checked with.
func (db *DB) AddOffice(ctx context.Context, c signer.Client, key citizen.OfficeKey, now time.Time) error {
	return db.addClient(ctx, c, key, now)
}

func (db *DB) addClient(ctx context.Context, c signer.Client, key citizen.OfficeKey, now time.Time) error {
	kind := audit.ApplicationAdded
	payload := map[string]any{"application": c.ID, "name": c.Name, "organisation": c.Organisation, "scopes": c.Scopes, "return_addresses": c.ReturnAddresses}
	var epoch *int
	if key.PublicKey != nil {
		sum := sha256.Sum256(key.PublicKey)
		kind = audit.OfficeAdded
		payload["public_key_sha256"], epoch = hex.EncodeToString(sum[:]), &key.SealEpoch
	}
	return db.inTx(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			INSERT INTO applications (id, name, organisation, secret_hash, scopes, public_key, seal, seal_epoch, created_at)
			VALUES (@id, @name, @organisation, @secret, @scopes, @key, @seal, @epoch, @now)`, pgx.NamedArgs{
			"id":           c.ID,
			"name":         c.Name,
			"organisation": c.Organisation,
			"secret":       c.SecretHash,
			"scopes":       c.Scopes,
			"key":          key.PublicKey,
			"seal":         key.Seal,
			"epoch":        epoch,
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
		return db.record(ctx, tx, audit.Entry{Type: kind, Operation: c.ID, At: now, Payload: payload})
	})
}
