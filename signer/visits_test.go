package signer_test

import (
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// TestLeaveIsForGood: whoever copied the ticket before has nothing, and leaving
// everywhere ends what was begun elsewhere too.
func TestLeaveIsForGood(t *testing.T) {
	t.Parallel()
	s := newSpine(t, signer.SealedKeeper)
	s.activate(ana, anaPhone)
	own := s.own(new(mailbox))
	here := s.comeIn(ana)
	s.well("leaving", own.Leave(t.Context(), here, false))
	s.well("leaving again", own.Leave(t.Context(), here, false))
	_, err := own.ReadLog(t.Context(), here, 0)
	s.refused("the ticket that was left", err, policies.SessionExpired)
	s.refused("changing with it", own.SetNotices(t.Context(), here, signer.NoticesNone), policies.SessionExpired)

	there := s.comeIn(ana)
	answer := s.coded(there, signer.ForEmail)
	affairs := must[signer.Session](t)(s.identify("", ana, password))
	s.well("leaving with a ticket that nobody was given", own.Leave(t.Context(), signer.NewTicket(), true))
	if _, err := own.ReadLog(t.Context(), there, 0); err != nil {
		t.Errorf("got %v, want the session untouched", err)
	}
	s.well("leaving everywhere", own.Leave(t.Context(), there, true))
	s.refused("the code of a session that was left", own.Deregister(t.Context(), answer), policies.SessionExpired)
	_, err = s.module.SendCode(t.Context(), signer.CodeOrder{Ticket: affairs.Ticket, Purpose: signer.ForPassword})
	s.refused("a session of another kind", err, policies.SessionExpired)
	c, _ := s.record()
	if n := s.logged("session.ended", c.ID); n != 2 {
		t.Errorf("got %d ends in the log, want 2", n)
	}
	s.invariants()
}

// TestTakeDocument: to whoever signed it, identified just now, and to nobody else;
// each time is in the log.
func TestTakeDocument(t *testing.T) {
	t.Parallel()
	s := newSpine(t, signer.SealedKeeper)
	s.activate(ana, anaPhone)
	s.activate(eva, evaPhone)
	own := s.own(new(mailbox))
	request, session := s.ready(ana, "contrato")
	waiting := s.ask(ana, "pendiente")
	s.well("signing", s.sign(session))
	c, _ := s.record()

	mine := s.comeIn(ana)
	s.well("taking it", own.TakeDocument(t.Context(), mine, request, 1))
	s.refused("one that there is not", own.TakeDocument(t.Context(), mine, request, 9), policies.NotFound)
	s.refused("one that was not signed", own.TakeDocument(t.Context(), mine, waiting, 1), policies.RequestState)
	s.refused("no request", own.TakeDocument(t.Context(), mine, "NADA", 1), policies.RequestUnknown)
	s.refused("somebody else's", own.TakeDocument(t.Context(), s.comeIn(eva), request, 1), policies.RequestUnknown)
	byPIN := must[signer.Session](t)(s.module.Access(t.Context(), signer.Entrance{CitizenID: c.ID, Via: signer.ViaPIN, RemoteAddr: home}))
	s.refused("with a PIN", own.TakeDocument(t.Context(), byPIN.Ticket, request, 1), policies.SessionExpired)
	shown := must[signer.Session](t)(s.module.Access(t.Context(), signer.Entrance{CitizenID: c.ID, Via: signer.ViaCertificate, RemoteAddr: home}))
	s.well("with a certificate", own.TakeDocument(t.Context(), shown.Ticket, request, 1))
	s.clock.advance(11 * time.Minute)
	s.refused("after a while", own.TakeDocument(t.Context(), shown.Ticket, request, 1), policies.SessionExpired)
	if n := s.logged("document.taken", request); n != 2 {
		t.Errorf("got %d downloads in the log, want 2", n)
	}
	s.invariants()
}
