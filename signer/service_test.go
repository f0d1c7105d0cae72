package signer_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

const (
	ana      = "12345678Z"
	anaPhone = "600111421"
	eva      = "87654321X"
	evaPhone = "600111422"
)

// The whole thread: two documents under one confirmation, then another request
// with the certificate that is there.
func TestCeremony(t *testing.T) {
	t.Parallel()
	overBoth(t, func(s *spine) {
		s.activate(ana, anaPhone)
		request, session := s.ready(ana, "uno", "dos")
		if got, want := s.phone.last().Documents, 2; got != want {
			s.Errorf("SMS tells of %d documents, want %d", got, want)
		}
		if err := s.sign(session); err != nil {
			s.Fatalf("signing: %v", err)
		}
		s.invariants()
		if got, want := s.state(request), signer.Signed; got != want {
			s.Errorf("state %s, want %s", got, want)
		}

		s.clock.advance(time.Minute)
		_, session = s.ready(ana, "tres")
		if err := s.sign(session); err != nil {
			s.Fatalf("signing again: %v", err)
		}
		s.invariants()
	})
}

// As many documents as are shared between sessions of the token, each with its
// own signature (the checker looks).
func TestManyDocuments(t *testing.T) {
	t.Parallel()
	overBoth(t, func(s *spine) {
		s.activate(ana, anaPhone)
		contents := make([]string, 41)
		for i := range contents {
			contents[i] = fmt.Sprint("documento ", i)
		}
		request, session := s.ready(ana, contents...)
		if err := s.sign(session); err != nil {
			s.Fatalf("signing: %v", err)
		}
		s.invariants()
		if got, want := s.state(request), signer.Signed; got != want {
			s.Errorf("state %s, want %s", got, want)
		}
	})
}

func TestReferenceIsOnPageAndPhone(t *testing.T) {
	t.Parallel()
	overBoth(t, func(s *spine) {
		s.activate(ana, anaPhone)
		request, _ := s.ready(ana, "uno")
		r := must[signer.Request](s.T)(s.public.Request(s.Context(), request))
		if got, want := s.phone.last().Reference, r.Reference(); got != want || len(got) != 4 {
			s.Errorf("SMS shows %q, page %q", got, want)
		}
	})
}

func TestWrongPasswords(t *testing.T) {
	t.Parallel()
	overBoth(t, func(s *spine) {
		s.activate(ana, anaPhone)
		request := s.ask(ana, "uno")
		for left := 4; left >= 1; left-- {
			_, err := s.identify(request, ana, "Equivocada-1")
			s.wants(err, policies.CredentialsWrong)
		}
		_, err := s.identify(request, ana, "Equivocada-1")
		s.wantsPause(err, time.Minute)
		_, err = s.identify(request, ana, password)
		s.wants(err, policies.PasswordPaused)
		// Locked: from home as from elsewhere, but only the right password learns it.
		s.clock.advance(time.Minute)
		_, err = s.identify(request, ana, password)
		s.wants(err, policies.PasswordLocked)
		_, err = s.identifyFrom(elsewhere, request, ana, "Equivocada-1")
		s.wants(err, policies.CredentialsWrong)
		_, err = s.identifyFrom(elsewhere, request, ana, password)
		s.wants(err, policies.PasswordLocked)

		// The office gives a new activation code; a new password unlocks.
		s.clock.advance(time.Minute)
		a := s.person(ana, anaPhone)
		receipt := must[citizen.Receipt](s.T)(s.register.RenewActivation(s.Context(), a.Identifier, citizen.By{Office: "office"}))
		const other = "Mirlo-8-negro"
		s.enter(a, receipt.ActivationCode, other)
		if _, err := s.identify(request, ana, other); err != nil {
			s.Errorf("after a new password: %v", err)
		}
	})
}

