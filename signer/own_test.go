package signer_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// mailbox keeps the mails with links.
type mailbox struct {
	mu    sync.Mutex
	mails []citizen.SecretMail
	shut  bool
}

func (m *mailbox) Mail(_ context.Context, mail citizen.SecretMail) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.shut {
		return errors.New("no mail server")
	}
	m.mails = append(m.mails, mail)
	return nil
}

func (*mailbox) Text(context.Context, citizen.SecretText) error { return errors.New("no texts") }

// link is the one of the last mail.
func (m *mailbox) link(t *testing.T) citizen.Link {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.mails) == 0 {
		t.Fatal("got no mail, want one with a link")
	}
	_, secret, _ := strings.Cut(m.mails[len(m.mails)-1].Secret.Reveal(), citizen.LinkPath+"?"+citizen.LinkParameter+"=")
	return must[citizen.Link](t)(citizen.ParseLink(secret))
}

// shown are the certificates that were shown, by the hash of their tickets.
type shown map[string]citizen.Enrolment

func (s shown) Peek(_ context.Context, t signer.Ticket, p citizen.Procedure) (citizen.Enrolment, error) {
	e, known := s[string(t.Hash())]
	if !known || p != citizen.ProcedureAssociate {
		return e, policies.Refuse(policies.SessionExpired)
	}
	return e, nil
}

// own is what citizens do on their own pages, without mailed links for passwords.
func (s *spine) own(post citizen.Post) citizen.Own {
	return citizen.Own{
		Profile: citizen.NewProfile(citizen.ProfileConfig{
			Register: s.register, Store: s.db, Seals: s.vault, Post: post, Proofs: shown{}, LinkLife: citizen.DefaultLinkLife,
		}),
		Incidents: &citizen.Incidents{Register: s.register, Store: s.db},
	}
}

// comeIn identifies for the own pages.
func (s *spine) comeIn(dni string) signer.Ticket {
	s.Helper()
	session := must[signer.Session](s.T)(s.module.Identify(s.Context(), signer.Identification{
		Identifier: dni, Password: []byte(password), RemoteAddr: home, Access: true,
	}))
	return session.Ticket
}

// coded has a code sent to a ticket's citizen.
func (s *spine) coded(t signer.Ticket, purpose signer.Purpose) signer.Answer {
	s.Helper()
	s.clock.advance(time.Minute)
	if _, err := s.module.SendCode(s.Context(), signer.CodeOrder{Ticket: t, Purpose: purpose}); err != nil {
		s.Fatalf("sending a code: %v", err)
	}
	code := s.phone.last().Code
	s.checker.Secrets = append(s.checker.Secrets, code.Reveal())
	return signer.Answer{Ticket: t, Code: code}
}

func ownPurposes() []signer.Purpose {
	return []signer.Purpose{signer.ForDeregistration, signer.ForEmail, signer.ForAssociation}
}

