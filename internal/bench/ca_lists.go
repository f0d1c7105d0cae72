package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/rubrica-firma/rubrica/ca"
)

// linear publishes full lists of which a quarter, half and all is revoked, in
// turns.
func (c *CA) linear(ctx context.Context, s *server) ([]Figure, error) {
	t, err := s.found(ctx, "lists", cheap())
	if err != nil {
		return nil, err
	}
	defer t.abandon()
	later, err := s.hurry(ctx)
	if err != nil {
		return nil, err
	}
	lists, press, err := t.fillLists(ctx)
	if err != nil {
		return nil, err
	}
	if err := later(); err != nil {
		return nil, err
	}
	if err := s.checkpoint(ctx); err != nil {
		return nil, err
	}
	sizes := make([]int, len(lists))
	spendings := make([]spending, len(lists))
	for round := range 2*c.Rounds + 2 {
		for i := range lists {
			turn := (round + i) % len(lists)
			l := lists[turn]
			one, err := spend(l.revoked, func() (err error) {
				sizes[turn], err = press.publish(ctx, ca.Shard{Name: l.name("issuing-1"), Ends: l.until.AddDate(validity, 0, 0)})
				return err
			})
			if err != nil {
				return nil, err
			}
			spendings[turn].size = l.revoked
			if round > 0 { // the first warms up
				spendings[turn].add(one)
			}
		}
	}
	var figures []Figure
	for i, l := range lists {
		name := fmt.Sprintf("ca/crl_linear_%d", l.revoked)
		figures = append(figures,
			info(name+"_cpu", 1000*float64(l.revoked)*median(spendings[i].cpu), "ms"),
			info(name+"_wall", 1000*float64(l.revoked)*median(spendings[i].wall), "ms"),
			below(name, median(ratios(spendings[i].cpu, spendings[0].cpu)), 1.30, "ratio"),
			info(name+"_elapsed", median(ratios(spendings[i].wall, spendings[0].wall)), "ratio"))
	}
	return append(figures, below("ca/crl_shard_bytes_all_revoked", float64(sizes[len(sizes)-1]), 1e6, "bytes")), nil
}

// fillLists makes three lists of last year.
func (t *town) fillLists(ctx context.Context) ([]listed, press, error) {
	if _, err := t.enrol(ctx); err != nil {
		return nil, press{}, fmt.Errorf("enrolling: %w", err)
	}
	f, err := newFilling(ctx, t)
	if err != nil {
		return nil, press{}, err
	}
	defer func() { _ = f.conn.Close(ctx) }()
	authority, err := t.issuing(ctx)
	if err != nil {
		return nil, press{}, err
	}
	until := time.Date(time.Now().UTC().Year(), 1, 1, 0, 0, 0, 0, time.UTC)
	var lists []listed
	for i, revoked := range []int{listSize / 4, listSize / 2, listSize} {
		lists = append(lists, listed{
			year: until.Year() - 1, ordinal: i + 1, certificates: listSize, revoked: revoked, from: until.AddDate(-1, 0, 0), until: until,
		})
	}
	if _, err := f.certify(ctx, lists); err != nil {
		return nil, press{}, err
	}
	return lists, press{town: t, sign: authority.CRL}, f.finish(ctx)
}
