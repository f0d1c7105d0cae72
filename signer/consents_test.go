package signer_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/store"
)

// granted is a grant that rests on a consent, with a token of it.
func (s *spine) granted(id, consent, citizen string) {
	s.Helper()
	now := s.clock.Now()
	s.well("granting", s.public.AddGrant(s.Context(), signer.OAuthGrant{
		ID: id, ApplicationID: s.app.ID, Subject: citizen, Scopes: []string{"service"}, Refreshable: true, ConsentID: consent,
		Data: []byte(`{}`), CreatedAt: now, ExpiresAt: now.Add(30 * 24 * time.Hour),
	}))
	s.well("giving a token", s.public.AddToken(s.Context(), signer.AccessToken{
		Hash: []byte(id), ClientID: s.app.ID, Scopes: []string{"service"}, ExpiresAt: now.Add(time.Hour), GrantID: id,
	}))
}

func (s *spine) shown(id string) error {
	s.Helper()
	_, err := s.public.ShownToken(s.Context(), []byte(id), s.clock.Now())
	return err
}

// TestConsent: what an application may see is in the log when it is given and when
// it is withdrawn; with that, grants and tokens end at once.
func TestConsent(t *testing.T) {
	t.Parallel()
	s := newSpine(t, signer.SealedKeeper)
	s.activate(ana, anaPhone)
	c, _ := s.record()
	give := func() (string, error) {
		session := must[signer.Session](t)(s.identify("", ana, password))
		return s.module.Consent(t.Context(), signer.ConsentOrder{Ticket: session.Ticket, ApplicationID: s.app.ID, Scopes: []string{"service"}})
	}
	id := must[string](t)(give())
	s.granted("one", id, c.ID)
	s.granted("two", must[string](t)(give()), c.ID)
	s.well("a token", s.shown("one"))
	got := must[[]signer.ServiceConsent](t)(s.public.LiveConsents(t.Context(), c.ID, s.clock.Now()))
	want := []signer.ServiceConsent{{
		CitizenID: c.ID, Application: s.app.Application, Scopes: []string{"service"}, GivenAt: s.clock.Now(), Until: s.clock.Now().Add(30 * 24 * time.Hour),
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("live consents (-want +got):\n%s", diff)
	}

	byPIN := must[signer.Session](t)(s.module.Access(t.Context(), signer.Entrance{CitizenID: c.ID, Via: signer.ViaPIN, RemoteAddr: home}))
	s.refused("withdrawing with a PIN", s.module.WithdrawConsent(t.Context(), byPIN.Ticket, s.app.ID), policies.SessionExpired)
	own := s.comeIn(ana)
	s.refused("withdrawing what is not", s.module.WithdrawConsent(t.Context(), own, "other"), policies.NotFound)
	s.well("a token after that", s.shown("one"))
	s.well("withdrawing", s.module.WithdrawConsent(t.Context(), own, s.app.ID))
	for _, token := range []string{"one", "two"} {
		s.refused("a token of a consent that is withdrawn", s.shown(token), policies.ApplicationUnknown)
		if g := must[signer.OAuthGrant](t)(s.public.Grant(t.Context(), token)); g.RevokedAt.IsZero() {
			t.Errorf("grant %s can still be refreshed", token)
		}
	}
	s.refused("withdrawing again", s.module.WithdrawConsent(t.Context(), own, s.app.ID), policies.NotFound)
	s.refused("a grant that comes too late", s.public.AddGrant(t.Context(), signer.OAuthGrant{
		ID: "late", ApplicationID: s.app.ID, Subject: c.ID, Scopes: []string{"service"}, ConsentID: id, Data: []byte(`{}`),
		CreatedAt: s.clock.Now(), ExpiresAt: s.clock.Now().Add(time.Hour),
	}), policies.RequestState)
	if got := must[[]signer.ServiceConsent](t)(s.public.LiveConsents(t.Context(), c.ID, s.clock.Now())); len(got) != 0 {
		t.Errorf("got %v, want nothing live", got)
	}
	for event, want := range map[string]int{"consent.given": 2, "consent.withdrawn": 1} {
		if got := s.logged(event, c.ID); got != want {
			t.Errorf("%s: got %d entries, want %d", event, got, want)
		}
	}
	s.invariants()
}

// TestConsentNeedsLogIn: of the tickets only that of a log-in for the citizen's
// affairs gives a consent, once.
func TestConsentNeedsLogIn(t *testing.T) {
	t.Parallel()
	s := newSpine(t, signer.SealedKeeper)
	s.activate(ana, anaPhone)
	_, signing := s.ready(ana, "contrato")
	affairs := must[signer.Session](t)(s.identify("", ana, password))
	give := func(t2 signer.Ticket, app string) error {
		_, err := s.module.Consent(t.Context(), signer.ConsentOrder{Ticket: t2, ApplicationID: app, Scopes: []string{"service"}})
		return err
	}
	s.refused("a ticket of the own pages", give(s.comeIn(ana), s.app.ID), policies.SessionExpired)
	s.refused("one of a signature", give(signing.Ticket, s.app.ID), policies.SessionExpired)
	s.refused("one that nobody was given", give(signer.NewTicket(), s.app.ID), policies.SessionExpired)
	s.refused("an unknown application", give(affairs.Ticket, "other"), policies.ApplicationUnknown)
	s.well("consenting", give(affairs.Ticket, s.app.ID))
	s.refused("consenting again with it", give(affairs.Ticket, s.app.ID), policies.SessionExpired)
	s.invariants()
}

// explicit is a deployment with explicit mode, and an application that has it.
func explicit(t *testing.T) *spine {
	t.Helper()
	s := newSpine(t, signer.SealedKeeper)
	s.module.Explicit = true
	s.well("switching", s.db.Administration(store.Operator{}).Switch(t.Context(), s.app.ID, signer.SwitchExplicit, true, s.clock.Now()))
	s.activate(ana, anaPhone)
	s.well("signing once", s.sign(must2(s.ready(ana, "contrato"))))
	s.clock.advance(time.Hour)
	return s
}

func must2(_ string, session signer.Session) signer.Session { return session }

func (s *spine) ordered() signer.ExplicitOrder {
	s.Helper()
	_, k, err := s.public.Person(s.Context(), ana)
	s.well("reading a person", err)
	return signer.ExplicitOrder{ApplicationID: s.app.ID, Identifier: ana, CredentialID: k.ID}
}

// TestExplicit: with both switches on, password and code that come through the
// application make a consent, and the log says that it was SCAL1.
func TestExplicit(t *testing.T) {
	t.Parallel()
	s := explicit(t)
	s.well("sending", s.module.SendExplicitCode(t.Context(), s.ordered()))
	code := s.phone.last()
	if code.Reference != "" || code.Application != s.app.Name || code.Documents != 0 {
		t.Errorf("got %+v, want a message that names the application and no documents", code)
	}
	request := s.askHashes(signer.SHA256, digestsOf(2)...)
	session := must[signer.Session](t)(s.identify(request, ana, password))
	s.fixHashes(request, session)
	answer := signer.Answer{Ticket: session.Ticket, Code: code.Code}
	_, err := s.module.Authorise(t.Context(), answer)
	s.refused("that code on our pages", err, policies.CodeExpired)
	_, err = s.module.AuthoriseExplicit(t.Context(), signer.Answer{Ticket: session.Ticket, Code: wrongFor(t, code.Code)})
	s.refused("a wrong code", err, policies.CodeWrong)
	a := must[signer.Authorised](t)(s.module.AuthoriseExplicit(t.Context(), answer))
	_, err = s.module.AuthoriseExplicit(t.Context(), answer)
	s.refused("the code again", err, policies.SessionExpired)
	s.well("signing", s.module.SignHashes(t.Context(), signer.HashOrder{SAD: a.SAD}))
	if got := s.count(`SELECT count(*) FROM log_entries WHERE type = 'sign.authorised' AND operation = $1 AND convert_from(payload, 'UTF8') LIKE '%"scal":1%'`, request); got != 1 {
		t.Errorf("got %d consents marked as SCAL1, want 1", got)
	}
	s.invariants()
}

// TestExplicitIsOff: the signer asks for both switches itself.
func TestExplicitIsOff(t *testing.T) {
	t.Parallel()
	s := explicit(t)
	order := s.ordered()
	s.well("sending", s.module.SendExplicitCode(t.Context(), order))
	request := s.askHashes(signer.SHA256, digestsOf(1)...)
	session := must[signer.Session](t)(s.identify(request, ana, password))
	s.fixHashes(request, session)
	answer := signer.Answer{Ticket: session.Ticket, Code: s.phone.last().Code}
	off := func(what string) {
		t.Helper()
		s.clock.advance(time.Minute)
		s.refused(what+": sending", s.module.SendExplicitCode(t.Context(), order), policies.DoorNotAllowed)
		_, err := s.module.AuthoriseExplicit(t.Context(), answer)
		s.refused(what+": authorising", err, policies.DoorNotAllowed)
	}
	s.module.Explicit = false
	off("the deployment's switch off")
	s.module.Explicit = true
	s.well("switching", s.db.Administration(store.Operator{}).Switch(t.Context(), s.app.ID, signer.SwitchExplicit, false, s.clock.Now()))
	off("the application's switch off")
	s.well("switching", s.db.Administration(store.Operator{}).Switch(t.Context(), s.app.ID, signer.SwitchExplicit, true, s.clock.Now()))
	stranger := order
	stranger.CredentialID = "another"
	s.refused("somebody else's credential", s.module.SendExplicitCode(t.Context(), stranger), policies.CredentialMissing)
	if a := must[signer.Authorised](t)(s.module.AuthoriseExplicit(t.Context(), answer)); a.SAD.Encode() == "" || strings.Contains(s.journal.text(), a.SAD.Encode()) {
		t.Error("there is no SAD, or the journal has it")
	}
	s.invariants()
}

// wrongFor is another code than that.
func wrongFor(t *testing.T, right signer.Code) signer.Code {
	t.Helper()
	for _, digits := range []string{"00000000", "11111111"} {
		if digits != right.Reveal() {
			return must[signer.Code](t)(signer.ParseCode(digits))
		}
	}
	return signer.Code{}
}
