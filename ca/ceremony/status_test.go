package ceremony_test

import (
	"strings"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/ca"
	"github.com/rubrica-firma/rubrica/ca/ceremony"
	"github.com/rubrica-firma/rubrica/internal/hsmtest"
)

// TestInspect looks at one hierarchy at several times, and with several tokens.
func TestInspect(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	if err := h.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	list, err := h.db.NewestList(t.Context(), "root")
	if err != nil {
		t.Fatal(err)
	}
	lists := []ceremony.ListState{{Shard: "root", Number: 1, NextUpdate: list.NextUpdate}}
	fine := ceremony.Inspection{
		Hierarchy: h.hierarchy(t), Lists: lists, Service: h.Service, Root: h.rootToken, CitizenYears: 4, Now: now,
	}
	at := func(years, months, days int) func(*ceremony.Inspection) {
		return func(i *ceremony.Inspection) { i.Now = now.AddDate(years, months, days) }
	}
	for name, test := range map[string]struct {
		change func(*ceremony.Inspection)
		want   []string // the beginnings of all problems
	}{
		"as it was made":        {func(*ceremony.Inspection) {}, nil},
		"without tokens":        {func(i *ceremony.Inspection) { i.Service, i.Root = nil, nil }, nil},
		"root's token away":     {func(i *ceremony.Inspection) { i.Root = nil }, nil},
		"nothing yet":           {func(i *ceremony.Inspection) { i.Hierarchy = nil }, []string{"There is no certification authority"}},
		"responder not renewed": {at(0, 0, 75), []string{"The certificate of ocsp-1 ends"}},
		"root's list ending":    {at(0, 12, 0), []string{"The root's list ends"}},
		"root's list ended":     {at(0, 14, 0), []string{"The root's list ended"}},
		"no list":               {func(i *ceremony.Inspection) { i.Lists = []ceremony.ListState{{Shard: "root"}} }, []string{"The root has no"}},
		"list of an authority overdue": {func(i *ceremony.Inspection) {
			i.Lists = append(i.Lists[:1:1], ceremony.ListState{Shard: "issuing-1-2026-1", Number: 3, NextUpdate: now.Add(-time.Hour)})
		}, []string{"The list issuing-1-2026-1 ended"}},
		"time-stamps' key ending": {at(2, 10, 0), []string{"The root's list", "The key of tsa-1 is used until"}},
		"to be rolled over":       {at(5, 7, 0), []string{"The root's list", "issuing-1 has to be succeeded before", "The key of tsa-1"}},
		"too late":                {at(6, 1, 0), []string{"The root's list", "issuing-1 ends on", "The key of tsa-1"}},
		"another token": {func(i *ceremony.Inspection) { i.Service = hsmtest.New(t) }, []string{
			"The key rubrica-issuing-1", "The key rubrica-ocsp-1", "The key rubrica-tsa-1", "The token has no key rubrica-checkpoint",
		}},
		"issuing authority revoked": {func(i *ceremony.Inspection) {
			i.Hierarchy = append(ca.Hierarchy(nil), i.Hierarchy...)
			i.Hierarchy[1].RevokedAt = now
		}, []string{"No issuing authority", "tsa-1 is of issuing-1, which is revoked"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := fine
			test.change(&i)
			report, err := i.Inspect(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			// The responder's certificate has ended whenever more than a quarter
			// has passed.
			var got []string
			for _, problem := range report.Problems {
				if strings.HasPrefix(problem, "The certificate of ocsp-1") && i.Now.After(now.AddDate(0, 4, 0)) {
					continue
				}
				got = append(got, problem)
			}
			for _, want := range test.want {
				if !strings.Contains(strings.Join(got, "\n"), want) {
					t.Errorf("got problems %q, want one that begins %q", got, want)
				}
			}
			if len(got) != len(test.want) {
				t.Errorf("got problems %q, want %d", got, len(test.want))
			}
		})
	}
	if problems, err := fine.Inspect(t.Context()); err != nil || problems.Members[1].RollOverBy.Year() != now.Year()+6 {
		t.Errorf("got %v, %v, want a rollover in six years", problems.Members[1], err)
	}
}
