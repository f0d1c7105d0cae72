package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/ca"
)

var _ ca.Lists = (*DB)(nil)

// Shard of a revocation list, with the authority that signs it.
type Shard struct {
	Name   string
	Issuer string
	EndsAt time.Time // when the last certificate that names it has expired
}

// Shards lists the revocation lists of issuing authorities.
func (db *DB) Shards(ctx context.Context) ([]Shard, error) {
	rows, err := db.pool.Query(ctx, `
		SELECT
			s.name,
			s.issuer,
			s.ends_at
		FROM crl_shards s
		JOIN authorities a ON a.name = s.issuer AND a.role = 'issuing'
		ORDER BY s.year, s.ordinal, s.name`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Shard])
}

// NewestList implements ca.Lists.
func (db *DB) NewestList(ctx context.Context, shard string) (ca.PublishedList, error) {
	var l ca.PublishedList
	err := db.pool.QueryRow(ctx, `
		SELECT number, der, this_update, next_update
		FROM crls
		WHERE shard = @shard
		ORDER BY number DESC
		LIMIT 1`, pgx.NamedArgs{"shard": shard}).Scan(&l.Number, &l.DER, &l.ThisUpdate, &l.NextUpdate)
	if errors.Is(err, pgx.ErrNoRows) {
		return ca.PublishedList{}, nil
	}
	return l, err
}

// PublishList implements ca.Lists.
func (db *DB) PublishList(ctx context.Context, shard string, l ca.PublishedList) (bool, error) {
	tag, err := db.pool.Exec(ctx, insertListSQL, listArguments(shard, l))
	return tag.RowsAffected() == 1, err
}

const insertListSQL = `
	INSERT INTO crls (shard, number, der, this_update, next_update)
	VALUES (@shard, @number, @der, @this, @next)
	ON CONFLICT DO NOTHING`

func listArguments(shard string, l ca.PublishedList) pgx.NamedArgs {
	return pgx.NamedArgs{
		"shard":  shard,
		"number": l.Number,
		"der":    l.DER,
		"this":   l.ThisUpdate,
		"next":   l.NextUpdate,
	}
}

func insertList(ctx context.Context, tx pgx.Tx, shard string, l ca.PublishedList) error {
	_, err := tx.Exec(ctx, insertListSQL, listArguments(shard, l))
	return err
}

// Revocations implements ca.Lists: citizens' certificates, and services'.
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

// listLife is how long a list that has been replaced is kept.
const listLife = 30 * 24 * time.Hour

// ForgetLists deletes lists that nobody can rely on any more; the newest of
// each shard stays, and goes on counting.
func (db *DB) ForgetLists(ctx context.Context, now time.Time) error {
	_, err := db.pool.Exec(ctx, `
		DELETE FROM crls l
		WHERE next_update < @before AND EXISTS (SELECT FROM crls n WHERE n.shard = l.shard AND n.number > l.number)`,
		pgx.NamedArgs{"before": now.Add(-listLife)})
	return err
}
