package rest_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/api/rest"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

const deliveriesPath = "/v1/webhook-deliveries"

// deliveries are five of the application sede, the newest first: one in each
// state, and one more.
func deliveries() []signer.WebhookDelivery {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	var all []signer.WebhookDelivery
	for i, state := range []signer.WebhookState{
		signer.WebhookWaiting, signer.WebhookDelivered, signer.WebhookGivenUp, signer.WebhookStopped, signer.WebhookDelivered,
	} {
		d := signer.WebhookDelivery{
			ID: fmt.Sprintf("d%d", i), State: state, Round: 1, Attempts: i, BeganAt: now, LastAt: now, Status: 200 * (i % 2),
			Event:   signer.Event{ID: "e", Type: signer.EventSigned, RequestID: fmt.Sprintf("r%d", i%2), State: signer.Signed, Sequence: 1, CreatedAt: now},
			Webhook: signer.Webhook{ID: "w", ApplicationID: "sede", URL: "https://sede.example.es/avisos"},
		}
		if d.EndedAt = now; state == signer.WebhookWaiting {
			d.NextAt, d.EndedAt, d.Problem = now, time.Time{}, "timeout"
		}
		all = append(all, d)
	}
	return all
}

// WebhookDeliveries implements rest.Webhooks.
func (m *memory) WebhookDeliveries(_ context.Context, q signer.WebhookQuery) ([]signer.WebhookDelivery, error) {
	var out []signer.WebhookDelivery
	for _, d := range deliveries() {
		if d.Webhook.ApplicationID == q.ApplicationID && (q.RequestID == "" || q.RequestID == d.Event.RequestID) &&
			(q.State == "" || q.State == d.State) && d.ID > q.Before && len(out) < q.Limit {
			out = append(out, d)
		}
	}
	return out, nil
}

// WebhookDelivery implements rest.Webhooks.
func (m *memory) WebhookDelivery(_ context.Context, applicationID, id string) (signer.WebhookDelivery, error) {
	all := deliveries()
	i := slices.IndexFunc(all, func(d signer.WebhookDelivery) bool { return d.ID == id && d.Webhook.ApplicationID == applicationID })
	if i < 0 {
		return signer.WebhookDelivery{}, policies.Refuse(policies.NotFound)
	}
	return all[i], nil
}

// ReplayWebhook implements rest.Webhooks.
func (m *memory) ReplayWebhook(ctx context.Context, applicationID, id string, now time.Time) (signer.WebhookDelivery, error) {
	d, err := m.WebhookDelivery(ctx, applicationID, id)
	d.Round, d.State, d.Attempts, d.NextAt, d.EndedAt = d.Round+1, signer.WebhookWaiting, 0, now, time.Time{}
	return d, err
}

func TestWebhookDeliveries(t *testing.T) {
	t.Parallel()
	h := build(t)
	token := h.token(t, "sede")
	for query, want := range map[string]string{
		"": "[d0 d1 d2 d3 d4] ", "?limit=2": "[d0 d1] d1", "?limit=2&before=d1": "[d2 d3] d3", "?limit=2&before=d3": "[d4] ",
		"?limit=5": "[d0 d1 d2 d3 d4] ", "?state=given_up": "[d2] ", "?state=delivered&request_id=r1": "[d1] ", "?request_id=nobody": "[] ",
	} {
		var page rest.WebhookDeliveries
		got := h.call(t, http.MethodGet, deliveriesPath+query, nil, headers(token, ""))
		got.decode(t, &page)
		ids := []string{}
		for _, d := range page.Deliveries {
			ids = append(ids, d.ID)
		}
		next := ""
		if page.Next != nil {
			next = *page.Next
		}
		if seen := fmt.Sprint(ids, " ", next); seen != want || got.status != http.StatusOK {
			t.Errorf("%q: got %d %s, want %s", query, got.status, seen, want)
		}
	}
	for _, query := range []string{"?state=lost", "?state=", "?limit=0", "?limit=101", "?limit=x", "?limit=-1", "?before=%00", "?request_id=%ff"} {
		wantRefusal(t, h.call(t, http.MethodGet, deliveriesPath+query, nil, headers(token, "")), policies.RequestMalformed)
	}
	if got := h.call(t, http.MethodGet, deliveriesPath+"/d0", nil, headers(token, "")); got.status != http.StatusOK {
		t.Errorf("got %d %s", got.status, got.body)
	}
	var again rest.WebhookDelivery
	got := h.call(t, http.MethodPost, deliveriesPath+"/d2/replay", nil, headers(token, ""))
	got.decode(t, &again)
	if got.status != http.StatusAccepted || again.State != rest.Waiting || again.Round != 2 || again.NextAt == nil || again.EndedAt != nil {
		t.Errorf("got %d %s, want it on its way", got.status, got.body)
	}
	stranger := h.token(t, "other")
	for _, id := range []string{"d0", "d9", "%00", "%ff"} {
		wantRefusal(t, h.call(t, http.MethodGet, deliveriesPath+"/"+id, nil, headers(stranger, "")), policies.NotFound)
		wantRefusal(t, h.call(t, http.MethodPost, deliveriesPath+"/"+id+"/replay", nil, headers(stranger, "")), policies.NotFound)
	}
	wantRefusal(t, h.call(t, http.MethodGet, deliveriesPath, nil, nil), policies.ApplicationUnknown)
	wantRefusal(t, h.call(t, http.MethodGet, deliveriesPath, nil, headers(h.token(t, "office"), "")), policies.ScopeMissing)
}
