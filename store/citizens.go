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

var _ citizen.Store = (*DB)(nil)

// Register implements citizen.Store.
func (db *DB) Register(ctx context.Context, c signer.Citizen, activationMAC []byte, entries ...audit.Entry) error {
	err := db.inTx(ctx, func(tx pgx.Tx) error {
		args := pgx.NamedArgs{
			"id":         c.ID,
			"identifier": c.Identifier,
			"given":      c.GivenName,
			"surnames":   c.Surnames,
			"phone":      c.Phone,
			"email":      c.Email,
			"locale":     c.Locale,
			"status":     c.Status,
			"until":      c.DocumentUntil,
			"now":        c.Registration.AssuredAt,
			"mode":       c.Registration.Mode,
			"level":      c.Registration.Level,
			"office":     c.Registration.Office,
			"officer":    c.Registration.Officer,
			"mac":        activationMAC,
		}
		for _, sql := range []string{
			`
			INSERT INTO citizens (id, identifier, given_name, surnames, phone, email, locale, status, document_until, created_at)
			VALUES (@id, @identifier, @given, @surnames, @phone, @email, @locale, @status, @until, @now)`, `
			INSERT INTO registrations (citizen_id, mode, level, office, officer, assured_at)
			VALUES (@id, @mode, @level, @office, @officer, @now)`, `
			INSERT INTO activations (citizen_id, mac, issued_at)
			VALUES (@id, @mac, @now)`,
		} {
			if _, err := tx.Exec(ctx, sql, args); err != nil {
				return err
			}
		}
		return db.record(ctx, tx, entries...)
	})
	switch {
	case violated(err, "citizens_identifier_unique"):
		return fmt.Errorf("%w: %w", policies.Refuse(policies.CitizenExists), err)
	case violated(err, "citizens_phone_unique"):
		return fmt.Errorf("%w: %w", policies.Refuse(policies.PhoneTaken), err)
	}
	return err
}

// ReplaceActivation implements citizen.Store.
func (db *DB) ReplaceActivation(ctx context.Context, citizenID string, activationMAC []byte, e audit.Entry) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			INSERT INTO activations (citizen_id, mac, issued_at)
			VALUES (@id, @mac, @now)
			ON CONFLICT (citizen_id) DO UPDATE
			SET mac = @mac, issued_at = @now`, pgx.NamedArgs{"id": citizenID, "mac": activationMAC, "now": e.At})
		if err != nil {
			return err
		}
		if err := clearAttempts(ctx, tx, "activation", citizenID); err != nil {
			return err
		}
		return db.record(ctx, tx, e)
	})
}

// CountActivationAttempt implements citizen.Store.
func (db *DB) CountActivationAttempt(ctx context.Context, identifier string, now time.Time) (int, error) {
	return db.countAttempt(ctx, "activation", identifier, now)
}

// Activation implements citizen.Store.
func (db *DB) Activation(ctx context.Context, identifier string) (signer.Citizen, []byte, error) {
	c, _, err := readPerson(ctx, db.pool, "c.identifier = @key", identifier)
	if err != nil {
		return c, nil, err
	}
	var mac []byte
	err = db.pool.QueryRow(ctx, `
		SELECT mac
		FROM activations
		WHERE citizen_id = @id`, pgx.NamedArgs{"id": c.ID}).Scan(&mac)
	if errors.Is(err, pgx.ErrNoRows) {
		return c, nil, nil
	}
	return c, mac, err
}

// OpenActivation implements citizen.Store.
func (db *DB) OpenActivation(ctx context.Context, t signer.TicketRow, e audit.Entry) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		if err := clearAttempts(ctx, tx, "activation", t.CitizenID); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
			DELETE FROM tickets
			WHERE citizen_id = @citizen AND purpose = 'activation'`, pgx.NamedArgs{"citizen": t.CitizenID}); err != nil {
			return err
		}
		if err := insertTicket(ctx, tx, t); err != nil {
			return err
		}
		return db.record(ctx, tx, e)
	})
}

// VerifyActivation implements citizen.Store.
func (db *DB) VerifyActivation(ctx context.Context, ticketHash []byte, challengeID string, e audit.Entry) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		if err := consume(ctx, tx, challengeID, e.At); err != nil {
			return err
		}
		err := swap(ctx, tx, policies.Refuse(policies.SessionExpired), `
			UPDATE tickets
			SET verified = true
			WHERE hash = @hash AND spent_at IS NULL`, pgx.NamedArgs{"hash": ticketHash})
		if err != nil {
			return err
		}
		return db.record(ctx, tx, e)
	})
}

