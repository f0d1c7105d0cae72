// Package cputest tells tests how much of a processor's time something took,
// which neither a busy machine nor one that stands still makes longer.
package cputest

import (
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Watch begins to watch the test's own goroutine; what it starts others for is
// not counted. It returns what says how much was spent since.
func Watch(tb testing.TB) (spent func() time.Duration) {
	tb.Helper()
	runtime.LockOSThread()
	tb.Cleanup(runtime.UnlockOSThread)
	now := func() time.Duration {
		var spent unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &spent); err != nil {
			tb.Fatalf("asking for the time of the processor: %v", err)
		}
		return time.Duration(spent.Nano())
	}
	began := now()
	return func() time.Duration { return now() - began }
}
