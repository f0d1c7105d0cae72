// Package hsm keeps Rúbrica's keys in one PKCS#11 token and lends them out as
// crypto.Signer. Private and secret keys never leave the token in the clear:
//
//   - service keys (certification authority, log, key-encryption key, pepper)
//     are token objects, found by label;
//   - citizens' keys are generated in the token, leave it wrapped under the
//     key-encryption key, and come back for the length of one use.
//
// A Token heals by itself when its sessions are closed or logged out under it,
// and when the token goes away and comes back; see Expect.
// It checks what it is asked to sign (hash, length, algorithm) but does not
// verify signatures: whoever lets one out verifies it with the certificate.
package hsm

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/miekg/pkcs11"
)

// Token is one logged-in PKCS#11 token. Its methods may be called from any
// number of goroutines. A process opens one Token per module; see Open.
type Token struct {
	module *pkcs11.Ctx
	label  string
	pin    PIN
	wait   time.Duration
	wrap   uint
	log    *slog.Logger

	pool     chan *session
	sessions []*session // all of the pool, and the anchor
	closed   chan struct{}
	finalise bool // this Token initialised the module

	// writes puts the creation and destruction of token objects in a row:
	// SoftHSM before 2.7.0 gives concurrently generated ones wrong attributes
	// (its bug 573), and "refuse when the label exists" needs an order.
	writes lock

	// epoch counts the connections. A session of an earlier one is opened again
	// before it is used.
	epoch   atomic.Int64
	handles handles
	link    lock // guards the connection
	connection
	canary atomic.Pointer[object] // one of those expected

	tick      atomic.Int64  // the watchdog's clock
	hung      chan struct{} // closed by the watchdog
	unwatched chan struct{} // ends the watchdog
}

// Open finds the token by its label, logs in, and keeps one session open until
// Close, because a PKCS#11 login ends with the last session.
//
// PKCS#11 knows one initialisation of a module and one login to a token per
// process. Where the module was initialised before (tests open several tokens
// of one SoftHSM), Open joins in and leaves C_Finalize to whoever began; where
// the process is already logged in to the same token, the PIN goes unchecked.
//
// The errors wrap ErrModule, ErrNoToken, ErrAmbiguous or ErrPIN and say what to
// do about it.
func Open(c Config) (*Token, error) {
	c, err := c.complete()
	if err != nil {
		return nil, err
	}
	module, err := load(c.Module)
	if err != nil {
		return nil, err
	}
	t := &Token{
		module:    module,
		label:     c.TokenLabel,
		pin:       append(PIN(nil), c.PIN...),
		wait:      c.Wait,
		wrap:      c.WrapMechanism,
		log:       c.Logger,
		pool:      make(chan *session, c.Sessions),
		closed:    make(chan struct{}),
		writes:    newLock(),
		handles:   handles{known: make(map[object]pkcs11.ObjectHandle)},
		link:      newLock(),
		anchor:    &session{},
		expected:  make(map[string][]byte),
		hung:      make(chan struct{}),
		unwatched: make(chan struct{}),
	}
	t.sessions = []*session{t.anchor}
	for range c.Sessions {
		s := &session{}
		t.sessions = append(t.sessions, s)
		t.pool <- s
	}
	go t.watch(c.Hang, c.OnHang)
	if err := t.open(); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

func (t *Token) open() (err error) {
	t.allow(t.anchor, hangTicks)
	if t.finalise, err = initialise(t.module); err != nil {
		return err
	}
	t.epoch.Store(1)
	return t.establish()
}

// Close waits for the sessions in use, closes them all and wipes the PIN. Where
// a call hangs, it leaves the module as it is. It must be called once.
func (t *Token) Close() error {
	close(t.closed)
	defer close(t.unwatched)
	errs, err := t.closePool()
	if err != nil {
		return err
	}
	if err := t.link.take(t.wait); err != nil {
		return err
	}
	defer t.link.drop()
	t.allow(t.anchor, hangTicks)
	defer t.anchor.leave()
	errs = append(errs, t.closeSession(t.anchor.handle))
	if t.finalise {
		errs = append(errs, t.module.Finalize())
	}
	clear(t.pin)
	// The module stays mapped: libraries that have started OpenSSL or threads
	// do not survive being unloaded.
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("closing token %q: %w", t.label, err)
	}
	return nil
}

func (t *Token) closePool() (errs []error, err error) {
	for range cap(t.pool) {
		select {
		case s := <-t.pool:
			t.allow(s, hangTicks)
			errs = append(errs, t.closeSession(s.handle))
			s.leave()
		case <-t.hung:
			return errs, fmt.Errorf("closing token %q: %w", t.label, ErrHung)
		}
	}
	return errs, nil
}

// load maps the module. The loader's own words are lost in the binding, so
// the usual causes are told apart beforehand.
func load(path string) (*pkcs11.Ctx, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w: install SoftHSM (apt-get install softhsm2) or give the path of your HSM's module", ErrModule, err)
	}
	if err := file.Close(); err != nil {
		return nil, fmt.Errorf("%w: closing %s: %w", ErrModule, path, err)
	}
	module := pkcs11.New(path)
	if module == nil {
		return nil, fmt.Errorf("%w: %s is not a PKCS#11 library for %s/%s, or lacks a library of its own: ask `ldd %s`",
			ErrModule, path, runtime.GOOS, runtime.GOARCH, path)
	}
	return module, nil
}

// initialise reports whether this call was the one that initialised the module.
func initialise(module *pkcs11.Ctx) (bool, error) {
	err := module.Initialize()
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, pkcs11.Error(pkcs11.CKR_CRYPTOKI_ALREADY_INITIALIZED)):
		return false, nil
	default:
		return false, fmt.Errorf("%w: C_Initialize: %w: check the module's own configuration "+
			"(SoftHSM: SOFTHSM2_CONF, and that this user may read and write its token directory)", ErrModule, err)
	}
}

// findSlot looks for the only token of that label.
func findSlot(module *pkcs11.Ctx, label string) (uint, error) {
	slots, err := module.GetSlotList(true)
	if err != nil {
		return 0, fmt.Errorf("%w: listing the slots: %w", ErrModule, err)
	}
	var found []uint
	var others []string
	for _, slot := range slots {
		info, err := module.GetTokenInfo(slot)
		switch {
		case err != nil:
			others = append(others, fmt.Sprintf("slot %d: %v", slot, err))
		case info.Flags&pkcs11.CKF_TOKEN_INITIALIZED == 0:
		case info.Label == label:
			found = append(found, slot)
		default:
			others = append(others, fmt.Sprintf("%q", info.Label))
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return 0, fmt.Errorf("%w: none is labelled %q (the module shows %v): give the label of an existing token, or initialise one",
			ErrNoToken, label, others)
	default:
		return 0, fmt.Errorf("%w: %d tokens are labelled %q: give each its own label", ErrAmbiguous, len(found), label)
	}
}
