package store

import (
	"cmp"
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
func (db *DB) Register(ctx context.Context, r citizen.Registering, entries ...audit.Entry) error {
	err := db.inTx(ctx, func(tx pgx.Tx) error {
		if err := spendEnrolment(ctx, tx, r.Activation.Enrolment, entries[0].At); err != nil {
			return err
		}
		enter := insertCitizen
		if r.Change.Was > 0 {
			enter = reinstateCitizen
		}
		if err := enter(ctx, tx, r); err != nil {
			return err
		}
		if err := insertRegistration(ctx, tx, r.Citizen, r.Evidence); err != nil {
			return err
		}
		if err := insertActivation(ctx, tx, r.Citizen.ID, r.Activation, entries[0].At); err != nil {
			return err
		}
		if err := db.notify(ctx, tx, r.Notice); err != nil {
			return err
		}
		return db.record(ctx, tx, append(entries, r.Change.Entry)...)
	})
	switch {
	case violated(err, "citizens_identifier_unique"):
		return fmt.Errorf("%w: %w", policies.Refuse(policies.CitizenExists), err)
	case violated(err, "citizens_phone_unique"):
		return fmt.Errorf("%w: %w", policies.Refuse(policies.PhoneTaken), err)
	}
	return err
}

func insertCitizen(ctx context.Context, tx pgx.Tx, r citizen.Registering) error {
	args := rowOf(r.Citizen)
	args["now"] = cmp.Or(r.Citizen.Registration.AssuredAt, r.Change.Entry.At)
	args["epoch"], args["seal"] = r.Change.Seal.Epoch, r.Change.Seal.MAC
	_, err := tx.Exec(ctx, `
		INSERT INTO citizens (id, identifier, given_name, surnames, phone, email, locale, status, document_until, created_at, version, seal_epoch, seal)
		VALUES (@id, @identifier, @given, @surnames, @phone, @email, @locale, @status, @until, @now, 1, @epoch, @seal)`, args)
	return err
}

// reinstateCitizen has somebody who left come back; what they had is forgotten.
func reinstateCitizen(ctx context.Context, tx pgx.Tx, r citizen.Registering) error {
	err := swap(ctx, tx, policies.Refuse(policies.CitizenExists), `
		UPDATE citizens
		SET given_name = @given, surnames = @surnames, phone = @phone, email = @email, locale = @locale, status = @status,
			document_until = @until, phone_changed_at = NULL, associated = NULL, notices = @notices
		WHERE id = @id AND status = 'deregistered'`, rowOf(r.Citizen))
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `DELETE FROM associated_certificates WHERE citizen_id = @id`, pgx.NamedArgs{"id": r.Citizen.ID}); err != nil {
		return err
	}
	for _, kind := range []string{"activation", "password"} {
		if err := clearAttempts(ctx, tx, kind, r.Citizen.ID); err != nil {
			return err
		}
	}
	return apply(ctx, tx, r.Change)
}

// rowOf are the columns of a citizen's row that registration writes.
func rowOf(c signer.Citizen) pgx.NamedArgs {
	return pgx.NamedArgs{
		"id":         c.ID,
		"identifier": c.Identifier,
		"given":      c.GivenName,
		"surnames":   c.Surnames,
		"phone":      c.Phone,
		"email":      c.Email,
		"locale":     c.Locale,
		"status":     c.Status,
		"until":      c.DocumentUntil,
		"notices":    c.Notices,
	}
}

func insertRegistration(ctx context.Context, tx pgx.Tx, c signer.Citizen, evidence map[string]string) error {
	if evidence == nil {
		evidence = map[string]string{}
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO registrations (citizen_id, mode, level, office, officer, assured_at, evidence)
		VALUES (@id, @mode, @level, @office, @officer, @assured, @evidence)`, pgx.NamedArgs{
		"id":       c.ID,
		"mode":     c.Registration.Mode,
		"level":    c.Registration.Level,
		"office":   c.Registration.Office,
		"officer":  c.Registration.Officer,
		"assured":  c.Registration.AssuredAt,
		"evidence": evidence,
	})
	if err != nil {
		return err
	}
	return endLetters(ctx, tx, c.ID)
}

func insertActivation(ctx context.Context, tx pgx.Tx, citizenID string, a citizen.Activation, now time.Time) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO activations (citizen_id, pepper_epoch, mac, issued_at)
		VALUES (@id, @pepper, @mac, @now)
		ON CONFLICT (citizen_id) DO UPDATE
		SET pepper_epoch = @pepper, mac = @mac, issued_at = @now`,
		pgx.NamedArgs{"id": citizenID, "pepper": a.Pepper, "mac": a.MAC, "now": now})
	return err
}

