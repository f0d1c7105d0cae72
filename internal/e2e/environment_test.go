package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/internal/child"
	"github.com/rubrica-firma/rubrica/internal/failpoint"
	"github.com/rubrica-firma/rubrica/internal/invariants"
	"github.com/rubrica-firma/rubrica/internal/scratch"
	"github.com/rubrica-firma/rubrica/internal/thread"
	"github.com/rubrica-firma/rubrica/store"
)

// environment is a `rubrica up` in a process of its own, as at a terminal.
type environment struct {
	program string
	dir     string // of the data
	listen  string
	sede    string // address of the demo sede
	desk    string // address of the officers' desk
	root    string // the service's root certificate, PEM
	args    []string
	// failpoint is the file that arms a step in a build that has any (package
	// failpoint).
	failpoint string
	output    bytes.Buffer
	process   *child.Process

	// authority is where the service asks for time-stamps.
	authority *timeAuthority

	world   *thread.World
	checker invariants.Checker

	mu      sync.Mutex
	secrets []string
}

// lease is how long an intent may be open here; the signer looks every 5 s.
const lease = 2 * time.Second

// back is how soon the service answers again after a process has died.
const back = 10 * time.Second

func newEnvironment(program, dir string) (*environment, error) {
	e := &environment{program: program, dir: filepath.Join(dir, "v"), failpoint: filepath.Join(dir, "failpoint", "armed")}
	// The processes, whose users are others, take the file away.
	if err := errors.Join(os.Mkdir(filepath.Dir(e.failpoint), 0o700), os.Chmod(filepath.Dir(e.failpoint), 0o777)); err != nil {
		return nil, fmt.Errorf("making a directory: %w", err)
	}
	var addresses [8]string
	for i := range addresses {
		var err error
		if addresses[i], err = scratch.Address(); err != nil {
			return nil, err
		}
	}
	e.listen, e.sede, e.desk = addresses[0], local(addresses[1]), strings.Replace(local(addresses[6]), "http:", "https:", 1)
	e.root = filepath.Join(e.dir, "ca", "root.pem")
	e.args = []string{
		"up", "--dir", e.dir, "--listen", addresses[0], "--sede", addresses[1], "--inbox", addresses[2], "--smtp", addresses[3],
		"--witness", addresses[4], "--auditor", addresses[5], "--registrar", addresses[6], "--certificates", addresses[7],
		// What people wait for, tests do not; what is slow on purpose stays slow.
		"--set", "signer.lease=" + lease.String(),
		"--set", "signer.code-interval=0s", "--set", "api.code-interval=0s", "--set", "signer.codes-per-hour=10000",
		"--set", "signer.sms-per-number=0", "--set", "signer.sms-per-prefix=0",
		"--set", "api.attempts-per-minute=100000", "--set", "api.calls-per-second=1000",
		// An RSA key costs a second of a core: TestRestart has some made.
		"--set", "signer.key-algorithm=ec-p256",
	}
	e.authority = newTimeAuthority("http://" + addresses[0] + "/tsa")
	e.args = append(e.args, "--set", "api.tsa="+e.authority.URL, "--set", "api.evidence-network=127.0.0.0/8")
	e.world = &thread.World{Service: local(addresses[0]), Inbox: local(addresses[2]), ReturnURL: e.sede + "/vuelta"}
	return e, nil
}

// local is an address as `up` gives it to browsers.
func local(address string) string {
	return "http://" + strings.Replace(address, "127.0.0.1", "localhost", 1)
}

// start returns when the environment says that it is up.
func (e *environment) start(ctx context.Context) error {
	cmd := exec.CommandContext(context.WithoutCancel(ctx), e.program, e.args...)
	cmd.Env = append(os.Environ(), failpoint.Variable+"="+e.failpoint)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("starting: %w", err)
	}
	e.output.Reset()
	cmd.Stderr = &e.output
	if e.process, err = child.Start(cmd, syscall.SIGTERM); err != nil {
		return err
	}
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "Rúbrica is up") {
			go func() { _, _ = io.Copy(io.Discard, stdout) }()
			return e.connect()
		}
	}
	return fmt.Errorf("rubrica up ended before it was up: %w\n%s", e.process.Err(), &e.output)
}

// connect takes the place of the office, of an application and of the checker.
func (e *environment) connect() error {
	var office, sede thread.Account
	for name, account := range map[string]*thread.Account{"registration-office.json": &office, "sede.json": &sede} {
		text, err := os.ReadFile(filepath.Join(e.dir, "secrets", name))
		if err != nil {
			return fmt.Errorf("reading credentials: %w", err)
		}
		if err := json.Unmarshal(text, account); err != nil {
			return fmt.Errorf("reading credentials: %w", err)
		}
	}
	world, err := thread.NewWorld(e.world.Service, e.world.Inbox, e.world.ReturnURL, office, sede)
	if err != nil {
		return err
	}
	*e.world = *world
	if e.checker.Database != "" {
		return nil // started again: what the checker knows of the log stays
	}
	if e.checker.Database, err = e.owner(); err != nil {
		return err
	}
	// Each time anew: the database is killed in between.
	e.checker.Snapshot = func(ctx context.Context, read func(audit.Log) error) error {
		db, err := store.Open(ctx, e.checker.Database)
		if err != nil {
			return fmt.Errorf("opening the database: %w", err)
		}
		defer db.Close()
		return db.Snapshot(ctx, read)
	}
	return nil
}

