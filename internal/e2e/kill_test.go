package e2e

import (
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/api/rest/client"
)

// These tests kill: none of them runs beside another.

// checkInvariants stops the test where one does not hold.
func checkInvariants(t *testing.T) {
	t.Helper()
	if err := shared.checker.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestKillBetweenSteps kills each process while a citizen looks at each page.
// Where nothing was being worked on nothing is lost: the same browser goes on.
func TestKillBetweenSteps(t *testing.T) {
	c := certified(t)
	var slowest time.Duration
	for _, step := range []string{"/" /* identification */, "/revisar", "/confirmar", "/hecho"} {
		for _, part := range []string{"api", "signer", "postgres"} {
			t.Run(strings.Trim(step, "/")+" "+part, func(t *testing.T) {
				w := walk(t, c)
				if step != "/" {
					w.reach(t, step)
				}
				before := shared.query(t, `SELECT count(*) FROM tickets`)
				slowest = max(slowest, shared.kill(t, part))
				checkInvariants(t)
				w.finish(t)
				if after := shared.query(t, `SELECT count(*) FROM tickets`); step != "/" && after != before {
					t.Errorf("got %d tickets after, %d before: the citizen had to identify again", after, before)
				}
				if _, err := shared.world.Result(t.Context(), w.request.ID, 1); err != nil {
					t.Errorf("downloading: %v", err)
				}
				checkInvariants(t)
			})
		}
	}
	t.Logf("the slowest recovery took %v", slowest.Round(time.Millisecond))
}

// TestKillDuringRequest kills each process around the request of a back end.
// The same key asked again gives the one request there is.
func TestKillDuringRequest(t *testing.T) {
	c := certified(t)
	for _, part := range []string{"api", "signer", "postgres"} {
		for _, delay := range []time.Duration{0, 3 * time.Millisecond, 15 * time.Millisecond} {
			t.Run(part+" "+delay.String(), func(t *testing.T) {
				key, pid := "kill-"+t.Name(), pidOf(t, part)
				order := order(c, sample(t, "cairo.pdf"))
				died := make(chan struct{})
				go func() {
					defer close(died)
					time.Sleep(delay)
					_ = syscall.Kill(pid, syscall.SIGKILL)
				}()
				// Whatever the answer is: 0 or 1 requests.
				answer, err := shared.world.Sede.CreateSignatureRequestWithResponse(t.Context(), &client.CreateSignatureRequestParams{IdempotencyKey: key}, order)
				<-died
				shared.recovered(t, part, pid, time.Now())
				again := persist(t, key, order)
				if client.Check(answer, err) == nil && answer.JSON201.ID != again.ID {
					t.Errorf("got request %s, then %s for the same key", answer.JSON201.ID, again.ID)
				}
				if got := shared.query(t, `SELECT count(*) FROM requests WHERE idempotency_key = $1`, key); got != 1 {
					t.Errorf("got %d requests for one key, want 1", got)
				}
				w := &walker{Citizen: c, request: again, browser: plainBrowser(t)}
				w.finish(t)
				checkInvariants(t)
			})
		}
	}
}

func pidOf(t *testing.T, part string) int {
	t.Helper()
	pid, err := shared.part(part)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// TestKillDuringConfirmation has several confirmations under way, each begun at
// a random moment, when a process is killed. What was cut off ends as
// interrupted, is not signed later by itself, and can be asked again.
func TestKillDuringConfirmation(t *testing.T) {
	const together, spread = 6, 60 * time.Millisecond
	c := certified(t)
	var walkers []*walker
	for round, part := range []string{"signer", "signer", "api", "signer", "postgres", "signer"} {
		next := make([]*walker, together)
		codes := make([]string, together)
		for i := range next {
			next[i] = walk(t, c)
			next[i].reach(t, "/confirmar")
			codes[i] = code(t, c, next[i].since)
		}
		walkers = append(walkers, next...)
		pid := pidOf(t, part)
		var all sync.WaitGroup
		for i, w := range next {
			all.Go(func() {
				time.Sleep(rand.N(spread))
				// Its answer may be an error, another page, or none.
				_ = w.browser.Submit(t.Context(), form{"code": codes[i]})
			})
		}
		time.Sleep(time.Duration(round+1) * spread / 3)
		began := time.Now()
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatalf("killing: %v", err)
		}
		all.Wait()
		shared.recovered(t, part, pid, began)
		checkInvariants(t)
	}
	if err := shared.settled(t.Context()); err != nil {
		t.Fatal(err)
	}
	met := shared.query(t, `SELECT count(*) FROM log_entries WHERE type = 'sign.interrupted'`)
	if met == 0 {
		t.Error("no kill has met a signature under way: the test has lost its aim")
	}
	states := map[string]int{}
	for _, w := range walkers {
		states[state(t, w.request.ID)]++
		w.browser = plainBrowser(t)
		w.finish(t)
	}
	checkInvariants(t)
	t.Logf("of %d confirmations %d were interrupted; states before asking again: %v", len(walkers), met, states)
}

// TestKillDuringIssuance kills the signer while it makes a key and a certificate.
func TestKillDuringIssuance(t *testing.T) {
	const rounds, spread = 3, 450 * time.Millisecond
	for round := range rounds {
		w := walk(t, active(t))
		w.reach(t, "/certificado/codigo")
		answer := code(t, w.Citizen, w.since)
		pid := pidOf(t, "signer")
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = w.browser.Submit(t.Context(), form{"code": answer}) // whatever comes of it
		}()
		time.Sleep(time.Duration(round) * spread / rounds)
		began := time.Now()
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatalf("killing: %v", err)
		}
		<-done
		shared.recovered(t, "signer", pid, began)
		checkInvariants(t)
		w.finish(t)
		if got := shared.query(t, `
			SELECT count(*) FROM certificates z JOIN credentials k ON k.id = z.credential_id JOIN citizens c ON c.id = k.citizen_id
			WHERE c.identifier = $1 AND z.state = 'issued'`, w.Identifier); got != 1 {
			t.Errorf("got %d certificates, want 1", got)
		}
	}
	if err := shared.settled(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestRestart stops the environment in each way there is, with a ceremony
// half done, and goes on with it afterwards.
func TestRestart(t *testing.T) {
	c := certified(t)
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGKILL} {
		w := walk(t, c)
		w.reach(t, "/revisar")
		if err := shared.stop(sig); err != nil {
			t.Fatal(err)
		}
		if err := shared.start(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.finish(t)
		checkInvariants(t)
	}
}
