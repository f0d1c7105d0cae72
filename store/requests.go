package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

var _ signer.Store = (*DB)(nil)

// Request implements signer.Store. It reads no document's content.
func (db *DB) Request(ctx context.Context, id string) (signer.Request, error) {
	return readRequest(ctx, db.pool, "r.id = @key", pgx.NamedArgs{"key": id})
}

// querier is a pool or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

func readRequest(ctx context.Context, q querier, where string, args pgx.NamedArgs) (signer.Request, error) {
	var (
		r      signer.Request
		closed *time.Time
	)
	err := q.QueryRow(ctx, `
		SELECT
			r.id,
			a.id,
			a.name,
			a.organisation,
			r.identifier,
			r.title,
			r.locale,
			r.return_url,
			r.state,
			r.interrupted,
			r.created_at,
			r.expires_at,
			r.closed_at,
			r.particulars,
			r.rejected,
			coalesce(s.envelope_id, '')
		FROM requests r
		JOIN applications a ON a.id = r.application_id
		LEFT JOIN envelope_signers s ON s.request_id = r.id
		WHERE `+where, args).Scan(
		&r.ID,
		&r.Application.ID,
		&r.Application.Name,
		&r.Application.Organisation,
		&r.Identifier,
		&r.Title,
		&r.Locale,
		&r.ReturnURL,
		&r.State,
		&r.Interrupted,
		&r.CreatedAt,
		&r.ExpiresAt,
		&closed,
		&r.Particulars,
		&r.Rejected,
		&r.Envelope,
	)
	if errors.Is(err, pgx.ErrNoRows) {
		return r, policies.Refuse(policies.RequestUnknown)
	}
	if err != nil {
		return r, err
	}
	r.ClosedAt = orZero(closed)
	r.Documents, err = readDocuments(ctx, q, r.ID)
	return r, err
}

func readDocuments(ctx context.Context, q querier, requestID string) ([]signer.Document, error) {
	rows, err := q.Query(ctx, `
		SELECT
			d.ordinal,
			d.name,
			d.media_type,
			d.format,
			d.size,
			d.sha256,
			d.pages,
			d.options::text,
			coalesce(d.layout::text, ''),
			d.attributes,
			d.findings,
			d.level,
			d.signing_time,
			CASE WHEN d.digest IS NULL AND d.given IS NULL THEN '' ELSE d.hash END,
			d.given,
			d.digest,
			d.fixed_for,
			d.cms,
			coalesce(d.built, ''),
			coalesce(a.level, CASE WHEN d.cms IS NULL THEN '' ELSE 'B-B' END),
			coalesce(a.lacking, ''),
			d.revision
		FROM documents d
		LEFT JOIN augmentations a ON a.request_id = d.request_id AND a.ordinal = d.ordinal
		WHERE d.request_id = @id
		ORDER BY d.ordinal`, pgx.NamedArgs{"id": requestID})
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (signer.Document, error) {
		var (
			d               signer.Document
			options, layout string
			fixed           *time.Time
		)
		err := row.Scan(
			&d.Ordinal,
			&d.Name,
			&d.MediaType,
			&d.Format,
			&d.Size,
			&d.SHA256,
			&d.Pages,
			&options,
			&layout,
			&d.Attributes,
			&d.Findings,
			&d.Level,
			&fixed,
			&d.Hash,
			&d.Given,
			&d.Digest,
			&d.FixedFor,
			&d.CMS,
			&d.Built,
			&d.Reached,
			&d.Lacking,
			&d.Revision,
		)
		d.Options, d.Layout, d.SigningTime = []byte(options), []byte(layout), orZero(fixed)
		return d, err
	})
}

