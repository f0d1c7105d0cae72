package webhooks

import (
	"net/http"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rubrica-firma/rubrica/signer"
)

func TestWish(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 10, 12, 0, 0, 0, time.UTC)
	for in, want := range map[string]time.Duration{
		"": 0, "0": 0, "120": 2 * time.Minute, "-1": 0, "1e9": 0, "999999999": longestWish, "99999999999999999999": 0, "soon": 0,
		now.Add(time.Minute).Format(http.TimeFormat): time.Minute, now.Add(-time.Hour).Format(http.TimeFormat): 0,
		now.AddDate(1, 0, 0).Format(http.TimeFormat): longestWish,
	} {
		if got := wish(in, now); got != want {
			t.Errorf("%q: got %v, want %v", in, got, want)
		}
	}
}

// Whatever a receiver answers, a round ends within 48 hours, after no more tries
// than doubling pauses make.
func TestRoundEnds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		began := time.Date(2026, 5, 10, 12, 0, 0, 0, time.UTC)
		d, now := signer.WebhookDelivery{State: signer.WebhookWaiting, BeganAt: began}, began
		for d.State == signer.WebhookWaiting {
			a := answer{status: rapid.SampledFrom([]int{0, 100, 301, 307, 400, 401, 404, 429, 500, 503}).Draw(t, "status")}
			a.retryAfter = rapid.SampledFrom([]string{"", "0", "1", "3600", "999999"}).Draw(t, "wish")
			d = settle(d, a, now)
			if d.State != signer.WebhookWaiting {
				break
			}
			if least := pause(d.Attempts) * 3 / 4; d.NextAt.Sub(now) < least || d.NextAt.Sub(now) > longestWish {
				t.Fatalf("try %d: got a pause of %v", d.Attempts, d.NextAt.Sub(now))
			}
			now = d.NextAt
		}
		if d.State != signer.WebhookGivenUp || d.EndedAt.IsZero() || d.LastAt.After(began.Add(Persistence)) || d.Attempts > 32 {
			t.Errorf("got %+v, want it given up within 48 hours", d)
		}
	})
}

func TestSettle(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 10, 12, 0, 0, 0, time.UTC)
	for status, want := range map[int]signer.WebhookState{
		200: signer.WebhookDelivered, 202: signer.WebhookDelivered, 204: signer.WebhookDelivered, 299: signer.WebhookDelivered,
		301: signer.WebhookWaiting, 302: signer.WebhookWaiting, 304: signer.WebhookWaiting, 400: signer.WebhookWaiting, 404: signer.WebhookWaiting,
		410: signer.WebhookStopped, 500: signer.WebhookWaiting, 0: signer.WebhookWaiting,
	} {
		d := settle(signer.WebhookDelivery{State: signer.WebhookWaiting, BeganAt: now}, answer{status: status}, now)
		if d.State != want || d.Attempts != 1 || d.EndedAt.IsZero() == (want != signer.WebhookWaiting) || d.NextAt.IsZero() == (want == signer.WebhookWaiting) {
			t.Errorf("%d: got %+v, want %s", status, d, want)
		}
	}
}
