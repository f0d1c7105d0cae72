package notify_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/notify"
	"github.com/rubrica-firma/rubrica/signer"
)

func (j *journal) Undelivered(_ context.Context, operator string, since time.Time, _ int) ([]string, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	var ids []string
	for _, d := range j.known {
		if d.Operator == operator && d.State == signer.DeliveryAccepted && d.At.After(since) {
			ids = append(ids, d.OperatorID)
		}
	}
	return ids, nil
}

// TestInquiry: what an HTTP operator answers is kept as a receipt of SMPP would
// be, and what it cannot mean changes nothing.
func TestInquiry(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.Method != http.MethodGet || r.Header.Get("Authorization") != "Bearer "+token {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		switch id := strings.TrimPrefix(r.URL.EscapedPath(), "/v1/sms/"); id {
		case "delivered", "failed", "accepted":
			_ = json.NewEncoder(w).Encode(map[string]string{"id": id, "state": id})
		case "a%2Fb": // an id is no path
			_, _ = w.Write([]byte(`{"state": "delivered"}`))
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(server.Close)
	now := time.Now()
	j := &journal{}
	for _, id := range []string{"delivered", "failed", "accepted", "a/b", "unheard"} {
		_ = j.HandedOver(t.Context(), signer.Delivery{Operator: "web", OperatorID: id, State: signer.DeliveryAccepted, At: now})
	}
	_ = j.HandedOver(t.Context(), signer.Delivery{Operator: "web", OperatorID: "old", State: signer.DeliveryAccepted, At: now.Add(-time.Hour)})
	_ = j.HandedOver(t.Context(), signer.Delivery{Operator: "other", OperatorID: "delivered", State: signer.DeliveryAccepted, At: now})
	operators := &notify.Operators{Journal: j, Now: time.Now, Logger: slog.New(slog.DiscardHandler)}
	q := &notify.Inquiry{
		Operator: "web", URL: server.URL + "/v1/sms/" + notify.MessageID, Token: []byte(token), Timeout: 5 * time.Second, Client: http.DefaultClient,
		Messages: j, Arrived: operators.Arrived, Now: func() time.Time { return now }, Logger: slog.New(slog.DiscardHandler),
	}
	if err := q.Ask(t.Context()); err != nil {
		t.Fatal(err)
	}
	states := map[string]signer.DeliveryState{}
	for key, d := range j.known {
		states[key] = d.State
	}
	want := map[string]signer.DeliveryState{
		"web/delivered": "delivered", "web/failed": "failed", "web/accepted": "accepted", "web/a/b": "delivered", "web/unheard": "accepted",
		"web/old": "accepted", "other/delivered": "accepted",
	}
	if diff := cmp.Diff(want, states); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
	if n := asked.Load(); n != 5 {
		t.Errorf("asked %d times, want once about each that may still matter", n)
	}
	if err := q.Ask(t.Context()); err != nil || asked.Load() != 7 {
		t.Errorf("got %v after %d questions, want those only that had not ended", err, asked.Load())
	}
	q.Token = []byte("another")
	if err := q.Ask(t.Context()); err == nil || strings.Contains(err.Error(), "another") {
		t.Errorf("got %v, want a refusal that names no token", err)
	}
}

func TestInquiryOfStrangers(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]http.HandlerFunc{
		"an unknown state": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"state": "lost"}`)) },
		"no JSON":          func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`delivered`)) },
		"without end": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"state": "` + strings.Repeat("a", 1<<20) + `"}`))
		},
		"elsewhere": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://192.0.2.1/")
			w.WriteHeader(http.StatusFound)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(handler)
			t.Cleanup(server.Close)
			j := &journal{}
			_ = j.HandedOver(t.Context(), signer.Delivery{Operator: "web", OperatorID: "1", State: signer.DeliveryAccepted, At: time.Now()})
			q := &notify.Inquiry{
				Operator: "web", URL: server.URL + "/" + notify.MessageID, Timeout: 5 * time.Second, Client: http.DefaultClient, Messages: j, Now: time.Now,
				Arrived: func(context.Context, string, string, bool) { t.Error("got an end of the message") },
			}
			if err := q.Ask(t.Context()); err == nil {
				t.Error("got it believed, want an error")
			}
		})
	}
}
