package store

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/rubrica-firma/rubrica/signer"
)

// webhookQueue is worked by the public side: it alone has the key that calls
// are signed with, and nothing else that is secret.
const webhookQueue = "webhooks"

// WebhookJob is the job that delivers an event to an address.
type WebhookJob struct {
	DeliveryID    string `json:"delivery_id"`
	ApplicationID string `json:"application_id"`
	Round         int    `json:"round"`
}

// Kind implements river.JobArgs.
func (WebhookJob) Kind() string { return "webhook" }

// announce enqueues what the application of a request is told, in the
// transaction of what it tells of. Nothing is enqueued twice: the sequence is
// the event's own.
func (db *DB) announce(ctx context.Context, tx pgx.Tx, requestID string, event signer.EventType, at time.Time) error {
	rows, err := tx.Query(ctx, `
		INSERT INTO webhook_deliveries (webhook_id, application_id, event_id, type, request_id, request_state, sequence, created_at, began_at, next_at)
		SELECT w.id, w.application_id, @event, @type, r.id, r.state, r.interrupted + @after, @at, @at, @at
		FROM requests r
		JOIN webhooks w ON w.application_id = r.application_id AND w.removed_at IS NULL AND w.stopped_at IS NULL
		WHERE r.id = @request
		ON CONFLICT (request_id, sequence, webhook_id) DO NOTHING
		RETURNING id, application_id, 1`, pgx.NamedArgs{
		"event":   strings.ToLower(rand.Text()),
		"type":    event,
		"request": requestID,
		"after":   event.After(0),
		"at":      at,
	})
	if err != nil {
		return fmt.Errorf("announcing an event: %w", err)
	}
	calls, err := pgx.CollectRows(rows, pgx.RowToStructByPos[signer.WebhookCall])
	if err != nil {
		return fmt.Errorf("announcing an event: %w", err)
	}
	return db.call(ctx, tx, calls...)
}

// announceEnvelope enqueues what the application of an envelope is told of its end.
func (db *DB) announceEnvelope(ctx context.Context, tx pgx.Tx, envelopeID string, state signer.EnvelopeState, at time.Time) error {
	rows, err := tx.Query(ctx, `
		INSERT INTO webhook_deliveries (webhook_id, application_id, event_id, type, envelope_id, request_state, sequence, created_at, began_at, next_at)
		SELECT w.id, w.application_id, @event, @type, e.id, @state, 1, @at, @at, @at
		FROM envelopes e
		JOIN webhooks w ON w.application_id = e.application_id AND w.removed_at IS NULL AND w.stopped_at IS NULL
		WHERE e.id = @envelope
		RETURNING id, application_id, 1`, pgx.NamedArgs{
		"event":    strings.ToLower(rand.Text()),
		"type":     state.Ended(),
		"envelope": envelopeID,
		"state":    state,
		"at":       at,
	})
	if err != nil {
		return fmt.Errorf("announcing the end of an envelope: %w", err)
	}
	calls, err := pgx.CollectRows(rows, pgx.RowToStructByPos[signer.WebhookCall])
	if err != nil {
		return fmt.Errorf("announcing the end of an envelope: %w", err)
	}
	return db.call(ctx, tx, calls...)
}

// call enqueues deliveries.
func (db *DB) call(ctx context.Context, tx pgx.Tx, calls ...signer.WebhookCall) error {
	if len(calls) == 0 {
		return nil
	}
	jobs := make([]river.InsertManyParams, len(calls))
	for i, c := range calls {
		jobs[i] = river.InsertManyParams{Args: WebhookJob(c), InsertOpts: &river.InsertOpts{Queue: webhookQueue}}
	}
	if _, err := db.jobs.InsertManyFastTx(ctx, tx, jobs); err != nil {
		return fmt.Errorf("enqueueing a delivery: %w", err)
	}
	return nil
}

// callsAtOnce are how many deliveries one process has in its hands at once. Most of
// them wait for an answer.
const callsAtOnce = 1000

// DeliverWebhooks hands deliveries to deliver, until ctx ends. Each comes again
// after the time that deliver gives, or after an error.
func (db *DB) DeliverWebhooks(ctx context.Context, logger *slog.Logger, deliver func(context.Context, signer.WebhookCall) (again time.Duration, err error)) error {
	workers := river.NewWorkers()
	river.AddWorker(workers, &webhookWorker{deliver: deliver})
	return db.work(ctx, workers, webhookQueue, river.QueueConfig{MaxWorkers: callsAtOnce}, logger)
}

type webhookWorker struct {
	river.WorkerDefaults[WebhookJob]
	deliver func(context.Context, signer.WebhookCall) (time.Duration, error)
}

// Work implements river.Worker. How often a delivery is tried, and when, is its
// own row's to know.
func (w *webhookWorker) Work(ctx context.Context, job *river.Job[WebhookJob]) error {
	again, err := w.deliver(ctx, signer.WebhookCall(job.Args))
	if err == nil && again > 0 {
		return river.JobSnooze(again)
	}
	return err
}

