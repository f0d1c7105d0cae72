package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/internal/pgtest"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/store"
)

// A server that goes away is unavailable, not a mistake of ours; and when it is
// back, so is the store.
func TestConnectionsCut(t *testing.T) {
	t.Parallel()
	database := pgtest.New(t, store.Migrate)
	db, err := store.Open(t.Context(), database.Signer)
	if err != nil {
		t.Fatalf("opening the database: %v", err)
	}
	t.Cleanup(db.Close)
	entry := audit.Entry{Type: audit.ClockTrusted, Operation: "test", At: time.Now()}
	calls := map[string]func(context.Context) error{
		"a row":         func(ctx context.Context) error { _, err := db.Request(ctx, "nobody's"); return err },
		"a transaction": func(ctx context.Context) error { return db.Log(ctx, entry) },
	}
	for name, call := range calls {
		if err := call(t.Context()); err != nil && !errors.Is(err, policies.Refuse(policies.RequestUnknown)) {
			t.Fatalf("%s before the cut: %v", name, err)
		}
		if err := overCut(t, database, call); !errors.Is(err, policies.Refuse(policies.Unavailable)) {
			t.Errorf("%s over a cut connection: got %v, want %s", name, err, policies.Unavailable)
		}
		if err := call(t.Context()); errors.Is(err, policies.Refuse(policies.Unavailable)) {
			t.Errorf("%s afterwards: %v", name, err)
		}
	}
}

// overCut calls right after a cut. A machine that is slow between the two finds
// the pool in doubt already, which looks before it calls: then it is done again.
func overCut(t *testing.T, database pgtest.Database, call func(context.Context) error) error {
	t.Helper()
	var err error
	for range 50 {
		cut(t, database)
		if err = call(t.Context()); errors.Is(err, policies.Refuse(policies.Unavailable)) {
			return err
		}
	}
	return err
}

// cut ends the signer's connections from the server's side.
func cut(t *testing.T, database pgtest.Database) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), database.Signer)
	if err != nil {
		t.Fatalf("connecting: %v", err)
	}
	defer conn.Close(context.Background()) //nolint:errcheck // the test is over by then
	_, err = conn.Exec(t.Context(), `
		SELECT pg_terminate_backend(pid)
		FROM pg_stat_activity
		WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()`)
	if err != nil {
		t.Fatalf("cutting connections: %v", err)
	}
}
