package dev_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/internal/dev"
	"github.com/rubrica-firma/rubrica/internal/scratch"
	"github.com/rubrica-firma/rubrica/signer/rpc"
)

// TestMain makes this test binary play the program that the environment starts:
// its commands do what the real ones do as far as the environment can see.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-") {
		os.Exit(play(os.Args[1], os.Args[len(os.Args)-1]))
	}
	os.Exit(m.Run())
}

type settings struct {
	Dir, Listen, API, Signer, Owner, Credentials string
	Socket, Group                                string
	Peers                                        []string
}

func play(command, file string) int {
	switch command {
	case "up":
		return playUp(file)
	case "read", "list", "connect", "call":
		return intrude(command, file)
	}
	var s settings
	if _, err := toml.DecodeFile(file, &s); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	switch command {
	case "init":
		_, err := os.Stat(filepath.Join(s.Dir, "init-fails"))
		if err == nil {
			fmt.Fprintln(os.Stderr, "the ceremony was interrupted")
			return 3
		}
		return 0
	case "app":
		if os.WriteFile(s.Credentials, []byte(`{"client_id":"sede","client_secret":"s"}`), 0o600) != nil {
			return 1
		}
		return 0
	case "signer":
		return playSigner(ctx, s)
	case "api":
		return playAPI(ctx, s)
	default:
		return 80
	}
}

// playSigner listens as the real one does.
func playSigner(ctx context.Context, s settings) int {
	if os.WriteFile(filepath.Join(filepath.Dir(s.Socket), "signer.pid"), []byte(strconv.Itoa(os.Getpid())), 0o600) != nil {
		return 1
	}
	listener, err := rpc.Listen(ctx, rpc.ListenConfig{Socket: s.Socket, Peers: s.Peers, Group: s.Group, Logger: slog.Default()})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	server := rpc.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }), slog.Default())
	context.AfterFunc(ctx, func() { _ = server.Close() })
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// playAPI answers /readyz with its process id, if it reaches the database in
// its role.
func playAPI(ctx context.Context, s settings) int {
	if _, err := os.Stat(filepath.Join(s.Dir, "api-fails")); err == nil {
		return 1
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, r *http.Request) {
		conn, err := pgx.Connect(r.Context(), s.API)
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		_ = conn.Close(r.Context())
		fmt.Fprint(w, os.Getpid())
	})
	server := &http.Server{Addr: s.Listen, Handler: mux}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// plan is what a test asks of an `up`, handed over in a file.
type plan struct {
	Dir, Listen, Sede, Inbox, SMTP string
	Database                       string
	Token                          dev.Token
	Newer                          bool // the migration finds a newer schema
}

const isUp = "Rubrica is up."