// Callable implements webhooks.Store. What does not wait is left out here, not in
// the statement: where statistics have seen nothing wait, PostgreSQL would take
// all that does for a row or two, and compare it with each id.
func (p Public) Callable(ctx context.Context, all []signer.WebhookCall) ([]signer.WebhookDelivery, error) {
	ids, rounds := make([]string, len(all)), make([]int, len(all))
	for i, c := range all {
		ids[i], rounds[i] = c.DeliveryID, c.Round
	}
	rows, err := p.db.pool.Query(ctx, selectDeliveries+`
		JOIN unnest(@ids::text[], @rounds::integer[]) AS c (id, round) ON c.id = d.id AND c.round = d.round`, pgx.NamedArgs{"ids": ids, "rounds": rounds})
	if err != nil {
		return nil, err
	}
	found, err := pgx.CollectRows(rows, scanWebhookDelivery)
	return slices.DeleteFunc(found, func(d signer.WebhookDelivery) bool { return d.State != signer.WebhookWaiting }), err
}

// Called implements webhooks.Store.
func (p Public) Called(ctx context.Context, all []signer.WebhookDelivery) error {
	return p.db.inTx(ctx, func(tx pgx.Tx) error {
		if err := keepCalls(ctx, tx, all); err != nil {
			return err
		}
		for _, d := range all {
			if d.State != signer.WebhookStopped {
				continue
			}
			_, err := tx.Exec(ctx, `
				UPDATE webhooks
				SET stopped_at = @ended
				WHERE id = @id AND stopped_at IS NULL`, pgx.NamedArgs{"id": d.Webhook.ID, "ended": d.EndedAt})
			if err != nil {
				return err
			}
			if err := stopWaiting(ctx, tx, d.Webhook.ID, d.EndedAt); err != nil {
				return err
			}
		}
		return nil
	})
}

// keepCalls writes in the order of the ids, in which nobody waits for another
// who does the same. That a delivery waits stands beside each id: see Callable.
func keepCalls(ctx context.Context, tx pgx.Tx, all []signer.WebhookDelivery) error {
	all = slices.SortedFunc(slices.Values(all), func(a, b signer.WebhookDelivery) int { return strings.Compare(a.ID, b.ID) })
	n := len(all)
	var (
		ids, states, problems      = make([]string, n), make([]string, n), make([]string, n)
		waiting                    = slices.Repeat([]string{string(signer.WebhookWaiting)}, n)
		rounds, attempts, statuses = make([]int, n), make([]int, n), make([]int, n)
		next, last, ended          = make([]*time.Time, n), make([]*time.Time, n), make([]*time.Time, n)
	)
	for i, d := range all {
		ids[i], states[i], problems[i] = d.ID, string(d.State), d.Problem
		rounds[i], attempts[i], statuses[i] = d.Round, d.Attempts, d.Status
		next[i], last[i], ended[i] = timeOrNull(d.NextAt), timeOrNull(d.LastAt), timeOrNull(d.EndedAt)
	}
	_, err := tx.Exec(ctx, `
		UPDATE webhook_deliveries d
		SET state = c.state, attempts = c.attempts, next_at = c.next_at, last_at = c.last_at, status = c.status, problem = c.problem, ended_at = c.ended_at
		FROM unnest(@ids::text[], @rounds::integer[], @waiting::text[], @states::text[], @attempts::integer[], @next::timestamptz[], @last::timestamptz[],
			@statuses::integer[], @problems::text[], @ended::timestamptz[])
			AS c (id, round, was, state, attempts, next_at, last_at, status, problem, ended_at)
		WHERE d.id = c.id AND d.round = c.round AND d.state = c.was`, pgx.NamedArgs{
		"ids":      ids,
		"rounds":   rounds,
		"waiting":  waiting,
		"states":   states,
		"attempts": attempts,
		"next":     next,
		"last":     last,
		"statuses": statuses,
		"problems": problems,
		"ended":    ended,
	})
	return err
}

// stopWaiting ends what waits for an address.
func stopWaiting(ctx context.Context, tx pgx.Tx, webhookID string, now time.Time) error {
	_, err := tx.Exec(ctx, `
		UPDATE webhook_deliveries
		SET state = 'stopped', next_at = NULL, ended_at = @now
		WHERE webhook_id = @webhook AND state = 'waiting'`, pgx.NamedArgs{"webhook": webhookID, "now": now})
	return err
}

// ForgetWebhooks deletes a batch of deliveries that ended before the retention
// began, and reports whether there may be more.
func (p Public) ForgetWebhooks(ctx context.Context, before time.Time) (more bool, err error) {
	const batch = 20_000
	tag, err := p.db.pool.Exec(ctx, `
		DELETE FROM webhook_deliveries
		WHERE id IN (
			SELECT id
			FROM webhook_deliveries
			WHERE ended_at < @before
			ORDER BY ended_at
			LIMIT @batch
		)`, pgx.NamedArgs{"before": before, "batch": batch})
	return tag.RowsAffected() == batch, err
}
