package signer_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// postbox is where messages with secrets arrive.
type postbox struct {
	mu    sync.Mutex
	texts []citizen.SecretText
	mails []citizen.SecretMail
	dead  bool
}

func (p *postbox) Text(_ context.Context, m citizen.SecretText) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		return errors.New("operator does not answer")
	}
	p.texts = append(p.texts, m)
	return nil
}

func (p *postbox) Mail(_ context.Context, m citizen.SecretMail) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		return errors.New("mail server does not answer")
	}
	p.mails = append(p.mails, m)
	return nil
}

const pinAddress = "198.51.100.7"

// entrance is Cl@ve PIN over a spine.
type entrance struct {
	*spine

	pins  *citizen.Pins
	post  *postbox
	valid string // everybody's document until then, as it is printed
}

func newEntrance(t *testing.T) *entrance {
	t.Helper()
	s := newSpine(t, signer.SealedKeeper)
	post := &postbox{}
	limits := citizen.DefaultPINLimits()
	limits.Step = 0 // TestPINAnswersEvenly waits
	return &entrance{spine: s, post: post, valid: s.person(ana, anaPhone).DocumentUntil.Format("02/01/2006"), pins: &citizen.Pins{
		Store: s.db, People: s.people, Checks: s.vault, Gate: s.module, Post: post, Limits: limits,
		Now: s.clock.Now, Logger: s.journal.logger(),
	}}
}

// The answer leaves at a whole step, however much there was to be written.
func TestPINAnswersEvenly(t *testing.T) {
	t.Parallel()
	e := newEntrance(t)
	e.pins.Limits.Step = 400 * time.Millisecond
	for _, dni := range []string{ana, "00000000T"} {
		evenly(t, e.pins.Limits.Step, func() error {
			_, err := e.pins.Ask(t.Context(), e.order(dni, e.valid, "AB12", "192.0.2.1"))
			return err
		})
	}
}

// evenly finds an answer after a whole step, and soon after one; a machine that
// stands still is asked again.
func evenly(t *testing.T, step time.Duration, ask func() error) {
	t.Helper()
	var took [2]time.Duration
	for i := range took {
		began := time.Now()
		if err := ask(); err != nil {
			t.Fatal(err)
		}
		took[i] = time.Since(began)
		if took[i] < step {
			t.Errorf("got an answer after %v, before a step of %v was over", took[i], step)
		}
		if took[i]%step < step/2 {
			return
		}
	}
	t.Errorf("got answers after %v, none soon after a whole step of %v", took, step)
}

func (e *entrance) order(dni, until, key, address string) citizen.PINOrder {
	e.Helper()
	return citizen.PINOrder{
		Identifier:    must[citizen.Identifier](e.T)(citizen.ParseIdentifier(dni)),
		DocumentUntil: must[time.Time](e.T)(citizen.ParseDocumentDate(until)),
		AccessKey:     must[citizen.AccessKey](e.T)(citizen.ParseAccessKey(key)),
		RemoteAddr:    address,
	}
}

// asked asks for a PIN, and gives the one that arrived, if any.
func (e *entrance) asked(o citizen.PINOrder) (citizen.PINTicket, string) {
	e.Helper()
	before := len(e.post.texts)
	ticket, err := e.pins.Ask(e.Context(), o)
	if err != nil {
		e.Fatalf("asking for a PIN: %v", err)
	}
	e.pins.Wait()
	if len(e.post.texts) == before {
		return ticket, ""
	}
	return ticket, e.post.texts[len(e.post.texts)-1].Secret.Reveal()
}

func (e *entrance) identifyPIN(ticket citizen.PINTicket, key, pin string) (signer.Session, error) {
	e.Helper()
	return e.pins.Identify(e.Context(), citizen.PINAnswer{
		ID: ticket.ID, AccessKey: must[citizen.AccessKey](e.T)(citizen.ParseAccessKey(key)),
		PIN: must[citizen.PIN](e.T)(citizen.ParsePIN(pin)), RemoteAddr: pinAddress,
	})
}