// owner is the database's address as the owner of the schema.
func (e *environment) owner() (string, error) {
	var config struct {
		Signer struct{ Database string }
	}
	if _, err := toml.DecodeFile(filepath.Join(e.dir, "rubrica.toml"), &config); err != nil {
		return "", fmt.Errorf("reading the configuration: %w", err)
	}
	u, err := url.Parse(config.Signer.Database)
	if err != nil {
		return "", fmt.Errorf("reading the database's address: %w", err)
	}
	u.User = url.User("rubrica_owner")
	query := u.Query()
	query.Set("passfile", filepath.Join(e.dir, "secrets", "rubrica_owner.pgpass"))
	u.RawQuery = query.Encode()
	return u.String(), nil
}

// stop ends the environment and looks for what it left behind.
func (e *environment) stop(sig syscall.Signal) error {
	began := descendants(e.process.PID)
	if err := syscall.Kill(e.process.PID, sig); err != nil {
		return fmt.Errorf("signalling: %w", err)
	}
	if err := e.process.Err(); err != nil && sig != syscall.SIGKILL {
		return fmt.Errorf("ending after %v: %w\n%s", sig, err, &e.output)
	}
	var left []int
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if left = slices.DeleteFunc(began, func(pid int) bool { return parentOf(pid) == 0 }); len(left) == 0 {
			return nil
		}
	}
	return fmt.Errorf("after %v processes are left: %v", sig, left)
}

// parentOf is 0 for a process that is gone or a zombie. One whose first thread
// alone is dead still listens where it did (proc(5): 3, state; 4, ppid; 20,
// num_threads).
func parentOf(pid int) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(text), ") ") // the name may hold anything
	fields := strings.Fields(after)
	if len(fields) < 18 || fields[0] == "Z" && fields[17] <= "1" {
		return 0
	}
	parent, err := strconv.Atoi(fields[1])
	if err != nil {
		return 0
	}
	return parent
}

func children(pid int) []int {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil
	}
	var found []int
	for _, dir := range dirs {
		if candidate, err := strconv.Atoi(filepath.Base(dir)); err == nil && parentOf(candidate) == pid {
			found = append(found, candidate)
		}
	}
	return found
}

func descendants(pid int) []int {
	var found []int
	for _, c := range children(pid) {
		found = append(append(found, c), descendants(c)...)
	}
	return found
}

// part finds a process of the environment: "api", "signer" or "postgres".
func (e *environment) part(name string) (int, error) {
	for _, pid := range children(e.process.PID) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err != nil {
			continue
		}
		args := strings.Split(string(text), "\x00")
		if filepath.Base(args[0]) == name || len(args) > 1 && args[0] == e.program && args[1] == name {
			return pid, nil
		}
	}
	return 0, fmt.Errorf("no process %s under %d", name, e.process.PID)
}

// kill takes a part down without a word and returns when the supervisor has
// brought it back, with how long that took.
func (e *environment) kill(t *testing.T, name string) time.Duration {
	t.Helper()
	pid, err := e.part(name)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatalf("killing %s: %v", name, err)
	}
	return e.recovered(t, name, pid, began)
}

// recovered waits for another process of that name, and for the service.
func (e *environment) recovered(t *testing.T, name string, was int, began time.Time) time.Duration {
	t.Helper()
	for limit := began.Add(back); ; time.Sleep(10 * time.Millisecond) {
		if now, err := e.part(name); err == nil && now != was && e.ready() {
			return time.Since(began)
		}
		if time.Now().After(limit) {
			t.Fatalf("%s was killed and the service is not ready after %v", name, back)
		}
	}
}

func (e *environment) ready() bool {
	response, err := http.Get("http://" + e.listen + "/readyz")
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// remember keeps a secret that must not be found anywhere.
func (e *environment) remember(secret string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.secrets = append(e.secrets, secret)
}

// examine checks what every run must leave: a database in which all invariants
// hold, and logs without a secret or a panic.
func (e *environment) examine(ctx context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.checker.Secrets = e.secrets
	failures := []error{e.settled(ctx)}
	logs, err := filepath.Glob(filepath.Join(e.dir, "log", "*"))
	if err != nil || len(logs) < 3 {
		failures = append(failures, fmt.Errorf("got logs %v, want those of api, signer and postgres: %w", logs, err))
	}
	for _, log := range logs {
		text, err := os.ReadFile(log)
		if err != nil {
			failures = append(failures, fmt.Errorf("reading a log: %w", err))
		}
		for _, forbidden := range append(slices.Clone(e.secrets), "panic: ", "goroutine 1 [") {
			if bytes.Contains(text, []byte(forbidden)) {
				failures = append(failures, fmt.Errorf("%s holds a secret or a panic of %d characters", filepath.Base(log), len(forbidden)))
			}
		}
	}
	return errors.Join(failures...)
}

// settled waits until no intent is open and checks the invariants.
func (e *environment) settled(ctx context.Context) error {
	for limit := time.Now().Add(lease + 10*time.Second); ; time.Sleep(100 * time.Millisecond) {
		late := time.Now().After(limit)
		if !late && e.intents(ctx) != 0 {
			continue // reading everything again costs more than all that is tested
		}
		if err := e.checker.Settled(ctx); err == nil || late {
			return err
		}
	}
}

// intents is how many have no outcome, -1 while the database does not say.
func (e *environment) intents(ctx context.Context) (n int) {
	conn, err := pgx.Connect(ctx, e.checker.Database)
	if err != nil {
		return -1
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if conn.QueryRow(ctx, `
		SELECT (SELECT count(*) FROM authorisations WHERE state = 'intent') + (SELECT count(*) FROM certificates WHERE state = 'intent')`).Scan(&n) != nil {
		return -1
	}
	return n
}

// query counts rows.
func (e *environment) query(t *testing.T, sql string, args ...any) (n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), e.checker.Database)
	if err != nil {
		t.Fatalf("connecting: %v", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	if err := conn.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatalf("querying: %v", err)
	}
	return n
}
