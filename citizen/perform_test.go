package citizen_test

import (
	"context"
	"crypto/rand"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
)

// journal is the part of a citizen.Store that acts which are refused come to.
type journal struct {
	citizen.Store
	entries []audit.Entry
	err     error
}

func (j *journal) Log(_ context.Context, entries ...audit.Entry) error {
	j.entries = append(j.entries, entries...)
	return j.err
}

// TestRefusedActs reads in the log what offices were refused. Of what nobody
// signed it says only who is said to have sent it.
func TestRefusedActs(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	id := rand.Text()
	late := w.signed(t, map[string]any{"jti": id, "iat": noon().Unix() - 3600})
	for name, tt := range map[string]struct {
		act  citizen.Act
		want audit.Entry
	}{
		"signed, too late": {
			citizen.Act{Office: "office", JWS: late},
			audit.Entry{
				Operation: id, Person: "12345678Z",
				Payload: map[string]any{"office": "office", "officer": "Rosa Gil", "act": "block", "statement": id, "reason": "office_act_invalid", "detail": "time"},
			},
		},
		"forged": {
			citizen.Act{Office: "office", JWS: sign(t, w.keys["other"], header, statement(t, nil))},
			audit.Entry{
				Operation: "office-act", Payload: map[string]any{"office": "office", "reason": "office_act_invalid", "detail": "signature"},
			},
		},
		"noise": {
			citizen.Act{Office: "office", JWS: "noise"},
			audit.Entry{
				Operation: "office-act", Payload: map[string]any{"office": "office", "reason": "office_act_invalid", "detail": "format"},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := &journal{}
			service := citizen.New(citizen.Config{Store: store, Desk: w.desk, Now: noon})
			if _, err := service.Perform(t.Context(), tt.act); !errors.Is(err, policies.Refuse(policies.OfficeActInvalid)) {
				t.Errorf("got %v, want it refused", err)
			}
			tt.want.Type, tt.want.At = audit.OfficeActRefused, noon()
			if diff := cmp.Diff([]audit.Entry{tt.want}, store.entries); diff != "" {
				t.Errorf("log (-want +got):\n%s", diff)
			}
			broken := errors.New("the log is full")
			store.err = broken
			if _, err := service.Perform(t.Context(), tt.act); !errors.Is(err, broken) {
				t.Errorf("got %v, want the log's error", err)
			}
		})
	}
}