// TestAccess: who comes in by another way than the password sees, and neither
// changes nor signs; an altered row does not make it another way.
func TestAccess(t *testing.T) {
	t.Parallel()
	s := newSpine(t, signer.SealedKeeper)
	s.activate(ana, anaPhone)
	c, _ := s.record()
	own := s.own(new(mailbox))
	for _, via := range []signer.Via{signer.ViaPIN, signer.ViaCertificate, signer.ViaCard} {
		session := must[signer.Session](t)(s.module.Access(t.Context(), signer.Entrance{CitizenID: c.ID, Via: via, RemoteAddr: home}))
		visitor := must[signer.Visitor](t)(s.public.Visitor(t.Context(), session.Ticket.Hash(), s.clock.Now()))
		if visitor.Via != via || visitor.Purpose != signer.ForAccess || visitor.Citizen.ID != c.ID {
			t.Errorf("%s: got %s by %s", via, visitor.Purpose, visitor.Via)
		}
		for _, purpose := range append(ownPurposes(), signer.ForPassword, signer.ForRevocation, signer.ForSignature, signer.ForCertificate, signer.ForActivation) {
			_, err := s.module.SendCode(t.Context(), signer.CodeOrder{Ticket: session.Ticket, Purpose: purpose})
			s.refused(string(via)+" "+string(purpose), err, policies.SessionExpired)
		}
		s.refused("notices", own.SetNotices(t.Context(), session.Ticket, signer.NoticesNone), policies.SessionExpired)
		if entries, err := own.ReadLog(t.Context(), session.Ticket, 0); err != nil || len(entries) == 0 {
			t.Errorf("%s: got %d entries of the log and %v, want some", via, len(entries), err)
		}
		in := s.insider()
		in.run(`UPDATE tickets SET via = 'password' WHERE hash = $1`, session.Ticket.Hash())
		_, err := s.module.SendCode(t.Context(), signer.CodeOrder{Ticket: session.Ticket, Purpose: signer.ForDeregistration})
		s.refused("an altered row", err, policies.RecordTampered)
	}
	_, err := s.module.Access(t.Context(), signer.Entrance{CitizenID: c.ID, Via: signer.ViaPassword})
	s.refused("a password that nobody typed", err, policies.RequestMalformed)

	ticket := s.comeIn(ana)
	for _, purpose := range []signer.Purpose{signer.ForPassword, signer.ForRevocation, signer.ForSignature, signer.ForCertificate, signer.ForActivation} {
		_, err := s.module.SendCode(t.Context(), signer.CodeOrder{Ticket: ticket, Purpose: purpose})
		s.refused("an access ticket: "+string(purpose), err, policies.SessionExpired)
	}
	affairs := must[signer.Session](t)(s.identify("", ana, password))
	for _, purpose := range ownPurposes() {
		_, err := s.module.SendCode(t.Context(), signer.CodeOrder{Ticket: affairs.Ticket, Purpose: purpose})
		s.refused("a ticket of affairs: "+string(purpose), err, policies.SessionExpired)
	}
	s.clock.advance(31 * time.Minute)
	_, err = s.module.SendCode(t.Context(), signer.CodeOrder{Ticket: ticket, Purpose: signer.ForEmail})
	s.refused("after half an hour", err, policies.SessionExpired)
	s.invariants()
}

// TestDeregister: certificates are revoked and keys destroyed, with both factors
// and not without.
func TestDeregister(t *testing.T) {
	t.Parallel()
	overBoth(t, func(s *spine) {
		s.activate(ana, anaPhone)
		s.signs(ana, password)
		own := s.own(new(mailbox))
		ticket := s.comeIn(ana)
		answer := s.coded(ticket, signer.ForEmail)
		s.refused("another affair's code", own.Deregister(s.Context(), answer), policies.CodeExpired)
		answer = s.coded(ticket, signer.ForDeregistration)
		waiting := s.ask(ana, "pendiente")
		s.refused("the wrong code", own.Deregister(s.Context(), signer.Answer{Ticket: ticket, Code: must[signer.Code](s.T)(signer.ParseCode("00000000"))}), policies.CodeWrong)
		var left atomic.Int32
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				if own.Deregister(s.Context(), answer) == nil {
					left.Add(1)
				}
			})
		}
		group.Wait()
		if got := left.Load(); got != 1 {
			s.Errorf("of one answer, eight times: got %d accepted, want 1", got)
		}
		s.invariants()
		c, k := s.record()
		if c.Status != signer.Deregistered || k != nil {
			s.Errorf("got status %s and credential %v, want deregistered and none", c.Status, k)
		}
		if got := len(s.revocations()); got != 1 {
			s.Errorf("got %d certificates revoked, want 1", got)
		}
		_, err := s.identify(waiting, ana, password)
		s.refused("identifying afterwards", err)
		_, err = own.ReadLog(s.Context(), ticket, 0)
		s.refused("the session afterwards", err, policies.SessionExpired)
	})
}

