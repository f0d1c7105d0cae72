package store_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/internal/pgtest"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/store"
)

func openStore(t *testing.T, url string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

// What an operator says of a message is seen on the public side. How it ended
// first is how it ended, and nobody is told of somebody else's message.
func TestDeliveries(t *testing.T) {
	t.Parallel()
	urls := pgtest.New(t, store.Migrate)
	db, public := openStore(t, urls.Signer), store.ForPublic(openStore(t, urls.API))
	now := instantOf(t, "2026-03-10T11:00:00Z")
	state := func(id string, want signer.DeliveryState) {
		t.Helper()
		if got, err := public.Delivery(t.Context(), id); err != nil || got != want {
			t.Errorf("state of %s: got %q (%v), want %q", id, got, err, want)
		}
	}
	arrives := func(operator, name string, as signer.DeliveryState, want bool) {
		t.Helper()
		known, err := db.Arrived(t.Context(), signer.Delivery{Operator: operator, OperatorID: name, State: as, At: now})
		if err != nil || known != want {
			t.Errorf("%s's %s: got known %t (%v), want %t", operator, name, known, err, want)
		}
	}
	hand := func(id, operator, name string) {
		t.Helper()
		d := signer.Delivery{ID: id, Operator: operator, OperatorID: name, State: signer.DeliveryAccepted, At: now}
		if err := db.HandedOver(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}

	waits := func(operator string, since time.Time, want ...string) {
		t.Helper()
		got, err := db.Undelivered(t.Context(), operator, since, 10)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s's that wait: got %v (%v), want %v", operator, got, err, want)
		}
	}

	state("first", "")
	hand("first", "a", "1")
	hand("second", "b", "1")
	hand("third", "b", "") // of which the operator tells nothing
	waits("a", now.Add(-time.Minute), "1")
	waits("b", now.Add(-time.Minute), "1")
	waits("a", now)
	state("first", signer.DeliveryAccepted)
	arrives("a", "2", signer.DeliveryDone, false)
	arrives("a", "1", signer.DeliveryDone, true)
	state("first", signer.DeliveryDone)
	state("second", signer.DeliveryAccepted)
	waits("a", now.Add(-time.Minute))
	arrives("a", "1", signer.DeliveryFailed, true) // a late rumour
	state("first", signer.DeliveryDone)
	arrives("b", "1", signer.DeliveryFailed, true)
	state("second", signer.DeliveryFailed)
	hand("second", "a", "2") // sent once more
	state("second", signer.DeliveryAccepted)

	if err := db.ForgetMessages(t.Context(), now.Add(29*24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	state("first", signer.DeliveryDone)
	if err := db.ForgetMessages(t.Context(), now.Add(31*24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	state("first", "")
}

// The page that waits for a code knows what became of the newest one's SMS.
func TestChallengeTellsItsDelivery(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	now := instantOf(t, "2026-03-10T11:00:00Z")
	a.enrol(1, `now - interval '1 year'`, `now + interval '1 year'`, now)
	a.sql(`INSERT INTO tickets (hash, purpose, citizen_id, generation, expires_at) VALUES ('\x01', 'affairs', 'c1', 1, $1)`, now.Add(time.Hour))
	code := func(id string, at time.Time) {
		t.Helper()
		a.sql(`INSERT INTO challenges (id, ticket_hash, purpose, citizen_id, phone, mac, reference, documents, state, created_at, expires_at)
			VALUES ($1, '\x01', 'password', 'c1', '+341', '\x00', '', '[]', 'sent', $2, $3)`, id, at, at.Add(time.Minute))
	}
	public := store.ForPublic(openStore(t, a.url.API))
	wants := func(want signer.DeliveryState) {
		t.Helper()
		got, err := public.Challenge(t.Context(), []byte{1}, signer.ForPassword)
		if err != nil || got == nil || got.Delivery != want {
			t.Errorf("got %+v (%v), want delivery %q", got, err, want)
		}
	}
	code("first", now)
	wants("")
	if err := a.db.HandedOver(t.Context(), signer.Delivery{ID: "first", Operator: "a", OperatorID: "1", State: signer.DeliveryAccepted, At: now}); err != nil {
		t.Fatal(err)
	}
	wants(signer.DeliveryAccepted)
	if _, err := a.db.Arrived(t.Context(), signer.Delivery{Operator: "a", OperatorID: "1", State: signer.DeliveryFailed, At: now}); err != nil {
		t.Fatal(err)
	}
	wants(signer.DeliveryFailed)
	code("second", now.Add(time.Second))
	wants("")
}

// However many count at once, no more than the limit come through, and what
// one subject refuses costs the others nothing.
func TestCountSMS(t *testing.T) {
	t.Parallel()
	db := openStore(t, pgtest.New(t, store.Migrate).Signer)
	hour := instantOf(t, "2026-03-10T11:00:00Z")
	quotas := func(number string) []signer.SMSQuota {
		return []signer.SMSQuota{
			{Kind: signer.QuotaNumber, Subject: number, Limit: 3}, {Kind: signer.QuotaPrefix, Subject: "+3460000", Limit: 5}, {Kind: signer.QuotaService, Limit: 6},
		}
	}
	count := func(hour time.Time, number string) string {
		full, err := db.CountSMS(t.Context(), hour, quotas(number))
		if err != nil {
			t.Error(err)
		}
		return full
	}
	var mu sync.Mutex
	answers := map[string]int{}
	var counting sync.WaitGroup
	for range 12 {
		counting.Go(func() {
			full := count(hour, "+34600001111")
			mu.Lock()
			defer mu.Unlock()
			answers[full]++
		})
	}
	counting.Wait()
	if answers[""] != 3 || answers[signer.QuotaNumber] != 9 {
		t.Errorf("got answers %v, want 3 through and 9 refused for the number", answers)
	}
	for i, want := range []string{"", "", signer.QuotaPrefix, signer.QuotaPrefix} {
		if got := count(hour, "+34600002222"); got != want {
			t.Errorf("message %d of another number: got %q, want %q", i+1, got, want)
		}
	}
	if got := count(hour.Add(time.Hour), "+34600001111"); got != "" {
		t.Errorf("in the next hour: got %q, want it through", got)
	}
	if err := db.ForgetMessages(t.Context(), hour.Add(49*time.Hour-time.Second)); err != nil {
		t.Fatal(err)
	}
	if got := count(hour, "+34600001111"); got != "" {
		t.Errorf("after the counts of the hour were forgotten: got %q, want it through", got)
	}
}
