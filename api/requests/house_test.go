package requests_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rubrica-firma/rubrica/api/documents"
	"github.com/rubrica-firma/rubrica/api/requests"
	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/internal/cmstest"
	"github.com/rubrica-firma/rubrica/internal/pgtest"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/store"
)

// TestMain makes the test binary its own document worker.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "document-worker" {
		os.Exit(documents.Main(os.Stdin, os.Stdout))
	}
	os.Exit(pgtest.Main(m))
}

const (
	identifier = "12345678Z"
	returnURL  = "https://sede.example/vuelta?t=7"
)

// clock goes on by a step whenever it is read.
type clock struct {
	mu   sync.Mutex
	now  time.Time
	step time.Duration
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(c.step)
	return c.now
}

// opener does what the signer does with a new request.
type opener struct{ db *store.DB }

func (o opener) Open(ctx context.Context, id string) error {
	_, err := o.db.OpenRequest(ctx, id, audit.Entry{
		Type: audit.SignRequested, Operation: id, At: o.db.Now(), Person: identifier, Payload: map[string]any{"application": "sede"},
	})
	return err
}

// house is the service on a real database, each process in its role, and a
// citizen's key that the test holds.
type house struct {
	*testing.T
	requests.Service
	clock  *clock
	owner  *pgxpool.Pool
	db     *store.DB // in the signer's role
	client signer.Client
	signer *cmstest.Signer
}

func newHouse(t *testing.T) *house {
	t.Helper()
	database := pgtest.New(t, store.Migrate)
	h := &house{T: t, clock: &clock{now: time.Now().UTC().Truncate(time.Second)}, signer: cmstest.New(t, "p256")}
	h.db = open(t, database.Signer)
	h.db.Now = h.clock.Now
	public := open(t, database.API)
	public.Now = h.clock.Now
	var err error
	if h.owner, err = pgxpool.New(t.Context(), database.Owner); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.owner.Close)
	h.client = signer.Client{
		ID: "app", Name: "Sede", Organisation: "Ayuntamiento de Valdehierro",
		SecretHash: make([]byte, 32), Scopes: []string{"signature"}, ReturnAddresses: []string{returnURL},
	}
	if err := h.db.AddApplication(t.Context(), h.client, h.clock.Now()); err != nil {
		t.Fatal(err)
	}
	worker, err := documents.New(t.Context(), documents.Config{Command: []string{os.Args[0], "document-worker"}})
	if err != nil {
		t.Fatal(err)
	}
	h.Service = *requests.New(requests.Config{
		Store: store.ForPublic(public), Envelopes: store.ForPublic(public), Opener: opener{h.db}, Worker: worker, Rules: policies.DefaultRules(),
		Documents: policies.DefaultDocumentRules(), Logger: slog.New(slog.DiscardHandler),
		Limits: requests.Limits{DocumentBytes: 2 << 20, InlineBytes: 1 << 20, Documents: 3, InlineDocuments: 3, Life: time.Hour, LongestLife: 24 * time.Hour}, Now: h.clock.Now,
	})
	return h
}

