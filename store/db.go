package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"golang.org/x/sync/semaphore"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/policies"
)

// DB is a pool of connections in one role.
type DB struct {
	pool conns
	jobs *river.Client[pgx.Tx] // inserts only
	// bulk has the connections that whole documents may take. The rest is for
	// whoever reads or writes a line meanwhile.
	bulk *semaphore.Weighted
	// Now is the clock that the log is held against.
	Now func() time.Time
	// Admit, if there is one, may refuse what would follow this head of the log.
	Admit func(head audit.Head) error
}

// doubt is after how long out of use a connection is asked whether it lives.
const doubt = 100 * time.Millisecond

// Open connects. It fails at once if the server does not answer.
func Open(ctx context.Context, url string) (*DB, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("reading the database address: %w", err)
	}
	// A server that died is back sooner than the pool would have doubts about the
	// connections that it left: without these, each of them costs somebody a call.
	config.ShouldPing = func(_ context.Context, p pgxpool.ShouldPingParams) bool { return p.IdleDuration > doubt }
	// What the desk asks is planned once for all names, people and days. A plan of
	// its own for each would be most of what a look-up costs in a large register,
	// and is made as often as it promises to save more than nothing.
	if config.ConnConfig.User == deskRole {
		config.ConnConfig.RuntimeParams["plan_cache_mode"] = "force_generic_plan"
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("opening the database: %w", err)
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("reaching the database: %w", err)
	}
	jobs, err := river.NewClient(riverpgxv5.New(pool), &river.Config{})
	if err != nil {
		pool.Close()
		return nil, fmt.Errorf("opening the job queue: %w", err)
	}
	return &DB{pool: conns{pool}, jobs: jobs, bulk: semaphore.NewWeighted(int64(max(1, config.MaxConns/2))), Now: time.Now}, nil
}

// Close ends all connections.
func (db *DB) Close() { db.pool.Close() }

// Ping reports whether the database answers.
func (db *DB) Ping(ctx context.Context) error { return db.pool.Ping(ctx) }

// swap runs a compare-and-swap: exactly one row, or the refusal.
func swap(ctx context.Context, tx pgx.Tx, refusal *policies.Refusal, sql string, args pgx.NamedArgs) error {
	tag, err := tx.Exec(ctx, sql, args)
	if err != nil {
		return err
	}
	if tag.RowsAffected() != 1 {
		return refusal
	}
	return nil
}

// compare is what swap is asked for.
type compare struct {
	refusal *policies.Refusal
	sql     string
	args    pgx.NamedArgs
}

// swaps are several compare-and-swaps in one round trip; the first that fails is
// the refusal. What followed it has been done, and is taken back with the rest.
func swaps(ctx context.Context, tx pgx.Tx, all ...compare) error {
	var batch pgx.Batch
	for _, c := range all {
		batch.Queue(c.sql, c.args)
	}
	results := tx.SendBatch(ctx, &batch)
	for _, c := range all {
		tag, err := results.Exec()
		if err == nil && tag.RowsAffected() != 1 {
			err = c.refusal
		}
		if err != nil {
			_ = results.Close() // says the same, or less
			return err
		}
	}
	return results.Close()
}

// violated reports whether err is the violation of a named constraint.
func violated(err error, constraint string) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.ConstraintName == constraint
}

// orZero turns a nullable time into one that may be zero.
func orZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

// orNull is its inverse.
func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
