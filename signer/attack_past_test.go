package signer_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/internal/invariants"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// Rows as they were before a citizen's record changed, with the seal that was
// valid then, are not believed: neither all of them nor those that matter.
func TestOlderRows(t *testing.T) {
	t.Parallel()
	overEither(t, func(s *spine) {
		s.activate(ana, anaPhone)
		in, id, now := s.insider(), s.identifier(ana), password
		for _, event := range []struct {
			name   string
			happen func() error
			undo   func()
		}{
			{"password changed", func() error { return s.change(password) }, func() { now = second }},
			{"blocked", func() error { return s.register.Block(s.Context(), id, order()) }, func() {
				if err := s.register.Unblock(s.Context(), id, order()); err != nil {
					s.Fatalf("unblocking: %v", err)
				}
			}},
			{"revoked", func() error { return s.register.Revoke(s.Context(), id, order(), citizen.KeyCompromise) }, func() {
				s.clock.advance(time.Hour)
				s.forget(password)
				now = password
			}},
			{"password forgotten", func() error {
				s.forget(second)
				return nil
			}, func() { now = second }},
			{"deregistered", func() error { return s.register.Deregister(s.Context(), id, order()) }, nil},
		} {
			s.step(event.name, func() {
				d := s.doors(in, now)
				in.keep("before")
				s.clock.advance(time.Minute)
				if err := event.happen(); err != nil {
					s.Fatalf("unexpected: %v", err)
				}
				in.keep("after")
				in.bring("before")
				d.shut("all rows", true)
				in.bring("after")
				in.bring("before", "citizens", "credentials", "certificates", "tickets", "challenges", "authorisations")
				d.shut("the citizen's rows", true)
				// The one that counts today, with the row of yesterday.
				in.alter(`UPDATE citizens c SET seal = k.seal, version = k.version FROM kept.after_citizens k WHERE k.id = c.id`)
				d.shut("the newest seal", true)
				in.bring("after")
				in.bring("before", "credentials", "certificates", "tickets", "challenges", "authorisations")
				d.shut("key and consent", event.name != "blocked")
				in.bring("after")
				s.invariants()
			})
			if event.undo != nil {
				event.undo()
				s.signs(ana, now)
			}
		}
	})
}

// What an office or the citizen has ended does not come back by a column.
func TestUndone(t *testing.T) {
	t.Parallel()
	overEither(t, func(s *spine) {
		s.activate(ana, anaPhone)
		in := s.insider()
		d := s.doors(in, password)
		in.keep("before")
		if err := s.register.Block(s.Context(), s.identifier(ana), order()); err != nil {
			s.Fatalf("blocking: %v", err)
		}
		in.bring("before", "tickets", "challenges", "authorisations")
		in.alter(`UPDATE citizens SET status = 'active'`)
		d.shut("unblocked by a column", true)
		in.alter(`UPDATE citizens SET status = 'blocked'`)
		if err := s.register.Revoke(s.Context(), s.identifier(ana), order(), citizen.KeyCompromise); err != nil {
			s.Fatalf("revoking: %v", err)
		}
		in.bring("before", "tickets", "challenges", "authorisations", "credentials")
		in.alter(`UPDATE certificates SET revoked_at = NULL, reason = NULL`)
		d.shut("a revocation lifted by a column", true)
	})
}

// The log says which version is the newest: altering what it says, or taking it
// away, makes no other one pass.
func TestLogOfVersions(t *testing.T) {
	t.Parallel()
	overEither(t, func(s *spine) {
		s.activate(ana, anaPhone)
		in := s.insider()
		d := s.doors(in, password)
		in.keep("before")
		in.run(`CREATE TABLE kept.newest AS TABLE log_entries`)
		in.run(`DELETE FROM kept.newest WHERE seq <> (SELECT max(seq) FROM log_entries WHERE type = 'citizen.sealed' AND person = $1)`, ana)
		version := in.text(`SELECT convert_from(payload, 'UTF8')::jsonb ->> 'version' FROM kept.newest`)
		const newest = ` WHERE seq = (SELECT seq FROM kept.newest)`
		for what, sql := range map[string]string{
			"deleted": `DELETE FROM log_entries` + newest,
			"payload": fmt.Sprintf(`UPDATE log_entries SET payload = convert_to(replace(convert_from(payload, 'UTF8'),
				'"version":%s', '"version":9%[1]s'), 'UTF8')`, version) + newest,
			"erased":          `UPDATE log_entries SET payload = NULL, salt = NULL` + newest,
			"another person":  `UPDATE log_entries SET person = '` + eva + `'` + newest,
			"another type":    `UPDATE log_entries SET type = 'service.started'` + newest,
			"another's words": `UPDATE log_entries SET (payload, salt, leaf) = (SELECT payload, salt, leaf FROM log_entries WHERE type = 'registration.created' LIMIT 1)` + newest,
		} {
			in.alter(sql)
			d.shut(what, true)
			if err := s.checker.Check(s.Context()); !errors.Is(err, invariants.ErrBroken) {
				s.Errorf("%s: the checker says %v, want a broken invariant", what, err)
			}
			in.run(`DELETE FROM log_entries` + newest)
			in.run(`INSERT INTO log_entries TABLE kept.newest`)
			in.bring("before")
			s.invariants()
		}
		d.sign()
	})
}

