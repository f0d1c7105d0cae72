package store

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// Authorise implements signer.Store. Code, ticket and record are compared in
// the one transaction that stores the authorisation, so that of any number of
// answers to one code exactly one gets this far.
func (db *DB) Authorise(ctx context.Context, c signer.Consent, e audit.Entry) error {
	a := c.Authorisation
	return db.inTx(ctx, func(tx pgx.Tx) error {
		if err := unchanged(ctx, tx, a.CitizenID, c.Version, policies.SessionExpired); err != nil {
			return err
		}
		if err := inTurn(ctx, tx, c.Envelope, a.RequestID, e.At); err != nil {
			return err
		}
		if err := consume(ctx, tx, a.ChallengeID, a.CreatedAt); err != nil {
			return err
		}
		if err := spendTicket(ctx, tx, c.TicketHash, a.CreatedAt); err != nil {
			return err
		}
		// A consent that was never spent gives way to this one.
		if err := void(ctx, tx, "request_id = @key", a.RequestID, e.At); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			INSERT INTO authorisations (id, request_id, application_id, challenge_id, citizen_id, credential_id, generation, serial,
				certificate, algorithm, documents, state, created_at, expires_at, sad_hash, sealed_key)
			VALUES (@id, @request, @application, @challenge, @citizen, @credential, @generation, @serial,
				@certificate, @algorithm, @documents, 'authorised', @now, @expires, @sad, @sealed)`, pgx.NamedArgs{
			"id":          a.ID,
			"request":     a.RequestID,
			"application": a.ApplicationID,
			"challenge":   a.ChallengeID,
			"citizen":     a.CitizenID,
			"credential":  a.CredentialID,
			"generation":  a.Generation,
			"serial":      a.Serial,
			"certificate": a.Certificate,
			"algorithm":   a.Algorithm,
			"documents":   a.Documents,
			"now":         a.CreatedAt,
			"expires":     a.ExpiresAt,
			"sad":         a.SADHash,
			"sealed":      a.SealedKey,
		})
		if err != nil {
			return err
		}
		return db.record(ctx, tx, e)
	})
}

// unchanged locks a citizen's record against a change of password, a
// revocation or a block at the same moment, if it is still at the version that
// was read: each of them makes another version. The citizen's row comes first
// in every transaction that needs it, then codes, tickets and consents: in
// another order two of them would wait for each other.
func unchanged(ctx context.Context, tx pgx.Tx, citizenID string, version int64, otherwise policies.Code) error {
	var same bool
	err := tx.QueryRow(ctx, `
		SELECT version = @version
		FROM citizens
		WHERE id = @id
		FOR SHARE`, pgx.NamedArgs{"id": citizenID, "version": version}).Scan(&same)
	if err == nil && !same {
		return policies.Refuse(otherwise)
	}
	return err
}

// void ends authorisations that wait, and with them the keys that they guard.
func void(ctx context.Context, tx pgx.Tx, where, key string, at time.Time) error {
	_, err := tx.Exec(ctx, `
		UPDATE authorisations
		SET state = 'void', sealed_key = NULL, ended_at = @at
		WHERE state = 'authorised' AND `+where, pgx.NamedArgs{"key": key, "at": at})
	return err
}

// Authorisation implements signer.Store.
func (db *DB) Authorisation(ctx context.Context, sadHash []byte) (signer.Authorisation, error) {
	var a signer.Authorisation
	err := db.pool.QueryRow(ctx, `
		SELECT
			id,
			request_id,
			application_id,
			challenge_id,
			citizen_id,
			credential_id,
			generation,
			serial,
			certificate,
			algorithm,
			documents,
			state,
			created_at,
			expires_at,
			sad_hash,
			sealed_key
		FROM authorisations
		WHERE sad_hash = @hash`, pgx.NamedArgs{"hash": sadHash}).Scan(
		&a.ID,
		&a.RequestID,
		&a.ApplicationID,
		&a.ChallengeID,
		&a.CitizenID,
		&a.CredentialID,
		&a.Generation,
		&a.Serial,
		&a.Certificate,
		&a.Algorithm,
		&a.Documents,
		&a.State,
		&a.CreatedAt,
		&a.ExpiresAt,
		&a.SADHash,
		&a.SealedKey,
	)
	if errors.Is(err, pgx.ErrNoRows) {
		return a, policies.Refuse(policies.AuthorisationInvalid)
	}
	return a, err
}

// BeginSignature implements signer.Store. Authorisation, request and record are
// compared in the one transaction that makes it an intent.
func (db *DB) BeginSignature(ctx context.Context, i signer.Intent, e audit.Entry) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		if err := unchanged(ctx, tx, i.CitizenID, i.Version, policies.AuthorisationInvalid); err != nil {
			return err
		}
		if err := inTurn(ctx, tx, i.Request.Envelope, i.Request.ID, e.At); err != nil {
			return err
		}
		err := swaps(ctx, tx, compare{
			policies.Refuse(policies.AuthorisationInvalid), `
			UPDATE authorisations
			SET state = 'intent', sealed_key = NULL, lease_until = @lease
			WHERE id = @id AND state = 'authorised' AND expires_at > @now`,
			pgx.NamedArgs{"id": i.ID, "lease": i.LeaseUntil, "now": e.At},
		}, compare{policies.Refuse(policies.RequestState), `
			UPDATE requests
			SET state = 'signing'
			WHERE id = @id AND state = 'pending' AND expires_at > @now`, pgx.NamedArgs{"id": i.Request.ID, "now": e.At}})
		if err != nil {
			return err
		}
		return db.record(ctx, tx, e)
	})
}

// FinishSignature implements signer.Store.
func (db *DB) FinishSignature(ctx context.Context, i signer.Intent, cms [][]byte, n signer.Notice, e audit.Entry) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		if err := endIntent(ctx, tx, i.ID, "spent", e); err != nil {
			return err
		}
		higher, err := storeSignatures(ctx, tx, i, cms)
		if err != nil {
			return err
		}
		if higher {
			if err := db.augmentLater(ctx, tx, i.Request.ID, e.At); err != nil {
				return err
			}
		}
		if err := closeRequest(ctx, tx, i.Request.ID, signer.Signing, signer.Signed, e.At); err != nil {
			return err
		}
		if err := db.announce(ctx, tx, i.Request.ID, signer.EventSigned, e.At); err != nil {
			return err
		}
		if err := db.goOn(ctx, tx, i.Request.Envelope, e.At); err != nil {
			return err
		}
		if err := db.notify(ctx, tx, n); err != nil {
			return err
		}
		return db.record(ctx, tx, e)
	})
}

// storeSignatures puts each CMS beside the digest that it was made over, all in
// one statement: a request may have a hundred documents. It reports whether one
// of them is to reach more than B-B.
func storeSignatures(ctx context.Context, tx pgx.Tx, i signer.Intent, cms [][]byte) (higher bool, err error) {
	ordinals, digests := make([]int, len(i.Documents)), make([][]byte, len(i.Documents))
	for n, d := range i.Documents {
		ordinals[n], digests[n] = d.Ordinal, d.Digest
	}
	rows, err := tx.Query(ctx, `
		UPDATE documents d
		SET cms = s.cms
		FROM unnest(@ordinals::integer[], @digests::bytea[], @cms::bytea[]) AS s (ordinal, digest, cms)
		WHERE d.request_id = @request AND d.ordinal = s.ordinal AND d.digest = s.digest AND d.cms IS NULL
		RETURNING d.level <> 'B-B'`, pgx.NamedArgs{
		"request":  i.Request.ID,
		"ordinals": ordinals,
		"digests":  digests,
		"cms":      cms,
	})
	if err != nil {
		return false, err
	}
	wishes, err := pgx.CollectRows(rows, pgx.RowTo[bool])
	if err == nil && len(wishes) != len(cms) {
		return false, policies.Refuse(policies.RequestState)
	}
	return slices.Contains(wishes, true), err
}

// FailSignature implements signer.Store.
func (db *DB) FailSignature(ctx context.Context, i signer.Intent, e audit.Entry) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		if err := endIntent(ctx, tx, i.ID, "failed", e); err != nil {
			return err
		}
		if err := db.reopen(ctx, tx, i.Request.ID, e.At); err != nil {
			return err
		}
		return db.record(ctx, tx, e)
	})
}

// InterruptSignature implements signer.Store.
func (db *DB) InterruptSignature(ctx context.Context, intentID string, e audit.Entry) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		if err := endIntent(ctx, tx, intentID, "interrupted", e); err != nil {
			return err
		}
		if err := db.reopen(ctx, tx, e.Operation, e.At); err != nil {
			return err
		}
		return db.record(ctx, tx, e)
	})
}

func endIntent(ctx context.Context, tx pgx.Tx, id, state string, e audit.Entry) error {
	return swap(ctx, tx, policies.Refuse(policies.RequestState), `
		UPDATE authorisations
		SET state = @state, ended_at = @at
		WHERE id = @id AND state = 'intent'`, pgx.NamedArgs{"id": id, "state": state, "at": e.At})
}

// reopen lets the citizen be asked again.
func (db *DB) reopen(ctx context.Context, tx pgx.Tx, requestID string, at time.Time) error {
	err := swap(ctx, tx, policies.Refuse(policies.RequestState), `
		UPDATE requests
		SET state = 'pending', interrupted = interrupted + 1
		WHERE id = @id AND state = 'signing'`, pgx.NamedArgs{"id": requestID})
	if err != nil {
		return err
	}
	return db.tell(ctx, tx, requestID, signer.EventInterrupted, at)
}
