package e2e

import (
	"context"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

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

// TestKillBetweenSteps kills each process while citizens look at each page.
// Where nothing was being worked on nothing is lost: the same browser goes on.
func TestKillBetweenSteps(t *testing.T) {
	c := certified(t)
	var slowest time.Duration
	for _, part := range []string{"api", "signer", "postgres"} {
		t.Run(part, func(t *testing.T) {
			// In this order no code is sent between another one and its use.
			pages := []string{"/hecho", "/confirmar", "/revisar", "/" /* identification */}
			walkers := make([]*walker, len(pages))
			for i, page := range pages {
				walkers[i] = walk(t, c)
				if page == "/" {
					open(t, walkers[i].browser, walkers[i].request.SigningURL)
				} else {
					walkers[i].reach(t, page)
				}
			}
			before := shared.query(t, `SELECT count(*) FROM tickets`)
			slowest = max(slowest, shared.kill(t, part))
			checkInvariants(t)
			for i, w := range walkers {
				w.finish(t)
				if after := shared.query(t, `SELECT count(*) FROM tickets`); pages[i] != "/" && after != before {
					t.Errorf("got %d tickets after %s, %d before: the citizen had to identify again", after, pages[i], before)
				}
				if _, err := shared.world.Result(t.Context(), w.request.ID, 1); err != nil {
					t.Errorf("downloading after %s: %v", pages[i], err)
				}
			}
			checkInvariants(t)
		})
	}
	t.Logf("the slowest recovery took %v", slowest.Round(time.Millisecond))
}

// TestKillDuringRequest kills each process around the requests of a back end.
// The same key asked again gives the one request there is.
func TestKillDuringRequest(t *testing.T) {
	c := certified(t)
	for _, part := range []string{"api", "signer", "postgres"} {
		t.Run(part, func(t *testing.T) {
			order, pid := order(c, sample(t, "cairo.pdf")), pidOf(t, part)
			ages := []time.Duration{15 * time.Millisecond, 3 * time.Millisecond, 0} // at the kill
			answers := make([]*client.SignatureRequest, len(ages))
			key := func(i int) string { return fmt.Sprintf("kill-%s-%v", part, ages[i]) }
			var all sync.WaitGroup
			for i, age := range ages {
				all.Go(func() {
					time.Sleep(ages[0] - age)
					// Whatever the answer is: 0 or 1 requests.
					answer, err := shared.world.Sede.CreateSignatureRequestWithResponse(t.Context(), &client.CreateSignatureRequestParams{IdempotencyKey: key(i)}, order)
					if client.Check(answer, err) == nil {
						answers[i] = answer.JSON201
					}
				})
			}
			time.Sleep(ages[0])
			died := time.Now()
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatalf("killing: %v", err)
			}
			all.Wait()
			shared.recovered(t, part, pid, died)
			for i, answer := range answers {
				again := persist(t, key(i), order)
				if answer != nil && answer.ID != again.ID {
					t.Errorf("got request %s, then %s for the same key", answer.ID, again.ID)
				}
				if got := shared.query(t, `SELECT count(*) FROM requests WHERE idempotency_key = $1`, key(i)); got != 1 {
					t.Errorf("got %d requests for one key, want 1", got)
				}
				w := &walker{Citizen: c, request: again, browser: plainBrowser(t)}
				w.finish(t)
			}
			checkInvariants(t)
		})
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

// TestKillDuringConfirmation has several confirmations under way, of which one
// has come to its signature, when a process is killed. What was cut off ends as
// interrupted, is not signed later by itself, and can be asked again.
func TestKillDuringConfirmation(t *testing.T) {
	const together = 4
	c := certified(t)
	var walkers []*walker
	parts := []string{"api", "signer", "postgres"}
	met := 0
	for round := range len(parts) * deaths(t) {
		next := make([]*walker, together)
		codes := make([]string, together)
		for i := range next {
			next[i] = walk(t, c)
			next[i].reach(t, "/confirmar")
			codes[i] = code(t, c, next[i].since)
		}
		walkers = append(walkers, next...)
		part := parts[round%len(parts)]
		pid := pidOf(t, part)
		var all sync.WaitGroup
		for i, w := range next {
			all.Go(func() {
				// Its answer may be an error, another page, or none.
				_ = w.browser.Submit(t.Context(), form{"code": codes[i]})
			})
		}
		if underWay(t, next) {
			met++
		}
		began := time.Now()
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatalf("killing: %v", err)
		}
		all.Wait()
		shared.recovered(t, part, pid, began)
		checkInvariants(t)
	}
	if met == 0 {
		t.Error("no kill was aimed at a signature under way")
	}
	if err := shared.settled(t.Context()); err != nil {
		t.Fatal(err)
	}
	cut := interrupted(t, walkers)
	states := map[string]int{}
	for _, w := range walkers {
		states[state(t, w.request.ID)]++
		w.browser = plainBrowser(t)
		w.finish(t)
	}
	checkInvariants(t)
	t.Logf("of %d confirmations %d were interrupted; states before asking again: %v", len(walkers), cut, states)
}

// underWay waits for a signature that has begun, and reports whether it saw one:
// it lasts some milliseconds.
func underWay(t *testing.T, walkers []*walker) bool {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), shared.checker.Database)
	if err != nil {
		t.Fatalf("connecting: %v", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	const states = `SELECT count(*) FILTER (WHERE state = 'signing'), count(*) FILTER (WHERE state <> 'pending') FROM requests WHERE id = ANY ($1)`
	ids, begun, left := idsOf(walkers), 0, 0
	for limit := time.Now().Add(10 * time.Second); begun == 0 && left < len(ids) && time.Now().Before(limit); {
		if err := conn.QueryRow(t.Context(), states, ids).Scan(&begun, &left); err != nil {
			t.Fatalf("querying: %v", err)
		}
	}
	return begun > 0
}

func idsOf(walkers []*walker) []string {
	ids := make([]string, len(walkers))
	for i, w := range walkers {
		ids[i] = w.request.ID
	}
	return ids
}

// interrupted is how many signatures of theirs were cut off.
func interrupted(t *testing.T, walkers []*walker) int {
	t.Helper()
	return shared.query(t, `SELECT count(*) FROM log_entries WHERE type = 'sign.interrupted' AND operation = ANY ($1)`, idsOf(walkers))
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