// RenewRegistration implements citizen.Store.
func (db *DB) RenewRegistration(ctx context.Context, u citizen.Update, entries ...audit.Entry) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		if err := apply(ctx, tx, u.Change); err != nil {
			return err
		}
		if err := spendEnrolment(ctx, tx, u.Enrolment, entries[0].At); err != nil {
			return err
		}
		err := swap(ctx, tx, policies.Refuse(policies.CitizenInactive), `
			UPDATE citizens
			SET document_until = @until
			WHERE id = @id AND status = @status`, rowOf(u.Citizen))
		if err != nil {
			return err
		}
		if err := insertRegistration(ctx, tx, u.Citizen, u.Evidence); err != nil {
			return err
		}
		if err := db.notify(ctx, tx, u.Notice); err != nil {
			return err
		}
		return db.record(ctx, tx, append(entries, u.Change.Entry)...)
	})
}

// ChangeContact implements citizen.Store.
func (db *DB) ChangeContact(ctx context.Context, u citizen.Update, entries ...audit.Entry) error {
	err := db.inTx(ctx, func(tx pgx.Tx) error {
		if err := apply(ctx, tx, u.Change); err != nil {
			return err
		}
		if err := spendEnrolment(ctx, tx, u.Enrolment, entries[0].At); err != nil {
			return err
		}
		args := rowOf(u.Citizen)
		args["changed"] = orNever(u.Citizen.PhoneChangedAt)
		err := swap(ctx, tx, policies.Refuse(policies.CitizenInactive), `
			UPDATE citizens
			SET phone = @phone, phone_changed_at = @changed, email = @email
			WHERE id = @id AND status = @status`, args)
		if err != nil {
			return err
		}
		if err := endSessions(ctx, tx, u.Citizen.ID, entries[0].At); err != nil {
			return err
		}
		if err := db.notify(ctx, tx, u.Notice); err != nil {
			return err
		}
		return db.record(ctx, tx, append(entries, u.Change.Entry)...)
	})
	if violated(err, "citizens_phone_unique") {
		return fmt.Errorf("%w: %w", policies.Refuse(policies.PhoneTaken), err)
	}
	return err
}

// ReplaceActivation implements citizen.Store.
func (db *DB) ReplaceActivation(ctx context.Context, citizenID string, a citizen.Activation, e audit.Entry) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		if err := spendEnrolment(ctx, tx, a.Enrolment, e.At); err != nil {
			return err
		}
		if err := insertActivation(ctx, tx, citizenID, a, e.At); err != nil {
			return err
		}
		// Whoever has begun with the old code begins again with this one.
		if _, err := tx.Exec(ctx, `
			DELETE FROM tickets
			WHERE citizen_id = @citizen AND purpose = 'activation'`, pgx.NamedArgs{"citizen": citizenID}); err != nil {
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
func (db *DB) Activation(ctx context.Context, citizenID string) (citizen.Activation, error) {
	var a citizen.Activation
	err := db.pool.QueryRow(ctx, `
		SELECT pepper_epoch, mac
		FROM activations
		WHERE citizen_id = @id`, pgx.NamedArgs{"id": citizenID}).Scan(&a.Pepper, &a.MAC)
	if errors.Is(err, pgx.ErrNoRows) {
		return a, nil
	}
	return a, err
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

// VerifyTicket implements citizen.Store.
func (db *DB) VerifyTicket(ctx context.Context, t signer.TicketRow, challengeID string, e audit.Entry) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		if err := consume(ctx, tx, challengeID, e.At); err != nil {
			return err
		}
		err := swap(ctx, tx, policies.Refuse(policies.SessionExpired), `
			UPDATE tickets
			SET verified = true, seal_epoch = @epoch, seal = @seal
			WHERE hash = @hash AND spent_at IS NULL`, pgx.NamedArgs{"hash": t.Hash, "epoch": t.Seal.Epoch, "seal": t.Seal.MAC})
		if err != nil {
			return err
		}
		return db.record(ctx, tx, e)
	})
}

