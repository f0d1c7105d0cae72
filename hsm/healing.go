package hsm

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"time"

	"github.com/miekg/pkcs11"
)

const (
	// healingTime is how long operations wait for a token that went away, counted
	// from when it went: in a long outage those that come later fail at once.
	healingTime = 5 * time.Second
	// staleTries bounds how often an operation is repeated because of stale
	// handles: a token may mean it.
	staleTries = 3
	// firstPause and longestPause are between two attempts to reach the token,
	// whoever makes them.
	firstPause, longestPause = 10 * time.Millisecond, 500 * time.Millisecond
	// quiet is how long a thorough reconnection waits for other operations.
	quiet = time.Second
)

// connection is what the sessions hang on. It is guarded by Token.link.
type connection struct {
	slot     uint
	anchor   *session  // keeps the login alive, which ends with the last session
	born     int64     // the epoch in which the anchor session was opened
	barred   error     // why no further login is tried
	down     error     // why there is no connection; nil: there is one
	since    time.Time // when it went down
	next     time.Time // before which no further attempt is made
	failures int       // attempts since then
	expected map[string][]byte
}

// again heals what made use fail, and runs it again, until it is done, fails for
// another reason, or the time is up.
func (t *Token) again(s *session, seen int64, err error, use func(*session) error) error {
	until := time.Now().Add(healingTime)
	pause, alone := firstPause, 0
	for try := 1; ; try++ {
		end, failure := t.heal(s, seen, err, try)
		if failure == nil {
			seen, err = t.try(s, use)
			if seen == t.epoch.Load() {
				alone++ // else another goroutine voided the handles under this try, which says nothing
			}
			if err == nil || !lost(err) && (!stale(err) || alone >= staleTries) {
				return err
			}
		} else {
			until = end
			if hopeless(failure) {
				return fmt.Errorf("reopening the token: %w", failure)
			}
			err = failure
		}
		if time.Now().Add(pause).After(until) {
			return fmt.Errorf("giving the token up after %d tries: %w", try, err)
		}
		select {
		case <-t.closed:
			return ErrClosed
		case <-time.After(pause):
		}
		pause = min(2*pause, longestPause)
	}
}

// heal begins a new epoch, unless another goroutine has done so since the epoch
// seen. The other sessions renew themselves at their next use. It returns until
// when to hope, if the token is not there.
func (t *Token) heal(s *session, seen int64, cause error, try int) (time.Time, error) {
	if err := t.link.take(t.wait); err != nil {
		return time.Time{}, err
	}
	defer t.link.drop()
	if sessionGone(cause) {
		s.handle = 0
	}
	if t.down == nil && t.epoch.Load() == seen {
		t.log.Warn("reopening the token", "token_label", t.label, "cause", cause)
		t.disconnect(cause)
		if try >= staleTries {
			t.failures = 1 // reopening alone did not help
		}
	}
	return t.since.Add(healingTime), t.connect()
}

// disconnect voids all sessions. Callers hold t.link.
func (t *Token) disconnect(cause error) {
	t.epoch.Add(1)
	t.down, t.since, t.next, t.failures = cause, time.Now(), time.Time{}, 0
}

// connect sees to it that there is a connection. However many goroutines ask for
// it, attempts are made one at a time and some time apart. Callers hold t.link.
func (t *Token) connect() error {
	if t.down == nil || t.barred != nil {
		return t.barred
	}
	if time.Now().Before(t.next) {
		return t.down
	}
	if err := t.establish(); err != nil {
		// Whatever it was, the token is not there.
		t.down = fmt.Errorf("%w: %w", errDown, err)
		t.next = time.Now().Add(min(firstPause<<min(t.failures, 10), longestPause))
		t.failures++
		return t.down
	}
	t.down = nil
	return nil
}

// establish makes the anchor session a logged-in one, with the token that is
// expected.
func (t *Token) establish() error {
	t.allow(t.anchor, hangTicks)
	defer t.anchor.leave()
	if t.failures > 0 && t.alone() {
		if err := t.restart(); err != nil {
			return err
		}
	}
	if _, err := t.module.GetSessionInfo(t.anchor.handle); err != nil {
		t.anchor.handle = 0
		// A token that was plugged in again may have another slot.
		if t.slot, err = findSlot(t.module, t.label); err != nil {
			return err
		}
		if t.anchor.handle, err = t.module.OpenSession(t.slot, sessionFlags); err != nil {
			return fmt.Errorf("opening a session of token %q: %w", t.label, err)
		}
		t.born = t.epoch.Load()
	}
	if err := t.login(); err != nil {
		return err
	}
	t.handles.clear()
	for label, value := range t.expected {
		if err := t.compare(t.anchor, label, value); err != nil {
			return err
		}
	}
	return nil
}

