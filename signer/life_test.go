package signer_test

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/ca"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/signer/cms"
)

const day = 24 * time.Hour

// lived runs a test over each keeper, of somebody who has signed with a
// certificate of one year.
func lived(t *testing.T, test func(s *spine)) {
	t.Helper()
	overBoth(t, func(s *spine) {
		s.module.Rules.CertificateYears = 1
		s.activate(ana, anaPhone)
		s.signs(ana, password)
		test(s)
	})
}

// attend identifies Ana for her own affairs and has a code sent.
func (s *spine) attend(purpose signer.Purpose) (signer.Answer, error) {
	s.Helper()
	s.clock.advance(time.Hour)
	session, err := s.identify("", ana, password)
	if err != nil {
		return signer.Answer{}, err
	}
	if _, err := s.module.SendCode(s.Context(), signer.CodeOrder{Ticket: session.Ticket, Purpose: purpose}); err != nil {
		return signer.Answer{}, err
	}
	s.checker.Secrets = append(s.checker.Secrets, s.phone.last().Code.Reveal())
	return signer.Answer{Ticket: session.Ticket, Code: s.phone.last().Code}, nil
}

// alter does something to Ana's certificate as she does.
func (s *spine) alter(purpose signer.Purpose, reason int) error {
	s.Helper()
	answer, err := s.attend(purpose)
	if err != nil {
		return err
	}
	return s.register.ChangeCertificate(s.Context(), citizen.CertificateChange{Answer: answer, Purpose: purpose, Reason: reason})
}

// renew is the same for another certificate.
func (s *spine) renew() error {
	s.Helper()
	answer, err := s.attend(signer.ForCertificate)
	if err != nil {
		return err
	}
	_, err = s.module.IssueCredential(s.Context(), answer)
	return err
}

// well stops the test at an error, and checks what must hold.
func (s *spine) well(what string, err error) {
	s.Helper()
	if err != nil {
		s.Fatalf("%s: %v", what, err)
	}
	s.invariants()
}

// until lets time pass until so long before the certificate ends.
func (s *spine) until(before time.Duration) {
	s.Helper()
	_, k := s.record()
	s.clock.advance(k.Certificate.NotAfter.Add(-before).Sub(s.clock.Now()))
}

// count runs a query that counts.
func (s *spine) count(sql string, args ...any) int {
	s.Helper()
	var n int
	if err := s.owner.QueryRow(s.Context(), sql, args...).Scan(&n); err != nil {
		s.Fatalf("counting: %v", err)
	}
	return n
}

// listed are the revoked certificates of all lists, whatever the year.
func (s *spine) listed() []ca.RevokedCertificate {
	s.Helper()
	var all []ca.RevokedCertificate
	for _, shard := range must[[]ca.Shard](s.T)(s.db.Shards(s.Context(), s.clock.Now())) {
		all = append(all, must[[]ca.RevokedCertificate](s.T)(s.db.Revocations(s.Context(), shard.Name, s.clock.Now()))...)
	}
	return all
}

// verifies reports whether the request's signature is by that certificate.
func (s *spine) verifies(request string, k *signer.Credential) error {
	s.Helper()
	r := must[signer.Request](s.T)(s.public.Request(s.Context(), request))
	certificate := must[*x509.Certificate](s.T)(x509.ParseCertificate(k.Certificate.DER))
	return cms.Verify(r.Documents[0].CMS, r.Documents[0].Digest, certificate)
}

