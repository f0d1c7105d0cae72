package store

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/ca"
)

// ending is what has become of certificates and keys in a transaction: the
// entries that tell of it, and the certificates whose status changed.
type ending struct {
	entries []audit.Entry
	changed []ca.Change
}

// revoked reports whether a certificate ended.
func (e ending) revoked() bool { return len(e.changed) > 0 }

// conclude is record for transactions that change the status of certificates.
// The feed is written while the log's head is locked: its order is the order of
// the commits, so that whoever has read up to a number has missed nothing.
func (db *DB) conclude(ctx context.Context, tx pgx.Tx, changed []ca.Change, entries ...audit.Entry) error {
	if err := db.record(ctx, tx, entries...); err != nil {
		return err
	}
	for _, c := range changed {
		_, err := tx.Exec(ctx, `
			INSERT INTO certificate_changes (serial, issuer, shard, at)
			VALUES (@serial, @issuer, @shard, @at)`, pgx.NamedArgs{
			"serial": c.Serial,
			"issuer": c.Issuer,
			"shard":  c.Shard,
			"at":     db.Now(),
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// feedPage bounds what is read of the feed at once.
const feedPage = 10_000

// LastCertificateChange is where the feed stands.
func (db *DB) LastCertificateChange(ctx context.Context) (int64, error) {
	var seq int64
	err := db.pool.QueryRow(ctx, `SELECT coalesce(max(seq), 0) FROM certificate_changes`).Scan(&seq)
	return seq, err
}

// CertificateChanges reads the feed after a number, oldest first.
func (db *DB) CertificateChanges(ctx context.Context, after int64) ([]ca.Change, error) {
	rows, err := db.pool.Query(ctx, `
		SELECT
			seq,
			serial,
			issuer,
			shard
		FROM certificate_changes
		WHERE seq > @after
		ORDER BY seq
		LIMIT @page`, pgx.NamedArgs{"after": after, "page": feedPage})
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (c ca.Change, err error) {
		err = row.Scan(&c.Seq, &c.Serial, &c.Issuer, &c.Shard)
		return c, err
	})
}

const (
	// feedLife is how long entries of the feed are kept: whoever has not read for
	// that long starts anew.
	feedLife = 24 * time.Hour
	// listLife is how long a list that has been replaced is kept after its end.
	listLife = 30 * 24 * time.Hour
)

// ForgetPublished deletes what nobody can rely on any more: entries of the feed
// that every reader has read, answers and lists that have ended. The newest
// entry and the newest list of each shard stay, and go on counting.
func (db *DB) ForgetPublished(ctx context.Context, now time.Time) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		for _, sql := range []string{
			`
			DELETE FROM certificate_changes
			WHERE at < @feed AND seq < (SELECT max(seq) FROM certificate_changes)`, `
			DELETE FROM ocsp_answers
			WHERE next_update < @now`, `
			DELETE FROM crls l
			WHERE next_update < @lists AND EXISTS (SELECT FROM crls n WHERE n.shard = l.shard AND n.number > l.number)`,
		} {
			args := pgx.NamedArgs{"now": now, "feed": now.Add(-feedLife), "lists": now.Add(-listLife)}
			if _, err := tx.Exec(ctx, sql, args); err != nil {
				return err
			}
		}
		return nil
	})
}

// shardSize is how many certificates name one revocation list: a list of them
// all stays under a megabyte.
const shardSize = 18_000

// firstGrace is for how long a list without certificates is not yet done with:
// one that names it may be under way.
const firstGrace = 24 * time.Hour

// Shard is the list that a certificate issued now will name; a new one is made
// with the year, and when the last is full.
func (db *DB) Shard(ctx context.Context, issuer string, now time.Time) (string, error) {
	args := pgx.NamedArgs{"issuer": issuer, "year": now.UTC().Year(), "size": shardSize, "until": now.Add(firstGrace)}
	for {
		var name string
		err := db.pool.QueryRow(ctx, `
			SELECT name
			FROM crl_shards
			WHERE issuer = @issuer AND year = @year AND issued < @size
			ORDER BY ordinal
			LIMIT 1`, args).Scan(&name)
		if !errors.Is(err, pgx.ErrNoRows) {
			return name, err
		}
		// Of several who find none, one makes it, and all look again.
		_, err = db.pool.Exec(ctx, `
			INSERT INTO crl_shards (name, issuer, year, ordinal, ends_at)
			SELECT format('%s-%s-%s', @issuer::text, @year::integer, last + 1), @issuer, @year, last + 1, @until
			FROM (
				SELECT coalesce(max(ordinal), 0) AS last
				FROM crl_shards
				WHERE issuer = @issuer AND year = @year
			) s
			WHERE NOT EXISTS (SELECT FROM crl_shards WHERE issuer = @issuer AND year = @year AND issued < @size)
			ON CONFLICT DO NOTHING`, args)
		if err != nil {
			return "", err
		}
	}
}

