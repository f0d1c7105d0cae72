package publication_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/audit/publication"
	"github.com/rubrica-firma/rubrica/audit/witness"
	"github.com/rubrica-firma/rubrica/internal/pgtest"
	"github.com/rubrica-firma/rubrica/internal/postgres"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/store"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

const origin = "firma.example.es/log"

// house is a log with its witnesses, on a real database.
type house struct {
	*testing.T

	database  pgtest.Database
	db        *store.DB
	key       crypto.Signer
	vkey      string
	witnesses []*neighbour
	policy    audit.Policy
	state     string // path of the file outside the database
	journal   *journal
	entries   int
}

// newHouse has so many witnesses, of which the quorum is so many.
func newHouse(t *testing.T, witnesses, quorum int) *house {
	t.Helper()
	h := &house{T: t, database: pgtest.New(t, store.Migrate), state: filepath.Join(t.TempDir(), "log-state"), journal: &journal{}}
	h.db = h.open()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatalf("making the log's key: %v", err)
	}
	h.key = key
	h.introduce(witnesses, quorum)
	return h
}

// introduce makes witnesses that know the log's key, and the policy.
func (h *house) introduce(witnesses, quorum int) {
	h.Helper()
	h.vkey = h.named(origin)
	text := "log " + h.vkey + "\n"
	group := fmt.Sprintf("group all %d", quorum)
	for i := range witnesses {
		w := newNeighbour(h.T, fmt.Sprintf("w%d", i+1), h.vkey)
		h.witnesses = append(h.witnesses, w)
		text += fmt.Sprintf("witness %s %s %s\n", w.name, w.VerifierKey(), w.server.URL)
		group += " " + w.name
	}
	if witnesses > 0 {
		h.policy = h.parse(text + group + "\nquorum all\n")
	}
}

func (h *house) parse(text string) audit.Policy {
	h.Helper()
	policy, err := audit.ParsePolicy([]byte(text))
	if err != nil {
		h.Fatalf("reading the policy: %v\n%s", err, text)
	}
	return policy
}

// named is the log's verifier key under a name.
func (h *house) named(origin string) string {
	h.Helper()
	key, err := h.keys()(origin)
	if err != nil {
		h.Fatal(err)
	}
	return key
}

func (h *house) keys() func(string) (string, error) {
	h.Helper()
	keys, err := publication.PublicKey(h.key.Public())
	if err != nil {
		h.Fatal(err)
	}
	return keys
}

// open is a process's own view of the database.
func (h *house) open() *store.DB {
	h.Helper()
	db, err := store.Open(h.Context(), h.database.Signer)
	if err != nil {
		h.Fatal(err)
	}
	h.Cleanup(db.Close)
	return db
}

// neighbour is a witness of which the wire can be cut, or made slow.
type neighbour struct {
	*witness.Witness

	name   string
	dir    string
	server *httptest.Server
	down   atomic.Bool
	frozen atomic.Pointer[chan struct{}]
}

// freeze has the witness answer nothing until thaw.
func (n *neighbour) freeze() (thaw func()) {
	ice := make(chan struct{})
	n.frozen.Store(&ice)
	return func() {
		n.frozen.Store(nil)
		close(ice)
	}
}

func newNeighbour(t *testing.T, name string, vkeys ...string) *neighbour {
	t.Helper()
	n := &neighbour{name: name, dir: t.TempDir()}
	if _, err := witness.Init(n.dir, name+".example.es"); err != nil {
		t.Fatalf("making a witness: %v", err)
	}
	w, err := witness.Open(witness.Config{Dir: n.dir, Logs: watching(t, vkeys...), Now: time.Now, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatalf("opening a witness: %v", err)
	}
	n.Witness = w
	handler := w.Handler(1e6)
	n.server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if ice := n.frozen.Load(); ice != nil {
			select {
			case <-*ice:
			case <-r.Context().Done():
			}
		}
		if n.down.Load() {
			rw.WriteHeader(http.StatusBadGateway)
			return
		}
		handler.ServeHTTP(rw, r)
	}))
	t.Cleanup(func() {
		n.server.Close()
		if err := w.Close(); err != nil {
			t.Errorf("closing a witness: %v", err)
		}
	})
	return n
}

func watching(t *testing.T, vkeys ...string) witness.Logs {
	t.Helper()
	logs, err := witness.ParseLogs([]byte("log " + strings.Join(vkeys, "\nlog ") + "\n"))
	if err != nil {
		t.Fatalf("naming the logs of a witness: %v", err)
	}
	return logs
}

// journal keeps what operators read.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(p)
}

func (j *journal) has(text string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Contains(j.b.String(), text)
}

func (h *house) logger() *slog.Logger { return slog.New(slog.NewJSONHandler(h.journal, nil)) }

// signerProcess is what a signer runs of this package.
type signerProcess struct {
	h         *house
	db        *store.DB
	guard     *publication.Guard
	publisher *publication.Publisher
	stop      func()
}

// watch sees the log as a process with that state file does.
func (h *house) watch(db *store.DB, state string) *publication.Watch {
	return &publication.Watch{
		Store: db, Policy: h.policy, State: publication.OpenState(state), Origin: origin,
		Key: h.keys(), Client: http.DefaultClient, Timeout: 500 * time.Millisecond,
	}
}

