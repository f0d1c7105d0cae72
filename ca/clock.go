package ca

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ClockConfig names what a Clock compares. The sources are functions, so that
// the package does no I/O; they must honour their context.
type ClockConfig struct {
	// Now is the wall clock in question.
	Now func() time.Time
	// Elapsed is a clock that is never set, from any start; nil is Go's
	// monotonic one. A wall clock that goes another way has been set.
	Elapsed func() time.Duration
	// Database is the time of the database's host.
	Database func(ctx context.Context) (time.Time, error)
	// LastEntry is the time of the log's last entry, zero if there is none:
	// nobody may write before it.
	LastEntry func(ctx context.Context) (time.Time, error)
	// Tolerance is how far the clock may be away from a source, and how long
	// reading one may take; zero is a second, the accuracy of time-stamps.
	Tolerance time.Duration
	// Interval is how long a check is good for; zero is a second.
	Interval time.Duration
	// Grace is how long the clock is trusted while a source cannot be read,
	// provided that it keeps step with Elapsed; zero is five seconds. No quartz
	// is off by a thousandth of Tolerance in that time, while a database's
	// failover often takes as long.
	Grace time.Duration
	// Fault hears of each change, once: an error when trust is lost, nil when
	// it is back. Callers of Trusted wait for it, so it must not ask the clock.
	Fault func(ctx context.Context, err error)
}

// Clock says whether the wall clock can be trusted. It is safe for concurrent
// use.
type Clock struct {
	config ClockConfig

	mu sync.Mutex
	// checked is the last check, and good the last one that read all sources.
	checked, good reading
	verdict       error
	flight        *flight // the check under way, if any
}

// reading is the two clocks at one moment; the zero one is no moment.
type reading struct {
	wall    time.Time
	elapsed time.Duration
}

// flight is a check that several callers wait for.
type flight struct {
	done chan struct{}
	err  error
}

// Sources of a ClockError.
const (
	ClockDatabase  = "database"
	ClockLastEntry = "last entry"
	ClockMonotonic = "monotonic clock"
	ClockCheck     = "check" // the caller did not wait for its end
)

// ClockError is why the clock is not trusted.
type ClockError struct {
	Source string
	// Offset is how far the wall clock is ahead of the source; negative if it
	// is behind, zero if Err is why it is unknown.
	Offset time.Duration
	Err    error
}

func (e *ClockError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("clock not trusted: %s: %v", e.Source, e.Err)
	}
	return fmt.Sprintf("clock not trusted: %v off the %s", e.Offset, e.Source)
}

func (e *ClockError) Unwrap() error { return e.Err }

// NewClock makes a clock that has not been checked.
func NewClock(c ClockConfig) (*Clock, error) {
	if c.Now == nil || c.Database == nil || c.LastEntry == nil {
		return nil, errors.New("clock without time or sources")
	}
	c.Tolerance = cmp.Or(c.Tolerance, time.Second)
	c.Interval = cmp.Or(c.Interval, time.Second)
	c.Grace = cmp.Or(c.Grace, 5*time.Second)
	if min(c.Tolerance, c.Interval, c.Grace) < 0 {
		return nil, errors.New("clock with negative limits")
	}
	if c.Elapsed == nil {
		start := time.Now()
		c.Elapsed = func() time.Duration { return time.Since(start) }
	}
	if c.Fault == nil {
		c.Fault = func(context.Context, error) {}
	}
	return &Clock{config: c}, nil
}

