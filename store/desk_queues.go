package store

import (
	"context"
	"encoding/json/v2"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
)

// orderFacts is how an order stands in its column.
type orderFacts struct {
	Identifiers []string `json:"identifiers"`
	Phone       string   `json:"phone,omitempty"`
	CRLWord     string   `json:"crl_reason,omitempty"`
}

// AddOrder keeps an order until a second officer decides.
func (d Desk) AddOrder(ctx context.Context, o citizen.DeskOrder) error {
	facts, err := json.Marshal(orderFacts{Identifiers: o.Identifiers, Phone: o.Phone, CRLWord: o.CRLWord})
	if err != nil {
		return fmt.Errorf("writing an order: %w", err)
	}
	identifier := ""
	if len(o.Identifiers) == 1 {
		identifier = o.Identifiers[0]
	}
	_, err = d.db.pool.Exec(ctx, `
		INSERT INTO desk_orders (id, office, act, identifier, facts, reason, asked_by, asked_at, state, expires_at)
		VALUES (@id, @office, @act, @identifier, @facts, @reason, @by, @at, 'waiting', @expires)`, pgx.NamedArgs{
		"id":         o.ID,
		"office":     o.Office,
		"act":        o.Act,
		"identifier": identifier,
		"facts":      facts,
		"reason":     o.Reason,
		"by":         o.AskedBy,
		"at":         o.AskedAt,
		"expires":    o.ExpiresAt,
	})
	return classify(err)
}

// Orders are those of an office that wait, and those decided since, the waiting
// and the newest first.
func (d Desk) Orders(ctx context.Context, office string, now, since time.Time) ([]citizen.DeskOrder, error) {
	return d.orders(ctx, `o.office = @office AND (o.state = 'waiting' AND o.expires_at > @now OR o.decided_at > @since)`,
		pgx.NamedArgs{"office": office, "now": now, "since": since})
}

// Order reads one of an office (policies.NotFound).
func (d Desk) Order(ctx context.Context, office, id string) (citizen.DeskOrder, error) {
	return only(d.orders(ctx, `o.office = @office AND o.id = @id`, pgx.NamedArgs{"office": office, "id": id}))
}

func (d Desk) orders(ctx context.Context, where string, args pgx.NamedArgs) ([]citizen.DeskOrder, error) {
	args["limit"] = listLimit
	rows, err := d.db.pool.Query(ctx, `
		SELECT
			o.id,
			o.office,
			o.act,
			o.facts,
			o.reason,
			o.asked_by,
			asker.name,
			o.asked_at,
			o.expires_at,
			o.state,
			coalesce(o.decided_by, ''),
			coalesce(decider.name, ''),
			o.decided_at,
			o.outcome
		FROM desk_orders o
		JOIN officers asker ON asker.id = o.asked_by
		LEFT JOIN officers decider ON decider.id = o.decided_by
		WHERE `+where+`
		ORDER BY o.state <> 'waiting', o.asked_at DESC
		LIMIT @limit`, args)
	if err != nil {
		return nil, classify(err)
	}
	return pgx.CollectRows(rows, scanOrder)
}

func scanOrder(row pgx.CollectableRow) (citizen.DeskOrder, error) {
	var (
		o              citizen.DeskOrder
		facts, outcome []byte
		decided        *time.Time
		in             orderFacts
	)
	err := row.Scan(
		&o.ID,
		&o.Office,
		&o.Act,
		&facts,
		&o.Reason,
		&o.AskedBy,
		&o.AskedName,
		&o.AskedAt,
		&o.ExpiresAt,
		&o.State,
		&o.DecidedBy,
		&o.DecidedName,
		&decided,
		&outcome,
	)
	if err == nil {
		err = json.Unmarshal(facts, &in)
	}
	if err == nil {
		err = json.Unmarshal(outcome, &o.Outcome)
	}
	o.Identifiers, o.Phone, o.CRLWord = in.Identifiers, in.Phone, in.CRLWord
	o.AskedAt, o.ExpiresAt, o.DecidedAt = o.AskedAt.UTC(), o.ExpiresAt.UTC(), orZero(decided)
	return o, err
}

// Decide confirms or rejects an order that waits and has not expired, in its turn
// (policies.DeskTaken). Whoever asked for it cannot confirm it
// (policies.SecondOfficerNeeded), which the table forbids too.
func (d Desk) Decide(ctx context.Context, t citizen.Turn, o citizen.DeskOrder) error {
	err := d.db.inTx(ctx, func(tx pgx.Tx) error {
		return swap(ctx, tx, taken(), `
			UPDATE desk_orders
			SET state = @state, decided_by = @by, decided_at = @at
			WHERE id = @id AND office = @office AND state = 'waiting' AND expires_at > @at AND turn = @holder`, pgx.NamedArgs{
			"holder": t.Holder,
			"id":     o.ID,
			"office": o.Office,
			"state":  o.State,
			"by":     o.DecidedBy,
			"at":     o.DecidedAt,
		})
	})
	if violated(err, "desk_orders_second") {
		return fmt.Errorf("%w: %w", policies.Refuse(policies.SecondOfficerNeeded), err)
	}
	return err
}

