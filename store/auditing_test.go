package store_test

import (
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/internal/pgtest"
	"github.com/rubrica-firma/rubrica/store"
)

// TestAuditorGrants holds the auditors' role against what it is for: it reads
// the log and writes nothing that anybody could take for it, and it knows no
// citizen but from there.
func TestAuditorGrants(t *testing.T) {
	t.Parallel()
	conn := as(t, pgtest.New(t, store.Migrate).Auditor)
	forbidden := append([]string{
		`SELECT * FROM citizens`,
		`SELECT * FROM registrations`,
		`SELECT * FROM requests`,
		`SELECT * FROM documents`,
		`SELECT * FROM contents`,
		`SELECT data FROM content_pieces`,
		`SELECT box FROM credentials`,
		`SELECT mac FROM challenges`,
		`SELECT sealed_key FROM tickets`,
		`SELECT secret_hash FROM applications`,
		`SELECT mac FROM activations`,
		`SELECT * FROM log_head FOR UPDATE`,
		`CREATE TABLE mine (x integer)`,
		`SET ROLE rubrica_signer`,
		`SET ROLE rubrica_api`,
	}, writes("log_entries.payload", "log_hashes.hash", "log_head.size", "log_terms.value", "log_trees.key", "log_checkpoints.note", "log_totals.n", "auditors.role",
		"applications.name", "citizens.phone", "certificates.der")...)
	for _, sql := range forbidden {
		if _, err := conn.Exec(t.Context(), sql); stateOf(err) != insufficientPrivilege {
			t.Errorf("%s: got %v, want permission denied", sql, err)
		}
	}
	for _, sql := range []string{
		`SELECT payload, salt FROM log_entries`,
		`SELECT hash FROM log_hashes`,
		`SELECT value FROM log_terms`,
		`SELECT note FROM log_checkpoints`,
		`SELECT n FROM log_totals`,
		`SELECT id, name FROM applications`,
	} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Errorf("%s: got %v, want it allowed", sql, err)
		}
	}
}

// filled is an entry with what its schema requires and more.
func filled(kind audit.EventType, at time.Time, more map[string]any) audit.Entry {
	schema, _ := audit.SchemaOf(kind)
	payload := schema.Example()
	maps.Copy(payload, more)
	return audit.Entry{Type: kind, Operation: "OP1", At: at, Person: "12345678Z", Payload: payload}
}

// TestTotals counts while others append and count: each entry once.
func TestTotals(t *testing.T) {
	t.Parallel()
	urls := pgtest.New(t, store.Migrate)
	db := connected(t, urls.Signer)
	day := time.Date(2026, 3, 1, 23, 59, 0, 0, time.UTC)
	next := day.Truncate(24*time.Hour).AddDate(0, 0, 1)
	db.Now = func() time.Time { return next.Add(time.Minute) }
	var group sync.WaitGroup
	const turns = 25
	for range 2 {
		group.Go(func() {
			for range turns {
				if err := db.Total(t.Context()); err != nil {
					t.Errorf("counting: %v", err)
				}
			}
		})
	}
	for range turns {
		err := db.Log(t.Context(),
			filled(audit.SignDone, day, map[string]any{"application": "sede"}),
			filled(audit.SignDone, next, map[string]any{"application": "sede"}),
			filled(audit.SignAuthorised, next, map[string]any{"application": "sede", "seconds": 7}),
			filled(audit.SignDenied, next, map[string]any{"application": "sede", "reason": "certificate_expired"}),
			filled(audit.SignDenied, next, map[string]any{"reason": "certificate_expired"}),
			filled(audit.ServiceStarted, next, nil),
		)
		if err != nil {
			t.Fatal(err)
		}
	}
	group.Wait()
	if err := db.Total(t.Context()); err != nil {
		t.Fatal(err)
	}

	a := store.ForAuditor(connected(t, urls.Auditor))
	totals, counted, err := a.Totals(t.Context(), day.Truncate(24*time.Hour), next.AddDate(0, 0, 1))
	if err != nil || counted != 6*turns {
		t.Fatalf("got %d counted and %v, want %d", counted, err, 6*turns)
	}
	first, second := day.Truncate(24*time.Hour), next
	want := []audit.Total{
		{Day: first, Type: audit.SignDone, Application: "sede", N: turns},
		{Day: second, Type: audit.ServiceStarted, N: turns},
		{Day: second, Type: audit.SignAuthorised, Application: "sede", N: turns, Seconds: 7 * turns},
		{Day: second, Type: audit.SignDenied, N: turns},
		{Day: second, Type: audit.SignDenied, Application: "sede", N: turns},
		{Day: second, Type: audit.SignDone, Application: "sede", N: turns},
	}
	if diff := cmp.Diff(want, totals); diff != "" {
		t.Errorf("totals (-want +got):\n%s", diff)
	}
	reasons, err := a.Reasons(t.Context(), second, second.AddDate(0, 0, 1))
	want = []audit.Total{{Day: second, Type: audit.SignDenied, Reason: "certificate_expired", N: 2 * turns}}
	if diff := cmp.Diff(want, reasons); diff != "" || err != nil {
		t.Errorf("reasons: %v (-want +got):\n%s", err, diff)
	}
	if totals, _, err = a.Totals(t.Context(), first, second); err != nil || len(totals) != 1 {
		t.Errorf("the first day: got %+v and %v, want one row", totals, err)
	}
}

// TestTotalsInPortions counts more than one transaction does, and goes on where
// it was broken off.
func TestTotalsInPortions(t *testing.T) {
	t.Parallel()
	urls := pgtest.New(t, store.Migrate)
	db := connected(t, urls.Signer)
	at := time.Now()
	const portions, size = 6, 1000
	for range portions {
		entries := make([]audit.Entry, size)
		for i := range entries {
			entries[i] = filled(audit.ServiceStarted, at, nil)
		}
		if err := db.Log(t.Context(), entries...); err != nil {
			t.Fatal(err)
		}
	}
	// One portion, and then its end: as a process dies after it.
	if more, err := store.TotalOnce(t.Context(), db); err != nil || !more {
		t.Fatalf("the first portion: got more %v and %v", more, err)
	}
	if err := db.Total(t.Context()); err != nil {
		t.Fatal(err)
	}
	totals, counted, err := store.ForAuditor(connected(t, urls.Auditor)).Totals(t.Context(), at.AddDate(0, 0, -2), at.AddDate(0, 0, 2))
	if err != nil || counted != portions*size || len(totals) != 1 || totals[0].N != portions*size {
		t.Errorf("got %+v, %d counted and %v, want %d", totals, counted, err, portions*size)
	}
}

func connected(t *testing.T, url string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}
