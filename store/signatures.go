package store

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// BeginSignature implements signer.Store. Code, ticket, request and credential
// are compared in the one transaction that stores the intent, so that of any
// number of answers to one code exactly one gets this far.
func (db *DB) BeginSignature(ctx context.Context, i signer.Intent, e audit.Entry) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		if err := consume(ctx, tx, i.ChallengeID, i.CreatedAt); err != nil {
			return err
		}
		if err := spendTicket(ctx, tx, i.TicketHash, i.CreatedAt); err != nil {
			return err
		}
		err := swap(ctx, tx, policies.Refuse(policies.RequestState), `
			UPDATE requests
			SET state = 'signing'
			WHERE id = @id AND state = 'pending' AND expires_at > @now`, pgx.NamedArgs{"id": i.Request.ID, "now": i.CreatedAt})
		if err != nil {
			return err
		}
		if err := stillTheSame(ctx, tx, i); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			INSERT INTO authorisations (id, request_id, challenge_id, credential_id, generation, serial, documents, state, created_at, lease_until)
			VALUES (@id, @request, @challenge, @credential, @generation, @serial, @documents, 'intent', @now, @lease)`, pgx.NamedArgs{
			"id":         i.ID,
			"request":    i.Request.ID,
			"challenge":  i.ChallengeID,
			"credential": i.CredentialID,
			"generation": i.Generation,
			"serial":     i.Serial,
			"documents":  i.Documents,
			"now":        i.CreatedAt,
			"lease":      i.LeaseUntil,
		})
		if err != nil {
			return err
		}
		return db.record(ctx, tx, e)
	})
}

// stillTheSame locks what the authorisation is bound to against a change of
// password, a revocation or a block at the same moment.
func stillTheSame(ctx context.Context, tx pgx.Tx, i signer.Intent) error {
	var same bool
	err := tx.QueryRow(ctx, `
		SELECT
			k.generation = @generation AND k.state = 'usable'
				AND z.state = 'issued' AND z.revoked_at IS NULL AND z.not_after >= @now
				AND c.status = 'active'
		FROM credentials k
		JOIN certificates z ON z.credential_id = k.id AND z.serial = @serial
		JOIN citizens c ON c.id = k.citizen_id
		WHERE k.id = @credential
		FOR SHARE`, pgx.NamedArgs{
		"generation": i.Generation,
		"serial":     i.Serial,
		"credential": i.CredentialID,
		"now":        i.CreatedAt,
	}).Scan(&same)
	if err != nil {
		return err
	}
	if !same {
		return policies.Refuse(policies.SessionExpired)
	}
	return nil
}

// FinishSignature implements signer.Store.
func (db *DB) FinishSignature(ctx context.Context, i signer.Intent, cms [][]byte, n signer.Notice, e audit.Entry) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		if err := endIntent(ctx, tx, i.ID, "spent", e); err != nil {
			return err
		}
		for n, der := range cms {
			err := swap(ctx, tx, policies.Refuse(policies.RequestState), `
				UPDATE documents
				SET cms = @cms
				WHERE request_id = @request AND ordinal = @ordinal AND cms IS NULL AND digest = @digest`, pgx.NamedArgs{
				"cms":     der,
				"request": i.Request.ID,
				"ordinal": i.Documents[n].Ordinal,
				"digest":  i.Documents[n].Digest,
			})
			if err != nil {
				return err
			}
		}
		if err := closeRequest(ctx, tx, i.Request.ID, signer.Signing, signer.Signed, e.At); err != nil {
			return err
		}
		if err := db.notify(ctx, tx, n); err != nil {
			return err
		}
		return db.record(ctx, tx, e)
	})
}

// FailSignature implements signer.Store.
func (db *DB) FailSignature(ctx context.Context, i signer.Intent, e audit.Entry) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		if err := endIntent(ctx, tx, i.ID, "failed", e); err != nil {
			return err
		}
		if err := reopen(ctx, tx, i.Request.ID); err != nil {
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
		if err := reopen(ctx, tx, e.Operation); err != nil {
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
func reopen(ctx context.Context, tx pgx.Tx, requestID string) error {
	return swap(ctx, tx, policies.Refuse(policies.RequestState), `
		UPDATE requests
		SET state = 'pending', interrupted = interrupted + 1
		WHERE id = @id AND state = 'signing'`, pgx.NamedArgs{"id": requestID})
}
