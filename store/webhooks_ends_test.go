package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// A request that is interrupted, and then refused, tells of both, in their order;
// and what is taken back tells nothing.
func TestEndsAreTold(t *testing.T) {
	t.Parallel()
	a := newDeposit(t)
	owner := openStore(t, a.url.Owner)
	a.sql(`INSERT INTO webhooks (id, application_id, url, created_at) VALUES ('w', 'sede', 'https://sede.example/avisos', now()), ('o', 'otra', 'https://otra.example/', now())`)
	content := []byte("text")
	if err := a.request("r", "sede", a.upload("u", content), signer.HeldContent(content)); err != nil {
		t.Fatal(err)
	}
	// Nothing of the citizen matters here but the ticket and the intent.
	a.sql(`
		DO $$ DECLARE c record; BEGIN
			FOR c IN SELECT conname, conrelid::regclass AS t FROM pg_constraint WHERE contype = 'f' AND conrelid IN ('authorisations'::regclass, 'tickets'::regclass) LOOP
				EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', c.t, c.conname);
			END LOOP;
		END $$`)
	a.sql(`INSERT INTO tickets (hash, purpose, request_id, citizen_id, generation, expires_at) VALUES ('\x01', 'signature', 'r', 'ana', 1, now() + interval '1 hour')`)
	a.sql(`INSERT INTO authorisations (id, request_id, challenge_id, credential_id, generation, serial, documents, state, created_at, lease_until)
		VALUES ('i', 'r', 'c', 'k', 1, '01', '[]', 'intent', now(), now())`)
	a.sql(`UPDATE requests SET state = 'signing' WHERE id = 'r'`)

	entry := func(kind audit.EventType, facts map[string]any) audit.Entry {
		return audit.Entry{Type: kind, Operation: "r", At: a.now, Person: "12345678Z", Payload: facts}
	}
	interrupted := entry(audit.SignInterrupted, map[string]any{"application": "sede", "authorisation": "i"})
	refused := entry(audit.SignRefused, map[string]any{"application": "sede", "by": "citizen"})
	for _, step := range []struct {
		name string
		err  error
		want policies.Code // empty: it is done
		told []string
	}{
		{"refused while it is signed", owner.RefuseRequest(t.Context(), []byte{1}, refused), policies.RequestState, []string{}},
		{"another intent", owner.InterruptSignature(t.Context(), "nobody", interrupted), policies.RequestState, []string{}},
	} {
		if !errors.Is(step.err, policies.Refuse(step.want)) {
			t.Errorf("%s: got %v, want %s", step.name, step.err, step.want)
		}
		if diff := cmp.Diff(step.told, a.told("sede")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
	}
	if err := owner.InterruptSignature(t.Context(), "i", interrupted); err != nil {
		t.Fatal(err)
	}
	want := []string{"r 1 pending signature_request.interrupted"}
	if diff := cmp.Diff(want, a.told("sede")); diff != "" {
		t.Errorf("interrupted (-want +got):\n%s", diff)
	}
	refused.At = a.now.Add(time.Second)
	if err := owner.RefuseRequest(t.Context(), []byte{1}, refused); err != nil {
		t.Fatal(err)
	}
	want = append(want, "r 2 refused signature_request.refused")
	if diff := cmp.Diff(want, a.told("sede")); diff != "" {
		t.Errorf("refused (-want +got):\n%s", diff)
	}
	if got := a.told("otra"); len(got) > 0 {
		t.Errorf("another's application was told %v", got)
	}
}

// Addresses come and go in the log.
func TestWebhooksAreLogged(t *testing.T) {
	t.Parallel()
	a := newDeposit(t)
	owner := openStore(t, a.url.Owner)
	w, err := owner.AddWebhook(t.Context(), signer.Webhook{ID: "w", ApplicationID: "sede", URL: "https://sede.example/avisos", CreatedAt: a.now})
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.RemoveWebhook(t.Context(), w.ID, a.now); err != nil {
		t.Fatal(err)
	}
	if err := owner.RemoveWebhook(t.Context(), w.ID, a.now); !errors.Is(err, policies.Refuse(policies.NotFound)) {
		t.Errorf("removing again: got %v, want not found", err)
	}
	if _, err := owner.AddWebhook(t.Context(), signer.Webhook{ID: "x", ApplicationID: "nobody", URL: "https://x.example/", CreatedAt: a.now}); !errors.Is(err, policies.Refuse(policies.ApplicationUnknown)) {
		t.Errorf("nobody's: got %v, want it refused", err)
	}
	var got []string
	err = as(t, a.url.Owner).QueryRow(t.Context(), `
		SELECT array_agg(p ->> 'change' || ' ' || (p ->> 'webhook') || ' ' || (p ->> 'url') ORDER BY seq)
		FROM (SELECT seq, convert_from(payload, 'UTF8')::jsonb AS p FROM log_entries WHERE type = 'application.changed') AS e`).Scan(&got)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"webhook_added w https://sede.example/avisos", "webhook_removed w https://sede.example/avisos"}, got); diff != "" {
		t.Errorf("the log (-want +got):\n%s", diff)
	}
}
