package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/rubrica-firma/rubrica/policies"
)

// Citizen measures what people feel: pages, and a register that has grown large.
type Citizen struct {
	*Keys

	Spine *Spine
}

// Measure implements House.
func (c *Citizen) Measure(ctx context.Context) ([]Figure, error) {
	return c.measure(ctx, []part{
		{[]string{"citizen/page", "citizen/signing_page"}, c.pages},
		{[]string{"citizen/register"}, c.served(c.register)},
	})
}

// lookups is how often a round asks the register, half of it for strangers.
const lookups = 400

// register asks registers that differ in nothing but their size, in turns, for
// people who are in them and for people who are not.
func (c *Citizen) register(ctx context.Context, s *server) ([]Figure, error) {
	later, err := s.hurry(ctx)
	if err != nil {
		return nil, err
	}
	var towns []*inhabited
	for _, size := range c.Scales {
		t, err := s.populate(ctx, size, waves)
		if err != nil {
			return nil, fmt.Errorf("filling a register of %d citizens: %w", size, err)
		}
		defer t.abandon()
		towns = append(towns, t)
	}
	if err := errors.Join(later(), s.checkpoint(ctx)); err != nil {
		return nil, err
	}
	for round := range 2*c.Rounds + 2 {
		for _, t := range towns {
			spent, err := spend(lookups, func() error { return t.lookUp(ctx) })
			if err != nil {
				return nil, fmt.Errorf("asking a register of %d citizens: %w", t.size, err)
			}
			if round > 0 { // the first one warms plans and the indexes' tops
				t.add(spent)
			}
		}
		towns = append(towns[1:], towns[0])
	}
	slices.SortFunc(towns, func(a, b *inhabited) int { return a.size - b.size })
	spendings := make([]spending, len(towns))
	for i, t := range towns {
		spendings[i] = t.spending
	}
	return against("citizen/register", spendings, func(name string, ratio float64) Figure { return below(name, ratio, 1.15, "ratio") }), nil
}

// lookUp reads people as whoever identifies does.
func (t *inhabited) lookUp(ctx context.Context) error {
	for i := range lookups / 2 {
		r := t.residents[i%len(t.residents)]
		if c, _, err := t.db.CitizenByIdentifier(ctx, r.identifier); err != nil || c.Identifier != r.identifier {
			return fmt.Errorf("reading a citizen: %w", err)
		}
		if _, _, err := t.db.CitizenByIdentifier(ctx, "00000000T"); !errors.Is(err, policies.Refuse(policies.CitizenUnknown)) {
			return fmt.Errorf("reading a stranger: %w", err)
		}
	}
	return nil
}