// Another key and another certificate, in the place of what ends soon: the old
// key is gone, and what it signed stays valid.
func TestRenewal(t *testing.T) {
	t.Parallel()
	lived(t, func(s *spine) {
		first, sad := s.consent(ana, password, "con el primero")
		s.well("signing", s.module.Sign(s.Context(), sad))
		c, before := s.record()

		// The day before the window, and on it.
		s.until(61*day + 12*time.Hour)
		_, err := s.attend(signer.ForCertificate)
		s.wants(err, policies.RenewalTooEarly)
		refusal, _ := errors.AsType[*policies.Refusal](err)
		if refusal.Params["from"] == "" || refusal.Params["until"] != before.Certificate.NotAfter.In(s.module.Rules.Zone).Format(time.DateOnly) {
			s.Errorf("got %v, want from when and until when", refusal.Params)
		}
		s.until(30 * day)
		_, sad = s.consent(ana, password, "consentido antes")
		s.well("renewing", s.renew())
		_, after := s.record()
		if after.ID != before.ID || after.Generation <= before.Generation || bytes.Equal(after.PublicKey, before.PublicKey) ||
			after.Certificate.Serial == before.Certificate.Serial || bytes.Equal(after.Sealed.Box, before.Sealed.Box) {
			s.Errorf("got %+v, want another key and certificate than %+v", after, before)
		}
		if !after.Certificate.NotAfter.After(before.Certificate.NotAfter) {
			s.Errorf("got an end at %v, want it after %v", after.Certificate.NotAfter, before.Certificate.NotAfter)
		}
		s.gone(before.KeyLabel)
		if n := s.logged("key.destroyed", c.ID); n < 1 {
			s.Errorf("%d keys destroyed in the log, want the old one", n)
		}
		if revoked := s.listed(); len(revoked) != 0 {
			s.Errorf("revoked %+v, want none", revoked)
		}
		s.wants(s.module.Sign(s.Context(), sad), policies.AuthorisationInvalid)

		second, sad := s.consent(ana, password, "con el segundo")
		s.well("signing", s.module.Sign(s.Context(), sad))
		for request, k := range map[string]*signer.Credential{first: before, second: after} {
			if err := s.verifies(request, k); err != nil {
				s.Errorf("%s by its own certificate: %v", request, err)
			}
		}
		if s.verifies(first, after) == nil || s.verifies(second, before) == nil {
			s.Error("a signature verifies with the other certificate")
		}
		if n := s.count(`SELECT count(*) FROM credentials WHERE citizen_id = $1 AND state = 'usable'`, c.ID); n != 1 {
			s.Errorf("%d live credentials, want 1", n)
		}
		_, err = s.attend(signer.ForCertificate)
		s.wants(err, policies.RenewalTooEarly)
	})
}

// Whoever signs in the last days may renew on the way, or not.
func TestRenewalInsideRequest(t *testing.T) {
	t.Parallel()
	lived(t, func(s *spine) {
		s.until(10 * day)
		s.signs(ana, password) // without
		_, before := s.record()
		s.clock.advance(time.Hour)
		request := s.ask(ana, "uno")
		session := s.again(request, password)
		if !session.Certified {
			s.Error("the certificate in force cannot sign")
		}
		s.fix(request, session)
		next := s.certify(session)
		_, err := s.module.SendCode(s.Context(), signer.CodeOrder{Ticket: next.Ticket, Purpose: signer.ForSignature})
		s.wants(err, policies.SessionExpired) // the documents were fixed for the old session
		s.fix(request, next)
		s.send(next, signer.ForSignature)
		s.well("signing", s.sign(next))
		_, after := s.record()
		if after.Certificate.Serial == before.Certificate.Serial || s.verifies(request, after) != nil {
			s.Errorf("signed with %s, want the new certificate", after.Certificate.Serial)
		}
	})
}

// What stands in the way of another certificate, and what does not.
func TestRenewalRefused(t *testing.T) {
	t.Parallel()
	lived(t, func(s *spine) {
		s.until(20 * day)
		s.age(5 * 365 * day)
		_, err := s.attend(signer.ForCertificate)
		s.wants(err, policies.RegistrationTooOld)
		s.signs(ana, password) // to its end
		s.age(-5 * 365 * day)
		answer, err := s.attend(signer.ForCertificate)
		s.well("asking for a code", err)
		s.well("suspending", s.register.Suspend(s.Context(), s.identifier(ana), order()))
		_, err = s.module.IssueCredential(s.Context(), answer)
		s.wants(err, policies.SessionExpired)
		_, err = s.attend(signer.ForCertificate)
		s.wants(err, policies.CertificateSuspended)
		s.until(-time.Second)
		for _, purpose := range []signer.Purpose{signer.ForRelease, signer.ForSuspension, signer.ForRevocation} {
			_, err = s.attend(purpose)
			s.wants(err, policies.CertificateExpired)
		}
		s.well("another after its end", s.renew())
		s.signs(ana, password)
	})
}