func open(t *testing.T, url string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

// exec changes the database behind everybody's back.
func (h *house) exec(sql string, args pgx.NamedArgs) {
	h.Helper()
	tag, err := h.owner.Exec(h.Context(), sql, args)
	if err != nil {
		h.Fatal(err)
	}
	if tag.RowsAffected() == 0 {
		h.Fatalf("no row is changed by %s", sql)
	}
}

// citizen registers the signer in person, today, with a credential whose
// certificate is the test's.
func (h *house) citizen() {
	h.Helper()
	now := h.clock.Now()
	h.exec(`
		INSERT INTO citizens (id, identifier, given_name, surnames, phone, email, locale, status, document_until, created_at)
		VALUES ('maria', @identifier, 'María', 'Núñez', '+34600000421', 'maria@example.es', 'es', 'active', @until, @now)`,
		pgx.NamedArgs{"identifier": identifier, "until": now.AddDate(5, 0, 0), "now": now})
	h.exec(`
		INSERT INTO registrations (citizen_id, mode, level, office, officer, assured_at)
		VALUES ('maria', 'office', 'advanced', 'O1', 'office', @now)`, pgx.NamedArgs{"now": now})
	h.exec(`
		INSERT INTO credentials (id, citizen_id, generation, state, algorithm, public_key, salt, argon_memory_kib, argon_passes, argon_lanes, box, created_at, password_at)
		VALUES ('key', 'maria', 1, 'usable', 'ec-p256', 'x', 'x', 1, 1, 1, 'x', @now, @now)`, pgx.NamedArgs{"now": now})
	h.exec(`
		INSERT INTO authorities (name, role, generation, key_label, der, issuer, created_at)
		VALUES ('issuing-1', 'issuing', 1, 'rubrica-issuing-1', '', 'issuing-1', @now)`, pgx.NamedArgs{"now": now})
	h.exec(`INSERT INTO crl_shards (name, issuer, ends_at) VALUES ('issuing-1-2026-1', 'issuing-1', 'infinity')`, nil)
	h.exec(`
		INSERT INTO certificates (serial, credential_id, state, der, not_before, not_after, lease_until, issuer, shard)
		VALUES (@serial, 'key', 'issued', @der, @before, @after, @after, 'issuing-1', 'issuing-1-2026-1')`, pgx.NamedArgs{
		"serial": fmt.Sprintf("%x", h.signer.Certificate.SerialNumber.Bytes()),
		"der":    h.signer.Certificate.Raw,
		"before": h.signer.Certificate.NotBefore,
		"after":  h.signer.Certificate.NotAfter,
	})
}

// ticket has the citizen identify at a request.
func (h *house) ticket(requestID string) signer.Ticket {
	h.Helper()
	ticket := signer.NewTicket()
	now := h.clock.Now()
	err := h.db.OpenSession(h.Context(), signer.TicketRow{
		Hash: ticket.Hash(), Purpose: signer.ForSignature, RequestID: requestID, CitizenID: "maria", CredentialID: "key",
		Generation: 1, SealedKey: []byte("x"), ExpiresAt: now.Add(10 * time.Minute),
	}, audit.Entry{
		Type: audit.AuthSucceeded, Operation: requestID, At: now, Person: identifier, Payload: map[string]any{"factor": "knowledge"},
	})
	if err != nil {
		h.Fatal(err)
	}
	return ticket
}

func (h *house) submission(uploads ...requests.Upload) requests.Submission {
	sum := sha256.Sum256(fmt.Append(nil, uploads))
	return requests.Submission{
		Client: h.client, Identifier: identifier, Title: "Solicitud de ayuda", Locale: "es", ReturnURL: returnURL,
		IdempotencyKey: "key", BodyHash: sum[:], Documents: uploads,
	}
}

func (h *house) submit(uploads ...requests.Upload) signer.Request {
	h.Helper()
	r, err := h.Submit(h.Context(), h.submission(uploads...))
	if err != nil {
		h.Fatalf("Submit: %v", err)
	}
	return r
}

func (h *house) read(id string) signer.Request {
	h.Helper()
	r, err := h.Store.Request(h.Context(), id)
	if err != nil {
		h.Fatal(err)
	}
	return r
}

func pdf(t *testing.T) requests.Upload {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", "..", "testdata", "pdf", "pdf-lib.pdf"))
	if err != nil {
		t.Fatal(err)
	}
	return requests.Upload{Name: "Solicitud.PDF", MediaType: "application/pdf", Format: signer.PAdES, Content: content}
}

func text(format signer.Format) requests.Upload {
	return requests.Upload{Name: "acta.txt", MediaType: "Text/Plain; Charset=utf-8", Format: format, Content: []byte("Leída y conforme.")}
}

// wantRefusal demands a refusal by its code; an empty one demands success.
func wantRefusal(t *testing.T, err error, code policies.Code) {
	t.Helper()
	if code == "" && err != nil || code != "" && !errors.Is(err, policies.Refuse(code)) {
		t.Errorf("got %v, want refusal %q", err, code)
	}
}
