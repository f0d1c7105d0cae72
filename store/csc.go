package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// insertHashes stores those documents of a new request of which only a hash has
// come, all in one statement: they may be a hundred.
func insertHashes(ctx context.Context, tx pgx.Tx, r signer.Request) error {
	var (
		ordinals             []int
		names, formats, oids []string
		given, sums          [][]byte
	)
	for _, d := range r.Documents {
		if d.Given == nil {
			continue
		}
		ordinals, names, formats, oids = append(ordinals, d.Ordinal), append(names, d.Name), append(formats, string(d.Format)), append(oids, d.Hash)
		given, sums = append(given, d.Given), append(sums, d.SHA256)
	}
	if len(ordinals) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO documents (request_id, ordinal, name, media_type, format, size, sha256, hash, given)
		SELECT @request, d.ordinal, d.name, '', d.format, length(d.given), d.sha256, d.hash, d.given
		FROM unnest(@ordinals::integer[], @names::text[], @formats::text[], @hashes::text[], @given::bytea[], @sums::bytea[])
			AS d (ordinal, name, format, hash, given, sha256)`, pgx.NamedArgs{
		"request":  r.ID,
		"ordinals": ordinals,
		"names":    names,
		"formats":  formats,
		"hashes":   oids,
		"given":    given,
		"sums":     sums,
	})
	return err
}

// HandOut implements csc.Store. Of two who ask for the same at once one gets it.
//
// Its commit does not wait for the disk: should the server die in that moment, an
// application may fetch a signature again that it has been given already. Nothing
// is signed because of it; intent and outcome have been durable before.
func (p Public) HandOut(ctx context.Context, requestID string, ordinals []int, now time.Time) error {
	tag, err := p.db.pool.Exec(ctx, `
		INSERT INTO handed_out (request_id, ordinal, at)
		SELECT @request, ordinal, @now
		FROM documents, (SELECT set_config('synchronous_commit', 'off', true)) AS lazily
		WHERE request_id = @request AND ordinal = ANY(@ordinals::integer[]) AND cms IS NOT NULL`,
		pgx.NamedArgs{"request": requestID, "ordinals": ordinals, "now": now})
	if violated(err, "handed_out_pkey") || err == nil && int(tag.RowsAffected()) != len(ordinals) {
		return policies.Refuse(policies.AuthorisationInvalid)
	}
	return err
}

// Webhooks implements csc.Store.
func (p Public) Webhooks(ctx context.Context, applicationID string) ([]signer.Webhook, error) {
	return p.db.Webhooks(ctx, applicationID)
}

// HandedOut implements csc.Store.
func (p Public) HandedOut(ctx context.Context, requestID string) ([]int, error) {
	rows, err := p.db.pool.Query(ctx, `
		SELECT ordinal
		FROM handed_out
		WHERE request_id = @request
		ORDER BY ordinal`, pgx.NamedArgs{"request": requestID})
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int])
}

// CredentialOf implements csc.Store.
func (p Public) CredentialOf(ctx context.Context, credentialID string) (signer.Citizen, signer.Credential, error) {
	citizen, credential, err := readPerson(ctx, p.db.pool, "c.id = (SELECT citizen_id FROM credentials WHERE id = @key)", credentialID)
	if errors.Is(err, policies.Refuse(policies.CitizenUnknown)) || err == nil && (credential == nil || credential.ID != credentialID) {
		err = policies.Refuse(policies.CredentialMissing)
	}
	if err != nil {
		return signer.Citizen{}, signer.Credential{}, err
	}
	return citizen, *credential, nil
}
