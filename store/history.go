package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/signer"
)

// What citizens see of themselves. Each reading is of one person, who is always
// the one behind the ticket.

// History reads a citizen's requests, newest first, from a place on. The index
// on identifier and time makes a page cost the same, however many there are.
func (p Public) History(ctx context.Context, q citizen.HistoryQuery) ([]citizen.HistoryRow, error) {
	args := pgx.NamedArgs{
		"identifier":  q.Identifier,
		"state":       orNull(string(q.State)),
		"application": orNull(q.Application),
		"from":        orNoTime(q.From),
		"to":          orNoTime(q.To),
		"before":      orNoTime(q.Before.At),
		"id":          q.Before.ID,
		"limit":       q.Limit,
	}
	rows, err := p.db.pool.Query(ctx, `
		SELECT
			r.id,
			r.title,
			a.id,
			a.name,
			a.organisation,
			r.state,
			r.created_at,
			r.expires_at,
			r.closed_at,
			(SELECT count(*) FROM documents d WHERE d.request_id = r.id)
		FROM requests r
		JOIN applications a ON a.id = r.application_id
		WHERE r.identifier = @identifier AND r.state <> 'received'
			AND (@state::text IS NULL OR r.state = @state)
			AND (@application::text IS NULL OR r.application_id = @application)
			AND (@from::timestamptz IS NULL OR r.created_at >= @from)
			AND (@to::timestamptz IS NULL OR r.created_at < @to)
			AND (@before::timestamptz IS NULL OR (r.created_at, r.id) < (@before, @id))
		ORDER BY r.created_at DESC, r.id DESC
		LIMIT @limit`, args)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (citizen.HistoryRow, error) {
		var (
			h      citizen.HistoryRow
			closed *time.Time
		)
		err := row.Scan(
			&h.ID,
			&h.Title,
			&h.Application.ID,
			&h.Application.Name,
			&h.Application.Organisation,
			&h.State,
			&h.CreatedAt,
			&h.ExpiresAt,
			&closed,
			&h.Documents,
		)
		h.ClosedAt = orZero(closed)
		return h, err
	})
}

// KeptDocuments are the ordinals of a request's documents that are still there.
func (p Public) KeptDocuments(ctx context.Context, requestID string) ([]int, error) {
	rows, err := p.db.pool.Query(ctx, `
		SELECT ordinal
		FROM documents
		WHERE request_id = @id AND content_id IS NOT NULL
		ORDER BY ordinal`, pgx.NamedArgs{"id": requestID})
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int])
}

// Askers are the applications that have asked a citizen for signatures.
func (p Public) Askers(ctx context.Context, identifier string) ([]signer.Application, error) {
	rows, err := p.db.pool.Query(ctx, `
		SELECT a.id, a.name, a.organisation
		FROM applications a
		WHERE a.id IN (SELECT application_id FROM requests WHERE identifier = @identifier)
		ORDER BY a.organisation, a.name, a.id
		LIMIT 200`, pgx.NamedArgs{"identifier": identifier})
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (a signer.Application, err error) {
		err = row.Scan(&a.ID, &a.Name, &a.Organisation)
		return a, err
	})
}

// AssociatedCertificate reads what the profile shows of the certificate that a
// citizen logs in with, nil if there is none.
func (p Public) AssociatedCertificate(ctx context.Context, citizenID string) (*citizen.Association, error) {
	var a citizen.Association
	err := p.db.pool.QueryRow(ctx, `
		SELECT citizen_id, der, subject, issuer, serial, not_after
		FROM associated_certificates
		WHERE citizen_id = @citizen`, pgx.NamedArgs{"citizen": citizenID}).Scan(
		&a.CitizenID, &a.DER, &a.Subject, &a.Issuer, &a.Serial, &a.NotAfter,
	)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil //nolint:nilnil // the contract: nil if there is none
	}
	return &a, err
}

// Registrations reads all that proved a citizen's identity, newest first.
func (p Public) Registrations(ctx context.Context, citizenID string) ([]signer.Registration, error) {
	rows, err := p.db.pool.Query(ctx, `
		SELECT mode, level, office, officer, assured_at
		FROM registrations
		WHERE citizen_id = @citizen
		ORDER BY assured_at DESC, id DESC`, pgx.NamedArgs{"citizen": citizenID})
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (g signer.Registration, err error) {
		err = row.Scan(&g.Mode, &g.Level, &g.Office, &g.Officer, &g.AssuredAt)
		return g, err
	})
}

// CertificatesOf reads all certificates of a citizen, newest first.
func (p Public) CertificatesOf(ctx context.Context, citizenID string) ([]signer.Certificate, error) {
	rows, err := p.db.pool.Query(ctx, `
		SELECT z.serial, z.der, z.not_before, z.not_after, z.revoked_at, z.reason
		FROM certificates z
		JOIN credentials k ON k.id = z.credential_id
		WHERE k.citizen_id = @citizen AND z.state = 'issued'
		ORDER BY z.not_before DESC, z.serial`, pgx.NamedArgs{"citizen": citizenID})
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (signer.Certificate, error) {
		var (
			c       signer.Certificate
			revoked *time.Time
			reason  *int
		)
		err := row.Scan(&c.Serial, &c.DER, &c.NotBefore, &c.NotAfter, &revoked, &reason)
		if c.RevokedAt = orZero(revoked); reason != nil {
			c.Reason = *reason
		}
		return c, err
	})
}

// Visits reads when somebody came in to the own pages lately, newest first.
func (p Public) Visits(ctx context.Context, citizenID string) ([]citizen.Visit, error) {
	rows, err := p.db.pool.Query(ctx, `
		SELECT purpose, via, created_at, expires_at
		FROM tickets
		WHERE citizen_id = @citizen
		ORDER BY created_at DESC
		LIMIT 200`, pgx.NamedArgs{"citizen": citizenID})
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (v citizen.Visit, err error) {
		err = row.Scan(&v.Purpose, &v.Via, &v.At, &v.ExpiresAt)
		return v, err
	})
}

// orNoTime is NULL for the zero time.
func orNoTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
