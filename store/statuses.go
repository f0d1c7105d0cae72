package store

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/audit"
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
// certificate: it has never left this house. Serials are asked for one by one:
// most questions have but one, and for a list PostgreSQL would plan each time.
func (s Statuses) Status(ctx context.Context, issuer string, serials []string) (map[string]ocsp.Status, error) {
	found := make(map[string]ocsp.Status, len(serials))
	for _, serial := range serials {
		status, err := s.one(ctx, issuer, serial)
		if err != nil {
			return nil, err
		}
		if status.State != ocsp.Unknown {
			found[serial] = status
		}
	}
	if len(found) == len(serials) {
		return found, nil
	}
	return found, s.services(ctx, issuer, serials, found)
}

// one is a citizen's certificate. A row that says nothing of a revocation is
// overruled by the log. What a row says of one is believed: that takes trust
// away, and gives none.
func (s Statuses) one(ctx context.Context, issuer, serial string) (ocsp.Status, error) {
	rows, err := s.db.pool.Query(ctx, `
		SELECT
			z.revoked_at,
			coalesce(z.reason, 0),
			z.status_version,
			l.type,
			l.at,
			l.leaf,
			l.payload,
			l.salt
		FROM certificates z
		LEFT JOIN credentials k ON k.id = z.credential_id
		LEFT JOIN log_entries l ON l.operation = k.citizen_id AND l.type IN `+statusTypes+`
		WHERE z.serial = @serial AND z.issuer = @issuer AND z.state = 'issued'
		ORDER BY l.seq`, pgx.NamedArgs{"serial": serial, "issuer": issuer})
	if err != nil {
		return ocsp.Status{}, err
	}
	var (
		found     ocsp.Status
		revokedAt *time.Time
		reason    int
		version   int64
		kind      *audit.EventType
		at        *time.Time
		r         audit.Record
	)
	_, err = pgx.ForEachRow(rows, []any{&revokedAt, &reason, &version, &kind, &at, &r.Leaf, &r.Payload, &r.Salt}, func() error {
		own := status(orZero(revokedAt), reason, version)
		if found.State == ocsp.Unknown {
			found = own
		}
		if kind == nil || own.State == ocsp.Revoked {
			return nil
		}
		r.Type, r.At = *kind, *at
		about, v, err := judge(r)
		switch {
		case about != serial:
			return err
		case v.revoked:
			found = status(v.at, v.reason, version)
		default:
			found = own
		}
		return err
	})
	return found, err
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
