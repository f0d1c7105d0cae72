package signer_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

func byOffice() citizen.By { return citizen.By{Office: "office", Officer: "Rosa Gil", Statement: "J1"} }

func (s *spine) moves(dni, mobile string) error {
	s.Helper()
	return s.register.ChangePhone(s.Context(), s.identifier(dni), citizen.PhoneChange{
		Phone: must[citizen.Phone](s.T)(citizen.ParsePhone(mobile)), Order: citizen.Order{By: byOffice(), Reason: "Ha cambiado de operador."},
	})
}

// For 72 hours after a change of mobile nothing is issued and no password is
// set anew; what is there can be used, with codes that go to the new mobile.
func TestChangeOfMobile(t *testing.T) {
	t.Parallel()
	r := newRegistry(t)
	r.module.Rules.CertificateYears = 1
	r.activate(ana, anaPhone)
	r.activate(eva, evaPhone)
	r.wants(r.moves(ana, evaPhone), policies.PhoneTaken)
	r.wants(r.moves(ana, anaPhone), policies.PhoneTaken)
	request, session := r.ready(ana, "antes")
	const another = "600111490"
	r.well("changing the mobile", r.moves(ana, another))
	r.wants(r.sign(session), policies.SessionExpired)
	if n := r.count(`SELECT count(*) FROM river_job WHERE args @> '{"template": "phone_changed", "former": "+34600111421"}'`); n != 1 {
		t.Errorf("got %d notices that name the former number, want 1", n)
	}

	r.clock.advance(time.Hour)
	session = must[signer.Session](t)(r.identify(request, ana, password))
	r.fix(request, session)
	r.send(session, signer.ForSignature)
	if got := r.phone.last().Phone; got != "+34"+another {
		t.Errorf("the code went to %s, want it at the new mobile", got)
	}
	r.well("signing with what was there", r.sign(session))
	r.until(30 * 24 * time.Hour)
	r.well("changing it back", r.moves(ana, anaPhone))
	changed := r.clock.Now()

	r.wants(r.certifies(), policies.PhoneChangedRecently)
	receipt := must[citizen.Receipt](t)(r.register.RenewActivation(t.Context(), r.identifier(ana), byOffice()))
	claim := citizen.Claim{
		Identifier: r.identifier(ana), Email: r.person(ana, anaPhone).Email, Code: receipt.ActivationCode, RemoteAddr: home,
	}
	for range 8 { // which does not use the code up
		_, _, err := r.register.StartActivation(t.Context(), claim)
		r.wants(err, policies.PhoneChangedRecently)
	}
	wrong := claim
	wrong.Code = citizen.NewActivationCode()
	_, _, err := r.register.StartActivation(t.Context(), wrong)
	r.wants(err, policies.ActivationMismatch)

	r.clock.advance(changed.Add(72 * time.Hour).Sub(r.clock.Now()))
	r.enter(r.person(ana, anaPhone), receipt.ActivationCode, "Mirlo-8-negro")
}

// Somebody who left comes back as the same person, with nothing of before.
func TestRegisteredAgain(t *testing.T) {
	t.Parallel()
	r := newRegistry(t)
	r.activate(ana, anaPhone)
	r.signs(ana, password)
	first, _ := r.record()
	order := citizen.Order{By: byOffice(), Reason: "Lo pide."}
	r.well("leaving", r.register.Deregister(t.Context(), r.identifier(ana), order))
	r.activate(eva, anaPhone) // the number is free again

	_, err := r.register.Register(t.Context(), r.person(ana, anaPhone))
	r.wants(err, policies.PhoneTaken)
	r.clock.advance(time.Hour)
	r.mailed("registered", 0)
	receipt := r.registers(ana, "600111491", citizen.ClassDNIe)
	r.mailed("registered", 1)
	if receipt.CitizenID != first.ID {
		t.Errorf("got another record, %s, want %s", receipt.CitizenID, first.ID)
	}
	_, err = r.identify("", ana, password)
	r.wants(err, policies.CredentialsWrong)
	r.enter(r.person(ana, "600111491"), receipt.ActivationCode, password)
	r.signs(ana, password)
	r.invariants()
	if n := r.count(`SELECT count(*) FROM registrations WHERE citizen_id = $1`, first.ID); n != 2 {
		t.Errorf("got %d registrations, want both kept", n)
	}
}

