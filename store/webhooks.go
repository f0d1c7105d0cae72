package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// AddWebhook registers an address. One that is there already stays what it is,
// and is told again if it had answered that it was gone
// (policies.ApplicationUnknown).
func (db *DB) AddWebhook(ctx context.Context, w signer.Webhook) (signer.Webhook, error) {
	return db.Administration(Operator{}).AddWebhook(ctx, w)
}

// AddWebhook is DB.AddWebhook.
func (a Administration) AddWebhook(ctx context.Context, w signer.Webhook) (signer.Webhook, error) {
	err := a.inTx(ctx, func(tx pgx.Tx) error {
		now := w.CreatedAt
		err := tx.QueryRow(ctx, `
			INSERT INTO webhooks (id, application_id, url, created_at)
			VALUES (@id, @application, @url, @now)
			ON CONFLICT (application_id, url) WHERE removed_at IS NULL DO UPDATE SET stopped_at = NULL
			RETURNING id, created_at`, pgx.NamedArgs{
			"id":          w.ID,
			"application": w.ApplicationID,
			"url":         w.URL,
			"now":         now,
		}).Scan(&w.ID, &w.CreatedAt)
		if err != nil {
			return err
		}
		return a.record(ctx, tx, w.ApplicationID, map[string]any{"change": "webhook_added", "webhook": w.ID, "url": w.URL}, now)
	})
	if violated(err, "webhooks_application_id_fkey") {
		return w, policies.Refuse(policies.ApplicationUnknown)
	}
	return w, err
}

// Webhooks lists the addresses of an application, or of all.
func (db *DB) Webhooks(ctx context.Context, applicationID string) ([]signer.Webhook, error) {
	return webhooks(ctx, db.pool, applicationID)
}

func webhooks(ctx context.Context, q querier, applicationID string) ([]signer.Webhook, error) {
	rows, err := q.Query(ctx, `
		SELECT
			id,
			application_id,
			url,
			created_at,
			coalesce(stopped_at, '0001-01-01Z')
		FROM webhooks
		WHERE removed_at IS NULL AND (@application = '' OR application_id = @application)
		ORDER BY application_id, created_at, id`, pgx.NamedArgs{"application": applicationID})
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[signer.Webhook])
}

// RemoveWebhook forgets an address, and ends what waits for it
// (policies.NotFound).
func (db *DB) RemoveWebhook(ctx context.Context, id string, now time.Time) error {
	return db.Administration(Operator{}).RemoveWebhook(ctx, "", id, now)
}

// RemoveWebhook is DB.RemoveWebhook, of one application or of any.
func (a Administration) RemoveWebhook(ctx context.Context, applicationID, id string, now time.Time) error {
	return a.inTx(ctx, func(tx pgx.Tx) error {
		var application, url string
		err := tx.QueryRow(ctx, `
			UPDATE webhooks
			SET removed_at = @now
			WHERE id = @id AND removed_at IS NULL AND (@application = '' OR application_id = @application)
			RETURNING application_id, url`, pgx.NamedArgs{"id": id, "now": now, "application": applicationID}).Scan(&application, &url)
		if errors.Is(err, pgx.ErrNoRows) {
			return policies.Refuse(policies.NotFound)
		}
		if err != nil {
			return err
		}
		if err := stopWaiting(ctx, tx, id, now); err != nil {
			return err
		}
		return a.record(ctx, tx, application, map[string]any{"change": "webhook_removed", "webhook": id, "url": url}, now)
	})
}

// WebhookDelivery reads one of an application's deliveries, or anybody's
// (policies.NotFound).
func (db *DB) WebhookDelivery(ctx context.Context, applicationID, id string) (signer.WebhookDelivery, error) {
	return webhookDelivery(ctx, db.pool, `d.id = @id AND (@application = '' OR d.application_id = @application)`,
		pgx.NamedArgs{"id": id, "application": applicationID})
}

func webhookDelivery(ctx context.Context, q querier, where string, args pgx.NamedArgs) (signer.WebhookDelivery, error) {
	rows, err := q.Query(ctx, selectDeliveries+`WHERE `+where, args)
	if err != nil {
		return signer.WebhookDelivery{}, err
	}
	d, err := pgx.CollectExactlyOneRow(rows, scanWebhookDelivery)
	if errors.Is(err, pgx.ErrNoRows) {
		return d, policies.Refuse(policies.NotFound)
	}
	return d, err
}

