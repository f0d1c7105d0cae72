package tamper

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/transparency-dev/merkle/rfc6962"
	tapi "github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/fsck"
	"golang.org/x/mod/sumdb/note"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/api/published"
	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/audit/check"
	"github.com/rubrica-firma/rubrica/audit/publication"
	"github.com/rubrica-firma/rubrica/audit/witness"
	"github.com/rubrica-firma/rubrica/internal/pgtest"
	"github.com/rubrica-firma/rubrica/internal/postgres"
	"github.com/rubrica-firma/rubrica/notify/catalogue"
	"github.com/rubrica-firma/rubrica/store"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

const origin = "firma.example.es/log"

// neighbour is a witness in other hands: nobody here can change what it saw.
type neighbour struct {
	*witness.Witness

	dir string
	url string
}

func newNeighbour(t *testing.T, vkey string) *neighbour {
	t.Helper()
	n := &neighbour{dir: filepath.Join(t.TempDir(), "witness")}
	if _, err := witness.Init(n.dir, "testigo.example.es"); err != nil {
		t.Fatal(err)
	}
	logs, err := witness.ParseLogs([]byte("log " + vkey + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	n.Witness, err = witness.Open(witness.Config{Dir: n.dir, Logs: logs, Now: time.Now, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(n.Handler(1e6))
	n.url = server.URL
	t.Cleanup(func() {
		server.Close()
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// house is a log in a database, whose key lies about, with a witness elsewhere.
type house struct {
	*testing.T

	key      ed25519.PrivateKey
	vkey     string
	witness  *neighbour
	policy   audit.Policy
	database pgtest.Database
	db       *store.DB
	insider  *pgx.Conn // superuser, without triggers
	served   string    // address of /log/
	serial   int
}

func newHouse(t *testing.T) *house {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	h := &house{T: t, key: key}
	named, err := audit.NewLogKey(origin, key)
	if err != nil {
		t.Fatal(err)
	}
	h.vkey = named.VerifierKey()
	h.witness = newNeighbour(t, h.vkey)
	text := fmt.Sprintf("log %s\nwitness w %s %s\nquorum w\n", h.vkey, h.witness.VerifierKey(), h.witness.url)
	if h.policy, err = audit.ParsePolicy([]byte(text)); err != nil {
		t.Fatal(err)
	}
	h.moveIn()
	return h
}

// moveIn gives it a database of its own.
func (h *house) moveIn() {
	h.Helper()
	h.database = pgtest.New(h.T, store.Migrate)
	db, err := store.Open(h.Context(), h.database.Signer)
	if err != nil {
		h.Fatal(err)
	}
	h.Cleanup(db.Close)
	h.db = db
	h.insider, err = pgx.Connect(h.Context(), postgres.URL(os.Getenv(pgtest.Variable), postgres.Superuser, "", h.database.Name))
	if err != nil {
		h.Fatal(err)
	}
	h.Cleanup(func() { _ = h.insider.Close(context.Background()) })
	h.served = h.serve()
}

// twin is another deployment of the same log: same key, same name, same witness.
func (h *house) twin() *house {
	h.Helper()
	other := *h
	other.moveIn()
	return &other
}

// serve shows the log as `rubrica api` does.
func (h *house) serve() string {
	h.Helper()
	db, err := store.Open(h.Context(), h.database.API)
	if err != nil {
		h.Fatal(err)
	}
	h.Cleanup(db.Close)
	sentences, err := catalogue.New()
	if err != nil {
		h.Fatal(err)
	}
	server := httptest.NewUnstartedServer(nil)
	public := store.ForPublic(db)
	server.Config.Handler, err = api.New(api.Config{
		PublicURL: "http://" + server.Listener.Addr().String(), Catalogue: sentences, Clients: public,
		Rooms:  []func(*api.Site){published.Room(published.Config{Log: public})},
		Limits: api.DefaultLimits(), Logger: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	if err != nil {
		h.Fatal(err)
	}
	server.Start()
	h.Cleanup(server.Close)
	return server.URL + published.Root
}

// live lets n things happen, half of them to somebody.
func (h *house) live(n int) {
	h.Helper()
	for range n {
		h.serial++
		e := audit.Entry{Type: audit.ServiceStopped, Operation: fmt.Sprintf("op-%d", h.serial), At: time.Now(), Payload: map[string]any{"version": "1"}}
		if h.serial%2 == 0 {
			e.Person = "12345678Z"
		}
		if err := h.db.Log(h.Context(), e); err != nil {
			h.Fatalf("appending: %v", err)
		}
	}
}

// publish runs a publisher until the whole log is witnessed, or, where the
// witness does not play along, until it says so.
func (h *house) publish() error {
	h.Helper()
	state := filepath.Join(h.TempDir(), "state") // forgotten, as by whoever rewrites history
	named, err := publication.PublicKey(h.key.Public())
	if err != nil {
		h.Fatal(err)
	}
	guard := publication.NewGuard(publication.GuardConfig{
		Watch: &publication.Watch{
			Store: h.db, Policy: h.policy, State: publication.OpenState(state), Origin: origin,
			Key: named, Client: http.DefaultClient, Timeout: 2 * time.Second,
		},
		Every: time.Hour, Retry: 20 * time.Millisecond, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
	})
	publisher, err := publication.New(publication.Config{
		Store: h.db, Gate: guard, Key: h.key, Origin: origin, Policy: h.policy, State: publication.OpenState(state),
		Client: http.DefaultClient, Interval: 10 * time.Millisecond, Timeout: 2 * time.Second, Refresh: time.Hour,
		Now: time.Now, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		h.Fatal(err)
	}
	ctx, cancel := context.WithCancel(h.Context())
	guard.Look(ctx)
	done := make(chan struct{})
	go func() { defer close(done); guard.Run(ctx) }()
	go publisher.Run(ctx)
	defer func() { cancel(); <-done }()
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if err := guard.Check(); err != nil {
			return err
		}
		head, err := h.db.LogHead(ctx)
		if err != nil {
			h.Fatal(err)
		}
		last, err := h.db.LastWitnessed(ctx, origin)
		if err == nil && last.Size == head.Size {
			return nil
		}
	}
	return fmt.Errorf("the log was not witnessed in time: %w", guard.Check())
}

// kept is the newest checkpoint as somebody outside keeps it.
func (h *house) kept() []byte {
	h.Helper()
	last, err := h.db.LastWitnessed(h.Context(), origin)
	if err != nil {
		h.Fatal(err)
	}
	return last.Note
}

// fromInside is `rubrica audit verify --database`, fromOutside the same of
// /log/, foreign Tessera's fsck of /log/.
func (h *house) fromInside(known []byte) *check.Report {
	h.Helper()
	report, err := check.Checker{Policy: h.policy, Known: known}.Database(h.Context(), "database", h.db)
	if err != nil {
		h.Fatalf("verifying the database: %v", err)
	}
	return report
}

func (h *house) fromOutside(known []byte) *check.Report {
	h.Helper()
	source, err := check.Open(h.served)
	if err != nil {
		h.Fatal(err)
	}
	report, err := check.Checker{Policy: h.policy, Known: known}.Log(h.Context(), h.served, source)
	if err != nil {
		h.Fatalf("verifying %s: %v", h.served, err)
	}
	return report
}

func (h *house) foreign() error {
	h.Helper()
	address, err := url.Parse(h.served)
	if err != nil {
		h.Fatal(err)
	}
	fetcher, err := client.NewHTTPFetcher(address, http.DefaultClient)
	if err != nil {
		h.Fatal(err)
	}
	verifier, err := note.NewVerifier(h.vkey)
	if err != nil {
		h.Fatal(err)
	}
	// It does not end on some of the logs that it finds wrong, whatever its context
	// says: not to have answered is its way of saying so.
	ctx, cancel := context.WithTimeout(h.Context(), 10*time.Second)
	defer cancel()
	answer := make(chan error, 1)
	go func() { answer <- fsck.New(origin, verifier, fetcher, leafHashes, fsck.Opts{N: 1}).Check(ctx) }()
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return fmt.Errorf("fsck did not end: %w", ctx.Err())
	}
}

// leafHashes is how a C2SP entry bundle hashes.
func leafHashes(bundle []byte) ([][]byte, error) {
	var entries tapi.EntryBundle
	if err := entries.UnmarshalText(bundle); err != nil {
		return nil, err
	}
	var hashes [][]byte
	for _, entry := range entries.Entries {
		hashes = append(hashes, rfc6962.DefaultHasher.HashLeaf(entry))
	}
	return hashes, nil
}

// sql is what the insider types.
func (h *house) sql(statement string, args ...any) {
	h.Helper()
	if _, err := h.insider.Exec(h.Context(), statement, args...); err != nil {
		h.Fatalf("%s: %v", statement, err)
	}
}