// A renewal that a crash breaks off leaves the old certificate as it was, and
// can be begun again.
func TestRenewalDies(t *testing.T) {
	t.Parallel()
	lived(t, func(s *spine) {
		s.until(40 * day)
		_, before := s.record()
		for _, step := range []string{"issue/begun", "issue/generated", "issue/intended", "issue/certified"} {
			answer, err := s.attend(signer.ForCertificate)
			s.well(step, err)
			s.dieAt(step, func(module *signer.Service) { _, _ = module.IssueCredential(s.Context(), answer) })
			s.invariants()
			s.clock.advance(time.Hour)
			s.well("reaping", s.module.Reap(s.Context()))
			if err := s.checker.Settled(s.Context()); err != nil {
				s.Errorf("after %s: %v", step, err)
			}
			if _, k := s.record(); k.Certificate.Serial != before.Certificate.Serial {
				s.Errorf("after %s: got another certificate", step)
			}
		}
		s.signs(ana, password)
		s.well("renewing", s.renew())
		s.signs(ana, password)
	})
}

// Nothing is signed while the certificate is suspended, not even what was
// consented to before; a release lifts just that.
func TestSuspension(t *testing.T) {
	t.Parallel()
	lived(t, func(s *spine) {
		_, sad := s.consent(ana, password, "consentido antes")
		s.clock.advance(time.Minute)
		request, session := s.ready(ana, "por responder")
		code := s.phone.last().Code
		c, before := s.record()
		s.well("suspending", s.alter(signer.ForSuspension, citizen.Unspecified))

		lent := s.keys.lent.Load()
		s.wants(s.module.Sign(s.Context(), sad), policies.AuthorisationInvalid)
		s.wants(s.answer(session, code), policies.SessionExpired)
		s.clock.advance(time.Hour)
		again := s.again(request, password)
		if again.Certified {
			s.Error("the session says that the certificate can sign")
		}
		s.fix(request, again)
		for _, purpose := range []signer.Purpose{signer.ForSignature, signer.ForCertificate} {
			_, err := s.module.SendCode(s.Context(), signer.CodeOrder{Ticket: again.Ticket, Purpose: purpose})
			s.wants(err, policies.CertificateSuspended)
		}
		s.unsigned("suspended", request, lent)
		if revoked := s.listed(); len(revoked) != 1 || revoked[0].Reason != citizen.CertificateHold {
			s.Errorf("revoked %+v, want one on hold", revoked)
		}
		_, err := s.attend(signer.ForSuspension)
		s.wants(err, policies.CertificateSuspended)
		s.wants(s.register.Suspend(s.Context(), s.identifier(ana), order()), policies.CertificateSuspended)

		s.well("releasing", s.alter(signer.ForRelease, citizen.Unspecified))
		if revoked := s.listed(); len(revoked) != 0 {
			s.Errorf("revoked %+v, want none any more", revoked)
		}
		_, after := s.record()
		if after.Certificate.Serial != before.Certificate.Serial || after.Generation != before.Generation || !after.Certificate.RevokedAt.IsZero() {
			s.Errorf("got %+v, want what there was: %+v", after, before)
		}
		s.wants(s.module.Sign(s.Context(), sad), policies.AuthorisationInvalid)
		s.signs(ana, password)
		_, err = s.attend(signer.ForRelease)
		s.wants(err, policies.CertificateInForce)
		s.wants(s.register.Release(s.Context(), s.identifier(ana), order()), policies.CertificateInForce)
		for _, kind := range []string{"key.suspended", "certificate.suspended", "key.released", "certificate.released"} {
			if n := s.logged(kind, c.ID); n != 1 {
				s.Errorf("%d entries %s, want 1", n, kind)
			}
		}
	})
}

// From a suspension to the end: by the citizen, and by a forgotten password.
func TestSuspendedToRevoked(t *testing.T) {
	t.Parallel()
	lived(t, func(s *spine) {
		_, before := s.record()
		s.well("suspending", s.register.Suspend(s.Context(), s.identifier(ana), order()))
		s.well("changing the password", func() error { s.clock.advance(time.Hour); return s.change(password) }())
		if _, k := s.record(); !k.Certificate.Suspended() {
			s.Error("another password lifted the suspension")
		}
		s.clock.advance(time.Hour)
		s.forget(password)
		if revoked := s.listed(); len(revoked) != 1 || revoked[0].Reason != citizen.CessationOfOperation {
			s.Errorf("revoked %+v, want one for good", revoked)
		}
		s.gone(before.KeyLabel)
		s.signs(ana, password)

		s.well("suspending", s.alter(signer.ForSuspension, citizen.Unspecified))
		_, suspended := s.record()
		s.well("revoking", s.alter(signer.ForRevocation, citizen.KeyCompromise))
		s.gone(suspended.KeyLabel)
		reasons := map[ca.Reason]int{}
		for _, r := range s.listed() {
			reasons[r.Reason]++
		}
		if reasons[citizen.KeyCompromise] != 1 || len(s.listed()) != 2 {
			s.Errorf("revoked for the reasons %v, want one more, as the citizen said", reasons)
		}
		_, err := s.identify("", ana, password)
		s.wants(err, policies.CredentialsWrong)
		s.wants(s.register.Release(s.Context(), s.identifier(ana), order()), policies.CredentialMissing)
		s.clock.advance(time.Hour)
		s.forget(second)
		s.signs(ana, second)
	})
}

