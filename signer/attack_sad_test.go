package signer_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// Whatever of a stored authorisation is altered, it signs nothing. The lists
// must name every column and every field of a document: a new one fails here
// until somebody has said what altering it does.
func TestAlteredAuthorisation(t *testing.T) {
	t.Parallel()
	overBoth(t, func(s *spine) {
		t := s.T
		s.activate(ana, anaPhone)
		s.activate(eva, evaPhone)
		_, _ = s.consent(eva, password, "de Eva")
		in := s.insider()
		in.run(`UPDATE authorisations SET expires_at = 'infinity' WHERE state = 'authorised'`) // only its box is of use
		aside, _ := s.consent(ana, password, "otro de Ana")
		request := s.ask(ana, "uno", "dos")
		s.clock.advance(time.Minute)
		sad := s.consentTo(request, ana, password)
		s.addOtherApplication()
		in.keep("before")
		lent := s.keys.lent.Load()
		names := strings.NewReplacer(":sad", fmt.Sprintf(`'\x%x'::bytea`, sad.Hash()), ":request", "'"+request+"'", ":aside", "'"+aside+"'")
		try := func(name, sql string) {
			t.Helper()
			in.bring("before")
			in.alter(names.Replace(sql))
			s.refused(name, s.module.Sign(t.Context(), sad))
			s.unsigned(name, request, lent)
			s.unsigned(name, aside, lent)
		}

		for _, column := range in.columns("authorisations") {
			alterations, known := alteredAuthorisations()[column]
			if !known {
				t.Errorf("nobody has said what altering authorisations.%s does", column)
			}
			for n, sql := range alterations {
				try(fmt.Sprint(column, " ", n), sql)
			}
		}
		for _, field := range boundNames() {
			other, known := otherDocument()[field]
			if !known {
				t.Errorf("nobody has said what altering a document's %s does", field)
				continue
			}
			for n := range 2 {
				authorised := set(fmt.Sprintf(`documents = jsonb_set(documents, '{%d,%s}', '%s')`, n, field, other.json))
				try(fmt.Sprintf("documents[%d].%s", n, field), authorised)
				// The same, with the request made to agree.
				try(fmt.Sprintf("documents[%d].%s and the request's", n, field), fmt.Sprintf(
					`UPDATE documents SET %s WHERE request_id = :request AND ordinal = %d; %s`, other.columns, n+1, authorised))
			}
		}

		in.bring("before")
		if err := s.module.Sign(t.Context(), sad); err != nil {
			t.Errorf("as it was: %v", err)
		}
	})
}

func set(assignment string) string {
	return `UPDATE authorisations SET ` + assignment + ` WHERE sad_hash = :sad`
}

// alteredAuthorisations are what is done to each column of the authorisation
// :sad of the request :request.
func alteredAuthorisations() map[string][]string {
	// The value of another authorisation: of the same citizen, or of Eva.
	const mine, evas = `request_id = :aside`, `citizen_id = (SELECT id FROM citizens WHERE identifier = '` + eva + `')`
	of := func(column, whose string) string {
		return set(fmt.Sprintf(`%s = (SELECT o.%[1]s FROM authorisations o WHERE o.%s)`, column, whose))
	}
	lead := func(whose string) string {
		return set(`sad_hash = NULL`) + `; UPDATE authorisations SET sad_hash = :sad WHERE ` + whose
	}
	return map[string][]string{
		"id":             {set(`id = 'another'`)},
		"request_id":     {of("request_id", mine), of("request_id", evas)},
		"application_id": {set(`application_id = 'other'`), `UPDATE requests SET application_id = 'other' WHERE id = :request; ` + set(`application_id = 'other'`)},
		"challenge_id":   {set(`challenge_id = 'another'`)},
		"citizen_id":     {of("citizen_id", evas)},
		"credential_id":  {of("credential_id", evas)},
		"generation":     {set(`generation = generation - 1`), set(`generation = generation + 1`)},
		"serial":         {of("serial", evas)},
		"certificate":    {of("certificate", evas)},
		"algorithm":      {set(`algorithm = 'ec-p384'`), set(`algorithm = 'rsa-3072'`)},
		"documents": {
			set(`documents = '[]'`),
			set(`documents = documents - 1`),
			set(`documents = documents || jsonb_build_array(documents -> 1)`),
			set(`documents = jsonb_build_array(documents -> 1, documents -> 0)`),
			// One less, and the request agrees.
			`DELETE FROM documents WHERE request_id = :request AND ordinal = 2; ` + set(`documents = documents - 1`),
			// Another order, and the request agrees.
			`UPDATE documents d SET digest = o.digest FROM documents o
				WHERE d.request_id = :request AND o.request_id = :request AND o.ordinal = 3 - d.ordinal; ` +
				set(`documents = jsonb_set(jsonb_set(documents, '{0,digest}', documents #> '{1,digest}'), '{1,digest}', documents #> '{0,digest}')`),
		},
		"created_at": {set(`created_at = created_at - interval '1 microsecond'`)},
		"expires_at": {set(`expires_at = expires_at + interval '1 microsecond'`), set(`expires_at = expires_at + interval '1 hour'`)},
		"sealed_key": {of("sealed_key", mine), of("sealed_key", evas), set(`sealed_key = set_byte(sealed_key, 20, get_byte(sealed_key, 20) # 1)`)},
		// The SAD then leads to another row.
		"sad_hash": {lead(mine), lead(evas)},
		"state":    {set(`state = 'void', sealed_key = NULL, ended_at = now()`), set(`state = 'spent', sealed_key = NULL, ended_at = now()`)},
		// Not yet written, and not read before this service has written them.
		"lease_until": nil,
		"ended_at":    nil,
	}
}