// A stranger and a wrong password answer alike, try after try, from networks
// that the citizen has come from as from others.
func TestStrangerAnswersLikeWrongPassword(t *testing.T) {
	t.Parallel()
	for _, from := range []string{home, elsewhere} {
		s := newSpine(t, signer.SealedKeeper)
		s.activate(ana, anaPhone)
		request := s.ask(ana, "uno")
		for try := range 110 {
			s.clock.advance(time.Duration(try%3) * 40 * time.Minute) // within pauses and beyond
			_, known := s.identifyFrom(from, request, ana, "Equivocada-1")
			_, stranger := s.identifyFrom(from, request, eva, "Equivocada-1")
			if got, want := told(stranger), told(known); got != want {
				t.Fatalf("try %d from %s: stranger told %s, citizen %s", try+1, from, got, want)
			}
			if s.clock.Now().After(s.start.Add(20 * time.Hour)) {
				request, s.start = s.ask(ana, "uno"), s.clock.Now()
			}
		}
	}
}

// told is all that an answer says.
func told(err error) string {
	r, _ := errors.AsType[*policies.Refusal](err)
	return fmt.Sprint(r, r.RetryAfter)
}

func TestSomebodyElse(t *testing.T) {
	t.Parallel()
	overBoth(t, func(s *spine) {
		s.activate(ana, anaPhone)
		s.activate(eva, evaPhone)
		request := s.ask(ana, "uno")
		_, err := s.identify(request, eva, password)
		s.wants(err, policies.NotTheSigner)
	})
}

func TestCodes(t *testing.T) {
	t.Parallel()
	wrong := must[signer.Code](t)(signer.ParseCode("0000 0000"))
	cases := []struct {
		name string
		act  func(s *spine, session signer.Session) error
		want policies.Code
	}{
		{"wrong", func(s *spine, session signer.Session) error {
			return s.answer(session, wrong)
		}, policies.CodeWrong},
		{"third try wrong", func(s *spine, session signer.Session) error {
			var err error
			for range 3 {
				err = s.answer(session, wrong)
			}
			return err
		}, policies.CodeExhausted},
		{"right at the fourth", func(s *spine, session signer.Session) error {
			for range 3 {
				_ = s.answer(session, wrong)
			}
			return s.sign(session)
		}, policies.CodeExhausted},
		{"a moment too late", func(s *spine, session signer.Session) error {
			s.clock.advance(5 * time.Minute)
			return s.sign(session)
		}, policies.CodeExpired},
		{"ticket too late", func(s *spine, session signer.Session) error {
			s.clock.advance(11 * time.Minute)
			return s.sign(session)
		}, policies.SessionExpired},
		{"used", func(s *spine, session signer.Session) error {
			if err := s.sign(session); err != nil {
				return err
			}
			return s.sign(session)
		}, policies.SessionExpired},
		{"superseded by another", func(s *spine, session signer.Session) error {
			old := s.phone.last().Code
			s.clock.advance(time.Minute)
			s.send(session, signer.ForSignature)
			return s.answer(session, old)
		}, policies.CodeWrong},
		{"another too soon", func(s *spine, session signer.Session) error {
			_, err := s.module.SendCode(s.Context(), signer.CodeOrder{Ticket: session.Ticket, Purpose: signer.ForSignature})
			return err
		}, policies.CodeTooSoon},
		{"another ticket", func(s *spine, session signer.Session) error {
			return s.answer(signer.Session{Ticket: signer.NewTicket()}, s.phone.last().Code)
		}, policies.SessionExpired},
		{"a code for something else", func(s *spine, session signer.Session) error {
			_, err := s.module.IssueCredential(s.Context(), signer.Answer{Ticket: session.Ticket, Code: s.phone.last().Code})
			return err
		}, policies.CodeExpired},
		{"identified again meanwhile", func(s *spine, session signer.Session) error {
			_ = must[signer.Session](s.T)(s.identify("request-1", ana, password))
			return s.sign(session)
		}, policies.SessionExpired},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			overBoth(t, func(s *spine) {
				s.activate(ana, anaPhone)
				_, session := s.ready(ana, "uno")
				s.wants(c.act(s, session), c.want)
			})
		})
	}
}

