package store

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/ca"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

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
		Payload: map[string]any{"credential": i.Credential.ID, "generation": i.Was, "cause": string(audit.CertificateIssued)},
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
