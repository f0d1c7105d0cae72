package hsm

import (
	"fmt"
	"time"
)

// The watchdog counts ticks, of which Config.Hang has hangTicks. An operation
// stores, as it begins, the tick by which it must be back: one load and one
// store, no clock read. A machine that was suspended has missed the ticks as
// well, and accuses nobody.
const (
	hangTicks = 16
	// Generating an RSA key is a matter of luck: seconds on a server, a minute on
	// a smart card.
	generationTicks = 8 * hangTicks
)

// allow says that what runs on s from now on is back within so many ticks.
func (t *Token) allow(s *session, ticks int64) { s.due.Store(t.tick.Load() + ticks + 1) }

// watch looks after the sessions until Close. A call in C cannot be broken off
// from outside, nor its thread and session taken back safely: so when one does
// not return, watch says so once, and who supervises the process replaces it.
func (t *Token) watch(hang time.Duration, onHang func(error)) {
	ticker := time.NewTicker(max(hang/hangTicks, time.Millisecond))
	defer ticker.Stop()
	for {
		select {
		case <-t.unwatched:
			return
		case <-ticker.C:
		}
		now := t.tick.Add(1)
		for _, s := range t.sessions {
			if due := s.due.Load(); due != 0 && now > due {
				err := fmt.Errorf("%w: an operation has not come back in %v", ErrHung, hang)
				t.log.Error("the token hangs", "token_label", t.label, "cause", err)
				close(t.hung)
				if onHang != nil {
					onHang(err)
				}
				return
			}
		}
	}
}

// lock is a mutex that one can tire of waiting for: its holder may hang.
type lock chan struct{}

func newLock() lock { return make(lock, 1) }

func (l lock) take(wait time.Duration) error {
	select {
	case l <- struct{}{}:
		return nil
	default:
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case l <- struct{}{}:
		return nil
	case <-timer.C:
		return fmt.Errorf("%w: another operation has kept it for %v", ErrBusy, wait)
	}
}

func (l lock) drop() { <-l }
