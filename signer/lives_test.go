package signer_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rubrica-firma/rubrica/ca"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// life is what a citizen's life with certificates comes to: all that decides
// what is answered to whatever is asked next.
type life struct {
	left, blocked bool
	dead          bool      // and gone therefore
	password      string    // empty: none, as after a revocation
	certified     bool      // there is a certificate
	held          bool      // it is suspended
	ends          time.Time // it does
	lasted        time.Duration
}

// usable is what keeps the certificate from being used, empty if nothing does.
func (l life) usable(now time.Time) policies.Code {
	switch {
	case !l.certified:
		return policies.CredentialMissing
	case now.After(l.ends):
		return policies.CertificateExpired
	case l.held:
		return policies.CertificateSuspended
	}
	return ""
}

// refuses is what is answered to whoever asks, in person, for a code; it is also
// what an office is answered, which asks for no code.
func (l life) refuses(purpose signer.Purpose, now time.Time) policies.Code {
	usable := l.usable(now)
	switch purpose { //nolint:exhaustive // of the affairs
	case signer.ForCertificate:
		if usable == policies.CertificateSuspended {
			return usable
		}
		if usable == "" && now.Before(l.window()) {
			return policies.RenewalTooEarly
		}
		return ""
	case signer.ForRelease:
		if usable == "" {
			return policies.CertificateInForce
		}
	}
	if usable == policies.CertificateSuspended && purpose != signer.ForSuspension {
		return ""
	}
	return usable
}

// window is the midnight of Madrid from which the certificate may be renewed.
func (l life) window() time.Time {
	end := l.ends.In(policies.DefaultRules().Zone)
	return time.Date(end.Year(), end.Month(), end.Day()-60, 0, 0, 0, 0, end.Location())
}

// absent is what keeps the citizen from identifying.
func (l life) absent() policies.Code {
	switch {
	case l.left, l.password == "":
		return policies.CredentialsWrong
	case l.blocked:
		return policies.CitizenBlocked
	}
	return ""
}

// liver lives one of them.
type liver struct {
	*spine

	life

	dni, mobile string
	done        []string
}

// Whatever citizen, offices and time do to a certificate, in any order, is
// answered as a model of a few lines says, and the invariants hold.
func TestLives(t *testing.T) {
	t.Parallel()
	begin := func() *spine {
		s := newSpine(t, signer.SealedKeeper)
		s.module.Rules.CertificateYears = 1
		return s
	}
	s, people := begin(), 0
	rapid.Check(t, func(rt *rapid.T) {
		// An authority of ten years certifies nobody in its last ones.
		if s.clock.Now().After(s.start.AddDate(6, 0, 0)) {
			s = begin()
		}
		people++
		l := &liver{spine: s, password: password, dni: dni(people), mobile: fmt.Sprintf("6001%05d", people)}
		s.activate(l.dni, l.mobile)
		rt.Repeat(l.actions())
		l.check()
	})
}

// dni gives the n-th number its letter.
func dni(n int) string {
	const letters = "TRWAGMYFPDXBNJZSQVHLCKE"
	n += 40_000_000
	return fmt.Sprintf("%d%c", n, letters[n%len(letters)])
}

func (l *liver) actions() map[string]func(*rapid.T) {
	rarely := func(r *rapid.T) bool { return rapid.IntRange(0, 7).Draw(r, "mood") == 0 }
	return map[string]func(*rapid.T){
		"certificate": func(*rapid.T) { l.affair(signer.ForCertificate, 0) },
		"suspend":     func(*rapid.T) { l.affair(signer.ForSuspension, 0) },
		"release":     func(*rapid.T) { l.affair(signer.ForRelease, 0) },
		"revoke": func(r *rapid.T) {
			if rarely(r) {
				l.affair(signer.ForRevocation, rapid.SampledFrom([]int{citizen.Unspecified, citizen.KeyCompromise}).Draw(r, "reason"))
			}
		},
		"sign":           func(*rapid.T) { l.sign() },
		"forget":         func(*rapid.T) { l.forgets() },
		"office suspend": func(*rapid.T) { l.office(signer.ForSuspension) },
		"office release": func(*rapid.T) { l.office(signer.ForRelease) },
		"office revoke": func(r *rapid.T) {
			if rarely(r) {
				l.office(signer.ForRevocation)
			}
		},
		"block":   func(*rapid.T) { l.block() },
		"unblock": func(*rapid.T) { l.unblock() },
		"leave": func(r *rapid.T) {
			if rarely(r) {
				l.leave(rapid.Bool().Draw(r, "dead"))
			}
		},
		"correct a death": func(*rapid.T) { l.lives() },
		"register":        func(*rapid.T) { l.returns() },
		"wait": func(r *rapid.T) {
			// A password lasts two years.
			if d := rapid.SampledFrom([]time.Duration{day, 10 * day, 100 * day, 310 * day}).Draw(r, "wait"); l.lasted+d < 700*day {
				l.clock.advance(d)
				l.lasted += d
				l.done = append(l.done, "wait "+d.String())
			}
		},
		// Looking at everything costs more than what is done: now and then, and at
		// the end.
		"": func(r *rapid.T) {
			if rarely(r) {
				l.check()
			}
		},
	}
}

