package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// SaveSession keeps an authorisation request as it stands. One that has ended
// stays as it ended (policies.RequestState).
func (p Public) SaveSession(ctx context.Context, s signer.AuthorisationSession, now time.Time) error {
	var ended *time.Time
	if s.Ended {
		ended = &now
	}
	return p.db.inTx(ctx, func(tx pgx.Tx) error {
		return swap(ctx, tx, policies.Refuse(policies.RequestState), `
			INSERT INTO oauth_sessions (hash, request_uri, application_id, request_id, subject, data, expires_at, ended_at)
			VALUES (@hash, @uri, @application, @request, @subject, @data, @expires, @ended)
			ON CONFLICT (hash) DO UPDATE
			SET request_id = excluded.request_id,
				subject = excluded.subject,
				data = excluded.data,
				expires_at = excluded.expires_at,
				ended_at = excluded.ended_at
			WHERE oauth_sessions.ended_at IS NULL`, pgx.NamedArgs{
			"hash":        s.Hash,
			"uri":         s.RequestURI,
			"application": s.ApplicationID,
			"request":     orNull(s.RequestID),
			"subject":     orNull(s.Subject),
			"data":        s.Data,
			"expires":     s.ExpiresAt,
			"ended":       ended,
		})
	})
}

const sessionColumns = `
	hash,
	application_id,
	COALESCE(request_id, ''),
	COALESCE(subject, ''),
	data,
	expires_at,
	ended_at IS NOT NULL`

func scanSession(row pgx.Row) (signer.AuthorisationSession, error) {
	var s signer.AuthorisationSession
	err := row.Scan(
		&s.Hash,
		&s.ApplicationID,
		&s.RequestID,
		&s.Subject,
		&s.Data,
		&s.ExpiresAt,
		&s.Ended,
	)
	if errors.Is(err, pgx.ErrNoRows) {
		return s, policies.Refuse(policies.RequestUnknown)
	}
	return s, err
}

// Session reads an authorisation request (policies.RequestUnknown).
func (p Public) Session(ctx context.Context, hash []byte) (signer.AuthorisationSession, error) {
	return scanSession(p.db.pool.QueryRow(ctx, `
		SELECT `+sessionColumns+`
		FROM oauth_sessions
		WHERE hash = @hash`, pgx.NamedArgs{"hash": hash}))
}

// SessionOf reads the authorisation request that a signature request belongs to
// (policies.RequestUnknown).
func (p Public) SessionOf(ctx context.Context, requestID string) (signer.AuthorisationSession, error) {
	return scanSession(p.db.pool.QueryRow(ctx, `
		SELECT `+sessionColumns+`
		FROM oauth_sessions
		WHERE request_id = @request`, pgx.NamedArgs{"request": requestID}))
}

