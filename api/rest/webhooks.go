package rest

import (
	"context"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// Webhooks keeps what applications were told. What is another's is not there
// (policies.NotFound).
type Webhooks interface {
	WebhookDeliveries(ctx context.Context, q signer.WebhookQuery) ([]signer.WebhookDelivery, error)
	WebhookDelivery(ctx context.Context, applicationID, id string) (signer.WebhookDelivery, error)
	// ReplayWebhook begins another round.
	ReplayWebhook(ctx context.Context, applicationID, id string, now time.Time) (signer.WebhookDelivery, error)
}

// page is how many deliveries are sent unless it is asked for fewer or more.
const page, largestPage = 50, 100

// ListWebhookDeliveries implements ServerInterface.
func (d *door) ListWebhookDeliveries(c echo.Context, params ListWebhookDeliveriesParams) error {
	q := signer.WebhookQuery{ApplicationID: api.ClientOf(c).ID, Limit: page}
	for name, p := range map[string]struct{ into, from *string }{
		"request_id": {&q.RequestID, params.RequestID}, "before": {&q.Before, params.Before},
	} {
		if p.from == nil {
			continue
		}
		if *p.into = *p.from; !printable(*p.from) {
			return malformed(name)
		}
	}
	if params.State != nil {
		q.State = signer.WebhookState(*params.State)
		switch q.State {
		case signer.WebhookWaiting, signer.WebhookDelivered, signer.WebhookGivenUp, signer.WebhookStopped:
		default:
			return malformed("state")
		}
	}
	if params.Limit != nil {
		if q.Limit = *params.Limit; q.Limit < 1 || q.Limit > largestPage {
			return malformed("limit")
		}
	}
	limit := q.Limit
	q.Limit++ // one more says whether there are more
	all, err := d.Webhooks.WebhookDeliveries(c.Request().Context(), q)
	if err != nil {
		return err
	}
	var out WebhookDeliveries
	if len(all) > limit {
		all = all[:limit]
		out.Next = &all[limit-1].ID
	}
	out.Deliveries = make([]WebhookDelivery, len(all))
	for i, delivery := range all {
		out.Deliveries[i] = told(delivery)
	}
	return c.JSON(http.StatusOK, out)
}

// GetWebhookDelivery implements ServerInterface.
func (d *door) GetWebhookDelivery(c echo.Context, id DeliveryID) error {
	if !printable(id) {
		return policies.Refuse(policies.NotFound)
	}
	delivery, err := d.Webhooks.WebhookDelivery(c.Request().Context(), api.ClientOf(c).ID, id)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, told(delivery))
}

// ReplayWebhookDelivery implements ServerInterface.
func (d *door) ReplayWebhookDelivery(c echo.Context, id DeliveryID) error {
	if !printable(id) {
		return policies.Refuse(policies.NotFound)
	}
	delivery, err := d.Webhooks.ReplayWebhook(c.Request().Context(), api.ClientOf(c).ID, id, d.Now())
	if err != nil {
		return err
	}
	return c.JSON(http.StatusAccepted, told(delivery))
}

func told(d signer.WebhookDelivery) WebhookDelivery {
	out := WebhookDelivery{
		ID: d.ID, URL: d.Webhook.URL, State: WebhookState(d.State), Round: d.Round, Attempts: d.Attempts,
		Event: WebhookEvent{
			ID: d.Event.ID, Type: string(d.Event.Type), CreatedAt: d.Event.CreatedAt.UTC(),
			State: string(d.Event.State), Sequence: d.Event.Sequence,
		},
		NextAt: unlessZero(d.NextAt), LastAt: unlessZero(d.LastAt), EndedAt: unlessZero(d.EndedAt),
	}
	if d.Event.RequestID != "" {
		out.Event.RequestID = &d.Event.RequestID
	}
	if d.Event.EnvelopeID != "" {
		out.Event.EnvelopeID = &d.Event.EnvelopeID
	}
	if d.Status != 0 {
		out.LastStatus = &d.Status
	}
	if d.Problem != "" {
		out.LastProblem = new(WebhookDeliveryLastProblem(d.Problem))
	}
	return out
}

func unlessZero(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return new(t.UTC())
}
