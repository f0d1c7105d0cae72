package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/personnel"
	"github.com/rubrica-firma/rubrica/policies"
)

// CloseAccount implements staff.Store.
func (s Staff) CloseAccount(ctx context.Context, id string, now time.Time) error {
	return s.db.inTx(ctx, func(tx pgx.Tx) error { return s.shut(ctx, tx, id, now) })
}

// OpenVisit implements staff.Store.
func (s Staff) OpenVisit(ctx context.Context, v personnel.Visit) error {
	_, err := s.db.pool.Exec(ctx, s.sql(`
		INSERT INTO {kind}_sessions (hash, {kind}_id, purpose, by, certificate, created_at, expires_at)
		VALUES (@hash, @account, @purpose, @by, @certificate, @created, @expires)`), pgx.NamedArgs{
		"hash":        v.Hash,
		"account":     v.Account.ID,
		"purpose":     v.Purpose,
		"by":          v.By,
		"certificate": v.Certificate,
		"created":     v.CreatedAt,
		"expires":     v.ExpiresAt,
	})
	return err
}

// Visit implements staff.Store.
func (s Staff) Visit(ctx context.Context, hash []byte, now time.Time) (personnel.Visit, error) {
	var v personnel.Visit
	to, done := targets(&v.Account)
	err := s.db.pool.QueryRow(ctx, s.sql(`
		SELECT
			s.hash,
			s.purpose,
			s.by,
			s.certificate,
			s.created_at,
			s.expires_at,`+s.columns()+`
		FROM {kind}_sessions s
		JOIN {kind}s a ON a.id = s.{kind}_id AND a.disabled_at IS NULL
		WHERE s.hash = @hash AND s.expires_at > @now`), pgx.NamedArgs{"hash": hash, "now": now}).Scan(append([]any{
		&v.Hash,
		&v.Purpose,
		&v.By,
		&v.Certificate,
		&v.CreatedAt,
		&v.ExpiresAt,
	}, to...)...)
	if errors.Is(err, pgx.ErrNoRows) {
		return personnel.Visit{}, policies.Refuse(policies.SessionExpired)
	}
	done()
	v.CreatedAt, v.ExpiresAt = v.CreatedAt.UTC(), v.ExpiresAt.UTC()
	return v, err
}

// ProlongVisit implements staff.Store.
func (s Staff) ProlongVisit(ctx context.Context, hash []byte, until time.Time) error {
	_, err := s.db.pool.Exec(ctx, s.sql(`
		UPDATE {kind}_sessions
		SET expires_at = greatest(expires_at, @until)
		WHERE hash = @hash`), pgx.NamedArgs{"hash": hash, "until": until})
	return err
}

// StatePurpose implements staff.Store.
func (s Staff) StatePurpose(ctx context.Context, hash []byte, purpose string) error {
	return s.db.inTx(ctx, func(tx pgx.Tx) error {
		return swap(ctx, tx, policies.Refuse(policies.SessionExpired), s.sql(`
			UPDATE {kind}_sessions
			SET purpose = @purpose
			WHERE hash = @hash`), pgx.NamedArgs{"hash": hash, "purpose": purpose})
	})
}

// CloseVisit implements staff.Store.
func (s Staff) CloseVisit(ctx context.Context, hash []byte) error {
	_, err := s.db.pool.Exec(ctx, s.sql(`DELETE FROM {kind}_sessions WHERE hash = @hash`), pgx.NamedArgs{"hash": hash})
	return err
}

// AddChallenge implements staff.Store.
func (s Staff) AddChallenge(ctx context.Context, hash, record []byte, expires time.Time) error {
	_, err := s.db.pool.Exec(ctx, s.sql(`
		INSERT INTO {kind}_challenges (hash, record, expires_at)
		VALUES (@hash, @record, @expires)`), pgx.NamedArgs{"hash": hash, "record": record, "expires": expires})
	return err
}

// TakeChallenge implements staff.Store.
func (s Staff) TakeChallenge(ctx context.Context, hash []byte, now time.Time) (record []byte, err error) {
	err = s.db.pool.QueryRow(ctx, s.sql(`
		DELETE FROM {kind}_challenges
		WHERE hash = @hash AND expires_at > @now
		RETURNING record`), pgx.NamedArgs{"hash": hash, "now": now}).Scan(&record)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, policies.Refuse(policies.SessionExpired)
	}
	return record, err
}

