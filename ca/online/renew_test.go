package online_test

import (
	"bytes"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/ca"
	"github.com/rubrica-firma/rubrica/ca/lint"
	"github.com/rubrica-firma/rubrica/store"
)

// told counts the log's entries of a kind about the responder.
func (h *house) told(kind audit.EventType) int {
	h.Helper()
	return value[int](h, `SELECT count(*) FROM log_entries WHERE type = $1 AND operation = 'ocsp-1'`, string(kind))
}

// once runs a process from its start until it has looked at everything.
func (p *process) once() {
	p.h.Helper()
	stop := p.keep()
	p.twoTurns()
	stop()
}

// A responder's certificate lives for 90 days; when 30 are left there is another
// one of the same key, once, though two processes look after it.
func TestResponderIsRenewedOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	first := h.member("ocsp-1")
	h.clock.advance(first.NotAfter.AddDate(0, 0, -30).Add(-time.Minute).Sub(h.clock.Now()))
	h.process().once()
	if !h.member("ocsp-1").Equal(first) {
		t.Fatal("renewed before a third was left")
	}
	waiting := h.process()
	c := waiting.issue()
	waiting.answers(c, "good", 0)
	kept := value[[]byte](h, `SELECT der FROM ocsp_answers WHERE serial = $1`, c.serial())

	h.clock.advance(2 * time.Minute)
	one, two := h.process(), h.process()
	var both sync.WaitGroup // have signed a certificate before either stores one
	both.Add(2)
	meet := sync.OnceFunc(both.Done)
	meetToo := sync.OnceFunc(both.Done)
	one.replacing = func() { meet(); both.Wait() }
	two.replacing = func() { meetToo(); both.Wait() }
	one.keep()
	two.keep()
	one.twoTurns()
	two.twoTurns()
	second := h.member("ocsp-1")
	if second.Equal(first) || !bytes.Equal(second.RawSubjectPublicKeyInfo, first.RawSubjectPublicKeyInfo) || !bytes.Equal(second.RawSubject, first.RawSubject) {
		t.Errorf("got a certificate of %v, was %v", second.Subject, first.Subject)
	}
	if life := second.NotAfter.Sub(h.clock.Now()); life < 89*day || life > 91*day {
		t.Errorf("the new one lives for %v", life)
	}
	if got := h.told(audit.AuthorityIssued); got != 1 {
		t.Errorf("issued %d times, want once", got)
	}
	if got := h.told(audit.AuthorityIntent); got != 2 {
		t.Errorf("%d intents, want 2", got)
	}

	// An answer that is kept says what a new one would; who is asked afresh, and
	// who has not learnt of the new certificate yet, answer well too.
	for _, p := range []*process{one, two, waiting} {
		p.answers(c, "good", 0)
	}
	if again := value[[]byte](h, `SELECT der FROM ocsp_answers WHERE serial = $1`, c.serial()); !bytes.Equal(again, kept) {
		t.Error("the kept answer was thrown away")
	}
	h.clock.advance(13 * time.Hour)
	for _, p := range []*process{one, two} {
		if a := p.ask(c); a.Responder == nil || !a.Responder.Equal(second) {
			t.Errorf("the answer is by %v, want the new certificate", a.Responder.SerialNumber)
		}
	}
	one.quiet()
	two.quiet()
}

// Whose certificate has ended while nothing ran gets another one first.
func TestResponderHasEnded(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	p := h.process()
	c := p.issue()
	p.answers(c, "good", 0)
	h.clock.advance(200 * day)
	late := h.process()
	if a := late.ask(c); a.ResponseStatus != 3 {
		t.Errorf("before the renewal: got response status %d, want 3, tryLater", a.ResponseStatus)
	}
	late.once()
	late.answers(c, "good", 0)
}

// No answer of a key that rests is given, though it was kept.
func TestAnswersOfAnotherKey(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	p := h.process()
	c := p.issue()
	p.answers(c, "good", 0)
	h.secondResponder()
	if err := p.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if a := p.ask(c); a.Responder == nil || !a.Responder.Equal(h.member("ocsp-2")) {
		t.Errorf("the answer is by %v, want ocsp-2", a.Responder)
	}
	p.quiet()
}

// secondResponder lets another key answer for the first authority.
func (h *house) secondResponder() {
	h.Helper()
	key, err := h.token.CreateServiceKey(h.Context(), "rubrica-ocsp-2", "ec-p256")
	if err != nil {
		h.Fatal(err)
	}
	by, err := h.token.ServiceKey(h.Context(), "rubrica-issuing-1")
	if err != nil {
		h.Fatal(err)
	}
	authority, err := ca.New(ca.Config{
		Certificate: h.member("issuing-1"), Signer: by, Lint: lint.Certificate,
		Addresses: ca.Addresses{Issuer: "http://ca.example/ca/issuing-1.cer", OCSP: "http://ca.example/ocsp"},
	})
	if err != nil {
		h.Fatal(err)
	}
	prepared, err := authority.PrepareOCSP(ca.ServiceRequest{
		Name: ca.Name{Country: "ES", Organisation: "Pruebas", CommonName: "OCSP ocsp-2"}, PublicKey: key.Public(), NotBefore: h.clock.Now(),
	})
	if err != nil {
		h.Fatal(err)
	}
	der, err := prepared.Issue()
	if err != nil {
		h.Fatal(err)
	}
	err = h.db.RecordCeremony(h.Context(), store.Ceremony{
		Step: "test/ocsp-2", Retire: []string{"ocsp-1"},
		Members: []ca.Member{{
			Name: "ocsp-2", Role: ca.RoleOCSP, Generation: 2, KeyLabel: "rubrica-ocsp-2", Token: ca.ServiceToken, Issuer: "issuing-1", DER: der,
		}},
	}, audit.Entry{Type: audit.KeyCeremony, Operation: "test", At: h.clock.Now()})
	if err != nil {
		h.Fatal(err)
	}
}

// A process that dies when it has signed and not stored leaves its intent in the
// log; the next one renews.
func TestDeathBeforeReplacing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	first := h.member("ocsp-1")
	h.clock.advance(61 * day)
	dying := h.process()
	dying.replacing = runtime.Goexit
	var died sync.WaitGroup
	died.Go(func() { dying.Keep(t.Context()) })
	died.Wait()
	if !h.member("ocsp-1").Equal(first) || h.told(audit.AuthorityIntent) != 1 || h.told(audit.AuthorityIssued) != 0 {
		t.Fatal("the dead process left more than its intent")
	}
	next := h.process()
	next.once()
	if h.member("ocsp-1").Equal(first) || h.told(audit.AuthorityIntent) != 2 || h.told(audit.AuthorityIssued) != 1 {
		t.Error("the next process has not renewed")
	}
	next.quiet()
}

// No certificate outlives its authority: there is no renewal after its end.
func TestAuthorityHasEnded(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.clock.advance(h.member("issuing-1").NotAfter.Add(time.Hour).Sub(h.clock.Now()))
	p := h.process()
	p.once()
	if got := h.told(audit.AuthorityIntent); got != 0 {
		t.Errorf("%d intents, want none", got)
	}
}
