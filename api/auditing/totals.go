package auditing

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/policies"
)

// longestTotals is how many days one answer counts.
const longestTotals = 3700

const day = 24 * time.Hour

// Totals counts the entries of the days [from, to), by UTC. Times within a day
// stand for the whole of it.
func (s *Service) Totals(ctx context.Context, a Asking, from, to time.Time) (Totals, error) {
	if err := admit(a); err != nil {
		return Totals{}, err
	}
	from, to = from.UTC().Truncate(day), to.UTC().Add(day-1).Truncate(day)
	if from.Year() < earliest || to.Year() > latest || !from.Before(to) || from.After(s.Now()) || to.Sub(from) > longestTotals*day {
		return Totals{}, policies.Refuse(policies.RangeImpossible)
	}
	size, err := s.record(ctx, a, askedTotals, map[string]any{"from": from.Format(time.RFC3339), "to": to.Format(time.RFC3339)})
	if err != nil {
		return Totals{}, err
	}
	counts, counted, err := s.Store.Totals(ctx, from, to)
	if err != nil {
		return Totals{}, fmt.Errorf("reading totals: %w", err)
	}
	reasons, err := s.Store.Reasons(ctx, from, to)
	if err != nil {
		return Totals{}, fmt.Errorf("reading totals: %w", err)
	}
	t := Totals{From: from, To: to, Counted: min(counted, size), Size: size}
	t.count(counts)
	for _, r := range reasons {
		t.Refusals = append(t.Refusals, ReasonTotal{Type: r.Type, Reason: r.Reason, N: r.N})
	}
	slices.SortStableFunc(t.Refusals, func(a, b ReasonTotal) int { return cmp.Compare(b.N, a.N) })
	return t, nil
}

// count sorts counts, which come by day, type and application, into the tables.
func (t *Totals) count(counts []audit.Total) {
	signatures := map[SignatureTotal]int64{}
	failures := map[EventTotal]int64{}
	events := map[audit.EventType]int64{}
	for _, c := range counts {
		events[c.Type] += c.N
		switch result := audit.ResultOf(c.Type); {
		case c.Type == audit.SignAuthorised:
			t.confirm(c)
		case strings.HasPrefix(string(c.Type), "sign.") && result != audit.ResultNone:
			signatures[SignatureTotal{Day: c.Day, Application: c.Application, Result: result}] += c.N
		case strings.HasPrefix(string(c.Type), "code.") && result != audit.ResultNone:
			failures[EventTotal{Day: c.Day, Type: c.Type}] += c.N
		}
	}
	for s, n := range signatures {
		s.N = n
		t.Signatures = append(t.Signatures, s)
	}
	for e, n := range failures {
		e.N = n
		t.CodeFailures = append(t.CodeFailures, e)
	}
	for kind, n := range events {
		t.Events = append(t.Events, EventTotal{Type: kind, N: n})
	}
	slices.SortFunc(t.Signatures, func(a, b SignatureTotal) int {
		return cmp.Or(a.Day.Compare(b.Day), cmp.Compare(a.Application, b.Application), cmp.Compare(a.Result, b.Result))
	})
	slices.SortFunc(t.CodeFailures, func(a, b EventTotal) int { return cmp.Or(a.Day.Compare(b.Day), cmp.Compare(a.Type, b.Type)) })
	slices.SortFunc(t.Events, func(a, b EventTotal) int { return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.Type, b.Type)) })
}

// confirm adds to how long people took on that day, of any application.
func (t *Totals) confirm(c audit.Total) {
	if n := len(t.Confirmations); n == 0 || !t.Confirmations[n-1].Day.Equal(c.Day) {
		t.Confirmations = append(t.Confirmations, TimeTotal{Day: c.Day})
	}
	last := &t.Confirmations[len(t.Confirmations)-1]
	last.N += c.N
	last.Seconds += c.Seconds
}
