package citizen

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/policies"
)

// tally is a store that knows how many revocations there were.
type tally struct {
	Store

	revocations int
}

func (t tally) OfficeActs(context.Context, string, ActKind, time.Time) (int, error) {
	return t.revocations, nil
}

// TestSeconded wants a second officer, and another one, where one alone could do
// much harm.
func TestSeconded(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		statement   Statement
		revocations int
		refused     bool
	}{
		"mobile, with the document":       {Statement{Kind: ActChangePhone}, 0, false},
		"mobile, without":                 {Statement{Kind: ActChangePhone, WithoutDocument: true}, 0, true},
		"mobile, without, confirmed":      {Statement{Kind: ActChangePhone, WithoutDocument: true, Second: "Luis"}, 0, false},
		"confirmed by the same":           {Statement{Kind: ActChangePhone, WithoutDocument: true, Second: "Rosa"}, 0, true},
		"confirmed by the same, needless": {Statement{Kind: ActBlock, Second: "Rosa"}, 0, true},
		"a death taken back":              {Statement{Kind: ActCorrectDeath}, 0, true},
		"a death taken back by two":       {Statement{Kind: ActCorrectDeath, Second: "Luis"}, 0, false},
		"tenth revocation":                {Statement{Kind: ActRevoke}, 10, false},
		"eleventh":                        {Statement{Kind: ActRevoke}, 11, true},
		"eleventh, confirmed":             {Statement{Kind: ActRevoke, Second: "Luis"}, 11, false},
		"something else":                  {Statement{Kind: ActSuspend}, 1000, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := New(Config{Store: tally{revocations: tt.revocations}, Now: time.Now})
			tt.statement.Officer = "Rosa"
			err := s.seconded(t.Context(), tt.statement)
			if got := errors.Is(err, policies.Refuse(policies.SecondOfficerNeeded)); got != tt.refused || !got && err != nil {
				t.Errorf("got %v, want refused %t", err, tt.refused)
			}
		})
	}
}

// TestPerformers has acts that belong elsewhere done there, and refused where
// nobody does them.
func TestPerformers(t *testing.T) {
	t.Parallel()
	s := New(Config{Acts: map[ActKind]Performer{
		ActPrintLetter: func(_ context.Context, s Statement) (Receipt, error) { return Receipt{Code: s.Subject}, nil },
	}})
	if got, err := s.carryOut(t.Context(), Statement{Kind: ActPrintLetter, Subject: "L1"}); err != nil || got.Code != "L1" {
		t.Errorf("got %+v %v, want it done", got, err)
	}
	if _, err := s.carryOut(t.Context(), Statement{Kind: ActCloseIncident}); !errors.Is(err, policies.Refuse(policies.OfficeActInvalid)) {
		t.Errorf("got %v, want it refused", err)
	}
}
