package signer_test

import (
	"errors"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// Guesses from networks where the citizen has never been pause each other, for
// longer each time, and lock nobody: the victim signs while attacked.
func TestVictimSignsWhileAttacked(t *testing.T) {
	t.Parallel()
	s := newSpine(t, signer.SealedKeeper)
	s.activate(ana, anaPhone)
	request := s.ask(ana, "uno")
	for left := 4; left >= 1; left-- {
		_, err := s.identifyFrom(elsewhere, request, ana, "Equivocada-1")
		s.wants(err, policies.CredentialsWrong)
	}
	for _, pause := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute} {
		_, err := s.identifyFrom(elsewhere, request, ana, "Equivocada-1")
		s.wantsPause(err, pause)
		// Neither the right password nor a wrong one is compared meanwhile, and
		// neither makes the pause longer.
		_, err = s.identifyFrom("198.51.100.9", request, ana, password)
		s.wantsPause(err, pause)
		s.clock.advance(pause)
	}
	_, err := s.identifyFrom(elsewhere, request, ana, "Equivocada-1")
	s.wantsPause(err, 8*time.Minute)

	_, session := s.ready(ana, "dos") // from home
	if err := s.sign(session); err != nil {
		t.Errorf("signing while attacked: %v", err)
	}
}

// A hundred failures in a row lock, wherever they come from (NIST SP 800-63B-4,
// section 3.2.2). Whoever asks from elsewhere cannot tell, but by the right
// password.
func TestHundredGuessesLock(t *testing.T) {
	t.Parallel()
	s := newSpine(t, signer.SealedKeeper)
	s.activate(ana, anaPhone)
	for range 100 {
		if _, err := s.identifyFrom(elsewhere, "", ana, "Equivocada-1"); err == nil {
			t.Fatal("a wrong password opened")
		}
		s.clock.advance(time.Hour)
	}
	_, err := s.identifyFrom(elsewhere, "", ana, password)
	s.wants(err, policies.PasswordLocked)
	_, err = s.identify("", ana, password)
	s.wants(err, policies.PasswordLocked)
}

func (s *spine) wantsPause(err error, want time.Duration) {
	s.Helper()
	r, ok := errors.AsType[*policies.Refusal](err)
	if !ok || r.Code != policies.PasswordPaused || r.RetryAfter != want {
		s.Fatalf("got %v (%+v), want a pause of %v", err, r, want)
	}
}

func TestSource(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"192.0.2.77":           "192.0.2.0/24",
		"::ffff:192.0.2.77":    "192.0.2.0/24",
		"2001:db8:1:2:3::4":    "2001:db8:1:2::/64",
		"fe80::1%eth0":         "fe80::/64",
		"":                     "",
		"192.0.2.77:443":       "",
		"de la calle de al la": "",
	} {
		if got := signer.Source(address); got != want {
			t.Errorf("%q: got %q, want %q", address, got, want)
		}
	}
}
