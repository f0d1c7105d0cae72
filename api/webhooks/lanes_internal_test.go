package webhooks

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// call is one that a receiver of an application answers after so long; it comes
// back as often as it is sent away.
func call(ctx context.Context, ls *lanes, application string, took time.Duration) {
	for {
		leave, away, err := ls.enter(ctx, application)
		if err != nil {
			return
		}
		if away > 0 {
			time.Sleep(away)
			continue
		}
		time.Sleep(took)
		leave()
		return
	}
}

// A receiver that answers nothing in ten seconds, with a long backlog, has few
// calls in hand, and another one's take as long as they take.
func TestSlowApplicationIsAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		ls := &lanes{all: map[string]*lane{}, now: time.Now}
		var slow, quick sync.WaitGroup
		for range 2000 {
			slow.Go(func() { call(ctx, ls, "slow", patience) })
		}
		time.Sleep(time.Minute)
		ls.mu.Lock()
		under, queued := ls.all["slow"].under, len(ls.all["slow"].queue)
		ls.mu.Unlock()
		if under > 3 || queued > 3*waiting {
			t.Errorf("got %d under way and %d waiting, want few", under, queued)
		}
		began := time.Now()
		for range 1000 {
			quick.Go(func() { call(ctx, ls, "quick", 10*time.Millisecond) })
		}
		quick.Wait()
		if took := time.Since(began); took > time.Second {
			t.Errorf("the quick one's took %v", took)
		}
		cancel()
		time.Sleep(2 * latest)
		slow.Wait()
	})
}

// Nobody is lost: all get through, none twice, and nothing is remembered of
// those who are quick.
func TestLanesEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ls := &lanes{all: map[string]*lane{}, now: time.Now}
		var all sync.WaitGroup
		for n := range 500 {
			all.Go(func() { call(t.Context(), ls, string(rune('a'+n%3)), time.Duration(n)*time.Millisecond) })
		}
		all.Wait()
		if len(ls.all) != 0 {
			t.Errorf("got %d lanes, want none left", len(ls.all))
		}
	})
}

// Who gives up waiting takes nobody's place.
func TestWaitIsForgone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ls := &lanes{all: map[string]*lane{}, now: time.Now}
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for range widest {
			all.Go(func() { call(t.Context(), ls, "a", time.Second) })
		}
		synctest.Wait()
		for range widest {
			all.Go(func() { call(ctx, ls, "a", time.Hour) })
		}
		synctest.Wait()
		cancel()
		began := time.Now()
		synctest.Wait()
		call(t.Context(), ls, "a", time.Second)
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("got a place after %v", took-time.Second)
		}
		all.Wait()
	})
}