// SetPassword implements citizen.Store.
func (db *DB) SetPassword(ctx context.Context, t signer.TicketRow, k signer.Credential, c signer.Change, n signer.Notice, entries ...audit.Entry) error {
	e := entries[0]
	return db.inTx(ctx, func(tx pgx.Tx) error {
		if err := apply(ctx, tx, c); err != nil {
			return err
		}
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
		ended, err := destroyCredentials(ctx, tx, t.CitizenID, cessationOfOperation, e)
		if err != nil {
			return err
		}
		if err := insertCredential(ctx, tx, k); err != nil {
			return err
		}
		err = swap(ctx, tx, policies.Refuse(policies.CitizenInactive), `
			UPDATE citizens
			SET status = 'active'
			WHERE id = @citizen AND status IN ('registered', 'active')`, pgx.NamedArgs{"citizen": t.CitizenID})
		if err != nil {
			return err
		}
		if err := trust(ctx, tx, t, e.At); err != nil {
			return err
		}
		if ended.revoked() {
			if err := db.notify(ctx, tx, signer.Notice{Kind: "certificate_revoked", CitizenID: t.CitizenID}); err != nil {
				return err
			}
		}
		if err := db.notify(ctx, tx, n); err != nil {
			return err
		}
		return db.conclude(ctx, tx, ended.changed, append(append(ended.entries, entries...), c.Entry)...)
	})
}

// ChangePassword implements citizen.Store.
func (db *DB) ChangePassword(ctx context.Context, p citizen.PasswordChange, entries ...audit.Entry) error {
	e := entries[0]
	return db.inTx(ctx, func(tx pgx.Tx) error {
		if err := apply(ctx, tx, p.Change); err != nil {
			return err
		}
		if err := spendTicket(ctx, tx, p.Ticket.Hash, e.At); err != nil {
			return err
		}
		if err := endSessions(ctx, tx, p.Ticket.CitizenID, e.At); err != nil {
			return err
		}
		if err := storeBox(ctx, tx, p.Credential); err != nil {
			return err
		}
		if err := trust(ctx, tx, p.Ticket, e.At); err != nil {
			return err
		}
		if err := db.notify(ctx, tx, p.Notice); err != nil {
			return err
		}
		return db.record(ctx, tx, append(entries, p.Change.Entry)...)
	})
}

// endSessions ends what waits for a citizen: tickets, codes, consents.
func endSessions(ctx context.Context, tx pgx.Tx, citizenID string, at time.Time) error {
	return endOtherSessions(ctx, tx, citizenID, nil, at)
}

// SetStatus implements citizen.Store.
func (db *DB) SetStatus(ctx context.Context, m citizen.Move, entries ...audit.Entry) error {
	e := entries[0]
	return db.inTx(ctx, func(tx pgx.Tx) error {
		if err := apply(ctx, tx, m.Change); err != nil {
			return err
		}
		if m.ChallengeID != "" {
			if err := consume(ctx, tx, m.ChallengeID, e.At); err != nil {
				return err
			}
			if err := spendTicket(ctx, tx, m.TicketHash, e.At); err != nil {
				return err
			}
		}
		if err := endSessions(ctx, tx, m.Change.CitizenID, e.At); err != nil {
			return err
		}
		ended, err := settle(ctx, tx, m, e)
		if err != nil {
			return err
		}
		err = swap(ctx, tx, policies.Refuse(policies.CitizenInactive), `
			UPDATE citizens
			SET status = @to
			WHERE id = @id AND status = @from`, pgx.NamedArgs{"id": m.Change.CitizenID, "from": m.From, "to": m.To})
		if err != nil {
			return err
		}
		if m.To.Gone() {
			if err := leave(ctx, tx, m.Change.CitizenID); err != nil {
				return err
			}
		}
		if m.To == signer.Deceased {
			if err := voidLetters(ctx, tx, m.Change.CitizenID); err != nil {
				return err
			}
		}
		if err := db.notify(ctx, tx, m.Notice); err != nil {
			return err
		}
		return db.conclude(ctx, tx, ended.changed, append(append(entries, ended.entries...), m.Change.Entry)...)
	})
}

