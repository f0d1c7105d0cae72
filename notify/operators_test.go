package notify_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/internal/smsctest"
	"github.com/rubrica-firma/rubrica/notify"
	"github.com/rubrica-firma/rubrica/notify/smpp"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// journal remembers what was stored.
type journal struct {
	mu    sync.Mutex
	known map[string]signer.Delivery // by operator and its name
}

func (j *journal) HandedOver(_ context.Context, d signer.Delivery) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.known == nil {
		j.known = make(map[string]signer.Delivery)
	}
	j.known[d.Operator+"/"+d.OperatorID] = d
	return nil
}

func (j *journal) Arrived(_ context.Context, d signer.Delivery) (bool, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	before, known := j.known[d.Operator+"/"+d.OperatorID]
	if known {
		before.State = d.State
		j.known[d.Operator+"/"+d.OperatorID] = before
	}
	return known, nil
}

func (j *journal) state(key string) signer.DeliveryState {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.known[key].State
}

// answering is an operator that takes a while and answers.
func answering(name string, wait time.Duration, err error) notify.Operator {
	return notify.Operator{Name: name, Submit: func(ctx context.Context, _ notify.Message) (string, error) {
		select {
		case <-time.After(wait):
			return name + "-1", err
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}}
}

func TestOperators(t *testing.T) {
	t.Parallel()
	refused := errors.New("refused")
	for _, test := range []struct {
		name string
		all  []notify.Operator
		want string // whose message it is in the end; empty: nobody's
	}{
		{"the first takes it", []notify.Operator{answering("a", 0, nil), answering("b", 0, nil)}, "a/a-1"},
		{"the first refuses", []notify.Operator{answering("a", 0, refused), answering("b", 0, nil)}, "b/b-1"},
		{"the first does not answer", []notify.Operator{answering("a", time.Hour, nil), answering("b", 0, nil)}, "b/b-1"},
		{"nobody takes it", []notify.Operator{answering("a", time.Hour, nil), answering("b", 0, refused)}, ""},
		{"there is nobody", nil, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			kept := &journal{}
			operators := &notify.Operators{
				All: test.all, Patience: 100 * time.Millisecond, Journal: kept, Now: func() time.Time { return noon }, Logger: slog.New(slog.DiscardHandler),
			}
			err := operators.Send(t.Context(), notify.Message{ID: "code", To: "+34600000421", Text: "x"})
			if test.want == "" {
				if !errors.Is(err, notify.ErrNotAccepted) || len(kept.known) != 0 {
					t.Errorf("got %v and %v, want ErrNotAccepted and nothing stored", err, kept.known)
				}
				return
			}
			if err != nil {
				t.Fatalf("Send: %v", err)
			}
			name := test.want[:1]
			want := map[string]signer.Delivery{test.want: {ID: "code", Operator: name, OperatorID: name + "-1", State: signer.DeliveryAccepted, At: noon}}
			if diff := cmp.Diff(want, kept.known); diff != "" {
				t.Errorf("stored differs (-want +got):\n%s", diff)
			}
		})
	}
}

