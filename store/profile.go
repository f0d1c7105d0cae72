package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

var _ citizen.ProfileStore = (*DB)(nil)

// pendingValue is what a pending change holds beside its box, as JSON.
type pendingValue struct {
	Email      string      `json:"email,omitempty"`
	Credential string      `json:"credential,omitempty"`
	Generation int64       `json:"generation,omitempty"`
	Pepper     int         `json:"pepper,omitempty"`
	Salt       []byte      `json:"salt,omitempty"`
	Cost       signer.Cost `json:"cost,omitzero"`
}

// Await implements citizen.ProfileStore.
func (db *DB) Await(ctx context.Context, p citizen.Pending, challengeID string, e audit.Entry) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		if err := consume(ctx, tx, challengeID, e.At); err != nil {
			return err
		}
		if err := await(ctx, tx, p); err != nil {
			return err
		}
		return db.record(ctx, tx, e)
	})
}

// AwaitPassword implements citizen.ProfileStore.
func (db *DB) AwaitPassword(ctx context.Context, p citizen.Pending, t signer.TicketRow, e audit.Entry) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		if err := spendTicket(ctx, tx, t.Hash, e.At); err != nil {
			return err
		}
		if err := await(ctx, tx, p); err != nil {
			return err
		}
		return db.record(ctx, tx, e)
	})
}

// await stores a change that waits in the place of an older one. Of two at once
// one is refused by the index.
func await(ctx context.Context, tx pgx.Tx, p citizen.Pending) error {
	args := pgx.NamedArgs{
		"hash":    p.Hash,
		"citizen": p.CitizenID,
		"kind":    p.Kind,
		"value": pendingValue{
			Email: p.Email, Credential: p.Sealed.CredentialID, Generation: p.Sealed.Generation, Pepper: p.Sealed.Pepper,
			Salt: p.Sealed.Salt, Cost: p.Sealed.Cost,
		},
		"box":     p.Sealed.Box,
		"epoch":   p.SealEpoch,
		"seal":    p.Seal,
		"created": p.CreatedAt,
		"expires": p.ExpiresAt,
	}
	for _, sql := range []string{
		`
		DELETE FROM pending_changes
		WHERE citizen_id = @citizen AND kind = @kind`, `
		INSERT INTO pending_changes (hash, citizen_id, kind, value, box, seal_epoch, seal, created_at, expires_at)
		VALUES (@hash, @citizen, @kind, @value, @box, @epoch, @seal, @created, @expires)`,
	} {
		if _, err := tx.Exec(ctx, sql, args); err != nil {
			if violated(err, "pending_changes_one") {
				return fmt.Errorf("%w: %w", policies.Refuse(policies.SessionExpired), err)
			}
			return err
		}
	}
	return nil
}

// Pending implements citizen.ProfileStore.
func (db *DB) Pending(ctx context.Context, hash []byte, now time.Time) (citizen.Pending, error) {
	var (
		p citizen.Pending
		v pendingValue
	)
	err := db.pool.QueryRow(ctx, `
		SELECT
			hash,
			citizen_id,
			kind,
			value,
			box,
			seal_epoch,
			seal,
			created_at,
			expires_at
		FROM pending_changes
		WHERE hash = @hash AND expires_at > @now`, pgx.NamedArgs{"hash": hash, "now": now}).Scan(
		&p.Hash,
		&p.CitizenID,
		&p.Kind,
		&v,
		&p.Sealed.Box,
		&p.SealEpoch,
		&p.Seal,
		&p.CreatedAt,
		&p.ExpiresAt,
	)
	if errors.Is(err, pgx.ErrNoRows) {
		return p, policies.Refuse(policies.LinkInvalid)
	}
	p.Email = v.Email
	if p.Kind == citizen.PendingPassword {
		p.Sealed.CitizenID, p.Sealed.CredentialID, p.Sealed.Generation = p.CitizenID, v.Credential, v.Generation
		p.Sealed.Pepper, p.Sealed.Salt, p.Sealed.Cost = v.Pepper, v.Salt, v.Cost
	}
	return p, err
}

