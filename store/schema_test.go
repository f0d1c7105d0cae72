package store_test

import (
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/internal/pgtest"
	"github.com/rubrica-firma/rubrica/internal/postgres"
	"github.com/rubrica-firma/rubrica/store"
)

var update = flag.Bool("update", false, "write schema.sql anew")

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

const schemaHead = `-- What the migrations make, to read in one piece: dumped from a migrated database,
-- without the tables of goose and River. Written by
--
--     go test ./store -run TestSchema -update

`

// schema.sql is for readers; it must say what the migrations do.
func TestSchema(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, store.Migrate)
	got := schemaHead + readable(dump(t, db.Owner))
	if *update {
		if err := os.WriteFile("schema.sql", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("schema.sql is not what the migrations make (write it anew with -update) (-file +database):\n%s", diff)
	}
}

func dump(t *testing.T, url string) string {
	t.Helper()
	binaries, err := postgres.Find(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), filepath.Join(binaries, "pg_dump"),
		"--schema-only", "--no-owner", "--table=public.*", "--exclude-table=goose_*", "--exclude-table=river_*", url).Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			t.Fatalf("pg_dump: %v: %s", err, exit.Stderr)
		}
		t.Fatalf("pg_dump: %v", err)
	}
	return string(out)
}

// readable drops what depends on pg_dump's version or says nothing of the
// schema: its comments, its settings, its meta-commands.
func readable(dump string) string {
	var b strings.Builder
	blank := true
	for line := range strings.Lines(dump) {
		switch {
		case strings.HasPrefix(line, "--"), strings.HasPrefix(line, "SET "), strings.HasPrefix(line, `\`),
			strings.HasPrefix(line, "SELECT pg_catalog."):
			continue
		case line == "\n" && blank:
			continue
		}
		blank = line == "\n" || strings.HasPrefix(line, "GRANT ") // what is granted stands together
		b.WriteString(strings.ReplaceAll(line, "public.", ""))
	}
	return strings.TrimSpace(b.String()) + "\n"
}
