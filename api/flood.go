package api

import (
	"sync"
	"time"
)

// Flood bounds how many failures are recorded one by one, with the generic cell
// rate algorithm (ITU-T I.371, annex A), and counts the others, so that their
// number is told with the next.
type Flood struct {
	rate Rate

	mu      sync.Mutex
	full    time.Time
	omitted int
}

// NewFlood lets a rate through.
func NewFlood(rate Rate) *Flood { return &Flood{rate: rate} }

// Take is whether a failure is recorded, and how many were not since the last.
func (f *Flood) Take(now time.Time) (omitted int, admitted bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.full.Before(now) {
		f.full = now
	}
	if f.full.Sub(now) > time.Duration(f.rate.Burst-1)*f.rate.Every {
		f.omitted++
		return 0, false
	}
	f.full = f.full.Add(f.rate.Every)
	omitted, f.omitted = f.omitted, 0
	return omitted, true
}

// Omit counts failures that could not be recorded after all.
func (f *Flood) Omit(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.omitted += n
}