// wanted compares an answer with what the model says, and reports whether it
// was done.
func (l *liver) wanted(what string, err error, want policies.Code) bool {
	l.Helper()
	l.done = append(l.done, what+": "+outcome(err))
	paused := want == policies.CredentialsWrong && errors.Is(err, policies.Refuse(policies.PasswordPaused))
	if (err == nil) != (want == "") || want != "" && !paused && !errors.Is(err, policies.Refuse(want)) {
		l.Fatalf("after %q: got %v, want %q", l.done, err, want)
	}
	return err == nil
}

// affair is one that the citizen confirms with a code.
func (l *liver) affair(purpose signer.Purpose, reason int) {
	l.clock.advance(2 * time.Hour)
	l.lasted += 2 * time.Hour
	session, err := l.identify("", l.dni, l.password)
	if !l.wanted("identify", err, l.absent()) {
		return
	}
	now := l.clock.Now()
	_, err = l.module.SendCode(l.Context(), signer.CodeOrder{Ticket: session.Ticket, Purpose: purpose})
	if !l.wanted("code for "+string(purpose), err, l.refuses(purpose, now)) {
		return
	}
	answer := signer.Answer{Ticket: session.Ticket, Code: l.phone.last().Code}
	if purpose == signer.ForCertificate {
		_, err = l.module.IssueCredential(l.Context(), answer)
	} else {
		err = l.register.ChangeCertificate(l.Context(), citizen.CertificateChange{Answer: answer, Purpose: purpose, Reason: reason})
	}
	l.wanted(string(purpose), err, "")
	l.become(purpose)
	l.wanted("replay", l.use(purpose, answer), policies.SessionExpired)
}

// become is what a change leaves.
func (l *liver) become(purpose signer.Purpose) {
	switch purpose { //nolint:exhaustive // of the affairs
	case signer.ForCertificate:
		_, k, err := l.db.CitizenByIdentifier(l.Context(), l.dni)
		if err != nil {
			l.Fatalf("reading a citizen: %v", err)
		}
		l.certified, l.held, l.ends = true, false, k.Certificate.NotAfter
	case signer.ForSuspension:
		l.held = true
	case signer.ForRelease:
		l.held = false
	case signer.ForRevocation:
		l.certified, l.held, l.password = false, false, ""
	}
}

func (l *liver) office(purpose signer.Purpose) {
	id, want := l.identifier(l.dni), l.refuses(purpose, l.clock.Now())
	if purpose == signer.ForRevocation {
		// An office takes back a password without a certificate too.
		if want = ""; l.password == "" {
			want = policies.CredentialMissing
		}
	}
	if l.left {
		want = l.absence()
	}
	var err error
	switch purpose { //nolint:exhaustive // of an office
	case signer.ForSuspension:
		err = l.register.Suspend(l.Context(), id, order())
	case signer.ForRelease:
		err = l.register.Release(l.Context(), id, order())
	case signer.ForRevocation:
		err = l.register.Revoke(l.Context(), id, order(), citizen.AffiliationChanged)
	}
	if l.wanted("office: "+string(purpose), err, want) {
		l.become(purpose)
	}
}

// sign takes a certificate if there is none, and signs.
func (l *liver) sign() {
	l.clock.advance(2 * time.Hour)
	l.lasted += 2 * time.Hour
	request := l.ask(l.dni, fmt.Sprint("documento ", l.requests))
	session, err := l.identify(request, l.dni, l.password)
	if !l.wanted("identify to sign", err, l.absent()) {
		return
	}
	now := l.clock.Now()
	usable := l.usable(now)
	if session.Certified != (usable == "") {
		l.Fatalf("after %q: the session says that the certificate can sign: %t", l.done, session.Certified)
	}
	l.fix(request, session)
	_, err = l.module.SendCode(l.Context(), signer.CodeOrder{Ticket: session.Ticket, Purpose: signer.ForSignature})
	if l.wanted("code to sign", err, usable) {
		l.wanted("sign", l.answer(session, l.phone.last().Code), "")
	}
}