// place counts a certificate into its list.
func place(ctx context.Context, tx pgx.Tx, shard string, notAfter time.Time) error {
	_, err := tx.Exec(ctx, `
		UPDATE crl_shards
		SET issued = issued + 1, ends_at = greatest(ends_at, @until)
		WHERE name = @shard`, pgx.NamedArgs{"shard": shard, "until": notAfter})
	return err
}

// Reasons of revocation, RFC 5280 section 5.3.1. Of a key that is gone nothing
// suggests that it was compromised.
const (
	cessationOfOperation = int(ca.CessationOfOperation)
	certificateHold      = int(ca.CertificateHold)
)

// revokeCertificates revokes a citizen's certificates for good, suspended ones
// among them.
func revokeCertificates(ctx context.Context, tx pgx.Tx, citizenID string, reason int, cause audit.Entry) (ending, error) {
	return changeStatus(ctx, tx, audit.CertificateRevoked, map[string]any{"reason": reason}, cause, `
		UPDATE certificates
		SET revoked_at = @now, reason = @reason, status_version = status_version + 1
		WHERE state = 'issued' AND not_after >= @now AND (revoked_at IS NULL OR reason = @hold)
			AND credential_id IN (SELECT id FROM credentials WHERE citizen_id = @citizen)
		RETURNING serial, issuer, shard, credential_id`,
		pgx.NamedArgs{"citizen": citizenID, "now": cause.At, "reason": reason, "hold": certificateHold})
}

// suspendCertificate puts the certificate that can sign on hold.
func suspendCertificate(ctx context.Context, tx pgx.Tx, serial string, cause audit.Entry) (ending, error) {
	return changeStatus(ctx, tx, audit.CertificateSuspended, nil, cause, `
		UPDATE certificates
		SET revoked_at = @now, reason = @hold, status_version = status_version + 1
		WHERE serial = @serial AND state = 'issued' AND revoked_at IS NULL AND not_after >= @now
		RETURNING serial, issuer, shard, credential_id`,
		pgx.NamedArgs{"serial": serial, "now": cause.At, "hold": certificateHold})
}

// releaseCertificate lifts the hold.
func releaseCertificate(ctx context.Context, tx pgx.Tx, serial string, cause audit.Entry) (ending, error) {
	return changeStatus(ctx, tx, audit.CertificateReleased, nil, cause, `
		UPDATE certificates
		SET revoked_at = NULL, reason = NULL, status_version = status_version + 1
		WHERE serial = @serial AND state = 'issued' AND reason = @hold AND not_after >= @now
		RETURNING serial, issuer, shard, credential_id`,
		pgx.NamedArgs{"serial": serial, "now": cause.At, "hold": certificateHold})
}

// changeStatus runs an update of certificates and tells of each in an entry.
func changeStatus(
	ctx context.Context, tx pgx.Tx, kind audit.EventType, more map[string]any, cause audit.Entry, sql string, args pgx.NamedArgs,
) (ending, error) {
	rows, err := tx.Query(ctx, sql, args)
	if err != nil {
		return ending{}, err
	}
	var (
		e          ending
		c          ca.Change
		credential string
	)
	_, err = pgx.ForEachRow(rows, []any{&c.Serial, &c.Issuer, &c.Shard, &credential}, func() error {
		payload := map[string]any{"serial": c.Serial, "issuer": c.Issuer, "credential": credential, "cause": string(cause.Type)}
		maps.Copy(payload, more)
		e.changed = append(e.changed, c)
		e.entries = append(e.entries, audit.Entry{
			Type: kind, Operation: cause.Operation, At: cause.At, Person: cause.Person, Payload: payload,
		})
		return nil
	})
	return e, err
}