// TestChangeEmail: the address changes when its link is followed, once, in time,
// and for the citizen alone.
func TestChangeEmail(t *testing.T) {
	t.Parallel()
	s := newSpine(t, signer.SealedKeeper)
	s.activate(ana, anaPhone)
	box := new(mailbox)
	own := s.own(box)
	next := must[citizen.Email](t)(citizen.ParseEmail("nueva@example.es"))
	order := func() citizen.Link {
		t.Helper()
		s.clock.advance(time.Hour)
		if err := own.ChangeEmail(t.Context(), s.coded(s.comeIn(ana), signer.ForEmail), next); err != nil {
			t.Fatalf("ordering a change: %v", err)
		}
		s.invariants()
		return box.link(t)
	}
	old := order()
	if c, _ := s.record(); c.Email != "ana@example.es" {
		t.Errorf("before the link: got %s", c.Email)
	}
	if to := box.mails[0].To; to != next.String() {
		t.Errorf("got the link mailed to %s, want the new address", to)
	}
	late := order()
	_, err := own.Follow(t.Context(), old)
	s.refused("a link that another has replaced", err, policies.LinkInvalid)
	s.clock.advance(31 * time.Minute)
	_, err = own.Follow(t.Context(), late)
	s.refused("a link after its time", err, policies.LinkInvalid)
	_, err = own.Follow(t.Context(), citizen.NewLink())
	s.refused("a link that nobody sent", err, policies.LinkInvalid)

	forged := order()
	s.insider().run(`UPDATE pending_changes SET value = '{"email": "ladron@example.org"}'`)
	_, err = own.Follow(t.Context(), forged)
	s.refused("an altered address", err, policies.RecordTampered)

	link := order()
	var done atomic.Int32
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if kind, err := own.Follow(t.Context(), link); err == nil && kind == citizen.PendingEmail {
				done.Add(1)
			}
		})
	}
	group.Wait()
	if got := done.Load(); got != 1 {
		t.Errorf("one link, eight times: got %d changes, want 1", got)
	}
	if c, _ := s.record(); c.Email != next.String() {
		t.Errorf("after the link: got %s, want %s", c.Email, next)
	}
	s.invariants()

	box.shut = true
	s.clock.advance(time.Hour)
	s.refused("without a mail server", own.ChangeEmail(t.Context(), s.coded(s.comeIn(ana), signer.ForEmail), next), policies.Unavailable)
	s.invariants()
}

// TestPasswordLink: until the link is followed the present password holds, and
// the certificate is the same before and after.
func TestPasswordLink(t *testing.T) {
	t.Parallel()
	overBoth(t, func(s *spine) {
		s.activate(ana, anaPhone)
		s.signs(ana, password)
		box := new(mailbox)
		own := s.own(box)
		own.PasswordLink, own.LinkLife = true, 6*time.Hour
		order := func(from, to string) (waits bool) {
			s.Helper()
			s.clock.advance(time.Hour)
			session := must[signer.Session](s.T)(s.identify("", ana, from))
			s.send(session, signer.ForPassword)
			if err := s.register.Confirm(s.Context(), signer.Answer{Ticket: session.Ticket, Code: s.phone.last().Code}); err != nil {
				s.Fatalf("confirming: %v", err)
			}
			waits = must[bool](s.T)(own.ChangePassword(s.Context(), session.Ticket, s.chosen(to)))
			_, err := own.ChangePassword(s.Context(), session.Ticket, s.chosen(to))
			s.refused("the same ticket again", err, policies.SessionExpired)
			s.invariants()
			return waits
		}
		_, before := s.record()
		if !order(password, second) {
			s.Error("got the password changed, want it to wait")
		}
		link := box.link(s.T)
		if to := box.mails[0].To; to != "ana@example.es" {
			s.Errorf("got the link mailed to %s", to)
		}
		s.signs(ana, password)
		if kind := must[citizen.PendingKind](s.T)(own.Follow(s.Context(), link)); kind != citizen.PendingPassword {
			s.Errorf("got %s", kind)
		}
		s.clock.advance(time.Hour)
		_, err := s.identify("", ana, password)
		s.refused("the former password", err, policies.CredentialsWrong)
		s.signs(ana, second)
		if _, after := s.record(); after.Certificate.Serial != before.Certificate.Serial {
			s.Error("got another certificate, want the same")
		}

		const third = "Abejaruco-3-azul"
		order(second, third)
		s.insider().run(`UPDATE pending_changes SET box = box || '\x00'`)
		_, err = own.Follow(s.Context(), box.link(s.T))
		s.refused("an altered box", err, policies.RecordTampered)
		order(second, third)
		own.PasswordLink = false
		if order(second, "Vencejo-9-gris") {
			s.Error("got a link where none is wanted")
		}
		_, err = own.Follow(s.Context(), box.link(s.T))
		s.refused("a link from before another change", err, policies.LinkInvalid)
		s.signs(ana, "Vencejo-9-gris")
	})
}

