package bench

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/store"
)

// Scale measures whether what back ends ask again and again stays as cheap when
// many have asked for much.
type Scale struct{ *Keys }

// Measure implements House.
func (s *Scale) Measure(ctx context.Context) ([]Figure, error) {
	return s.measure(ctx, []part{{[]string{"doors/scale"}, s.served(s.compare)}})
}

const (
	applications = 1000
	// busy applications have all the requests.
	busy = 10
	// least is the smallest number of requests: fewer of an application lie on so
	// few pages that PostgreSQL sorts them all, and touches fewer for it.
	least = 10 * applications
	// list is how many pages a list of 51 touches, a few more or less by how
	// PostgreSQL joins: fewer than that are no measure of growth.
	list = 25
	// calls of each kind in a round.
	calls = 300
)

// ledger is a database with so many requests of the past.
type ledger struct {
	*town

	size  int
	spent []spending
}

func (s *Scale) compare(ctx context.Context, server *server) ([]Figure, error) {
	later, err := server.hurry(ctx)
	if err != nil {
		return nil, err
	}
	var ledgers []*ledger
	for _, size := range s.Scales {
		l, err := server.ledger(ctx, max(size, least))
		if err != nil {
			return nil, fmt.Errorf("filling a database with %d requests: %w", size, err)
		}
		defer l.abandon()
		ledgers = append(ledgers, l)
	}
	if err := errors.Join(later(), server.checkpoint(ctx)); err != nil {
		return nil, err
	}
	for round := range 2*s.Rounds + 2 {
		for turn := range ledgers { // each is first, second and last equally often
			l := ledgers[(turn+round)%len(ledgers)]
			for i, w := range wishes() {
				one, err := spend(calls, func() error { return l.repeat(ctx, w) })
				if err != nil {
					return nil, fmt.Errorf("%s among %d requests: %w", w.name, l.size, err)
				}
				if round > 0 { // the first one warms plans and the indexes' tops
					l.spent[i].add(one)
				}
			}
		}
	}
	var figures []Figure
	for i, w := range wishes() {
		all := make([]spending, len(ledgers))
		for at, l := range ledgers {
			all[at] = l.spent[i]
		}
		figures = append(figures, against("doors/scale_"+w.name, all, func(name string, ratio float64) Figure {
			return info(name, ratio, "ratio") // it informs; the pages are judged, which are the same in each run
		})...)
		smallest := 0.0
		for at, l := range ledgers {
			pages, err := l.touched(ctx, w)
			if err != nil {
				return nil, fmt.Errorf("%s among %d requests: %w", w.name, l.size, err)
			}
			name := fmt.Sprintf("doors/scale_%s_%d_pages", w.name, l.size)
			if figures = append(figures, info(name, pages, "pages")); at == 0 {
				smallest = pages
				continue
			}
			figures = append(figures, below(name+"_ratio", pages/max(smallest, list), 1.2, "ratio"))
		}
	}
	largest := ledgers[len(ledgers)-1]
	scans, err := largest.scans(ctx, "doors/scale_sequential_scans", largest.size)
	return append(figures, scans), err
}

// wish is something that a back end asks for.
type wish struct {
	name string
	call func(ctx context.Context, l *ledger, n int) error // about the request n
}

func wishes() []wish {
	deliveries := func(change func(q *signer.WebhookQuery, n int), want int) func(context.Context, *ledger, int) error {
		return func(ctx context.Context, l *ledger, n int) error {
			q := signer.WebhookQuery{ApplicationID: fmt.Sprintf("a%d", n%busy), Limit: 51}
			change(&q, n)
			found, err := l.public.WebhookDeliveries(ctx, q)
			return atLeast(want, len(found), err)
		}
	}
	return []wish{
		{"authentication", func(ctx context.Context, l *ledger, n int) error {
			sum := sha256.Sum256(fmt.Append(nil, "token", n%(applications*10)))
			_, err := l.public.ShownToken(ctx, sum[:], time.Now())
			return err
		}},
		{"application", func(ctx context.Context, l *ledger, n int) error {
			_, err := l.public.Application(ctx, fmt.Sprintf("a%d", n%applications))
			return err
		}},
		{"idempotency_known", func(ctx context.Context, l *ledger, n int) error {
			id, err := l.public.EarlierRequest(ctx, fmt.Sprintf("a%d", n%busy), fmt.Sprintf("r%d", n), []byte{0})
			return atLeast(1, len(id), err)
		}},
		{"idempotency_new", func(ctx context.Context, l *ledger, n int) error {
			_, err := l.public.EarlierRequest(ctx, fmt.Sprintf("a%d", n%busy), fmt.Sprintf("new%d", n), []byte{0})
			return err
		}},
		{"polling", func(ctx context.Context, l *ledger, n int) error {
			r, err := l.public.Request(ctx, fmt.Sprintf("r%d", n))
			return atLeast(1, len(r.Documents), err)
		}},
		{"deliveries", deliveries(func(*signer.WebhookQuery, int) {}, 51)},
		{"deliveries_of_request", deliveries(func(q *signer.WebhookQuery, n int) { q.RequestID = fmt.Sprintf("r%d", n) }, 1)},
		{"deliveries_given_up", deliveries(func(q *signer.WebhookQuery, _ int) { q.State, q.Limit = signer.WebhookGivenUp, 5 }, 5)},
	}
}