// A message goes over SMPP while there is a connection, else by the gateway;
// what the message centre says of it is stored.
func TestOperatorsOverSMPP(t *testing.T) {
	t.Parallel()
	box, gateway := phones(t)
	centre := smsctest.Start(t, smsctest.Files{})
	kept := &journal{}
	operators := &notify.Operators{Patience: 2 * time.Second, Journal: kept, Now: time.Now, Logger: slog.New(slog.DiscardHandler)}
	client := smpp.New(smpp.Config{
		Address: centre.Address, SystemID: smsctest.SystemID, Password: []byte(smsctest.Password), Source: "Rubrica", Logger: operators.Logger,
		Receipt: func(ctx context.Context, r smpp.Receipt) { operators.Arrived(ctx, "smpp", r.ID, r.Delivered) },
	})
	operators.All = []notify.Operator{
		{Name: "smpp", Submit: func(ctx context.Context, m notify.Message) (string, error) { return client.Submit(ctx, m.To, m.Text) }},
		{Name: "gateway", Submit: func(ctx context.Context, m notify.Message) (string, error) { return "", gateway.Send(ctx, m) }},
	}
	const to = "+34600000421"
	send := func(id string) {
		t.Helper()
		if err := operators.Send(t.Context(), notify.Message{ID: id, To: to, Text: id}); err != nil {
			t.Fatalf("Send: %v", err)
		}
	}
	send("before there is a connection")
	if got := box.Find(to); len(got) != 1 {
		t.Fatalf("got %d messages at the gateway, want 1", len(got))
	}

	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { client.Run(ctx) })
	centre.Await(t, "bound")
	for {
		if _, err := client.Submit(t.Context(), to, "warm"); err == nil {
			break
		}
	}
	centre.Await(t, "submit")
	for i, test := range []struct {
		word string
		want signer.DeliveryState
	}{{"DELIVRD", signer.DeliveryDone}, {"UNDELIV", signer.DeliveryFailed}} {
		send("code " + test.word)
		taken := centre.Await(t, "submit")
		centre.Deliver(t, taken.ID, test.word, 0)
		for deadline := time.Now().Add(20 * time.Second); kept.state("smpp/"+taken.ID) != test.want; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("message %d: got state %q, want %q", i, kept.state("smpp/"+taken.ID), test.want)
			}
		}
	}
	stop()
	running.Wait()
	send("after")
	if got := box.Find(to); len(got) != 2 {
		t.Errorf("got %d messages at the gateway, want 2", len(got))
	}
}

// tally counts as a database does.
type tally map[string]int

func (c tally) CountSMS(_ context.Context, hour time.Time, subjects []signer.SMSQuota) (string, error) {
	for _, q := range subjects {
		if c[q.Kind+q.Subject+hour.String()] >= q.Limit {
			return q.Kind, nil
		}
	}
	for _, q := range subjects {
		c[q.Kind+q.Subject+hour.String()]++
	}
	return "", nil
}

// taken counts messages.
type taken int

func (n *taken) Send(context.Context, notify.Message) error { *n++; return nil }

func TestLimited(t *testing.T) {
	t.Parallel()
	now := noon.Add(30 * time.Minute)
	var through taken
	limited := &notify.Limited{
		Next: &through, Counts: tally{}, Now: func() time.Time { return now },
		Limits: notify.SMSLimits{Allowed: []string{"+346", "+347"}, PerNumber: 2, PerPrefix: 3, Service: 4},
	}
	for i, test := range []struct {
		to    string
		want  policies.Code // empty: it goes through
		after time.Duration
	}{
		{to: "+447700900123", want: policies.PhoneRefused},
		{to: "+34912345678", want: policies.PhoneRefused},
		{to: "+34600000001"},
		{to: "+34600000001"},
		{to: "+34600000001", want: policies.CodeTooMany, after: 30 * time.Minute},
		{to: "+34600000002"},
		{to: "+34600000003", want: policies.SMSFailed}, // the block of 10,000
		{to: "+34700000001"},
		{to: "+34711111111", want: policies.SMSFailed}, // the service
	} {
		err := limited.Send(t.Context(), notify.Message{To: test.to, Text: "x"})
		if test.want == "" && err != nil || test.want != "" && !errors.Is(err, policies.Refuse(test.want)) {
			t.Errorf("message %d to %s: got %v, want %q", i+1, test.to, err, test.want)
		}
		if refusal, ok := errors.AsType[*policies.Refusal](err); ok && refusal.RetryAfter != test.after {
			t.Errorf("message %d: got a wait of %v, want %v", i+1, refusal.RetryAfter, test.after)
		}
	}
	if through != 4 {
		t.Errorf("got %d messages through, want 4", through)
	}
	now = now.Add(30 * time.Minute)
	if err := limited.Send(t.Context(), notify.Message{To: "+34600000001", Text: "x"}); err != nil {
		t.Errorf("in the next hour: got %v, want it through", err)
	}
	limited.Limits = notify.SMSLimits{}
	if err := limited.Send(t.Context(), notify.Message{To: "+447700900123", Text: "x"}); err != nil {
		t.Errorf("without limits: got %v, want it through", err)
	}
}
