package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/ca"
)

var _ ca.Lists = (*DB)(nil)

// Shards lists the revocation lists of issuing authorities.
func (db *DB) Shards(ctx context.Context, now time.Time) ([]ca.Shard, error) {
	rows, err := db.pool.Query(ctx, `
		SELECT
			s.name,
			s.issuer,
			CASE WHEN s.year < @year OR s.issued >= @size OR a.retired_at IS NOT NULL THEN s.ends_at END
		FROM crl_shards s
		JOIN authorities a ON a.name = s.issuer AND a.role = 'issuing'
		ORDER BY s.year, s.ordinal, s.name`, pgx.NamedArgs{"year": now.UTC().Year(), "size": shardSize})
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (s ca.Shard, err error) {
		var ends *time.Time
		err = row.Scan(&s.Name, &s.Issuer, &ends)
		s.Ends = orZero(ends)
		return s, err
	})
}

// NewestList implements ca.Lists. The list itself is read only where there is
// no digest of it.
func (db *DB) NewestList(ctx context.Context, shard string) (ca.PublishedList, error) {
	return db.newestList(ctx, shard, `CASE WHEN digest IS NULL THEN der END`)
}

func (db *DB) newestList(ctx context.Context, shard, der string) (ca.PublishedList, error) {
	var l ca.PublishedList
	err := db.pool.QueryRow(ctx, `
		SELECT number, `+der+`, this_update, next_update, digest
		FROM crls
		WHERE shard = @shard
		ORDER BY number DESC
		LIMIT 1`, pgx.NamedArgs{"shard": shard}).Scan(
		&l.Number,
		&l.DER,
		&l.ThisUpdate,
		&l.NextUpdate,
		&l.Digest,
	)
	if errors.Is(err, pgx.ErrNoRows) {
		return ca.PublishedList{}, nil
	}
	return l, err
}

// PublishList implements ca.Lists.
func (db *DB) PublishList(ctx context.Context, shard string, l ca.PublishedList) (published bool, err error) {
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		published, err = insertList(ctx, tx, shard, l)
		return err
	})
	return published, err
}

func insertList(ctx context.Context, tx pgx.Tx, shard string, l ca.PublishedList) (bool, error) {
	tag, err := tx.Exec(ctx, `
		INSERT INTO crls (shard, number, der, digest, this_update, next_update)
		VALUES (@shard, @number, @der, @digest, @this, @next)
		ON CONFLICT DO NOTHING`, pgx.NamedArgs{
		"shard":  shard,
		"number": l.Number,
		"der":    l.DER,
		"digest": l.Digest,
		"this":   l.ThisUpdate,
		"next":   l.NextUpdate,
	})
	return tag.RowsAffected() == 1, err
}

// Revocations implements ca.Lists: citizens' certificates, those among them
// whose rows keep silent about what the log knows, and services'.
func (db *DB) Revocations(ctx context.Context, shard string, since time.Time) ([]ca.RevokedCertificate, error) {
	rows, err := db.pool.Query(ctx, `
		SELECT serial, revoked_at, reason
		FROM certificates
		WHERE shard = @shard AND revoked_at IS NOT NULL AND not_after >= @since
		ORDER BY serial`, pgx.NamedArgs{"shard": shard, "since": since})
	if err != nil {
		return nil, err
	}
	revoked, err := pgx.CollectRows(rows, pgx.RowToStructByPos[ca.RevokedCertificate])
	if err != nil {
		return nil, err
	}
	hidden, err := db.unrevoked(ctx, shard, since)
	if err != nil {
		return nil, err
	}
	for serial, v := range hidden {
		revoked = append(revoked, ca.RevokedCertificate{Serial: serial, At: v.at, Reason: ca.Reason(v.reason)})
	}
	services, err := db.revokedServices(ctx, shard)
	return append(revoked, services...), err
}

func (db *DB) revokedServices(ctx context.Context, shard string) ([]ca.RevokedCertificate, error) {
	h, err := db.Hierarchy(ctx)
	if err != nil {
		return nil, err
	}
	var revoked []ca.RevokedCertificate
	for _, m := range h {
		if m.Shard != shard || m.RevokedAt.IsZero() {
			continue
		}
		c, err := m.Certificate()
		if err != nil {
			return nil, err
		}
		revoked = append(revoked, ca.RevokedCertificate{Serial: c.SerialNumber.Text(16), At: m.RevokedAt, Reason: m.Reason})
	}
	return revoked, nil
}