// Trusted says whether the wall clock tells the time: nil, or a *ClockError. It
// answers from the last check if that is recent and the wall clock has not been
// set since; else it waits for a check, which all callers share.
func (c *Clock) Trusted(ctx context.Context) error {
	c.mu.Lock()
	now := c.read()
	age := now.elapsed - c.checked.elapsed
	if !c.checked.wall.IsZero() && age <= c.config.Interval && now.jump(c.checked).Abs() <= c.config.Tolerance {
		defer c.mu.Unlock()
		return c.verdict
	}
	f := c.flight
	if f == nil {
		f = &flight{done: make(chan struct{})}
		c.flight = f
		// A caller who goes away takes nothing from the others.
		go c.check(context.WithoutCancel(ctx), f)
	}
	c.mu.Unlock()
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return &ClockError{Source: ClockCheck, Err: ctx.Err()}
	}
}

// read reads both clocks. The wall time loses its monotonic reading, which would
// hide that the clock was set.
func (c *Clock) read() reading { return reading{c.config.Now().Round(0), c.config.Elapsed()} }

// jump is how much further the wall clock went than the monotonic one since an
// earlier reading.
func (r reading) jump(earlier reading) time.Duration {
	return r.wall.Sub(earlier.wall) - (r.elapsed - earlier.elapsed)
}

func (c *Clock) check(ctx context.Context, f *flight) {
	start := c.read() // so that a jump during the check shows in the next one
	err := c.compare(ctx)

	c.mu.Lock()
	before := c.verdict
	if unread := new(sourceError); errors.As(err, &unread) {
		err = c.excuse(start, unread)
	} else if err == nil {
		c.good = start
	}
	c.mu.Unlock()

	if (before == nil) != (err == nil) {
		c.config.Fault(ctx, err)
	}

	c.mu.Lock()
	c.checked, c.verdict, c.flight = start, err, nil
	c.mu.Unlock()
	f.err = err
	close(f.done)
}

// sourceError is that a source could not be read, or not in time.
type sourceError struct {
	source string
	err    error
}

func (e *sourceError) Error() string { return e.source + ": " + e.err.Error() }

// excuse judges a clock whose sources cannot be read: by itself, for as long as
// the grace lasts. Trust that was lost only a check of all sources brings back.
// Callers hold mu.
func (c *Clock) excuse(now reading, unread *sourceError) error {
	jump := now.jump(c.good)
	switch {
	case c.verdict != nil || c.good.wall.IsZero() || now.elapsed-c.good.elapsed > c.config.Grace:
		return &ClockError{Source: unread.source, Err: unread.err}
	case jump.Abs() > c.config.Tolerance:
		return &ClockError{Source: ClockMonotonic, Offset: jump}
	default:
		return nil
	}
}

func (c *Clock) compare(ctx context.Context) error {
	database, before, after, err := c.ask(ctx, ClockDatabase, c.config.Database)
	if err != nil {
		return err
	}
	// The database read its clock somewhere between the two of ours.
	if ahead := before.Sub(database); ahead > c.config.Tolerance {
		return &ClockError{Source: ClockDatabase, Offset: ahead}
	}
	if ahead := after.Sub(database); ahead < -c.config.Tolerance {
		return &ClockError{Source: ClockDatabase, Offset: ahead}
	}
	entry, _, after, err := c.ask(ctx, ClockLastEntry, c.config.LastEntry)
	if err != nil {
		return err
	}
	if ahead := after.Sub(entry); ahead < -c.config.Tolerance {
		return &ClockError{Source: ClockLastEntry, Offset: ahead}
	}
	return nil
}

// ask reads a source and the wall time around it. The second is reckoned with
// the monotonic clock, so that a jump cannot widen the room between the two. A
// source that answers late says nothing.
func (c *Clock) ask(ctx context.Context, source string, read func(context.Context) (time.Time, error)) (at, before, after time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.config.Tolerance)
	defer cancel()
	start := c.read()
	at, err = read(ctx)
	trip := c.config.Elapsed() - start.elapsed
	if err == nil && trip > c.config.Tolerance {
		err = fmt.Errorf("answered after %v", trip)
	}
	if err != nil {
		return time.Time{}, time.Time{}, time.Time{}, &sourceError{source, err}
	}
	return at, start.wall, start.wall.Add(trip), nil
}