// wantsPIN is for a PIN that is refused for that reason.
func (e *entrance) wantsPIN(err error, reason string) {
	e.Helper()
	refusal := (*policies.Refusal)(nil)
	if !errors.As(err, &refusal) || refusal.Code != policies.PINMismatch || refusal.Params["reason"] != reason {
		e.Errorf("got %v, want pin_mismatch with reason %q", err, reason)
	}
}

func TestPIN(t *testing.T) {
	t.Parallel()
	e := newEntrance(t)
	e.activate(ana, anaPhone)
	ticket, pin := e.asked(e.order(ana, e.valid, "ab-12", pinAddress))
	if len(pin) != 9 || e.post.texts[0].Phone != "+34"+anaPhone || e.post.texts[0].Kind != citizen.TextPIN {
		t.Fatalf("got %+v, want a PIN of nine digits for the registered mobile", e.post.texts)
	}
	_, err := e.identifyPIN(ticket, "ab13", pin)
	e.wantsPIN(err, "")
	session, err := e.identifyPIN(ticket, "AB12", pin)
	if err != nil {
		t.Fatalf("identifying: %v", err)
	}
	v := must[signer.Visitor](t)(e.public.Visitor(t.Context(), session.Ticket.Hash(), e.clock.Now()))
	if v.Citizen.Identifier != ana || v.Via != signer.ViaPIN || v.Purpose != signer.ForAccess {
		t.Errorf("got %s by %q for %q, want %s by PIN for the own pages", v.Citizen.Identifier, v.Via, v.Purpose, ana)
	}
	_, err = e.identifyPIN(ticket, "AB12", pin)
	e.wantsPIN(err, "expired") // it was used
	for kind, want := range map[string]int{"pin.requested": 1, "pin.sent": 1, "pin.wrong": 1} {
		if got := e.logged(kind, ticket.ID); got != want {
			t.Errorf("got %d entries %s, want %d", got, kind, want)
		}
	}
	e.checker.Secrets = append(e.checker.Secrets, pin)
	e.invariants()
}

// A PIN ends with its time, its tries and with the next one.
func TestPINEnds(t *testing.T) {
	t.Parallel()
	e := newEntrance(t)
	e.activate(ana, anaPhone)
	order := e.order(ana, e.valid, "ab12", pinAddress)

	ticket, pin := e.asked(order)
	e.clock.advance(10 * time.Minute)
	_, err := e.identifyPIN(ticket, "ab12", pin)
	e.wantsPIN(err, "expired")

	ticket, pin = e.asked(order)
	wrong := "000000000"
	if pin == wrong {
		wrong = "000000001"
	}
	for _, reason := range []string{"", "", "exhausted"} {
		_, err = e.identifyPIN(ticket, "ab12", wrong)
		e.wantsPIN(err, reason)
	}
	_, err = e.identifyPIN(ticket, "ab12", pin)
	e.wantsPIN(err, "exhausted")

	older, pin := e.asked(order)
	newer, next := e.asked(order)
	_, err = e.identifyPIN(older, "ab12", pin)
	e.wantsPIN(err, "") // as of somebody who asked with wrong data
	if _, err := e.identifyPIN(newer, "ab12", next); err != nil {
		t.Errorf("the newer PIN: %v", err)
	}
	_, err = e.identifyPIN(citizen.PINTicket{ID: "nobody's"}, "ab12", pin)
	e.wantsPIN(err, "expired")
}

// A hundred people at once with one PIN: one is let in, and no more than three
// are compared.
func TestPINOnce(t *testing.T) {
	t.Parallel()
	e := newEntrance(t)
	e.activate(ana, anaPhone)
	ticket, pin := e.asked(e.order(ana, e.valid, "ab12", pinAddress))
	results := make(chan error, 40)
	for range cap(results) {
		go func() {
			_, err := e.identifyPIN(ticket, "ab12", pin)
			results <- err
		}()
	}
	in := 0
	for range cap(results) {
		if err := <-results; err == nil {
			in++
		} else if !errors.Is(err, policies.Refuse(policies.PINMismatch)) {
			t.Errorf("got %v, want pin_mismatch", err)
		}
	}
	if in != 1 {
		t.Errorf("got %d let in, want one", in)
	}
}