// TestNotices changes how a citizen is told, with the password alone.
func TestNotices(t *testing.T) {
	t.Parallel()
	s := newSpine(t, signer.SealedKeeper)
	s.activate(ana, anaPhone)
	own := s.own(new(mailbox))
	ticket := s.comeIn(ana)
	for _, n := range []signer.Notices{signer.NoticesSMS, signer.NoticesBoth, signer.NoticesNone, signer.NoticesMail, signer.NoticesMail} {
		if err := own.SetNotices(t.Context(), ticket, n); err != nil {
			t.Errorf("%s: %v", n, err)
		}
		if c, _ := s.record(); c.Notices != n {
			t.Errorf("got %s, want %s", c.Notices, n)
		}
		s.invariants()
	}
	s.refused("no such way", own.SetNotices(t.Context(), ticket, "pigeon"), policies.RequestMalformed)
}

// TestIncident: "this was not me" stops the certificate at once, from whatever
// session, ends the others, and is nobody else's.
func TestIncident(t *testing.T) {
	t.Parallel()
	overBoth(t, func(s *spine) {
		s.activate(ana, anaPhone)
		s.activate(eva, evaPhone)
		s.signs(ana, password)
		s.clock.advance(time.Hour)
		foreign, mine := s.ask(eva, "de Eva"), s.ask(ana, "de Ana")
		own := s.own(new(mailbox))
		_, waiting := s.consent(ana, password, "a medias")
		other := s.comeIn(ana)
		c, _ := s.record()
		session := must[signer.Session](s.T)(s.module.Access(s.Context(), signer.Entrance{CitizenID: c.ID, Via: signer.ViaPIN}))
		_, err := own.ReadLog(s.Context(), other, 0)
		s.refused("the session that another has replaced", err, policies.SessionExpired)

		_, err = own.OpenIncident(s.Context(), citizen.Complaint{Ticket: session.Ticket, RequestID: foreign})
		s.refused("somebody else's signature", err, policies.RequestUnknown)
		_, err = own.OpenIncident(s.Context(), citizen.Complaint{Ticket: session.Ticket, Said: strings.Repeat("x", 2001)})
		s.refused("a long story", err, policies.RequestMalformed)
		incident := must[citizen.Incident](s.T)(own.OpenIncident(s.Context(), citizen.Complaint{
			Ticket: session.Ticket, RequestID: mine, Said: "No fui yo.\n\u202Eodinrev\x00",
		}))
		s.invariants()
		if !incident.Suspended || incident.Said != "No fui yo.\nodinrev" {
			s.Errorf("got %+v", incident)
		}
		if _, k := s.record(); !k.Certificate.Suspended() {
			s.Error("got the certificate in force, want it suspended")
		}
		s.refused("a consent that was waiting", s.module.Sign(s.Context(), waiting))
		again := must[citizen.Incident](s.T)(own.OpenIncident(s.Context(), citizen.Complaint{Ticket: session.Ticket}))
		if again.Suspended {
			s.Error("got a suspended certificate suspended again")
		}
		s.invariants()

		if list := must[[]citizen.Incident](s.T)(s.public.Incidents(s.Context(), c.ID)); len(list) != 2 {
			s.Errorf("got %d incidents, want 2", len(list))
		}
		eva := s.identifier(eva)
		_, err = own.Close(s.Context(), citizen.Statement{Identifier: eva, Subject: incident.ID, Office: "office", Officer: "Luz", Reason: "visto"})
		s.refused("closing it as of somebody else", err, policies.NotFound)
		statement := citizen.Statement{ID: "acto", Identifier: s.identifier(ana), Subject: incident.ID, Office: "office", Officer: "Luz", Reason: "Era un familiar."}
		if _, err := own.Close(s.Context(), statement); err != nil {
			s.Errorf("closing: %v", err)
		}
		_, err = own.Close(s.Context(), statement)
		s.refused("closing it twice", err, policies.NotFound)
		s.invariants()
	})
}