// repeat asks about as many requests wherever there are more, and about the same in
// each round: they lie far from each other, but what is asked for is at hand. How
// fast the disk is with what is not, is no matter of an index.
func (l *ledger) repeat(ctx context.Context, w wish) error {
	for i := range calls {
		if err := w.call(ctx, l, i*(l.size/calls)); err != nil {
			return err
		}
	}
	return nil
}

// touched is how many pages one call touches, as a register's are counted.
func (l *ledger) touched(ctx context.Context, w wish) (float64, error) {
	meter := &register{inhabited: &inhabited{town: l.town}}
	var pages []int64
	for times := 1; times <= 2; times++ {
		l.abandon()
		before, err := meter.pagesSoFar(ctx)
		if err != nil {
			return 0, err
		}
		if err := l.open(ctx); err != nil {
			return 0, err
		}
		for range times {
			if err := l.repeat(ctx, w); err != nil {
				return 0, err
			}
		}
		l.abandon()
		after, err := meter.pagesSoFar(ctx)
		if err != nil {
			return 0, err
		}
		pages = append(pages, after-before)
	}
	return float64(pages[1]-pages[0]) / calls, nil
}

// open opens the database as the public side does.
func (l *ledger) open(ctx context.Context) (err error) {
	if l.api, err = store.Open(ctx, l.url("rubrica_api", l.name)); err == nil {
		l.public = store.ForPublic(l.api)
	}
	return err
}

func (s *server) ledger(ctx context.Context, size int) (l *ledger, err error) {
	l = &ledger{town: &town{server: s, name: fmt.Sprintf("ledger%d", size)}, size: size, spent: slices.Repeat([]spending{{size: size}}, len(wishes()))}
	made, err := s.logbook(ctx, l.name, 1)
	if err != nil {
		return l, err
	}
	made.Close()
	conn, err := s.connect(ctx, l.name)
	if err != nil {
		return l, err
	}
	defer func() { _ = conn.Close(ctx) }()
	const nth = ` FROM generate_series(0, $1::integer - 1) n`
	for _, fill := range []struct {
		sql  string
		args []any
	}{
		// All that a row refers to is written beside it.
		{`SET session_replication_role = replica`, nil},
		{`INSERT INTO applications (id, name, organisation, secret_hash, scopes, created_at)
			SELECT 'a' || n, 'Sede', 'Ayuntamiento', '\x00', '{signature}', now()` + nth, []any{applications}},
		{`INSERT INTO return_addresses (application_id, url) SELECT id, 'https://sede.example.es/' FROM applications`, nil},
		{`INSERT INTO access_tokens (hash, application_id, scopes, expires_at)
			SELECT sha256(('token' || n)::bytea), 'a' || n % $2::integer, '{signature}', now() + interval '1 day'` + nth, []any{10 * applications, applications}},
		{`INSERT INTO webhooks (id, application_id, url, created_at) SELECT 'w' || id, id, 'https://sede.example.es/avisos', now() FROM applications`, nil},
		{`INSERT INTO requests (id, application_id, identifier, title, locale, return_url, idempotency_key, body_hash, state, created_at, expires_at, closed_at)
			SELECT 'r' || n, 'a' || n % $2::integer, '12345678Z', 'Solicitud', 'es', 'https://sede.example.es/', 'r' || n, '\x00', 'expired',
				now() - n * interval '1 second', now(), now()` + nth, []any{size, busy}},
		{`INSERT INTO documents (request_id, ordinal, name, media_type, format, size, sha256)
			SELECT id, 1, 'solicitud.txt', 'text/plain', 'cades-detached', 1000, '\x00' FROM requests`, nil},
		// One in 20 was given up, of all applications alike.
		{`INSERT INTO webhook_deliveries (webhook_id, application_id, event_id, type, request_id, request_state, sequence, created_at, began_at, state, attempts, last_at, ended_at)
			SELECT 'wa' || n % $2::integer, 'a' || n % $2::integer, 'e' || n, 'signature_request.expired', 'r' || n, 'expired', 1, now() - n * interval '1 second', now(),
				CASE WHEN n / $2::integer % 20 = 0 THEN 'given_up' ELSE 'delivered' END, 1, now(), now()` + nth, []any{size, busy}},
		{`VACUUM (FREEZE, ANALYZE)`, nil},
		{`SELECT pg_stat_reset()`, nil},
	} {
		if _, err := conn.Exec(ctx, fill.sql, fill.args...); err != nil {
			return l, fmt.Errorf("filling (%.40s): %w", strings.TrimSpace(fill.sql), err)
		}
	}
	return l, l.open(ctx)
}
