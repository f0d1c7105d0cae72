package store

import (
	"context"
	"encoding/hex"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/personnel"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// Applications lists all clients by name, without keys and certificates.
func (db *DB) Applications(ctx context.Context) ([]signer.RegisteredClient, error) {
	return registered(ctx, db.pool)
}

// Application reads a client with all that it shows itself by, disabled or not
// (policies.ApplicationUnknown).
func (db *DB) Application(ctx context.Context, id string) (c signer.Client, enabled bool, err error) {
	return db.application(ctx, id)
}

// Operator is who changes applications. The zero value is the command line.
type Operator struct {
	citizen.By

	// Account is that of an officer, who must still be a supervisor.
	Account string
	Reason  string
}

// Administration changes applications, each change with its entry in the log, in
// the role rubrica_signer.
type Administration struct {
	db *DB
	by Operator
}

// Administration is what an operator may do.
func (db *DB) Administration(by Operator) Administration { return Administration{db, by} }

// inTx does something if whoever wants it done may.
func (a Administration) inTx(ctx context.Context, do func(tx pgx.Tx) error) error {
	return a.db.inTx(ctx, func(tx pgx.Tx) error {
		if a.by.Account != "" {
			if err := swap(ctx, tx, policies.Refuse(policies.RoleMissing, "role", personnel.RoleSupervisor), `
				SELECT FROM officers
				WHERE id = @id AND role = @role AND disabled_at IS NULL`, pgx.NamedArgs{"id": a.by.Account, "role": personnel.RoleSupervisor}); err != nil {
				return err
			}
		}
		return do(tx)
	})
}

// with does something to a client, which is nobody else's meanwhile.
func (a Administration) with(ctx context.Context, id string, do func(tx pgx.Tx) error) error {
	return a.inTx(ctx, func(tx pgx.Tx) error {
		if err := swap(ctx, tx, policies.Refuse(policies.ApplicationUnknown), `
			SELECT FROM applications WHERE id = @id FOR UPDATE`, pgx.NamedArgs{"id": id}); err != nil {
			return err
		}
		return do(tx)
	})
}

// change does something to a client, exactly to one row, and tells the log.
func (a Administration) change(ctx context.Context, id string, facts map[string]any, now time.Time, do func(tx pgx.Tx) error) error {
	return a.with(ctx, id, func(tx pgx.Tx) error {
		if err := do(tx); err != nil {
			return err
		}
		return a.record(ctx, tx, id, facts, now)
	})
}

func (a Administration) record(ctx context.Context, tx pgx.Tx, id string, facts map[string]any, now time.Time) error {
	return a.db.recordChange(ctx, tx, id, a.by.into(facts), now)
}

// into adds to the facts of a change who made it.
func (o Operator) into(facts map[string]any) map[string]any {
	for name, value := range map[string]string{"office": o.Office, "officer": o.Officer, "statement": o.Statement, "reason": o.Reason} {
		if value != "" {
			facts[name] = value
		}
	}
	return facts
}

func (db *DB) recordChange(ctx context.Context, tx pgx.Tx, id string, facts map[string]any, now time.Time) error {
	facts["application"] = id
	return db.record(ctx, tx, audit.Entry{Type: audit.ApplicationChanged, Operation: id, At: now, Payload: facts})
}

// set changes columns of a client. The statement's row is the client's.
func (a Administration) set(ctx context.Context, id, columns string, args pgx.NamedArgs, facts map[string]any, now time.Time) error {
	return a.change(ctx, id, facts, now, func(tx pgx.Tx) error {
		args["id"] = id
		return swap(ctx, tx, policies.Refuse(policies.ApplicationUnknown), `UPDATE applications SET `+columns+` WHERE id = @id`, args)
	})
}

// Enable lets a client in again, or shuts it out at once.
func (a Administration) Enable(ctx context.Context, id string, on bool, now time.Time) error {
	what := "disabled"
	if on {
		what = "enabled"
	}
	return a.set(ctx, id, "enabled = @on", pgx.NamedArgs{"on": on}, map[string]any{"change": what}, now)
}

// SetSecret puts a secret in the place of the one that was there, which is good
// until then: at most signer.SecretOverlap more (policies.QueryInvalid), or no
// longer if that is zero.
func (a Administration) SetSecret(ctx context.Context, id string, hash []byte, until, now time.Time) error {
	facts := map[string]any{"change": "secret_replaced"}
	if until.IsZero() {
		return a.set(ctx, id, "secret_hash = @hash, former_secret_hash = NULL, former_secret_until = NULL", pgx.NamedArgs{"hash": hash}, facts, now)
	}
	if !until.After(now) || until.After(now.Add(signer.SecretOverlap)) {
		return policies.Refuse(policies.QueryInvalid, "reason", "secret_span")
	}
	facts["not_after"] = until
	return a.set(ctx, id, `
		secret_hash = @hash,
		former_secret_hash = secret_hash,
		former_secret_until = CASE WHEN secret_hash IS NOT NULL THEN @until::timestamptz END`,
		pgx.NamedArgs{"hash": hash, "until": until}, facts, now)
}

// SetContact says whom to tell.
func (a Administration) SetContact(ctx context.Context, id, contact string, now time.Time) error {
	return a.set(ctx, id, "contact = @contact", pgx.NamedArgs{"contact": contact}, map[string]any{"change": "contact"}, now)
}

// Switch turns a switch on or off. That of the secret takes a secret
// (policies.QueryInvalid).
func (a Administration) Switch(ctx context.Context, id, name string, on bool, now time.Time) error {
	what, columns := "switched_off", "switches = array_remove(switches, @name)"
	if on {
		what, columns = "switched_on", "switches = array_append(array_remove(switches, @name), @name)"
	}
	err := a.set(ctx, id, columns, pgx.NamedArgs{"name": name}, map[string]any{"change": what, "switch": name}, now)
	if violated(err, "applications_secret") {
		return policies.Refuse(policies.QueryInvalid, "reason", "no_secret")
	}
	return err
}

// SetScopes sets what a client may ask for, all of it. An office registers people,
// and nothing else does: it has a key of its own (policies.QueryInvalid).
func (a Administration) SetScopes(ctx context.Context, id string, scopes []string, now time.Time) error {
	return a.change(ctx, id, map[string]any{"change": "scopes", "scopes": scopes}, now, func(tx pgx.Tx) error {
		return swap(ctx, tx, policies.Refuse(policies.QueryInvalid, "reason", "scopes"), `
			UPDATE applications
			SET scopes = @scopes
			WHERE id = @id AND public_key IS NULL`, pgx.NamedArgs{"id": id, "scopes": scopes})
	})
}

// Limit sets what a client may use: its doors, formats, levels and
// calls a second, all of them as they stand in c.
func (a Administration) Limit(ctx context.Context, c signer.Client, now time.Time) error {
	facts := map[string]any{"change": "limits", "doors": named(c.Doors), "formats": named(c.Formats), "levels": named(c.Levels), "calls": c.Calls}
	return a.set(ctx, c.ID, `
		doors = @doors,
		formats = @formats,
		levels = @levels,
		calls = NULLIF(@calls, 0)`, pgx.NamedArgs{
		"doors": named(c.Doors), "formats": named(c.Formats), "levels": named(c.Levels), "calls": c.Calls,
	}, facts, now)
}

// named are names as a list that is never nil.
func named[S ~string](list []S) []string {
	out := make([]string, 0, len(list))
	for _, s := range list {
		out = append(out, string(s))
	}
	return out
}

// AddReturnAddress admits an address to which browsers may come back.
func (a Administration) AddReturnAddress(ctx context.Context, id, url string, now time.Time) error {
	return a.change(ctx, id, map[string]any{"change": "redirect_added", "return_address": url}, now, func(tx pgx.Tx) error {
		return addReturnAddress(ctx, tx, id, url)
	})
}

// RemoveReturnAddress takes one away (policies.ReturnAddressUnknown).
func (a Administration) RemoveReturnAddress(ctx context.Context, id, url string, now time.Time) error {
	return a.change(ctx, id, map[string]any{"change": "redirect_removed", "return_address": url}, now, func(tx pgx.Tx) error {
		return swap(ctx, tx, policies.Refuse(policies.ReturnAddressUnknown), `
			DELETE FROM return_addresses
			WHERE application_id = @id AND url = @url`, pgx.NamedArgs{"id": id, "url": url})
	})
}

// AddKeys admits public keys, all or none (policies.QueryInvalid if it has one).
func (a Administration) AddKeys(ctx context.Context, id string, keys []signer.ClientKey, now time.Time) error {
	return a.with(ctx, id, func(tx pgx.Tx) error { return a.addKeys(ctx, tx, id, keys, now) })
}

func (a Administration) addKeys(ctx context.Context, tx pgx.Tx, id string, keys []signer.ClientKey, now time.Time) error {
	for _, k := range keys {
		if err := swap(ctx, tx, policies.Refuse(policies.QueryInvalid, "reason", "key_known"), `
			INSERT INTO application_keys (application_id, kid, jwk, not_before, not_after, added_at)
			VALUES (@id, @kid, @jwk, @from, @until, @now)
			ON CONFLICT (application_id, kid) DO NOTHING`, pgx.NamedArgs{
			"id": id, "kid": k.ID, "jwk": k.JWK, "from": k.NotBefore, "until": k.NotAfter, "now": now,
		}); err != nil {
			return err
		}
		facts := map[string]any{"change": "key_added", "key": k.ID, "not_before": k.NotBefore, "not_after": k.NotAfter}
		if err := a.record(ctx, tx, id, facts, now); err != nil {
			return err
		}
	}
	return nil
}

// EndKey says until when a key is good (policies.NotFound; policies.QueryInvalid
// if that is before it begins to be).
func (a Administration) EndKey(ctx context.Context, id, kid string, until, now time.Time) error {
	return spanned(a.change(ctx, id, map[string]any{"change": "key_until", "key": kid, "not_after": until}, now, func(tx pgx.Tx) error {
		return swap(ctx, tx, policies.Refuse(policies.NotFound), `
			UPDATE application_keys
			SET not_after = @until
			WHERE application_id = @id AND kid = @kid`, pgx.NamedArgs{"id": id, "kid": kid, "until": until})
	}))
}

// spanned says what of a span cannot be.
func spanned(err error) error {
	if violated(err, "application_keys_span") || violated(err, "application_certificates_span") {
		return policies.Refuse(policies.QueryInvalid, "reason", "key_span")
	}
	return err
}

// RemoveKey takes a key away (policies.NotFound).
func (a Administration) RemoveKey(ctx context.Context, id, kid string, now time.Time) error {
	return a.change(ctx, id, map[string]any{"change": "key_removed", "key": kid}, now, func(tx pgx.Tx) error {
		return swap(ctx, tx, policies.Refuse(policies.NotFound), `
			DELETE FROM application_keys
			WHERE application_id = @id AND kid = @kid`, pgx.NamedArgs{"id": id, "kid": kid})
	})
}

// AddCertificate admits a TLS certificate (policies.QueryInvalid if it has it).
func (a Administration) AddCertificate(ctx context.Context, id string, k signer.ClientCertificate, now time.Time) error {
	return a.with(ctx, id, func(tx pgx.Tx) error { return a.addCertificate(ctx, tx, id, k, now) })
}

func (a Administration) addCertificate(ctx context.Context, tx pgx.Tx, id string, k signer.ClientCertificate, now time.Time) error {
	if err := swap(ctx, tx, policies.Refuse(policies.QueryInvalid, "reason", "key_known"), `
		INSERT INTO application_certificates (application_id, sha256, der, not_before, not_after, added_at)
		VALUES (@id, @sha256, @der, @from, @until, @now)
		ON CONFLICT (application_id, sha256) DO NOTHING`, pgx.NamedArgs{
		"id": id, "sha256": k.SHA256, "der": k.DER, "from": k.NotBefore, "until": k.NotAfter, "now": now,
	}); err != nil {
		return spanned(err)
	}
	return a.record(ctx, tx, id, map[string]any{
		"change": "certificate_added", "certificate_sha256": hex.EncodeToString(k.SHA256), "not_before": k.NotBefore, "not_after": k.NotAfter,
	}, now)
}

// EndCertificate says until when a certificate is taken, which may be past its own
// end, but is of no use then (policies.NotFound; policies.QueryInvalid if that is
// before it begins to be good).
func (a Administration) EndCertificate(ctx context.Context, id string, sha256 []byte, until, now time.Time) error {
	facts := map[string]any{"change": "certificate_until", "certificate_sha256": hex.EncodeToString(sha256), "not_after": until}
	return spanned(a.change(ctx, id, facts, now, func(tx pgx.Tx) error {
		return swap(ctx, tx, policies.Refuse(policies.NotFound), `
			UPDATE application_certificates
			SET not_after = @until
			WHERE application_id = @id AND sha256 = @sha256`, pgx.NamedArgs{"id": id, "sha256": sha256, "until": until})
	}))
}

// RemoveCertificate takes a certificate away (policies.NotFound).
func (a Administration) RemoveCertificate(ctx context.Context, id string, sha256 []byte, now time.Time) error {
	facts := map[string]any{"change": "certificate_removed", "certificate_sha256": hex.EncodeToString(sha256)}
	return a.change(ctx, id, facts, now, func(tx pgx.Tx) error {
		return swap(ctx, tx, policies.Refuse(policies.NotFound), `
			DELETE FROM application_certificates
			WHERE application_id = @id AND sha256 = @sha256`, pgx.NamedArgs{"id": id, "sha256": sha256})
	})
}
