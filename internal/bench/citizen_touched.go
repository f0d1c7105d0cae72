package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// few pages are touched by a question for which an index more or less is no
// growth.
const few = 10

// compareTouched holds the pages that a question touches in each register against
// those in the smallest. A tree over a thousand people has two levels and one over
// a million four, and people of one name lie closer together among few: so twice
// as many are flat, and what grows with the register is a multiple of that. Unlike
// processor time, of which plans and caches are most where a question is answered
// in a tenth of a millisecond, it is the same in each run and on each machine.
func compareTouched(ctx context.Context, asked []*register) ([]Figure, error) {
	var figures []Figure
	for _, q := range questions() {
		smallest := 0.0
		for i, r := range asked {
			pages, err := r.touched(ctx, q)
			if err != nil {
				return nil, fmt.Errorf("asking a register of %d citizens for %s: %w", r.size, q.name, err)
			}
			name := fmt.Sprintf("citizen/register_%s_%d_pages", q.name, r.size)
			figures = append(figures, info(name, pages, "pages"))
			if i == 0 {
				smallest = pages
				continue
			}
			figures = append(figures, below(name+"_ratio", pages/max(smallest, few), 2, "ratio"))
		}
	}
	return figures, nil
}

// touched is how many pages of tables and indexes a question touches, on disk or
// in memory: those of asking all of it twice, less those of asking it once, which
// are also what connections read as they begin and plans as they are made.
func (r *register) touched(ctx context.Context, q question) (float64, error) {
	var pages []int64
	for times := 1; times <= 2; times++ {
		r.close()
		before, err := r.pagesSoFar(ctx)
		if err != nil {
			return 0, err
		}
		if err := r.connectAll(ctx); err != nil {
			return 0, err
		}
		for range times {
			for n := range lookups {
				if err := q.ask(ctx, r, r.residents[n%len(r.residents)]); err != nil {
					return 0, err
				}
			}
		}
		r.close()
		after, err := r.pagesSoFar(ctx)
		if err != nil {
			return 0, err
		}
		pages = append(pages, after-before)
	}
	return float64(pages[1]-pages[0]) / lookups, r.connectAll(ctx)
}

// pagesSoFar is how many pages were touched in the register's database, by
// connections that have ended: they report when they do.
func (r *register) pagesSoFar(ctx context.Context) (int64, error) {
	conn, err := r.connect(ctx, "postgres")
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close(ctx) }()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		var (
			open  int
			pages int64
		)
		err := conn.QueryRow(ctx, `
			SELECT
				(SELECT count(*) FROM pg_stat_activity WHERE datname = @database AND backend_type = 'client backend'),
				blks_hit + blks_read
			FROM pg_stat_database
			WHERE datname = @database`, pgx.NamedArgs{"database": r.name}).Scan(&open, &pages)
		switch {
		case err != nil:
			return 0, fmt.Errorf("counting pages: %w", err)
		case open == 0:
			return pages, nil
		case time.Now().After(deadline):
			return 0, fmt.Errorf("%d connections do not end", open)
		}
	}
}
