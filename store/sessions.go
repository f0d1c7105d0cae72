package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// OpenSession implements signer.Store.
func (db *DB) OpenSession(ctx context.Context, t signer.TicketRow, e audit.Entry) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		if err := trust(ctx, tx, t, e.At); err != nil {
			return err
		}
		if err := replaceTicket(ctx, tx, t); err != nil {
			return err
		}
		return db.record(ctx, tx, e)
	})
}

// OpenAccess implements signer.Store.
func (db *DB) OpenAccess(ctx context.Context, t signer.TicketRow, e audit.Entry) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		if err := replaceTicket(ctx, tx, t); err != nil {
			return err
		}
		return db.record(ctx, tx, e)
	})
}

// replaceTicket stores a ticket in the place of the older ones of its kind, whose
// codes end with them.
func replaceTicket(ctx context.Context, tx pgx.Tx, t signer.TicketRow) error {
	args := pgx.NamedArgs{"request": orNull(t.RequestID), "purpose": t.Purpose, "citizen": t.CitizenID}
	const older = `
		purpose = @purpose AND spent_at IS NULL
			AND (request_id = @request OR @request::text IS NULL AND request_id IS NULL AND citizen_id = @citizen)`
	if _, err := tx.Exec(ctx, `
		UPDATE challenges
		SET state = 'superseded'
		WHERE state IN ('prepared', 'sent') AND ticket_hash IN (SELECT hash FROM tickets WHERE `+older+`)`, args); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `DELETE FROM tickets WHERE `+older, args); err != nil {
		return err
	}
	return insertTicket(ctx, tx, t)
}

func insertTicket(ctx context.Context, tx pgx.Tx, t signer.TicketRow) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO tickets (hash, purpose, via, request_id, citizen_id, credential_id, generation, sealed_key, source, replaces, seal_epoch, seal, created_at, expires_at)
		VALUES (@hash, @purpose, @via, @request, @citizen, @credential, @generation, @sealed, @source, @replaces, @epoch, coalesce(@seal, ''::bytea), @identified, @expires)`, pgx.NamedArgs{
		"hash":       t.Hash,
		"purpose":    t.Purpose,
		"via":        t.Via,
		"request":    orNull(t.RequestID),
		"citizen":    t.CitizenID,
		"credential": orNull(t.CredentialID),
		"generation": t.Generation,
		"sealed":     t.SealedKey,
		"source":     t.Source,
		"replaces":   t.Replaces,
		"epoch":      t.Seal.Epoch,
		"seal":       t.Seal.MAC,
		"identified": t.IdentifiedAt,
		"expires":    t.ExpiresAt,
	})
	return err
}

// Ticket implements signer.TicketReader.
func (db *DB) Ticket(ctx context.Context, hash []byte, now time.Time) (signer.TicketRow, error) {
	var t signer.TicketRow
	err := db.pool.QueryRow(ctx, `
		SELECT
			hash,
			purpose,
			via,
			coalesce(request_id, ''),
			citizen_id,
			coalesce(credential_id, ''),
			generation,
			sealed_key,
			verified,
			source,
			replaces,
			seal_epoch,
			seal,
			created_at,
			expires_at
		FROM tickets
		WHERE hash = @hash AND spent_at IS NULL AND expires_at > @now`, pgx.NamedArgs{"hash": hash, "now": now}).Scan(
		&t.Hash,
		&t.Purpose,
		&t.Via,
		&t.RequestID,
		&t.CitizenID,
		&t.CredentialID,
		&t.Generation,
		&t.SealedKey,
		&t.Verified,
		&t.Source,
		&t.Replaces,
		&t.Seal.Epoch,
		&t.Seal.MAC,
		&t.IdentifiedAt,
		&t.ExpiresAt,
	)
	if errors.Is(err, pgx.ErrNoRows) {
		return t, policies.Refuse(policies.SessionExpired)
	}
	return t, err
}

// spendTicket ends a ticket: the key that it guards is gone, its row stays
// until it expires so that the same browser may see how things ended.
func spendTicket(ctx context.Context, tx pgx.Tx, hash []byte, at time.Time) error {
	return swap(ctx, tx, policies.Refuse(policies.SessionExpired), `
		UPDATE tickets
		SET spent_at = @at, sealed_key = NULL
		WHERE hash = @hash AND spent_at IS NULL`, pgx.NamedArgs{"hash": hash, "at": at})
}

// PrepareChallenge implements signer.Store. The citizen's row orders
// concurrent demands, so that the pace holds among them.
func (db *DB) PrepareChallenge(ctx context.Context, c signer.ChallengeRow, pace signer.Pace, entries ...audit.Entry) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		var (
			recent int
			last   time.Time
		)
		args := pgx.NamedArgs{
			"id":      c.ID,
			"ticket":  c.TicketHash,
			"purpose": c.Purpose,
			"request": orNull(c.RequestID),
			"app":     orNull(c.Application),
			"citizen": c.CitizenID,
			"phone":   c.Phone,
			"pepper":  c.Pepper,
			"mac":     c.MAC,
			"ref":     c.Reference,
			"docs":    c.Documents,
			"state":   c.State,
			"now":     c.CreatedAt,
			"expires": c.ExpiresAt,
			"hour":    c.CreatedAt.Add(-time.Hour),
		}
		if c.Documents == nil {
			args["docs"] = []signer.Bound{}
		}
		if _, err := tx.Exec(ctx, `SELECT 1 FROM citizens WHERE id = @citizen FOR UPDATE`, args); err != nil {
			return err
		}
		err := tx.QueryRow(ctx, `
			SELECT count(*), coalesce(max(created_at), 'epoch')
			FROM challenges
			WHERE citizen_id = @citizen AND purpose = @purpose AND state <> 'failed' AND created_at > @hour`, args).Scan(&recent, &last)
		if err != nil {
			return err
		}
		if refusal := tooFast(c.CreatedAt, last, recent, pace); refusal != nil {
			return refusal
		}
		if _, err := tx.Exec(ctx, `
			UPDATE challenges
			SET state = 'superseded'
			WHERE ticket_hash = @ticket AND state IN ('prepared', 'sent')`, args); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
			INSERT INTO challenges (id, ticket_hash, purpose, request_id, application_id, citizen_id, phone, pepper_epoch, mac, reference, documents, state, created_at, expires_at)
			VALUES (@id, @ticket, @purpose, @request, @app, @citizen, @phone, @pepper, @mac, @ref, @docs, @state, @now, @expires)`, args); err != nil {
			return err
		}
		return db.record(ctx, tx, entries...)
	})
}

