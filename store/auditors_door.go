package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/policies"
)

// Auditor implements auditors.Store.
func (a Auditor) Auditor(ctx context.Context, id string) (audit.Auditor, error) {
	return a.db.Auditor(ctx, id)
}

// AuditorByCertificate implements auditors.Store.
func (a Auditor) AuditorByCertificate(ctx context.Context, certificate []byte) (audit.Auditor, error) {
	return a.db.auditor(ctx, `a.certificate = @key`, certificate)
}

// AllAuditors implements auditors.Store.
func (a Auditor) AllAuditors(ctx context.Context, now time.Time) ([]audit.AuditorState, error) {
	return a.db.AllAuditors(ctx, now)
}

// CloseAuditor implements auditors.Store.
func (a Auditor) CloseAuditor(ctx context.Context, id string, now time.Time) error {
	return a.db.inTx(ctx, func(tx pgx.Tx) error { return closeAuditor(ctx, tx, id, now) })
}

// OpenVisit implements auditors.Store.
func (a Auditor) OpenVisit(ctx context.Context, v audit.Visit) error {
	_, err := a.db.pool.Exec(ctx, `
		INSERT INTO auditor_sessions (hash, auditor_id, purpose, by, certificate, created_at, expires_at)
		VALUES (@hash, @auditor, @purpose, @by, @certificate, @created, @expires)`, pgx.NamedArgs{
		"hash":        v.Hash,
		"auditor":     v.Auditor.ID,
		"purpose":     v.Purpose,
		"by":          v.By,
		"certificate": v.Certificate,
		"created":     v.CreatedAt,
		"expires":     v.ExpiresAt,
	})
	return err
}

// Visit implements auditors.Store.
func (a Auditor) Visit(ctx context.Context, hash []byte, now time.Time) (audit.Visit, error) {
	var v audit.Visit
	targets, done := auditorTargets(&v.Auditor)
	err := a.db.pool.QueryRow(ctx, `
		SELECT
			s.hash,
			s.purpose,
			s.by,
			s.certificate,
			s.created_at,
			s.expires_at,`+auditorColumns+`
		FROM auditor_sessions s
		JOIN auditors a ON a.id = s.auditor_id AND a.disabled_at IS NULL
		WHERE s.hash = @hash AND s.expires_at > @now`, pgx.NamedArgs{"hash": hash, "now": now}).Scan(append([]any{
		&v.Hash,
		&v.Purpose,
		&v.By,
		&v.Certificate,
		&v.CreatedAt,
		&v.ExpiresAt,
	}, targets...)...)
	if errors.Is(err, pgx.ErrNoRows) {
		return audit.Visit{}, policies.Refuse(policies.SessionExpired)
	}
	done()
	v.CreatedAt, v.ExpiresAt = v.CreatedAt.UTC(), v.ExpiresAt.UTC()
	return v, err
}

// ProlongVisit implements auditors.Store.
func (a Auditor) ProlongVisit(ctx context.Context, hash []byte, until time.Time) error {
	_, err := a.db.pool.Exec(ctx, `
		UPDATE auditor_sessions
		SET expires_at = greatest(expires_at, @until)
		WHERE hash = @hash`, pgx.NamedArgs{"hash": hash, "until": until})
	return err
}

// StatePurpose implements auditors.Store.
func (a Auditor) StatePurpose(ctx context.Context, hash []byte, purpose string) error {
	return a.db.inTx(ctx, func(tx pgx.Tx) error {
		return swap(ctx, tx, policies.Refuse(policies.SessionExpired), `
			UPDATE auditor_sessions
			SET purpose = @purpose
			WHERE hash = @hash`, pgx.NamedArgs{"hash": hash, "purpose": purpose})
	})
}

// CloseVisit implements auditors.Store.
func (a Auditor) CloseVisit(ctx context.Context, hash []byte) error {
	_, err := a.db.pool.Exec(ctx, `DELETE FROM auditor_sessions WHERE hash = @hash`, pgx.NamedArgs{"hash": hash})
	return err
}

// AddChallenge implements auditors.Store.
func (a Auditor) AddChallenge(ctx context.Context, hash, record []byte, expires time.Time) error {
	_, err := a.db.pool.Exec(ctx, `
		INSERT INTO auditor_challenges (hash, record, expires_at)
		VALUES (@hash, @record, @expires)`, pgx.NamedArgs{"hash": hash, "record": record, "expires": expires})
	return err
}

