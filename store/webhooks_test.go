package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/store"
)

// told are the events of an application, the first one first.
func (a *deposit) told(application string) []string {
	a.Helper()
	all, err := a.public.WebhookDeliveries(a.Context(), signer.WebhookQuery{ApplicationID: application, Limit: 1000})
	if err != nil {
		a.Fatal(err)
	}
	told := []string{}
	for i := range all {
		e := all[len(all)-1-i].Event
		told = append(told, fmt.Sprintf("%s %d %s %s", e.RequestID, e.Sequence, e.State, e.Type))
	}
	return told
}

// The application is told once that the level is reached: by the last signature
// that reaches it.
func TestLevelReachedIsTold(t *testing.T) {
	t.Parallel()
	a := newDeposit(t)
	a.sql(`INSERT INTO webhooks (id, application_id, url, created_at) VALUES ('w', 'sede', 'https://sede.example/avisos', now()), ('o', 'otra', 'https://otra.example/', now())`)
	content := []byte("text")
	u := a.upload("u", content)
	if err := a.request("r", "sede", u, signer.HeldContent(content)); err != nil {
		t.Fatal(err)
	}
	a.sql(`INSERT INTO documents (request_id, ordinal, name, media_type, format, size, sha256, content_id, options, attributes, findings, level)
		SELECT request_id, 2, name, media_type, format, size, sha256, content_id, options, attributes, findings, 'B-T' FROM documents`)
	a.sql(`UPDATE documents SET cms = 'x'`)
	a.sql(`UPDATE requests SET state = 'signed', closed_at = now(), interrupted = 2`)
	for n, step := range []struct {
		ordinal int
		reached cades.Level
		told    []string
	}{
		{1, cades.BT, []string{}},
		{2, cades.BT, []string{}},
		{1, cades.BLT, []string{}},
		{1, cades.BLTA, []string{"r 4 signed signature_request.level_reached"}},
		{1, cades.BLTA, []string{"r 4 signed signature_request.level_reached"}},
		{2, cades.BLTA, []string{"r 4 signed signature_request.level_reached"}},
	} {
		if err := a.public.Augment(t.Context(), "r", signer.Augmented{Ordinal: step.ordinal, Reached: step.reached, CMS: []byte("y")}, a.now); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(step.told, a.told("sede")); diff != "" {
			t.Errorf("after step %d (-want +got):\n%s", n+1, diff)
		}
	}
	if others := a.told("otra"); len(others) != 0 {
		t.Errorf("another application is told %v", others)
	}
}

// What ended before the retention goes, a batch at a time, and nothing else.
func TestForgetWebhooks(t *testing.T) {
	t.Parallel()
	a := newDeposit(t)
	a.past(25_000)
	a.sql(`UPDATE webhook_deliveries SET state = 'waiting', ended_at = NULL WHERE request_id IN ('p1', 'p2')`)
	a.sql(`UPDATE webhook_deliveries SET ended_at = now() WHERE request_id = 'p3'`)
	more, err := a.public.ForgetWebhooks(t.Context(), a.now.Add(-time.Hour))
	if err != nil || !more {
		t.Errorf("the first batch: got %t %v, want more", more, err)
	}
	if more, err = a.public.ForgetWebhooks(t.Context(), a.now.Add(-time.Hour)); err != nil || more {
		t.Errorf("the second batch: got %t %v, want no more", more, err)
	}
	if diff := cmp.Diff([]string{"p3 1 expired signature_request.expired", "p2 1 expired signature_request.expired", "p1 1 expired signature_request.expired"}, a.told("sede")); diff != "" {
		t.Errorf("what is left (-want +got):\n%s", diff)
	}
}

// past are that many deliveries of requests p1, p2 …, each older than the last.
func (a *deposit) past(n int) {
	a.Helper()
	a.sql(`INSERT INTO webhooks (id, application_id, url, created_at) VALUES ('w', 'sede', 'https://sede.example/avisos', now())`)
	a.sql(`INSERT INTO requests (id, application_id, identifier, title, locale, return_url, idempotency_key, body_hash, state, created_at, expires_at, closed_at)
		SELECT 'p' || n, 'sede', '12345678Z', 'Solicitud', 'es', 'https://sede.example/', n, '\x00', 'expired', now(), now(), now() FROM generate_series(1, $1::integer) n`, n)
	a.sql(`INSERT INTO webhook_deliveries (webhook_id, application_id, event_id, type, request_id, request_state, sequence, created_at, began_at, state, ended_at)
		SELECT 'w', 'sede', 'e' || n, 'signature_request.expired', 'p' || n, 'expired', 1, now() - n * interval '1 day', now(), 'delivered', now() - interval '2 hours'
		FROM generate_series(1, $1::integer) n`, n)
	a.sql(`ANALYZE webhook_deliveries`)
}

// No question about deliveries reads all of them, however many there are.
func TestWebhookDeliveriesAreCheap(t *testing.T) {
	t.Parallel()
	a := newDeposit(t)
	a.past(20_000)
	a.sql(`UPDATE webhook_deliveries SET state = 'given_up' WHERE right(request_id, 3) = '000'`)
	a.sql(`UPDATE webhook_deliveries SET state = 'waiting', ended_at = NULL WHERE right(request_id, 3) = '001'`)
	a.sql(`ANALYZE webhook_deliveries`)
	db, err := store.Open(t.Context(), a.url.API)
	if err != nil {
		t.Fatal(err)
	}
	public := store.ForPublic(db)
	count := func() (n int64) {
		t.Helper()
		a.sql(`SELECT pg_stat_clear_snapshot()`)
		if err := as(t, a.url.Owner).QueryRow(t.Context(), `SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'webhook_deliveries'`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	time.Sleep(time.Second) // the numbers come late
	before := count()
	all, err := public.WebhookDeliveries(t.Context(), signer.WebhookQuery{ApplicationID: "sede", Limit: 50})
	if err != nil || len(all) != 50 {
		t.Fatalf("got %d %v, want a page", len(all), err)
	}
	for range 10 { // after five, a prepared statement may get one plan for all
		for _, q := range []signer.WebhookQuery{
			{Before: all[49].ID}, {State: signer.WebhookGivenUp}, {State: signer.WebhookWaiting}, {RequestID: "p77"}, {State: signer.WebhookDelivered},
		} {
			q.ApplicationID, q.Limit = "sede", 50
			if page, err := public.WebhookDeliveries(t.Context(), q); err != nil || len(page) == 0 {
				t.Fatalf("%+v: got %d %v, want some", q, len(page), err)
			}
		}
		waits := signer.WebhookCall{DeliveryID: all[0].ID, Round: 1}
		if _, err := public.Callable(t.Context(), []signer.WebhookCall{waits, waits}); err != nil {
			t.Fatal(err)
		}
		if err := public.Called(t.Context(), all[:20]); err != nil {
			t.Fatal(err)
		}
		if _, err := public.ForgetWebhooks(t.Context(), a.now.Add(-24*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	db.Close() // whose end makes the database count what it read
	time.Sleep(time.Second)
	if n := count() - before; n != 0 {
		t.Errorf("all deliveries were read %d times", n)
	}
}