// certificateOf is a certificate that a person shows.
func certificateOf(t *testing.T, serial int64) []byte {
	t.Helper()
	key := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "NUÑEZ PEREZ ANA - 12345678Z", Country: []string{"ES"}},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
	}
	return must[[]byte](t)(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))
}

// TestAssociate: one certificate a profile, one profile a certificate, and only
// of the same person.
func TestAssociate(t *testing.T) {
	t.Parallel()
	s := newSpine(t, signer.SealedKeeper)
	s.activate(ana, anaPhone)
	s.activate(eva, evaPhone)
	own, proofs := s.own(new(mailbox)), shown{}
	own.Proofs = proofs
	show := func(dni string, der []byte) signer.Ticket {
		t.Helper()
		ticket := signer.NewTicket()
		proofs[string(ticket.Hash())] = citizen.Enrolment{Hash: ticket.Hash(), Identifier: dni, Certificate: der}
		s.insider().run(`
			INSERT INTO enrolments (hash, kind, identifier, facts, seal_epoch, seal, created_at, expires_at)
			VALUES ($1, 'certificate', $2, '{}', 1, '', $3, $4)`, ticket.Hash(), dni, s.clock.Now(), s.clock.Now().Add(24*time.Hour))
		return ticket
	}
	first, second := certificateOf(t, 1), certificateOf(t, 2)
	ticket := s.comeIn(ana)
	answer := s.coded(ticket, signer.ForAssociation)
	s.refused("none was shown", own.Associate(t.Context(), answer, signer.NewTicket()), policies.SessionExpired)
	s.refused("somebody else's", own.Associate(t.Context(), answer, show(eva, first)), policies.IdentityMismatch)
	s.refused("none to remove", own.Dissociate(t.Context(), answer), policies.AssociationMissing)
	mine := show(ana, first)
	if err := own.Associate(t.Context(), answer, mine); err != nil {
		t.Fatalf("associating: %v", err)
	}
	s.invariants()
	c, _ := s.record()
	shownNow := must[*citizen.Association](t)(s.public.AssociatedCertificate(t.Context(), c.ID))
	if shownNow == nil || shownNow.Serial != "1" {
		t.Errorf("got %+v, want the first certificate", shownNow)
	}
	answer = s.coded(ticket, signer.ForAssociation)
	s.refused("another beside it", own.Associate(t.Context(), answer, show(ana, second)), policies.AssociationExists)
	hers := s.comeIn(eva)
	s.refused("in a second profile", own.Associate(t.Context(), s.coded(hers, signer.ForAssociation), show(eva, first)), policies.AssociationExists)
	if err := own.Dissociate(t.Context(), s.coded(ticket, signer.ForAssociation)); err != nil {
		t.Fatalf("removing: %v", err)
	}
	s.invariants()
	answer = s.coded(ticket, signer.ForAssociation)
	s.refused("a ticket that was used", own.Associate(t.Context(), answer, mine), policies.SessionExpired)
	s.clock.advance(time.Minute)
	if err := own.Associate(t.Context(), s.coded(ticket, signer.ForAssociation), show(ana, second)); err != nil {
		t.Errorf("assigning the new one: %v", err)
	}
	s.invariants()
}

