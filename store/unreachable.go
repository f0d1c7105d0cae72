package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rubrica-firma/rubrica/policies"
)

// conns is a pool that tells a server that cannot be reached, which is worth
// another try, from a mistake of ours, which is not.
type conns struct{ *pgxpool.Pool }

// QueryRow classifies what Scan reports.
func (c conns) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	return row{c.Pool.QueryRow(ctx, sql, args...)}
}

// Query classifies what can be told before the rows are read.
func (c conns) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	rows, err := c.Pool.Query(ctx, sql, args...)
	return rows, classify(err)
}

// Exec classifies its error.
func (c conns) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	tag, err := c.Pool.Exec(ctx, sql, args...)
	return tag, classify(err)
}

type row struct{ pgx.Row }

// Scan implements pgx.Row.
func (r row) Scan(dest ...any) error { return classify(r.Row.Scan(dest...)) }

// retryAfter is how long a server that went away usually takes.
const retryAfter = 5 * time.Second

// classify adds policies.Unavailable to an error of the connection. Whether the
// server had committed is unknown then: callers ask again by idempotency key,
// or find the state that the request is in.
func classify(err error) error {
	if err == nil || !unreachable(err) {
		return err
	}
	return fmt.Errorf("%w: %w", policies.Refuse(policies.Unavailable).After(retryAfter), err)
}

// deadlock is two transactions that wait for each other, of which one was ended:
// it has done nothing, and may be tried again.
const deadlock = "40P01"

// unreachable is a connection that failed or was cut, or a server that says
// that it is starting, stopping or full (classes 57P and 53 of PostgreSQL's
// appendix A).
func unreachable(err error) bool {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return strings.HasPrefix(pg.Code, "57P") || strings.HasPrefix(pg.Code, "53") || pg.Code == deadlock
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	_, network := errors.AsType[net.Error](err)
	return network || errors.Is(err, pgconn.ErrConnClosed) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)
}