// TakePushed reads a pushed request, once, and gives it its new address. Whoever
// shows the request URI again gets policies.RequestUnknown, and whatever came of
// the first time is revoked.
func (p Public) TakePushed(ctx context.Context, requestURI, hash []byte, now time.Time) (signer.AuthorisationSession, error) {
	var taken signer.AuthorisationSession
	unknown := policies.Refuse(policies.RequestUnknown)
	err := p.db.inTx(ctx, func(tx pgx.Tx) (err error) {
		args := pgx.NamedArgs{"uri": requestURI, "hash": hash, "now": now}
		taken, err = scanSession(tx.QueryRow(ctx, `
			UPDATE oauth_sessions
			SET hash = @hash, used_at = @now
			WHERE request_uri = @uri AND used_at IS NULL AND expires_at > @now
			RETURNING `+sessionColumns, args))
		if !errors.Is(err, unknown) {
			return err
		}
		for _, sql := range []string{
			`
			UPDATE oauth_grants g
			SET revoked_at = @now, sad = NULL
			FROM oauth_sessions s
			WHERE s.request_uri = @uri AND s.used_at IS NOT NULL AND g.session = s.hash AND g.revoked_at IS NULL`, `
			UPDATE oauth_sessions
			SET ended_at = @now
			WHERE request_uri = @uri AND used_at IS NOT NULL AND ended_at IS NULL`,
		} {
			if _, err := tx.Exec(ctx, sql, args); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && taken.Hash == nil {
		err = unknown
	}
	return taken, err
}

// AddGrant keeps what was granted, unless the consent that it rests on has been
// withdrawn meanwhile (policies.RequestState).
func (p Public) AddGrant(ctx context.Context, g signer.OAuthGrant) error {
	tag, err := p.db.pool.Exec(ctx, `
		INSERT INTO oauth_grants (
			id, application_id, session, subject, request_id, credential_id, scopes, code, refreshable, sad, sad_expires_at, data,
			created_at, expires_at, consent_id)
		SELECT
			@id, @application, @session, @subject, @request, @credential, @scopes, @code, @refreshable, @sad, @sad_expires, @data,
			@created, @expires, @consent
		WHERE @consent::text IS NULL OR EXISTS (SELECT FROM service_consents WHERE id = @consent AND withdrawn_at IS NULL)`, pgx.NamedArgs{
		"id":          g.ID,
		"application": g.ApplicationID,
		"session":     g.Session,
		"subject":     orNull(g.Subject),
		"request":     orNull(g.RequestID),
		"credential":  orNull(g.CredentialID),
		"scopes":      g.Scopes,
		"code":        g.Code,
		"refreshable": g.Refreshable,
		"sad":         g.SAD,
		"sad_expires": timeOrNull(g.SADExpiresAt),
		"data":        g.Data,
		"created":     g.CreatedAt,
		"expires":     g.ExpiresAt,
		"consent":     orNull(g.ConsentID),
	})
	if err == nil && tag.RowsAffected() == 0 {
		err = policies.Refuse(policies.RequestState)
	}
	return err
}

func timeOrNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// RedeemGrant says that the grant's code has been used: once, and what it
// sealed is gone from its row (policies.RequestState).
func (p Public) RedeemGrant(ctx context.Context, g signer.OAuthGrant, now time.Time) error {
	return p.db.inTx(ctx, func(tx pgx.Tx) error {
		return swap(ctx, tx, policies.Refuse(policies.RequestState), `
			UPDATE oauth_grants
			SET code_used_at = @now, refresh = @refresh, data = @data, expires_at = @expires, sad = NULL
			WHERE id = @id AND code_used_at IS NULL AND revoked_at IS NULL`,
			pgx.NamedArgs{"id": g.ID, "now": now, "refresh": g.Refresh, "data": g.Data, "expires": g.ExpiresAt})
	})
}

// RenewGrant keeps what a refresh changed (policies.RequestState if the grant is
// revoked).
func (p Public) RenewGrant(ctx context.Context, g signer.OAuthGrant) error {
	return p.db.inTx(ctx, func(tx pgx.Tx) error {
		return swap(ctx, tx, policies.Refuse(policies.RequestState), `
			UPDATE oauth_grants
			SET data = @data
			WHERE id = @id AND revoked_at IS NULL`, pgx.NamedArgs{"id": g.ID, "data": g.Data})
	})
}

// SpendGrant uses a grant up that is good for one answer
// (policies.AuthorisationInvalid).
func (p Public) SpendGrant(ctx context.Context, id string, now time.Time) error {
	return p.db.inTx(ctx, func(tx pgx.Tx) error {
		return swap(ctx, tx, policies.Refuse(policies.AuthorisationInvalid), `
			UPDATE oauth_grants
			SET spent_at = @now
			WHERE id = @id AND spent_at IS NULL AND revoked_at IS NULL`, pgx.NamedArgs{"id": id, "now": now})
	})
}

// RevokeGrant ends a grant and all its tokens. To revoke twice is no error.
func (p Public) RevokeGrant(ctx context.Context, id string, now time.Time) error {
	return p.db.inTx(ctx, func(tx pgx.Tx) error {
		for _, sql := range []string{
			`
			UPDATE oauth_grants
			SET revoked_at = @now, sad = NULL
			WHERE id = @id AND revoked_at IS NULL`, `
			UPDATE access_tokens
			SET sad = NULL
			WHERE grant_id = @id AND sad IS NOT NULL`,
		} {
			if _, err := tx.Exec(ctx, sql, pgx.NamedArgs{"id": id, "now": now}); err != nil {
				return err
			}
		}
		return nil
	})
}

const grantColumns = `
	g.id,
	g.application_id,
	g.session,
	COALESCE(g.subject, ''),
	COALESCE(g.request_id, ''),
	COALESCE(g.credential_id, ''),
	g.scopes,
	g.code_used_at,
	g.refreshable,
	g.sad,
	g.sad_expires_at,
	g.data,
	g.created_at,
	g.revoked_at,
	g.expires_at`

func (p Public) grant(ctx context.Context, condition string, args pgx.NamedArgs) (signer.OAuthGrant, error) {
	var g signer.OAuthGrant
	var used, sad, revoked *time.Time
	err := p.db.pool.QueryRow(ctx, `
		SELECT `+grantColumns+`
		FROM oauth_grants g
		WHERE `+condition, args).Scan(
		&g.ID,
		&g.ApplicationID,
		&g.Session,
		&g.Subject,
		&g.RequestID,
		&g.CredentialID,
		&g.Scopes,
		&used,
		&g.Refreshable,
		&g.SAD,
		&sad,
		&g.Data,
		&g.CreatedAt,
		&revoked,
		&g.ExpiresAt,
	)
	g.CodeUsedAt, g.SADExpiresAt, g.RevokedAt = orZero(used), orZero(sad), orZero(revoked)
	if errors.Is(err, pgx.ErrNoRows) {
		return g, policies.Refuse(policies.RequestUnknown)
	}
	return g, err
}

// Grant reads a grant (policies.RequestUnknown).
func (p Public) Grant(ctx context.Context, id string) (signer.OAuthGrant, error) {
	return p.grant(ctx, "g.id = @id", pgx.NamedArgs{"id": id})
}

// GrantByCode finds a grant by its code's hash (policies.RequestUnknown).
func (p Public) GrantByCode(ctx context.Context, hash []byte) (signer.OAuthGrant, error) {
	return p.grant(ctx, "g.code = @hash", pgx.NamedArgs{"hash": hash})
}

// GrantByRefresh finds a grant by its refresh token's hash
// (policies.RequestUnknown).
func (p Public) GrantByRefresh(ctx context.Context, hash []byte) (signer.OAuthGrant, error) {
	return p.grant(ctx, "g.refresh = @hash", pgx.NamedArgs{"hash": hash})
}