func TestNoMoreThanFiveCodesAnHour(t *testing.T) {
	t.Parallel()
	overBoth(t, func(s *spine) {
		s.activate(ana, anaPhone)
		request, _ := s.ready(ana, "uno")
		var err error
		for range 5 {
			s.clock.advance(time.Minute)
			session := must[signer.Session](s.T)(s.identify(request, ana, password))
			s.fix(request, session)
			_, err = s.module.SendCode(s.Context(), signer.CodeOrder{Ticket: session.Ticket, Purpose: signer.ForSignature})
		}
		s.wants(err, policies.CodeTooMany)
	})
}

func TestSilentOperator(t *testing.T) {
	t.Parallel()
	overBoth(t, func(s *spine) {
		s.activate(ana, anaPhone)
		request, session := s.ready(ana, "uno")
		s.clock.advance(time.Minute)
		s.phone.dead = true
		_, err := s.module.SendCode(s.Context(), signer.CodeOrder{Ticket: session.Ticket, Purpose: signer.ForSignature})
		s.wants(err, policies.SMSFailed)
		s.phone.dead = false
		// A code that was not sent does not count against the pace.
		s.send(session, signer.ForSignature)
		if err := s.sign(session); err != nil {
			s.Errorf("after the operator came back: %v", err)
		}
		if got, want := s.state(request), signer.Signed; got != want {
			s.Errorf("state %s, want %s", got, want)
		}
	})
}

// Of any number of answers to one code exactly one signs.
func TestSimultaneousAnswers(t *testing.T) {
	t.Parallel()
	overBoth(t, func(s *spine) {
		s.activate(ana, anaPhone)
		request, session := s.ready(ana, "uno")
		var (
			group  sync.WaitGroup
			signed atomic.Int32
		)
		for range 100 {
			group.Go(func() {
				switch err := s.sign(session); {
				case err == nil:
					signed.Add(1)
				case !errors.Is(err, policies.Refuse(policies.CodeUsed)) && !errors.Is(err, policies.Refuse(policies.SessionExpired)) &&
					!errors.Is(err, policies.Refuse(policies.CodeExhausted)) && !errors.Is(err, policies.Refuse(policies.RequestState)):
					s.Errorf("unexpected: %v", err)
				}
			})
		}
		group.Wait()
		if got := signed.Load(); got != 1 {
			t.Errorf("%d answers signed, want 1", got)
		}
		if got, want := s.state(request), signer.Signed; got != want {
			t.Errorf("state %s, want %s", got, want)
		}
		s.invariants()
	})
}

// A citizen who forgot the password starts anew: the old key is destroyed, its
// certificate revoked, and an answer that is on its way comes too late.
func TestForgottenPassword(t *testing.T) {
	t.Parallel()
	overBoth(t, func(s *spine) {
		s.activate(ana, anaPhone)
		_, session := s.ready(ana, "uno")
		code := s.phone.last().Code
		s.clock.advance(time.Minute)
		a := s.person(ana, anaPhone)
		receipt := must[citizen.Receipt](s.T)(s.register.RenewActivation(s.Context(), a.Identifier, citizen.By{Office: "office"}))
		s.enter(a, receipt.ActivationCode, "Otra-contraseña-9")
		err := s.answer(session, code)
		s.wants(err, policies.SessionExpired)
		if revoked := s.revocations(); len(revoked) != 1 {
			s.Errorf("%d certificates revoked, want 1", len(revoked))
		}
	})
}

