// Package pgtest gives each test a PostgreSQL database of its own, on a real
// server: one private cluster for each test process, one migrated template in
// it, one copy of the template for each test.
//
//	func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }
//
//	func TestSomething(t *testing.T) {
//		db := pgtest.New(t, store.Migrate)
//		pool, err := pgxpool.New(t.Context(), db.Signer)
//
// Missing PostgreSQL is a failure, never a skip.
package pgtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sys/unix"

	"github.com/rubrica-firma/rubrica/internal/postgres"
	"github.com/rubrica-firma/rubrica/internal/scratch"
)

// Variable names the socket directory of a running cluster to use instead of
// one's own. Main sets it for the tests of its process.
const Variable = "RUBRICA_TEST_POSTGRES"

// owner is the role that owns each database and runs the migrations. As in
// production, it is no superuser, but may create the service's roles.
const owner = "rubrica_owner"

// dirPattern names the clusters' directories. Each holds a lock for as long as
// its process lives, so that the next run can remove what a killed one left.
const dirPattern = "rubrica-pgtest-"

// Database is a test's own database: its addresses by role.
type Database struct {
	Name    string
	Owner   string
	API     string // role rubrica_api
	Signer  string // role rubrica_signer
	Auditor string // role rubrica_auditor
	// Registrar is the role rubrica_registrar.
	Registrar string
}

// Main runs the tests of a package with a cluster behind them and returns the
// exit status.
func Main(m *testing.M) int {
	ctx := context.Background()
	if os.Getenv(Variable) != "" {
		defer dropTemplate(ctx)
		return m.Run()
	}
	stop, err := start(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "pgtest:", err)
		return 1
	}
	defer stop()
	return m.Run()
}

func start(ctx context.Context) (stop func(), err error) {
	if err := sweep(); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(scratch.Root(), dirPattern)
	if err != nil {
		return nil, fmt.Errorf("making a directory for the cluster: %w", err)
	}
	remove := func() { _ = os.RemoveAll(dir) }
	defer func() {
		if err != nil {
			remove()
		}
	}()
	if err := os.Chmod(dir, 0o711); err != nil { //nolint:gosec // the server's user passes through it, but cannot list it
		return nil, fmt.Errorf("opening the cluster's directory: %w", err)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, fmt.Errorf("making the cluster's log: %w", err)
	}
	if err := lock(log); err != nil {
		return nil, err
	}
	cluster := &postgres.Cluster{
		Dir:       filepath.Join(dir, "data"),
		SocketDir: filepath.Join(dir, "s"),
		Settings: map[string]string{
			"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "autovacuum": "off",
			"shared_buffers": "32MB", "max_connections": "400", "jit": "off",
			"wal_level": "minimal", "max_wal_senders": "0", "max_wal_size": "128MB",
		},
		Log:      log,
		Orphaned: syscall.SIGQUIT,
	}
	if err := postgres.Own(cluster.SocketDir); err != nil {
		return nil, err
	}
	if err := cluster.Init(ctx); err != nil {
		return nil, err
	}
	if err := cluster.Start(ctx); err != nil {
		text, _ := os.ReadFile(log.Name())
		return nil, fmt.Errorf("%w\n%s", err, text)
	}
	if err := os.Setenv(Variable, cluster.SocketDir); err != nil {
		return nil, fmt.Errorf("telling the tests of the cluster: %w", err)
	}
	return func() { cluster.Stop(ctx); remove() }, nil
}

// lock marks the directory as in use until this process ends.
func lock(log *os.File) error {
	if err := unix.Flock(int(log.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return fmt.Errorf("locking the cluster's directory: %w", err)
	}
	return nil
}

// sweep removes the directories whose process is gone.
func sweep() error {
	dirs, err := filepath.Glob(filepath.Join(scratch.Root(), dirPattern+"*"))
	if err != nil {
		return fmt.Errorf("looking for abandoned clusters: %w", err)
	}
	for _, dir := range dirs {
		log, err := os.Open(filepath.Join(dir, "log"))
		if err != nil {
			continue // just being made, or not ours to read
		}
		if lock(log) == nil {
			_ = os.RemoveAll(dir) // what cannot be removed belongs to somebody else
		}
		_ = log.Close()
	}
	return nil
}

// New gives the test a copy of a database that was migrated once in this
// process, and drops it when the test ends. A nil migrate gives an empty one.
// All tests of a process use the same migrate, or nil.
func New(tb testing.TB, migrate func(ctx context.Context, ownerURL string) error) Database {
	tb.Helper()
	socketDir := os.Getenv(Variable)
	if socketDir == "" {
		tb.Fatal("pgtest.New without pgtest.Main: add func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }")
	}
	ctx := tb.Context()
	admin, err := pgx.Connect(ctx, postgres.URL(socketDir, postgres.Superuser, "", "postgres"))
	if err != nil {
		tb.Fatalf("connecting to the test cluster: %v", err)
	}
	defer func() { _ = admin.Close(context.WithoutCancel(ctx)) }()

	source, err := template(ctx, admin, migrate)
	if err != nil {
		tb.Fatalf("making the template database: %v", err)
	}
	name := databaseName("t")
	if err := create(ctx, admin, name, source); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		// tb.Context has ended by now.
		if err := drop(context.Background(), socketDir, name); err != nil {
			tb.Error(err)
		}
	})
	return Database{
		Name:    name,
		Owner:   postgres.URL(socketDir, owner, "", name),
		API:     postgres.URL(socketDir, "rubrica_api", "", name),
		Signer:  postgres.URL(socketDir, "rubrica_signer", "", name),
		Auditor: postgres.URL(socketDir, "rubrica_auditor", "", name),

		Registrar: postgres.URL(socketDir, "rubrica_registrar", "", name),
	}
}

