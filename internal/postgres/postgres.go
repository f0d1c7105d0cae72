// Package postgres runs a private PostgreSQL cluster: the system's binaries, one
// directory, one Unix socket and no TCP port. The tests run one that forgets,
// the development environment one that is durable.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rubrica-firma/rubrica/internal/child"
)

// Superuser is the role that initdb makes. It is used to create roles and
// databases, never by the service.
const Superuser = "postgres"

// port names the socket file, .s.PGSQL.5432; nothing listens on TCP.
const port = "5432"

// maxSocketPath is sizeof(sun_path) - 1 on Linux (unix(7)).
const maxSocketPath = 107

// ErrRunning means that another process already serves the data directory.
var ErrRunning = errors.New("another PostgreSQL is running on this data directory")

// Cluster is a PostgreSQL cluster in a directory of its own.
type Cluster struct {
	// Dir holds the cluster's data; its parent must exist.
	Dir string
	// SocketDir receives the socket. It must exist, be short enough
	// (CheckSocketDir) and be writable for the server's user (Own).
	SocketDir string
	// Password is the superuser's, given to Init and asked for ever after.
	// Empty means that whoever reaches the socket is trusted: for tests.
	Password string
	// Settings are server parameters beyond those that every cluster gets.
	Settings map[string]string
	// Log receives what the server prints.
	Log *os.File
	// Orphaned is the signal that the server gets when this process dies
	// first: SIGINT shuts down in order, SIGQUIT at once.
	Orphaned syscall.Signal

	server *child.Process
}

// Init makes the cluster unless it is already there.
func (c *Cluster) Init(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(c.Dir, "PG_VERSION")); err == nil {
		return nil
	}
	bindir, err := Find(ctx, 0)
	if err != nil {
		return err
	}
	// What an interrupted Init left has no PG_VERSION worth keeping: initdb
	// writes it early, but into the directory that is renamed at the end.
	building := c.Dir + ".new"
	if err := os.RemoveAll(building); err != nil {
		return fmt.Errorf("removing an unfinished cluster: %w", err)
	}
	if err := Own(building); err != nil {
		return err
	}
	args := []string{
		"--pgdata", building, "--username", Superuser, "--encoding", "UTF8", "--locale", "C.UTF-8",
		"--data-checksums", "--no-instructions",
	}
	auth, err := c.authentication()
	if err != nil {
		return err
	}
	defer auth.remove()
	initdb, err := c.command(ctx, filepath.Join(bindir, "initdb"), append(args, auth.args...)...)
	if err != nil {
		return err
	}
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initialising the PostgreSQL cluster: %w: %s", err, strings.TrimSpace(string(out)))
	}
	if err := os.Rename(building, c.Dir); err != nil {
		return fmt.Errorf("moving the new cluster into place: %w", err)
	}
	return nil
}

type authentication struct {
	args   []string
	remove func()
}

// authentication gives initdb the password in a file that only the server's
// user can read, for initdb runs as that user.
func (c *Cluster) authentication() (authentication, error) {
	if c.Password == "" {
		return authentication{args: []string{"--auth", "trust", "--no-sync"}, remove: func() {}}, nil
	}
	path := c.Dir + ".pwfile"
	if err := os.WriteFile(path, []byte(c.Password+"\n"), 0o600); err != nil {
		return authentication{}, fmt.Errorf("handing the password to initdb: %w", err)
	}
	remove := func() { _ = os.Remove(path) }
	if err := chown(path); err != nil {
		remove()
		return authentication{}, err
	}
	return authentication{args: []string{"--auth", "scram-sha-256", "--pwfile", path}, remove: remove}, nil
}