// boundNames are the fields of a document as authorisations and codes have it.
func boundNames() []string {
	var names []string
	for field := range reflect.TypeFor[signer.Bound]().Fields() {
		names = append(names, field.Tag.Get("json"))
	}
	return names
}

// other is another value for a field of a document: in JSON, and as the
// request's columns say it.
type other struct{ json, columns string }

func otherDocument() map[string]other {
	return map[string]other{
		"ordinal":      {`7`, `ordinal = 7`},
		"format":       {`"cades-attached"`, `format = 'cades-attached'`},
		"hash":         {`"` + signer.SHA512 + `"`, `hash = '` + signer.SHA512 + `'`},
		"digest":       {`"` + strings.Repeat("A", 43) + `="`, `digest = decode(repeat('00', 32), 'hex')`},
		"signing_time": {`"2020-01-01T00:00:00Z"`, `signing_time = '2020-01-01T00:00:00Z'`},
		"attributes":   {`{"policy": "2.16.724.1.3.1.1.2.1.9"}`, `attributes = '{"policy": "2.16.724.1.3.1.1.2.1.9"}'`},
	}
}

func (s *spine) addOtherApplication() {
	s.Helper()
	err := s.db.AddApplication(s.Context(), signer.Client{
		ID: "other", Name: "Otra sede", Organisation: "Otra", SecretHash: make([]byte, 32), Scopes: []string{"signature"},
	}, s.clock.Now())
	if err != nil {
		s.Fatalf("adding an application: %v", err)
	}
}

// Of any number of uses of one authorisation exactly one signs.
func TestAuthorisationIsSpentOnce(t *testing.T) {
	t.Parallel()
	overBoth(t, func(s *spine) {
		t := s.T
		s.activate(ana, anaPhone)
		_, sad := s.consent(ana, password, "uno")
		if err := s.module.Sign(t.Context(), sad); err != nil {
			t.Fatalf("signing: %v", err)
		}
		s.wants(s.module.Sign(t.Context(), sad), policies.AuthorisationInvalid)

		request, sad := s.consent(ana, password, "dos")
		lent := s.keys.lent.Load()
		var (
			group  sync.WaitGroup
			signed atomic.Int32
		)
		for range 50 {
			group.Go(func() {
				switch err := s.module.Sign(t.Context(), sad); {
				case err == nil:
					signed.Add(1)
				case !errors.Is(err, policies.Refuse(policies.AuthorisationInvalid)):
					t.Errorf("got %v, want %s", err, policies.AuthorisationInvalid)
				}
			})
		}
		group.Wait()
		if got := signed.Load(); got != 1 {
			t.Errorf("%d uses signed, want 1", got)
		}
		if got := s.keys.lent.Load() - lent; got != 1 {
			t.Errorf("the key was used %d times, want once", got)
		}
		if n := s.logged("sign.intent", request); n != 1 {
			t.Errorf("%d intents in the log, want 1", n)
		}
		s.invariants()
	})
}

// An authorisation is good for five minutes to the second.
func TestAuthorisationExpires(t *testing.T) {
	t.Parallel()
	overBoth(t, func(s *spine) {
		t := s.T
		s.activate(ana, anaPhone)
		_, sad := s.consent(ana, password, "uno")
		s.clock.advance(5*time.Minute - time.Second)
		if err := s.module.Sign(t.Context(), sad); err != nil {
			t.Errorf("a second before: %v", err)
		}
		for _, late := range []time.Duration{0, time.Second} {
			request, sad := s.consent(ana, password, "dos")
			lent := s.keys.lent.Load()
			s.clock.advance(5*time.Minute + late)
			s.wants(s.module.Sign(t.Context(), sad), policies.AuthorisationExpired)
			s.unsigned("expired", request, lent)
		}
	})
}

