package ca

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// clockwork is a wall clock and its sources, all in the time of a synctest
// bubble, with what is wrong about them.
type clockwork struct {
	mu                sync.Mutex
	wall, base, entry time.Duration // away from the true time
	trip              time.Duration // how long the database takes each way
	down              error
	checks            int
	turns             []error // what Fault heard
	clock             *Clock
	duringCheck       func()
}

func newClockwork(t *testing.T) *clockwork {
	t.Helper()
	w := &clockwork{entry: -time.Minute}
	clock, err := NewClock(ClockConfig{
		Now: func() time.Time {
			w.mu.Lock()
			defer w.mu.Unlock()
			return time.Now().Add(w.wall)
		},
		Database: func(ctx context.Context) (time.Time, error) {
			w.mu.Lock()
			w.checks++
			trip, down, base, during := w.trip, w.down, w.base, w.duringCheck
			w.mu.Unlock()
			if during != nil {
				during()
			}
			for range 2 {
				select {
				case <-time.After(trip):
				case <-ctx.Done():
					return time.Time{}, context.Cause(ctx)
				}
			}
			return time.Now().Add(base - trip), down
		},
		LastEntry: func(context.Context) (time.Time, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			return time.Now().Add(w.entry), nil
		},
		Fault: func(_ context.Context, err error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.turns = append(w.turns, err)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.clock = clock
	return w
}

func (w *clockwork) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

// want demands trust, or its loss because of a source with such an offset.
func (w *clockwork) want(t *testing.T, source string, offset time.Duration) {
	t.Helper()
	err := w.clock.Trusted(t.Context())
	if source == "" {
		if err != nil {
			t.Errorf("got %v, want trust", err)
		}
		return
	}
	fault := new(ClockError)
	if !errors.As(err, &fault) {
		t.Fatalf("got %v, want a ClockError of the %s", err, source)
	}
	if fault.Source != source || fault.Offset != offset {
		t.Errorf("got %v off the %s, want %v off the %s", fault.Offset, fault.Source, offset, source)
	}
}

func (w *clockwork) wantTurns(t *testing.T, n int, trusted bool) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.turns) != n || n > 0 && (w.turns[n-1] == nil) != trusted {
		t.Errorf("Fault heard %v, want %d changes, trusted at the end: %v", w.turns, n, trusted)
	}
}

func TestClockSources(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		wall, base, entry, trip time.Duration
		source                  string
		offset                  time.Duration
	}{
		"right":                        {},
		"an hour ahead":                {wall: time.Hour, source: ClockDatabase, offset: time.Hour},
		"an hour back":                 {wall: -time.Hour, source: ClockDatabase, offset: -time.Hour},
		"within tolerance ahead":       {wall: time.Second},
		"within tolerance back":        {wall: -time.Second},
		"a little out of it":           {wall: time.Second + time.Millisecond, source: ClockDatabase, offset: time.Second + time.Millisecond},
		"a little out of it, back":     {wall: -time.Second - time.Millisecond, source: ClockDatabase, offset: -time.Second - time.Millisecond},
		"behind the log":               {wall: -time.Hour, base: -time.Hour, entry: time.Minute, source: ClockLastEntry, offset: -time.Hour - time.Minute},
		"log from a moment ahead":      {entry: time.Second},
		"an old log":                   {entry: -100 * 24 * time.Hour},
		"slow database":                {trip: 400 * time.Millisecond},
		"slow database, within reason": {trip: 400 * time.Millisecond, wall: time.Second + 400*time.Millisecond},
		"slow database, an hour back":  {trip: 400 * time.Millisecond, wall: -time.Hour, source: ClockDatabase, offset: -time.Hour + 400*time.Millisecond},
		"database that never answers":  {trip: time.Hour, source: ClockDatabase},
		"database ahead":               {base: time.Hour, source: ClockDatabase, offset: -time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newClockwork(t)
				w.set(func() {
					w.wall, w.base, w.trip = tc.wall, tc.base, tc.trip
					if tc.entry != 0 {
						w.entry = tc.entry
					}
				})
				w.want(t, tc.source, tc.offset)
			})
		})
	}
}

