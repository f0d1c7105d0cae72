package desk_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/api/desk"
	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/internal/pgtest"
	"github.com/rubrica-firma/rubrica/personnel"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/store"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

const audience = "https://firma.example.es"

// house is a desk over a database of its own, in the registrar's role.
type house struct {
	*desk.Service

	urls   pgtest.Database
	signer *store.DB
	desks  citizen.Desk

	mu  sync.Mutex
	now time.Time
	// performed are the statements that the signer has accepted, in their order.
	performed []citizen.Statement
	// answers says what the signer answers, instead of carrying out.
	answers func(citizen.Statement) error
	// receipts are what it gives for an act, nil for none of its own.
	receipts func(citizen.Statement) citizen.Receipt
	// deaf is why the log takes nothing.
	deaf error
}

// stamp stands for the token's seal.
type stamp struct{}

func (stamp) Seal(_ context.Context, kind string, fields ...string) (int, []byte, error) {
	h := hmac.New(sha256.New, []byte("in the token"))
	_, _ = fmt.Fprintf(h, "%q %q", kind, fields)
	return 1, h.Sum(nil), nil
}

func (s stamp) CheckSeal(ctx context.Context, _ int, mac []byte, kind string, fields ...string) error {
	if _, want, _ := s.Seal(ctx, kind, fields...); !hmac.Equal(mac, want) {
		return policies.Refuse(policies.RecordTampered)
	}
	return nil
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{urls: pgtest.New(t, store.Migrate), now: time.Now().UTC().Truncate(time.Second), answers: func(citizen.Statement) error { return nil }}
	h.signer = open(t, h.urls.Signer)
	h.desks = citizen.Desk{Offices: h.signer, Seals: stamp{}, Audience: audience, Now: h.clock}
	pens := make(map[string]desk.Pen)
	for _, id := range []string{"central", "barrio"} {
		pens[id] = h.office(t, id)
	}
	for _, o := range []desk.Officer{rosa(), luis(), eva()} {
		must(t, h.signer.Staff(personnel.Officers()).Add(t.Context(), personnel.Account{ID: o.ID, Name: o.Name, Role: o.Role, Office: o.Office, CreatedAt: h.now}))
	}
	h.Service = desk.New(desk.Config{
		Store: store.ForDesk(open(t, h.urls.Registrar)), Recorder: h, Register: h, Pens: pens,
		Rules: policies.DefaultRules(), Limits: desk.DefaultLimits(), Now: h.clock,
	})
	return h
}

// office registers an office and gives it a key to sign with.
func (h *house) office(t *testing.T, id string) *citizen.Signatory {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	must(t, err)
	scopes := []string{"registration"}
	o := citizen.Office{ID: id, Name: "Oficina " + id, Organisation: "Ayuntamiento", Scopes: scopes, Enabled: true, PublicKey: public}
	sealed, err := o.Sealed(t.Context(), stamp{})
	must(t, err)
	must(t, h.signer.AddOffice(t.Context(), signer.Client{
		ID: id, Name: o.Name, Organisation: o.Organisation, SecretHash: []byte("hash of " + id), Scopes: scopes,
	}, sealed, h.now))
	pen, err := citizen.ReadSignatory(citizen.SignatoryConfig{
		Office: id, Audience: audience, PrivateKey: string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})), Now: h.clock,
	})
	must(t, err)
	return pen
}

func (h *house) clock() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *house) pass(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
}

// RecordAudit implements desk.Recorder as the signer does: what no schema knows
// is refused.
func (h *house) RecordAudit(ctx context.Context, e audit.Entry) (int64, error) {
	if h.deaf != nil {
		return 0, h.deaf
	}
	return h.signer.RecordAudit(ctx, e)
}

// Perform implements desk.Register: the statement is checked as the signer does,
// and then only remembered.
func (h *house) Perform(ctx context.Context, a citizen.Act) (citizen.Receipt, error) {
	s, err := h.desks.Accept(ctx, a)
	if err != nil {
		return citizen.Receipt{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.answers(s); err != nil {
		return citizen.Receipt{}, err
	}
	h.performed = append(h.performed, s)
	if h.receipts != nil {
		return h.receipts(s), nil
	}
	if s.Kind == citizen.ActRegister || s.Kind == citizen.ActRenewActivation {
		return citizen.Receipt{CitizenID: "new", ActivationCode: citizen.NewActivationCode(), RegisteredAt: h.now}, nil
	}
	return citizen.Receipt{}, nil
}

func open(t *testing.T, url string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), url)
	must(t, err)
	t.Cleanup(db.Close)
	return db
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantRefusal(t *testing.T, err error, code policies.Code) {
	t.Helper()
	if !errors.Is(err, policies.Refuse(code)) {
		t.Errorf("got %v, want %s", err, code)
	}
}

// sql runs statements as the owner of the database.
func (h *house) sql(t *testing.T, sql string, args ...any) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), h.urls.Owner)
	must(t, err)
	defer func() { _ = conn.Close(t.Context()) }()
	_, err = conn.Exec(t.Context(), sql, args...)
	must(t, err)
}

// person puts a citizen into the database.
func (h *house) person(t *testing.T, id, identifier, given, surnames, phone string) {
	t.Helper()
	h.sql(t, `
		INSERT INTO citizens (id, identifier, given_name, surnames, phone, email, locale, status, document_until, created_at)
		VALUES ($1, $2, $3, $4, $5, 'ana@example.es', 'es', 'active', now() + '1 year', now())`, id, identifier, given, surnames, phone)
	h.sql(t, `
		INSERT INTO registrations (citizen_id, mode, level, office, officer, assured_at)
		VALUES ($1, 'letter', 'basic', 'central', 'somebody', now() - interval '7 years'), ($1, 'office', 'advanced', 'central', 'somebody', now() - interval '6 years')`, id)
}

// logged reads the payloads of all entries of a type, with whom they are about.
func (h *house) logged(t *testing.T, kind audit.EventType) (persons, payloads []string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), h.urls.Owner)
	must(t, err)
	defer func() { _ = conn.Close(t.Context()) }()
	rows, err := conn.Query(t.Context(), `SELECT person, convert_from(payload, 'UTF8') FROM log_entries WHERE type = $1 ORDER BY seq`, string(kind))
	must(t, err)
	var person, payload string
	_, err = pgx.ForEachRow(rows, []any{&person, &payload}, func() error {
		persons, payloads = append(persons, person), append(payloads, payload)
		return nil
	})
	must(t, err)
	return persons, payloads
}

const reason = "Cita 2026/4410"

func rosa() desk.Officer {
	return desk.Officer{ID: "rosa", Name: "Rosa Gil", Role: desk.RoleSupervisor, Office: "central", By: "certificate"}
}

func luis() desk.Officer {
	return desk.Officer{ID: "luis", Name: "Luis Vega", Role: desk.RoleOfficer, Office: "central", By: "passkey"}
}

func eva() desk.Officer {
	return desk.Officer{ID: "eva", Name: "Eva Mora", Role: desk.RoleSupervisor, Office: "barrio", By: "passkey"}
}

func asks(o desk.Officer) desk.Asking { return desk.Asking{Officer: o, Reason: reason} }