// No authorisation outlives its certificate, and none is given after it.
func TestCertificateEnds(t *testing.T) {
	t.Parallel()
	overBoth(t, func(s *spine) {
		s.activate(ana, anaPhone)
		s.signs(ana, password)
		_, k := s.record()
		s.clock.advance(k.Certificate.NotAfter.Add(-3 * time.Hour).Sub(s.clock.Now()))
		if err := s.change(password); err != nil { // which is too old by now
			s.Fatalf("changing the password: %v", err)
		}
		s.clock.advance(k.Certificate.NotAfter.Add(-time.Hour - time.Minute).Sub(s.clock.Now()))
		request, sad := s.consent(ana, second, "uno") // an hour later
		lent := s.keys.lent.Load()
		late := s.ask(ana, "dos")
		session := s.again(late, second)
		if !session.Certified {
			s.Error("the certificate has ended before its time")
		}
		s.fix(late, session)
		s.clock.advance(2 * time.Minute)
		s.wants(s.module.Sign(s.Context(), sad), policies.CertificateExpired)
		_, err := s.module.SendCode(s.Context(), signer.CodeOrder{Ticket: session.Ticket, Purpose: signer.ForSignature})
		s.wants(err, policies.CertificateExpired)
		s.unsigned("expired", request, lent)
		s.unsigned("expired", late, lent)
	})
}

// What ends an authorisation before it is spent.
func TestAuthorisationIsVoid(t *testing.T) {
	t.Parallel()
	const third = "Vencejo-9-gris"
	overBoth(t, func(s *spine) {
		t := s.T
		s.activate(ana, anaPhone)
		s.addOtherApplication()
		id, in, now := s.identifier(ana), s.insider(), password
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatalf("unexpected: %v", err)
			}
		}
		for _, c := range []struct {
			name string
			end  func(request string)
			want policies.Code
		}{
			{"documents fixed for another session", func(request string) {
				session := s.again(request, now)
				s.clock.advance(time.Second)
				s.fix(request, session)
			}, policies.AuthorisationInvalid},
			{"another authorisation of the request", func(request string) {
				s.clock.advance(time.Minute)
				_ = s.consentTo(request, ana, now)
			}, policies.AuthorisationInvalid},
			{"refused by the citizen", func(request string) {
				must(s.module.Refuse(t.Context(), s.again(request, now).Ticket))
			}, policies.RequestState},
			{"moved to another application", func(request string) {
				in.alter(`UPDATE requests SET application_id = 'other' WHERE id = $1`, request)
			}, policies.AuthorisationInvalid},
			{"moved to another citizen", func(request string) {
				in.alter(`UPDATE requests SET identifier = $2 WHERE id = $1`, request, eva)
			}, policies.AuthorisationInvalid},
			{"password changed", func(string) {
				must(s.change(now))
				now = second
			}, policies.AuthorisationInvalid},
			{"blocked", func(string) { must(s.register.Block(t.Context(), id, order())) }, policies.AuthorisationInvalid},
			{"blocked and unblocked", func(string) {
				must(s.register.Block(t.Context(), id, order()))
				must(s.register.Unblock(t.Context(), id, order()))
			}, policies.AuthorisationInvalid},
			{"password forgotten", func(string) {
				s.forget(third)
				now = third
			}, policies.AuthorisationInvalid},
			{"revoked", func(string) { must(s.register.Revoke(t.Context(), id, order(), citizen.KeyCompromise)) }, policies.AuthorisationInvalid},
			{"deregistered", func(string) { must(s.register.Deregister(t.Context(), id, order())) }, policies.AuthorisationInvalid},
		} {
			s.step(c.name, func() {
				request, sad := s.consent(ana, now, c.name)
				lent := s.keys.lent.Load()
				c.end(request)
				s.refused(c.name, s.module.Sign(s.Context(), sad), c.want)
				s.unsigned(c.name, request, lent)
				s.invariants()
			})
			switch c.name {
			case "blocked":
				must(s.register.Unblock(t.Context(), id, order()))
			case "revoked":
				s.forget(second)
				now = second
			}
		}
	})
}

// again identifies Ana for a request once more.
func (s *spine) again(request, password string) signer.Session {
	s.Helper()
	return must[signer.Session](s.T)(s.identify(request, ana, password))
}