// Who can add entries, as the signer's own role can, repeats the one that told
// of an older version, beside the older row: the greatest version counts, not
// the last entry.
func TestOlderEntryRepeated(t *testing.T) {
	t.Parallel()
	s := newSpine(t, signer.SealedKeeper)
	s.activate(ana, anaPhone)
	in := s.insider()
	in.keep("before")
	if err := s.register.Block(t.Context(), s.identifier(ana), order()); err != nil {
		t.Fatalf("blocking: %v", err)
	}
	in.bring("before")
	in.alter(`
		INSERT INTO log_entries (seq, type, operation, person, at, leaf, payload, salt)
		SELECT 1000000000, type, operation, person, at, leaf, payload, salt
		FROM log_entries
		WHERE seq = (
			SELECT seq FROM log_entries WHERE type = 'citizen.sealed' AND person = '` + ana + `' ORDER BY seq DESC OFFSET 1 LIMIT 1
		)`)
	_, err := s.identify("", ana, password)
	if !errors.Is(err, policies.Refuse(policies.RecordTampered)) {
		t.Errorf("got %v, want record_tampered", err)
	}
}

// Against whoever puts a whole database back to yesterday, log included, only
// those help who have seen today's log: here the checker, who has.
func TestYesterdaysDatabaseIsSeen(t *testing.T) {
	t.Parallel()
	s := newSpine(t, signer.SealedKeeper)
	s.activate(ana, anaPhone)
	in := s.insider()
	_, _ = s.consent(ana, password, "uno")
	in.keep("before")
	last := in.text(`SELECT max(seq)::text FROM log_entries`)
	if err := s.register.Block(t.Context(), s.identifier(ana), order()); err != nil {
		t.Fatalf("blocking: %v", err)
	}
	s.invariants()
	in.bring("before")
	in.alter(`DELETE FROM log_entries WHERE seq > ` + last)
	if err := s.checker.Check(t.Context()); !errors.Is(err, invariants.ErrBroken) || !strings.Contains(err.Error(), "I5") {
		t.Errorf("the checker says %v, want I5 broken", err)
	}
}

// A network that the insider makes familiar gives more tries, each counted and
// in the log, and nothing else: the fifth wrong one locks.
func TestFamiliarByInsider(t *testing.T) {
	t.Parallel()
	s := newSpine(t, signer.SealedKeeper)
	s.activate(ana, anaPhone)
	in := s.insider()
	in.alter(`INSERT INTO familiar_sources (subject, source, last_at) VALUES ($1, $2, $3)`, ana, signer.Source(elsewhere), s.clock.Now())
	for range 4 {
		_, err := s.identifyFrom(elsewhere, "", ana, "Equivocada-1")
		s.wants(err, policies.CredentialsWrong)
	}
	_, err := s.identifyFrom(elsewhere, "", ana, "Equivocada-1")
	s.wantsPause(err, time.Minute)
	s.clock.advance(time.Minute)
	_, err = s.identifyFrom(elsewhere, "", ana, password)
	s.wants(err, policies.PasswordLocked)
}

// A ticket that this service did not write as it stands opens nothing. The list
// must name every column.
func TestAlteredTicket(t *testing.T) {
	t.Parallel()
	overEither(t, func(s *spine) {
		s.activate(ana, anaPhone)
		s.activate(eva, evaPhone)
		_, attacker := s.ready(eva, "de Eva")
		_, _ = s.consent(ana, password, "primera")
		other := s.ask(ana, "otra")
		elsewhere := s.again(other, password)
		s.fix(other, elsewhere)
		s.clock.advance(time.Minute)
		request, session := s.ready(ana, "uno")
		code, lent, in := s.phone.last().Code, s.keys.lent.Load(), s.insider()
		in.keep("before")
		names := strings.NewReplacer(":mine", fmt.Sprintf(`hash = '\x%x'`, session.Ticket.Hash()), ":other", "'"+other+"'",
			":elsewhere", fmt.Sprintf(`'\x%x'`, elsewhere.Ticket.Hash()), ":attacker", fmt.Sprintf(`'\x%x'`, attacker.Ticket.Hash()),
			":eva", "'"+s.citizen(eva)+"'")
		for _, column := range in.columns("tickets") {
			alterations, known := alteredTickets()[column]
			if !known {
				s.Errorf("nobody has said what altering tickets.%s does", column)
			}
			for n, sql := range alterations {
				what := fmt.Sprint(column, " ", n)
				in.bring("before")
				in.alter(names.Replace(sql))
				for _, ticket := range []signer.Ticket{session.Ticket, elsewhere.Ticket, attacker.Ticket} {
					s.refused(what, s.answer(signer.Session{Ticket: ticket}, code))
				}
				s.unsigned(what, request, lent)
				s.unsigned(what, other, lent)
			}
		}
		in.bring("before")
		if err := s.answer(session, code); err != nil {
			s.Errorf("as it was: %v", err)
		}
	})
}

