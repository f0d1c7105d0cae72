package signer_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// factors are what a signature takes. Whoever has broken the public side can
// call the module with any of them.
type factors struct {
	ticket  bool // of the one who is to sign; otherwise of somebody else, at their own request
	code    bool // as it was sent; otherwise another
	purpose bool // ticket and code for a signature; otherwise for the change of the password
	fixed   bool // the documents, for this ticket
	open    bool // the request
	active  bool // the citizen
}

func (f factors) String() string {
	return fmt.Sprintf("ticket=%t code=%t purpose=%t fixed=%t open=%t active=%t", f.ticket, f.code, f.purpose, f.fixed, f.open, f.active)
}

// Of all subsets of the factors, driven straight at the module's socket, only
// the whole signs.
func TestEverySubsetOfFactors(t *testing.T) {
	t.Parallel()
	overEither(t, func(s *spine) {
		t := s.T
		s.activate(ana, anaPhone)
		s.activate(eva, evaPhone)
		_, _ = s.consent(ana, password, "primera")
		_, _ = s.consent(eva, password, "primera de Eva")
		client, in := s.client(), s.insider()
		signed := 0
		for n := range 1 << 6 {
			f := factors{n&1 != 0, n&2 != 0, n&4 != 0, n&8 != 0, n&16 != 0, n&32 != 0}
			request, answer := s.subset(in, f)
			lent := s.keys.lent.Load()
			a, err := client.Authorise(t.Context(), answer)
			if err == nil {
				err = client.Sign(t.Context(), a.SAD)
			}
			if f == (factors{true, true, true, true, true, true}) {
				signed++
				if err != nil || s.state(request) != signer.Signed {
					t.Errorf("with all factors: %v", err)
				}
			} else {
				s.refused(f.String(), err)
				s.unsigned(f.String(), request, lent)
			}
			if !f.active {
				if err := s.register.Unblock(t.Context(), s.identifier(ana), order()); err != nil {
					t.Fatalf("unblocking: %v", err)
				}
			}
		}
		if signed != 1 {
			t.Errorf("%d subsets were all of the factors, want 1", signed)
		}
		s.invariants()
	})
}

// subset brings a request of Ana's to where it is one answer from its
// signature, but for the factors that are missing.
func (s *spine) subset(in *insider, f factors) (string, signer.Answer) {
	s.Helper()
	s.clock.advance(time.Hour)
	request := s.ask(ana, "uno")
	var session signer.Session
	if f.purpose {
		session = s.again(request, password)
		s.fix(request, session)
		s.deliver(session, signer.ForSignature)
	} else {
		s.fix(request, s.again(request, password))
		session = s.again("", password)
		s.deliver(session, signer.ForPassword)
		in.alter(`UPDATE documents SET fixed_for = $2 WHERE request_id = $1`, request, session.Ticket.Hash())
	}
	answer := signer.Answer{Ticket: session.Ticket, Code: s.phone.last().Code}
	if !f.code {
		answer.Code = s.otherCode(1)
	}
	if !f.ticket {
		own := ""
		if f.purpose {
			own = s.ask(eva, "de Eva")
		}
		answer.Ticket = must[signer.Session](s.T)(s.identify(own, eva, password)).Ticket
	}
	if !f.fixed {
		in.alter(`UPDATE documents SET digest = NULL, signing_time = NULL, fixed_for = NULL WHERE request_id = $1`, request)
	}
	if !f.open {
		in.alter(`UPDATE requests SET state = 'refused', closed_at = now() WHERE id = $1`, request)
	}
	if !f.active {
		if err := s.register.Block(s.Context(), s.identifier(ana), order()); err != nil {
			s.Fatalf("blocking: %v", err)
		}
	}
	return request, answer
}

