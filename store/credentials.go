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

// CitizenByIdentifier implements signer.Store.
func (db *DB) CitizenByIdentifier(ctx context.Context, identifier string) (signer.Citizen, *signer.Credential, error) {
	return readCitizen(ctx, db.pool, "c.identifier = @key", identifier)
}

// CitizenByID implements signer.TicketReader.
func (db *DB) CitizenByID(ctx context.Context, id string) (signer.Citizen, *signer.Credential, error) {
	return readCitizen(ctx, db.pool, "c.id = @key", id)
}

// readCitizen reads a person and the whole credential, box included: what only
// the signer's role may read. Whoever is a stranger, or has no credential, costs
// the same two reads: how long an answer takes must not tell.
func readCitizen(ctx context.Context, q querier, where, key string) (signer.Citizen, *signer.Credential, error) {
	c, k, err := readPerson(ctx, q, where, key)
	unknown := errors.Is(err, policies.Refuse(policies.CitizenUnknown))
	if err != nil && !unknown {
		return c, nil, err
	}
	nobody := unknown || k == nil
	if nobody {
		k = new(signer.Credential)
	}
	boxErr := q.QueryRow(ctx, `
		SELECT
			public_key,
			salt,
			argon_memory_kib,
			argon_passes,
			argon_lanes,
			box
		FROM credentials
		WHERE id = @id AND generation = @generation`, pgx.NamedArgs{"id": k.ID, "generation": k.Generation}).Scan(
		&k.PublicKey,
		&k.Sealed.Salt,
		&k.Sealed.Cost.MemoryKiB,
		&k.Sealed.Cost.Passes,
		&k.Sealed.Cost.Lanes,
		&k.Sealed.Box,
	)
	switch {
	case boxErr != nil && !errors.Is(boxErr, pgx.ErrNoRows):
		return c, nil, boxErr
	case nobody:
		return c, nil, err
	case boxErr != nil:
		// It changed between the two reads: the session that relied on it is over.
		return c, nil, policies.Refuse(policies.SessionExpired)
	}
	k.Sealed.CitizenID, k.Sealed.CredentialID, k.Sealed.Generation = k.CitizenID, k.ID, k.Generation
	return c, k, nil
}

// readPerson reads a citizen, the newest registration, the credential that is
// not destroyed but for its box, and its newest certificate, in one round trip.
func readPerson(ctx context.Context, q querier, where, key string) (signer.Citizen, *signer.Credential, error) {
	var (
		c signer.Citizen
		k credentialRow
	)
	err := q.QueryRow(ctx, `
		SELECT
			c.id,
			c.identifier,
			c.given_name,
			c.surnames,
			c.phone,
			c.email,
			c.locale,
			c.status,
			c.document_until,
			g.mode,
			g.level,
			g.office,
			g.officer,
			g.assured_at,
			k.id,
			k.generation,
			k.state,
			k.algorithm,
			z.serial,
			z.der,
			z.not_before,
			z.not_after,
			z.revoked_at
		FROM citizens c
		JOIN LATERAL (
			SELECT mode, level, office, officer, assured_at
			FROM registrations
			WHERE citizen_id = c.id
			ORDER BY assured_at DESC, id DESC
			LIMIT 1
		) g ON true
		LEFT JOIN credentials k ON k.citizen_id = c.id AND k.state <> 'destroyed'
		LEFT JOIN LATERAL (
			SELECT serial, der, not_before, not_after, revoked_at
			FROM certificates
			WHERE credential_id = k.id AND state = 'issued'
			ORDER BY not_before DESC
			LIMIT 1
		) z ON true
		WHERE `+where, pgx.NamedArgs{"key": key}).Scan(
		&c.ID,
		&c.Identifier,
		&c.GivenName,
		&c.Surnames,
		&c.Phone,
		&c.Email,
		&c.Locale,
		&c.Status,
		&c.DocumentUntil,
		&c.Registration.Mode,
		&c.Registration.Level,
		&c.Registration.Office,
		&c.Registration.Officer,
		&c.Registration.AssuredAt,
		&k.id,
		&k.generation,
		&k.state,
		&k.algorithm,
		&k.serial,
		&k.der,
		&k.notBefore,
		&k.notAfter,
		&k.revokedAt,
	)
	if errors.Is(err, pgx.ErrNoRows) {
		return c, nil, policies.Refuse(policies.CitizenUnknown)
	}
	return c, k.credential(c.ID), err
}

