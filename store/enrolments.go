package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

var (
	_ citizen.PresentationStore = (*DB)(nil)
	_ citizen.EnrolmentStore    = (*DB)(nil)
)

// Present implements citizen.PresentationStore.
func (db *DB) Present(ctx context.Context, p citizen.Presented, e audit.Entry) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			INSERT INTO presentations (hash, challenge, identifier, facts, seal_epoch, seal, created_at, expires_at)
			VALUES (@hash, @challenge, @identifier, @facts, @epoch, @seal, @created, @expires)`, pgx.NamedArgs{
			"hash":       p.Hash,
			"challenge":  p.Challenge,
			"identifier": p.Identifier,
			"facts":      p.Facts,
			"epoch":      p.Seal.Epoch,
			"seal":       p.Seal.MAC,
			"created":    p.CreatedAt,
			"expires":    p.ExpiresAt,
		})
		if err != nil {
			return err
		}
		return db.record(ctx, tx, e)
	})
}

// TakePresented implements citizen.PresentationStore.
func (db *DB) TakePresented(ctx context.Context, hash, challenge []byte, now time.Time) (citizen.Presented, error) {
	var p citizen.Presented
	err := db.pool.QueryRow(ctx, `
		DELETE FROM presentations
		WHERE hash = @hash AND challenge = @challenge AND expires_at > @now
		RETURNING
			hash,
			challenge,
			identifier,
			facts,
			seal_epoch,
			seal,
			created_at,
			expires_at`, pgx.NamedArgs{"hash": hash, "challenge": challenge, "now": now}).Scan(
		&p.Hash,
		&p.Challenge,
		&p.Identifier,
		&p.Facts,
		&p.Seal.Epoch,
		&p.Seal.MAC,
		&p.CreatedAt,
		&p.ExpiresAt,
	)
	if errors.Is(err, pgx.ErrNoRows) {
		return p, policies.Refuse(policies.SessionExpired)
	}
	return p, err
}

// OpenEnrolment implements citizen.EnrolmentStore.
func (db *DB) OpenEnrolment(ctx context.Context, e citizen.Enrolment, entry audit.Entry) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			INSERT INTO enrolments (hash, kind, identifier, facts, seal_epoch, seal, created_at, expires_at)
			VALUES (@hash, @kind, @identifier, @facts, @epoch, @seal, @created, @expires)`, pgx.NamedArgs{
			"hash":       e.Hash,
			"kind":       e.Kind,
			"identifier": e.Identifier,
			"facts":      e.Attestation,
			"epoch":      e.Seal.Epoch,
			"seal":       e.Seal.MAC,
			"created":    e.CreatedAt,
			"expires":    e.ExpiresAt,
		})
		if err != nil {
			return err
		}
		return db.record(ctx, tx, entry)
	})
}

const enrolmentColumns = `
	hash,
	kind,
	identifier,
	facts,
	phone,
	pepper_epoch,
	mac,
	attempts,
	codes,
	sent_at,
	seal_epoch,
	seal,
	created_at,
	expires_at`

func scanEnrolment(row pgx.Row) (citizen.Enrolment, error) {
	var (
		e      citizen.Enrolment
		sentAt *time.Time
	)
	err := row.Scan(
		&e.Hash,
		&e.Kind,
		&e.Identifier,
		&e.Attestation,
		&e.Phone,
		&e.Pepper,
		&e.MAC,
		&e.Attempts,
		&e.Codes,
		&sentAt,
		&e.Seal.Epoch,
		&e.Seal.MAC,
		&e.CreatedAt,
		&e.ExpiresAt,
	)
	if errors.Is(err, pgx.ErrNoRows) {
		return e, policies.Refuse(policies.SessionExpired)
	}
	e.SentAt = orZero(sentAt)
	return e, err
}

// Enrolment implements citizen.EnrolmentStore.
func (db *DB) Enrolment(ctx context.Context, hash []byte, now time.Time) (citizen.Enrolment, error) {
	return scanEnrolment(db.pool.QueryRow(ctx, `
		SELECT `+enrolmentColumns+`
		FROM enrolments
		WHERE hash = @hash AND spent_at IS NULL AND expires_at > @now`, pgx.NamedArgs{"hash": hash, "now": now}))
}