// mailed counts the mails of a kind that wait to be written.
func (r *registry) mailed(kind string, want int) {
	r.Helper()
	if n := r.count(`SELECT count(*) FROM river_job WHERE args->>'template' = $1`, kind); n != want {
		r.Errorf("got %d mails %q, want %d", n, kind, want)
	}
}

// Of several people who prove the same mobile at once, one has it; and an
// enrolment that is answered many times at once registers once.
func TestOneMobileAtOnce(t *testing.T) {
	t.Parallel()
	r := newRegistry(t)
	const rivals = 4
	type step struct {
		ticket signer.Ticket
		code   signer.Code
	}
	var steps []step
	for n := range rivals {
		ticket := must[signer.Ticket](t)(r.begins(dni(n+1), citizen.ClassDNIe, citizen.ProcedureRegister))
		r.well("asking", r.asks(ticket, anaPhone))
		_, code := r.postman.last(t)
		steps = append(steps, step{ticket, code})
	}
	var (
		group    sync.WaitGroup
		mu       sync.Mutex
		outcomes = map[policies.Code]int{}
	)
	for _, s := range steps {
		for range 2 {
			group.Go(func() {
				_, err := r.enrolments.CompleteEnrolment(t.Context(), citizen.EnrolmentAnswer{Ticket: s.ticket, Procedure: citizen.ProcedureRegister, Code: s.code})
				refusal, refused := errors.AsType[*policies.Refusal](err)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case refused:
					outcomes[refusal.Code]++
				case err != nil:
					t.Errorf("got %v, want it done or refused", err)
				default:
					outcomes[""]++
				}
			})
		}
	}
	group.Wait()
	if outcomes[""] != 1 || r.count(`SELECT count(*) FROM citizens`) != 1 {
		t.Errorf("got %v, want exactly one registered", outcomes)
	}
	if n := outcomes[policies.PhoneTaken]; n < rivals-1 {
		t.Errorf("got %d who learn that the mobile is taken, want at least %d: %v", n, rivals-1, outcomes)
	}
	r.invariants()
}

// existence is what a registered person's life comes to, in the few words that
// decide what is answered next.
type existence struct {
	status  signer.CitizenStatus // empty: never registered
	mobile  string
	changed time.Time
	proofs  int
	code    citizen.ActivationCode
}

func (e existence) here() bool {
	return e.status == signer.Registered || e.status == signer.Active
}

// absent is what is answered to who is not here.
func (e existence) absent() policies.Code {
	switch e.status { //nolint:exhaustive // the others are
	case "":
		return policies.CitizenUnknown
	case signer.Deregistered:
		return policies.CitizenDeregistered
	}
	return ""
}

// Registering, activating, renewing, changing the mobile and leaving, in any
// order and by several people who want the same mobiles, come out as a model of
// a few lines says.
func TestExistences(t *testing.T) {
	t.Parallel()
	s := newSpine(t, signer.SealedKeeper)
	s.register.Rules = policies.DefaultRules()
	round := 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		people := map[string]*existence{dni(2 * round): {}, dni(2*round + 1): {}}
		names := []string{dni(2 * round), dni(2*round + 1)}
		mobiles := []string{fmt.Sprintf("6003%05d", 2*round), fmt.Sprintf("6003%05d", 2*round+1)}
		var done []string
		for range rapid.IntRange(2, 9).Draw(rt, "steps") {
			name := rapid.SampledFrom(names).Draw(rt, "who")
			mobile := rapid.SampledFrom(mobiles).Draw(rt, "mobile")
			act := rapid.SampledFrom([]string{"register", "register", "activate", "activate", "renew", "code", "move", "leave", "wait"}).Draw(rt, "act")
			done = append(done, act+" "+name+" "+mobile)
			rival := slices.IndexFunc(names, func(n string) bool { return n != name && people[n].here() && people[n].mobile == mobile }) >= 0
			err, want := s.exists(people[name], act, name, mobile, rival)
			if want == "" && err != nil || want != "" && !errors.Is(err, policies.Refuse(want)) {
				rt.Fatalf("%s: got %v, want %q", strings.Join(done, ", "), err, want)
			}
			s.agrees(rt, name, *people[name], done)
		}
	})
	s.invariants()
}