// TestOwnLog: people read of themselves, and of nobody else.
func TestOwnLog(t *testing.T) {
	t.Parallel()
	s := newSpine(t, signer.SealedKeeper)
	s.activate(ana, anaPhone)
	s.activate(eva, evaPhone)
	own := s.own(new(mailbox))
	ticket := s.comeIn(ana)
	entries := must[[]citizen.LogEntry](t)(own.ReadLog(t.Context(), ticket, 0))
	want := s.count(`SELECT count(*) FROM log_entries WHERE person = $1`, ana)
	if len(entries) != want || want == 0 {
		t.Errorf("got %d entries, want %d", len(entries), want)
	}
	for _, e := range entries {
		if strings.Contains(string(e.Payload), eva) || !strings.Contains(string(e.Payload), ana) {
			t.Errorf("entry %d: got %s, want one about %s", e.Seq, e.Payload, ana)
		}
	}
	rest := must[[]citizen.LogEntry](t)(own.ReadLog(t.Context(), ticket, entries[len(entries)-1].Seq))
	if len(rest) != 0 {
		t.Errorf("got %d more entries, want none", len(rest))
	}
}

// TestHistory walks through ten thousand signatures of one citizen, page by
// page: none twice, none of anybody else, and the last page as fast as the first.
func TestHistory(t *testing.T) {
	t.Parallel()
	s := newSpine(t, signer.SealedKeeper)
	in := s.insider()
	in.run(`
		INSERT INTO requests (id, application_id, identifier, title, locale, return_url, idempotency_key, body_hash, state, created_at, expires_at, closed_at)
		SELECT p || n, 'app', p, 'Solicitud ' || n, 'es', 'https://sede.example/vuelta', p || n, '\x01',
			CASE n % 4 WHEN 0 THEN 'refused' ELSE 'signed' END, now() - (n / 2) * interval '1 minute', now(), now()
		FROM generate_series(1, 10000) n, unnest(ARRAY[$1, $2]) p`, ana, eva)
	in.run(`ANALYZE requests`)
	seen := map[string]bool{}
	var first, last time.Duration
	q := citizen.HistoryQuery{Identifier: ana, Limit: 100}
	for {
		began := time.Now()
		rows := must[[]citizen.HistoryRow](t)(s.public.History(t.Context(), q))
		last = time.Since(began)
		if first == 0 {
			first = last
		}
		if len(rows) == 0 {
			break
		}
		for i, r := range rows {
			if seen[r.ID] || !strings.HasPrefix(r.ID, ana) {
				t.Fatalf("got %s, want each of %s once", r.ID, ana)
			}
			if i > 0 && r.CreatedAt.After(rows[i-1].CreatedAt) {
				t.Fatalf("got %s after an older one", r.ID)
			}
			seen[r.ID] = true
		}
		q.Before = rows[len(rows)-1].Place()
	}
	if len(seen) != 10000 {
		t.Errorf("got %d signatures, want 10000", len(seen))
	}
	t.Logf("the first page took %s, the last %s", first, last)
	if last > 500*time.Millisecond {
		t.Errorf("the last page took %s", last)
	}
	plan := in.text(`
		EXPLAIN (FORMAT JSON) SELECT id FROM requests
		WHERE identifier = '12345678Z' AND state <> 'received' AND (created_at, id) < (now() - interval '40 hours', 'x')
		ORDER BY created_at DESC, id DESC LIMIT 26`)
	if !strings.Contains(plan, "requests_history") {
		t.Errorf("got a plan without the index:\n%s", plan)
	}
	refused := must[[]citizen.HistoryRow](t)(s.public.History(t.Context(), citizen.HistoryQuery{Identifier: ana, State: signer.Refused, Limit: 3000}))
	if len(refused) != 2500 {
		t.Errorf("got %d refused, want 2500", len(refused))
	}
	if askers := must[[]signer.Application](t)(s.public.Askers(t.Context(), ana)); len(askers) != 1 || askers[0].ID != "app" {
		t.Errorf("got %v, want one application", fmt.Sprint(askers))
	}
}
