package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/internal/child"
	"github.com/rubrica-firma/rubrica/internal/postgres"
	"github.com/rubrica-firma/rubrica/signer/rpc"
	"github.com/rubrica-firma/rubrica/store"
)

// server is a PostgreSQL cluster for as long as the house is measured. It is as
// durable as any: fsync is part of what a signature costs.
type server struct {
	keys    *Keys
	cluster *postgres.Cluster
	dir     string // of the cluster
	sockets string // short, for sockets
	log     *os.File
}

func (k *Keys) startServer(ctx context.Context) (s *server, err error) {
	s = &server{keys: k, dir: filepath.Join(k.Dir, "keys")}
	defer func() {
		if err != nil {
			s.stop(ctx)
		}
	}()
	if err := errors.Join(os.RemoveAll(s.dir), os.MkdirAll(s.dir, 0o711)); err != nil { //nolint:gosec // the server's user passes through it
		return s, fmt.Errorf("making a directory: %w", err)
	}
	if s.sockets, err = os.MkdirTemp("", "rubrica-bench-"); err != nil {
		return s, fmt.Errorf("making a directory for sockets: %w", err)
	}
	if err := os.Chmod(s.sockets, 0o711); err != nil { //nolint:gosec // as above
		return s, fmt.Errorf("opening the directory for sockets: %w", err)
	}
	if s.log, err = os.Create(filepath.Join(s.dir, "log")); err != nil {
		return s, fmt.Errorf("making a log: %w", err)
	}
	s.cluster = &postgres.Cluster{
		Dir:       filepath.Join(s.dir, "data"),
		SocketDir: filepath.Join(s.sockets, "postgres"),
		// Neither autovacuum nor a checkpoint that happens to fall into one round
		// says anything about that round.
		Settings: map[string]string{
			"autovacuum": "off", "checkpoint_timeout": "1h", "max_wal_size": "16GB", "shared_buffers": "512MB",
		},
		Log:      s.log,
		Orphaned: syscall.SIGQUIT,
	}
	if err := postgres.Own(s.cluster.SocketDir); err != nil {
		return s, err
	}
	// The ceremony of keys is held by the user to whom the token belongs.
	if err := os.Chmod(s.cluster.SocketDir, 0o711); err != nil { //nolint:gosec // as above
		return s, fmt.Errorf("opening the directory for sockets: %w", err)
	}
	if err := s.cluster.Init(ctx); err != nil {
		return s, err
	}
	return s, s.cluster.Start(ctx)
}

// stop ends the server and removes what it wrote.
func (s *server) stop(ctx context.Context) {
	if s.cluster != nil {
		s.cluster.Stop(context.WithoutCancel(ctx))
	}
	if s.log != nil {
		_ = s.log.Close()
	}
	if s.sockets != "" {
		_ = os.RemoveAll(s.sockets)
	}
	_ = os.RemoveAll(s.dir)
}

// hurry lets commits not wait for the disk while databases are filled; later they
// do again.
func (s *server) hurry(ctx context.Context) (later func() error, err error) {
	set := func(value string) error {
		conn, err := s.connect(ctx, "postgres")
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close(ctx) }()
		if _, err := conn.Exec(ctx, "ALTER SYSTEM SET synchronous_commit = "+value); err != nil {
			return fmt.Errorf("setting the server: %w", err)
		}
		if _, err := conn.Exec(ctx, `SELECT pg_reload_conf()`); err != nil {
			return fmt.Errorf("setting the server: %w", err)
		}
		return nil
	}
	return func() error { return set("on") }, set("off")
}

func (s *server) url(role, database string) string { return s.cluster.URL(role, "", database) }

// connect opens a connection that no rule stops.
func (s *server) connect(ctx context.Context, database string) (*pgx.Conn, error) {
	conn, err := pgx.Connect(ctx, s.url(postgres.Superuser, database))
	if err != nil {
		return nil, fmt.Errorf("connecting to the database: %w", err)
	}
	return conn, nil
}

// prepare makes a database in which the first ceremony of keys has been held,
// with the environment's token.
func (s *server) prepare(ctx context.Context, database string) error {
	admin, err := s.connect(ctx, "postgres")
	if err != nil {
		return err
	}
	defer func() { _ = admin.Close(ctx) }()
	if _, err := admin.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{database}.Sanitize()); err != nil {
		return fmt.Errorf("making a database: %w", err)
	}
	if err := store.Migrate(ctx, s.url(postgres.Superuser, database)); err != nil {
		return err
	}
	init := s.rubrica(ctx, "ca", "init", "--yes", "--database", s.url("rubrica_signer", database))
	if out, err := init.CombinedOutput(); err != nil {
		return fmt.Errorf("holding a ceremony of keys: %w\n%s", err, out)
	}
	return nil
}

func (s *server) rubrica(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, s.keys.Program, append(args, "--config", s.keys.Settings)...)
}

// signerProcess is a signer of its own, as deployments run it.
type signerProcess struct {
	*child.Process

	client *rpc.Client
}

// signer starts a signer on a database and waits until it takes calls. It makes
// no keys in idle time: they would be made while something else is measured.
func (s *server) signer(ctx context.Context, database string, flags ...string) (signerProcess, error) {
	socket := filepath.Join(s.sockets, database+".sock")
	// Its log is none of those that the environment's witness and state file know.
	policy := filepath.Join(s.dir, "policy")
	if err := os.WriteFile(policy, []byte("quorum none\n"), 0o600); err != nil {
		return signerProcess{}, fmt.Errorf("writing a policy: %w", err)
	}
	flags = append([]string{
		"signer", "--database", s.url("rubrica_signer", database),
		"--socket", socket, "--peer-user", fmt.Sprint(os.Geteuid()), "--ready-keys", "0",
		"--witness-policy", policy, "--log-state", filepath.Join(s.dir, database+".state"),
	}, flags...)
	cmd := s.rubrica(context.WithoutCancel(ctx), flags...)
	cmd.Stdout, cmd.Stderr = s.log, s.log
	started, err := child.Start(cmd, syscall.SIGKILL)
	if err != nil {
		return signerProcess{}, err
	}
	p := signerProcess{Process: started}
	if p.client, err = rpc.Dial(rpc.DialConfig{Socket: socket}); err != nil {
		p.stop(ctx)
		return p, err
	}
	for deadline := time.Now().Add(30 * time.Second); p.client.Healthy(ctx) != nil; {
		if time.Now().After(deadline) {
			p.stop(ctx)
			return p, fmt.Errorf("the signer does not come up (its log: %s)", s.log.Name())
		}
		time.Sleep(50 * time.Millisecond)
	}
	return p, nil
}

func (p signerProcess) stop(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	p.Stop(ctx, syscall.SIGTERM)
}
