package auditing_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/api/auditing"
	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/internal/audittest"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/store"
)

// TestTotals counts a random log as reading everything does.
func TestTotals(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.append(t, random(1500)...)
	h.append(t, fact{kind: audit.SignDenied, operation: "OP1", application: "sede", at: h.now}, fact{kind: audit.SignAuthorised, operation: "OP1", application: "sede", at: h.now})
	must(t, h.signer.Total(t.Context()))
	day := epoch.Truncate(24 * time.Hour)
	totals, err := h.Totals(t.Context(), auditor(), epoch, epoch.Add(time.Hour))
	must(t, err)
	signatures, failures, events := map[auditing.SignatureTotal]int64{}, int64(0), map[audit.EventType]int64{}
	for _, f := range h.told[:totals.Size] {
		events[f.kind]++
		if f.kind == audit.SignDone || f.kind == audit.SignRefused || f.kind == audit.SignDenied {
			signatures[auditing.SignatureTotal{Day: day, Application: f.application, Result: audit.ResultOf(f.kind)}]++
		}
		if f.kind == audit.CodeFailed {
			failures++
		}
	}
	got := map[auditing.SignatureTotal]int64{}
	for _, s := range totals.Signatures {
		n := s.N
		s.N = 0
		got[s] = n
	}
	if diff := cmp.Diff(signatures, got); diff != "" {
		t.Errorf("signatures (-want +got):\n%s", diff)
	}
	counted := map[audit.EventType]int64{}
	for _, e := range totals.Events {
		counted[e.Type] = e.N
	}
	if diff := cmp.Diff(events, counted); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if want := []auditing.EventTotal{{Day: day, Type: audit.CodeFailed, N: failures}}; !cmp.Equal(want, totals.CodeFailures) {
		t.Errorf("got failures %+v, want %+v", totals.CodeFailures, want)
	}
	if want := []auditing.ReasonTotal{{Type: audit.SignDenied, Reason: "reason", N: 1}}; !cmp.Equal(want, totals.Refusals) {
		t.Errorf("got refusals %+v, want %+v", totals.Refusals, want)
	}
	if want := []auditing.TimeTotal{{Day: day, N: 1}}; !cmp.Equal(want, totals.Confirmations) {
		t.Errorf("got confirmations %+v, want %+v", totals.Confirmations, want)
	}
	if !totals.From.Equal(day) || !totals.To.Equal(day.AddDate(0, 0, 1)) || totals.Counted != totals.Size {
		t.Errorf("got [%s, %s) and %d of %d counted, want the whole day and all", totals.From, totals.To, totals.Counted, totals.Size)
	}
	for name, at := range map[string][2]time.Time{
		"reversed":     {epoch, epoch.AddDate(0, 0, -1)},
		"to come":      {epoch.AddDate(1, 0, 0), epoch.AddDate(1, 0, 1)},
		"a century":    {epoch.AddDate(-100, 0, 0), epoch},
		"year 12026":   {epoch, epoch.AddDate(10000, 0, 0)},
		"no beginning": {time.Time{}, epoch},
	} {
		if _, err := h.Totals(t.Context(), auditor(), at[0], at[1]); !errors.Is(err, policies.Refuse(policies.RangeImpossible)) {
			t.Errorf("%s: got %v, want it refused", name, err)
		}
	}
}

func TestTimeTotalMean(t *testing.T) {
	t.Parallel()
	for want, total := range map[time.Duration]auditing.TimeTotal{0: {}, 2500 * time.Millisecond: {N: 2, Seconds: 5}} {
		if got := total.Mean(); got != want {
			t.Errorf("%+v: got %s, want %s", total, got, want)
		}
	}
}

// TestHealth looks at a log that nobody has published, that is, that lags, that
// was stopped, and that lost entries.
func TestHealth(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	health := func() auditing.Health {
		t.Helper()
		got, err := h.Health(t.Context())
		must(t, err)
		return got
	}
	if got := health(); got.Origin != audittest.Origin || got.Size != 0 || !got.Witnessed.At.IsZero() || got.Suspended || !got.Signing {
		t.Errorf("an empty log: got %+v", got)
	}
	h.append(t, random(40)...)
	h.publish(t)
	h.append(t, fact{kind: audit.ServiceStarted, operation: "signer", at: h.now})
	h.now = h.now.Add(time.Minute)
	got := health()
	if got.Size != 41 || got.Witnessed.Size != 40 || got.Witnessed.Lag != 1 || got.Witnessed.Age != time.Minute || got.Signed != got.Witnessed {
		t.Errorf("a log that lags by one: got %+v", got)
	}
	if len(got.Witnesses) != 1 || got.Witnesses[0].Name != "w1" || got.Witnesses[0].Size != 40 {
		t.Errorf("got witnesses %+v, want w1 at 40", got.Witnesses)
	}
	stopped := fact{kind: audit.LogSuspended, operation: "log", at: h.now}
	h.append(t, stopped)
	if got := health(); !got.Suspended || !got.Since.Equal(stopped.at) || got.Reason == "" {
		t.Errorf("a log that was stopped: got %+v", got)
	}
	h.append(t, fact{kind: audit.LogResumed, operation: "log", at: h.now})
	if got := health(); got.Suspended {
		t.Errorf("a log that goes on: got %+v", got)
	}
	h.tamper(t, `UPDATE log_head SET size = 30`)
	if got := health(); !got.Suspended || got.Reason != "behind" {
		t.Errorf("a log that lost entries: got %+v", got)
	}
	s := auditing.New(auditing.Config{
		Store: store.ForAuditor(open(t, h.urls.Auditor)), Recorder: downRecorder{}, Policy: h.policy,
		SignerReady: func(context.Context) error { return errDown }, Now: h.clock,
	})
	if got, err := s.Health(t.Context()); err != nil || got.Signing {
		t.Errorf("without a signer: got %+v and %v, want that nothing is signed", got, err)
	}
}
