package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
)

// Desk is the database as the role of the officers' desk sees it.
type Desk struct{ db *DB }

// deskRole is the role that the desk's process opens the database in.
const deskRole = "rubrica_registrar"

// ForDesk narrows a DB opened in the role rubrica_registrar.
func ForDesk(db *DB) Desk { return Desk{db} }

// Find looks people up, at most so many, by surnames. Each way has an index, and
// a name that half a town has is read from it no further than is shown.
func (d Desk) Find(ctx context.Context, q citizen.Question, limit int) ([]citizen.Match, error) {
	sql, asked := finding(q)
	rows, err := d.db.pool.Query(ctx, sql, pgx.NamedArgs{"asked": asked, "limit": limit})
	if err != nil {
		return nil, classify(err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (citizen.Match, error) {
		var m citizen.Match
		err := row.Scan(&m.ID, &m.Identifier, &m.GivenName, &m.Surnames, &m.Status)
		return m, err
	})
}

// finding is the SQL for a question, and what is asked in it.
func finding(q citizen.Question) (sql, asked string) {
	from, asked := `(`+begins(`surnames || ' ' || given_name`)+`) UNION (`+begins(`given_name || ' ' || surnames`)+`)`, q.Name
	switch {
	case q.Identifier != "":
		from, asked = `SELECT id, identifier, given_name, surnames, status FROM citizens WHERE identifier = @asked`, q.Identifier
	case q.Phone != "":
		from, asked = `SELECT id, identifier, given_name, surnames, status FROM citizens WHERE phone = @asked`, q.Phone
	}
	return `
		SELECT
			id,
			identifier,
			given_name,
			surnames,
			status
		FROM (` + from + `) AS found
		ORDER BY surnames, given_name, identifier
		LIMIT @limit`, asked
}

// begins reads the first people whose name, put like this, begins as asked. LIKE
// would do the same, but only where the planner knows the pattern; chr(1114111)
// is the last that a string can go on with.
func begins(name string) string {
	name = `plain_name(` + name + `)`
	return `
		SELECT id, identifier, given_name, surnames, status
		FROM citizens
		WHERE ` + name + ` ~>=~ plain_name(@asked) AND ` + name + ` ~<~ (plain_name(@asked) || chr(1114111))
		ORDER BY ` + name + ` USING ~<~, identifier
		LIMIT @limit`
}

// pastLimit is how many entries of the log a file shows.
const pastLimit = 20

// File reads what the desk shows of a citizen (policies.CitizenUnknown).
func (d Desk) File(ctx context.Context, citizenID string, now time.Time) (citizen.File, error) {
	var f citizen.File
	err := d.person(ctx, citizenID, &f)
	if err != nil {
		return f, err
	}
	if f.Proofs, err = d.proofs(ctx, citizenID); err != nil {
		return f, err
	}
	if len(f.Proofs) > 0 {
		f.Registration = f.Proofs[0].Registration
	}
	if f.Issued, err = d.issued(ctx, citizenID); err != nil {
		return f, err
	}
	if f.Incidents, err = d.cases(ctx, `i.citizen_id = @citizen`, pgx.NamedArgs{"citizen": citizenID}); err != nil {
		return f, err
	}
	if f.Orders, err = d.orders(ctx, `o.state = 'waiting' AND o.expires_at > @now AND o.facts -> 'identifiers' ? @identifier`,
		pgx.NamedArgs{"now": now, "identifier": f.Identifier}); err != nil {
		return f, err
	}
	f.Past, err = d.past(ctx, citizenID)
	return f, err
}

func (d Desk) person(ctx context.Context, citizenID string, f *citizen.File) error {
	var changed, password *time.Time
	err := d.db.pool.QueryRow(ctx, `
		SELECT
			c.id,
			c.identifier,
			c.given_name,
			c.surnames,
			c.phone,
			c.email,
			c.locale,
			c.status,
			c.document_until,
			c.phone_changed_at,
			k.password_at
		FROM citizens c
		LEFT JOIN credentials k ON k.citizen_id = c.id AND k.state <> 'destroyed'
		WHERE c.id = @id`, pgx.NamedArgs{"id": citizenID}).Scan(
		&f.ID,
		&f.Identifier,
		&f.GivenName,
		&f.Surnames,
		&f.Phone,
		&f.Email,
		&f.Locale,
		&f.Status,
		&f.DocumentUntil,
		&changed,
		&password,
	)
	if errors.Is(err, pgx.ErrNoRows) {
		return policies.Refuse(policies.CitizenUnknown)
	}
	f.PhoneChangedAt, f.Password = orZero(changed), orZero(password)
	return classify(err)
}

func (d Desk) proofs(ctx context.Context, citizenID string) ([]citizen.Proof, error) {
	rows, err := d.db.pool.Query(ctx, `
		SELECT
			mode,
			level,
			office,
			officer,
			assured_at,
			evidence
		FROM registrations
		WHERE citizen_id = @citizen
		ORDER BY id DESC`, pgx.NamedArgs{"citizen": citizenID})
	if err != nil {
		return nil, classify(err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (citizen.Proof, error) {
		var p citizen.Proof
		err := row.Scan(&p.Mode, &p.Level, &p.Office, &p.Officer, &p.AssuredAt, &p.Evidence)
		p.AssuredAt = p.AssuredAt.UTC()
		return p, err
	})
}

func (d Desk) issued(ctx context.Context, citizenID string) ([]citizen.Issued, error) {
	rows, err := d.db.pool.Query(ctx, `
		SELECT
			crt.serial,
			crt.not_before,
			crt.not_after,
			crt.revoked_at,
			coalesce(crt.reason, 0),
			crt.issuer,
			k.state <> 'destroyed'
		FROM certificates crt
		JOIN credentials k ON k.id = crt.credential_id
		WHERE k.citizen_id = @citizen AND crt.state = 'issued'
		ORDER BY crt.not_before DESC`, pgx.NamedArgs{"citizen": citizenID})
	if err != nil {
		return nil, classify(err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (citizen.Issued, error) {
		var (
			i       citizen.Issued
			revoked *time.Time
		)
		err := row.Scan(&i.Serial, &i.NotBefore, &i.NotAfter, &revoked, &i.Reason, &i.Issuer, &i.Live)
		i.NotBefore, i.NotAfter, i.RevokedAt = i.NotBefore.UTC(), i.NotAfter.UTC(), orZero(revoked)
		return i, err
	})
}

// past are the newest entries of the log about a registration.
func (d Desk) past(ctx context.Context, citizenID string) ([]audit.Record, error) {
	rows, err := d.db.pool.Query(ctx, `
		SELECT
			seq,
			type,
			operation,
			at,
			payload
		FROM desk_entries
		WHERE operation = @citizen
		ORDER BY seq DESC
		LIMIT @limit`, pgx.NamedArgs{"citizen": citizenID, "limit": pastLimit})
	if err != nil {
		return nil, classify(err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (audit.Record, error) {
		var r audit.Record
		err := row.Scan(&r.Seq, &r.Type, &r.Operation, &r.At, &r.Payload)
		r.At = r.At.UTC()
		return r, err
	})
}

// Incidents are those that nobody has closed, the oldest first.
func (d Desk) Incidents(ctx context.Context) ([]citizen.Case, error) {
	return d.cases(ctx, `i.closed_at IS NULL`, pgx.NamedArgs{})
}

// Incident reads one (policies.NotFound).
func (d Desk) Incident(ctx context.Context, id string) (citizen.Case, error) {
	return only(d.cases(ctx, `i.id = @id`, pgx.NamedArgs{"id": id}))
}

// only is the one of a list of one (policies.NotFound).
func only[T any](list []T, err error) (T, error) {
	var none T
	switch {
	case err != nil:
		return none, err
	case len(list) != 1:
		return none, policies.Refuse(policies.NotFound)
	}
	return list[0], nil
}

// listLimit bounds what a queue shows at once.
const listLimit = 200

// cases reads incidents, and then the people whom they are about one by one: in a
// small register it would be as cheap to read all people, in a large one not.
func (d Desk) cases(ctx context.Context, where string, args pgx.NamedArgs) ([]citizen.Case, error) {
	args["limit"] = listLimit
	rows, err := d.db.pool.Query(ctx, `
		SELECT
			i.id,
			i.citizen_id,
			c.identifier,
			c.given_name || ' ' || c.surnames,
			coalesce(i.request_id, ''),
			i.said,
			i.opened_at,
			i.closed_at,
			coalesce(i.closed_by, ''),
			coalesce(i.outcome, '')
		FROM (
			SELECT id, citizen_id, request_id, said, opened_at, closed_at, closed_by, outcome
			FROM incidents i
			WHERE `+where+`
			ORDER BY i.closed_at IS NOT NULL, i.opened_at
			LIMIT @limit
		) AS i
		CROSS JOIN LATERAL (
			SELECT identifier, given_name, surnames
			FROM citizens
			WHERE id = i.citizen_id
			OFFSET 0
		) AS c
		ORDER BY i.closed_at IS NOT NULL, i.opened_at`, args)
	if err != nil {
		return nil, classify(err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (citizen.Case, error) {
		var (
			i      citizen.Case
			closed *time.Time
		)
		err := row.Scan(&i.ID, &i.CitizenID, &i.Identifier, &i.Name, &i.RequestID, &i.Said, &i.OpenedAt, &closed, &i.ClosedBy, &i.Outcome)
		i.OpenedAt, i.ClosedAt = i.OpenedAt.UTC(), orZero(closed)
		return i, err
	})
}

// Letters are those that wait to be printed, the oldest first.
func (d Desk) Letters(ctx context.Context) ([]citizen.Waiting, error) {
	rows, err := d.db.pool.Query(ctx, `
		SELECT id, identifier, requested_at
		FROM letters
		WHERE state = 'requested'
		ORDER BY requested_at
		LIMIT @limit`, pgx.NamedArgs{"limit": listLimit})
	if err != nil {
		return nil, classify(err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (citizen.Waiting, error) {
		var w citizen.Waiting
		err := row.Scan(&w.ID, &w.Identifier, &w.RequestedAt)
		w.RequestedAt = w.RequestedAt.UTC()
		return w, err
	})
}

// Queues counts what waits for the officers of an office.
func (d Desk) Queues(ctx context.Context, office string, now time.Time) (citizen.Queues, error) {
	var q citizen.Queues
	err := d.db.pool.QueryRow(ctx, `
		SELECT
			(SELECT count(*) FROM desk_orders WHERE office = @office AND state = 'waiting' AND expires_at > @now),
			(SELECT count(*) FROM video_registrations WHERE office = @office AND state = 'pending'),
			(SELECT count(*) FROM incidents WHERE closed_at IS NULL),
			(SELECT count(*) FROM letters WHERE state = 'requested')`, pgx.NamedArgs{"office": office, "now": now}).
		Scan(&q.Orders, &q.Videos, &q.Incidents, &q.Letters)
	return q, classify(err)
}

// OfficeNames are the names of all that may register people, by client id.
func (d Desk) OfficeNames(ctx context.Context) (map[string]string, error) {
	rows, err := d.db.pool.Query(ctx, `
		SELECT id, name
		FROM applications
		WHERE 'registration' = ANY (scopes)`)
	if err != nil {
		return nil, classify(err)
	}
	names := make(map[string]string)
	var id, name string
	_, err = pgx.ForEachRow(rows, []any{&id, &name}, func() error {
		names[id] = name
		return nil
	})
	return names, classify(err)
}