// forgets goes to an office for another activation code, and chooses a password.
func (l *liver) forgets() {
	l.clock.advance(2 * time.Hour)
	l.lasted += 2 * time.Hour
	receipt, err := l.register.RenewActivation(l.Context(), l.identifier(l.dni), citizen.By{Office: "office"})
	want := policies.Code("")
	switch {
	case l.left:
		want = l.absence()
	case l.blocked:
		want = policies.CitizenBlocked
	}
	if !l.wanted("activation code", err, want) {
		return
	}
	next := password
	if l.password == password {
		next = second
	}
	l.enter(l.person(l.dni, l.mobile), receipt.ActivationCode, next)
	l.password, l.certified, l.held = next, false, false
}

func (l *liver) block() {
	want := policies.Code("")
	switch {
	case l.left:
		want = l.absence()
	case l.blocked:
		want = policies.CitizenInactive
	}
	if l.wanted("block", l.register.Block(l.Context(), l.identifier(l.dni), order()), want) {
		l.blocked = true
	}
}

func (l *liver) unblock() {
	want := policies.Code("")
	switch {
	case l.left:
		want = l.absence()
	case !l.blocked:
		want = policies.CitizenInactive
	}
	if l.wanted("unblock", l.register.Unblock(l.Context(), l.identifier(l.dni), order()), want) {
		l.blocked = false
	}
}

func (l *liver) leave(dead bool) {
	act, want := l.register.Deregister, policies.Code("")
	if dead {
		act = l.register.ReportDeath
	}
	if l.dead || l.left && !dead { // who left may still die
		want = l.absence()
	}
	if l.wanted(fmt.Sprint("leave, dead: ", dead), act(l.Context(), l.identifier(l.dni), order()), want) {
		l.life = life{left: true, dead: dead, lasted: l.lasted}
	}
}

// lives is the error of somebody's death taken back.
func (l *liver) lives() {
	want := policies.Code("")
	switch {
	case !l.left:
		want = policies.CitizenInactive
	case !l.dead:
		want = policies.CitizenDeregistered
	}
	if l.wanted("correct a death", l.register.CorrectDeath(l.Context(), l.identifier(l.dni), order()), want) {
		l.dead = false
	}
}

// returns registers somebody anew, which only those can be who left.
func (l *liver) returns() {
	want := policies.Code("")
	switch {
	case l.dead:
		want = policies.CitizenDeceased
	case !l.left:
		want = policies.CitizenExists
	}
	l.clock.advance(2 * time.Hour)
	l.lasted += 2 * time.Hour
	receipt, err := l.register.Register(l.Context(), l.person(l.dni, l.mobile))
	if !l.wanted("register", err, want) {
		return
	}
	l.enter(l.person(l.dni, l.mobile), receipt.ActivationCode, password)
	l.life = life{password: password, lasted: l.lasted}
}

// absence is what is said of somebody who has left.
func (l life) absence() policies.Code {
	if l.dead {
		return policies.CitizenDeceased
	}
	return policies.CitizenDeregistered
}

// check holds the rows against the model.
func (l *liver) check() {
	if err := l.checker.Check(l.Context()); err != nil {
		l.Fatalf("after %q: %v", l.done, err)
	}
	c, k, err := l.db.CitizenByIdentifier(l.Context(), l.dni)
	if err != nil {
		l.Fatalf("reading a citizen: %v", err)
	}
	status := signer.Active
	switch {
	case l.dead:
		status = signer.Deceased
	case l.left:
		status = signer.Deregistered
	case l.blocked:
		status = signer.Blocked
	}
	var certificate *signer.Certificate
	if k != nil {
		certificate = k.Certificate
	}
	if c.Status != status || (k != nil) != (l.password != "") || (certificate != nil) != l.certified ||
		certificate != nil && (certificate.Suspended() != l.held || certificate.RevokedAt.IsZero() == l.held) {
		l.Fatalf("after %q: got %s %+v, want %+v", l.done, c.Status, k, l.life)
	}
	l.stands(certificate)
}

// stands is whether the certificate that can be used again stands on the lists
// as it does in the model, whatever becomes of those before it.
func (l *liver) stands(certificate *signer.Certificate) {
	if certificate == nil || l.clock.Now().After(l.ends) {
		return
	}
	held := false
	for _, r := range l.listed() {
		if r.Serial == certificate.Serial {
			held = r.Reason == ca.CertificateHold
		}
	}
	if held != l.held {
		l.Fatalf("after %q: on hold in its list: %t, want %t", l.done, held, l.held)
	}
}
