package bench

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/rubrica-firma/rubrica/audit"
)

// perOperation is how many entries a signature leaves in a filled log, and
// perCitizen how many signatures each citizen makes.
const (
	perOperation = 5
	perCitizen   = 10
)

// chronicle fills a log as if signatures had been made for a while, one every
// second. What is in it can be told from its number, so that it can be looked for.
type chronicle struct {
	history history
	now     time.Time
	head    audit.Head
	written chan piece
}

// piece is what goes into the database at once.
type piece struct {
	head    audit.Head
	records []audit.Record
}

// historyOf is the one of a log of n entries.
func historyOf(n int) history { return history(n / perOperation / perCitizen) }

// fill puts n entries into an empty log: while some are copied, others are made.
func (s *server) fill(ctx context.Context, database string, n int) error {
	conn, err := s.connect(ctx, database)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	c := &chronicle{history: historyOf(n), now: time.Now().Add(-time.Duration(n/perOperation) * time.Second), written: make(chan piece, 1)}
	group, inside := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(c.written)
		return c.write(inside, n/perOperation)
	})
	group.Go(func() error {
		for p := range c.written {
			err := pgx.BeginFunc(inside, conn, func(tx pgx.Tx) error { return bulk{tx}.Write(inside, p.head, p.records) })
			if err != nil {
				return fmt.Errorf("filling a log: %w", err)
			}
		}
		return nil
	})
	if err := group.Wait(); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, `VACUUM (FREEZE, ANALYZE)`); err != nil {
		return fmt.Errorf("looking after the database: %w", err)
	}
	return nil
}

// write appends the entries of so many operations, some at a time.
func (c *chronicle) write(ctx context.Context, operations int) error {
	const step = 4000
	var entries []audit.Entry
	for n := range operations {
		entries = append(entries, c.history.operation(n, c.now)...)
		if len(entries) < step && n+1 < operations {
			continue
		}
		if _, err := audit.Append(ctx, c, entries...); err != nil {
			return fmt.Errorf("filling a log: %w", err)
		}
		c.now = c.now.Add(time.Duration(len(entries)/perOperation) * time.Second)
		entries = nil
	}
	return nil
}

// Now implements audit.Tx.
func (c *chronicle) Now() time.Time { return c.now }

// LockHead implements audit.Tx.
func (c *chronicle) LockHead(context.Context) (audit.Head, error) { return c.head, nil }

// Write implements audit.Tx.
func (c *chronicle) Write(ctx context.Context, next audit.Head, records []audit.Record) error {
	c.head = next
	select {
	case c.written <- piece{next, records}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// history is one of so many citizens, each of whom comes again and again.
type history int

// operation is what a signature leaves in the log.
func (h history) operation(n int, at time.Time) []audit.Entry {
	document := map[string]any{"ordinal": 1, "sha256": invented("document", n)}
	signed := map[string]any{"ordinal": 1, "sha256": invented("document", n), "digest": invented("digest", n)}
	application := fmt.Sprintf("application-%d", n%32)
	consent := map[string]any{"application": application, "serial": h.serial(n), "documents": []any{signed}}
	entries := make([]audit.Entry, 0, perOperation)
	for _, e := range []struct {
		kind  audit.EventType
		facts map[string]any
	}{
		{audit.SignRequested, map[string]any{"application": application, "documents": []any{document}}},
		{audit.CodeSent, nil},
		{audit.SignAuthorised, consent},
		{audit.SignIntent, consent},
		{audit.SignDone, consent},
	} {
		schema, _ := audit.SchemaOf(e.kind)
		payload := schema.Example()
		maps.Copy(payload, e.facts)
		entries = append(entries, audit.Entry{Type: e.kind, Operation: invented("operation", n)[:26], At: at, Person: h.citizen(n), Payload: payload})
	}
	return entries
}

func (h history) citizen(n int) string { return fmt.Sprintf("%08dX", n%int(h)) }

func (h history) serial(n int) string { return invented("serial", n%int(h))[:32] }

// invented is a hash that a number has.
func invented(what string, n int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", what, n))
	return hex.EncodeToString(sum[:])
}