// A block is the office's: no page of the citizen's lifts anything meanwhile.
func TestBlockedCannotRelease(t *testing.T) {
	t.Parallel()
	lived(t, func(s *spine) {
		id := s.identifier(ana)
		s.well("suspending", s.alter(signer.ForSuspension, citizen.Unspecified))
		answer, err := s.attend(signer.ForRelease)
		s.well("asking for a code", err)
		s.well("blocking", s.register.Block(s.Context(), id, order()))
		s.wants(s.register.ChangeCertificate(s.Context(), citizen.CertificateChange{Answer: answer, Purpose: signer.ForRelease}), policies.SessionExpired)
		_, err = s.attend(signer.ForRelease)
		s.wants(err, policies.CitizenBlocked)
		s.well("releasing at the office", s.register.Release(s.Context(), id, order()))
		_, err = s.identify(s.ask(ana, "uno"), ana, password)
		s.wants(err, policies.CitizenBlocked)
		s.well("unblocking", s.register.Unblock(s.Context(), id, order()))
		s.signs(ana, password)
	})
}

// Of somebody who has died nothing stays open, and nobody is written to.
func TestDeath(t *testing.T) {
	t.Parallel()
	lived(t, func(s *spine) {
		_, sad := s.consent(ana, password, "consentido antes")
		c, k := s.record()
		letters := s.rows("river_job")
		id := s.identifier(ana)
		s.well("reporting", s.register.ReportDeath(s.Context(), id, order()))
		if n := s.rows("river_job"); n != letters {
			s.Errorf("%d letters, want none more than %d", n, letters)
		}
		s.gone(k.KeyLabel)
		s.refused("spending a consent", s.module.Sign(s.Context(), sad), policies.AuthorisationInvalid)
		if revoked := s.listed(); len(revoked) != 1 || revoked[0].Reason != citizen.CessationOfOperation {
			s.Errorf("revoked %+v, want one", revoked)
		}
		for what, err := range map[string]error{
			"death":      s.register.ReportDeath(s.Context(), id, order()),
			"deregister": s.register.Deregister(s.Context(), id, order()),
			"suspend":    s.register.Suspend(s.Context(), id, order()),
			"release":    s.register.Release(s.Context(), id, order()),
			"revoke":     s.register.Revoke(s.Context(), id, order(), 0),
			"unblock":    s.register.Unblock(s.Context(), id, order()),
		} {
			s.refused(what, err, policies.CitizenDeceased)
		}
		_, err := s.identify("", ana, password)
		s.wants(err, policies.CredentialsWrong)
		if n := s.logged("citizen.deceased", c.ID); n != 1 {
			s.Errorf("%d deaths in the log, want 1", n)
		}
		_, err = s.register.Register(s.Context(), s.person(ana, anaPhone))
		s.refused("registering", err, policies.CitizenDeceased)
		_, err = s.register.RenewActivation(s.Context(), id, citizen.By{Office: "office"})
		s.refused("a new activation code", err, policies.CitizenDeceased)
		_, err = s.register.RenewRegistration(s.Context(), id, citizen.Renewal{DocumentUntil: s.clock.Now().AddDate(1, 0, 0)})
		s.refused("renewing", err, policies.CitizenDeceased)
		_, err = s.module.Access(s.Context(), signer.Entrance{CitizenID: c.ID, Via: signer.ViaPIN})
		s.refused("the own pages", err, policies.CitizenUnknown) // as of a stranger
		// Nor does whoever can write the database bring anybody back.
		s.sql(`UPDATE citizens SET status = 'deregistered' WHERE id = $1`, c.ID)
		_, err = s.register.Register(s.Context(), s.person(ana, anaPhone))
		s.refused("registering after the row was altered", err, policies.RecordTampered)
		s.sql(`UPDATE citizens SET status = 'deceased' WHERE id = $1`, c.ID)

		s.well("correcting", s.register.CorrectDeath(s.Context(), id, order()))
		s.refused("correcting twice", s.register.CorrectDeath(s.Context(), id, order()), policies.CitizenDeregistered)
		if n := s.logged("citizen.death_corrected", c.ID); n != 1 {
			s.Errorf("%d corrections in the log, want 1", n)
		}
		s.clock.advance(time.Hour)
		receipt, err := s.register.Register(s.Context(), s.person(ana, anaPhone))
		s.well("registering somebody who lives", err)
		if n := s.count(`SELECT count(*) FROM log_entries WHERE type = 'registration.created' AND operation = $1 AND convert_from(payload, 'UTF8')::jsonb ? 'again'`, c.ID); n != 1 {
			s.Errorf("%d registrations again, want 1", n)
		}
		s.enter(s.person(ana, anaPhone), receipt.ActivationCode, second)
		s.signs(ana, second)
	})
}

