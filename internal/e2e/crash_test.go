//go:build failpoints

package e2e

import (
	"context"
	crand "crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/api/rest/client"
	"github.com/rubrica-firma/rubrica/internal/failpoint"
	"github.com/rubrica-firma/rubrica/internal/thread"
)

// tags are those of the program under test.
const tags = "failpoints"

const (
	// together is how many ceremonies are under way when a process dies.
	together = 2
	// settledWithin is how soon every intent has its outcome.
	settledWithin = time.Minute
	// thorough is after how many deaths everything is read again: that takes as
	// long as all that came before.
	thorough = 10
)

// stepReport is what came of all deaths at one step.
type stepReport struct {
	Process string `json:"process"`
	Step    string `json:"step"`
	Kills   int    `json:"kills"`
	// Back is the longest time from the death until the service was ready,
	// Settled until the ceremonies had ended and no intent was open.
	Back    time.Duration `json:"back_ns"`
	Settled time.Duration `json:"settled_ns"`
	// Entries counts what the log says of those ceremonies.
	Entries map[string]int `json:"entries"`
}

// TestCrashAtSteps kills each process at each of its steps, FAULTS times, while
// several citizens are under way; the environment brings it back, and the same
// citizens go on to the end.
func TestCrashAtSteps(t *testing.T) {
	times := deaths(t)
	reached := traced(t)
	people := make([]*thread.Citizen, together)
	for i := range people {
		people[i] = certified(t)
	}
	cancelled(t, enveloped(t, client.Parallel, people...))
	newPortfolio(t).send(active(t), "credential_creation", nil).finishErrand(t)
	if got, want := reached(), allSteps(); !slices.Equal(got, want) {
		t.Fatalf("got the steps %v in a whole ceremony, want %v", got, want)
	}

	var reports []stepReport
	for _, process := range []string{"api", "signer"} {
		for _, step := range failpoint.Steps(process) {
			if strings.HasPrefix(step, "envelope/") || strings.HasPrefix(step, "errand/") {
				continue // TestCrashEnvelope, TestCrashErrand
			}
			t.Run(process+" "+strings.ReplaceAll(step, "/", "-"), func(t *testing.T) {
				r := stepReport{Process: process, Step: step, Entries: map[string]int{}}
				for n := range times {
					r.die(t, people, n)
					if n%thorough == 0 || n == times-1 {
						if err := shared.checker.Settled(t.Context()); err != nil {
							t.Fatal(err)
						}
					}
				}
				reports = append(reports, r)
			})
		}
	}
	publish(t, reports)
}

// TestCrashEnvelope kills api in the midst of what follows from an outcome: the
// next signer's request is stored and not opened; the envelope has ended, and one
// of two requests, or both, wait in vain. Another look brings it to its end.
func TestCrashEnvelope(t *testing.T) {
	times := deaths(t)
	ana, bea := certified(t), certified(t)
	for range times {
		e := enveloped(t, client.Sequential, ana, bea)
		first := &walker{Citizen: ana, browser: plainBrowser(t), request: &client.SignatureRequest{ID: *e.Signers[0].RequestID, SigningURL: *e.Signers[0].SigningURL}}
		dies(t, "request/stored", 1, func() error { return first.persevere(t.Context()) })
		e = comes(t, e.ID, func(e *client.Envelope) bool { return e.Signers[1].SigningURL != nil })
		signs(t, bea, e, 2)
		completed(t, e.ID)
	}
	for n := range min(times, 2) {
		e := enveloped(t, client.Parallel, ana, bea)
		dies(t, "envelope/ended", 1+n, func() error {
			_, _ = shared.world.Sede.CancelEnvelopeWithResponse(t.Context(), e.ID) // whatever the answer is
			return nil
		})
		comes(t, e.ID, func(e *client.Envelope) bool {
			return e.State == client.EnvelopeCancelled && e.Signers[0].State == client.SignerWithdrawn && e.Signers[1].State == client.SignerWithdrawn
		})
	}
	checkInvariants(t)
}

// TestCrashErrand kills api when a citizen has done what an application asked for,
// and when the application has heard of it and has no answer. The citizen's next
// press tells the application; of what was told once it is told that it was.
func TestCrashErrand(t *testing.T) {
	times := deaths(t)
	p := newPortfolio(t)
	for range times {
		c := active(t)
		w := p.send(c, "credential_creation", nil)
		dies(t, "errand/done", 1, func() error { return w.persevere(t.Context()) })
		token, credential := p.token(w)
		dies(t, "http/answering", 1, func() error {
			status, answer := p.call("credentials/create", token, creation(c))
			p.wants("creating", status, answer, 0, "")
			return nil
		})
		status, answer := p.call("credentials/create", token, creation(c))
		p.wants("creating again", status, answer, http.StatusBadRequest, used)
		if list := p.lists(c); shared.query(t, issuedTo, c.Identifier) != 1 || len(list) != 1 || list[0] != credential {
			t.Errorf("got %v, want the one credential %s", list, credential)
		}

		w = p.send(c, "credential_deletion", nil)
		dies(t, "errand/done", 1, func() error { return w.persevere(t.Context()) })
		token, _ = p.token(w)
		status, answer = p.call("credentials/delete", token, deletion(credential))
		p.wants("deleting", status, answer, http.StatusNoContent, "")
		if got := shared.query(t, revokedOf, c.Identifier); got != 1 {
			t.Errorf("got %d certificates revoked once, want 1", got)
		}
	}
	checkInvariants(t)
}

