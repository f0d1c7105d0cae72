package signer_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// A thousand confirmations of one code at once, over the module's own socket:
// one signs.
func TestThousandConfirmations(t *testing.T) {
	t.Parallel()
	overEither(t, func(s *spine) {
		t := s.T
		s.activate(ana, anaPhone)
		request, session := s.ready(ana, "uno")
		client, lent := s.client(), s.keys.lent.Load()
		answer := signer.Answer{Ticket: session.Ticket, Code: s.phone.last().Code}
		var (
			group              sync.WaitGroup
			authorised, signed atomic.Int32
		)
		for range 1000 {
			group.Go(func() {
				a, err := client.Authorise(t.Context(), answer)
				if err == nil {
					authorised.Add(1)
					err = client.Sign(t.Context(), a.SAD)
				}
				switch {
				case err == nil:
					signed.Add(1)
				case !isOne(err, policies.CodeUsed, policies.CodeExhausted, policies.SessionExpired):
					t.Errorf("unexpected: %v", err)
				}
			})
		}
		group.Wait()
		if a, b := authorised.Load(), signed.Load(); a != 1 || b != 1 {
			t.Errorf("%d authorisations and %d signatures, want 1 of each", a, b)
		}
		if got := s.keys.lent.Load() - lent; got != 1 {
			t.Errorf("the key was used %d times, want once", got)
		}
		if got, want := s.state(request), signer.Signed; got != want {
			t.Errorf("state %s, want %s", got, want)
		}
		in := s.insider()
		if got := in.text(`SELECT count(*)::text FROM challenges WHERE request_id = $1 AND purpose = 'signature' AND state = 'consumed'`, request); got != "1" {
			t.Errorf("%s codes consumed, want 1", got)
		}
		s.invariants()
	})
}

func isOne(err error, codes ...policies.Code) bool {
	for _, code := range codes {
		if errors.Is(err, policies.Refuse(code)) {
			return true
		}
	}
	return false
}

// Of a hundred guesses at once three are compared, and the count outlives them.
func TestParallelGuesses(t *testing.T) {
	t.Parallel()
	overEither(t, func(s *spine) {
		t := s.T
		s.activate(ana, anaPhone)
		request, session := s.ready(ana, "uno")
		macs, lent := s.keys.macs.Load(), s.keys.lent.Load()
		var (
			group    sync.WaitGroup
			compared atomic.Int32
		)
		for n := range 100 {
			group.Go(func() {
				err := s.answer(session, s.otherCode(n+1))
				if r, ok := errors.AsType[*policies.Refusal](err); ok && r.Code == policies.CodeWrong {
					compared.Add(1)
				} else if !isOne(err, policies.CodeExhausted) {
					t.Errorf("unexpected: %v", err)
				}
			})
		}
		group.Wait()
		// One HMAC each; the third answer says that the code is exhausted.
		if a, b := s.keys.macs.Load()-macs, compared.Load(); a != 3 || b != 2 {
			t.Errorf("%d codes compared, %d of them told so; want 3 and 2", a, b)
		}
		s.wants(s.sign(session), policies.CodeExhausted)
		s.unsigned("guessed", request, lent)
	})
}

// otherCode is a code of the right form that was not sent.
func (s *spine) otherCode(distance int) signer.Code {
	s.Helper()
	var n int
	if _, err := fmt.Sscan(strings.TrimLeft(s.phone.last().Code.Reveal(), "0")+" ", &n); err != nil {
		n = 0 // eight zeros
	}
	return must[signer.Code](s.T)(signer.ParseCode(fmt.Sprintf("%08d", (n+distance)%100_000_000)))
}

