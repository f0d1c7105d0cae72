package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/ca"
	"github.com/rubrica-firma/rubrica/ca/ocsp"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// Hierarchy reads the authorities and their services, oldest first.
func (db *DB) Hierarchy(ctx context.Context) (ca.Hierarchy, error) {
	rows, err := db.pool.Query(ctx, `
		SELECT
			name,
			role,
			generation,
			key_label,
			token,
			der,
			issuer,
			coalesce(shard, ''),
			created_at,
			retired_at,
			revoked_at,
			coalesce(reason, 0)
		FROM authorities
		ORDER BY created_at, generation, name`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (ca.Member, error) {
		var (
			m                ca.Member
			retired, revoked *time.Time
		)
		err := row.Scan(
			&m.Name,
			&m.Role,
			&m.Generation,
			&m.KeyLabel,
			&m.Token,
			&m.DER,
			&m.Issuer,
			&m.Shard,
			&m.CreatedAt,
			&retired,
			&revoked,
			&m.Reason,
		)
		m.CreatedAt, m.RetiredAt, m.RevokedAt = m.CreatedAt.UTC(), orZero(retired), orZero(revoked)
		return m, err
	})
}

// Ceremony is what one step of a key ceremony leaves in the database.
type Ceremony struct {
	Step    string // never done twice
	Members []ca.Member
	Epochs  []Epoch
	Keeper  signer.KeeperName // empty: as it is
	// Retire names members with whose keys nothing new is done from now on.
	Retire []string
	// List is the root's, signed in the ceremony.
	List *ca.PublishedList
}

// CeremonySteps lists the steps that have been done.
func (db *DB) CeremonySteps(ctx context.Context) (map[string]time.Time, error) {
	rows, err := db.pool.Query(ctx, `SELECT step, done_at FROM ceremony_steps`)
	if err != nil {
		return nil, err
	}
	steps := map[string]time.Time{}
	var (
		step string
		at   time.Time
	)
	_, err = pgx.ForEachRow(rows, []any{&step, &at}, func() error {
		steps[step] = at.UTC()
		return nil
	})
	return steps, err
}

// ErrStepDone means that a step of a ceremony was done before, by somebody else
// at the same time.
var ErrStepDone = errors.New("this step of the ceremony has been done already")

// RecordCeremony stores a step with its log entries, once.
func (db *DB) RecordCeremony(ctx context.Context, c Ceremony, entries ...audit.Entry) error {
	now := entries[0].At
	err := db.inTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `
			INSERT INTO ceremony_steps (step, done_at)
			VALUES (@step, @now)`, pgx.NamedArgs{"step": c.Step, "now": now}); err != nil {
			return err
		}
		for _, m := range c.Members {
			if err := insertMember(ctx, tx, m, now); err != nil {
				return fmt.Errorf("storing %s: %w", m.Name, err)
			}
		}
		for _, epoch := range c.Epochs {
			if err := insertEpoch(ctx, tx, epoch, now); err != nil {
				return err
			}
		}
		if err := retireMembers(ctx, tx, c.Retire, now); err != nil {
			return err
		}
		if c.Keeper != "" {
			if _, err := tx.Exec(ctx, `
				UPDATE key_keeper
				SET keeper = @keeper, since = @now`, pgx.NamedArgs{"keeper": c.Keeper, "now": now}); err != nil {
				return err
			}
		}
		if c.List != nil {
			if err := addList(ctx, tx, string(ca.RoleRoot), *c.List); err != nil {
				return err
			}
		}
		return db.record(ctx, tx, entries...)
	})
	if violated(err, "ceremony_steps_pkey") {
		return ErrStepDone
	}
	return err
}

