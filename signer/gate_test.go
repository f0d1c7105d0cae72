package signer_test

import (
	"context"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// A closed gate stops whatever leads to a signature, at each of its steps, and
// takes nothing: once it is open again the same code, the same consent serve.
func TestGate(t *testing.T) {
	t.Parallel()
	overBoth(t, func(s *spine) {
		s.activate(ana, anaPhone)
		var closed error
		config := s.module.Config
		config.Gate = func(context.Context) error { return closed }
		s.module = signer.New(config)

		suspended := policies.Refuse(policies.LogSuspended, "reason", "behind")
		// shut asks while the gate is closed, and opens it again.
		shut := func(what string, call func() error) {
			s.Helper()
			lent, sent := s.keys.lent.Load(), len(s.phone.sent)
			closed = suspended
			s.refused(what, call(), policies.LogSuspended)
			closed = nil
			if s.keys.lent.Load() != lent || len(s.phone.sent) != sent {
				s.Errorf("%s: a key was used or a code sent", what)
			}
			s.invariants()
		}
		order := func(session signer.Session, purpose signer.Purpose) func() error {
			return func() error {
				_, err := s.module.SendCode(s.Context(), signer.CodeOrder{Ticket: session.Ticket, Purpose: purpose})
				return err
			}
		}

		request := s.ask(ana, "uno")
		session := must[signer.Session](s.T)(s.identify(request, ana, password))
		shut("a code for a certificate", order(session, signer.ForCertificate))
		s.send(session, signer.ForCertificate)
		answer := signer.Answer{Ticket: session.Ticket, Code: s.phone.last().Code}
		shut("a certificate", func() error {
			_, err := s.module.IssueCredential(s.Context(), answer)
			return err
		})
		session = must[signer.Session](s.T)(s.module.IssueCredential(s.Context(), answer))

		s.clock.advance(time.Minute)
		s.fix(request, session)
		shut("a code for a signature", order(session, signer.ForSignature))
		s.send(session, signer.ForSignature)
		answer = signer.Answer{Ticket: session.Ticket, Code: s.phone.last().Code}
		shut("a consent", func() error {
			_, err := s.module.Authorise(s.Context(), answer)
			return err
		})
		authorised := must[signer.Authorised](s.T)(s.module.Authorise(s.Context(), answer))
		shut("a signature", func() error { return s.module.Sign(s.Context(), authorised.SAD) })
		shut("readiness", func() error { return s.module.Ready(s.Context()) })
		if err := s.module.Ready(s.Context()); err != nil {
			s.Errorf("ready with the gate open: %v", err)
		}
		if err := s.module.Sign(s.Context(), authorised.SAD); err != nil {
			s.Errorf("signing with the consent that was given before: %v", err)
		}
		if got, want := s.state(request), signer.Signed; got != want {
			s.Errorf("state %s, want %s", got, want)
		}
		s.invariants()
	})
}