// Codes asked for at once, for one citizen's several requests, keep the pace.
func TestParallelDemands(t *testing.T) {
	t.Parallel()
	overEither(t, func(s *spine) {
		t := s.T
		s.activate(ana, anaPhone)
		_, _ = s.consent(ana, password, "primera")
		s.clock.advance(time.Hour)
		var sessions []signer.Session
		for n := range 12 {
			request := s.ask(ana, fmt.Sprint("documento ", n))
			session := s.again(request, password)
			s.fix(request, session)
			sessions = append(sessions, session)
		}
		before := len(s.phone.sent)
		var group sync.WaitGroup
		for _, session := range sessions {
			group.Go(func() {
				_, err := s.module.SendCode(t.Context(), signer.CodeOrder{Ticket: session.Ticket, Purpose: signer.ForSignature})
				if err != nil && !isOne(err, policies.CodeTooSoon) {
					t.Errorf("unexpected: %v", err)
				}
			})
		}
		group.Wait()
		if got := len(s.phone.sent) - before; got != 1 {
			t.Errorf("%d codes sent at once, want 1", got)
		}
		for range 10 {
			s.clock.advance(31 * time.Second)
			for _, session := range sessions {
				_, _ = s.module.SendCode(t.Context(), signer.CodeOrder{Ticket: session.Ticket, Purpose: signer.ForSignature})
			}
		}
		if got := len(s.phone.sent) - before; got != 5 {
			t.Errorf("%d codes sent within an hour, want 5", got)
		}
	})
}

// In a stored code that was altered no code is right: not the one that was
// sent, and not one that an attacker knows, who is a citizen himself. The list
// must name every column.
func TestAlteredChallenge(t *testing.T) {
	t.Parallel()
	overEither(t, func(s *spine) {
		t := s.T
		s.activate(ana, anaPhone)
		s.activate(eva, evaPhone)
		s.begin(signer.Pepper, 2)
		_, _ = s.consent(ana, password, "primera")
		_, attacker := s.ready(eva, "de Eva")
		known := s.phone.last().Code
		s.clock.advance(time.Minute)
		aside := s.ask(ana, "otro de Ana")
		elsewhere := s.again(aside, password)
		s.fix(aside, elsewhere)
		request, session := s.ready(ana, "uno", "dos")
		sent := s.phone.last().Code

		in := s.insider()
		in.keep("before")
		lent := s.keys.lent.Load()
		names := strings.NewReplacer(
			":mine", fmt.Sprintf(`ticket_hash = '\x%x'`, session.Ticket.Hash()),
			":evas", fmt.Sprintf(`ticket_hash = '\x%x'`, attacker.Ticket.Hash()),
			":ticket", fmt.Sprintf(`'\x%x'`, session.Ticket.Hash()), ":elsewhere", fmt.Sprintf(`'\x%x'`, elsewhere.Ticket.Hash()),
			":request", "'"+request+"'", ":aside", "'"+aside+"'")
		try := func(name, sql string, answers ...signer.Answer) {
			t.Helper()
			in.bring("before")
			in.alter(names.Replace(sql))
			for _, a := range answers {
				_, err := s.module.Authorise(t.Context(), a)
				s.refused(name, err)
			}
			s.unsigned(name, request, lent)
			s.unsigned(name, aside, lent)
		}
		right := []signer.Answer{{Ticket: session.Ticket, Code: sent}, {Ticket: elsewhere.Ticket, Code: sent}}

		for _, column := range in.columns("challenges") {
			alterations, given := alteredChallenges()[column]
			if !given {
				t.Errorf("nobody has said what altering challenges.%s does", column)
			}
			for n, sql := range alterations {
				try(fmt.Sprint(column, " ", n), sql, right...)
			}
		}
		for _, field := range boundNames() {
			value, given := otherDocument()[field]
			if !given {
				t.Errorf("nobody has said what altering a document's %s does", field)
				continue
			}
			sql := fmt.Sprintf(`UPDATE challenges SET documents = jsonb_set(documents, '{1,%s}', '%s') WHERE :mine`, field, value.json)
			try("documents."+field, sql, right...)
			// The same, with the request made to agree.
			try("documents."+field+" and the request's",
				fmt.Sprintf(`UPDATE documents SET %s WHERE request_id = :request AND ordinal = 2; `, value.columns)+sql, right...)
		}

		// Eva's own row, made to stand where Ana's stood: as it is, and with all
		// that it says made Ana's.
		const aside1 = `UPDATE challenges SET ticket_hash = 'aside' WHERE :mine; `
		for n, move := range []string{
			`UPDATE challenges SET ticket_hash = :ticket WHERE :evas`,
			`UPDATE challenges e SET ticket_hash = :ticket, request_id = a.request_id, citizen_id = a.citizen_id, reference = a.reference,
				documents = a.documents FROM challenges a WHERE a.ticket_hash = 'aside' AND e.:evas`,
			`UPDATE challenges e SET ticket_hash = :ticket, request_id = a.request_id, citizen_id = a.citizen_id, reference = a.reference,
				documents = a.documents, phone = a.phone, created_at = a.created_at, expires_at = a.expires_at
				FROM challenges a WHERE a.ticket_hash = 'aside' AND e.:evas`,
		} {
			try(fmt.Sprint("Eva's row ", n), aside1+move, signer.Answer{Ticket: session.Ticket, Code: known})
		}
		// The attacker's code in the victim's row.
		try("Eva's code", `UPDATE challenges SET mac = (SELECT mac FROM challenges WHERE :evas) WHERE :mine`,
			signer.Answer{Ticket: session.Ticket, Code: known})

		in.bring("before")
		if err := s.answer(session, sent); err != nil {
			t.Errorf("as it was: %v", err)
		}

		// Nor does a code outlive its five minutes in a row that gives it more.
		s.clock.advance(time.Minute)
		request, session = s.ready(ana, "tres")
		lent = s.keys.lent.Load()
		s.clock.advance(6 * time.Minute)
		in.alter(`UPDATE challenges SET expires_at = expires_at + interval '5 minutes' WHERE ticket_hash = $1`, session.Ticket.Hash())
		s.refused("kept alive", s.sign(session), policies.CodeWrong)
		s.unsigned("kept alive", request, lent)
	})
}