// template returns the name of this process's migrated database, made by the
// first test that asks. Roles belong to the whole cluster, which other test
// processes may share: one lock orders all migrations.
func template(ctx context.Context, admin *pgx.Conn, migrate func(context.Context, string) error) (name string, err error) {
	if _, err := admin.Exec(ctx, `SELECT pg_advisory_lock(hashtext('rubrica pgtest'))`); err != nil {
		return "", fmt.Errorf("locking: %w", err)
	}
	defer func() {
		_, unlocking := admin.Exec(ctx, `SELECT pg_advisory_unlock(hashtext('rubrica pgtest'))`)
		err = errors.Join(err, unlocking)
	}()
	if err := createOwner(ctx, admin); err != nil {
		return "", err
	}
	if migrate == nil {
		return "template1", nil
	}
	name = templateName()
	var exists bool
	if err := admin.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, name).Scan(&exists); err != nil {
		return "", fmt.Errorf("looking for the template: %w", err)
	}
	if exists {
		return name, nil
	}
	// Renaming last makes an interrupted migration invisible.
	unfinished := databaseName("unfinished")
	if err := create(ctx, admin, unfinished, "template1"); err != nil {
		return "", err
	}
	if err := migrate(ctx, postgres.URL(os.Getenv(Variable), owner, "", unfinished)); err != nil {
		return "", fmt.Errorf("migrating: %w", err)
	}
	return name, finish(ctx, admin, unfinished, name)
}

// finish lets the service roles in (the cluster asks for no password) and
// gives the template its name.
func finish(ctx context.Context, admin *pgx.Conn, unfinished, name string) error {
	_, err := admin.Exec(ctx, `
		DO $$
		DECLARE
			service text;
		BEGIN
			FOR service IN SELECT rolname FROM pg_roles WHERE rolname IN ('rubrica_api', 'rubrica_signer') LOOP
				EXECUTE format('ALTER ROLE %I LOGIN', service);
			END LOOP;
		END $$`)
	if err != nil {
		return fmt.Errorf("letting the service roles in: %w", err)
	}
	if _, err := admin.Exec(ctx, "ALTER DATABASE "+identifier(unfinished)+" RENAME TO "+identifier(name)); err != nil {
		return fmt.Errorf("naming the template: %w", err)
	}
	return nil
}

func createOwner(ctx context.Context, admin *pgx.Conn) error {
	_, err := admin.Exec(ctx, `
		DO $$
		BEGIN
			IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'rubrica_owner') THEN
				CREATE ROLE rubrica_owner LOGIN CREATEROLE;
			END IF;
		END $$`)
	if err != nil {
		return fmt.Errorf("creating the owner role: %w", err)
	}
	return nil
}

// create copies a database file by file: through the log, which is the default,
// takes four times as long.
func create(ctx context.Context, admin *pgx.Conn, name, source string) error {
	_, err := admin.Exec(ctx, "CREATE DATABASE "+identifier(name)+" TEMPLATE "+identifier(source)+" OWNER "+owner+" STRATEGY file_copy")
	if err != nil {
		return fmt.Errorf("creating database %s from %s: %w", name, source, err)
	}
	return nil
}

func drop(ctx context.Context, socketDir, name string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	admin, err := pgx.Connect(ctx, postgres.URL(socketDir, postgres.Superuser, "", "postgres"))
	if err != nil {
		return fmt.Errorf("connecting to drop database %s: %w", name, err)
	}
	defer func() { _ = admin.Close(ctx) }()
	if _, err := admin.Exec(ctx, "DROP DATABASE IF EXISTS "+identifier(name)+" WITH (FORCE)"); err != nil {
		return fmt.Errorf("dropping database %s: %w", name, err)
	}
	return nil
}

// dropTemplate leaves a shared cluster as it was found.
func dropTemplate(ctx context.Context) {
	if err := drop(ctx, os.Getenv(Variable), templateName()); err != nil {
		fmt.Fprintln(os.Stderr, "pgtest:", err)
	}
}

func templateName() string { return "template_" + strconv.Itoa(os.Getpid()) }

// databaseName is unlike that of any other test, of this process or another.
func databaseName(kind string) string {
	return fmt.Sprintf("%s_%d_%s", kind, os.Getpid(), rand.Text()[:12])
}

func identifier(name string) string { return pgx.Identifier{name}.Sanitize() }