// PrepareEnrolmentCode implements citizen.EnrolmentStore. The person's lock
// orders concurrent demands, so that the pace holds among them.
func (db *DB) PrepareEnrolmentCode(ctx context.Context, e citizen.Enrolment, pace signer.Pace) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		args := pgx.NamedArgs{
			"hash":       e.Hash,
			"identifier": e.Identifier,
			"facts":      e.Attestation,
			"phone":      e.Phone,
			"pepper":     e.Pepper,
			"mac":        e.MAC,
			"codes":      e.Codes,
			"now":        e.SentAt,
			"hour":       e.SentAt.Add(-time.Hour),
			"epoch":      e.Seal.Epoch,
			"seal":       e.Seal.MAC,
		}
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('enrolment ' || @identifier, 0))`, args); err != nil {
			return err
		}
		var (
			recent int
			last   time.Time
		)
		err := tx.QueryRow(ctx, `
			SELECT coalesce(sum(codes), 0), coalesce(max(sent_at), 'epoch')
			FROM enrolments
			WHERE identifier = @identifier AND sent_at > @hour`, args).Scan(&recent, &last)
		if err != nil {
			return err
		}
		if refusal := tooFast(e.SentAt, last, recent, pace); refusal != nil {
			return refusal
		}
		return swap(ctx, tx, policies.Refuse(policies.SessionExpired), `
			UPDATE enrolments
			SET facts = @facts, phone = @phone, pepper_epoch = @pepper, mac = @mac, attempts = 0, codes = @codes, sent_at = @now,
				seal_epoch = @epoch, seal = @seal
			WHERE hash = @hash AND spent_at IS NULL AND expires_at > @now AND codes = @codes - 1`, args)
	})
}

// EnrolmentCodeSent implements citizen.EnrolmentStore. The pace counts one that
// was not sent too: which numbers the operator refuses is not to be tried out.
func (db *DB) EnrolmentCodeSent(ctx context.Context, e citizen.Enrolment, sent bool, entry audit.Entry) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		if !sent {
			if _, err := tx.Exec(ctx, `
				UPDATE enrolments
				SET mac = NULL
				WHERE hash = @hash AND codes = @codes`, pgx.NamedArgs{"hash": e.Hash, "codes": e.Codes}); err != nil {
				return err
			}
		}
		return db.record(ctx, tx, entry)
	})
}

// TryEnrolment implements citizen.EnrolmentStore.
func (db *DB) TryEnrolment(ctx context.Context, try citizen.EnrolmentTry) (citizen.Enrolment, error) {
	args := pgx.NamedArgs{"hash": try.Hash, "since": try.Since, "limit": try.Limit, "now": try.Now}
	e, err := scanEnrolment(db.pool.QueryRow(ctx, `
		UPDATE enrolments
		SET attempts = attempts + 1
		WHERE hash = @hash AND spent_at IS NULL AND expires_at > @now
			AND mac IS NOT NULL AND sent_at > @since AND attempts < @limit
		RETURNING `+enrolmentColumns, args))
	if !errors.Is(err, policies.Refuse(policies.SessionExpired)) {
		return e, err
	}
	// Nothing was counted: why not?
	if e, err = db.Enrolment(ctx, try.Hash, try.Now); err != nil {
		return e, err
	}
	if e.MAC != nil && e.SentAt.After(try.Since) {
		return e, policies.Refuse(policies.CodeExhausted)
	}
	return e, policies.Refuse(policies.CodeExpired)
}

// spendEnrolment uses one up, if that is what a change comes from.
func spendEnrolment(ctx context.Context, tx pgx.Tx, hash []byte, now time.Time) error {
	if hash == nil {
		return nil
	}
	return swap(ctx, tx, policies.Refuse(policies.SessionExpired), `
		UPDATE enrolments
		SET spent_at = @now, mac = NULL
		WHERE hash = @hash AND spent_at IS NULL AND expires_at > @now`, pgx.NamedArgs{"hash": hash, "now": now})
}

// Enrolment reads one for its pages, spent or not.
func (p Public) Enrolment(ctx context.Context, hash []byte, now time.Time) (citizen.Enrolment, error) {
	var (
		e             citizen.Enrolment
		sentAt, spent *time.Time
	)
	err := p.db.pool.QueryRow(ctx, `
		SELECT
			hash,
			kind,
			identifier,
			facts,
			phone,
			attempts,
			codes,
			sent_at,
			created_at,
			expires_at,
			spent_at
		FROM enrolments
		WHERE hash = @hash AND expires_at > @now`, pgx.NamedArgs{"hash": hash, "now": now}).Scan(
		&e.Hash,
		&e.Kind,
		&e.Identifier,
		&e.Attestation,
		&e.Phone,
		&e.Attempts,
		&e.Codes,
		&sentAt,
		&e.CreatedAt,
		&e.ExpiresAt,
		&spent,
	)
	if errors.Is(err, pgx.ErrNoRows) {
		return e, policies.Refuse(policies.SessionExpired)
	}
	e.SentAt, e.SpentAt = orZero(sentAt), orZero(spent)
	return e, err
}
