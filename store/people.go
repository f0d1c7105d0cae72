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
	// For a stranger somebody else is read: how long that takes must not tell.
	c, k, err := db.readCitizen(ctx, `c.id = coalesce(
		(SELECT id FROM citizens WHERE identifier = @key),
		(SELECT id FROM citizens ORDER BY id LIMIT 1))`, identifier)
	if err == nil && c.Identifier != identifier {
		err = policies.Refuse(policies.CitizenUnknown)
	}
	return c, k, err
}

// CitizenByID implements signer.TicketReader.
func (db *DB) CitizenByID(ctx context.Context, id string) (signer.Citizen, *signer.Credential, error) {
	return db.readCitizen(ctx, "c.id = @key", id)
}

// readCitizen reads everything of one moment: a change between row and log would
// look like a row that somebody has altered.
func (db *DB) readCitizen(ctx context.Context, where, key string) (c signer.Citizen, k *signer.Credential, err error) {
	options := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err = classify(pgx.BeginTxFunc(ctx, db.pool, options, func(tx pgx.Tx) error {
		c, k, err = readCitizen(ctx, tx, where, key)
		return err
	}))
	return c, k, err
}

// readCitizen reads a person and the whole credential, box included: what only
// the signer's role may read. Whoever is a stranger, or has no credential, costs
// the same three reads: how long an answer takes must not tell.
func readCitizen(ctx context.Context, q querier, where, key string) (signer.Citizen, *signer.Credential, error) {
	c, k, err := readPerson(ctx, q, where, key)
	if newestErr := newest(ctx, q, &c); newestErr != nil {
		return c, nil, newestErr
	}
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
			pepper_epoch,
			box
		FROM credentials
		WHERE id = @id AND generation = @generation`, pgx.NamedArgs{"id": k.ID, "generation": k.Generation}).Scan(
		&k.PublicKey,
		&k.Sealed.Salt,
		&k.Sealed.Cost.MemoryKiB,
		&k.Sealed.Cost.Passes,
		&k.Sealed.Cost.Lanes,
		&k.Sealed.Pepper,
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

// newest reads what the log says of a record's newest state: the greatest
// version of all that were sealed, since whoever can add entries could repeat
// an older one. Each must be the one that its leaf commits to; whoever alters
// both, or takes one away, breaks the tree.
func newest(ctx context.Context, q querier, c *signer.Citizen) error {
	rows, err := q.Query(ctx, `
		SELECT leaf, payload, salt
		FROM log_entries
		WHERE person = @person AND type = 'citizen.sealed'
		ORDER BY seq`, pgx.NamedArgs{"person": c.Identifier})
	if err != nil {
		return err
	}
	records, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r audit.Record, err error) {
		err = row.Scan(&r.Leaf, &r.Payload, &r.Salt)
		return r, err
	})
	if err != nil {
		return err
	}
	var newest signer.Newest
	for _, r := range records {
		payload, err := r.Open()
		if err != nil {
			return nil //nolint:nilerr // where one entry was altered none counts: no record passes for the newest
		}
		sealed, err := signer.ParseNewest(payload)
		if err != nil {
			return err
		}
		if sealed.Version > newest.Version {
			newest = sealed
		}
	}
	c.Newest = newest
	return nil
}

// readPerson reads a citizen, the newest registration, the credential that is
// not destroyed but for its box, and its newest certificate, in one round trip.
func readPerson(ctx context.Context, q querier, where, key string) (signer.Citizen, *signer.Credential, error) {
	var (
		c                         signer.Citizen
		k                         credentialRow
		phoneChangedAt, assuredAt *time.Time
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
			c.phone_changed_at,
			c.associated,
			c.notices,
			c.version,
			c.seal_epoch,
			c.seal,
			coalesce(g.mode, ''),
			coalesce(g.level, ''),
			coalesce(g.office, ''),
			coalesce(g.officer, ''),
			g.assured_at,
			k.id,
			k.generation,
			k.state,
			k.algorithm,
			k.keeper,
			k.kek_epoch,
			k.key_label,
			k.password_at,
			z.serial,
			z.der,
			z.not_before,
			z.not_after,
			z.revoked_at,
			z.reason
		FROM citizens c
		LEFT JOIN LATERAL ( -- who died unregistered has none
			SELECT mode, level, office, officer, assured_at
			FROM registrations
			WHERE citizen_id = c.id
			ORDER BY assured_at DESC, id DESC
			LIMIT 1
		) g ON true
		LEFT JOIN credentials k ON k.citizen_id = c.id AND k.state <> 'destroyed'
		LEFT JOIN LATERAL (
			SELECT serial, der, not_before, not_after, revoked_at, reason
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
		&phoneChangedAt,
		&c.Associated,
		&c.Notices,
		&c.Version,
		&c.Seal.Epoch,
		&c.Seal.MAC,
		&c.Registration.Mode,
		&c.Registration.Level,
		&c.Registration.Office,
		&c.Registration.Officer,
		&assuredAt,
		&k.id,
		&k.generation,
		&k.state,
		&k.algorithm,
		&k.keeper,
		&k.kek,
		&k.keyLabel,
		&k.passwordAt,
		&k.serial,
		&k.der,
		&k.notBefore,
		&k.notAfter,
		&k.revokedAt,
		&k.reason,
	)
	if errors.Is(err, pgx.ErrNoRows) {
		return c, nil, policies.Refuse(policies.CitizenUnknown)
	}
	c.PhoneChangedAt, c.Registration.AssuredAt = orZero(phoneChangedAt), orZero(assuredAt)
	return c, k.credential(c.ID), err
}

// credentialRow is the part of a person's row that may be missing.
type credentialRow struct {
	id, state, algorithm, serial   *string
	keeper, keyLabel               *string
	generation                     *int64
	kek                            *int
	passwordAt                     *time.Time
	der                            []byte
	notBefore, notAfter, revokedAt *time.Time
	reason                         *int
}

func (r credentialRow) credential(citizenID string) *signer.Credential {
	if r.id == nil {
		return nil
	}
	k := &signer.Credential{
		ID: *r.id, CitizenID: citizenID, Generation: *r.generation, State: signer.CredentialState(*r.state), Algorithm: *r.algorithm,
		Keeper: signer.KeeperName(*r.keeper), KEK: *r.kek, KeyLabel: *r.keyLabel, PasswordAt: r.passwordAt.UTC(),
	}
	if r.serial != nil {
		k.Certificate = &signer.Certificate{
			Serial: *r.serial, DER: r.der, NotBefore: r.notBefore.UTC(), NotAfter: r.notAfter.UTC(), RevokedAt: orZero(r.revokedAt),
		}
		if r.reason != nil {
			k.Certificate.Reason = *r.reason
		}
	}
	return k
}