func TestPreviousPasswordIsRefused(t *testing.T) {
	t.Parallel()
	overBoth(t, func(s *spine) {
		s.activate(ana, anaPhone)
		s.clock.advance(time.Minute)
		a := s.person(ana, anaPhone)
		receipt := must[citizen.Receipt](s.T)(s.register.RenewActivation(s.Context(), a.Identifier, citizen.By{Office: "office"}))
		session, _, err := s.register.StartActivation(s.Context(), citizen.Claim{Identifier: a.Identifier, Email: a.Email, Code: receipt.ActivationCode})
		if err != nil {
			s.Fatalf("starting: %v", err)
		}
		if err := s.register.Confirm(s.Context(), signer.Answer{Ticket: session.Ticket, Code: s.phone.last().Code}); err != nil {
			s.Fatalf("confirming: %v", err)
		}
		err = s.register.SetPassword(s.Context(), session.Ticket, must[citizen.Password](s.T)(citizen.ParsePassword([]byte(password))))
		s.wants(err, policies.PasswordWeak)
	})
}

// What has ended leaves nothing that could be opened.
func TestForgetting(t *testing.T) {
	t.Parallel()
	overBoth(t, func(s *spine) {
		s.activate(ana, anaPhone)
		_, _ = s.ready(ana, "uno")
		_, _ = s.identify("request-1", eva, "Equivocada-1")
		s.clock.advance(25 * time.Hour)
		if err := s.module.Reap(s.Context()); err != nil {
			s.Fatalf("reaping: %v", err)
		}
		for _, table := range []string{"tickets", "challenges", "attempts"} {
			if n := s.rows(table); n != 0 {
				s.Errorf("%d rows left in %s, want 0", n, table)
			}
		}
		s.invariants()
	})
}

func TestRefusal(t *testing.T) {
	t.Parallel()
	overBoth(t, func(s *spine) {
		s.activate(ana, anaPhone)
		request, session := s.ready(ana, "uno")
		if err := s.module.Refuse(s.Context(), session.Ticket); err != nil {
			s.Fatalf("refusing: %v", err)
		}
		s.invariants()
		if got, want := s.state(request), signer.Refused; got != want {
			s.Errorf("state %s, want %s", got, want)
		}
		s.wants(s.sign(session), policies.SessionExpired)
	})
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	overBoth(t, func(s *spine) {
		s.activate(ana, anaPhone)
		request := s.ask(ana, "uno")
		s.clock.advance(24 * time.Hour)
		_, err := s.identify(request, ana, password)
		s.wants(err, policies.RequestExpired)
		if err := s.module.Reap(s.Context()); err != nil {
			s.Fatalf("reaping: %v", err)
		}
		s.invariants()
		if got, want := s.state(request), signer.Expired; got != want {
			s.Errorf("state %s, want %s", got, want)
		}
	})
}

// The five-year rule: a registration too old gets no certificate, and the log
// says so; one that was issued before goes on signing.
func TestFiveYears(t *testing.T) {
	t.Parallel()
	overBoth(t, func(s *spine) {
		s.activate(ana, anaPhone)
		s.activate(eva, evaPhone)
		_, session := s.ready(eva, "uno")
		if err := s.sign(session); err != nil {
			s.Fatalf("signing: %v", err)
		}
		s.clock.advance(365 * 24 * time.Hour)
		s.age(4*365*24*time.Hour + 48*time.Hour) // as if registered more than five years ago
		request := s.ask(ana, "dos")
		session = must[signer.Session](s.T)(s.identify(request, ana, password))
		_, err := s.module.SendCode(s.Context(), signer.CodeOrder{Ticket: session.Ticket, Purpose: signer.ForCertificate})
		s.wants(err, policies.RegistrationTooOld)
		if n := s.logged("certificate.refused", request); n != 1 {
			s.Errorf("%d refusals in the log, want 1", n)
		}
		_, session = s.ready(eva, "tres")
		if err := s.sign(session); err != nil {
			s.Errorf("signing with an old registration's certificate: %v", err)
		}
	})
}

