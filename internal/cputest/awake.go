package cputest

import (
	"sync/atomic"
	"testing"
	"time"
)

// Awake begins a clock for bounds on waiting: one that all but stands still
// while the machine does, or lets this process not run. It returns what says
// how much it has counted.
func Awake(tb testing.TB) (now func() time.Duration) {
	tb.Helper()
	const tick, most = 10 * time.Millisecond, 50 * time.Millisecond
	var counted atomic.Int64
	done := make(chan struct{})
	tb.Cleanup(func() { close(done) })
	go func() {
		for last := time.Now(); ; {
			select {
			case <-done:
				return
			case <-time.After(tick):
			}
			gone := time.Since(last)
			counted.Add(int64(min(gone, most)))
			last = last.Add(gone)
		}
	}()
	return func() time.Duration { return time.Duration(counted.Load()) }
}
