package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/audit"
)

// verdict is what the log says of a certificate: a row can be altered by whoever
// has the database, an entry cannot unseen.
type verdict struct {
	revoked bool
	at      time.Time
	reason  int
}

// statusTypes are the events that change a status, as the index has them.
const statusTypes = `('certificate.revoked', 'certificate.suspended', 'certificate.released')`

// judge reads what an entry says, and of which certificate. One that is not what
// its leaf commits to is worthless.
func judge(r audit.Record) (serial string, v verdict, err error) {
	payload, err := r.Open()
	if err != nil {
		return "", v, fmt.Errorf("reading what the log says of certificates: %w", err)
	}
	var told struct {
		Serial string `json:"serial"`
		Reason int    `json:"reason"`
	}
	if err := json.Unmarshal(payload, &told); err != nil {
		return "", v, fmt.Errorf("reading what the log says of certificates: %w", err)
	}
	v = verdict{revoked: r.Type != audit.CertificateReleased, at: r.At.UTC(), reason: told.Reason}
	if r.Type == audit.CertificateSuspended {
		v.reason = certificateHold
	}
	return told.Serial, v, nil
}

// unrevoked are certificates of a shard whose rows say nothing of a revocation
// that the log knows.
func (db *DB) unrevoked(ctx context.Context, shard string, since time.Time) (map[string]verdict, error) {
	rows, err := db.pool.Query(ctx, `
		SELECT type, at, leaf, payload, salt
		FROM log_entries
		WHERE type IN `+statusTypes+` AND operation IN (
			SELECT k.citizen_id
			FROM certificates z
			JOIN credentials k ON k.id = z.credential_id
			WHERE z.shard = @shard AND z.state = 'issued' AND z.revoked_at IS NULL AND z.not_after >= @since
		)
		ORDER BY seq`, pgx.NamedArgs{"shard": shard, "since": since})
	if err != nil {
		return nil, err
	}
	found := map[string]verdict{}
	var r audit.Record
	_, err = pgx.ForEachRow(rows, []any{&r.Type, &r.At, &r.Leaf, &r.Payload, &r.Salt}, func() error {
		serial, v, err := judge(r)
		found[serial] = v // the last one counts
		return err
	})
	if err != nil {
		return nil, err
	}
	serials, err := db.silent(ctx, shard, since, found)
	hidden := make(map[string]verdict, len(serials))
	for _, serial := range serials {
		hidden[serial] = found[serial]
	}
	return hidden, err
}

// silent are those of the revoked that are the shard's and whose rows do not
// say so.
func (db *DB) silent(ctx context.Context, shard string, since time.Time, found map[string]verdict) ([]string, error) {
	var revoked []string
	for serial, v := range found {
		if v.revoked {
			revoked = append(revoked, serial)
		}
	}
	if len(revoked) == 0 {
		return nil, nil
	}
	rows, err := db.pool.Query(ctx, `
		SELECT serial
		FROM certificates
		WHERE serial = ANY(@serials) AND shard = @shard AND state = 'issued' AND revoked_at IS NULL AND not_after >= @since`,
		pgx.NamedArgs{"serials": revoked, "shard": shard, "since": since})
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
