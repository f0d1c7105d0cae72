package webhooks_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/api/webhooks"
	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/internal/pgtest"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/store"
)

func TestMain(m *testing.M) {
	if os.Getenv(victimVariable) != "" {
		os.Exit(victim())
	}
	os.Exit(pgtest.Main(m))
}

// house is a database with applications, what tells them, and who is told.
type house struct {
	*testing.T

	base   pgtest.Database
	signer *store.DB
	public store.Public
	api    *store.DB
	owner  *pgx.Conn
	keys   *webhooks.Keys
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{T: t, base: pgtest.New(t, store.Migrate)}
	h.signer, h.api = h.open(h.base.Signer), h.open(h.base.API)
	h.public = store.ForPublic(h.api)
	h.keys = newKeys(t)
	var err error
	if h.owner, err = pgx.Connect(t.Context(), h.base.Owner); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.owner.Close(context.WithoutCancel(t.Context())) })
	return h
}

func (h *house) open(url string) *store.DB {
	h.Helper()
	db, err := store.Open(h.Context(), url)
	if err != nil {
		h.Fatal(err)
	}
	h.Cleanup(db.Close)
	return db
}

func newKeyFile(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func newKeys(t *testing.T) *webhooks.Keys {
	t.Helper()
	keys, err := webhooks.ReadKeys(newKeyFile(t))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// sql runs a statement as the database's owner.
func (h *house) sql(statement string, args ...any) {
	h.Helper()
	if _, err := h.owner.Exec(h.Context(), statement, args...); err != nil {
		h.Fatalf("running %s: %v", statement, err)
	}
}

// application registers one, with the address at which it is told.
func (h *house) application(id, url string) signer.Webhook {
	h.Helper()
	h.sql(`INSERT INTO applications (id, name, organisation, secret_hash, scopes, created_at) VALUES ($1, 'Sede', 'Ayuntamiento', '\x00', '{signature}', now())`, id)
	w, err := h.signer.AddWebhook(h.Context(), signer.Webhook{ID: "w-" + id, ApplicationID: id, URL: url, CreatedAt: time.Now()})
	if err != nil {
		h.Fatal(err)
	}
	return w
}

// requests are that many of an application, named after it from 1 on.
func (h *house) requests(application string, n int) {
	h.Helper()
	h.sql(`
		INSERT INTO requests (id, application_id, identifier, title, locale, return_url, idempotency_key, body_hash, state, created_at, expires_at)
		SELECT $1 || '-' || n, $1, '12345678Z', 'Solicitud', 'es', 'https://sede.example.es/', n, '\x00', 'pending', now(), now() FROM generate_series(1, $2::integer) n`,
		application, n)
}

// expire is an outcome like any other.
func expire(ctx context.Context, db *store.DB, request string) error {
	return db.ExpireRequest(ctx, request, audit.Entry{
		Type: audit.SignExpired, Operation: request, Person: "12345678Z", At: time.Now(), Payload: map[string]any{"application": "sede"},
	})
}

func (h *house) expire(application string, from, to int) {
	h.Helper()
	for n := from; n <= to; n++ {
		if err := expire(h.Context(), h.signer, fmt.Sprintf("%s-%d", application, n)); err != nil {
			h.Fatal(err)
		}
	}
}

// work delivers until the test ends.
func (h *house) work(c webhooks.Config) {
	h.Helper()
	c.Store, c.Keys, c.Networks, c.Now = h.public, h.keys, webhooks.NewNetworks(true), time.Now
	c.Logger = slog.New(slog.DiscardHandler)
	ctx, cancel := context.WithCancel(h.Context())
	done := make(chan error, 1)
	deliverer := webhooks.New(c)
	go func() { done <- h.api.DeliverWebhooks(ctx, c.Logger, deliverer.Deliver) }()
	h.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			h.Error(err)
		}
	})
}

// eventually waits for what is about to be.
func (h *house) eventually(what string, is func() bool) {
	h.Helper()
	for until := time.Now().Add(20 * time.Second); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(until) {
			h.Fatalf("waited in vain for %s", what)
		}
	}
}

// deliveries are an application's, the newest first.
func (h *house) deliveries(application string) []signer.WebhookDelivery {
	h.Helper()
	all, err := h.public.WebhookDeliveries(h.Context(), signer.WebhookQuery{ApplicationID: application, Limit: 10_000})
	if err != nil {
		h.Fatal(err)
	}
	return all
}

// delivered is whether all of them are.
func (h *house) delivered(application string) func() bool {
	return func() bool {
		for _, d := range h.deliveries(application) {
			if d.State != signer.WebhookDelivered {
				return false
			}
		}
		return true
	}
}

// event is what a receiver gets.
type event struct {
	ID        string    `json:"id"`
	Type      string    `json:"type"`
	CreatedAt time.Time `json:"created_at"`
	RequestID string    `json:"request_id"`
	State     string    `json:"state"`
	Sequence  int       `json:"sequence"`
}

// receiver is a back end's.
type receiver struct {
	*httptest.Server

	mu     sync.Mutex
	events []event
	heads  []http.Header
	answer http.HandlerFunc
}

func newReceiver(t *testing.T, answer http.HandlerFunc) *receiver {
	t.Helper()
	r := &receiver{answer: answer}
	r.Server = httptest.NewUnstartedServer(r)
	r.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	r.StartTLS()
	t.Cleanup(r.Close)
	return r
}

// ServeHTTP implements http.Handler.
func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	var e event
	if err != nil || json.Unmarshal(body, &e) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	head := q.Header.Clone()
	head.Set("Test-Body", string(body))
	r.mu.Lock()
	r.events, r.heads = append(r.events, e), append(r.heads, head)
	r.mu.Unlock()
	r.answer(w, q)
}

func (r *receiver) authorities() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(r.Certificate())
	return pool
}

func (r *receiver) got() []event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]event{}, r.events...)
}

func answers(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
}