// TestClockJump sets the clock while all goes well: the fault shows at the
// next question, not a second later, and it ends by itself.
func TestClockJump(t *testing.T) {
	t.Parallel()
	for name, jump := range map[string]time.Duration{"back": -time.Hour, "ahead": time.Hour, "1.1 s": 1100 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newClockwork(t)
				w.want(t, "", 0)
				w.set(func() { w.wall = jump })
				w.want(t, ClockDatabase, jump)
				w.want(t, ClockDatabase, jump)
				w.wantTurns(t, 1, false)
				w.set(func() { w.wall = 0 })
				w.want(t, "", 0)
				w.wantTurns(t, 2, true)
			})
		})
	}
}

// TestClockJumpDuringCheck: what a check found before the jump is not believed
// after it.
func TestClockJumpDuringCheck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newClockwork(t)
		w.set(func() {
			w.duringCheck = func() { w.set(func() { w.wall, w.duringCheck = 2*time.Hour, nil }) }
		})
		_ = w.clock.Trusted(t.Context())
		w.want(t, ClockDatabase, 2*time.Hour)
	})
}

// TestClockLeap: a leap second that the host inserts a moment before the
// database does is within tolerance, and no fault.
func TestClockLeap(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newClockwork(t)
		w.want(t, "", 0)
		w.set(func() { w.wall = -time.Second })
		w.want(t, "", 0)
		time.Sleep(2 * time.Second)
		w.want(t, "", 0)
		w.set(func() { w.base = -time.Second })
		time.Sleep(2 * time.Second)
		w.want(t, "", 0)
		w.wantTurns(t, 0, true)
	})
}

func TestClockUnreachable(t *testing.T) {
	t.Parallel()
	down := errors.New("connection refused")
	t.Run("from the start", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			w := newClockwork(t)
			w.set(func() { w.down = down })
			w.want(t, ClockDatabase, 0)
			if err := w.clock.Trusted(t.Context()); !errors.Is(err, down) {
				t.Errorf("got %v, want the cause %v in it", err, down)
			}
			w.wantTurns(t, 1, false)
		})
	})
	t.Run("grace", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			w := newClockwork(t)
			w.want(t, "", 0)
			w.set(func() { w.down = down })
			time.Sleep(5 * time.Second)
			w.want(t, "", 0)
			time.Sleep(2 * time.Second)
			w.want(t, ClockDatabase, 0)
			w.set(func() { w.down = nil })
			w.want(t, ClockDatabase, 0) // the last check is recent
			time.Sleep(1001 * time.Millisecond)
			w.want(t, "", 0)
			w.wantTurns(t, 2, true)
		})
	})
	t.Run("and a jump", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			w := newClockwork(t)
			w.want(t, "", 0)
			w.set(func() { w.down, w.wall = down, time.Hour })
			w.want(t, ClockMonotonic, time.Hour)
		})
	})
	t.Run("after a fault", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			w := newClockwork(t)
			w.want(t, "", 0)
			time.Sleep(1001 * time.Millisecond)
			w.set(func() { w.base = time.Hour })
			w.want(t, ClockDatabase, -time.Hour)
			time.Sleep(1001 * time.Millisecond)
			w.set(func() { w.down = down })
			w.want(t, ClockDatabase, 0) // the grace is no pardon
		})
	})
}

// TestClockSharesChecks: a thousand callers cause one check, of which they all
// have the answer, and none of them holds another up.
func TestClockSharesChecks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newClockwork(t)
		w.set(func() { w.trip = 300 * time.Millisecond })
		impatient, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			fault := new(ClockError)
			if err := w.clock.Trusted(impatient); !errors.As(err, &fault) || fault.Source != ClockCheck {
				t.Errorf("got %v, want that the check did not end", err)
			}
		})
		for range 1000 {
			wg.Go(func() { w.want(t, "", 0) })
		}
		wg.Wait()
		if w.checks != 1 {
			t.Errorf("got %d checks, want 1", w.checks)
		}
		w.set(func() { w.trip = 0 })
		for range 100 {
			time.Sleep(100 * time.Millisecond)
			w.want(t, "", 0)
		}
		if w.checks < 8 || w.checks > 12 {
			t.Errorf("got %d checks in ten seconds, want about one a second", w.checks)
		}
	})
}
