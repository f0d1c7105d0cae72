package store

import (
	"context"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/personnel"
	"github.com/rubrica-firma/rubrica/policies"
)

// commandLine is who manages accounts where no administrator does.
const commandLine = "command line"

// Staff is one kind of personnel in the database. The tables of auditors and of
// officers have one shape, and statements one text, in which {kind} stands for
// the name of the kind.
type Staff struct {
	db   *DB
	kind personnel.Kind
}

// Staff narrows a DB to a kind.
func (db *DB) Staff(kind personnel.Kind) Staff { return Staff{db, kind} }

// sql names the kind's tables.
func (s Staff) sql(text string) string { return strings.ReplaceAll(text, "{kind}", s.kind.Name) }

// unknown is the refusal for who has no account.
func (s Staff) unknown() *policies.Refusal { return policies.Refuse(s.kind.Refused) }

// Add opens an account, in the role rubrica_signer.
func (s Staff) Add(ctx context.Context, a personnel.Account) error {
	payload := map[string]any{"name": a.Name, "role": a.Role, "by": commandLine}
	if s.kind.Programs {
		payload["program"] = a.SecretHash != nil
	}
	if s.kind.Offices {
		payload["office"] = a.Office
	}
	if a.Certificate != nil {
		payload["certificate_sha256"] = hex.EncodeToString(a.Certificate)
	}
	return s.db.inTx(ctx, func(tx pgx.Tx) error {
		if err := s.insert(ctx, tx, a); err != nil {
			return err
		}
		return s.db.record(ctx, tx, audit.Entry{Type: s.kind.Events.Added, Operation: a.ID, At: a.CreatedAt, Payload: payload})
	})
}

func (s Staff) insert(ctx context.Context, tx pgx.Tx, a personnel.Account) error {
	column, value := "", ""
	if s.kind.Offices {
		column, value = ", office", ", @office"
	}
	_, err := tx.Exec(ctx, s.sql(`
		INSERT INTO {kind}s (id, name, role, certificate, secret_hash, created_at`+column+`)
		VALUES (@id, @name, @role, @certificate, @secret, @now`+value+`)`), pgx.NamedArgs{
		"id":          a.ID,
		"name":        a.Name,
		"role":        a.Role,
		"certificate": a.Certificate,
		"secret":      a.SecretHash,
		"now":         a.CreatedAt,
		"office":      a.Office,
	})
	return err
}

// Invite replaces the invitations of an account in use (policies.NotFound), in
// the role rubrica_signer.
func (s Staff) Invite(ctx context.Context, i personnel.Invitation, now time.Time) error {
	return s.db.inTx(ctx, func(tx pgx.Tx) error {
		if err := s.invite(ctx, tx, i); err != nil {
			return err
		}
		return s.db.record(ctx, tx, audit.Entry{
			Type: s.kind.Events.Invited, Operation: i.Account.ID, At: now,
			Payload: map[string]any{"name": i.Account.Name, "by": commandLine, "until": i.ExpiresAt.UTC().Format(time.RFC3339)},
		})
	})
}

func (s Staff) invite(ctx context.Context, tx pgx.Tx, i personnel.Invitation) error {
	args := pgx.NamedArgs{"hash": i.Hash, "id": i.Account.ID, "expires": i.ExpiresAt}
	if _, err := tx.Exec(ctx, s.sql(`DELETE FROM {kind}_invitations WHERE {kind}_id = @id`), args); err != nil {
		return err
	}
	return swap(ctx, tx, policies.Refuse(policies.NotFound), s.sql(`
		INSERT INTO {kind}_invitations (hash, {kind}_id, expires_at)
		SELECT @hash, id, @expires FROM {kind}s WHERE id = @id AND disabled_at IS NULL`), args)
}

