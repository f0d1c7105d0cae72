package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

var _ citizen.IncidentStore = (*DB)(nil)

// OpenIncident implements citizen.IncidentStore.
func (db *DB) OpenIncident(ctx context.Context, i citizen.Incident, m *citizen.Move, keep []byte, entries ...audit.Entry) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		var ended ending
		if m != nil {
			if err := apply(ctx, tx, m.Change); err != nil {
				return err
			}
			var err error
			if ended, err = settle(ctx, tx, *m, entries[len(entries)-1]); err != nil {
				return err
			}
			entries = append(append(entries, ended.entries...), m.Change.Entry)
			if err := db.notify(ctx, tx, signer.Notice{Kind: "certificate_suspended", CitizenID: i.CitizenID}); err != nil {
				return err
			}
		}
		if err := endOtherSessions(ctx, tx, i.CitizenID, keep, i.OpenedAt); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
			INSERT INTO incidents (id, citizen_id, request_id, said, opened_at)
			VALUES (@id, @citizen, @request, @said, @now)`, pgx.NamedArgs{
			"id": i.ID, "citizen": i.CitizenID, "request": orNull(i.RequestID), "said": i.Said, "now": i.OpenedAt,
		}); err != nil {
			return err
		}
		if err := db.notify(ctx, tx, signer.Notice{Kind: "incident_opened", CitizenID: i.CitizenID, RequestID: i.RequestID}); err != nil {
			return err
		}
		return db.conclude(ctx, tx, ended.changed, entries...)
	})
}

// endOtherSessions ends what waits for a citizen, tickets, codes, consents, but
// for one ticket.
func endOtherSessions(ctx context.Context, tx pgx.Tx, citizenID string, keep []byte, at time.Time) error {
	args := pgx.NamedArgs{"citizen": citizenID, "at": at, "keep": append([]byte{}, keep...)}
	for _, sql := range []string{
		`
		UPDATE challenges
		SET state = 'superseded'
		WHERE citizen_id = @citizen AND state IN ('prepared', 'sent')`, `
		UPDATE tickets
		SET spent_at = @at, sealed_key = NULL
		WHERE citizen_id = @citizen AND spent_at IS NULL AND hash <> @keep`,
	} {
		if _, err := tx.Exec(ctx, sql, args); err != nil {
			return err
		}
	}
	return void(ctx, tx, "citizen_id = @key", citizenID, at)
}

// CloseIncident implements citizen.IncidentStore.
func (db *DB) CloseIncident(ctx context.Context, i citizen.Incident, e audit.Entry) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		err := swap(ctx, tx, policies.Refuse(policies.NotFound), `
			UPDATE incidents
			SET closed_at = @now, closed_by = @by, outcome = @outcome
			WHERE id = @id AND citizen_id = @citizen AND closed_at IS NULL`, pgx.NamedArgs{
			"id": i.ID, "citizen": i.CitizenID, "now": i.ClosedAt, "by": i.ClosedBy, "outcome": i.Outcome,
		})
		if err != nil {
			return err
		}
		return db.record(ctx, tx, e)
	})
}

// Incidents reads a citizen's incidents, newest first.
func (p Public) Incidents(ctx context.Context, citizenID string) ([]citizen.Incident, error) {
	rows, err := p.db.pool.Query(ctx, `
		SELECT
			id,
			citizen_id,
			coalesce(request_id, ''),
			said,
			opened_at,
			closed_at,
			coalesce(closed_by, ''),
			coalesce(outcome, '')
		FROM incidents
		WHERE citizen_id = @citizen
		ORDER BY opened_at DESC, id
		LIMIT 200`, pgx.NamedArgs{"citizen": citizenID})
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (citizen.Incident, error) {
		var (
			i      citizen.Incident
			closed *time.Time
		)
		err := row.Scan(
			&i.ID,
			&i.CitizenID,
			&i.RequestID,
			&i.Said,
			&i.OpenedAt,
			&closed,
			&i.ClosedBy,
			&i.Outcome,
		)
		i.ClosedAt = orZero(closed)
		return i, err
	})
}
