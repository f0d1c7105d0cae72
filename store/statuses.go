package store

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/ca"
	"github.com/rubrica-firma/rubrica/ca/ocsp"
)

// Statuses is what the database knows of certificates, as the OCSP responder
// asks.
type Statuses struct{ db *DB }

// Statuses implements ocsp.Statuses.
func (db *DB) Statuses() Statuses { return Statuses{db} }

var _ ocsp.Statuses = Statuses{}

// Status implements ocsp.Statuses. An intent without an outcome is no
// certificate: it has never left this house.
func (s Statuses) Status(ctx context.Context, issuer string, serials []string) (map[string]ocsp.Status, error) {
	rows, err := s.db.pool.Query(ctx, `
		SELECT
			serial,
			revoked_at,
			coalesce(reason, 0),
			status_version
		FROM certificates
		WHERE serial = ANY(@serials) AND issuer = @issuer AND state = 'issued'`,
		pgx.NamedArgs{"serials": serials, "issuer": issuer})
	if err != nil {
		return nil, err
	}
	found := make(map[string]ocsp.Status, len(serials))
	var (
		serial    string
		revokedAt *time.Time
		reason    int
		version   int64
	)
	_, err = pgx.ForEachRow(rows, []any{&serial, &revokedAt, &reason, &version}, func() error {
		found[serial] = status(orZero(revokedAt), reason, version)
		return nil
	})
	if err == nil && len(found) > 0 {
		err = s.believe(ctx, found)
	}
	if err != nil || len(found) == len(serials) {
		return found, err
	}
	return found, s.services(ctx, issuer, serials, found)
}

// believe lets the log overrule rows that say nothing of a revocation. What a
// row says of one is believed anyway: that takes trust away, and gives none.
func (s Statuses) believe(ctx context.Context, found map[string]ocsp.Status) error {
	var good []string
	for serial, status := range found {
		if status.State == ocsp.Good {
			good = append(good, serial)
		}
	}
	if len(good) == 0 {
		return nil
	}
	told, err := s.db.verdictsOn(ctx, good)
	if err != nil {
		return err
	}
	for _, serial := range good {
		if v := told[serial]; v.revoked {
			found[serial] = status(v.at, v.reason, found[serial].Version)
		}
	}
	return nil
}

func status(revokedAt time.Time, reason int, version int64) ocsp.Status {
	if revokedAt.IsZero() {
		return ocsp.Status{State: ocsp.Good, Version: version}
	}
	return ocsp.Status{State: ocsp.Revoked, RevokedAt: revokedAt, Reason: reason, Version: version}
}

// services adds the issuer's services to what was found. They are a handful.
func (s Statuses) services(ctx context.Context, issuer string, serials []string, found map[string]ocsp.Status) error {
	h, err := s.db.Hierarchy(ctx)
	if err != nil {
		return err
	}
	for _, m := range h.Under(issuer) {
		c, err := m.Certificate()
		if err != nil {
			return err
		}
		if serial := ocsp.Serial(c.SerialNumber); slices.Contains(serials, serial) {
			found[serial] = status(m.RevokedAt, int(m.Reason), statusVersion(m))
		}
	}
	return nil
}

// statusVersion of a service grows once: nothing suspends one.
func statusVersion(m ca.Member) int64 {
	if m.RevokedAt.IsZero() {
		return 1
	}
	return 2
}

// Kept implements ocsp.Statuses.
func (s Statuses) Kept(ctx context.Context, serial string) (ocsp.Kept, error) {
	var k ocsp.Kept
	err := s.db.pool.QueryRow(ctx, `
		SELECT
			serial,
			status_version,
			der,
			this_update,
			next_update
		FROM ocsp_answers
		WHERE serial = @serial`, pgx.NamedArgs{"serial": serial}).Scan(
		&k.Serial,
		&k.Version,
		&k.DER,
		&k.ThisUpdate,
		&k.NextUpdate,
	)
	if errors.Is(err, pgx.ErrNoRows) {
		return ocsp.Kept{}, nil
	}
	return k, err
}

// Keep implements ocsp.Statuses.
func (s Statuses) Keep(ctx context.Context, k ocsp.Kept) error {
	_, err := s.db.pool.Exec(ctx, `
		INSERT INTO ocsp_answers (serial, status_version, der, this_update, next_update)
		VALUES (@serial, @version, @der, @this, @next)
		ON CONFLICT (serial) DO UPDATE
		SET status_version = EXCLUDED.status_version, der = EXCLUDED.der,
			this_update = EXCLUDED.this_update, next_update = EXCLUDED.next_update
		WHERE ocsp_answers.status_version <= EXCLUDED.status_version`, pgx.NamedArgs{
		"serial":  k.Serial,
		"version": k.Version,
		"der":     k.DER,
		"this":    k.ThisUpdate,
		"next":    k.NextUpdate,
	})
	return err
}