func tooFast(now, last time.Time, recent int, pace signer.Pace) *policies.Refusal {
	if recent >= pace.PerHour {
		wait := last.Add(time.Hour).Sub(now)
		return policies.Refuse(policies.CodeTooMany, "limit", itoa(pace.PerHour), "minutes", itoa(int(wait/time.Minute)+1)).After(wait)
	}
	if wait := last.Add(pace.Interval).Sub(now); wait > 0 {
		return policies.Refuse(policies.CodeTooSoon, "seconds", itoa(int(wait/time.Second)+1)).After(wait)
	}
	return nil
}

// ChallengeSent implements signer.Store.
func (db *DB) ChallengeSent(ctx context.Context, id string, to signer.ChallengeState, e audit.Entry) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		err := swap(ctx, tx, policies.Refuse(policies.CodeUsed), `
			UPDATE challenges
			SET state = @to
			WHERE id = @id AND state = 'prepared'`, pgx.NamedArgs{"id": id, "to": to})
		if err != nil {
			return err
		}
		return db.record(ctx, tx, e)
	})
}

// TryChallenge implements signer.Store.
func (db *DB) TryChallenge(ctx context.Context, try signer.Try) (signer.ChallengeRow, error) {
	var c signer.ChallengeRow
	err := db.inTx(ctx, func(tx pgx.Tx) error {
		var err error
		c, err = newestChallenge(ctx, tx, try)
		if err != nil {
			return err
		}
		if refusal := unusable(c, try); refusal != nil {
			return refusal
		}
		c.Attempts++
		_, err = tx.Exec(ctx, `
			UPDATE challenges
			SET attempts = attempts + 1
			WHERE id = @id`, pgx.NamedArgs{"id": c.ID})
		return err
	})
	return c, err
}

// newestChallenge reads and locks the code that an answer is for.
func newestChallenge(ctx context.Context, tx pgx.Tx, try signer.Try) (signer.ChallengeRow, error) {
	var c signer.ChallengeRow
	err := tx.QueryRow(ctx, `
		SELECT
			h.id,
			h.ticket_hash,
			h.purpose,
			coalesce(h.request_id, ''),
			coalesce(r.application_id, h.application_id, ''),
			h.citizen_id,
			c.identifier,
			h.phone,
			h.pepper_epoch,
			h.mac,
			h.reference,
			h.documents,
			h.attempts,
			h.state,
			h.created_at,
			h.expires_at
		FROM challenges h
		JOIN citizens c ON c.id = h.citizen_id
		LEFT JOIN requests r ON r.id = h.request_id
		WHERE h.ticket_hash = @ticket AND h.purpose = @purpose
		ORDER BY h.created_at DESC, h.state IN ('failed', 'superseded')
		LIMIT 1
		FOR UPDATE OF h`, pgx.NamedArgs{"ticket": try.TicketHash, "purpose": try.Purpose}).Scan(
		&c.ID,
		&c.TicketHash,
		&c.Purpose,
		&c.RequestID,
		&c.Application,
		&c.CitizenID,
		&c.Identifier,
		&c.Phone,
		&c.Pepper,
		&c.MAC,
		&c.Reference,
		&c.Documents,
		&c.Attempts,
		&c.State,
		&c.CreatedAt,
		&c.ExpiresAt,
	)
	if errors.Is(err, pgx.ErrNoRows) {
		return c, policies.Refuse(policies.CodeExpired)
	}
	return c, err
}

func unusable(c signer.ChallengeRow, try signer.Try) *policies.Refusal {
	switch {
	case c.State == signer.CodeConsumed:
		return policies.Refuse(policies.CodeUsed)
	case c.State == signer.CodeExhausted, c.State == signer.CodeSent && c.Attempts >= try.Limit:
		return policies.Refuse(policies.CodeExhausted)
	case c.State != signer.CodeSent, !try.Now.Before(c.ExpiresAt):
		return policies.Refuse(policies.CodeExpired)
	}
	return nil
}

// WrongCode implements signer.Store.
func (db *DB) WrongCode(ctx context.Context, c signer.ChallengeRow, tries int, entries ...audit.Entry) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		// The try that was counted last decides; until it has, it may be the right one.
		if _, err := tx.Exec(ctx, `
			UPDATE challenges
			SET state = 'exhausted'
			WHERE id = @id AND state = 'sent' AND @attempt::integer >= @tries`, pgx.NamedArgs{"id": c.ID, "attempt": c.Attempts, "tries": tries}); err != nil {
			return err
		}
		return db.record(ctx, tx, entries...)
	})
}

// consume uses a code up.
func consume(ctx context.Context, tx pgx.Tx, challengeID string, at time.Time) error {
	return swap(ctx, tx, policies.Refuse(policies.CodeUsed), `
		UPDATE challenges
		SET state = 'consumed'
		WHERE id = @id AND state = 'sent' AND expires_at > @now`, pgx.NamedArgs{"id": challengeID, "now": at})
}
