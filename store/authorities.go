package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/ca"
	"github.com/rubrica-firma/rubrica/signer"
)

// Authority is a certificate of the internal CA.
type Authority struct {
	Name     string // root or issuing
	KeyLabel string
	DER      []byte
}

// Authorities reads the hierarchy by name.
func (db *DB) Authorities(ctx context.Context) (map[string]Authority, error) {
	rows, err := db.pool.Query(ctx, `SELECT name, key_label, der FROM authorities`)
	if err != nil {
		return nil, err
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Authority])
	out := make(map[string]Authority, len(list))
	for _, a := range list {
		out[a.Name] = a
	}
	return out, err
}

// Ceremony is what a first ceremony of keys leaves in the database.
type Ceremony struct {
	Authorities []Authority
	Epochs      []Epoch
	Keeper      signer.KeeperName
}

// RecordCeremony stores the ceremony with its log entry, once.
func (db *DB) RecordCeremony(ctx context.Context, c Ceremony, e audit.Entry) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		for _, a := range c.Authorities {
			if _, err := tx.Exec(ctx, `
				INSERT INTO authorities (name, key_label, der, created_at)
				VALUES (@name, @label, @der, @now)`,
				pgx.NamedArgs{"name": a.Name, "label": a.KeyLabel, "der": a.DER, "now": e.At}); err != nil {
				return err
			}
		}
		for _, epoch := range c.Epochs {
			if err := insertEpoch(ctx, tx, epoch, e.At); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, `
			UPDATE key_keeper
			SET keeper = @keeper, since = @now`, pgx.NamedArgs{"keeper": c.Keeper, "now": e.At}); err != nil {
			return err
		}
		return db.record(ctx, tx, e)
	})
}

var _ ca.Lists = (*DB)(nil)

// NewestList implements ca.Lists.
func (db *DB) NewestList(ctx context.Context, issuer string) (ca.PublishedList, error) {
	var l ca.PublishedList
	err := db.pool.QueryRow(ctx, `
		SELECT number, der, this_update, next_update
		FROM crls
		WHERE issuer = @issuer
		ORDER BY number DESC
		LIMIT 1`, pgx.NamedArgs{"issuer": issuer}).Scan(&l.Number, &l.DER, &l.ThisUpdate, &l.NextUpdate)
	if errors.Is(err, pgx.ErrNoRows) {
		return ca.PublishedList{}, nil
	}
	return l, err
}

// PublishList implements ca.Lists.
func (db *DB) PublishList(ctx context.Context, issuer string, l ca.PublishedList) error {
	_, err := db.pool.Exec(ctx, `
		INSERT INTO crls (issuer, number, der, this_update, next_update)
		VALUES (@issuer, @number, @der, @this, @next)
		ON CONFLICT DO NOTHING`, pgx.NamedArgs{
		"issuer": issuer,
		"number": l.Number,
		"der":    l.DER,
		"this":   l.ThisUpdate,
		"next":   l.NextUpdate,
	})
	return err
}

// Revocations implements ca.Lists. Citizens' certificates are the issuing
// authority's; the root has revoked nothing as long as there is one issuing
// authority.
func (db *DB) Revocations(ctx context.Context, issuer string, now time.Time) ([]ca.RevokedCertificate, error) {
	if issuer != "issuing" {
		return nil, nil
	}
	rows, err := db.pool.Query(ctx, `
		SELECT serial, revoked_at, reason
		FROM certificates
		WHERE revoked_at IS NOT NULL AND not_after >= @now
		ORDER BY revoked_at`, pgx.NamedArgs{"now": now})
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[ca.RevokedCertificate])
}
