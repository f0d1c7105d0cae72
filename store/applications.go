package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype/zeronull"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// AddApplication registers a client with its return addresses.
func (db *DB) AddApplication(ctx context.Context, c signer.Client, now time.Time) error {
	return db.Administration(Operator{}).Add(ctx, c, citizen.OfficeKey{}, now)
}

// AddOffice registers a client with the key that its acts are checked with.
func (db *DB) AddOffice(ctx context.Context, c signer.Client, key citizen.OfficeKey, now time.Time) error {
	return db.Administration(Operator{}).Add(ctx, c, key, now)
}

// Add registers a client (policies.QueryInvalid if there is one of its id); an
// office has a key.
func (a Administration) Add(ctx context.Context, c signer.Client, key citizen.OfficeKey, now time.Time) error {
	kind := audit.ApplicationAdded
	payload := map[string]any{"application": c.ID, "name": c.Name, "organisation": c.Organisation, "scopes": c.Scopes, "return_addresses": c.ReturnAddresses}
	if len(c.Switches) > 0 {
		payload["switches"] = c.Switches
	}
	var epoch *int
	if key.PublicKey != nil {
		sum := sha256.Sum256(key.PublicKey)
		kind = audit.OfficeAdded
		payload["public_key_sha256"], epoch = hex.EncodeToString(sum[:]), &key.SealEpoch
	}
	return a.inTx(ctx, func(tx pgx.Tx) error {
		if err := swap(ctx, tx, policies.Refuse(policies.QueryInvalid, "reason", "application_known"), `
			INSERT INTO applications (id, name, organisation, secret_hash, scopes, contact, switches, public_key, seal, seal_epoch, created_at)
			VALUES (@id, @name, @organisation, @secret, @scopes, @contact, COALESCE(@switches::text[], '{}'), @key, @seal, @epoch, @now)
			ON CONFLICT (id) DO NOTHING`, pgx.NamedArgs{
			"id":           c.ID,
			"name":         c.Name,
			"organisation": c.Organisation,
			"secret":       c.SecretHash,
			"scopes":       c.Scopes,
			"contact":      c.Contact,
			"switches":     c.Switches,
			"key":          key.PublicKey,
			"seal":         key.Seal,
			"epoch":        epoch,
			"now":          now,
		}); err != nil {
			return err
		}
		for _, url := range c.ReturnAddresses {
			if err := addReturnAddress(ctx, tx, c.ID, url); err != nil {
				return err
			}
		}
		if err := a.db.record(ctx, tx, audit.Entry{Type: kind, Operation: c.ID, At: now, Payload: a.by.into(payload)}); err != nil {
			return err
		}
		if err := a.addKeys(ctx, tx, c.ID, c.Keys, now); err != nil {
			return err
		}
		for _, k := range c.Certificates {
			if err := a.addCertificate(ctx, tx, c.ID, k, now); err != nil {
				return err
			}
		}
		return nil
	})
}

func addReturnAddress(ctx context.Context, tx pgx.Tx, id, url string) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO return_addresses (application_id, url)
		VALUES (@id, @url)
		ON CONFLICT DO NOTHING`, pgx.NamedArgs{"id": id, "url": url})
	return err
}

const clientColumns = `
	id,
	name,
	organisation,
	secret_hash,
	former_secret_hash,
	former_secret_until,
	scopes,
	contact,
	switches,
	doors,
	formats,
	levels,
	COALESCE(calls, 0),
	ARRAY(SELECT url FROM return_addresses WHERE application_id = id ORDER BY url)`

func clientFields(c *signer.Client) []any {
	return []any{
		&c.ID,
		&c.Name,
		&c.Organisation,
		&c.SecretHash,
		&c.FormerSecretHash,
		(*zeronull.Timestamptz)(&c.FormerSecretUntil),
		&c.Scopes,
		&c.Contact,
		&c.Switches,
		&c.Doors,
		&c.Formats,
		&c.Levels,
		&c.Calls,
		&c.ReturnAddresses,
	}
}

// Application reads an enabled client (policies.ApplicationUnknown).
func (p Public) Application(ctx context.Context, clientID string) (signer.Client, error) {
	c, enabled, err := p.db.application(ctx, clientID)
	if err == nil && !enabled {
		return signer.Client{}, policies.Refuse(policies.ApplicationUnknown)
	}
	return c, err
}

func (db *DB) application(ctx context.Context, id string) (c signer.Client, enabled bool, err error) {
	err = db.pool.QueryRow(ctx, `
		SELECT `+clientColumns+`, enabled
		FROM applications
		WHERE id = @id`, pgx.NamedArgs{"id": id}).Scan(append(clientFields(&c), &enabled)...)
	if errors.Is(err, pgx.ErrNoRows) {
		return c, false, policies.Refuse(policies.ApplicationUnknown)
	}
	if err == nil {
		c.Keys, err = db.clientKeys(ctx, id)
	}
	if err == nil {
		c.Certificates, err = db.clientCertificates(ctx, id)
	}
	return c, enabled, err
}

func (db *DB) clientKeys(ctx context.Context, id string) ([]signer.ClientKey, error) {
	rows, err := db.pool.Query(ctx, `
		SELECT
			kid,
			jwk,
			not_before,
			not_after,
			added_at
		FROM application_keys
		WHERE application_id = @id
		ORDER BY not_before, kid`, pgx.NamedArgs{"id": id})
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (k signer.ClientKey, err error) {
		err = row.Scan(&k.ID, &k.JWK, &k.NotBefore, &k.NotAfter, &k.AddedAt)
		return k, err
	})
}

func (db *DB) clientCertificates(ctx context.Context, id string) ([]signer.ClientCertificate, error) {
	rows, err := db.pool.Query(ctx, `
		SELECT
			sha256,
			der,
			not_before,
			not_after,
			added_at
		FROM application_certificates
		WHERE application_id = @id
		ORDER BY not_before, sha256`, pgx.NamedArgs{"id": id})
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (k signer.ClientCertificate, err error) {
		err = row.Scan(&k.SHA256, &k.DER, &k.NotBefore, &k.NotAfter, &k.AddedAt)
		return k, err
	})
}
