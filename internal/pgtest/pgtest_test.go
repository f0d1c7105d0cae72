package pgtest_test

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/internal/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

func migration(runs *atomic.Int32) func(context.Context, string) error {
	return func(ctx context.Context, url string) error {
		runs.Add(1)
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			return fmt.Errorf("connecting as owner: %w", err)
		}
		defer func() { _ = conn.Close(ctx) }()
		_, err = conn.Exec(ctx, `
			DO $$ BEGIN
				IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'rubrica_api') THEN
					CREATE ROLE rubrica_api;
					CREATE ROLE rubrica_signer;
				END IF;
			END $$;
			CREATE TABLE things (name text PRIMARY KEY);
			GRANT SELECT ON things TO rubrica_api;
			GRANT SELECT, INSERT ON things TO rubrica_signer`)
		if err != nil {
			return fmt.Errorf("creating: %w", err)
		}
		return nil
	}
}

// TestNew makes databases in parallel and looks for anything that leaks from
// one test into another: rows, the rights of roles, the migration itself.
func TestNew(t *testing.T) {
	t.Parallel()
	var migrations atomic.Int32
	migrate := migration(&migrations)
	t.Run("parallel", func(t *testing.T) {
		t.Parallel()
		t.Cleanup(func() {
			if got := migrations.Load(); got > 1 {
				t.Errorf("got %d migrations, want one a process", got)
			}
		})
		for i := range 8 {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				db := pgtest.New(t, migrate)
				insert := "INSERT INTO things VALUES ('same key in each')"
				if err := exec(t, db.API, insert); err == nil {
					t.Error("got an insert by rubrica_api, want it denied")
				}
				if err := exec(t, db.Signer, insert); err != nil {
					t.Errorf("inserting as rubrica_signer: %v", err)
				}
			})
		}
	})
}

func TestNewEmpty(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, nil)
	if err := exec(t, db.Owner, "CREATE TABLE mine (name text)"); err != nil {
		t.Errorf("creating a table as owner: %v", err)
	}
}

func exec(t *testing.T, url, sql string) error {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatalf("connecting: %v", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	_, err = conn.Exec(t.Context(), sql)
	return err
}