// WaitingChange is a change that waits for its link, as its page may know it.
func (p Public) WaitingChange(ctx context.Context, hash []byte, now time.Time) (citizen.Pending, error) {
	var c citizen.Pending
	err := p.db.pool.QueryRow(ctx, `
		SELECT
			citizen_id,
			kind,
			created_at,
			expires_at
		FROM pending_changes
		WHERE hash = @hash AND expires_at > @now`, pgx.NamedArgs{"hash": hash, "now": now}).Scan(
		&c.CitizenID,
		&c.Kind,
		&c.CreatedAt,
		&c.ExpiresAt,
	)
	if errors.Is(err, pgx.ErrNoRows) {
		return c, policies.Refuse(policies.LinkInvalid)
	}
	return c, err
}

// AwaitedLink is how long the link lasts that a citizen was sent last, 0 if
// none waits to be followed.
func (p Public) AwaitedLink(ctx context.Context, citizenID string, kind citizen.PendingKind, now time.Time) (time.Duration, error) {
	var created, expires time.Time
	err := p.db.pool.QueryRow(ctx, `
		SELECT created_at, expires_at
		FROM pending_changes
		WHERE citizen_id = @citizen AND kind = @kind AND expires_at > @now`, pgx.NamedArgs{"citizen": citizenID, "kind": kind, "now": now}).Scan(&created, &expires)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	return expires.Sub(created), err
}

// arrive uses a link up.
func arrive(ctx context.Context, tx pgx.Tx, p citizen.Pending, at time.Time) error {
	return swap(ctx, tx, policies.Refuse(policies.LinkInvalid), `
		DELETE FROM pending_changes
		WHERE hash = @hash AND expires_at > @now`, pgx.NamedArgs{"hash": p.Hash, "now": at})
}

// revise stores a record's next state, with what more there is to change.
func (db *DB) revise(ctx context.Context, r citizen.Revision, e audit.Entry, more func(tx pgx.Tx) error) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		if err := apply(ctx, tx, r.Change); err != nil {
			return err
		}
		if r.ChallengeID != "" {
			if err := consume(ctx, tx, r.ChallengeID, e.At); err != nil {
				return err
			}
		}
		if err := more(tx); err != nil {
			return err
		}
		if err := db.notify(ctx, tx, r.Notice); err != nil {
			return err
		}
		return db.record(ctx, tx, e, r.Change.Entry)
	})
}

// CompleteEmail implements citizen.ProfileStore.
func (db *DB) CompleteEmail(ctx context.Context, p citizen.Pending, r citizen.Revision, e audit.Entry) error {
	return db.revise(ctx, r, e, func(tx pgx.Tx) error {
		if err := arrive(ctx, tx, p, e.At); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			UPDATE citizens
			SET email = @email
			WHERE id = @id`, pgx.NamedArgs{"id": p.CitizenID, "email": p.Email})
		return err
	})
}

// CompletePassword implements citizen.ProfileStore.
func (db *DB) CompletePassword(ctx context.Context, p citizen.Pending, k signer.Credential, r citizen.Revision, e audit.Entry) error {
	return db.revise(ctx, r, e, func(tx pgx.Tx) error {
		if err := arrive(ctx, tx, p, e.At); err != nil {
			return err
		}
		if err := endSessions(ctx, tx, p.CitizenID, e.At); err != nil {
			return err
		}
		return storeBox(ctx, tx, k)
	})
}

// Associate implements citizen.ProfileStore.
func (db *DB) Associate(ctx context.Context, a citizen.Association, r citizen.Revision, e audit.Entry) error {
	err := db.revise(ctx, r, e, func(tx pgx.Tx) error {
		err := swap(ctx, tx, policies.Refuse(policies.SessionExpired), `
			UPDATE enrolments
			SET spent_at = @now
			WHERE hash = @hash AND spent_at IS NULL AND expires_at > @now`, pgx.NamedArgs{"hash": a.Enrolment, "now": e.At})
		if err != nil {
			return err
		}
		args := pgx.NamedArgs{
			"citizen": a.CitizenID,
			"sum":     a.SHA256,
			"der":     a.DER,
			"subject": a.Subject,
			"issuer":  a.Issuer,
			"serial":  a.Serial,
			"until":   a.NotAfter,
			"now":     e.At,
		}
		err = swap(ctx, tx, policies.Refuse(policies.AssociationExists), `
			UPDATE citizens
			SET associated = @sum
			WHERE id = @citizen AND associated IS NULL`, args)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			INSERT INTO associated_certificates (citizen_id, der, subject, issuer, serial, not_after, added_at)
			VALUES (@citizen, @der, @subject, @issuer, @serial, @until, @now)`, args)
		return err
	})
	if violated(err, "citizens_associated_unique") {
		return fmt.Errorf("%w: %w", policies.Refuse(policies.AssociationExists), err)
	}
	return err
}

