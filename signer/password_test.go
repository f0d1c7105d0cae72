package signer_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// second is a password after the first.
const second = "Mirlo-8-negro"

// record reads Ana's row as it is stored.
func (s *spine) record() (signer.Citizen, *signer.Credential) {
	s.Helper()
	c, k, err := s.db.CitizenByIdentifier(s.Context(), ana)
	if err != nil {
		s.Fatalf("reading a citizen: %v", err)
	}
	return c, k
}

// Whoever knows the password moves the key under another: key and certificate
// stay, what was open is closed, and the old password opens nothing any more.
func TestChangePassword(t *testing.T) {
	t.Parallel()
	overEither(t, func(s *spine) {
		s.activate(ana, anaPhone)
		_, sad := s.consent(ana, password, "por firmar")
		s.clock.advance(time.Minute)
		request, session := s.ready(ana, "por responder")
		code := s.phone.last().Code
		_, before := s.record()
		s.clock.advance(time.Minute)
		if err := s.change(password); err != nil {
			s.Fatalf("changing: %v", err)
		}
		s.invariants()
		_, after := s.record()
		if after.ID != before.ID || !bytes.Equal(after.PublicKey, before.PublicKey) || after.Certificate.Serial != before.Certificate.Serial || !after.Certificate.RevokedAt.IsZero() {
			s.Errorf("key or certificate changed: %+v, was %+v", after, before)
		}
		if got, want := after.Generation, before.Generation+1; got != want {
			s.Errorf("generation %d, want %d", got, want)
		}
		if bytes.Equal(after.Sealed.Salt, before.Sealed.Salt) || bytes.Equal(after.Sealed.Box, before.Sealed.Box) {
			s.Error("salt or box are the old ones")
		}
		s.wants(s.answer(session, code), policies.SessionExpired)
		s.wants(s.module.Sign(s.Context(), sad), policies.AuthorisationInvalid)
		_, err := s.identify(request, ana, password)
		s.wants(err, policies.CredentialsWrong)
		s.signs(ana, second)
	})
}

// What a change refuses: the code comes first, and what is wrong with the
// password costs it no try.
func TestChangePasswordRefused(t *testing.T) {
	t.Parallel()
	overEither(t, func(s *spine) {
		s.activate(ana, anaPhone)
		session := s.again("", password)
		s.send(session, signer.ForPassword)
		answer := signer.Answer{Ticket: session.Ticket, Code: s.phone.last().Code}
		s.wants(s.register.ChangePassword(s.Context(), session.Ticket, s.chosen(second)), policies.SessionExpired)
		for n := range 2 {
			s.wants(s.register.Confirm(s.Context(), signer.Answer{Ticket: session.Ticket, Code: s.otherCode(n + 1)}), policies.CodeWrong)
			s.wants(s.register.ChangePassword(s.Context(), session.Ticket, s.chosen(second)), policies.SessionExpired)
		}
		if err := s.register.Confirm(s.Context(), answer); err != nil {
			s.Fatalf("confirming with the third try: %v", err)
		}
		s.wants(s.register.Confirm(s.Context(), answer), policies.CodeUsed)
		for _, weak := range []string{"Cort-1a", "sinclases", "Nunez-12345678Z-a", password} {
			p := must[citizen.Password](s.T)(citizen.ParsePassword([]byte(weak)))
			s.wants(s.register.ChangePassword(s.Context(), session.Ticket, p), policies.PasswordWeak)
		}
		if _, k := s.record(); k.Generation != 1 {
			s.Errorf("generation %d, want 1", k.Generation)
		}
		if err := s.register.ChangePassword(s.Context(), session.Ticket, s.chosen(second)); err != nil {
			s.Errorf("changing: %v", err)
		}
		s.wants(s.register.ChangePassword(s.Context(), session.Ticket, s.chosen("Vencejo-9-gris")), policies.SessionExpired)
		s.signs(ana, second)
	})
}

// A ticket that somebody with psql has marked as confirmed, or moved to another
// citizen once it was, changes no password.
func TestForgedConfirmation(t *testing.T) {
	t.Parallel()
	overEither(t, func(s *spine) {
		s.activate(ana, anaPhone)
		s.activate(eva, evaPhone)
		in, session := s.insider(), s.again("", password)
		in.alter(`UPDATE tickets SET verified = true WHERE hash = $1`, session.Ticket.Hash())
		s.refused("marked", s.register.ChangePassword(s.Context(), session.Ticket, s.chosen(second)), policies.RecordTampered)
		in.alter(`UPDATE tickets SET verified = false WHERE hash = $1`, session.Ticket.Hash())
		s.send(session, signer.ForPassword)
		if err := s.register.Confirm(s.Context(), signer.Answer{Ticket: session.Ticket, Code: s.phone.last().Code}); err != nil {
			s.Fatalf("confirming: %v", err)
		}
		in.keep("before")
		in.alter(`UPDATE tickets t SET (citizen_id, credential_id, generation) = (SELECT k.citizen_id, k.id, k.generation FROM credentials k WHERE k.citizen_id = $2)
			WHERE hash = $1`, session.Ticket.Hash(), s.citizen(eva))
		s.refused("moved", s.register.ChangePassword(s.Context(), session.Ticket, s.chosen(second)), policies.RecordTampered)
		in.bring("before")
		in.alter(`UPDATE tickets SET expires_at = expires_at + interval '1 hour' WHERE hash = $1`, session.Ticket.Hash())
		s.refused("kept alive", s.register.ChangePassword(s.Context(), session.Ticket, s.chosen(second)), policies.RecordTampered)
		in.bring("before")
		if err := s.register.ChangePassword(s.Context(), session.Ticket, s.chosen(second)); err != nil {
			s.Errorf("as it was: %v", err)
		}
		s.signs(ana, second)
		s.signs(eva, password)
	})
}

