package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// AddEnvelope implements requests.Store. All of its requests have the contents of
// the first, which are stored once.
func (p Public) AddEnvelope(ctx context.Context, n signer.NewEnvelope) (string, error) {
	e := n.Envelope
	err := p.db.inTx(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			INSERT INTO envelopes (id, application_id, idempotency_key, body_hash, title, ordering, created_at, expires_at)
			VALUES (@id, @application, @key, @hash, @title, @ordering, @created, @expires)`, pgx.NamedArgs{
			"id":          e.ID,
			"application": e.ApplicationID,
			"key":         n.IdempotencyKey,
			"hash":        n.BodyHash,
			"title":       e.Title,
			"ordering":    e.Ordering,
			"created":     e.CreatedAt,
			"expires":     e.ExpiresAt,
		})
		if err != nil {
			return err
		}
		var contents []string
		for _, r := range n.Requests {
			for i, id := range contents {
				r.Contents[i].Upload = id
			}
			if contents, err = addRequest(ctx, tx, r); err != nil {
				return err
			}
		}
		for _, s := range e.Signers {
			if err := insertSigner(ctx, tx, e.ID, s); err != nil {
				return err
			}
		}
		// Who has stored it opens its requests, too; the job is for one who cannot
		// any more.
		return p.db.settle(ctx, tx, e.ID, e.CreatedAt.Add(settlingDelay))
	})
	if violated(err, "envelopes_idempotency") {
		return p.EarlierEnvelope(ctx, e.ApplicationID, n.IdempotencyKey, n.BodyHash)
	}
	return e.ID, err
}

func insertSigner(ctx context.Context, tx pgx.Tx, envelopeID string, s signer.EnvelopeSigner) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO envelope_signers (envelope_id, position, identifier, title, locale, options, request_id)
		VALUES (@envelope, @position, @identifier, @title, @locale, to_jsonb(@options::jsonb[]), @request)`, pgx.NamedArgs{
		"envelope":   envelopeID,
		"position":   s.Position,
		"identifier": s.Identifier,
		"title":      s.Title,
		"locale":     s.Locale,
		"options":    s.Options,
		"request":    orNull(s.RequestID),
	})
	return err
}

// EarlierEnvelope implements requests.Store.
func (p Public) EarlierEnvelope(ctx context.Context, applicationID, key string, bodyHash []byte) (string, error) {
	return earlier(ctx, p.db.pool, "envelopes", pgx.NamedArgs{"application": applicationID, "key": key, "hash": bodyHash})
}

// Envelope reads one with what has become of its signers' requests
// (policies.RequestUnknown).
func (db *DB) Envelope(ctx context.Context, id string) (signer.Envelope, error) {
	var (
		e      signer.Envelope
		closed *time.Time
	)
	err := db.pool.QueryRow(ctx, `
		SELECT
			id,
			application_id,
			title,
			ordering,
			state,
			created_at,
			expires_at,
			closed_at
		FROM envelopes
		WHERE id = @id`, pgx.NamedArgs{"id": id}).Scan(
		&e.ID,
		&e.ApplicationID,
		&e.Title,
		&e.Ordering,
		&e.State,
		&e.CreatedAt,
		&e.ExpiresAt,
		&closed,
	)
	if errors.Is(err, pgx.ErrNoRows) {
		return e, policies.Refuse(policies.RequestUnknown)
	}
	if err != nil {
		return e, err
	}
	e.CreatedAt, e.ExpiresAt, e.ClosedAt = e.CreatedAt.UTC(), e.ExpiresAt.UTC(), orZero(closed)
	rows, err := db.pool.Query(ctx, `
		SELECT
			s.position,
			s.identifier,
			s.title,
			s.locale,
			ARRAY(SELECT jsonb_array_elements(s.options)::text),
			coalesce(s.request_id, ''),
			coalesce(r.state, ''),
			coalesce((SELECT max(d.revision) FROM documents d WHERE d.request_id = s.request_id), 0)
		FROM envelope_signers s
		LEFT JOIN requests r ON r.id = s.request_id
		WHERE s.envelope_id = @id
		ORDER BY s.position`, pgx.NamedArgs{"id": id})
	if err != nil {
		return e, err
	}
	e.Signers, err = pgx.CollectRows(rows, pgx.RowToStructByPos[signer.EnvelopeSigner])
	return e, err
}

// Envelope is for the doors.
func (p Public) Envelope(ctx context.Context, id string) (signer.Envelope, error) {
	return p.db.Envelope(ctx, id)
}

