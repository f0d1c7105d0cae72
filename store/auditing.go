package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/audit/publication"
	"github.com/rubrica-firma/rubrica/personnel"
)

// Auditor is the database as the role of the auditors' door sees it.
type Auditor struct {
	Staff
	db *DB
}

// ForAuditor narrows a DB opened with that role.
func ForAuditor(db *DB) Auditor { return Auditor{db.Staff(personnel.Auditors()), db} }

// Ping reports whether the database answers.
func (a Auditor) Ping(ctx context.Context) error { return a.db.Ping(ctx) }

// RecordAudit implements rpc.AuditLog: an entry of the auditors' door, at the
// time of this process.
func (db *DB) RecordAudit(ctx context.Context, e audit.Entry) (int64, error) {
	e.At = db.Now()
	var seq int64
	err := db.inTx(ctx, func(tx pgx.Tx) error {
		if err := db.record(ctx, tx, e); err != nil {
			return err
		}
		// The head is locked, and what it will be has not been written yet.
		return tx.QueryRow(ctx, `SELECT size FROM log_head`).Scan(&seq)
	})
	return seq, err
}

// LogHead is the head of the log.
func (a Auditor) LogHead(ctx context.Context) (audit.Head, error) { return a.db.LogHead(ctx) }

// ReadHashes implements audit.HashReader.
func (a Auditor) ReadHashes(ctx context.Context, indexes []int64) ([]tlog.Hash, error) {
	return a.db.ReadHashes(ctx, indexes)
}

// Trees lists the names of the log, oldest first.
func (a Auditor) Trees(ctx context.Context) ([]publication.Tree, error) { return a.db.Trees(ctx) }

// LastWitnessed is the largest checkpoint with a quorum (policies.NotFound).
func (a Auditor) LastWitnessed(ctx context.Context, origin string) (publication.Published, error) {
	return a.db.LastWitnessed(ctx, origin)
}

// CheckpointAt is the one of that size (policies.NotFound).
func (a Auditor) CheckpointAt(ctx context.Context, origin string, size int64) (publication.Published, error) {
	return a.db.CheckpointAt(ctx, origin, size)
}

// Checkpoints lists the newest, by size downwards.
func (a Auditor) Checkpoints(ctx context.Context, origin string, limit int) ([]publication.Published, error) {
	return a.db.Checkpoints(ctx, origin, limit)
}

// Publication is what the tables say of publication.
func (a Auditor) Publication(ctx context.Context) (publication.Facts, error) {
	return a.db.Publication(ctx)
}

// recordColumns are what record scans.
const recordColumns = `
			seq,
			type,
			operation,
			person,
			at,
			leaf,
			payload,
			salt`

func record(row pgx.CollectableRow) (audit.Record, error) {
	var r audit.Record
	err := row.Scan(
		&r.Seq,
		&r.Type,
		&r.Operation,
		&r.Person,
		&r.At,
		&r.Leaf,
		&r.Payload,
		&r.Salt,
	)
	r.At = r.At.UTC()
	return r, err
}

// Halt is the newest entry that says that signing was stopped, went on, or that
// the log was recovered; nil if there is none.
func (a Auditor) Halt(ctx context.Context) (*audit.Record, error) {
	rows, err := a.db.pool.Query(ctx, `
		SELECT `+recordColumns+`
		FROM unnest(@types::text[]) AS asked (which) CROSS JOIN LATERAL (
			SELECT `+recordColumns+`
			FROM log_entries
			WHERE type = which
			ORDER BY seq DESC
			LIMIT 1
		) AS newest
		ORDER BY seq DESC
		LIMIT 1`, pgx.NamedArgs{"types": []audit.EventType{audit.LogSuspended, audit.LogResumed, audit.LogRecovered}})
	if err != nil {
		return nil, classify(err)
	}
	found, err := pgx.CollectRows(rows, record)
	if err != nil || len(found) == 0 {
		return nil, classify(err)
	}
	return &found[0], nil
}

// ApplicationNames are the names of applications by id.
func (a Auditor) ApplicationNames(ctx context.Context) (map[string]string, error) {
	rows, err := a.db.pool.Query(ctx, `SELECT id, name FROM applications`)
	if err != nil {
		return nil, classify(err)
	}
	var id, name string
	names := map[string]string{}
	_, err = pgx.ForEachRow(rows, []any{&id, &name}, func() error {
		names[id] = name
		return nil
	})
	return names, classify(err)
}

// Totals counts the entries of the days [from, to) by day, type and application,
// and says how many entries have been counted so far.
func (a Auditor) Totals(ctx context.Context, from, to time.Time) (totals []audit.Total, counted int64, err error) {
	if err := a.db.pool.QueryRow(ctx, `SELECT totalled FROM log_head`).Scan(&counted); err != nil {
		return nil, 0, classify(err)
	}
	totals, err = a.totals(ctx, `
		SELECT
			day,
			type,
			application,
			'',
			sum(n)::bigint,
			sum(seconds)::bigint
		FROM log_totals
		WHERE day >= @from AND day < @to
		GROUP BY day, type, application
		ORDER BY day, type, application`, pgx.NamedArgs{"from": from, "to": to})
	return totals, counted, err
}

// Reasons counts the entries of the days [from, to) that tell why not, by type
// and reason.
func (a Auditor) Reasons(ctx context.Context, from, to time.Time) ([]audit.Total, error) {
	return a.totals(ctx, `
		SELECT
			@from::date,
			type,
			'',
			reason,
			sum(n)::bigint,
			sum(seconds)::bigint
		FROM log_totals
		WHERE day >= @from AND day < @to AND reason <> ''
		GROUP BY type, reason
		ORDER BY type, reason`, pgx.NamedArgs{"from": from, "to": to})
}

func (a Auditor) totals(ctx context.Context, sql string, args pgx.NamedArgs) ([]audit.Total, error) {
	rows, err := a.db.pool.Query(ctx, sql, args)
	if err != nil {
		return nil, classify(err)
	}
	totals, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (audit.Total, error) {
		var t audit.Total
		err := row.Scan(
			&t.Day,
			&t.Type,
			&t.Application,
			&t.Reason,
			&t.N,
			&t.Seconds,
		)
		return t, err
	})
	return totals, classify(err)
}