// credentialRow is the part of a person's row that may be missing.
type credentialRow struct {
	id, state, algorithm, serial   *string
	generation                     *int64
	der                            []byte
	notBefore, notAfter, revokedAt *time.Time
}

func (r credentialRow) credential(citizenID string) *signer.Credential {
	if r.id == nil {
		return nil
	}
	k := &signer.Credential{
		ID: *r.id, CitizenID: citizenID, Generation: *r.generation, State: signer.CredentialState(*r.state), Algorithm: *r.algorithm,
	}
	if r.serial != nil {
		k.Certificate = &signer.Certificate{
			Serial: *r.serial, DER: r.der, NotBefore: r.notBefore.UTC(), NotAfter: r.notAfter.UTC(), RevokedAt: orZero(r.revokedAt),
		}
	}
	return k
}

// BeginIssuance implements signer.Store.
func (db *DB) BeginIssuance(ctx context.Context, i signer.Issuance, e audit.Entry) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		if err := consume(ctx, tx, i.ChallengeID, i.Now); err != nil {
			return err
		}
		if err := spendTicket(ctx, tx, i.TicketHash, i.Now); err != nil {
			return err
		}
		return db.record(ctx, tx, e)
	})
}

// IntendCertificate implements signer.Store.
func (db *DB) IntendCertificate(ctx context.Context, i signer.Issuance, e audit.Entry) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			INSERT INTO certificates (serial, credential_id, state, not_before, not_after, lease_until, request_id)
			VALUES (@serial, @credential, 'intent', @from, @to, @lease, @request)`, pgx.NamedArgs{
			"serial":     i.Credential.Certificate.Serial,
			"credential": i.Credential.ID,
			"from":       i.Credential.Certificate.NotBefore,
			"to":         i.Credential.Certificate.NotAfter,
			"lease":      i.LeaseUntil,
			"request":    i.RequestID,
		})
		if err != nil {
			return err
		}
		return db.record(ctx, tx, e)
	})
}

// FinishIssuance implements signer.Store.
func (db *DB) FinishIssuance(ctx context.Context, i signer.Issuance, next signer.TicketRow, entries ...audit.Entry) error {
	k := i.Credential
	return db.inTx(ctx, func(tx pgx.Tx) error {
		err := swap(ctx, tx, policies.Refuse(policies.SessionExpired), `
			UPDATE certificates
			SET state = 'issued', der = @der
			WHERE serial = @serial AND state = 'intent'`,
			pgx.NamedArgs{"serial": k.Certificate.Serial, "der": k.Certificate.DER})
		if err != nil {
			return err
		}
		err = swap(ctx, tx, policies.Refuse(policies.SessionExpired), `
			UPDATE credentials
			SET state = @state, generation = @generation, algorithm = @algorithm, public_key = @public, box = @box
			WHERE id = @id AND generation = @was AND state <> 'destroyed'`, pgx.NamedArgs{
			"id":         k.ID,
			"was":        i.Was,
			"state":      k.State,
			"generation": k.Generation,
			"algorithm":  k.Algorithm,
			"public":     k.PublicKey,
			"box":        k.Sealed.Box,
		})
		if err != nil {
			return err
		}
		if err := insertTicket(ctx, tx, next); err != nil {
			return err
		}
		if err := db.notify(ctx, tx, i.Notice); err != nil {
			return err
		}
		return db.record(ctx, tx, entries...)
	})
}

// InterruptCertificate implements signer.Store.
func (db *DB) InterruptCertificate(ctx context.Context, serial string, e audit.Entry) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		err := swap(ctx, tx, policies.Refuse(policies.RequestState), `
			UPDATE certificates
			SET state = 'interrupted'
			WHERE serial = @serial AND state = 'intent'`, pgx.NamedArgs{"serial": serial})
		if err != nil {
			return err
		}
		return db.record(ctx, tx, e)
	})
}
