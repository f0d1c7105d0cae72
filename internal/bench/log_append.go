package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/internal/postgres"
	"github.com/rubrica-firma/rubrica/internal/thread"
	"github.com/rubrica-firma/rubrica/store"
)

// scribes are those who write at once.
const scribes = 32

// rivalry is a log beside a table without one, in turns.
type rivalry struct {
	db  *store.DB
	raw *pgxpool.Pool
	row []byte // as large as an entry
	n   atomic.Int64
}

// rates are entries or rows a second, by round.
type rates struct{ plain, queued, appended []float64 }

// writers takes both as they are and with a disk that nobody waits for: the
// first says what the log adds where every commit waits, the second what it can
// do where the disk is fast.
func (l *Log) writers(ctx context.Context, s *server) ([]Figure, error) {
	c, err := newRivalry(ctx, s)
	if err != nil {
		return nil, err
	}
	defer c.close()
	durable, err := c.rounds(ctx, l.Rounds)
	if err != nil {
		return nil, err
	}
	later, err := s.hurry(ctx)
	if err != nil {
		return nil, err
	}
	fast, err := c.rounds(ctx, l.Rounds)
	if err != nil {
		return nil, err
	}
	rate := median(fast.appended)
	return []Figure{
		{Name: "log/append_32_writers", Value: rate, Unit: "1/s", Goal: ">=1000.00", OK: rate >= 1000},
		info("log/append_32_writers_on_this_disk", median(durable.appended), "1/s"),
		above("log/append_over_queued_inserts", median(ratios(durable.appended, durable.queued)), 0.5),
		info("log/append_over_plain_inserts", median(ratios(durable.appended, durable.plain)), "ratio"),
		info("log/append_unhindered_over_queued_inserts", median(ratios(fast.appended, fast.queued)), "ratio"),
		info("log/append_unhindered_over_plain_inserts", median(ratios(fast.appended, fast.plain)), "ratio"),
	}, later()
}

func newRivalry(ctx context.Context, s *server) (*rivalry, error) {
	db, err := s.logbook(ctx, "appended", scribes)
	if err != nil {
		return nil, err
	}
	c := &rivalry{db: db}
	if c.raw, err = pgxpool.New(ctx, fmt.Sprintf("%s&pool_max_conns=%d", s.url(postgres.Superuser, "appended"), scribes)); err != nil {
		c.close()
		return nil, fmt.Errorf("connecting to the database: %w", err)
	}
	return c, errors.Join(c.append(ctx), c.prepare(ctx))
}

func (c *rivalry) prepare(ctx context.Context) error {
	if _, err := c.raw.Exec(ctx, `
		CREATE TABLE rows (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, row bytea NOT NULL);
		CREATE TABLE queue (size bigint NOT NULL);
		INSERT INTO queue VALUES (0)`); err != nil {
		return fmt.Errorf("making tables: %w", err)
	}
	var size int
	if err := c.raw.QueryRow(ctx, `SELECT avg(pg_column_size(e)) FROM log_entries e`).Scan(&size); err != nil {
		return fmt.Errorf("measuring an entry: %w", err)
	}
	c.row = make([]byte, size)
	return nil
}

func (c *rivalry) close() {
	c.db.Close()
	if c.raw != nil {
		c.raw.Close()
	}
}

func (c *rivalry) rounds(ctx context.Context, rounds int) (rates, error) {
	var r rates
	for round := range rounds + 1 {
		for _, turn := range []struct {
			rates *[]float64
			do    func(context.Context) error
		}{{&r.plain, c.insert}, {&r.queued, c.queue}, {&r.appended, c.append}} {
			rate, err := perSecond(ctx, turn.do)
			if err != nil {
				return r, err
			}
			if round > 0 { // the first is for connections and plans
				*turn.rates = append(*turn.rates, rate)
			}
		}
	}
	return r, nil
}

// perSecond is how often the scribes does something in a second.
func perSecond(ctx context.Context, do func(context.Context) error) (float64, error) {
	var (
		group sync.WaitGroup
		done  atomic.Int64
		began = time.Now()
		errs  [scribes]error
	)
	for w := range scribes {
		group.Go(func() {
			for errs[w] == nil && time.Since(began) < time.Second {
				if errs[w] = do(ctx); errs[w] == nil {
					done.Add(1)
				}
			}
		})
	}
	group.Wait()
	return float64(done.Load()) / time.Since(began).Seconds(), errors.Join(errs[:]...)
}

// insert is one row in a transaction of its own.
func (c *rivalry) insert(ctx context.Context) error {
	_, err := c.raw.Exec(ctx, `INSERT INTO rows (row) VALUES ($1)`, c.row)
	return err
}

// queue is the same in an order: what any log without gaps has to do.
func (c *rivalry) queue(ctx context.Context) error {
	return pgx.BeginFunc(ctx, c.raw, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `UPDATE queue SET size = size + 1`); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO rows (row) VALUES ($1)`, c.row)
		return err
	})
}

// append is one entry in a transaction of its own.
func (c *rivalry) append(ctx context.Context) error {
	return c.db.Log(ctx, intentOf(int(c.n.Add(1))))
}

func intentOf(n int) audit.Entry { return history(1000).operation(n, time.Now())[3] }

// ceremonies tells how much of a ceremony appending is: a whole ceremony in the
// environment, and as many appends as it makes, each in a transaction of its
// own, though in a ceremony most share one with what they are about.
func (l *Log) ceremonies(ctx context.Context, s *server) ([]Figure, error) {
	t, err := s.found(ctx, "ceremonies", cheap())
	if err != nil {
		return nil, err
	}
	defer t.abandon()
	entries, err := t.entriesOfCeremony(ctx)
	if err != nil {
		return nil, err
	}
	alone := *l.Spine
	alone.Citizens = 1
	citizens, err := alone.prepare(ctx)
	if err != nil {
		return nil, fmt.Errorf("preparing a citizen: %w", err)
	}
	var whole, appends, shares []float64
	for round := range 4 * l.Rounds {
		began := time.Now()
		if err := alone.ceremony(ctx, citizens[0], thread.Walk{}); err != nil {
			return nil, err
		}
		ceremony := time.Since(began).Seconds()
		began = time.Now()
		for n := range entries {
			if err := t.db.Log(ctx, intentOf(round*entries+n)); err != nil {
				return nil, err
			}
		}
		appending := time.Since(began).Seconds()
		whole, appends, shares = append(whole, ceremony), append(appends, appending), append(shares, appending/ceremony)
	}
	return []Figure{
		info("log/entries_of_ceremony", float64(entries), "entries"),
		info("log/append_of_ceremony_ms", 1000*median(appends), "ms"),
		info("log/append_of_ceremony_whole_ms", 1000*median(whole), "ms"),
		below("log/append_of_ceremony", median(shares), 0.10, "ratio"),
	}, nil
}

// entriesOfCeremony counts what a signature by somebody with a certificate adds.
func (t *town) entriesOfCeremony(ctx context.Context) (int, error) {
	r, err := t.enrol(ctx)
	if err != nil {
		return 0, err
	}
	before, err := t.db.LogHead(ctx)
	if err != nil {
		return 0, err
	}
	if err := t.sign(ctx, r); err != nil {
		return 0, err
	}
	after, err := t.db.LogHead(ctx)
	return int(after.Size - before.Size), err
}