// A password opens requests for two years to the second, then nothing but its
// own change.
func TestExpiredPassword(t *testing.T) {
	t.Parallel()
	overEither(t, func(s *spine) {
		s.activate(ana, anaPhone)
		_, k := s.record()
		s.signs(ana, password)
		s.clock.advance(k.PasswordAt.Add(2*365*24*time.Hour - time.Second).Sub(s.clock.Now()))
		request := s.ask(ana, "uno")
		_ = s.again(request, password)
		s.clock.advance(time.Second)
		_, err := s.identify(request, ana, password)
		s.wants(err, policies.PasswordExpired)
		_, err = s.identify(request, ana, "Equivocada-1")
		s.wants(err, policies.CredentialsWrong)
		if n := s.logged("auth.expired", request); n != 1 {
			s.Errorf("%d expired passwords in the log, want 1", n)
		}
		if err := s.change(password); err != nil {
			s.Fatalf("changing: %v", err)
		}
		s.signs(ana, second)
	})
}

// A block closes everything, and lifting it brings back what was there, but no
// session.
func TestBlocked(t *testing.T) {
	t.Parallel()
	overEither(t, func(s *spine) {
		s.activate(ana, anaPhone)
		request, session := s.ready(ana, "uno")
		id, code := s.identifier(ana), s.phone.last().Code
		_, before := s.record()
		receipt := must[citizen.Receipt](s.T)(s.register.RenewActivation(s.Context(), id, citizen.By{Office: "office"}))
		if err := s.register.Block(s.Context(), id, order()); err != nil {
			s.Fatalf("blocking: %v", err)
		}
		s.wants(s.answer(session, code), policies.SessionExpired)
		_, err := s.identify(request, ana, password)
		s.wants(err, policies.CitizenBlocked)
		_, err = s.identify("", ana, password)
		s.wants(err, policies.CitizenBlocked)
		s.wants(s.register.Block(s.Context(), id, order()), policies.CitizenInactive)
		// Nor does an activation lift it.
		_, err = s.register.RenewActivation(s.Context(), id, citizen.By{Office: "office"})
		s.wants(err, policies.CitizenBlocked)
		a := s.person(ana, anaPhone)
		s.clock.advance(time.Minute)
		activation, _, err := s.register.StartActivation(s.Context(), citizen.Claim{Identifier: a.Identifier, Email: a.Email, Code: receipt.ActivationCode})
		if err == nil {
			if err = s.register.Confirm(s.Context(), signer.Answer{Ticket: activation.Ticket, Code: s.phone.last().Code}); err == nil {
				err = s.register.SetPassword(s.Context(), activation.Ticket, s.chosen(second))
			}
		}
		s.wants(err, policies.CitizenInactive)

		if err := s.register.Unblock(s.Context(), id, order()); err != nil {
			s.Fatalf("unblocking: %v", err)
		}
		s.wants(s.answer(session, code), policies.SessionExpired)
		if _, after := s.record(); after.Generation != before.Generation || !after.Certificate.RevokedAt.IsZero() {
			s.Error("the block changed key or certificate")
		}
		s.signs(ana, password)
	})
}

// A revocation destroys the key with its password; an activation brings another.
func TestRevoked(t *testing.T) {
	t.Parallel()
	overEither(t, func(s *spine) {
		s.activate(ana, anaPhone)
		s.signs(ana, password)
		_, before := s.record()
		if err := s.register.Revoke(s.Context(), s.identifier(ana), order(), citizen.KeyCompromise); err != nil {
			s.Fatalf("revoking: %v", err)
		}
		s.invariants()
		revoked := s.revocations()
		if len(revoked) != 1 || revoked[0].Reason != citizen.KeyCompromise {
			s.Errorf("revoked %+v, want one with reason %d", revoked, citizen.KeyCompromise)
		}
		s.wants(s.register.Revoke(s.Context(), s.identifier(ana), order(), citizen.KeyCompromise), policies.CredentialMissing)
		_, err := s.identify("", ana, password)
		s.wants(err, policies.CredentialsWrong)
		s.gone(before.KeyLabel)
		s.clock.advance(time.Hour)
		s.forget(second)
		s.signs(ana, second)
		if _, after := s.record(); after.ID == before.ID || bytes.Equal(after.PublicKey, before.PublicKey) {
			s.Error("the key came back")
		}
	})
}

