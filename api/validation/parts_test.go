package validation_test

import (
	"context"
	"crypto/x509"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"go.uber.org/goleak"
	other "golang.org/x/crypto/ocsp"

	"github.com/rubrica-firma/rubrica/api/validation"
	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/ca"
	"github.com/rubrica-firma/rubrica/internal/catest"
	"github.com/rubrica-firma/rubrica/internal/cputest"
	"github.com/rubrica-firma/rubrica/internal/hsmtest"
	"github.com/rubrica-firma/rubrica/internal/pgtest"
	"github.com/rubrica-firma/rubrica/store"
)

// withDatabase runs the tests with a cluster behind them.
type withDatabase struct{ *testing.M }

func (w withDatabase) Run() int { return pgtest.Main(w.M) }

func TestMain(m *testing.M) { goleak.VerifyTestMain(withDatabase{m}) }

func open(t *testing.T, url string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), url)
	must(t, err)
	t.Cleanup(db.Close)
	return db
}

// TestRealParts: database, token and authority are real, and the desk reads with
// the rights of the public side. A revocation is seen within a second.
func TestRealParts(t *testing.T) {
	t.Parallel()
	database := pgtest.New(t, store.Migrate)
	db, public := open(t, database.Signer), store.ForPublic(open(t, database.API))
	authority := catest.Found(t, db, hsmtest.New(t), time.Now)
	desk, err := validation.New(validation.Config{
		Validation: authority, Feed: public, Published: public, Limits: validation.DefaultLimits(),
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil)), Now: time.Now,
	})
	must(t, err)
	handler := site(t, slog.New(slog.DiscardHandler), time.Now, desk.Room)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { desk.Follow(ctx); close(done) }()
	defer func() { cancel(); <-done }()

	fetch := func(name string) *x509.Certificate {
		w := ask(handler, http.MethodGet, "/ca/"+name+".cer", nil)
		c, err := x509.ParseCertificate(w.Body.Bytes())
		must(t, err)
		return c
	}
	issuing, unit := fetch("issuing-1"), fetch("tsa-1")
	request, err := other.CreateRequest(unit, issuing, nil)
	must(t, err)
	status := func() int {
		told, err := other.ParseResponseForCert(post(handler, request).Body.Bytes(), unit, issuing)
		must(t, err)
		return told.Status
	}
	for range 20 {
		if got := status(); got != other.Good {
			t.Fatalf("got %d, want good", got)
		}
		time.Sleep(20 * time.Millisecond)
	}
	must(t, db.RevokeMember(t.Context(), "tsa-1", ca.KeyCompromise, nil, audit.Entry{
		Type: audit.AuthorityRevoked, Operation: "test", At: time.Now(), Payload: map[string]any{"member": "tsa-1", "serial": "1", "reason": 1},
	}))
	awake := cputest.Awake(t)
	for status() != other.Revoked {
		if waited := awake(); waited > time.Second {
			t.Fatalf("after %v: still good", waited)
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Logf("seen after %v", awake())
}
