package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// AddToken keeps an access token, by its hash.
func (p Public) AddToken(ctx context.Context, t signer.AccessToken) error {
	_, err := p.db.pool.Exec(ctx, `
		INSERT INTO access_tokens (hash, application_id, scopes, expires_at, grant_id, jkt, certificate, sad)
		VALUES (@hash, @application, @scopes, @expires, @grant, @jkt, @certificate, @sad)`, pgx.NamedArgs{
		"hash":        t.Hash,
		"application": t.ClientID,
		"scopes":      t.Scopes,
		"expires":     t.ExpiresAt,
		"grant":       orNull(t.GrantID),
		"jkt":         orNull(t.KeyThumbprint),
		"certificate": t.Certificate,
		"sad":         t.SAD,
	})
	return err
}

// RevokeToken ends an access token. To revoke twice is no error.
func (p Public) RevokeToken(ctx context.Context, hash []byte, now time.Time) error {
	_, err := p.db.pool.Exec(ctx, `
		UPDATE access_tokens
		SET revoked_at = @now, sad = NULL
		WHERE hash = @hash AND revoked_at IS NULL`, pgx.NamedArgs{"hash": hash, "now": now})
	return err
}

// ShownToken reads a live access token of an enabled application, with what it
// came of (policies.ApplicationUnknown).
func (p Public) ShownToken(ctx context.Context, hash []byte, now time.Time) (signer.ShownToken, error) {
	var t signer.ShownToken
	var sad *time.Time
	var calls *int
	err := p.db.pool.QueryRow(ctx, `
		SELECT
			t.hash,
			t.application_id,
			t.scopes,
			t.expires_at,
			t.certificate,
			COALESCE(t.jkt, ''),
			COALESCE(t.grant_id, ''),
			t.sad,
			a.id,
			a.name,
			a.organisation,
			a.scopes,
			a.switches,
			a.doors,
			a.formats,
			a.levels,
			a.calls,
			ARRAY(SELECT url FROM return_addresses WHERE application_id = a.id ORDER BY url),
			COALESCE(g.id, ''),
			COALESCE(g.subject, ''),
			COALESCE(g.request_id, ''),
			COALESCE(g.credential_id, ''),
			g.sad_expires_at,
			COALESCE(c.identifier, '')
		FROM access_tokens t
		JOIN applications a ON a.id = t.application_id AND a.enabled
		LEFT JOIN oauth_grants g ON g.id = t.grant_id
		LEFT JOIN citizens c ON c.id = g.subject
		WHERE t.hash = @hash AND t.expires_at > @now AND t.revoked_at IS NULL AND g.revoked_at IS NULL`,
		pgx.NamedArgs{"hash": hash, "now": now}).Scan(
		&t.Hash,
		&t.ClientID,
		&t.Scopes,
		&t.ExpiresAt,
		&t.Certificate,
		&t.KeyThumbprint,
		&t.GrantID,
		&t.SAD,
		&t.Client.ID,
		&t.Client.Name,
		&t.Client.Organisation,
		&t.Client.Scopes,
		&t.Client.Switches,
		&t.Client.Doors,
		&t.Client.Formats,
		&t.Client.Levels,
		&calls,
		&t.Client.ReturnAddresses,
		&t.Grant.ID,
		&t.Grant.Subject,
		&t.Grant.RequestID,
		&t.Grant.CredentialID,
		&sad,
		&t.Identifier,
	)
	t.Grant.SADExpiresAt = orZero(sad)
	if calls != nil {
		t.Client.Calls = *calls
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return t, policies.Refuse(policies.ApplicationUnknown)
	}
	return t, err
}

// Seen remembers what may be shown once, until then; it reports whether it was
// new.
func (p Public) Seen(ctx context.Context, hash []byte, until time.Time) (fresh bool, err error) {
	tag, err := p.db.pool.Exec(ctx, `
		INSERT INTO oauth_proofs (hash, expires_at)
		VALUES (@hash, @until)
		ON CONFLICT DO NOTHING`, pgx.NamedArgs{"hash": hash, "until": until})
	return tag.RowsAffected() == 1, err
}