// process makes a signer's part without starting it.
func (h *house) process(change ...func(*publication.Config)) *signerProcess {
	h.Helper()
	p := &signerProcess{h: h, db: h.open()}
	p.guard = publication.NewGuard(publication.GuardConfig{
		Watch: h.watch(p.db, h.state), Record: p.db, Every: time.Hour, Retry: 20 * time.Millisecond, Now: time.Now, Logger: h.logger(),
	})
	p.db.Admit = p.guard.Admit
	c := publication.Config{
		Store: p.db, Gate: p.guard, Key: h.key, Origin: origin, Policy: h.policy, State: publication.OpenState(h.state),
		Client: http.DefaultClient, Interval: 30 * time.Millisecond, Timeout: 500 * time.Millisecond, Refresh: time.Hour,
		Now: time.Now, Logger: h.logger(),
	}
	for _, f := range change {
		f(&c)
	}
	var err error
	if p.publisher, err = publication.New(c); err != nil {
		h.Fatal(err)
	}
	return p
}

// start runs it until stop, or the test's end.
func (h *house) start(change ...func(*publication.Config)) *signerProcess {
	h.Helper()
	p := h.process(change...)
	p.run()
	return p
}

func (p *signerProcess) run() {
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() { p.guard.Run(ctx) })
	group.Go(func() { p.publisher.Run(ctx) })
	p.stop = sync.OnceFunc(func() { cancel(); group.Wait() })
	p.h.Cleanup(p.stop)
}

// append adds entries, as the house at large does.
func (h *house) append(n int) {
	h.Helper()
	if err := h.log(h.db, n); err != nil {
		h.Fatalf("appending: %v", err)
	}
}

func (h *house) log(db *store.DB, n int) error {
	for range n {
		h.entries++
		err := db.Log(context.Background(), audit.Entry{
			Type: audit.ServiceStopped, Operation: fmt.Sprintf("test-%d", h.entries), At: time.Now(), Payload: map[string]any{"version": "1"},
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (h *house) head() audit.Tree {
	h.Helper()
	head, err := h.db.LogHead(context.Background())
	if err != nil {
		h.Fatal(err)
	}
	tree, err := head.Tree()
	if err != nil {
		h.Fatal(err)
	}
	return tree
}

// eventually waits for what other goroutines do.
func (h *house) eventually(what string, is func() bool) {
	h.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !is() {
		if time.Now().After(deadline) {
			h.journal.mu.Lock()
			defer h.journal.mu.Unlock()
			h.Fatalf("waited in vain: %s\n%s", what, h.journal.b.String())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// witnessed waits until the whole log is.
func (h *house) witnessed(name string) publication.Published {
	h.Helper()
	var last publication.Published
	h.eventually("the log to be witnessed", func() bool {
		var err error
		last, err = h.db.LastWitnessed(context.Background(), name)
		if err != nil && !errors.Is(err, policies.Refuse(policies.NotFound)) {
			h.Fatal(err)
		}
		return err == nil && last.Size == h.head().Size
	})
	return last
}

func (h *house) closed(g *publication.Guard, reason publication.Reason) {
	h.Helper()
	h.eventually("the guard to be "+string(reason), func() bool {
		r, ok := errors.AsType[*policies.Refusal](g.Check())
		return ok && r.Code == policies.LogSuspended && r.Params["reason"] == string(reason)
	})
}

func (h *house) opens(g *publication.Guard) {
	h.Helper()
	h.eventually("the guard to open", func() bool { return g.Check() == nil })
}

// events are the payload-free types of the log, in order.
func (h *house) events() []audit.EventType {
	h.Helper()
	var types []audit.EventType
	err := h.db.Snapshot(context.Background(), func(log audit.Log) error {
		for r, err := range log.Records(context.Background()) {
			if err != nil {
				return err
			}
			types = append(types, r.Type)
		}
		return nil
	})
	if err != nil {
		h.Fatal(err)
	}
	return types
}

// whole verifies the log by itself.
func (h *house) whole(known ...audit.Tree) audit.Report {
	h.Helper()
	var report audit.Report
	err := h.db.Snapshot(context.Background(), func(log audit.Log) error {
		var err error
		report, err = audit.Verify(context.Background(), log, known...)
		return err
	})
	if err != nil {
		h.Errorf("verifying the log: %v", err)
	}
	return report
}

// insider has psql and every right in the database.
func (h *house) insider() *pgx.Conn {
	h.Helper()
	conn, err := pgx.Connect(h.Context(), postgres.URL(os.Getenv(pgtest.Variable), postgres.Superuser, "", h.database.Name))
	if err != nil {
		h.Fatal(err)
	}
	h.Cleanup(func() { _ = conn.Close(context.Background()) })
	h.sql(conn, `SET session_replication_role = replica`)
	return conn
}

func (h *house) sql(conn *pgx.Conn, statement string) {
	h.Helper()
	if _, err := conn.Exec(h.Context(), statement); err != nil {
		h.Fatalf("running %s: %v", statement, err)
	}
}

// tables are those of the log.
func tables() []string {
	return []string{"log_entries", "log_hashes", "log_terms", "log_head", "log_trees", "log_checkpoints"}
}

// backup keeps the log as it stands, and gives what puts it back.
func (h *house) backup() (restore func()) {
	h.Helper()
	conn := h.insider()
	schema := fmt.Sprintf("kept_%d", time.Now().UnixNano())
	h.sql(conn, `CREATE SCHEMA `+schema)
	for _, t := range tables() {
		h.sql(conn, `CREATE TABLE `+schema+`.`+t+` AS TABLE public.`+t)
	}
	return func() {
		h.Helper()
		all := "BEGIN;"
		for _, t := range tables() {
			all += "DELETE FROM public." + t + "; INSERT INTO public." + t + " TABLE " + schema + "." + t + ";"
		}
		h.sql(conn, all+"COMMIT")
	}
}