// Disable closes an account in use (policies.NotFound), in the role
// rubrica_signer.
func (s Staff) Disable(ctx context.Context, id string, now time.Time) error {
	a, err := s.Account(ctx, id)
	if errors.Is(err, s.unknown()) {
		return policies.Refuse(policies.NotFound)
	}
	if err != nil {
		return err
	}
	return s.db.inTx(ctx, func(tx pgx.Tx) error {
		if err := s.shut(ctx, tx, id, now); err != nil {
			return err
		}
		return s.db.record(ctx, tx, audit.Entry{
			Type: s.kind.Events.Disabled, Operation: id, At: now, Payload: map[string]any{"name": a.Name, "by": commandLine},
		})
	})
}

// shut closes an account with all that lets somebody in.
func (s Staff) shut(ctx context.Context, tx pgx.Tx, id string, now time.Time) error {
	args := pgx.NamedArgs{"id": id, "now": now}
	err := swap(ctx, tx, policies.Refuse(policies.NotFound), s.sql(`
		UPDATE {kind}s
		SET disabled_at = @now
		WHERE id = @id AND disabled_at IS NULL`), args)
	if err != nil {
		return err
	}
	for _, text := range []string{
		`DELETE FROM {kind}_sessions WHERE {kind}_id = @id`,
		`DELETE FROM {kind}_invitations WHERE {kind}_id = @id`,
	} {
		if _, err := tx.Exec(ctx, s.sql(text), args); err != nil {
			return err
		}
	}
	return nil
}

// columns are what targets takes.
func (s Staff) columns() string {
	office := `''`
	if s.kind.Offices {
		office = `a.office`
	}
	return `
			a.id,
			a.name,
			a.role,
			` + office + `,
			a.certificate,
			a.secret_hash,
			a.created_at,
			a.disabled_at`
}

// targets is where they go; done finishes what null columns need.
func targets(a *personnel.Account) (to []any, done func()) {
	var disabled *time.Time
	return []any{
		&a.ID,
		&a.Name,
		&a.Role,
		&a.Office,
		&a.Certificate,
		&a.SecretHash,
		&a.CreatedAt,
		&disabled,
	}, func() { a.CreatedAt, a.DisabledAt = a.CreatedAt.UTC(), orZero(disabled) }
}

// Account implements staff.Store: also one that is closed (the kind's refusal).
func (s Staff) Account(ctx context.Context, id string) (personnel.Account, error) {
	return s.account(ctx, `a.id = @key`, id)
}

// AccountByCertificate implements staff.Store.
func (s Staff) AccountByCertificate(ctx context.Context, certificate []byte) (personnel.Account, error) {
	return s.account(ctx, `a.certificate = @key`, certificate)
}

func (s Staff) account(ctx context.Context, where string, key any) (personnel.Account, error) {
	var a personnel.Account
	to, done := targets(&a)
	err := s.db.pool.QueryRow(ctx, s.sql(`SELECT`+s.columns()+` FROM {kind}s a WHERE `+where), pgx.NamedArgs{"key": key}).Scan(to...)
	if errors.Is(err, pgx.ErrNoRows) {
		return personnel.Account{}, s.unknown()
	}
	done()
	return a, err
}

// Accounts implements staff.Store: as they stand, by name.
func (s Staff) Accounts(ctx context.Context, now time.Time) ([]personnel.State, error) {
	rows, err := s.db.pool.Query(ctx, s.sql(`
		SELECT
			(SELECT count(*) FROM {kind}_passkeys p WHERE p.{kind}_id = a.id),
			(SELECT max(expires_at) FROM {kind}_invitations i WHERE i.{kind}_id = a.id AND i.expires_at > @now),`+s.columns()+`
		FROM {kind}s a
		ORDER BY a.name, a.id`), pgx.NamedArgs{"now": now})
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (personnel.State, error) {
		var (
			state   personnel.State
			invited *time.Time
		)
		to, done := targets(&state.Account)
		err := row.Scan(append([]any{&state.Passkeys, &invited}, to...)...)
		done()
		state.InvitedUntil = orZero(invited)
		return state, err
	})
}