// alone waits for the operations that still run. New ones wait for t.link, since
// their epoch is over.
func (t *Token) alone() bool {
	for end := time.Now().Add(quiet); ; time.Sleep(time.Millisecond) {
		busy := false
		for _, s := range t.sessions {
			busy = busy || s != t.anchor && s.due.Load() != 0
		}
		if !busy || time.Now().After(end) {
			return !busy
		}
	}
}

// restart forgets all that the module remembers of the token: some libraries
// look for tokens at C_Initialize only, and a login outlives the token that it
// was made to. Where others use the module too, it is theirs to initialise, and
// logging out must do.
func (t *Token) restart() error {
	if !t.finalise {
		if t.anchor.handle != 0 {
			if err := t.module.Logout(t.anchor.handle); err != nil && !stale(err) && !lost(err) {
				t.log.Warn("logging out of the token", "token_label", t.label, "cause", err)
			}
		}
		return nil
	}
	t.log.Warn("initialising the PKCS#11 module again", "token_label", t.label, "cause", t.down)
	t.anchor.handle, t.born = 0, t.epoch.Load()
	if err := t.module.Finalize(); err != nil && !lost(err) {
		t.log.Warn("finalising the PKCS#11 module", "token_label", t.label, "cause", err)
	}
	_, err := initialise(t.module)
	return err
}

// login logs the process in. A PIN that was refused is not tried again: hardware
// tokens lock themselves after a few wrong ones.
func (t *Token) login() error {
	err := t.module.Login(t.anchor.handle, pkcs11.CKU_USER, string(t.pin))
	code, _ := codeOf(err)
	switch {
	case err == nil, code == pkcs11.CKR_USER_ALREADY_LOGGED_IN:
		return nil
	case code == pkcs11.CKR_PIN_INCORRECT, code == pkcs11.CKR_PIN_LEN_RANGE, code == pkcs11.CKR_PIN_INVALID:
		t.barred = fmt.Errorf("%w: token %q refuses the user PIN: correct the PIN file before starting again, since many tokens lock after a few wrong tries: %w",
			ErrPIN, t.label, err)
		return t.barred
	case code == pkcs11.CKR_PIN_LOCKED:
		t.barred = fmt.Errorf("%w: the user PIN of token %q is locked: its security officer must unlock it: %w", ErrPIN, t.label, err)
		return t.barred
	case code == pkcs11.CKR_USER_PIN_NOT_INITIALIZED:
		t.barred = fmt.Errorf("%w: token %q has no user PIN yet: its security officer must set one: %w", ErrPIN, t.label, err)
		return t.barred
	default:
		return fmt.Errorf("logging in to token %q: %w", t.label, err)
	}
}

// Expect says what the check value of the KEK or pepper of that label must be.
// It is compared now, and after each reconnection before any key is used: a
// token that was initialised anew, or another of the same label and PIN, must
// not be taken for ours. If it differs, or there is no such key, Expect and from
// then on everything else fails with ErrOtherToken, until the token is right
// again. A nil checkValue, and Destroy, end the expectation.
func (t *Token) Expect(ctx context.Context, label string, checkValue []byte) error {
	if checkValue == nil {
		return t.forgetExpected(label)
	}
	err := t.do(ctx, func(s *session) error { return t.compare(s, label, checkValue) })
	if err != nil && !errors.Is(err, ErrOtherToken) {
		return err
	}
	if taken := t.link.take(t.wait); taken != nil {
		return errors.Join(err, taken)
	}
	defer t.link.drop()
	t.expected[label] = append([]byte{}, checkValue...)
	t.canary.Store(&object{pkcs11.CKO_SECRET_KEY, label})
	if err != nil && t.down == nil {
		t.disconnect(err)
	}
	return err
}

func (t *Token) forgetExpected(label string) error {
	if err := t.link.take(t.wait); err != nil {
		return err
	}
	defer t.link.drop()
	delete(t.expected, label)
	t.canary.Store(nil)
	for other := range t.expected {
		t.canary.Store(&object{pkcs11.CKO_SECRET_KEY, other})
	}
	return nil
}

func (t *Token) compare(s *session, label string, want []byte) error {
	got, err := t.checkValue(s, label)
	switch {
	case errors.Is(err, ErrNoKey), errors.Is(err, ErrAmbiguous):
		return fmt.Errorf("%w: %w", ErrOtherToken, err)
	case err != nil:
		return err
	case subtle.ConstantTimeCompare(got, want) != 1:
		return fmt.Errorf("%w: the key %q is not the one that is expected", ErrOtherToken, label)
	}
	return nil
}

// hopeless reports whether waiting for the token is in vain.
func hopeless(err error) bool {
	return errors.Is(err, ErrPIN) || errors.Is(err, ErrOtherToken) || errors.Is(err, ErrAmbiguous) || errors.Is(err, ErrBusy)
}