// A ticket of a request opens no affair of the citizen's own, nor the reverse,
// and a code is good for what it was sent for and for nothing else.
func TestAffairsKeepApart(t *testing.T) {
	t.Parallel()
	lived(t, func(s *spine) {
		s.until(30 * day) // when all of it could be done
		own := []signer.Purpose{signer.ForCertificate, signer.ForPassword, signer.ForSuspension, signer.ForRevocation}
		request := s.ask(ana, "uno")
		ofRequest := s.again(request, password)
		s.fix(request, ofRequest)
		for _, purpose := range append(own[1:], signer.ForRelease, signer.ForActivation) {
			_, err := s.module.SendCode(s.Context(), signer.CodeOrder{Ticket: ofRequest.Ticket, Purpose: purpose})
			s.wants(err, policies.SessionExpired)
		}
		s.send(ofRequest, signer.ForSignature)
		answer := signer.Answer{Ticket: ofRequest.Ticket, Code: s.phone.last().Code}
		for _, purpose := range own[2:] {
			s.wants(s.register.ChangeCertificate(s.Context(), citizen.CertificateChange{Answer: answer, Purpose: purpose}), policies.SessionExpired)
		}
		s.clock.advance(time.Hour)
		affairs := s.again("", password)
		for _, purpose := range []signer.Purpose{signer.ForSignature, signer.ForActivation} {
			_, err := s.module.SendCode(s.Context(), signer.CodeOrder{Ticket: affairs.Ticket, Purpose: purpose})
			s.wants(err, policies.SessionExpired)
		}
		_, err := s.module.SendCode(s.Context(), signer.CodeOrder{Ticket: affairs.Ticket, Purpose: "all"})
		s.wants(err, policies.RequestMalformed)
		s.refused("refusing a request without one", s.module.Refuse(s.Context(), affairs.Ticket))

		c, before := s.record()
		for _, sent := range own {
			answer, err := s.attend(sent)
			s.well("asking for a code", err)
			for _, used := range own {
				if used != sent {
					s.refused(fmt.Sprintf("a code of %s for %s", sent, used), s.use(used, answer))
				}
			}
			_, err = s.module.Authorise(s.Context(), answer)
			s.refused(fmt.Sprintf("a code of %s for a signature", sent), err)
			for _, reason := range []int{citizen.CertificateHold, citizen.CessationOfOperation, -1} {
				s.wants(s.register.ChangeCertificate(s.Context(), citizen.CertificateChange{Answer: answer, Purpose: signer.ForRevocation, Reason: reason}), policies.RequestMalformed)
			}
		}
		same, after := s.record()
		if same.Version != c.Version || after.Generation != before.Generation {
			s.Errorf("version %d and generation %d, want them as they were", same.Version, after.Generation)
		}
		s.signs(ana, password)
	})
}

// use spends an answer on something.
func (s *spine) use(purpose signer.Purpose, answer signer.Answer) error {
	switch purpose { //nolint:exhaustive // the others change the certificate
	case signer.ForCertificate:
		_, err := s.module.IssueCredential(s.Context(), answer)
		return err
	case signer.ForPassword:
		return s.register.Confirm(s.Context(), answer)
	}
	return s.register.ChangeCertificate(s.Context(), citizen.CertificateChange{Answer: answer, Purpose: purpose})
}