// alteredChallenges are what is done to each column of the code :mine.
func alteredChallenges() map[string][]string {
	set := func(assignment string) string { return `UPDATE challenges SET ` + assignment + ` WHERE :mine` }
	const evas = `(SELECT id FROM citizens WHERE identifier = '` + eva + `')`
	return map[string][]string{
		"id":           {set(`id = 'another'`)},
		"ticket_hash":  {set(`ticket_hash = :elsewhere`), set(`ticket_hash = :elsewhere, request_id = :aside`)},
		"purpose":      {set(`purpose = 'certificate'`), set(`purpose = 'password'`), set(`purpose = 'activation'`)},
		"request_id":   {set(`request_id = :aside`), set(`request_id = NULL`)},
		"citizen_id":   {set(`citizen_id = ` + evas)},
		"phone":        {set(`phone = '+34600999999'`)},
		"mac":          {set(`mac = set_byte(mac, 0, get_byte(mac, 0) # 1)`), set(`mac = ''`)},
		"reference":    {set(`reference = 'AAAA'`)},
		"documents":    {set(`documents = '[]'`), set(`documents = documents - 1`), set(`documents = jsonb_build_array(documents -> 1, documents -> 0)`)},
		"created_at":   {set(`created_at = created_at - interval '1 microsecond'`)},
		"expires_at":   {set(`expires_at = expires_at + interval '1 microsecond'`)},
		"pepper_epoch": {set(`pepper_epoch = 2`), set(`pepper_epoch = 3`)},
		"state":        {set(`state = 'prepared'`), set(`state = 'failed'`), set(`state = 'superseded'`), set(`state = 'consumed'`), set(`state = 'exhausted'`)},
		// Counting back gives more tries, each of which is in the log: nothing
		// that a code authorises is altered by it.
		"attempts": nil,
		// Of a request the application is the request's own; what a code without one
		// is for is held to it (TestErrand).
		"application_id": nil,
	}
}