// Conclude writes down what became of one of those whom a confirmed order is
// about, and prolongs the turn (policies.DeskTaken).
func (d Desk) Conclude(ctx context.Context, t citizen.Turn, identifier, outcome string) error {
	args := turnArgs(t)
	args["identifier"], args["outcome"] = identifier, outcome
	return d.db.inTx(ctx, func(tx pgx.Tx) error {
		return swap(ctx, tx, taken(), `
			UPDATE desk_orders
			SET outcome = outcome || jsonb_build_object(@identifier::text, @outcome::text), turn_until = @until
			WHERE id = @id AND state = 'confirmed' AND turn = @holder`, args)
	})
}

// AddVideo keeps a recording for the officers of its office, in the role
// rubrica_api (policies.RequestMalformed without such an office,
// policies.IdempotencyKeyReused for one that the provider has sent already).
func (p Public) AddVideo(ctx context.Context, v citizen.Video) error {
	facts, err := json.Marshal(v.Person)
	if err != nil {
		return fmt.Errorf("writing a recording's person: %w", err)
	}
	evidence, err := json.Marshal(v.Evidence)
	if err != nil {
		return fmt.Errorf("writing a recording's evidence: %w", err)
	}
	err = p.db.inTx(ctx, func(tx pgx.Tx) error {
		return swap(ctx, tx, policies.Refuse(policies.RequestMalformed, "field", "office"), `
			INSERT INTO video_registrations (id, provider, office, identifier, facts, evidence, received_at, state)
			SELECT @id, @provider, id, @identifier, @facts, @evidence, @at, 'pending'
			FROM applications
			WHERE id = @office AND enabled AND 'registration' = ANY (scopes)`, pgx.NamedArgs{
			"id":         v.ID,
			"provider":   v.Provider,
			"office":     v.Office,
			"identifier": v.Person.Identifier,
			"facts":      facts,
			"evidence":   evidence,
			"at":         v.ReceivedAt,
		})
	})
	if violated(err, "video_registrations_recording") {
		return fmt.Errorf("%w: %w", policies.Refuse(policies.IdempotencyKeyReused), err)
	}
	return err
}

// Videos are the recordings that wait for an office's officers, the oldest first.
func (d Desk) Videos(ctx context.Context, office string) ([]citizen.Video, error) {
	return d.videos(ctx, `v.office = @office AND v.state = 'pending'`, pgx.NamedArgs{"office": office})
}

// Video reads one of an office (policies.NotFound).
func (d Desk) Video(ctx context.Context, office, id string) (citizen.Video, error) {
	return only(d.videos(ctx, `v.office = @office AND v.id = @id`, pgx.NamedArgs{"office": office, "id": id}))
}

func (d Desk) videos(ctx context.Context, where string, args pgx.NamedArgs) ([]citizen.Video, error) {
	args["limit"] = listLimit
	rows, err := d.db.pool.Query(ctx, `
		SELECT
			v.id,
			v.provider,
			a.name,
			v.office,
			v.facts,
			v.evidence,
			v.received_at,
			v.state,
			coalesce(v.decided_by, ''),
			v.decided_at,
			coalesce(v.reason, '')
		FROM video_registrations v
		JOIN applications a ON a.id = v.provider
		WHERE `+where+`
		ORDER BY v.received_at
		LIMIT @limit`, args)
	if err != nil {
		return nil, classify(err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (citizen.Video, error) {
		var (
			v               citizen.Video
			facts, evidence []byte
			decided         *time.Time
		)
		err := row.Scan(&v.ID, &v.Provider, &v.ProviderName, &v.Office, &facts, &evidence, &v.ReceivedAt, &v.State, &v.DecidedBy, &decided, &v.Reason)
		if err == nil {
			err = json.Unmarshal(facts, &v.Person)
		}
		if err == nil {
			err = json.Unmarshal(evidence, &v.Evidence)
		}
		v.ReceivedAt, v.DecidedAt = v.ReceivedAt.UTC(), orZero(decided)
		return v, err
	})
}

// DecideVideo approves or rejects a recording that is pending, in its turn
// (policies.DeskTaken).
func (d Desk) DecideVideo(ctx context.Context, t citizen.Turn, v citizen.Video) error {
	return d.db.inTx(ctx, func(tx pgx.Tx) error {
		return swap(ctx, tx, taken(), `
			UPDATE video_registrations
			SET state = @state, decided_by = @by, decided_at = @at, reason = @reason, turn = NULL, turn_until = NULL
			WHERE id = @id AND office = @office AND state = 'pending' AND turn = @holder`, pgx.NamedArgs{
			"holder": t.Holder,
			"id":     v.ID,
			"office": v.Office,
			"state":  v.State,
			"by":     v.DecidedBy,
			"at":     v.DecidedAt,
			"reason": v.Reason,
		})
	})
}