// TakeChallenge implements auditors.Store.
func (a Auditor) TakeChallenge(ctx context.Context, hash []byte, now time.Time) (record []byte, err error) {
	err = a.db.pool.QueryRow(ctx, `
		DELETE FROM auditor_challenges
		WHERE hash = @hash AND expires_at > @now
		RETURNING record`, pgx.NamedArgs{"hash": hash, "now": now}).Scan(&record)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, policies.Refuse(policies.SessionExpired)
	}
	return record, err
}

// Passkeys implements auditors.Store.
func (a Auditor) Passkeys(ctx context.Context, auditorID string) ([]audit.Passkey, error) {
	rows, err := a.db.pool.Query(ctx, `
		SELECT
			id,
			record
		FROM auditor_passkeys
		WHERE auditor_id = @auditor
		ORDER BY created_at, id`, pgx.NamedArgs{"auditor": auditorID})
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (audit.Passkey, error) {
		var p audit.Passkey
		return p, row.Scan(&p.ID, &p.Record)
	})
}

// AddPasskey implements auditors.Store.
func (a Auditor) AddPasskey(ctx context.Context, auditorID string, p audit.Passkey, now time.Time) error {
	return a.db.inTx(ctx, func(tx pgx.Tx) error {
		return swap(ctx, tx, policies.Refuse(policies.AuditorRefused), `
			INSERT INTO auditor_passkeys (id, auditor_id, record, created_at)
			SELECT @id, a.id, @record, @now FROM auditors a WHERE a.id = @auditor AND a.disabled_at IS NULL
			ON CONFLICT (id) DO NOTHING`, pgx.NamedArgs{
			"id":      p.ID,
			"auditor": auditorID,
			"record":  p.Record,
			"now":     now,
		})
	})
}

// UsePasskey implements auditors.Store.
func (a Auditor) UsePasskey(ctx context.Context, was, is audit.Passkey, now time.Time) error {
	return a.db.inTx(ctx, func(tx pgx.Tx) error {
		return swap(ctx, tx, policies.Refuse(policies.AuditorRefused), `
			UPDATE auditor_passkeys
			SET record = @is, used_at = @now
			WHERE id = @id AND record = @was`, pgx.NamedArgs{
			"id":  is.ID,
			"was": was.Record,
			"is":  is.Record,
			"now": now,
		})
	})
}

// AddInvitation implements auditors.Store.
func (a Auditor) AddInvitation(ctx context.Context, i audit.Invitation) error {
	return a.db.inTx(ctx, func(tx pgx.Tx) error { return invite(ctx, tx, i) })
}

// Invitation implements auditors.Store.
func (a Auditor) Invitation(ctx context.Context, hash []byte, now time.Time) (audit.Invitation, error) {
	return a.invitation(ctx, `
		SELECT
			i.hash,
			i.expires_at,`+auditorColumns+`
		FROM auditor_invitations i
		JOIN auditors a ON a.id = i.auditor_id AND a.disabled_at IS NULL
		WHERE i.hash = @hash AND i.expires_at > @now`, hash, now)
}

// TakeInvitation implements auditors.Store.
func (a Auditor) TakeInvitation(ctx context.Context, hash []byte, now time.Time) (audit.Invitation, error) {
	return a.invitation(ctx, `
		DELETE FROM auditor_invitations i
		USING auditors a
		WHERE i.hash = @hash AND i.expires_at > @now AND a.id = i.auditor_id AND a.disabled_at IS NULL
		RETURNING
			i.hash,
			i.expires_at,`+auditorColumns, hash, now)
}

func (a Auditor) invitation(ctx context.Context, sql string, hash []byte, now time.Time) (audit.Invitation, error) {
	var i audit.Invitation
	targets, done := auditorTargets(&i.Auditor)
	err := a.db.pool.QueryRow(ctx, sql, pgx.NamedArgs{"hash": hash, "now": now}).Scan(append([]any{
		&i.Hash,
		&i.ExpiresAt,
	}, targets...)...)
	if errors.Is(err, pgx.ErrNoRows) {
		return audit.Invitation{}, policies.Refuse(policies.InvitationInvalid)
	}
	done()
	i.ExpiresAt = i.ExpiresAt.UTC()
	return i, err
}

// PurgeAuditors forgets visits, challenges and invitations that have ended.
func (a Auditor) PurgeAuditors(ctx context.Context, now time.Time) error {
	return a.db.inTx(ctx, func(tx pgx.Tx) error {
		for _, sql := range []string{
			`DELETE FROM auditor_sessions WHERE expires_at <= @now`,
			`DELETE FROM auditor_challenges WHERE expires_at <= @now`,
			`DELETE FROM auditor_invitations WHERE expires_at <= @now`,
		} {
			if _, err := tx.Exec(ctx, sql, pgx.NamedArgs{"now": now}); err != nil {
				return err
			}
		}
		return nil
	})
}
