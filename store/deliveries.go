package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/signer"
)

// HandedOver implements notify.Journal. A message that is sent again is the
// newest operator's.
func (db *DB) HandedOver(ctx context.Context, d signer.Delivery) error {
	_, err := db.pool.Exec(ctx, `
		INSERT INTO sms_messages (id, provider, provider_id, state, at)
		VALUES (@id, @operator, @name, @state, @at)
		ON CONFLICT (id) DO UPDATE
		SET provider = excluded.provider, provider_id = excluded.provider_id, state = excluded.state, at = excluded.at`, delivery(d))
	return err
}

// Arrived implements notify.Journal. What has ended stays as it ended.
func (db *DB) Arrived(ctx context.Context, d signer.Delivery) (bool, error) {
	var known bool
	err := db.pool.QueryRow(ctx, `
		WITH changed AS (
			UPDATE sms_messages
			SET state = @state, at = @at
			WHERE provider = @operator AND provider_id = @name AND state = 'accepted'
		)
		SELECT EXISTS (SELECT FROM sms_messages WHERE provider = @operator AND provider_id = @name)`, delivery(d)).Scan(&known)
	return known, err
}

// Undelivered implements notify.Undelivered.
func (db *DB) Undelivered(ctx context.Context, operator string, since time.Time, limit int) ([]string, error) {
	rows, err := db.pool.Query(ctx, `
		SELECT provider_id
		FROM sms_messages
		WHERE provider = @operator AND provider_id <> '' AND state = 'accepted' AND at > @since
		ORDER BY at DESC
		LIMIT @limit`, pgx.NamedArgs{"operator": operator, "since": since, "limit": limit})
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// Delivery is what is known of a message, empty while no operator has accepted
// it.
func (p Public) Delivery(ctx context.Context, id string) (signer.DeliveryState, error) {
	var state signer.DeliveryState
	err := p.db.pool.QueryRow(ctx, `SELECT state FROM sms_messages WHERE id = @id`, pgx.NamedArgs{"id": id}).Scan(&state)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil
	}
	return state, err
}

func delivery(d signer.Delivery) pgx.NamedArgs {
	return pgx.NamedArgs{"id": d.ID, "operator": d.Operator, "name": d.OperatorID, "state": d.State, "at": d.At}
}

// Messages are remembered until nobody waits for them any more, counts until
// their hour no longer matters.
const (
	messageLife = 30 * 24 * time.Hour
	countLife   = 48 * time.Hour
)

// errFull takes back what was counted.
var errFull = errors.New("a limit is reached")

// CountSMS implements notify.Counts. The rows are taken in one order, so that
// two messages wait for each other in none.
func (db *DB) CountSMS(ctx context.Context, hour time.Time, subjects []signer.SMSQuota) (string, error) {
	full := ""
	err := db.inTx(ctx, func(tx pgx.Tx) error {
		for _, q := range subjects {
			var n int
			err := tx.QueryRow(ctx, `
				INSERT INTO sms_counts (kind, subject, hour, n)
				VALUES (@kind, @subject, @hour, 1)
				ON CONFLICT (kind, subject, hour) DO UPDATE SET n = sms_counts.n + 1
				RETURNING n`, pgx.NamedArgs{"kind": q.Kind, "subject": q.Subject, "hour": hour}).Scan(&n)
			if err != nil {
				return err
			}
			if n > q.Limit {
				full = q.Kind
				return errFull
			}
		}
		return nil
	})
	if errors.Is(err, errFull) {
		return full, nil
	}
	return "", err
}

// ForgetMessages deletes what is too old to matter of messages and their
// counts.
func (db *DB) ForgetMessages(ctx context.Context, now time.Time) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM sms_messages WHERE at < @before`, pgx.NamedArgs{"before": now.Add(-messageLife)}); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `DELETE FROM sms_counts WHERE hour < @before`, pgx.NamedArgs{"before": now.Add(-countLife)})
		return err
	})
}