// exists does one thing, and says what it should have come to.
func (s *spine) exists(e *existence, act, name, mobile string, rival bool) (err error, want policies.Code) { //nolint:staticcheck // the error is a result to compare
	id, now := s.identifier(name), s.clock.Now()
	switch act {
	case "register":
		var receipt citizen.Receipt
		receipt, err = s.register.Register(s.Context(), s.person(name, mobile))
		switch {
		case e.here():
			return err, policies.CitizenExists
		case rival:
			return err, policies.PhoneTaken
		}
		*e = existence{status: signer.Registered, mobile: mobile, proofs: e.proofs + 1, code: receipt.ActivationCode}
	case "activate":
		err = s.activates(name, e)
		switch {
		case !e.here() || e.code == citizen.ActivationCode{}:
			return err, policies.ActivationMismatch
		case e.status == signer.Active && !e.changed.IsZero() && now.Before(e.changed.Add(72*time.Hour)):
			return err, policies.PhoneChangedRecently
		}
		e.status, e.code = signer.Active, citizen.ActivationCode{}
	case "renew":
		s.clock.advance(time.Second)
		_, err = s.register.RenewRegistration(s.Context(), id, citizen.Renewal{DocumentUntil: now.AddDate(5, 0, 0), Office: "Oficina", Officer: "Rosa", By: byOffice()})
		if want = e.absent(); want == "" {
			e.proofs++
		}
	case "code":
		var receipt citizen.Receipt
		receipt, err = s.register.RenewActivation(s.Context(), id, byOffice())
		if want = e.absent(); want == "" {
			e.code = receipt.ActivationCode
		}
	case "move":
		err = s.moves(name, mobile)
		if want = e.absent(); want == "" && (rival || e.mobile == mobile) {
			want = policies.PhoneTaken
		}
		if want == "" {
			e.mobile, e.changed = mobile, now
		}
	case "leave":
		err = s.register.Deregister(s.Context(), id, citizen.Order{By: byOffice(), Reason: "Lo pide."})
		if want = e.absent(); want == "" {
			*e = existence{status: signer.Deregistered, mobile: e.mobile, changed: e.changed, proofs: e.proofs}
		}
	case "wait":
		s.clock.advance(25 * time.Hour)
	}
	return err, want
}

// activates sets a password with the code that the model holds, or with a wrong
// one where there is none; wrong ones are few, so that none is blocked. It leaves
// the pause that two SMS want between them.
func (s *spine) activates(name string, e *existence) error {
	code := e.code
	if code == (citizen.ActivationCode{}) {
		code = citizen.NewActivationCode()
		s.sql(`DELETE FROM attempts`)
	}
	s.clock.advance(signer.DefaultLimits().CodePace.Interval)
	session, _, err := s.register.StartActivation(s.Context(), citizen.Claim{
		Identifier: s.identifier(name), Email: s.person(name, e.mobileOr()).Email, Code: code, RemoteAddr: home,
	})
	if err != nil {
		return err
	}
	if err := s.register.Confirm(s.Context(), signer.Answer{Ticket: session.Ticket, Code: s.phone.last().Code}); err != nil {
		return err
	}
	return s.register.SetPassword(s.Context(), session.Ticket, s.chosen(fmt.Sprintf("Mirlo-8-negro-%d", e.proofs+s.phone.count())))
}

func (e existence) mobileOr() string {
	if e.mobile == "" {
		return anaPhone
	}
	return e.mobile
}

// count is how many codes were sent.
func (p *phone) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.sent)
}

// agrees holds the record against the model.
func (s *spine) agrees(rt *rapid.T, name string, e existence, done []string) {
	c, _, err := s.people.ByIdentifier(s.Context(), name)
	if e.status == "" {
		if !errors.Is(err, policies.Refuse(policies.CitizenUnknown)) {
			rt.Fatalf("%s: got %v of a stranger", strings.Join(done, ", "), err)
		}
		return
	}
	if err != nil || c.Status != e.status || c.Phone != "+34"+e.mobile || c.PhoneChangedAt.IsZero() != e.changed.IsZero() {
		rt.Fatalf("%s: got %s with %s, changed %v, %v; want %s with %s, changed %v", strings.Join(done, ", "),
			c.Status, c.Phone, c.PhoneChangedAt, err, e.status, e.mobile, e.changed)
	}
	if n := s.count(`SELECT count(*) FROM registrations WHERE citizen_id = $1`, c.ID); n != e.proofs {
		rt.Fatalf("%s: got %d registrations, want %d", strings.Join(done, ", "), n, e.proofs)
	}
}