// Passkeys implements staff.Store.
func (s Staff) Passkeys(ctx context.Context, accountID string) ([]personnel.Passkey, error) {
	rows, err := s.db.pool.Query(ctx, s.sql(`
		SELECT
			id,
			record
		FROM {kind}_passkeys
		WHERE {kind}_id = @account
		ORDER BY created_at, id`), pgx.NamedArgs{"account": accountID})
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (personnel.Passkey, error) {
		var p personnel.Passkey
		return p, row.Scan(&p.ID, &p.Record)
	})
}

// AddPasskey implements staff.Store.
func (s Staff) AddPasskey(ctx context.Context, accountID string, p personnel.Passkey, now time.Time) error {
	return s.db.inTx(ctx, func(tx pgx.Tx) error {
		return swap(ctx, tx, s.unknown(), s.sql(`
			INSERT INTO {kind}_passkeys (id, {kind}_id, record, created_at)
			SELECT @id, a.id, @record, @now FROM {kind}s a WHERE a.id = @account AND a.disabled_at IS NULL
			ON CONFLICT (id) DO NOTHING`), pgx.NamedArgs{
			"id":      p.ID,
			"account": accountID,
			"record":  p.Record,
			"now":     now,
		})
	})
}

// UsePasskey implements staff.Store.
func (s Staff) UsePasskey(ctx context.Context, was, is personnel.Passkey, now time.Time) error {
	return s.db.inTx(ctx, func(tx pgx.Tx) error {
		return swap(ctx, tx, s.unknown(), s.sql(`
			UPDATE {kind}_passkeys
			SET record = @is, used_at = @now
			WHERE id = @id AND record = @was`), pgx.NamedArgs{
			"id":  is.ID,
			"was": was.Record,
			"is":  is.Record,
			"now": now,
		})
	})
}

// AddInvitation implements staff.Store.
func (s Staff) AddInvitation(ctx context.Context, i personnel.Invitation) error {
	return s.db.inTx(ctx, func(tx pgx.Tx) error { return s.invite(ctx, tx, i) })
}

// Invitation implements staff.Store.
func (s Staff) Invitation(ctx context.Context, hash []byte, now time.Time) (personnel.Invitation, error) {
	return s.invitation(ctx, `
		SELECT
			i.hash,
			i.expires_at,`+s.columns()+`
		FROM {kind}_invitations i
		JOIN {kind}s a ON a.id = i.{kind}_id AND a.disabled_at IS NULL
		WHERE i.hash = @hash AND i.expires_at > @now`, hash, now)
}

// TakeInvitation implements staff.Store.
func (s Staff) TakeInvitation(ctx context.Context, hash []byte, now time.Time) (personnel.Invitation, error) {
	return s.invitation(ctx, `
		DELETE FROM {kind}_invitations i
		USING {kind}s a
		WHERE i.hash = @hash AND i.expires_at > @now AND a.id = i.{kind}_id AND a.disabled_at IS NULL
		RETURNING
			i.hash,
			i.expires_at,`+s.columns(), hash, now)
}

func (s Staff) invitation(ctx context.Context, text string, hash []byte, now time.Time) (personnel.Invitation, error) {
	var i personnel.Invitation
	to, done := targets(&i.Account)
	err := s.db.pool.QueryRow(ctx, s.sql(text), pgx.NamedArgs{"hash": hash, "now": now}).Scan(append([]any{
		&i.Hash,
		&i.ExpiresAt,
	}, to...)...)
	if errors.Is(err, pgx.ErrNoRows) {
		return personnel.Invitation{}, policies.Refuse(policies.InvitationInvalid)
	}
	done()
	i.ExpiresAt = i.ExpiresAt.UTC()
	return i, err
}

// Purge forgets visits, challenges and invitations that have ended.
func (s Staff) Purge(ctx context.Context, now time.Time) error {
	return s.db.inTx(ctx, func(tx pgx.Tx) error {
		for _, text := range []string{
			`DELETE FROM {kind}_sessions WHERE expires_at <= @now`,
			`DELETE FROM {kind}_challenges WHERE expires_at <= @now`,
			`DELETE FROM {kind}_invitations WHERE expires_at <= @now`,
		} {
			if _, err := tx.Exec(ctx, s.sql(text), pgx.NamedArgs{"now": now}); err != nil {
				return err
			}
		}
		return nil
	})
}