// dies has api come to a step for the nth time in what do begins, and waits for
// both.
func dies(t *testing.T, step string, nth int, do func() error) {
	t.Helper()
	was := pidOf(t, "api")
	if err := failpoint.Arm(shared.failpoint, "api", step, nth); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- do() }()
	shared.recovered(t, "api", was, awaitDeath(t))
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// allSteps are those of both processes, sorted, as the trace has them.
func allSteps() []string {
	var all []string
	for _, process := range []string{"api", "signer"} {
		for _, step := range failpoint.Steps(process) {
			all = append(all, process+" "+step)
		}
	}
	slices.Sort(all)
	return all
}

// traced begins to record steps; what it returns ends it and says which.
func traced(t *testing.T) func() []string {
	t.Helper()
	file := failpoint.Trace(shared.failpoint)
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, 0o666); err != nil { // whatever the umask
		t.Fatal(err)
	}
	return func() []string {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		slices.Sort(lines)
		return slices.Compact(lines)
	}
}

// die is one death: the nth, for variety among those who come to the step.
func (r *stepReport) die(t *testing.T, people []*thread.Citizen, n int) {
	t.Helper()
	passes := together // how often the step is come to at least
	switch {
	case strings.HasPrefix(r.Step, "issue/"):
		people = []*thread.Citizen{active(t), active(t)}
	case strings.HasSuffix(r.Step, "/answering"):
		passes = 4 * together
	}
	walkers := make([]*walker, len(people))
	for i, c := range people {
		walkers[i] = &walker{Citizen: c, browser: plainBrowser(t)}
	}
	was := pidOf(t, r.Process)
	if err := failpoint.Arm(shared.failpoint, r.Process, r.Step, 1+n%passes); err != nil {
		t.Fatal(err)
	}
	failures := make([]error, len(walkers))
	var all sync.WaitGroup
	for i, w := range walkers {
		all.Go(func() {
			if w.request, failures[i] = askAgain(t.Context(), crand.Text(), order(w.Citizen, note())); failures[i] == nil {
				failures[i] = w.persevere(t.Context())
			}
		})
	}
	died := awaitDeath(t)
	r.Kills++
	r.Back = max(r.Back, shared.recovered(t, r.Process, was, died))
	all.Wait()
	for i, w := range walkers {
		if failures[i] != nil {
			t.Fatal(failures[i])
		}
		wantState(t, w.request.ID, "signed")
	}
	r.Settled = max(r.Settled, awaitOutcomes(t, died))
	r.count(t, walkers)
}

// awaitDeath waits for the armed process to come to its step.
func awaitDeath(t *testing.T) time.Time {
	t.Helper()
	for limit := time.Now().Add(30 * time.Second); failpoint.Armed(shared.failpoint); time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			_ = os.Remove(shared.failpoint)
			t.Fatal("the step was not reached")
		}
	}
	return time.Now()
}

// awaitOutcomes waits until no intent is open.
func awaitOutcomes(t *testing.T, died time.Time) time.Duration {
	t.Helper()
	for shared.intents(t.Context()) != 0 {
		if time.Since(died) > settledWithin {
			t.Fatalf("an intent has no outcome after %v", settledWithin)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return time.Since(died)
}

// count adds what the log says of the walkers' requests.
func (r *stepReport) count(t *testing.T, walkers []*walker) {
	t.Helper()
	ids := make([]string, len(walkers))
	for i, w := range walkers {
		ids[i] = w.request.ID
	}
	conn, err := pgx.Connect(t.Context(), shared.checker.Database)
	if err != nil {
		t.Fatalf("connecting: %v", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	rows, err := conn.Query(t.Context(), `SELECT type FROM log_entries WHERE operation = ANY ($1)`, ids)
	if err != nil {
		t.Fatalf("reading the log: %v", err)
	}
	types, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatalf("reading the log: %v", err)
	}
	for _, kind := range types {
		r.Entries[kind]++
	}
}

// publish prints the table, and leaves the figures where FAULTS_REPORT says.
func publish(t *testing.T, reports []stepReport) {
	t.Helper()
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "process\tstep\tkills\tback\tsettled\tsigned\tinterrupted\tfailed\tcertified\tinterrupted")
	for _, r := range reports {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%d\t%v\t%v\t%d\t%d\t%d\t%d\t%d\n", r.Process, r.Step, r.Kills,
			r.Back.Round(time.Millisecond), r.Settled.Round(time.Millisecond),
			r.Entries["sign.done"], r.Entries["sign.interrupted"], r.Entries["sign.failed"],
			r.Entries["certificate.issued"], r.Entries["certificate.interrupted"])
	}
	_ = w.Flush()
	t.Logf("%d citizens at once, lease %v\n%s", together, lease, &text)
	file := os.Getenv("FAULTS_REPORT")
	if file == "" {
		return
	}
	data, err := json.MarshalIndent(reports, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, append(data, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}
