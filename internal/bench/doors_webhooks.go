package bench

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rubrica-firma/rubrica/api/webhooks"
	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/store"
)

// Webhooks measures how fast outcomes reach back ends: jobs, signatures, TLS and
// what is kept of each call, with a receiver in this very process.
type Webhooks struct{ *Keys }

// Measure implements House.
func (w *Webhooks) Measure(ctx context.Context) ([]Figure, error) {
	return w.served(w.deliver)(ctx)
}

// told is how many events one round delivers, to so many applications.
const told, tellers = 2000, 8

// post is a database with deliveries of the past, and who is told next.
type post struct {
	signer, api *store.DB
	receiver    *httptest.Server
	answered    atomic.Int64
	deliverer   *webhooks.Deliverer
	database    string
	round       int
}

// deliver takes turns between a database in which nobody was told anything
// before and one with a past.
func (w *Webhooks) deliver(ctx context.Context, s *server) ([]Figure, error) {
	var posts [2]*post
	for i, past := range []int{0, slices.Max(w.Scales)} {
		p, err := s.openPost(ctx, past)
		if err != nil {
			return nil, err
		}
		defer p.close()
		posts[i] = p
	}
	var rates [2][]float64
	for round := range w.Rounds + 1 {
		for turn := range posts {
			i := (turn + round) % len(posts)
			rate, err := posts[i].deliver(ctx, s)
			if err != nil {
				return nil, err
			}
			if round > 0 { // the first is for connections and plans
				rates[i] = append(rates[i], rate)
			}
		}
	}
	rate := median(rates[1])
	return []Figure{
		{Name: "doors/webhooks_per_second", Value: rate, Unit: "1/s", Goal: ">=500.00", OK: rate >= 500},
		info("doors/webhooks_past", float64(slices.Max(w.Scales)), "deliveries"),
		above("doors/webhooks_past_over_none", rate/median(rates[0]), 0.8),
	}, nil
}