func alteredTickets() map[string][]string {
	set := func(assignment string) string { return `UPDATE tickets SET ` + assignment + ` WHERE :mine` }
	of := func(column, whose string) string {
		return set(fmt.Sprintf(`%s = (SELECT o.%[1]s FROM tickets o WHERE o.hash = %s)`, column, whose))
	}
	return map[string][]string{
		"hash": {
			`DELETE FROM tickets WHERE hash = :attacker; ` + set(`hash = :attacker`),
			`DELETE FROM tickets WHERE hash = :attacker; UPDATE challenges SET ticket_hash = :attacker WHERE ticket_` +
				`:mine; UPDATE documents SET fixed_for = :attacker; ` + set(`hash = :attacker`),
		},
		"purpose":       {set(`purpose = 'affairs'`), set(`purpose = 'activation'`), set(`purpose = 'access', via = 'password'`)},
		"request_id":    {set(`request_id = :other`), set(`request_id = NULL`)},
		"citizen_id":    {set(`citizen_id = :eva`)},
		"credential_id": {of("credential_id", ":attacker"), set(`credential_id = NULL`)},
		"generation":    {set(`generation = generation - 1`), set(`generation = generation + 1`)},
		"sealed_key":    {of("sealed_key", ":elsewhere"), of("sealed_key", ":attacker"), set(`sealed_key = NULL`)},
		"source":        {set(`source = '203.0.113.0/24'`)},
		"replaces":      {set(`replaces = NOT replaces`)},
		"expires_at":    {set(`expires_at = expires_at + interval '1 hour'`), set(`expires_at = expires_at + interval '1 microsecond'`)},
		"spent_at":      {set(`spent_at = now(), sealed_key = NULL`)},
		// Of an activation's alone, or never read.
		"verified": nil, "seal_epoch": nil, "seal": nil, "created_at": nil,
		// Of a ticket for one's own pages alone (TestAlteredAccess).
		"via": nil,
	}
}

// An activation's ticket guards no key: its seal is what says that the code by
// SMS was right.
func TestAlteredActivation(t *testing.T) {
	t.Parallel()
	overEither(t, func(s *spine) {
		s.activate(ana, anaPhone)
		receipt := must[citizen.Receipt](s.T)(s.register.Register(s.Context(), s.person(eva, evaPhone)))
		a := s.person(eva, evaPhone)
		session, _, err := s.register.StartActivation(s.Context(), citizen.Claim{Identifier: a.Identifier, Email: a.Email, Code: receipt.ActivationCode, RemoteAddr: home})
		if err != nil {
			s.Fatalf("starting an activation: %v", err)
		}
		victim, in, sent := s.citizen(ana), s.insider(), len(s.phone.sent)
		// Ana's office has given her a code, too: nothing else stands in the way.
		_ = must[citizen.Receipt](s.T)(s.register.RenewActivation(s.Context(), s.identifier(ana), citizen.By{Office: "office"}))
		own := signer.NewTicket()
		try := func(what string, ticket signer.Ticket, sql string, args ...any) {
			s.Helper()
			in.keep("before")
			in.alter(sql, args...)
			s.refused(what, s.register.SetPassword(s.Context(), ticket, s.chosen(second)), policies.RecordTampered, policies.SessionExpired)
			_, err = s.module.SendCode(s.Context(), signer.CodeOrder{Ticket: ticket, Purpose: signer.ForActivation})
			s.refused(what+": a code", err, policies.RecordTampered)
			if got := s.rows("credentials"); got != 1 {
				s.Errorf("%s: %d passwords, want Ana's", what, got)
			}
			in.bring("before")
		}
		s.clock.advance(time.Minute)
		try("verified", session.Ticket, `UPDATE tickets SET verified = true`)
		try("moved", session.Ticket, `UPDATE tickets SET citizen_id = $1`, victim)
		try("moved and verified", session.Ticket, `UPDATE tickets SET citizen_id = $1, verified = true`, victim)
		try("kept alive", session.Ticket, `UPDATE tickets SET expires_at = expires_at + interval '1 hour', verified = true`)
		try("inserted", own, `
			INSERT INTO tickets (hash, purpose, citizen_id, generation, verified, expires_at, seal_epoch, seal)
			SELECT $1, 'activation', $2, 0, true, now() + interval '1 hour', 1, seal FROM citizens WHERE id = $2`, own.Hash(), victim)
		if err := s.register.Confirm(s.Context(), signer.Answer{Ticket: session.Ticket, Code: s.phone.last().Code}); err != nil {
			s.Fatalf("confirming: %v", err)
		}
		try("moved when it was verified", session.Ticket, `UPDATE tickets SET citizen_id = $1`, victim)
		if len(s.phone.sent) != sent {
			s.Errorf("a code went to %s", s.phone.last().Phone)
		}
		if err := s.register.SetPassword(s.Context(), session.Ticket, s.chosen(password)); err != nil {
			s.Errorf("as it was: %v", err)
		}
		s.signs(ana, password)
	})
}
