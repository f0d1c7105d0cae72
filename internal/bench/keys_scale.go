package bench

import (
	"context"
	"fmt"
	"slices"
)

// perRound is how many signatures a town makes in a round, each by a citizen who
// has not signed before: nobody's records are at hand more than anybody's.
const perRound = 20

// scale makes signatures in databases that differ in nothing but how many
// citizens they hold, in turns: the whole ceremony from the request on, every
// statement of it and the reaper's, without the argon2id that would hide them.
func (k *Keys) scale(ctx context.Context, s *server) ([]Figure, error) {
	rounds := 2*k.Rounds + 1
	later, err := s.hurry(ctx)
	if err != nil {
		return nil, err
	}
	var towns []*inhabited
	for _, size := range k.Scales {
		t, err := s.populate(ctx, size, perRound*(rounds+1))
		if err != nil {
			return nil, fmt.Errorf("filling a database for %d citizens: %w", size, err)
		}
		defer t.abandon()
		towns = append(towns, t)
	}
	if err := later(); err != nil {
		return nil, err
	}
	// What was written lies on disk, and every plan and every index's top has
	// been used once.
	if err := s.checkpoint(ctx); err != nil {
		return nil, err
	}
	for _, t := range towns {
		if _, err := t.round(ctx); err != nil {
			return nil, err
		}
	}
	for range rounds {
		for _, t := range towns {
			spent, err := t.round(ctx)
			if err != nil {
				return nil, err
			}
			t.add(spent)
		}
		// Each is first, second and last equally often.
		towns = append(towns[1:], towns[0])
	}
	slices.SortFunc(towns, func(a, b *inhabited) int { return a.size - b.size })
	scans, err := towns[len(towns)-1].scans(ctx, "keys/scale_sequential_scans", towns[len(towns)-1].size)
	if err != nil {
		return nil, err
	}
	return append(compare(towns), scans), nil
}

// compare holds each town against the smallest.
func compare(towns []*inhabited) []Figure {
	spendings := make([]spending, len(towns))
	for i, t := range towns {
		spendings[i] = t.spending
	}
	return against("keys/scale", spendings, func(name string, ratio float64) Figure { return within(name, ratio, 0.90, 1.10, "ratio") })
}

// inhabited is a town with residents who are going to sign.
type inhabited struct {
	*town
	spending

	residents []resident
}

// round makes the signatures of one round and returns what one of them took of
// this process and of the database.
func (t *inhabited) round(ctx context.Context) (spent, error) {
	now := t.residents[:perRound]
	t.residents = t.residents[perRound:]
	return spend(perRound, func() error {
		for _, r := range now {
			if err := t.sign(ctx, r); err != nil {
				return fmt.Errorf("a signature among %d citizens: %w", t.size, err)
			}
		}
		if err := t.module.Reap(ctx); err != nil {
			return fmt.Errorf("reaping among %d citizens: %w", t.size, err)
		}
		return nil
	})
}

// scans counts how often a table was read from end to end since the statistics
// were reset, those aside that have fewer rows than half the town. The note says
// which.
func (t *town) scans(ctx context.Context, name string, size int) (Figure, error) {
	t.abandon() // its connections report when they end
	conn, err := t.connect(ctx, t.name)
	if err != nil {
		return Figure{}, err
	}
	defer func() { _ = conn.Close(ctx) }()
	var (
		n      int
		tables string
	)
	err = conn.QueryRow(ctx, `
		SELECT
			coalesce(sum(s.seq_scan), 0),
			coalesce(string_agg(s.relname || ' ' || s.seq_scan, ', ' ORDER BY s.relname) FILTER (WHERE s.seq_scan > 0), '')
		FROM pg_stat_user_tables s
		JOIN pg_class c ON c.oid = s.relid
		WHERE c.reltuples >= $1`, size/2).Scan(&n, &tables)
	if err != nil {
		return Figure{}, fmt.Errorf("counting scans: %w", err)
	}
	f := below(name, float64(n), 0, "scans")
	f.Note = tables
	return f, nil
}
