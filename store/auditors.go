package store

import (
	"context"
	"encoding/hex"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/policies"
)

// commandLine is who manages auditors where no administrator does.
const commandLine = "command line"

// AddAuditor opens an account, in the role rubrica_signer.
func (db *DB) AddAuditor(ctx context.Context, a audit.Auditor) error {
	payload := map[string]any{"name": a.Name, "role": a.Role, "by": commandLine, "program": a.SecretHash != nil}
	if a.Certificate != nil {
		payload["certificate_sha256"] = hex.EncodeToString(a.Certificate)
	}
	return db.inTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `
			INSERT INTO auditors (id, name, role, certificate, secret_hash, created_at)
			VALUES (@id, @name, @role, @certificate, @secret, @now)`, pgx.NamedArgs{
			"id":          a.ID,
			"name":        a.Name,
			"role":        a.Role,
			"certificate": a.Certificate,
			"secret":      a.SecretHash,
			"now":         a.CreatedAt,
		}); err != nil {
			return err
		}
		return db.record(ctx, tx, audit.Entry{Type: audit.AuditorAdded, Operation: a.ID, At: a.CreatedAt, Payload: payload})
	})
}

// InviteAuditor replaces the invitations of an account in use
// (policies.NotFound), in the role rubrica_signer.
func (db *DB) InviteAuditor(ctx context.Context, i audit.Invitation, now time.Time) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		if err := invite(ctx, tx, i); err != nil {
			return err
		}
		return db.record(ctx, tx, audit.Entry{
			Type: audit.AuditorInvited, Operation: i.Auditor.ID, At: now,
			Payload: map[string]any{"name": i.Auditor.Name, "by": commandLine, "until": i.ExpiresAt.UTC().Format(time.RFC3339)},
		})
	})
}

func invite(ctx context.Context, tx pgx.Tx, i audit.Invitation) error {
	args := pgx.NamedArgs{"hash": i.Hash, "id": i.Auditor.ID, "expires": i.ExpiresAt}
	if _, err := tx.Exec(ctx, `DELETE FROM auditor_invitations WHERE auditor_id = @id`, args); err != nil {
		return err
	}
	return swap(ctx, tx, policies.Refuse(policies.NotFound), `
		INSERT INTO auditor_invitations (hash, auditor_id, expires_at)
		SELECT @hash, id, @expires FROM auditors WHERE id = @id AND disabled_at IS NULL`, args)
}

// DisableAuditor closes an account in use (policies.NotFound), in the role
// rubrica_signer.
func (db *DB) DisableAuditor(ctx context.Context, id string, now time.Time) error {
	a, err := db.Auditor(ctx, id)
	if errors.Is(err, policies.Refuse(policies.AuditorRefused)) {
		return policies.Refuse(policies.NotFound)
	}
	if err != nil {
		return err
	}
	return db.inTx(ctx, func(tx pgx.Tx) error {
		if err := closeAuditor(ctx, tx, id, now); err != nil {
			return err
		}
		return db.record(ctx, tx, audit.Entry{
			Type: audit.AuditorDisabled, Operation: id, At: now, Payload: map[string]any{"name": a.Name, "by": commandLine},
		})
	})
}

func closeAuditor(ctx context.Context, tx pgx.Tx, id string, now time.Time) error {
	args := pgx.NamedArgs{"id": id, "now": now}
	err := swap(ctx, tx, policies.Refuse(policies.NotFound), `
		UPDATE auditors
		SET disabled_at = @now
		WHERE id = @id AND disabled_at IS NULL`, args)
	if err != nil {
		return err
	}
	for _, sql := range []string{
		`DELETE FROM auditor_sessions WHERE auditor_id = @id`,
		`DELETE FROM auditor_invitations WHERE auditor_id = @id`,
	} {
		if _, err := tx.Exec(ctx, sql, args); err != nil {
			return err
		}
	}
	return nil
}

const auditorColumns = `
	a.id,
	a.name,
	a.role,
	a.certificate,
	a.secret_hash,
	a.created_at,
	a.disabled_at`

// auditorTargets is where they go; done finishes what null columns need.
func auditorTargets(a *audit.Auditor) (targets []any, done func()) {
	var disabled *time.Time
	return []any{
		&a.ID,
		&a.Name,
		&a.Role,
		&a.Certificate,
		&a.SecretHash,
		&a.CreatedAt,
		&disabled,
	}, func() { a.CreatedAt, a.DisabledAt = a.CreatedAt.UTC(), orZero(disabled) }
}

// Auditor reads an account, also one that is closed (policies.AuditorRefused).
func (db *DB) Auditor(ctx context.Context, id string) (audit.Auditor, error) {
	return db.auditor(ctx, `a.id = @key`, id)
}

func (db *DB) auditor(ctx context.Context, where string, key any) (audit.Auditor, error) {
	var a audit.Auditor
	targets, done := auditorTargets(&a)
	err := db.pool.QueryRow(ctx, `SELECT`+auditorColumns+` FROM auditors a WHERE `+where, pgx.NamedArgs{"key": key}).Scan(targets...)
	if errors.Is(err, pgx.ErrNoRows) {
		return audit.Auditor{}, policies.Refuse(policies.AuditorRefused)
	}
	done()
	return a, err
}

// AllAuditors reads the accounts as they stand, by name.
func (db *DB) AllAuditors(ctx context.Context, now time.Time) ([]audit.AuditorState, error) {
	rows, err := db.pool.Query(ctx, `
		SELECT
			(SELECT count(*) FROM auditor_passkeys p WHERE p.auditor_id = a.id),
			(SELECT max(expires_at) FROM auditor_invitations i WHERE i.auditor_id = a.id AND i.expires_at > @now),`+auditorColumns+`
		FROM auditors a
		ORDER BY a.name, a.id`, pgx.NamedArgs{"now": now})
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (audit.AuditorState, error) {
		var (
			s       audit.AuditorState
			invited *time.Time
		)
		targets, done := auditorTargets(&s.Auditor)
		err := row.Scan(append([]any{&s.Passkeys, &invited}, targets...)...)
		done()
		s.InvitedUntil = orZero(invited)
		return s, err
	})
}
