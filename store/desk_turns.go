package store

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
)

// taken is the answer to whoever comes second.
func taken() *policies.Refusal { return policies.Refuse(policies.DeskTaken) }

// TakeOrder gives an order that waits, or is confirmed and not carried out yet,
// to one of those who ask for it at once (policies.DeskTaken).
func (d Desk) TakeOrder(ctx context.Context, t citizen.Turn) error {
	return d.db.inTx(ctx, func(tx pgx.Tx) error {
		return swap(ctx, tx, taken(), `
			UPDATE desk_orders
			SET turn = @holder, turn_until = @until
			WHERE id = @id AND state <> 'rejected' AND (turn_until IS NULL OR turn_until <= @now)`, turnArgs(t))
	})
}

// LeaveOrder ends a turn before its time; one that is over is no error.
func (d Desk) LeaveOrder(ctx context.Context, t citizen.Turn) error {
	_, err := d.db.pool.Exec(ctx, `
		UPDATE desk_orders
		SET turn = NULL, turn_until = NULL
		WHERE id = @id AND turn = @holder`, turnArgs(t))
	return classify(err)
}

// TakeVideo gives a recording that is pending to one of those who ask for it at
// once (policies.DeskTaken).
func (d Desk) TakeVideo(ctx context.Context, t citizen.Turn) error {
	return d.db.inTx(ctx, func(tx pgx.Tx) error {
		return swap(ctx, tx, taken(), `
			UPDATE video_registrations
			SET turn = @holder, turn_until = @until
			WHERE id = @id AND state = 'pending' AND (turn_until IS NULL OR turn_until <= @now)`, turnArgs(t))
	})
}

// LeaveVideo ends a turn before its time; one that is over is no error.
func (d Desk) LeaveVideo(ctx context.Context, t citizen.Turn) error {
	_, err := d.db.pool.Exec(ctx, `
		UPDATE video_registrations
		SET turn = NULL, turn_until = NULL
		WHERE id = @id AND turn = @holder`, turnArgs(t))
	return classify(err)
}

func turnArgs(t citizen.Turn) pgx.NamedArgs {
	return pgx.NamedArgs{"id": t.Subject, "holder": t.Holder, "now": t.Now, "until": t.Until}
}

// RegisteredByVideo is who was registered with a recording as evidence; zero if
// nobody was.
func (d Desk) RegisteredByVideo(ctx context.Context, videoID, identifier string) (citizen.VideoOutcome, error) {
	var o citizen.VideoOutcome
	err := d.db.pool.QueryRow(ctx, `
		SELECT
			c.id,
			c.status,
			r.assured_at
		FROM citizens c
		JOIN registrations r ON r.citizen_id = c.id
		WHERE c.identifier = @identifier AND r.evidence ->> 'video' = @video
		ORDER BY r.id DESC
		LIMIT 1`, pgx.NamedArgs{"identifier": identifier, "video": videoID}).Scan(&o.CitizenID, &o.Status, &o.RegisteredAt)
	if errors.Is(err, pgx.ErrNoRows) {
		return o, nil
	}
	o.RegisteredAt = o.RegisteredAt.UTC()
	return o, classify(err)
}
