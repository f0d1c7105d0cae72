package e2e

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/api/rest/client"
)

// noticed is how soon readiness says what is the case (F12).
const noticed = 5 * time.Second

// TestFaultLog takes the log away from the service while it runs: nothing is
// signed, people and programs are told to come back, readiness is red, and all
// goes on by itself when the log is back.
func TestFaultLog(t *testing.T) {
	c := certified(t)
	w := walk(t, c)
	w.reach(t, "/confirmar")
	digits := code(t, c, w.since)
	entries, signer := shared.query(t, `SELECT size::int FROM log_head`), pidOf(t, "signer")
	refuseEntries(t, "true")
	until(t, "not ready", func() bool { return !shared.ready() })

	submit(t, w.browser, form{"code": digits})
	says(t, w.browser, http.StatusServiceUnavailable, "")
	other := plainBrowser(t)
	open(t, other, w.request.SigningURL)
	submit(t, other, form{"identifier": c.Identifier, "password": c.Password})
	says(t, other, http.StatusServiceUnavailable, "")
	answer, err := shared.world.Sede.CreateSignatureRequestWithResponse(t.Context(),
		&client.CreateSignatureRequestParams{IdempotencyKey: "no-log"}, order(c, note()))
	wantProblem(t, client.Check(answer, err), "unavailable", "")
	if answer != nil && answer.HTTPResponse.Header.Get("Retry-After") == "" {
		t.Error("got no Retry-After")
	}
	if got := shared.query(t, `SELECT size::int FROM log_head`); got != entries {
		t.Errorf("got %d entries, want %d", got, entries)
	}
	checkInvariants(t)

	allowEntries(t)
	until(t, "ready", shared.ready)
	if got := pidOf(t, "signer"); got != signer {
		t.Errorf("got another signer, %d, want %d to have gone on", got, signer)
	}
	w.finish(t)
	checkInvariants(t)
}

// TestFaultLogAtOutcome lets the log take everything but the outcome of a
// signature: the signature, which has been made, does not leave.
func TestFaultLogAtOutcome(t *testing.T) {
	c := certified(t)
	w := walk(t, c)
	w.reach(t, "/confirmar")
	digits := code(t, c, w.since)
	refuseEntries(t, "NEW.type = 'sign.done'")
	submit(t, w.browser, form{"code": digits})
	if w.browser.Status() != http.StatusOK && w.browser.Status() != http.StatusServiceUnavailable {
		t.Errorf("got status %d: %s", w.browser.Status(), w.browser.Text())
	}
	for what, sql := range map[string]string{
		"intents":    `SELECT count(*) FROM log_entries WHERE operation = $1 AND type = 'sign.intent'`,
		"signatures": `SELECT count(*) + 1 FROM documents WHERE request_id = $1 AND cms IS NOT NULL`,
	} {
		if got := shared.query(t, sql, w.request.ID); got != 1 {
			t.Errorf("got %d %s, want the one and not the other", got, what)
		}
	}
	checkInvariants(t)
	if err := shared.settled(t.Context()); err != nil {
		t.Error(err)
	}
	wantState(t, w.request.ID, "pending")
	allowEntries(t)
	w.finish(t)
	checkInvariants(t)
}

// refuseEntries makes the log refuse the entries for which a condition holds,
// until allowEntries or the end of the test.
func refuseEntries(t *testing.T, condition string) {
	t.Helper()
	t.Cleanup(func() { allowEntries(t) })
	shared.exec(t, `
		CREATE OR REPLACE FUNCTION refuse_entry() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN RAISE EXCEPTION 'no entries today'; END $$`)
	shared.exec(t, `CREATE TRIGGER refuse_entry BEFORE INSERT ON log_entries FOR EACH ROW WHEN (`+condition+`) EXECUTE FUNCTION refuse_entry()`)
}

func allowEntries(t *testing.T) {
	t.Helper()
	shared.exec(t, `DROP TRIGGER IF EXISTS refuse_entry ON log_entries`)
	shared.exec(t, `DROP FUNCTION IF EXISTS refuse_entry`)
}

// exec changes the database, as its owner.
func (e *environment) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context()) // it also cleans up
	conn, err := pgx.Connect(ctx, e.checker.Database)
	if err != nil {
		t.Fatalf("connecting: %v", err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, sql, args...); err != nil {
		t.Fatalf("changing the database: %v", err)
	}
}

// until waits for what must be noticed.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	began := time.Now()
	for !holds() {
		if time.Since(began) > noticed {
			t.Fatalf("the service is not %q after %v", what, noticed)
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Logf("%s after %v", what, time.Since(began).Round(time.Millisecond))
}
