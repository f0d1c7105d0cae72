package bench

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/internal/postgres"
	"github.com/rubrica-firma/rubrica/store"
)

// Log measures the signature log: what it costs to write to, beside what any
// log in the same database would cost, and what is read from a large one.
type Log struct {
	*Keys

	Spine *Spine
}

// Measure implements House. One database server is enough for all of it.
func (l *Log) Measure(ctx context.Context) ([]Figure, error) {
	return l.served(func(ctx context.Context, s *server) ([]Figure, error) {
		at := func(measure func(context.Context, *server) ([]Figure, error)) func(context.Context) ([]Figure, error) {
			return func(ctx context.Context) ([]Figure, error) { return measure(ctx, s) }
		}
		return l.measure(ctx, []part{
			{[]string{"log/append_32_writers", "log/append_over", "log/append_unhindered"}, at(l.writers)},
			{[]string{"log/append_of_ceremony", "log/entries_of_ceremony"}, at(l.ceremonies)},
			{[]string{"log/proof", "log/publication", "log/search", "log/verify", "log/entries"}, at(l.large)},
		})
	})(ctx)
}

// entries is how many a large log has: ten million where citizens are a million.
func (l *Log) entries() int {
	const few, many = 1_000_000, 10_000_000
	if slices.Max(l.Scales) >= few {
		return many
	}
	return few
}

// logbook makes a database with the tables and nothing in them, and opens it as
// the service does, for so many writers.
func (s *server) logbook(ctx context.Context, name string, writers int) (*store.DB, error) {
	admin, err := s.connect(ctx, "postgres")
	if err != nil {
		return nil, err
	}
	defer func() { _ = admin.Close(ctx) }()
	if _, err := admin.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()); err != nil {
		return nil, fmt.Errorf("making a database: %w", err)
	}
	if err := store.Migrate(ctx, s.url(postgres.Superuser, name)); err != nil {
		return nil, err
	}
	return store.Open(ctx, fmt.Sprintf("%s&pool_max_conns=%d", s.url("rubrica_signer", name), writers))
}

// slowest is the 99th percentile of n calls of do, in milliseconds: the median
// of those of several rounds, which is not what the machine did meanwhile.
func (l *Log) slowest(n int, do func() error) (float64, error) {
	var percentiles []float64
	for range l.Rounds {
		took := make([]float64, n)
		for i := range took {
			began := time.Now()
			if err := do(); err != nil {
				return 0, err
			}
			took[i] = 1000 * time.Since(began).Seconds()
		}
		slices.Sort(took)
		percentiles = append(percentiles, took[n*99/100-1])
	}
	return median(percentiles), nil
}