// gone reaps, and checks that the token has no such key any more.
func (s *spine) gone(label string) {
	s.Helper()
	if err := s.module.Reap(s.Context()); err != nil {
		s.Fatalf("reaping: %v", err)
	}
	if label == "" {
		return
	}
	if must[bool](s.T)(s.token.Exists(s.Context(), label)) {
		s.Errorf("the token still has %s", label)
	}
}

// Who has left comes back by a new registration, and by no other door.
func TestDeregistered(t *testing.T) {
	t.Parallel()
	overEither(t, func(s *spine) {
		s.activate(ana, anaPhone)
		s.signs(ana, password)
		_, before := s.record()
		id := s.identifier(ana)
		waiting := must[citizen.Receipt](s.T)(s.register.RenewActivation(s.Context(), id, citizen.By{Office: "office"}))
		if err := s.register.Deregister(s.Context(), id, order()); err != nil {
			s.Fatalf("deregistering: %v", err)
		}
		s.invariants()
		s.gone(before.KeyLabel)
		_, err := s.identify("", ana, password)
		s.wants(err, policies.CredentialsWrong)
		for what, attempt := range map[string]func() error{
			"unblock":    func() error { return s.register.Unblock(s.Context(), id, order()) },
			"block":      func() error { return s.register.Block(s.Context(), id, order()) },
			"revoke":     func() error { return s.register.Revoke(s.Context(), id, order(), 0) },
			"deregister": func() error { return s.register.Deregister(s.Context(), id, order()) },
			"renew": func() error {
				_, err := s.register.RenewActivation(s.Context(), id, citizen.By{Office: "office"})
				return err
			},
		} {
			s.refused(what, attempt(), policies.CitizenDeregistered)
		}
		a := s.person(ana, anaPhone)
		_, _, err = s.register.StartActivation(s.Context(), citizen.Claim{Identifier: a.Identifier, Email: a.Email, Code: waiting.ActivationCode})
		s.wants(err, policies.ActivationMismatch)
		_ = must[citizen.Receipt](s.T)(s.register.Register(s.Context(), a))
		_, err = s.identify("", ana, password)
		s.wants(err, policies.CredentialsWrong)
		_, _, err = s.register.StartActivation(s.Context(), citizen.Claim{Identifier: a.Identifier, Email: a.Email, Code: waiting.ActivationCode})
		s.wants(err, policies.ActivationMismatch)
	})
}

// The office that starts a reset holds the activation code, and nothing else:
// without the SMS nothing moves, and the citizen signs as before.
func TestOfficeCannotChoosePassword(t *testing.T) {
	t.Parallel()
	overEither(t, func(s *spine) {
		s.activate(ana, anaPhone)
		s.signs(ana, password)
		before, key := s.record()
		s.clock.advance(time.Hour)
		receipt := must[citizen.Receipt](s.T)(s.register.RenewActivation(s.Context(), s.identifier(ana), citizen.By{Office: "office"}))
		a := s.person(ana, anaPhone)
		session, _, err := s.register.StartActivation(s.Context(), citizen.Claim{Identifier: a.Identifier, Email: a.Email, Code: receipt.ActivationCode})
		if err != nil {
			s.Fatalf("starting an activation: %v", err)
		}
		s.wants(s.register.SetPassword(s.Context(), session.Ticket, s.chosen(second)), policies.SessionExpired)
		for n := range 2 {
			s.wants(s.register.Confirm(s.Context(), signer.Answer{Ticket: session.Ticket, Code: s.otherCode(n + 1)}), policies.CodeWrong)
		}
		s.wants(s.register.Confirm(s.Context(), signer.Answer{Ticket: session.Ticket, Code: s.otherCode(3)}), policies.CodeExhausted)
		s.wants(s.register.Confirm(s.Context(), signer.Answer{Ticket: session.Ticket, Code: s.phone.last().Code}), policies.CodeExhausted)
		s.wants(s.register.SetPassword(s.Context(), session.Ticket, s.chosen(second)), policies.SessionExpired)
		after, same := s.record()
		if after.Version != before.Version || same.Generation != key.Generation || !same.Certificate.RevokedAt.IsZero() {
			s.Error("the office's code alone moved something")
		}
		s.signs(ana, password)
	})
}

// Who has the right password, though it is too old, is not taken for a guesser.
func TestExpiredPasswordLocksNobody(t *testing.T) {
	t.Parallel()
	s := newSpine(t, signer.SealedKeeper)
	s.activate(ana, anaPhone)
	s.clock.advance(2 * 365 * 24 * time.Hour)
	request := s.ask(ana, "uno")
	for range 7 {
		_, err := s.identify(request, ana, password)
		s.wants(err, policies.PasswordExpired)
	}
	if err := s.change(password); err != nil {
		t.Fatalf("changing: %v", err)
	}
	_ = s.again(request, second)
}
