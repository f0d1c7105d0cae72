package e2e

import (
	crand "crypto/rand"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/internal/thread"
)

// deaths is how often something is made to die: FAULTS, 1 if it is not set.
func deaths(t *testing.T) int {
	t.Helper()
	text := os.Getenv("FAULTS")
	if text == "" {
		return 1
	}
	times, err := strconv.Atoi(text)
	if err != nil || times < 1 {
		t.Fatalf("FAULTS=%s is no number of deaths", text)
	}
	return times
}

// TestFaultDatabase ends PostgreSQL as `pg_ctl stop -m immediate` does, every
// three seconds, while citizens sign one request after the other. What a citizen
// was told is signed stays signed.
func TestFaultDatabase(t *testing.T) {
	const (
		signers = 4
		apart   = 3 * time.Second
	)
	var (
		stop   atomic.Bool
		mu     sync.Mutex
		told   []string
		failed []error
		all    sync.WaitGroup
	)
	people := make([]*thread.Citizen, signers)
	for i := range people {
		people[i] = certified(t)
	}
	for _, c := range people {
		all.Go(func() {
			for !stop.Load() {
				w := &walker{Citizen: c, browser: plainBrowser(t)}
				var err error
				if w.request, err = askAgain(t.Context(), crand.Text(), order(c, note())); err == nil {
					err = w.persevere(t.Context())
				}
				mu.Lock()
				if err != nil {
					failed = append(failed, err)
				} else {
					told = append(told, w.request.ID)
				}
				mu.Unlock()
			}
		})
	}
	took := make([]time.Duration, max(3, deaths(t)))
	for i := range took {
		time.Sleep(apart)
		pid := pidOf(t, "postgres")
		began := time.Now()
		if err := syscall.Kill(pid, syscall.SIGQUIT); err != nil {
			t.Fatalf("ending PostgreSQL: %v", err)
		}
		took[i] = shared.recovered(t, "postgres", pid, began)
	}
	stop.Store(true)
	all.Wait()
	for _, err := range failed {
		t.Error(err)
	}
	if len(told) < signers {
		t.Errorf("got %d signatures, want at least one of each citizen", len(told))
	}
	for _, id := range told {
		wantState(t, id, "signed")
	}
	if err := shared.settled(t.Context()); err != nil {
		t.Error(err)
	}
	slices.Sort(took)
	t.Logf("%d restarts under %d signers: back after %v at most, %v in the middle; %d signatures, none lost", len(took), signers,
		took[len(took)-1].Round(time.Millisecond), took[len(took)/2].Round(time.Millisecond), len(told))
}
