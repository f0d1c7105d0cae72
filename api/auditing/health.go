package auditing

import (
	"context"
	"fmt"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/audit/publication"
)

// Health is how the log and its publication stand. It says nothing of any entry
// but those that stopped the log itself, so administrators may see it, and it is
// no question that the log would have to hold.
func (s *Service) Health(ctx context.Context) (Health, error) {
	facts, err := s.Store.Publication(ctx)
	if err != nil {
		return Health{}, fmt.Errorf("reading how the log stands: %w", err)
	}
	trees, err := s.Store.Trees(ctx)
	if err != nil {
		return Health{}, fmt.Errorf("reading the names of the log: %w", err)
	}
	now := s.Now()
	survey := publication.Survey(facts, s.Policy, now)
	h := Health{
		At: now, Origin: survey.Origin, Size: survey.Size, Last: survey.LastEntry,
		Signed:    lagging(survey.Signed, survey.Size),
		Witnessed: lagging(survey.Witnessed, survey.Size),
		Stamped:   lagging(survey.Stamped, survey.Size),
		Signing:   s.SignerReady(ctx) == nil,
	}
	for _, w := range survey.Witnesses {
		h.Witnesses = append(h.Witnesses, WitnessHealth{Name: w.Name, Size: w.Size, At: w.At})
	}
	h.Recoveries = max(0, len(trees)-1)
	if _, h.Counted, err = s.Store.Totals(ctx, now, now); err != nil {
		return Health{}, fmt.Errorf("reading totals: %w", err)
	}
	return h, s.halted(ctx, &h)
}

func lagging(p publication.Point, size int64) CheckpointHealth {
	return CheckpointHealth{Size: p.Size, At: p.At, Age: p.Age, Lag: size - p.Size}
}

// halted says whether signing was stopped. A log that is behind cannot say so
// itself: nothing is appended to it.
func (s *Service) halted(ctx context.Context, h *Health) error {
	if h.Size < max(h.Signed.Size, h.Witnessed.Size) {
		h.Suspended, h.Reason = true, "behind"
		return nil
	}
	r, err := s.Store.Halt(ctx)
	if err != nil {
		return fmt.Errorf("reading whether the log was stopped: %w", err)
	}
	if r == nil || r.Type != audit.LogSuspended {
		return nil
	}
	h.Suspended, h.Since = true, r.At
	if facts, err := decode(r.Payload); err == nil {
		h.Reason, _ = facts["cause"].(string)
	}
	return nil
}