// EnterDeceased implements citizen.Store. That nobody is registered in the same
// moment, the index upon the identifiers sees to.
func (db *DB) EnterDeceased(ctx context.Context, c signer.Citizen, change signer.Change, e audit.Entry) error {
	err := db.inTx(ctx, func(tx pgx.Tx) error {
		if err := insertCitizen(ctx, tx, citizen.Registering{Citizen: c, Change: change}); err != nil {
			return err
		}
		if err := voidLetters(ctx, tx, c.ID); err != nil {
			return err
		}
		return db.record(ctx, tx, e, change.Entry)
	})
	if violated(err, "citizens_identifier_unique") {
		return fmt.Errorf("%w: %w", policies.Refuse(policies.CitizenExists), err)
	}
	return err
}

// settle does to the certificates what a move asks for.
func settle(ctx context.Context, tx pgx.Tx, m citizen.Move, e audit.Entry) (ending, error) {
	switch m.Fate {
	case citizen.Kept:
	case citizen.Destroyed:
		return destroyCredentials(ctx, tx, m.Change.CitizenID, m.Reason, e)
	case citizen.Suspended, citizen.Released:
		change := suspendCertificate
		if m.Fate == citizen.Released {
			change = releaseCertificate
		}
		ended, err := change(ctx, tx, m.Serial, e)
		if err == nil && len(ended.changed) != 1 {
			err = policies.Refuse(policies.SessionExpired)
		}
		return ended, err
	}
	return ending{}, nil
}

func insertCredential(ctx context.Context, tx pgx.Tx, k signer.Credential) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO credentials (id, citizen_id, generation, state, salt, argon_memory_kib, argon_passes, argon_lanes, pepper_epoch, box,
			keeper, kek_epoch, created_at, password_at)
		VALUES (@id, @citizen, @generation, 'empty', @salt, @memory, @passes, @lanes, @pepper, @box,
			@keeper, @kek, @now, @now)`, pgx.NamedArgs{
		"id":         k.ID,
		"citizen":    k.CitizenID,
		"generation": k.Generation,
		"salt":       k.Sealed.Salt,
		"memory":     k.Sealed.Cost.MemoryKiB,
		"passes":     k.Sealed.Cost.Passes,
		"lanes":      k.Sealed.Cost.Lanes,
		"pepper":     k.Sealed.Pepper,
		"box":        k.Sealed.Box,
		"keeper":     k.Keeper,
		"kek":        k.KEK,
		"now":        k.PasswordAt,
	})
	return err
}

// destroyCredentials deletes the boxes of a citizen's credentials, dooms what
// the token holds of them, and revokes their certificates.
func destroyCredentials(ctx context.Context, tx pgx.Tx, citizenID string, reason int, cause audit.Entry) (ending, error) {
	args := pgx.NamedArgs{"citizen": citizenID}
	if err := endSessions(ctx, tx, citizenID, cause.At); err != nil {
		return ending{}, err
	}
	if _, err := tx.Exec(ctx, `
		UPDATE token_keys
		SET state = 'doomed'
		WHERE state = 'live' AND credential_id IN (SELECT id FROM credentials WHERE citizen_id = @citizen)`, args); err != nil {
		return ending{}, err
	}
	ended, err := revokeCertificates(ctx, tx, citizenID, reason, cause)
	if err != nil {
		return ending{}, err
	}
	rows, err := tx.Query(ctx, `
		UPDATE credentials
		SET state = 'destroyed', box = NULL
		WHERE citizen_id = @citizen AND state <> 'destroyed'
		RETURNING id, generation, algorithm, keeper, kek_epoch`, args)
	if err != nil {
		return ending{}, err
	}
	var (
		id, algorithm, keeper string
		generation            int64
		kek                   int
	)
	_, err = pgx.ForEachRow(rows, []any{&id, &generation, &algorithm, &keeper, &kek}, func() error {
		ended.entries = append(ended.entries, audit.Entry{
			Type: audit.KeyDestroyed, Operation: cause.Operation, At: cause.At, Person: cause.Person,
			Payload: map[string]any{
				"credential": id, "generation": generation, "algorithm": algorithm, "keeper": keeper, "kek": kek, "cause": string(cause.Type),
			},
		})
		return nil
	})
	return ended, err
}