func insertMember(ctx context.Context, tx pgx.Tx, m ca.Member, now time.Time) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO authorities (name, role, generation, key_label, token, der, issuer, shard, created_at)
		VALUES (@name, @role, @generation, @label, @token, @der, @issuer, @shard, @now)`, pgx.NamedArgs{
		"name":       m.Name,
		"role":       m.Role,
		"generation": m.Generation,
		"label":      m.KeyLabel,
		"token":      m.Token,
		"der":        m.DER,
		"issuer":     m.Issuer,
		"shard":      orNull(m.Shard),
		"now":        now,
	})
	if err != nil {
		return err
	}
	if m.Shard != "" {
		c, err := m.Certificate()
		if err != nil {
			return err
		}
		return place(ctx, tx, m.Shard, c.NotAfter)
	}
	if m.Role != ca.RoleRoot {
		return nil
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO crl_shards (name, issuer, ends_at)
		VALUES (@name, @name, 'infinity')`, pgx.NamedArgs{"name": m.Name})
	return err
}

// addList stores a list that a ceremony signed; its number must be free.
func addList(ctx context.Context, tx pgx.Tx, shard string, l ca.PublishedList) error {
	published, err := insertList(ctx, tx, shard, l)
	if err == nil && !published {
		return ErrStepDone
	}
	return err
}

func retireMembers(ctx context.Context, tx pgx.Tx, names []string, now time.Time) error {
	for _, name := range names {
		err := swap(ctx, tx, policies.Refuse(policies.RequestState), `
			UPDATE authorities
			SET retired_at = @now
			WHERE name = @name AND retired_at IS NULL`, pgx.NamedArgs{"name": name, "now": now})
		if err != nil {
			return err
		}
	}
	return nil
}

// ReplaceMember puts another certificate of the same key in the place of one
// that is going to end, if that is still the one that was read.
func (db *DB) ReplaceMember(ctx context.Context, name string, was, der []byte, entries ...audit.Entry) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		err := swap(ctx, tx, policies.Refuse(policies.RequestState), `
			UPDATE authorities
			SET der = @der
			WHERE name = @name AND der = @was`, pgx.NamedArgs{"name": name, "was": was, "der": der})
		if err != nil {
			return err
		}
		return db.record(ctx, tx, entries...)
	})
}

// RevokeMember revokes an authority or a service; of an issuing authority the
// root's list says so, of a service its issuer's.
func (db *DB) RevokeMember(ctx context.Context, name string, reason ca.Reason, list *ca.PublishedList, e audit.Entry) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		var (
			der           []byte
			issuer, shard string
		)
		err := tx.QueryRow(ctx, `
			UPDATE authorities
			SET revoked_at = @now, reason = @reason
			WHERE name = @name AND revoked_at IS NULL
			RETURNING der, issuer, coalesce(shard, '')`,
			pgx.NamedArgs{"name": name, "now": e.At, "reason": int(reason)}).Scan(&der, &issuer, &shard)
		if errors.Is(err, pgx.ErrNoRows) {
			return policies.Refuse(policies.RequestState)
		}
		if err != nil {
			return err
		}
		if list != nil {
			if err := addList(ctx, tx, issuer, *list); err != nil {
				return err
			}
		}
		var changed []ca.Change
		if shard != "" {
			c, err := ca.Member{Name: name, DER: der}.Certificate()
			if err != nil {
				return err
			}
			changed = []ca.Change{{Serial: ocsp.Serial(c.SerialNumber), Issuer: issuer, Shard: shard}}
		}
		return db.conclude(ctx, tx, changed, e)
	})
}

// RevokedMembers lists what a member has revoked of the hierarchy.
func (db *DB) RevokedMembers(ctx context.Context, issuer string) ([]ca.Revocation, error) {
	h, err := db.Hierarchy(ctx)
	if err != nil {
		return nil, err
	}
	var revoked []ca.Revocation
	for _, m := range h.Under(issuer) {
		if m.RevokedAt.IsZero() {
			continue
		}
		c, err := m.Certificate()
		if err != nil {
			return nil, err
		}
		revoked = append(revoked, ca.Revocation{Serial: c.SerialNumber.Bytes(), At: m.RevokedAt, Reason: m.Reason})
	}
	return revoked, nil
}