// A process that died between intent and outcome leaves an intent; it is ended
// after its lease, never retried, and the citizen can be asked again.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	overBoth(t, func(s *spine) {
		s.activate(ana, anaPhone)
		request, session := s.ready(ana, "uno")
		s.dieAfterIntent(session)
		if got, want := s.state(request), signer.Signing; got != want {
			s.Fatalf("state %s, want %s", got, want)
		}
		_, err := s.identify(request, ana, password)
		s.wants(err, policies.RequestState)
		s.clock.advance(2 * time.Minute)
		if err := s.module.Reap(s.Context()); err != nil {
			s.Fatalf("reaping: %v", err)
		}
		s.invariants()
		if n := s.logged("sign.interrupted", request); n != 1 {
			s.Errorf("%d interruptions in the log, want 1", n)
		}
		session = must[signer.Session](s.T)(s.identify(request, ana, password))
		s.fix(request, session)
		s.send(session, signer.ForSignature)
		if err := s.sign(session); err != nil {
			s.Errorf("signing at the second asking: %v", err)
		}
		s.invariants()
	})
}

func TestRegistration(t *testing.T) {
	t.Parallel()
	overBoth(t, func(s *spine) {
		a := s.person(ana, anaPhone)
		receipt := must[citizen.Receipt](s.T)(s.register.Register(s.Context(), a))
		_, err := s.register.Register(s.Context(), a)
		s.wants(err, policies.CitizenExists)
		_, err = s.register.Register(s.Context(), s.person(eva, anaPhone))
		s.wants(err, policies.PhoneTaken)
		late := s.person(eva, evaPhone)
		late.DocumentUntil = s.clock.Now().AddDate(0, 0, -2)
		_, err = s.register.Register(s.Context(), late)
		s.wants(err, policies.IdentityDocumentExpiry)

		claim := citizen.Claim{Identifier: a.Identifier, Email: a.Email, Code: citizen.NewActivationCode()}
		for range 5 {
			_, _, err = s.register.StartActivation(s.Context(), claim)
			s.wants(err, policies.ActivationMismatch)
		}
		claim.Code = receipt.ActivationCode
		_, _, err = s.register.StartActivation(s.Context(), claim)
		s.wants(err, policies.ActivationBlocked)
		stranger := citizen.Claim{Identifier: must[citizen.Identifier](s.T)(citizen.ParseIdentifier(eva)), Email: a.Email, Code: citizen.NewActivationCode()}
		_, _, err = s.register.StartActivation(s.Context(), stranger)
		s.wants(err, policies.ActivationMismatch)
	})
}

func TestActivationOrder(t *testing.T) {
	t.Parallel()
	overBoth(t, func(s *spine) {
		a := s.person(ana, anaPhone)
		receipt := must[citizen.Receipt](s.T)(s.register.Register(s.Context(), a))
		session, _, err := s.register.StartActivation(s.Context(), citizen.Claim{Identifier: a.Identifier, Email: a.Email, Code: receipt.ActivationCode})
		if err != nil {
			s.Fatalf("starting: %v", err)
		}
		good := func() citizen.Password { return must[citizen.Password](s.T)(citizen.ParsePassword([]byte(password))) }
		s.wants(s.register.SetPassword(s.Context(), session.Ticket, good()), policies.SessionExpired)
		if err := s.register.Confirm(s.Context(), signer.Answer{Ticket: session.Ticket, Code: s.phone.last().Code}); err != nil {
			s.Fatalf("confirming: %v", err)
		}
		weak := must[citizen.Password](s.T)(citizen.ParsePassword([]byte("Nunez-12345678Z-a")))
		s.wants(s.register.SetPassword(s.Context(), session.Ticket, weak), policies.PasswordWeak)
		if err := s.register.SetPassword(s.Context(), session.Ticket, good()); err != nil {
			s.Fatalf("setting a password: %v", err)
		}
		s.wants(s.register.SetPassword(s.Context(), session.Ticket, good()), policies.SessionExpired)
	})
}