// NextRequest implements requests.Store. It is the first signer's request with
// another's name: documents that are already there, to be prepared when their
// citizen looks at them.
func (p Public) NextRequest(ctx context.Context, envelopeID string, s signer.EnvelopeSigner, now time.Time) error {
	return p.db.inTx(ctx, func(tx pgx.Tx) error {
		args := pgx.NamedArgs{"envelope": envelopeID, "position": s.Position, "id": s.RequestID, "now": now}
		_, err := tx.Exec(ctx, `
			INSERT INTO requests (id, application_id, identifier, title, locale, return_url, idempotency_key, body_hash, created_at, expires_at,
				particulars, rejected)
			SELECT @id, r.application_id, s.identifier, s.title, s.locale, r.return_url, @id, r.body_hash, @now, r.expires_at, r.particulars, r.rejected
			FROM envelopes e
			JOIN envelope_signers s ON s.envelope_id = e.id AND s.position = @position
			JOIN envelope_signers f ON f.envelope_id = e.id AND f.position = 1
			JOIN requests r ON r.id = f.request_id
			WHERE e.id = @envelope AND e.state = 'pending'`, args)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			INSERT INTO documents (request_id, ordinal, name, media_type, format, size, sha256, pages, layout, content_id, options, attributes,
				findings, level)
			SELECT @id, d.ordinal, d.name, d.media_type, d.format, d.size, d.sha256, d.pages, CASE WHEN d.format = 'pades' THEN '{}'::jsonb END,
				d.content_id, s.options -> (d.ordinal - 1), d.attributes, d.findings, d.level
			FROM envelope_signers s
			JOIN envelope_signers f ON f.envelope_id = s.envelope_id AND f.position = 1
			JOIN documents d ON d.request_id = f.request_id
			JOIN requests r ON r.id = @id
			WHERE s.envelope_id = @envelope AND s.position = @position`, args)
		if err != nil {
			return err
		}
		return swap(ctx, tx, policies.Refuse(policies.RequestState), `
			UPDATE envelope_signers s
			SET request_id = @id
			WHERE envelope_id = @envelope AND position = @position AND request_id IS NULL
				AND EXISTS (SELECT FROM requests WHERE id = @id)`, args)
	})
}

// EndEnvelope implements requests.Store.
func (p Public) EndEnvelope(ctx context.Context, id string, state signer.EnvelopeState, now time.Time) error {
	return p.db.inTx(ctx, func(tx pgx.Tx) error {
		err := swap(ctx, tx, policies.Refuse(policies.RequestState), `
			UPDATE envelopes
			SET state = @state, closed_at = @now
			WHERE id = @id AND state = 'pending'`, pgx.NamedArgs{"id": id, "state": state, "now": now})
		if err != nil {
			return err
		}
		if err := p.db.announceEnvelope(ctx, tx, id, state, now); err != nil {
			return err
		}
		return p.db.goOn(ctx, tx, id, now)
	})
}

// Prefix implements requests.Store.
func (p Public) Prefix(ctx context.Context, requestID string, ordinal int) ([]byte, error) {
	var prefix []byte
	err := p.db.pool.QueryRow(ctx, `
		SELECT prefix
		FROM documents
		WHERE request_id = @request AND ordinal = @ordinal`, pgx.NamedArgs{"request": requestID, "ordinal": ordinal}).Scan(&prefix)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && prefix == nil {
		return nil, policies.Refuse(policies.NotFound)
	}
	return prefix, err
}

// WithdrawRequest implements signer.Store. Only what an envelope's end leaves
// without a purpose can be withdrawn, or what is in none and nobody has consented
// to.
func (db *DB) WithdrawRequest(ctx context.Context, id string, e audit.Entry) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		err := swap(ctx, tx, policies.Refuse(policies.RequestState), `
			UPDATE requests r
			SET state = 'withdrawn', closed_at = @at
			WHERE r.id = @id AND r.state IN ('received', 'pending')
				AND NOT EXISTS (
					SELECT FROM envelope_signers s JOIN envelopes e ON e.id = s.envelope_id
					WHERE s.request_id = r.id AND e.state IN ('pending', 'completed'))
				AND (EXISTS (SELECT FROM envelope_signers WHERE request_id = r.id)
					OR NOT EXISTS (SELECT FROM authorisations WHERE request_id = r.id AND state = 'authorised'))`,
			pgx.NamedArgs{"id": id, "at": e.At})
		if err != nil {
			return err
		}
		if err := db.announce(ctx, tx, id, signer.EventWithdrawn, e.At); err != nil {
			return err
		}
		return db.record(ctx, tx, e)
	})
}

const (
	// courtesy is for how long a consent that was given keeps the others of its
	// envelope waiting: its key is used at once, unless a process dies. That two
	// keys are not used together does not hang on it: BeginSignature asks again.
	courtesy = 15 * time.Second
	// anotherTurn is when to try again: whoever signs is done by then, or has died.
	anotherTurn = 10 * time.Second
)

// inTurn refuses a consent within an envelope that has ended
// (policies.RequestState), one to a PDF that is no longer what its citizen has
// looked at (policies.DocumentChanged), and one while somebody else signs it
// (policies.Busy). Those of one envelope are looked at one after the other; a
// request that stands alone is not asked about.
func inTurn(ctx context.Context, tx pgx.Tx, envelope, requestID string, at time.Time) error {
	if envelope == "" {
		return nil
	}
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended(@envelope, 1))`, pgx.NamedArgs{"envelope": envelope}); err != nil {
		return err
	}
	var live, fresh, free bool
	err := tx.QueryRow(ctx, `
		WITH others AS (
			SELECT r.id, r.state
			FROM envelope_signers s
			JOIN requests r ON r.id = s.request_id
			WHERE s.envelope_id = @envelope AND r.id <> @request
		), papers AS (
			SELECT revision
			FROM documents
			WHERE request_id = @request AND format = 'pades'
		)
		SELECT
			(SELECT state = 'pending' FROM envelopes WHERE id = @envelope)
				AND NOT EXISTS (SELECT FROM others WHERE state IN ('refused', 'expired', 'withdrawn')),
			NOT EXISTS (SELECT FROM papers WHERE revision <> (SELECT count(*) FROM others WHERE state = 'signed')),
			NOT EXISTS (SELECT FROM papers) OR (
				NOT EXISTS (SELECT FROM others WHERE state = 'signing')
				AND NOT EXISTS (
					SELECT
					FROM authorisations a
					JOIN others o ON o.id = a.request_id
					WHERE a.state = 'authorised' AND a.expires_at > @at AND a.created_at > @lately
				)
			)`, pgx.NamedArgs{"envelope": envelope, "request": requestID, "at": at, "lately": at.Add(-courtesy)}).Scan(&live, &fresh, &free)
	switch {
	case err != nil:
		return err
	case !live:
		return policies.Refuse(policies.RequestState, "state", string(signer.Withdrawn))
	case !fresh:
		return policies.Refuse(policies.DocumentChanged, "reason", "signed")
	case !free:
		return policies.Refuse(policies.Busy, "reason", "cosigner").After(anotherTurn)
	}
	return nil
}

// envelopeOf is the envelope of a request, empty if it stands alone.
func envelopeOf(ctx context.Context, tx pgx.Tx, requestID string) (string, error) {
	var id string
	err := tx.QueryRow(ctx, `SELECT envelope_id FROM envelope_signers WHERE request_id = @id`, pgx.NamedArgs{"id": requestID}).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil
	}
	return id, err
}