// Of twenty who use one code one gets what it is for, and nobody does later.
func TestAffairOnce(t *testing.T) {
	t.Parallel()
	lived(t, func(s *spine) {
		s.until(30 * day)
		for _, purpose := range []signer.Purpose{signer.ForCertificate, signer.ForSuspension, signer.ForRelease, signer.ForRevocation} {
			answer, err := s.attend(purpose)
			s.well("asking for a code", err)
			errs := make([]error, 20)
			var group sync.WaitGroup
			for i := range errs {
				group.Go(func() { errs[i] = s.use(purpose, answer) })
			}
			group.Wait()
			done := 0
			for _, err := range append(errs, s.use(purpose, answer)) {
				if err == nil {
					done++
					continue
				}
				s.refused(string(purpose), err, policies.CodeUsed, policies.CodeExhausted, policies.CodeExpired, policies.SessionExpired,
					policies.CertificateSuspended, policies.CertificateInForce, policies.RenewalTooEarly)
			}
			if done != 1 {
				s.Errorf("%s: done %d times, want once", purpose, done)
			}
			s.invariants()
		}
		if n := s.count(`SELECT count(*) FROM certificates WHERE state = 'issued'`); n != 2 {
			s.Errorf("%d certificates, want 2", n)
		}
	})
}

// A signature that races with a suspension is intended before it, or not at all.
func TestSuspensionRaces(t *testing.T) {
	t.Parallel()
	lived(t, func(s *spine) {
		for n := range 8 {
			request, sad := s.consent(ana, password, "a la vez")
			var group sync.WaitGroup
			var signing, suspending error
			group.Go(func() { signing = s.module.Sign(s.Context(), sad) })
			group.Go(func() {
				time.Sleep(time.Duration(n) * time.Millisecond)
				suspending = s.register.Suspend(s.Context(), s.identifier(ana), order())
			})
			group.Wait()
			if suspending != nil {
				s.Fatalf("suspending: %v", suspending)
			}
			if signing != nil {
				s.refused("signing", signing, policies.AuthorisationInvalid, policies.CertificateSuspended, policies.SessionExpired)
			}
			if (signing == nil) != (s.state(request) == signer.Signed) {
				s.Errorf("signing: %v, and the request is %s", signing, s.state(request))
			}
			late := s.count(`
				SELECT count(*) FROM log_entries i
				WHERE i.type = 'sign.intent' AND i.operation = $1
					AND i.seq > (SELECT max(seq) FROM log_entries WHERE type = 'certificate.suspended')`, request)
			if late != 0 {
				s.Error("an intent after the suspension")
			}
			s.well("releasing", s.register.Release(s.Context(), s.identifier(ana), order()))
		}
	})
}

// Whatever somebody with psql writes into the row of the certificate that
// counts, nobody signs with it and nothing is done to it.
func TestAlteredSuspension(t *testing.T) {
	t.Parallel()
	lived(t, func(s *spine) {
		s.well("suspending", s.alter(signer.ForSuspension, citizen.Unspecified))
		in := s.insider()
		in.keep("suspended")
		const newest = ` WHERE serial = (SELECT serial FROM certificates WHERE state = 'issued' ORDER BY not_before DESC LIMIT 1)`
		for _, assignment := range []string{
			`revoked_at = NULL, reason = NULL`,
			`revoked_at = NULL, reason = NULL, status_version = status_version + 1`,
			`reason = 1`,
			`revoked_at = revoked_at + interval '1 second'`,
			`state = 'interrupted', der = NULL, revoked_at = NULL, reason = NULL`,
			`not_after = not_after + interval '1 year'`,
		} {
			s.clock.advance(time.Hour)
			in.alter(`UPDATE certificates SET ` + assignment + newest)
			for _, request := range []string{"", s.ask(ana, "uno")} {
				_, err := s.identify(request, ana, password)
				s.refused(assignment, err, policies.RecordTampered)
			}
			s.refused(assignment+": release", s.register.Release(s.Context(), s.identifier(ana), order()), policies.RecordTampered)
			in.bring("suspended")
		}
		s.well("releasing, as it was", s.alter(signer.ForRelease, citizen.Unspecified))
		s.signs(ana, password)
	})
}