// Who asks learns nothing about who exists: strangers, blocked and deregistered
// people, a wrong date, an operator that does not answer, and somebody who was
// sent too many already, all meet the same to the end.
func TestPINTellsNothing(t *testing.T) {
	t.Parallel()
	e := newEntrance(t)
	e.activate(ana, anaPhone)
	e.activate(eva, evaPhone)
	if err := e.register.Block(t.Context(), must[citizen.Identifier](t)(citizen.ParseIdentifier(eva)), citizen.Order{Reason: "prueba"}); err != nil {
		t.Fatal(err)
	}
	address := 0
	for name, ask := range map[string]func() (citizen.PINTicket, string){
		"known":      func() (citizen.PINTicket, string) { return e.asked(e.order(ana, e.valid, "ab12", "192.0.2.1")) },
		"stranger":   func() (citizen.PINTicket, string) { return e.asked(e.order("00000000T", e.valid, "ab12", "192.0.2.1")) },
		"blocked":    func() (citizen.PINTicket, string) { return e.asked(e.order(eva, e.valid, "ab12", "192.0.2.1")) },
		"wrong date": func() (citizen.PINTicket, string) { return e.asked(e.order(ana, "01/01/9999", "ab12", "192.0.2.1")) },
		"too many": func() (ticket citizen.PINTicket, pin string) {
			for range e.pins.Limits.PerHour + 1 {
				address++
				ticket, pin = e.asked(e.order(ana, e.valid, "ab12", "10.0."+string(rune('0'+address%10))+".1"))
				if pin == "" {
					break
				}
			}
			return ticket, pin
		},
	} {
		ticket, pin := ask()
		if sent := pin != ""; sent != (name == "known") {
			t.Errorf("%s: got an SMS: %t", name, sent)
		}
		if len(ticket.ID) != 26 || !ticket.ExpiresAt.Equal(e.clock.Now().Add(10*time.Minute)) {
			t.Errorf("%s: got %+v, want a ticket like any other", name, ticket)
		}
		for _, reason := range []string{"", "", "exhausted", "exhausted"} {
			_, err := e.identifyPIN(ticket, "ab12", "123456789")
			e.wantsPIN(err, reason)
		}
		e.clock.advance(2 * time.Hour)
	}
	e.post.dead = true
	ticket, _ := e.asked(e.order(ana, e.valid, "ab12", pinAddress))
	_, err := e.identifyPIN(ticket, "ab12", "123456789")
	e.wantsPIN(err, "")
	if got := e.logged("pin.send_failed", ticket.ID); got != 1 {
		t.Errorf("got %d entries of an SMS that was not taken, want one", got)
	}
}

// What is asked too often is refused, alike for strangers; and nobody keeps
// somebody else from asking.
func TestPINLimits(t *testing.T) {
	t.Parallel()
	e := newEntrance(t)
	e.activate(ana, anaPhone)
	for _, dni := range []string{ana, "00000000T"} {
		for i := range 6 {
			_, err := e.pins.Ask(t.Context(), e.order(dni, e.valid, "ab12", pinAddress))
			if limited := errors.Is(err, policies.Refuse(policies.RateLimited)); limited != (i == 5) {
				t.Errorf("%s, time %d: got %v", dni, i+1, err)
			}
		}
	}
	e.pins.Wait()
	if _, pin := e.asked(e.order(ana, e.valid, "ab12", "203.0.113.9")); pin == "" {
		t.Error("got no PIN from home while a stranger asks from elsewhere")
	}
	e.pins.Limits.Quota.Service = 1
	if _, err := e.pins.Ask(t.Context(), e.order(eva, e.valid, "ab12", "203.0.113.77")); !errors.Is(err, policies.Refuse(policies.RateLimited)) {
		t.Errorf("got %v, want the whole service's limit", err)
	}
	e.clock.advance(time.Hour)
	if _, err := e.pins.Ask(t.Context(), e.order(ana, e.valid, "ab12", pinAddress)); err != nil {
		t.Errorf("an hour later: %v", err)
	}
	e.pins.Wait()
}

