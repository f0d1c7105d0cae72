package webhooks

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/rubrica-firma/rubrica/signer"
)

const (
	// patience is how long a receiver may take.
	patience = 10 * time.Second
	// answerBytes is how much of an answer is read, so that its connection can be
	// used again. Nobody looks at it.
	answerBytes = 64 << 10
)

// Store keeps deliveries. store.Public fulfils it.
type Store interface {
	// Callable reads deliveries that wait, each in that round. Of any other there
	// is none: it is left out.
	Callable(ctx context.Context, all []signer.WebhookCall) ([]signer.WebhookDelivery, error)
	// Called keeps what came of calls, of those deliveries that still wait in that
	// round. One that was stopped stops its address, and all that waits for it.
	Called(ctx context.Context, all []signer.WebhookDelivery) error
}

// Config names the parts of a Deliverer.
type Config struct {
	Store    Store
	Keys     *Keys
	Networks *Networks
	// Authorities are those of receivers' certificates; nil: the system's.
	Authorities *x509.CertPool
	Logger      *slog.Logger
	Now         func() time.Time
}

// Deliverer calls receivers.
type Deliverer struct {
	Config
	client *http.Client
	lanes  *lanes
	read   bus[signer.WebhookCall, *signer.WebhookDelivery]
	keep   bus[signer.WebhookDelivery, struct{}]
}

// New makes a Deliverer.
func New(c Config) *Deliverer {
	d := &Deliverer{Config: c, client: newClient(c.Networks, c.Authorities), lanes: &lanes{all: map[string]*lane{}, now: c.Now}}
	d.read.carry = d.callable
	d.keep.carry = func(ctx context.Context, all []signer.WebhookDelivery) ([]struct{}, error) {
		return make([]struct{}, len(all)), d.Store.Called(ctx, all)
	}
	return d
}

// callable gives each call its delivery, nil if there is none.
func (d *Deliverer) callable(ctx context.Context, calls []signer.WebhookCall) ([]*signer.WebhookDelivery, error) {
	found, err := d.Store.Callable(ctx, calls)
	if err != nil {
		return nil, err
	}
	byID := make(map[string]*signer.WebhookDelivery, len(found))
	for i := range found {
		byID[found[i].ID] = &found[i]
	}
	out := make([]*signer.WebhookDelivery, len(calls))
	for i, c := range calls {
		if f := byID[c.DeliveryID]; f != nil && f.Round == c.Round {
			out[i] = f
		}
	}
	return out, nil
}

// Deliver tries one delivery, and gives the time after which to try it again,
// if it is to be. An error is not the receiver's.
func (d *Deliverer) Deliver(ctx context.Context, c signer.WebhookCall) (again time.Duration, err error) {
	leave, away, err := d.lanes.enter(ctx, c.ApplicationID)
	if err != nil || away > 0 {
		return away, err
	}
	defer leave()
	waits, err := d.read.take(ctx, c)
	if err != nil {
		return 0, fmt.Errorf("reading a delivery: %w", err)
	}
	if waits == nil {
		return 0, nil // delivered by a process that died before it could say so, replayed, stopped, forgotten
	}
	delivery := *waits
	said, err := d.call(ctx, delivery)
	if err != nil {
		return 0, err
	}
	delivery = settle(delivery, said, d.Now())
	if delivery.State == signer.WebhookGivenUp || delivery.State == signer.WebhookStopped {
		d.Logger.WarnContext(ctx, "webhook_ended", "state", string(delivery.State), "delivery", delivery.ID, "webhook", delivery.Webhook.ID,
			"application", c.ApplicationID, "attempts", delivery.Attempts, "status", delivery.Status, "problem", delivery.Problem)
	}
	if _, err := d.keep.take(context.WithoutCancel(ctx), delivery); err != nil {
		return 0, fmt.Errorf("keeping what came of a call: %w", err)
	}
	if delivery.State != signer.WebhookWaiting {
		return 0, nil
	}
	return max(time.Millisecond, delivery.NextAt.Sub(d.Now())), nil
}

// body is what is sent. It names nobody: who may know more asks for it, over
// the door that knows who asks.
type body struct {
	ID         string           `json:"id"`
	Type       signer.EventType `json:"type"`
	CreatedAt  time.Time        `json:"created_at"`
	RequestID  string           `json:"request_id,omitempty"`
	EnvelopeID string           `json:"envelope_id,omitempty"`
	State      signer.State     `json:"state"`
	Sequence   int              `json:"sequence"`
}

// call posts an event. An error means that none could be: what goes wrong on the
// way is the answer's.
func (d *Deliverer) call(ctx context.Context, delivery signer.WebhookDelivery) (answer, error) {
	e := delivery.Event
	content, err := json.Marshal(body{e.ID, e.Type, e.CreatedAt.UTC(), e.RequestID, e.EnvelopeID, e.State, e.Sequence})
	if err != nil {
		return answer{}, fmt.Errorf("encoding an event: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, delivery.Webhook.URL, bytes.NewReader(content))
	if err != nil {
		return answer{}, fmt.Errorf("addressing an event: %w", err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "Rubrica")
	if err := d.Keys.sign(r, content, d.Now()); err != nil {
		return answer{}, err
	}
	response, err := d.client.Do(r)
	if err != nil {
		return answer{problem: problemOf(err)}, nil
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.CopyN(io.Discard, response.Body, answerBytes) // whatever it is, the status has been given
	return answer{status: response.StatusCode, retryAfter: response.Header.Get("Retry-After")}, nil
}