// Start starts the server and returns when it takes connections.
func (c *Cluster) Start(ctx context.Context) error {
	if err := CheckSocketDir(c.SocketDir); err != nil {
		return err
	}
	version, err := os.ReadFile(filepath.Join(c.Dir, "PG_VERSION"))
	if err != nil {
		return fmt.Errorf("reading the cluster's version: %w", err)
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(version)))
	if err != nil {
		return fmt.Errorf("reading the cluster's version: %w", err)
	}
	bindir, err := Find(ctx, major)
	if err != nil {
		return err
	}
	args := []string{"-D", c.Dir, "-k", c.SocketDir, "-p", port}
	for name, value := range c.settings() {
		args = append(args, "-c", name+"="+value)
	}
	// The server outlives ctx: Stop ends it.
	cmd, err := c.command(context.WithoutCancel(ctx), filepath.Join(bindir, "postgres"), args...)
	if err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = c.Log, c.Log
	if c.server, err = child.Start(cmd, c.Orphaned); err != nil {
		return err
	}
	return c.waitReady(ctx)
}

func (c *Cluster) settings() map[string]string {
	settings := map[string]string{
		"listen_addresses":        "",
		"unix_socket_permissions": "0777", // the directory and the password decide
		"timezone":                "UTC",
		"log_timezone":            "UTC",
		"shared_buffers":          "64MB",
		"max_connections":         "200",
	}
	maps.Copy(settings, c.Settings)
	return settings
}

// waitReady watches postmaster.pid, as pg_ctl does: its first line is the
// server's pid, its eighth the state. No password is needed to read it.
func (c *Cluster) waitReady(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		pid, state := c.postmaster()
		if pid == c.server.PID && state == "ready" {
			return nil
		}
		select {
		case <-tick.C:
		case <-c.server.Done():
			if pid, _ := c.postmaster(); pid != 0 && pid != c.server.PID && !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
				return fmt.Errorf("%w: process %d, %s", ErrRunning, pid, c.Dir)
			}
			return fmt.Errorf("starting PostgreSQL (its log: %s): %w", c.Log.Name(), c.server.Err())
		case <-ctx.Done():
			c.Stop(context.WithoutCancel(ctx))
			return fmt.Errorf("waiting for PostgreSQL: %w", ctx.Err())
		}
	}
}

func (c *Cluster) postmaster() (pid int, state string) {
	text, err := os.ReadFile(filepath.Join(c.Dir, "postmaster.pid"))
	if err != nil {
		return 0, ""
	}
	lines := strings.Split(string(text), "\n")
	if len(lines) < 8 {
		return 0, ""
	}
	pid, err = strconv.Atoi(lines[0])
	if err != nil {
		return 0, ""
	}
	return pid, strings.TrimSpace(lines[7])
}

// Done is closed when the server has ended, for whatever reason.
func (c *Cluster) Done() <-chan struct{} { return c.server.Done() }

// Stop closes all connections, writes everything down and ends the server.
func (c *Cluster) Stop(ctx context.Context) {
	if c.server == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	c.server.Stop(ctx, syscall.SIGINT)
}

// URL is the address of a database of the cluster for a role.
func (c *Cluster) URL(role, password, database string) string {
	return URL(c.SocketDir, role, password, database)
}

// URL is the address of a database behind the socket in socketDir.
func URL(socketDir, role, password, database string) string {
	u := url.URL{Scheme: "postgres", User: url.User(role), Path: "/" + database}
	if password != "" {
		u.User = url.UserPassword(role, password)
	}
	u.RawQuery = url.Values{"host": {socketDir}, "port": {port}}.Encode()
	return u.String()
}

// CheckSocketDir says whether a socket in dir has a path that the kernel takes.
func CheckSocketDir(dir string) error {
	if path := filepath.Join(dir, ".s.PGSQL."+port+".lock"); len(path) > maxSocketPath {
		return fmt.Errorf("the socket directory %s is too long a path: %d bytes, at most %d", dir, len(path), maxSocketPath)
	}
	return nil
}

func (c *Cluster) command(ctx context.Context, path string, args ...string) (*exec.Cmd, error) {
	attr, err := credentials(c.Dir)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, path, args...)
	// The locale and the PG* variables of whoever calls are none of the server's business.
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8", "TZ=UTC"}
	cmd.Dir = "/" // the current directory may be closed to the server's user
	cmd.SysProcAttr = attr
	return cmd, nil
}