// Reason for which a forgotten password's certificates are revoked, RFC 5280
// section 5.3.1: the key is gone, nothing suggests that it was compromised.
const cessationOfOperation = 5

// SetPassword implements citizen.Store.
func (db *DB) SetPassword(ctx context.Context, t signer.TicketRow, sealed signer.Sealed, n signer.Notice, entries ...audit.Entry) error {
	e := entries[0]
	return db.inTx(ctx, func(tx pgx.Tx) error {
		if err := spendTicket(ctx, tx, t.Hash, e.At); err != nil {
			return err
		}
		// The row goes, so a second password needs a second activation code.
		err := swap(ctx, tx, policies.Refuse(policies.SessionExpired), `
			DELETE FROM activations
			WHERE citizen_id = @citizen`, pgx.NamedArgs{"citizen": t.CitizenID})
		if err != nil {
			return err
		}
		ended, err := destroyCredentials(ctx, tx, t.CitizenID, e)
		if err != nil {
			return err
		}
		if err := insertCredential(ctx, tx, sealed, e.At); err != nil {
			return err
		}
		err = swap(ctx, tx, policies.Refuse(policies.CitizenInactive), `
			UPDATE citizens
			SET status = 'active'
			WHERE id = @citizen AND status IN ('registered', 'active')`, pgx.NamedArgs{"citizen": t.CitizenID})
		if err != nil {
			return err
		}
		if err := clearAttempts(ctx, tx, "password", t.CitizenID); err != nil {
			return err
		}
		if err := db.notify(ctx, tx, n); err != nil {
			return err
		}
		return db.record(ctx, tx, append(ended, entries...)...)
	})
}

func insertCredential(ctx context.Context, tx pgx.Tx, s signer.Sealed, at time.Time) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO credentials (id, citizen_id, generation, state, salt, argon_memory_kib, argon_passes, argon_lanes, box, created_at)
		VALUES (@id, @citizen, @generation, 'empty', @salt, @memory, @passes, @lanes, @box, @now)`, pgx.NamedArgs{
		"id":         s.CredentialID,
		"citizen":    s.CitizenID,
		"generation": s.Generation,
		"salt":       s.Salt,
		"memory":     s.Cost.MemoryKiB,
		"passes":     s.Cost.Passes,
		"lanes":      s.Cost.Lanes,
		"box":        s.Box,
		"now":        at,
	})
	return err
}

// destroyCredentials deletes the boxes of a citizen's credentials and revokes
// their certificates; it returns the log entries that tell of it.
func destroyCredentials(ctx context.Context, tx pgx.Tx, citizenID string, cause audit.Entry) ([]audit.Entry, error) {
	args := pgx.NamedArgs{"citizen": citizenID, "now": cause.At, "reason": cessationOfOperation}
	rows, err := tx.Query(ctx, `
		UPDATE certificates
		SET revoked_at = @now, reason = @reason
		WHERE state = 'issued' AND revoked_at IS NULL
			AND credential_id IN (SELECT id FROM credentials WHERE citizen_id = @citizen)
		RETURNING serial`, args)
	if err != nil {
		return nil, err
	}
	serials, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, err
	}
	rows, err = tx.Query(ctx, `
		UPDATE credentials
		SET state = 'destroyed', box = NULL
		WHERE citizen_id = @citizen AND state <> 'destroyed'
		RETURNING id`, args)
	if err != nil {
		return nil, err
	}
	credentials, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, err
	}
	var entries []audit.Entry
	for _, serial := range serials {
		entries = append(entries, audit.Entry{
			Type: audit.CertificateRevoked, Operation: cause.Operation, At: cause.At, Person: cause.Person,
			Payload: map[string]any{"serial": serial, "reason": cessationOfOperation},
		})
	}
	for _, id := range credentials {
		entries = append(entries, audit.Entry{
			Type: audit.KeyDestroyed, Operation: cause.Operation, At: cause.At, Person: cause.Person,
			Payload: map[string]any{"credential": id},
		})
	}
	return entries, nil
}