// playUp is the command up, as cmd/rubrica has it.
func playUp(file string) int {
	var p plan
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, &p)
	}
	program, failed := os.Executable()
	if err = errors.Join(err, failed); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	err = dev.Up(ctx, dev.Config{
		Dir: p.Dir, Listen: p.Listen, Sede: p.Sede, Inbox: p.Inbox, SMTP: p.SMTP, Database: p.Database, Token: p.Token,
		Program: program,
		Settings: func(e dev.Environment) map[string]any {
			return map[string]any{
				"dir": e.Dir, "listen": e.Listen, "credentials": e.SedeCredentials,
				"api": e.Databases.API, "signer": e.Databases.Signer, "owner": e.Databases.Owner,
				"socket": e.SignerSocket, "peers": e.Peers, "group": e.SocketGroup,
			}
		},
		Migrate: func(ctx context.Context, url string) error {
			if p.Newer {
				return fmt.Errorf("migrating: %w", dev.ErrNewerSchema)
			}
			return migrate(ctx, url)
		},
		Init: [][]string{{"init"}},
		Register: func(e dev.Environment) []dev.Registration {
			return []dev.Registration{{File: e.SedeCredentials, Command: []string{"app", "add"}}}
		},
		Hint:   func(dev.Environment) string { return isUp },
		Out:    os.Stdout,
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	if status, ok := errors.AsType[*dev.FailureError](err); ok {
		return status.ExitCode()
	}
	return 0
}

func newPlan(t *testing.T, dir string) plan {
	t.Helper()
	return plan{Dir: dir, Listen: freeAddress(t), Sede: freeAddress(t), Inbox: freeAddress(t), SMTP: freeAddress(t)}
}

func migrate(ctx context.Context, url string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return fmt.Errorf("connecting as owner: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	_, err = conn.Exec(ctx, `
		DO $$ BEGIN
			IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'rubrica_api') THEN
				CREATE ROLE rubrica_api;
				CREATE ROLE rubrica_signer;
				CREATE ROLE rubrica_auditor;
				CREATE ROLE rubrica_registrar;
			END IF;
		END $$;
		CREATE TABLE IF NOT EXISTS starts (at timestamptz);
		INSERT INTO starts VALUES (now())`)
	if err != nil {
		return fmt.Errorf("migrating: %w", err)
	}
	return nil
}

func freeAddress(t *testing.T) string {
	t.Helper()
	address, err := scratch.Address()
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// environment is an `up` that runs in a process of its own, as it does at a
// terminal.
type environment struct {
	plan   plan
	cmd    *exec.Cmd
	out    *bufio.Scanner
	said   []string
	stderr bytes.Buffer
}

func start(t *testing.T, p plan) *environment {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "plan.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	e := &environment{plan: p, cmd: exec.Command(program, "up", file)}
	stdout, err := e.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	e.out = bufio.NewScanner(stdout)
	e.cmd.Stderr = &e.stderr
	if err := e.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return e
}

// up starts an environment and returns when it is up.
func up(t *testing.T, p plan) *environment {
	t.Helper()
	e := start(t, p)
	t.Cleanup(func() { e.stop(t, syscall.SIGTERM) })
	for e.out.Scan() {
		if e.out.Text() == isUp {
			return e
		}
		e.said = append(e.said, e.out.Text())
	}
	t.Fatalf("it ended before it was up: %v", e.wait())
	return nil
}

// wait returns how the process ended.
func (e *environment) wait() error {
	for e.out.Scan() { // Wait closes the pipe: read it empty first
	}
	return e.cmd.Wait()
}

// stop ends the environment with a signal and looks for what it left behind.
func (e *environment) stop(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if e.cmd.ProcessState != nil {
		return
	}
	if err := e.cmd.Process.Signal(sig); err != nil {
		t.Fatalf("signalling: %v", err)
	}
	if err := e.wait(); err != nil && sig != syscall.SIGKILL {
		t.Errorf("got %v after %v, want exit status 0: %s", err, sig, &e.stderr)
	}
	eventually(t, "the end of all processes", func() bool { return len(processes(e.plan.Dir)) == 0 })
}

// processes lists the command lines that mention dir. Zombies have none.
func processes(dir string) []string {
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return []string{err.Error()}
	}
	var found []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err == nil && bytes.Contains(text, []byte(dir)) {
			found = append(found, string(bytes.ReplaceAll(text, []byte{0}, []byte{' '})))
		}
	}
	return found
}

// apiPID asks until the service answers.
func (e *environment) apiPID(t *testing.T) int {
	t.Helper()
	var pid int
	eventually(t, "an answer of api", func() bool {
		response, err := http.Get("http://" + e.plan.Listen + "/readyz")
		if err != nil {
			return false
		}
		defer func() { _ = response.Body.Close() }()
		body, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != http.StatusOK {
			return false
		}
		pid, err = strconv.Atoi(string(body))
		return err == nil
	})
	return pid
}

func (e *environment) pidIn(t *testing.T, name string) int {
	t.Helper()
	var pid int
	eventually(t, name, func() bool {
		text, err := os.ReadFile(filepath.Join(e.plan.Dir, name))
		if err != nil {
			return false
		}
		first, _, _ := strings.Cut(string(text), "\n")
		pid, err = strconv.Atoi(first)
		return err == nil
	})
	return pid
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// TestUp brings an environment up, kills each of its processes, stops it in
// each way there is, and starts it again on the same data.
func TestUp(t *testing.T) {
	t.Parallel()
	p := newPlan(t, filepath.Join(t.TempDir(), "var"))
	e := up(t, p)
	checkVisitors(t, p.Dir)

	for name, pid := range map[string]func() int{
		"api":        func() int { return e.apiPID(t) },
		"signer":     func() int { return e.pidIn(t, "run/signer/signer.pid") },
		"postmaster": func() int { return e.pidIn(t, "postgres/data/postmaster.pid") },
	} {
		before := pid()
		if err := syscall.Kill(before, syscall.SIGKILL); err != nil {
			t.Fatalf("killing %s: %v", name, err)
		}
		eventually(t, "another "+name, func() bool { return pid() != before })
		e.apiPID(t)
	}
	checkFailure(t, newPlan(t, p.Dir), dev.StatusRunning, "another `rubrica up`")

	e.stop(t, syscall.SIGINT)
	again := up(t, newPlan(t, p.Dir))
	again.stop(t, syscall.SIGKILL)
	last := up(t, newPlan(t, p.Dir))
	if got := last.starts(t); got != 3 {
		t.Errorf("got %d starts in the database, want 3", got)
	}
}

func (e *environment) settings(t *testing.T) (s settings) {
	t.Helper()
	if _, err := toml.DecodeFile(filepath.Join(e.plan.Dir, "rubrica.toml"), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// starts counts what migrate wrote down.
func (e *environment) starts(t *testing.T) (n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), e.settings(t).Owner)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM starts").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestUpFails meets each obstacle that has a sentence and an exit status.
func TestUpFails(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		obstacle func(t *testing.T, p *plan)
		want     int
		says     string
	}{
		"port in use": {
			func(t *testing.T, p *plan) {
				t.Helper()
				l, err := net.Listen("tcp", p.Inbox)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = l.Close() })
			}, dev.StatusAddress, "--inbox",
		},
		"directory is a file": {
			func(t *testing.T, p *plan) {
				t.Helper()
				p.Dir = filepath.Join(p.Dir, "file")
				writeFile(t, p.Dir)
			}, dev.StatusDirectory, "--dir",
		},
		"newer schema":     {func(_ *testing.T, p *plan) { p.Newer = true }, dev.StatusNewerSchema, "newer version"},
		"no such database": {func(_ *testing.T, p *plan) { p.Database = "postgres:///none?host=/nonexistent" }, dev.StatusDatabase, "--database"},
		"no such token": {
			func(_ *testing.T, p *plan) {
				p.Token = dev.Token{Module: "/nonexistent.so", Label: "x", PINFile: os.DevNull}
			}, dev.StatusToken, "cannot be loaded",
		},
		"init fails": {
			func(t *testing.T, p *plan) {
				t.Helper()
				writeFile(t, filepath.Join(p.Dir, "init-fails"))
			}, dev.StatusService, "the ceremony was interrupted",
		},
		"api fails": {
			func(t *testing.T, p *plan) {
				t.Helper()
				writeFile(t, filepath.Join(p.Dir, "api-fails"))
			}, dev.StatusService, "api does not stay up",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlan(t, t.TempDir())
			test.obstacle(t, &p)
			checkFailure(t, p, test.want, test.says)
			if left := processes(p.Dir); len(left) > 0 {
				t.Errorf("got processes left behind: %q", left)
			}
		})
	}
}

// TestUpOtherPIN starts again after the PIN file was changed behind its back.
func TestUpOtherPIN(t *testing.T) {
	t.Parallel()
	p := newPlan(t, t.TempDir())
	p.Newer = true
	checkFailure(t, p, dev.StatusNewerSchema, "newer")
	if err := os.WriteFile(filepath.Join(p.Dir, "secrets", "hsm-pin"), []byte("0000\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	checkFailure(t, p, dev.StatusToken, "another PIN")
}

// TestUpDeepDirectory needs a socket elsewhere: its path has at most 107 bytes.
func TestUpDeepDirectory(t *testing.T) {
	t.Parallel()
	up(t, newPlan(t, filepath.Join(t.TempDir(), strings.Repeat("deep/", 30), "var")))
}

func checkFailure(t *testing.T, p plan, want int, says string) {
	t.Helper()
	e := start(t, p)
	var exit *exec.ExitError
	if err := e.wait(); !errors.As(err, &exit) {
		t.Fatalf("got %v, want exit status %d", err, want)
	}
	if got := exit.ExitCode(); got != want {
		t.Errorf("got exit status %d, want %d", got, want)
	}
	if got := e.stderr.String(); !strings.Contains(got, says) {
		t.Errorf("got %q, want it to say %q", got, says)
	}
}

func writeFile(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}
