package bench

import (
	"context"
	"errors"
	"fmt"
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
		{[]string{"citizen/alike"}, c.served(c.alike)},
	})
}

// lookups is how often a round asks each question.
const lookups = 200

// register asks registers that differ in nothing but their size, in turns: what
// is asked at a log-in, at the desk, on the citizens' own pages and by auditors.
// Then people look at their pages, all at once.
func (c *Citizen) register(ctx context.Context, s *server) ([]Figure, error) {
	later, err := s.hurry(ctx)
	if err != nil {
		return nil, err
	}
	var asked []*register
	for _, size := range c.Scales {
		r, err := s.openRegister(ctx, size)
		if err != nil {
			return nil, fmt.Errorf("filling a register of %d citizens: %w", size, err)
		}
		defer r.close()
		asked = append(asked, r)
	}
	if err := errors.Join(later(), s.checkpoint(ctx)); err != nil {
		return nil, err
	}
	spent := make([][]spending, len(questions()))
	for i := range spent {
		spent[i] = make([]spending, len(asked))
	}
	for round := range 2*c.Rounds + 2 {
		for turn := range asked { // each is first, second and last equally often
			at := (turn + round) % len(asked)
			for i, q := range questions() {
				one, err := asked[at].ask(ctx, q)
				if err != nil {
					return nil, fmt.Errorf("asking a register of %d citizens for %s: %w", asked[at].size, q.name, err)
				}
				spent[i][at].size = asked[at].size
				if round > 0 { // the first one warms plans and the indexes' tops
					spent[i][at].add(one)
				}
			}
		}
	}
	var figures []Figure
	for i, q := range questions() {
		figures = append(figures, against("citizen/register_"+q.name, spent[i], func(name string, ratio float64) Figure {
			return info(name, ratio, "ratio") // it informs; the pages are judged
		})...)
	}
	touched, err := compareTouched(ctx, asked)
	if err != nil {
		return nil, err
	}
	figures = append(figures, touched...)
	largest := asked[len(asked)-1]
	crowded, err := c.crowded(ctx, []*register{asked[0], largest})
	if err != nil {
		return nil, err
	}
	largest.close() // its connections report when they end
	scans, err := largest.scans(ctx, "citizen/register_sequential_scans", largest.size)
	return append(append(figures, crowded...), scans), err
}