// Factors of one affair open no other.
func TestFactorsOfAnotherAffair(t *testing.T) {
	t.Parallel()
	overEither(t, func(s *spine) {
		t := s.T
		s.activate(ana, anaPhone)
		s.activate(eva, evaPhone)
		client, lent := s.client(), s.keys.lent.Load()
		nothing := func(what, request string, err error, codes ...policies.Code) {
			t.Helper()
			s.refused(what, err, codes...)
			s.unsigned(what, request, lent)
		}
		authorise := func(ticket signer.Ticket, code signer.Code) error {
			_, err := client.Authorise(t.Context(), signer.Answer{Ticket: ticket, Code: code})
			return err
		}
		send := func(ticket signer.Ticket, purpose signer.Purpose) error {
			_, err := client.SendCode(t.Context(), signer.CodeOrder{Ticket: ticket, Purpose: purpose})
			return err
		}
		chosen := func() citizen.Password { return s.chosen("Mirlo-8-negro") }
		change := func(ticket signer.Ticket) error {
			_, err := client.ChangePassword(t.Context(), ticket, chosen())
			return err
		}

		// The code that would bring a certificate signs nothing.
		request := s.ask(ana, "uno")
		session := s.again(request, password)
		s.fix(request, session)
		s.send(session, signer.ForCertificate)
		nothing("a certificate's code", request, authorise(session.Ticket, s.phone.last().Code), policies.CodeExpired)
		next := must[signer.Session](t)(s.module.IssueCredential(t.Context(), signer.Answer{Ticket: session.Ticket, Code: s.phone.last().Code}))
		nothing("the spent ticket", request, authorise(session.Ticket, s.phone.last().Code), policies.SessionExpired)
		nothing("the used code", request, authorise(next.Ticket, s.phone.last().Code), policies.CodeExpired)

		// The password alone, the code alone, and what was made up.
		code := s.phone.last().Code
		nothing("the password alone", request, authorise(next.Ticket, code), policies.CodeExpired)
		nothing("the code alone", request, authorise(signer.NewTicket(), code), policies.SessionExpired)
		nothing("a made-up authorisation", request, client.Sign(t.Context(), signer.NewSAD()), policies.AuthorisationInvalid)
		nothing("documents of another session", request, send(next.Ticket, signer.ForSignature), policies.SessionExpired)

		// Tickets of one kind in the place of another.
		s.clock.advance(time.Hour)
		own := s.again("", password)
		session = s.again(request, password)
		for _, purpose := range []signer.Purpose{signer.ForSignature, signer.ForActivation} {
			nothing("a ticket without a request: "+string(purpose), request, send(own.Ticket, purpose), policies.SessionExpired)
		}
		nothing("a ticket without a request", request, send(own.Ticket, signer.ForCertificate), policies.RenewalTooEarly)
		for _, purpose := range []signer.Purpose{signer.ForPassword, signer.ForActivation, signer.ForRevocation, signer.ForSuspension, signer.ForRelease} {
			nothing("a signature's ticket: "+string(purpose), request, send(session.Ticket, purpose), policies.SessionExpired)
		}
		nothing("no purpose", request, send(session.Ticket, ""), policies.RequestMalformed)
		s.fix(request, session)
		s.send(session, signer.ForSignature)
		code = s.phone.last().Code
		answer := signer.Answer{Ticket: session.Ticket, Code: code}
		nothing("a signature's for a password", request, change(answer.Ticket), policies.SessionExpired)
		nothing("a signature's for an activation", request, client.Confirm(t.Context(), answer), policies.SessionExpired)
		nothing("a signature's to set a password", request, client.SetPassword(t.Context(), session.Ticket, chosen()), policies.SessionExpired)
		_, err := client.IssueCredential(t.Context(), answer)
		nothing("a signature's for a certificate", request, err, policies.CodeExpired)
		nothing("a password's ticket and a signature's code", request, authorise(own.Ticket, code), policies.CodeExpired)
		nothing("a password's ticket before its code", request, change(own.Ticket), policies.SessionExpired)

		// An activation's ticket and code.
		receipt := must[citizen.Receipt](t)(s.register.RenewActivation(t.Context(), s.identifier(eva), citizen.By{Office: "office"}))
		a := s.person(eva, evaPhone)
		activation, _, err := client.StartActivation(t.Context(), citizen.Claim{Identifier: a.Identifier, Email: a.Email, Code: receipt.ActivationCode})
		if err != nil {
			t.Fatalf("starting an activation: %v", err)
		}
		nothing("an activation's", request, authorise(activation.Ticket, s.phone.last().Code), policies.CodeExpired)
		nothing("an activation's to refuse", request, client.Refuse(t.Context(), activation.Ticket))
		nothing("an activation's before its code", request, client.SetPassword(t.Context(), activation.Ticket, chosen()), policies.SessionExpired)
		for _, purpose := range []signer.Purpose{signer.ForSignature, signer.ForCertificate, signer.ForPassword} {
			nothing("an activation's: "+string(purpose), request, send(activation.Ticket, purpose), policies.SessionExpired)
		}

		// Requests of another citizen, not yet open, and closed.
		_, err = client.Identify(t.Context(), signer.Identification{RequestID: request, Identifier: eva, Password: []byte(password), RemoteAddr: home})
		nothing("another's request", request, err, policies.NotTheSigner)
		in := s.insider()
		in.alter(`UPDATE requests SET state = 'received' WHERE id = $1`, request)
		nothing("before it is open", request, authorise(session.Ticket, code), policies.RequestUnknown)
		_, err = client.Identify(t.Context(), signer.Identification{RequestID: request, Identifier: ana, Password: []byte(password), RemoteAddr: home})
		nothing("identified before it is open", request, err, policies.RequestUnknown)
		in.alter(`UPDATE requests SET state = 'pending' WHERE id = $1`, request)

		// An authorisation signs its own request, and no other; refused, none.
		other := s.ask(ana, "otro")
		s.clock.advance(time.Hour)
		sad := s.consentTo(request, ana, password)
		if err := client.Sign(t.Context(), sad); err != nil {
			t.Errorf("signing: %v", err)
		}
		s.unsigned("the other request", other, lent+1)
		lent++
		request, sad = s.consent(ana, password, "rehusado")
		if err := client.Refuse(t.Context(), s.again(request, password).Ticket); err != nil {
			t.Fatalf("refusing: %v", err)
		}
		nothing("after refusing", request, client.Sign(t.Context(), sad), policies.RequestState)
		s.invariants()
	})
}