// Dissociate implements citizen.ProfileStore.
func (db *DB) Dissociate(ctx context.Context, r citizen.Revision, e audit.Entry) error {
	return db.revise(ctx, r, e, func(tx pgx.Tx) error {
		return dissociate(ctx, tx, r.Change.CitizenID, policies.Refuse(policies.AssociationMissing))
	})
}

// dissociate forgets the certificate that a citizen logs in with.
func dissociate(ctx context.Context, tx pgx.Tx, citizenID string, otherwise *policies.Refusal) error {
	args := pgx.NamedArgs{"id": citizenID}
	if _, err := tx.Exec(ctx, `
		DELETE FROM associated_certificates
		WHERE citizen_id = @id`, args); err != nil {
		return err
	}
	return swap(ctx, tx, otherwise, `
		UPDATE citizens
		SET associated = NULL
		WHERE id = @id AND associated IS NOT NULL`, args)
}

// leave forgets what only somebody who is registered needs.
func leave(ctx context.Context, tx pgx.Tx, citizenID string) error {
	args := pgx.NamedArgs{"id": citizenID}
	for _, sql := range []string{
		`DELETE FROM activations WHERE citizen_id = @id`,
		`DELETE FROM pending_changes WHERE citizen_id = @id`,
		`DELETE FROM associated_certificates WHERE citizen_id = @id`,
		`UPDATE citizens SET associated = NULL WHERE id = @id AND associated IS NOT NULL`,
	} {
		if _, err := tx.Exec(ctx, sql, args); err != nil {
			return err
		}
	}
	return nil
}

// EndVisit implements citizen.ProfileStore.
func (db *DB) EndVisit(ctx context.Context, hash []byte, e audit.Entry) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		if err := spendTicket(ctx, tx, hash, e.At); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
			UPDATE challenges
			SET state = 'superseded'
			WHERE ticket_hash = @hash AND state IN ('prepared', 'sent')`, pgx.NamedArgs{"hash": hash}); err != nil {
			return err
		}
		return db.record(ctx, tx, e)
	})
}

// EndVisits implements citizen.ProfileStore.
func (db *DB) EndVisits(ctx context.Context, citizenID string, e audit.Entry) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		if err := endSessions(ctx, tx, citizenID, e.At); err != nil {
			return err
		}
		return db.record(ctx, tx, e)
	})
}

// SetNotices implements citizen.ProfileStore.
func (db *DB) SetNotices(ctx context.Context, n signer.Notices, r citizen.Revision, e audit.Entry) error {
	return db.revise(ctx, r, e, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			UPDATE citizens
			SET notices = @notices
			WHERE id = @id`, pgx.NamedArgs{"id": r.Change.CitizenID, "notices": n})
		return err
	})
}

// PersonEntries implements citizen.ProfileStore.
func (db *DB) PersonEntries(ctx context.Context, identifier string, after int64, limit int) ([]citizen.LogEntry, error) {
	rows, err := db.pool.Query(ctx, `
		SELECT
			seq,
			type,
			operation,
			at,
			payload
		FROM log_entries
		WHERE person = @person AND seq > @after AND payload IS NOT NULL
		ORDER BY seq
		LIMIT @limit`, pgx.NamedArgs{"person": identifier, "after": after, "limit": limit})
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (e citizen.LogEntry, err error) {
		err = row.Scan(
			&e.Seq,
			&e.Type,
			&e.Operation,
			&e.At,
			&e.Payload,
		)
		return e, err
	})
}