// OpenRequest implements signer.Store.
func (db *DB) OpenRequest(ctx context.Context, id string, e audit.Entry) (bool, error) {
	opened := false
	err := db.inTx(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			UPDATE requests
			SET state = 'pending'
			WHERE id = @id AND state = 'received'`, pgx.NamedArgs{"id": id})
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		opened = true
		return db.record(ctx, tx, e)
	})
	return opened, err
}

// RefuseRequest implements signer.Store.
func (db *DB) RefuseRequest(ctx context.Context, ticketHash []byte, e audit.Entry) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		if err := spendTicket(ctx, tx, ticketHash, e.At); err != nil {
			return err
		}
		if err := closeRequest(ctx, tx, e.Operation, signer.Pending, signer.Refused, e.At); err != nil {
			return err
		}
		if err := db.tell(ctx, tx, e.Operation, signer.EventRefused, e.At); err != nil {
			return err
		}
		return db.record(ctx, tx, e)
	})
}

// closeRequest moves a request into a final state.
func closeRequest(ctx context.Context, tx pgx.Tx, id string, from, to signer.State, at time.Time) error {
	return swap(ctx, tx, policies.Refuse(policies.RequestState), `
		UPDATE requests
		SET state = @to, closed_at = @at
		WHERE id = @id AND state = @from`, pgx.NamedArgs{"id": id, "from": from, "to": to, "at": at})
}

// Overdue implements signer.Store.
func (db *DB) Overdue(ctx context.Context, now time.Time) (signer.Overdue, error) {
	var o signer.Overdue
	for _, list := range []struct {
		into *[]signer.OverdueItem
		sql  string
	}{
		{&o.Intents, `
			SELECT a.id, a.request_id, r.identifier, a.application_id, a.serial, a.credential_id
			FROM authorisations a
			JOIN requests r ON r.id = a.request_id
			WHERE a.state = 'intent' AND a.lease_until < @now`},
		{&o.Certificates, `
			SELECT k.serial, coalesce(k.request_id, c.id), c.identifier, coalesce(r.application_id, ''), k.serial, k.credential_id
			FROM certificates k
			JOIN credentials ON credentials.id = k.credential_id
			JOIN citizens c ON c.id = citizen_id
			LEFT JOIN requests r ON r.id = k.request_id
			WHERE k.state = 'intent' AND k.lease_until < @now`},
		{&o.Requests, `
			SELECT id, id, identifier, application_id, '', ''
			FROM requests
			WHERE state IN ('received', 'pending') AND expires_at <= @now`},
		{&o.TokenKeys, `
			SELECT t.label, c.id, c.identifier, '', '', t.credential_id
			FROM token_keys t
			JOIN credentials k ON k.id = t.credential_id
			JOIN citizens c ON c.id = k.citizen_id
			WHERE t.state = 'doomed' OR t.state = 'making' AND t.lease_until < @now`},
	} {
		rows, err := db.pool.Query(ctx, list.sql, pgx.NamedArgs{"now": now})
		if err != nil {
			return o, err
		}
		if *list.into, err = pgx.CollectRows(rows, pgx.RowToStructByPos[signer.OverdueItem]); err != nil {
			return o, err
		}
	}
	return o, nil
}

// ExpireRequest implements signer.Store.
func (db *DB) ExpireRequest(ctx context.Context, id string, e audit.Entry) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		err := swap(ctx, tx, policies.Refuse(policies.RequestState), `
			UPDATE requests
			SET state = 'expired', closed_at = @at
			WHERE id = @id AND state IN ('received', 'pending')`, pgx.NamedArgs{"id": id, "at": e.At})
		if err != nil {
			return err
		}
		if err := db.tell(ctx, tx, id, signer.EventExpired, e.At); err != nil {
			return err
		}
		return db.record(ctx, tx, e)
	})
}

// ForgetTokenKey implements signer.Store.
func (db *DB) ForgetTokenKey(ctx context.Context, label string, e audit.Entry) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		err := swap(ctx, tx, policies.Refuse(policies.RequestState), `
			DELETE FROM token_keys
			WHERE label = @label AND state <> 'live'`, pgx.NamedArgs{"label": label})
		if err != nil {
			return err
		}
		return db.record(ctx, tx, e)
	})
}

// Forget implements signer.Store.
func (db *DB) Forget(ctx context.Context, now time.Time) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		args := pgx.NamedArgs{"now": now, "hour": now.Add(-time.Hour), "day": now.Add(-24 * time.Hour), "quarter": now.Add(-signer.DefaultLimits().Password.Familiar)}
		for _, sql := range []string{
			`
			DELETE FROM challenges
			WHERE expires_at < @hour AND (state <> 'consumed' OR purpose <> 'signature')`, `
			DELETE FROM tickets
			WHERE expires_at <= @now`, `
			DELETE FROM pending_changes
			WHERE expires_at <= @now`, `
			DELETE FROM presentations
			WHERE expires_at <= @now`, `
			DELETE FROM enrolments
			WHERE expires_at < @hour`, `
			DELETE FROM attempts
			WHERE updated_at < @day AND NOT EXISTS (SELECT FROM citizens WHERE identifier = subject)
				AND NOT EXISTS (SELECT FROM letters WHERE identifier = subject AND state IN ('requested', 'printed'))
				AND NOT EXISTS (SELECT FROM cards WHERE number = subject)`, `
			DELETE FROM office_acts
			WHERE at < @day`, `
			DELETE FROM familiar_sources
			WHERE last_at < @quarter`, `
			DELETE FROM pins
			WHERE expires_at < @hour`, `
			DELETE FROM askings
			WHERE hour < @day`, `
			DELETE FROM letters
			WHERE expires_at < @quarter`, `
			UPDATE authorisations
			SET state = 'void', sealed_key = NULL, ended_at = @now
			WHERE state = 'authorised' AND expires_at <= @now`,
		} {
			if _, err := tx.Exec(ctx, sql, args); err != nil {
				return err
			}
		}
		return nil
	})
}