// WebhookDeliveries lists deliveries, the newest first.
func (db *DB) WebhookDeliveries(ctx context.Context, q signer.WebhookQuery) ([]signer.WebhookDelivery, error) {
	// What is not asked for stays out of the statement: one plan for all wishes
	// would use the index of none.
	where := `WHERE d.application_id = @application`
	if q.RequestID != "" {
		where += ` AND d.request_id = @request`
	}
	if q.State != "" {
		where += ` AND d.state = @state`
		if q.State != signer.WebhookDelivered {
			where += ` AND d.state <> 'delivered'`
		}
	}
	if q.Before != "" {
		where += ` AND (d.created_at, d.id) < (SELECT created_at, id FROM webhook_deliveries WHERE id = @before AND application_id = @application)`
	}
	rows, err := db.pool.Query(ctx, selectDeliveries+where+`
		ORDER BY d.created_at DESC, d.id DESC
		LIMIT @limit`, pgx.NamedArgs{
		"application": q.ApplicationID,
		"request":     q.RequestID,
		"state":       q.State,
		"before":      q.Before,
		"limit":       q.Limit,
	})
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanWebhookDelivery)
}

const selectDeliveries = `
	SELECT
		d.id,
		d.event_id,
		d.type,
		coalesce(d.request_id, ''),
		coalesce(d.envelope_id, ''),
		d.request_state,
		d.sequence,
		d.created_at,
		w.id,
		w.application_id,
		w.url,
		w.created_at,
		w.stopped_at,
		d.state,
		d.round,
		d.began_at,
		d.attempts,
		d.next_at,
		d.last_at,
		d.status,
		d.problem,
		d.ended_at
	FROM webhook_deliveries d
	JOIN webhooks w ON w.id = d.webhook_id
	`

func scanWebhookDelivery(row pgx.CollectableRow) (signer.WebhookDelivery, error) {
	var (
		d                          signer.WebhookDelivery
		stopped, next, last, ended *time.Time
	)
	err := row.Scan(
		&d.ID,
		&d.Event.ID,
		&d.Event.Type,
		&d.Event.RequestID,
		&d.Event.EnvelopeID,
		&d.Event.State,
		&d.Event.Sequence,
		&d.Event.CreatedAt,
		&d.Webhook.ID,
		&d.Webhook.ApplicationID,
		&d.Webhook.URL,
		&d.Webhook.CreatedAt,
		&stopped,
		&d.State,
		&d.Round,
		&d.BeganAt,
		&d.Attempts,
		&next,
		&last,
		&d.Status,
		&d.Problem,
		&ended,
	)
	d.Webhook.StoppedAt, d.NextAt, d.LastAt, d.EndedAt = orZero(stopped), orZero(next), orZero(last), orZero(ended)
	return d, err
}

// ReplayWebhook begins a new round of a delivery, whatever became of the last
// one (policies.NotFound, also where the address has been removed).
func (db *DB) ReplayWebhook(ctx context.Context, applicationID, id string, now time.Time) (signer.WebhookDelivery, error) {
	var d signer.WebhookDelivery
	err := db.inTx(ctx, func(tx pgx.Tx) error {
		call := signer.WebhookCall{DeliveryID: id}
		err := tx.QueryRow(ctx, `
			UPDATE webhook_deliveries d
			SET round = round + 1, began_at = @now, state = 'waiting', attempts = 0, next_at = @now, status = 0, problem = '', ended_at = NULL
			FROM webhooks w
			WHERE d.id = @id AND w.id = d.webhook_id AND w.removed_at IS NULL AND (@application = '' OR d.application_id = @application)
			RETURNING d.application_id, d.round`, pgx.NamedArgs{"id": id, "application": applicationID, "now": now}).Scan(&call.ApplicationID, &call.Round)
		if errors.Is(err, pgx.ErrNoRows) {
			return policies.Refuse(policies.NotFound)
		}
		if err != nil {
			return err
		}
		if err := db.call(ctx, tx, call); err != nil {
			return err
		}
		d, err = webhookDelivery(ctx, tx, `d.id = @id`, pgx.NamedArgs{"id": id})
		return err
	})
	return d, err
}

// WebhookDelivery is for the doors.
func (p Public) WebhookDelivery(ctx context.Context, applicationID, id string) (signer.WebhookDelivery, error) {
	return p.db.WebhookDelivery(ctx, applicationID, id)
}

// WebhookDeliveries is for the doors.
func (p Public) WebhookDeliveries(ctx context.Context, q signer.WebhookQuery) ([]signer.WebhookDelivery, error) {
	return p.db.WebhookDeliveries(ctx, q)
}

// ReplayWebhook is for the doors.
func (p Public) ReplayWebhook(ctx context.Context, applicationID, id string, now time.Time) (signer.WebhookDelivery, error) {
	return p.db.ReplayWebhook(ctx, applicationID, id, now)
}