// EnvelopeJob is the job that goes on with an envelope after something became of
// one of its requests.
type EnvelopeJob struct {
	EnvelopeID string `json:"envelope_id"`
}

// Kind implements river.JobArgs.
func (EnvelopeJob) Kind() string { return "envelope" }

const settlingDelay = 10 * time.Second

// tell announces what became of a request, and has its envelope, if there is one,
// go on, all in the transaction of the outcome.
func (db *DB) tell(ctx context.Context, tx pgx.Tx, requestID string, event signer.EventType, at time.Time) error {
	if err := db.announce(ctx, tx, requestID, event, at); err != nil {
		return err
	}
	envelope, err := envelopeOf(ctx, tx, requestID)
	if err != nil {
		return err
	}
	return db.goOn(ctx, tx, envelope, at)
}

// goOn has an envelope, if there is one, do what follows from an outcome: at once,
// as only a job without a time is, and the others wait for River's leader. A
// second look finds what a process that died has left of the first.
func (db *DB) goOn(ctx context.Context, tx pgx.Tx, envelopeID string, at time.Time) error {
	if envelopeID == "" {
		return nil
	}
	return db.settle(ctx, tx, envelopeID, time.Time{}, at.Add(settlingDelay))
}

func (db *DB) settle(ctx context.Context, tx pgx.Tx, envelopeID string, looks ...time.Time) error {
	for _, at := range looks {
		if _, err := db.jobs.InsertTx(ctx, tx, EnvelopeJob{envelopeID}, &river.InsertOpts{ScheduledAt: at}); err != nil {
			return fmt.Errorf("enqueueing an envelope: %w", err)
		}
	}
	return nil
}

type envelopeWorker struct {
	river.WorkerDefaults[EnvelopeJob]
	settle func(ctx context.Context, envelopeID string) error
}

// Work implements river.Worker.
func (w *envelopeWorker) Work(ctx context.Context, job *river.Job[EnvelopeJob]) error {
	return w.settle(ctx, job.Args.EnvelopeID)
}