// openPost makes a database with a past, and a receiver.
func (s *server) openPost(ctx context.Context, past int) (p *post, err error) {
	name := fmt.Sprintf("post%d", past)
	p = &post{database: name}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	p.receiver = httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		p.answered.Add(1)
	}))
	if p.signer, err = s.logbook(ctx, name, 16); err != nil {
		return p, err
	}
	// As the service opens it, with no more connections than it has by itself.
	if p.api, err = store.Open(ctx, s.url("rubrica_api", name)); err != nil {
		return p, err
	}
	keys, err := newWebhookKeys()
	if err != nil {
		return p, err
	}
	authorities := x509.NewCertPool()
	authorities.AddCert(p.receiver.Certificate())
	p.deliverer = webhooks.New(webhooks.Config{
		Store: store.ForPublic(p.api), Keys: keys, Networks: webhooks.NewNetworks(true), Authorities: authorities,
		Logger: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	return p, s.fillPost(ctx, name, p.receiver.URL, past)
}

func newWebhookKeys() (*webhooks.Keys, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	return webhooks.ReadKeys(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func (p *post) close() {
	p.receiver.Close()
	for _, db := range []*store.DB{p.signer, p.api} {
		if db != nil {
			db.Close()
		}
	}
}

// fillPost adds applications with their addresses, and what they were told.
func (s *server) fillPost(ctx context.Context, database, url string, past int) error {
	conn, err := s.connect(ctx, database)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	later, err := s.hurry(ctx)
	if err != nil {
		return err
	}
	for _, fill := range []struct {
		sql  string
		args []any
	}{
		{`INSERT INTO applications (id, name, organisation, secret_hash, scopes, created_at)
			SELECT 'a' || n, 'Sede', 'Ayuntamiento', '\x00', '{signature}', now() FROM generate_series(0, $1::integer - 1) n`, []any{tellers}},
		{`INSERT INTO webhooks (id, application_id, url, created_at) SELECT 'w' || id, id, $1, now() FROM applications`, []any{url + "/avisos"}},
		{requestsOf("past", "expired", "$1"), []any{past}},
		{`INSERT INTO webhook_deliveries (webhook_id, application_id, event_id, type, request_id, request_state, sequence, created_at, began_at, state, attempts,
				last_at, status, ended_at)
			SELECT 'w' || application_id, application_id, 'e' || id, 'signature_request.expired', id, 'expired', 1, created_at, created_at, 'delivered', 1,
				created_at, 204, created_at FROM requests`, nil},
		{`VACUUM ANALYZE`, nil},
	} {
		if _, err := conn.Exec(ctx, fill.sql, fill.args...); err != nil {
			return fmt.Errorf("filling the post: %w", err)
		}
	}
	return later()
}

// requestsOf is the statement that adds requests by their numbers.
func requestsOf(prefix, state, count string) string {
	return fmt.Sprintf(`INSERT INTO requests (id, application_id, identifier, title, locale, return_url, idempotency_key, body_hash, state, created_at, expires_at, closed_at)
		SELECT '%[1]s-' || n, 'a' || n %% %[4]d, '12345678Z', 'Solicitud', 'es', 'https://sede.example.es/', '%[1]s-' || n, '\x00', '%[2]s',
			now() - n * interval '1 second', now(), CASE '%[2]s' WHEN 'expired' THEN now() END
		FROM generate_series(0, %[3]s::integer - 1) n`, prefix, state, count, tellers)
}

// deliver has requests end, and then tells of them.
func (p *post) deliver(ctx context.Context, s *server) (float64, error) {
	if err := p.outcomes(ctx, s); err != nil {
		return 0, err
	}
	return p.tell(ctx)
}

// tell measures how long it takes until all are told and it is written down.
func (p *post) tell(ctx context.Context) (float64, error) {
	inside, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	before, began := p.answered.Load(), time.Now()
	go func() { done <- p.api.DeliverWebhooks(inside, slog.New(slog.DiscardHandler), p.deliverer.Deliver) }()
	took, err := p.settled(ctx, began)
	cancel()
	if err = errors.Join(err, <-done); err != nil {
		return 0, err
	}
	if n := p.answered.Load() - before; n < told {
		return 0, fmt.Errorf("of %d events %d arrived", told, n)
	}
	return told / took.Seconds(), nil
}

// settled waits until nothing waits.
func (p *post) settled(ctx context.Context, began time.Time) (time.Duration, error) {
	for time.Since(began) < time.Minute {
		waiting := 0
		for n := range tellers {
			left, err := p.signer.WebhookDeliveries(ctx, signer.WebhookQuery{ApplicationID: fmt.Sprintf("a%d", n), State: signer.WebhookWaiting, Limit: 1})
			if err != nil {
				return 0, fmt.Errorf("looking for what waits: %w", err)
			}
			waiting += len(left)
		}
		if waiting == 0 {
			return time.Since(began), nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return 0, errors.New("the deliveries do not end")
}

// outcomes are those of a round, each in its own transaction.
func (p *post) outcomes(ctx context.Context, s *server) error {
	later, err := s.hurry(ctx)
	if err != nil {
		return err
	}
	p.round++
	prefix := fmt.Sprintf("round%d", p.round)
	conn, err := s.connect(ctx, p.database)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, requestsOf(prefix, "pending", "$1"), told); err != nil {
		return fmt.Errorf("adding requests: %w", err)
	}
	var (
		group sync.WaitGroup
		next  atomic.Int64
		errs  [16]error
	)
	for w := range errs {
		group.Go(func() {
			for n := next.Add(1) - 1; n < told && errs[w] == nil; n = next.Add(1) - 1 {
				id := fmt.Sprintf("%s-%d", prefix, n)
				errs[w] = p.signer.ExpireRequest(ctx, id, audit.Entry{
					Type: audit.SignExpired, Operation: id, Person: "12345678Z", At: time.Now(), Payload: map[string]any{"application": "a0"},
				})
			}
		})
	}
	group.Wait()
	return errors.Join(append(errs[:], later())...)
}