// A row that somebody altered in the database lets nobody in.
func TestPINRowAltered(t *testing.T) {
	t.Parallel()
	e := newEntrance(t)
	e.activate(ana, anaPhone)
	e.activate(eva, evaPhone)
	for _, change := range []string{
		`citizen_id = (SELECT id FROM citizens WHERE identifier = '` + eva + `')`,
		`identifier = '` + eva + `'`,
		`expires_at = expires_at + interval '1 hour'`,
		`created_at = created_at - interval '1 hour'`,
		`mac = '\x00'`,
	} {
		ticket, pin := e.asked(e.order(ana, e.valid, "ab12", pinAddress))
		e.sql(`UPDATE pins SET `+change+` WHERE id = $1`, ticket.ID)
		_, err := e.identifyPIN(ticket, "ab12", pin)
		e.wantsPIN(err, "")
	}
}

// TestPINNeverSigns: who came by PIN sees the own pages and can neither sign nor
// change anything.
func TestPINNeverSigns(t *testing.T) {
	t.Parallel()
	e := newEntrance(t)
	e.activate(ana, anaPhone)
	request, proper := e.ready(ana, "uno") // somebody with the password, up to the code
	code := e.phone.last().Code
	ticket, pin := e.asked(e.order(ana, e.valid, "ab12", pinAddress))
	session, err := e.identifyPIN(ticket, "ab12", pin)
	if err != nil {
		t.Fatal(err)
	}
	before, sent := e.rows("credentials")+e.rows("certificates"), len(e.phone.sent)
	answer := signer.Answer{Ticket: session.Ticket, Code: code}
	password := must[citizen.Password](t)(citizen.ParsePassword([]byte("Jilguero-8-verde")))
	for name, attempt := range map[string]func() error{
		"authorise": func() error { _, err := e.module.Authorise(t.Context(), answer); return err },
		"issue":     func() error { _, err := e.module.IssueCredential(t.Context(), answer); return err },
		"refuse":    func() error { return e.module.Refuse(t.Context(), session.Ticket) },
		"confirm":   func() error { return e.register.Confirm(t.Context(), answer) },
		"password":  func() error { return e.register.SetPassword(t.Context(), session.Ticket, password) },
		"change":    func() error { return e.register.ChangePassword(t.Context(), session.Ticket, password) },
		"sad": func() error {
			sad := must[signer.SAD](t)(signer.ParseSAD(session.Ticket.Encode()))
			return e.module.Sign(t.Context(), sad)
		},
	} {
		if err := attempt(); err == nil {
			t.Errorf("%s: got it done, want it refused", name)
		}
	}
	purposes := []signer.Purpose{
		signer.ForActivation, signer.ForSignature, signer.ForAffairs, signer.ForCertificate, signer.ForPassword, signer.ForRevocation,
		signer.ForSuspension, signer.ForRelease, signer.ForAccess, signer.ForDeregistration, signer.ForEmail, signer.ForAssociation,
	}
	for _, purpose := range purposes {
		if _, err := e.module.SendCode(t.Context(), signer.CodeOrder{Ticket: session.Ticket, Purpose: purpose}); err == nil {
			t.Errorf("code for %s: got it sent, want it refused", purpose)
		}
		if slices.Contains([]signer.Purpose{signer.ForRevocation, signer.ForSuspension, signer.ForRelease}, purpose) {
			if err := e.register.ChangeCertificate(t.Context(), citizen.CertificateChange{Answer: answer, Purpose: purpose}); err == nil {
				t.Errorf("%s: got it done, want it refused", purpose)
			}
		}
	}
	if got := e.rows("credentials") + e.rows("certificates"); got != before || len(e.phone.sent) != sent || e.state(request) != signer.Pending {
		t.Errorf("got %d rows, %d codes and the request %s, want nothing changed", got, len(e.phone.sent), e.state(request))
	}
	if err := e.sign(proper); err != nil { // nor did it disturb
		t.Errorf("signing with the password: %v", err)
	}
	e.invariants()
}
