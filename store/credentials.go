package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/ca"
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
			c.version,
			c.seal_epoch,
			c.seal,
			g.mode,
			g.level,
			g.office,
			g.officer,
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
		JOIN LATERAL (
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
		&c.Version,
		&c.Seal.Epoch,
		&c.Seal.MAC,
		&c.Registration.Mode,
		&c.Registration.Level,
		&c.Registration.Office,
		&c.Registration.Officer,
		&c.Registration.AssuredAt,
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

// BeginIssuance implements signer.Store.
func (db *DB) BeginIssuance(ctx context.Context, i signer.Issuance, e audit.Entry) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		if err := consume(ctx, tx, i.ChallengeID, i.Now); err != nil {
			return err
		}
		if err := spendTicket(ctx, tx, i.TicketHash, i.Now); err != nil {
			return err
		}
		if i.Credential.KeyLabel != "" {
			if _, err := tx.Exec(ctx, `
				INSERT INTO token_keys (label, credential_id, state, lease_until)
				VALUES (@label, @credential, 'making', @lease)`,
				pgx.NamedArgs{"label": i.Credential.KeyLabel, "credential": i.Credential.ID, "lease": i.LeaseUntil}); err != nil {
				return err
			}
		}
		return db.record(ctx, tx, e)
	})
}

// IntendCertificate implements signer.Store.
func (db *DB) IntendCertificate(ctx context.Context, i signer.Issuance, e audit.Entry) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			INSERT INTO certificates (serial, credential_id, issuer, shard, state, not_before, not_after, lease_until, request_id)
			VALUES (@serial, @credential, @issuer, @shard, 'intent', @from, @to, @lease, @request)`, pgx.NamedArgs{
			"serial":     i.Credential.Certificate.Serial,
			"credential": i.Credential.ID,
			"issuer":     i.Place.Issuer,
			"shard":      i.Place.Shard,
			"from":       i.Credential.Certificate.NotBefore,
			"to":         i.Credential.Certificate.NotAfter,
			"lease":      i.LeaseUntil,
			"request":    orNull(i.RequestID),
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
		if err := apply(ctx, tx, i.Change); err != nil {
			return err
		}
		retired, err := retire(ctx, tx, i, entries[0])
		if err != nil {
			return err
		}
		err = swap(ctx, tx, policies.Refuse(policies.SessionExpired), `
			UPDATE certificates
			SET state = 'issued', der = @der
			WHERE serial = @serial AND state = 'intent'`,
			pgx.NamedArgs{"serial": k.Certificate.Serial, "der": k.Certificate.DER})
		if err != nil {
			return err
		}
		if err := storeKey(ctx, tx, k, i.Was); err != nil {
			return err
		}
		if err := insertTicket(ctx, tx, next); err != nil {
			return err
		}
		if err := db.notify(ctx, tx, i.Notice); err != nil {
			return err
		}
		if err := place(ctx, tx, i.Place.Shard, k.Certificate.NotAfter); err != nil {
			return err
		}
		issued := ca.Change{Serial: k.Certificate.Serial, Place: i.Place}
		return db.conclude(ctx, tx, []ca.Change{issued}, append(append(retired, entries...), i.Change.Entry)...)
	})
}

// apply makes a change to a citizen's record the newest: every method that
// alters what the seal covers calls it first.
func apply(ctx context.Context, tx pgx.Tx, c signer.Change) error {
	return swap(ctx, tx, policies.Refuse(policies.SessionExpired), `
		UPDATE citizens
		SET version = version + 1, seal_epoch = @epoch, seal = @seal
		WHERE id = @id AND version = @was`, pgx.NamedArgs{
		"id":    c.CitizenID,
		"was":   c.Was,
		"epoch": c.Seal.Epoch,
		"seal":  c.Seal.MAC,
	})
}

// storeKey puts a new key into its credential.
func storeKey(ctx context.Context, tx pgx.Tx, k signer.Credential, was int64) error {
	if k.KeyLabel != "" {
		err := swap(ctx, tx, policies.Refuse(policies.SessionExpired), `
			UPDATE token_keys
			SET state = 'live'
			WHERE label = @label AND state = 'making'`, pgx.NamedArgs{"label": k.KeyLabel})
		if err != nil {
			return err
		}
	}
	return swap(ctx, tx, policies.Refuse(policies.SessionExpired), `
		UPDATE credentials
		SET state = @state, generation = @generation, algorithm = @algorithm, public_key = @public, box = @box,
			keeper = @keeper, kek_epoch = @kek, key_label = @label
		WHERE id = @id AND generation = @was AND state <> 'destroyed'`, pgx.NamedArgs{
		"id":         k.ID,
		"was":        was,
		"state":      k.State,
		"generation": k.Generation,
		"algorithm":  k.Algorithm,
		"public":     k.PublicKey,
		"box":        k.Sealed.Box,
		"keeper":     k.Keeper,
		"kek":        k.KEK,
		"label":      k.KeyLabel,
	})
}

// retire ends the key that gives way to a new one; it returns the log entry
// that tells of it. Its certificate goes on to its end: it can sign nothing any
// more, and revoked it would cast doubt on what it has signed.
func retire(ctx context.Context, tx pgx.Tx, i signer.Issuance, cause audit.Entry) ([]audit.Entry, error) {
	if !i.Replaces {
		return nil, nil
	}
	if err := void(ctx, tx, "credential_id = @key", i.Credential.ID, cause.At); err != nil {
		return nil, err
	}
	if _, err := tx.Exec(ctx, `
		UPDATE token_keys
		SET state = 'doomed'
		WHERE label = @label`, pgx.NamedArgs{"label": i.Retired}); err != nil {
		return nil, err
	}
	return []audit.Entry{{
		Type: audit.KeyDestroyed, Operation: cause.Operation, At: cause.At, Person: cause.Person,
		Payload: map[string]any{"credential": i.Credential.ID, "generation": i.Was},
	}}, nil
}

// Reseal implements signer.Store. Older sessions and consents guard the old
// sealing key, which opens nothing any more.
func (db *DB) Reseal(ctx context.Context, k signer.Credential, c signer.Change, entries ...audit.Entry) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		if err := apply(ctx, tx, c); err != nil {
			return err
		}
		if err := storeBox(ctx, tx, k); err != nil {
			return err
		}
		return db.record(ctx, tx, append(entries, c.Entry)...)
	})
}

// storeBox replaces a box by its next generation.
func storeBox(ctx context.Context, tx pgx.Tx, k signer.Credential) error {
	return swap(ctx, tx, policies.Refuse(policies.SessionExpired), `
		UPDATE credentials
		SET generation = @generation, salt = @salt, argon_memory_kib = @memory, argon_passes = @passes, argon_lanes = @lanes,
			pepper_epoch = @pepper, box = @box, password_at = @password
		WHERE id = @id AND generation = @generation - 1 AND state <> 'destroyed'`, pgx.NamedArgs{
		"id":         k.ID,
		"generation": k.Generation,
		"salt":       k.Sealed.Salt,
		"memory":     k.Sealed.Cost.MemoryKiB,
		"passes":     k.Sealed.Cost.Passes,
		"lanes":      k.Sealed.Cost.Lanes,
		"pepper":     k.Sealed.Pepper,
		"box":        k.Sealed.Box,
		"password":   k.PasswordAt,
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
