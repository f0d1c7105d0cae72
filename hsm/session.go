package hsm

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/miekg/pkcs11"
)

const sessionFlags = pkcs11.CKF_SERIAL_SESSION | pkcs11.CKF_RW_SESSION

// session is a place in the pool. Whoever took it from the pool owns it.
type session struct {
	handle pkcs11.SessionHandle // 0: none open
	epoch  int64                // the Token's epoch in which it was opened
	// due is the watchdog's tick by which the call that runs on this session
	// must be back; 0: none runs.
	due atomic.Int64
}

// do runs use with a session of the pool, healed as call does it. use may run
// several times and must then start afresh.
func (t *Token) do(ctx context.Context, use func(*session) error) error {
	s, err := t.acquire(ctx)
	if err != nil {
		return err
	}
	defer t.release(s)
	return t.call(s, use)
}

// acquire takes a session from the pool. It waits for one as long as ctx lives,
// and no longer than Config.Wait.
func (t *Token) acquire(ctx context.Context) (*session, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("waiting for a session of the token: %w", err)
	}
	select {
	case s := <-t.pool: // the usual case, without the cost of a timer
		return t.admit(s)
	default:
	}
	timer := time.NewTimer(t.wait)
	defer timer.Stop()
	select {
	case s := <-t.pool:
		return t.admit(s)
	case <-t.closed:
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for a session of the token: %w", ctx.Err())
	case <-timer.C:
		return nil, fmt.Errorf("%w: none of its %d sessions came free in %v", ErrBusy, cap(t.pool), t.wait)
	}
}

// admit passes s on, unless Close is collecting the sessions.
func (t *Token) admit(s *session) (*session, error) {
	if t.isClosed() {
		t.release(s)
		return nil, ErrClosed
	}
	return s, nil
}

func (t *Token) release(s *session) { t.pool <- s }

func (t *Token) isClosed() bool {
	select {
	case <-t.closed:
		return true
	default:
		return false
	}
}

// call is the one place through which operations reach the module once the
// Token is open. Where one finds its session, login, handles or the token itself
// gone, call restores them and runs use again.
func (t *Token) call(s *session, use func(*session) error) error {
	seen, err := t.try(s, use)
	if err == nil || !stale(err) && !lost(err) {
		return err
	}
	return t.again(s, seen, err, use)
}

// try returns the epoch in which it came to its end, which is not always the one
// in which it was begun: others reopen the token while this waits for a session.
func (t *Token) try(s *session, use func(*session) error) (seen int64, err error) {
	seen = t.epoch.Load()
	for !t.enter(s) {
		if err := t.renew(s); err != nil {
			return seen, err
		}
	}
	defer s.leave()
	seen = s.epoch
	err = use(s)
	if unclear(err) {
		t.discard(s)
	}
	return seen, err
}

// enter announces a call on s, to the watchdog and to whoever wants to have the
// module for himself. It refuses sessions of an earlier epoch.
func (t *Token) enter(s *session) bool {
	t.allow(s, hangTicks)
	if s.epoch == t.epoch.Load() {
		return true
	}
	s.leave()
	return false
}

func (s *session) leave() { s.due.Store(0) }

// renew opens s again in the present epoch.
func (t *Token) renew(s *session) error {
	if err := t.link.take(t.wait); err != nil {
		return err
	}
	defer t.link.drop()
	// A handle older than the anchor died with the sessions of that time, and
	// its number may meanwhile belong to another session: leave it alone.
	if s.handle != 0 && s.epoch >= t.born {
		t.allow(s, hangTicks)
		t.discard(s)
		s.leave()
	}
	s.handle, s.epoch = 0, 0
	if err := t.connect(); err != nil {
		return err
	}
	t.allow(s, hangTicks)
	defer s.leave()
	handle, err := t.module.OpenSession(t.slot, sessionFlags)
	if err != nil {
		return fmt.Errorf("opening a session of token %q: %w", t.label, err)
	}
	s.handle, s.epoch = handle, t.epoch.Load()
	return nil
}

// discard closes s, and with it destroys whatever session objects it made.
func (t *Token) discard(s *session) {
	if err := t.closeSession(s.handle); err != nil {
		t.log.Error("closing a session of the token", "token_label", t.label, "cause", err)
	}
	s.handle, s.epoch = 0, 0
}

// closeSession closes a session, if it is there to be closed.
func (t *Token) closeSession(handle pkcs11.SessionHandle) error {
	if handle == 0 {
		return nil
	}
	if err := t.module.CloseSession(handle); !sessionGone(err) && !lost(err) {
		return err
	}
	return nil
}
