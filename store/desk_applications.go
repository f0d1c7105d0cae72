package store

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// selectRegistered reads what the desk may see of clients: nothing that they
// show themselves by but the names of it.
const selectRegistered = `
	SELECT
		a.id,
		a.name,
		a.organisation,
		a.scopes,
		a.contact,
		a.switches,
		a.doors,
		a.formats,
		a.levels,
		COALESCE(a.calls, 0),
		ARRAY(SELECT r.url FROM return_addresses r WHERE r.application_id = a.id ORDER BY r.url),
		a.enabled,
		a.created_at
	FROM applications a`

func scanRegistered(row pgx.CollectableRow) (signer.RegisteredClient, error) {
	var r signer.RegisteredClient
	err := row.Scan(
		&r.ID,
		&r.Name,
		&r.Organisation,
		&r.Scopes,
		&r.Contact,
		&r.Switches,
		&r.Doors,
		&r.Formats,
		&r.Levels,
		&r.Calls,
		&r.ReturnAddresses,
		&r.Enabled,
		&r.CreatedAt,
	)
	return r, err
}

func registered(ctx context.Context, q querier) ([]signer.RegisteredClient, error) {
	rows, err := q.Query(ctx, selectRegistered+` ORDER BY a.organisation, a.name, a.id`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanRegistered)
}

// Applications lists all clients, without keys and certificates.
func (d Desk) Applications(ctx context.Context) ([]signer.RegisteredClient, error) {
	all, err := registered(ctx, d.db.pool)
	return all, classify(err)
}

// Application reads a client, with the ids and spans of its keys and certificates,
// and where it is told (policies.ApplicationUnknown).
func (d Desk) Application(ctx context.Context, id string) (signer.RegisteredClient, error) {
	rows, err := d.db.pool.Query(ctx, selectRegistered+` WHERE a.id = @id`, pgx.NamedArgs{"id": id})
	if err != nil {
		return signer.RegisteredClient{}, classify(err)
	}
	r, err := pgx.CollectExactlyOneRow(rows, scanRegistered)
	if errors.Is(err, pgx.ErrNoRows) {
		return r, policies.Refuse(policies.ApplicationUnknown)
	}
	if err != nil {
		return r, classify(err)
	}
	if rows, err = d.db.pool.Query(ctx, `
		SELECT kid, not_before, not_after, added_at
		FROM application_keys
		WHERE application_id = @id
		ORDER BY not_before, kid`, pgx.NamedArgs{"id": id}); err != nil {
		return r, classify(err)
	}
	if r.Keys, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (k signer.ClientKey, err error) {
		return k, row.Scan(&k.ID, &k.NotBefore, &k.NotAfter, &k.AddedAt)
	}); err != nil {
		return r, classify(err)
	}
	if rows, err = d.db.pool.Query(ctx, `
		SELECT sha256, not_before, not_after, added_at
		FROM application_certificates
		WHERE application_id = @id
		ORDER BY not_before, sha256`, pgx.NamedArgs{"id": id}); err != nil {
		return r, classify(err)
	}
	if r.Certificates, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (k signer.ClientCertificate, err error) {
		return k, row.Scan(&k.SHA256, &k.NotBefore, &k.NotAfter, &k.AddedAt)
	}); err != nil {
		return r, classify(err)
	}
	r.Webhooks, err = webhooks(ctx, d.db.pool, id)
	return r, classify(err)
}
