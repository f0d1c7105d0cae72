package signer_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/api/pages"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/notify/catalogue"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// claims is what of registering somebody can do who has not come in.
type claims struct {
	pages.Register // what is not asked for panics

	people *citizen.Service
}

func (c claims) StartActivation(ctx context.Context, claim citizen.Claim) (signer.Session, signer.Challenge, error) {
	return c.people.StartActivation(ctx, claim)
}

// street is the doors that ask who somebody is, as browsers meet them, over the
// services and a database.
type street struct {
	*mailroom

	town   *town
	site   http.Handler
	visits int
}

func newStreet(t *testing.T) *street {
	t.Helper()
	s := &street{mailroom: newMailroom(t)}
	s.town = townOf(s.entrance)
	words := must[*catalogue.Catalogue](t)(catalogue.New())
	drawn := must[*pages.Pages](t)(pages.New(pages.Options{Catalogue: words, Development: true}))
	door := pages.NewDoor(pages.DoorConfig{
		Pages: drawn, Store: s.public, Module: s.module, Register: claims{people: s.register}, Rules: policies.DefaultRules(), Now: s.clock.Now,
	})
	limits := api.DefaultLimits()
	limits.Attempts = api.Rate{Every: time.Nanosecond, Burst: 1 << 20} // of one network, whoever it asks about
	s.site = must[http.Handler](t)(api.New(api.Config{
		PublicURL: "http://rubrica.example", Catalogue: words, ErrorPage: door.Trouble, Limits: limits, Logger: s.journal.logger(), Now: s.clock.Now,
		Rooms: []func(*api.Site){
			door.Room, pages.OwnRoom{Door: door}.Room, pages.PinRoom{Door: door, Pins: s.pins}.Room,
			pages.CardRoom{Door: door, Cards: s.town.cards}.Room, pages.LetterRoom{Door: door, Letters: s.letters}.Room,
		},
	}))
	return s
}

// kinds of people; each has a card.
const (
	registeredOnly = "11111111H"
	lockedOut      = "22222222J"
	blockedOne     = "33333333P"
	goneOne        = "44444444A"
	deadOne        = "55555555K"
	nobody         = "66666666Q"
)

// populate has somebody of each kind live here; the last is nobody.
func (s *street) populate() map[string]string {
	s.Helper()
	kinds := map[string]string{
		"known": ana, "registered": registeredOnly, "locked": lockedOut, "blocked": blockedOne, "deregistered": goneOne, "deceased": deadOne, "stranger": nobody,
	}
	for i, dni := range []string{ana, lockedOut, blockedOne, goneOne, deadOne} {
		s.activate(dni, fmt.Sprintf("60000010%d", i))
	}
	_, err := s.register.Register(s.Context(), s.person(registeredOnly, "600000110"))
	s.well("registering", err)
	for range signer.DefaultLimits().Password.Tries {
		_, err := s.identifyFrom(home, "", lockedOut, "Equivocada-1")
		s.refused("a wrong password", err)
	}
	s.well("blocking", s.register.Block(s.Context(), s.identifier(blockedOne), order()))
	s.well("deregistering", s.register.Deregister(s.Context(), s.identifier(goneOne), order()))
	s.well("reporting a death", s.register.ReportDeath(s.Context(), s.identifier(deadOne), order()))
	return kinds
}

// card is the number of somebody's card; the stranger has none.
func card(dni string) string { return "9" + dni[:8] }

// step is a form that is sent at a door.
type step struct {
	path string
	form url.Values
}

// Whoever is asked about at a door, it answers the same to the last byte, again
// and again until it says no more: to a stranger, to whoever is registered,
// active, locked out, blocked, deregistered or dead.
func TestDoorsTellNothing(t *testing.T) {
	t.Parallel()
	s := newStreet(t)
	kinds := s.populate()
	for kind, dni := range kinds {
		if kind != "stranger" {
			s.town.add(card(dni), dni)
		}
	}
	again := func(n int, steps ...step) []step { return slices.Concat(slices.Repeat([][]step{steps}, n)...) }
	for door, steps := range map[string]func(dni string) []step{
		"password": func(dni string) []step {
			guess := "Equivocada-1"
			if dni == goneOne || dni == deadOne {
				guess = password // which was right, once
			}
			return again(8, step{"/mi/entrar", url.Values{"identifier": {dni}, "password": {guess}}})
		},
		"changing a password": func(dni string) []step {
			return again(3, step{"/contrasena", url.Values{"identifier": {dni}, "password_now": {"Equivocada-1"}}})
		},
		"PIN": func(dni string) []step {
			ask := step{"/pin", url.Values{"identifier": {dni}, "document_until": {s.valid}, "access_key": {"ab12"}}}
			answer := step{"/pin/codigo", url.Values{"access_key": {"ab12"}, "pin": {"123456789"}}}
			return again(4, append([]step{ask, {path: "/pin/codigo"}}, again(5, answer)...)...)
		},
		"card": func(dni string) []step {
			form := url.Values{"card": {card(dni)}, "card_pin": {"1111"}, "operations_key": {noKey}}
			ask := []step{{"/tarjeta/clave", form}, {path: "/tarjeta/clave/pedida"}}
			return append(ask, again(8, step{"/tarjeta", form})...)
		},
		"activation": func(dni string) []step {
			return again(8, step{"/activar", url.Values{"identifier": {dni}, "email": {"ana@example.es"}, "activation_code": {"ABCD-EFGH-JKLM-NPQR"}}})
		},
		"letter": func(dni string) []step {
			form := url.Values{"identifier": {dni}, "document_until": {s.valid}, "iban": {leoAccount}, "csv": {"ABCD-EFGH-JKLM-NPQR"}}
			ask := []step{{"/registro/carta", form}, {path: "/registro/carta/pedida"}}
			return append(again(2, ask...), again(12, step{"/registro/carta/codigo", form})...)
		},
		"forgotten password": func(string) []step { return []step{{path: "/contrasena/olvidada"}} },
	} {
		want := s.visit(steps(nobody), nobody)
		for kind, dni := range kinds {
			if kind == "stranger" {
				continue
			}
			for i, got := range s.visit(steps(dni), dni) {
				if diff := cmp.Diff(want[i], got); diff != "" {
					t.Errorf("%s, %s, time %d (-stranger +%s):\n%s", door, kind, i+1, kind, diff)
					break
				}
			}
		}
	}
	s.clock.advance(24 * time.Hour)
	_, err := s.identifyFrom(home, "", lockedOut, password)
	s.refused("the password of somebody who is locked out", err, policies.PasswordLocked)
	s.invariants()
}

// visit goes through steps in one browser, from one address of its own, and
// returns each answer in full, without what is drawn anew each time: the date,
// cookies' values, whom the form was about.
func (s *street) visit(steps []step, dni string) []string {
	s.Helper()
	held := make(map[string]string)
	s.visits++
	var answers []string
	for _, at := range steps {
		method := http.MethodGet
		if at.form != nil {
			method = http.MethodPost
		}
		r := httptest.NewRequestWithContext(s.Context(), method, "http://rubrica.example"+at.path, strings.NewReader(at.form.Encode()))
		r.RemoteAddr = fmt.Sprintf("203.0.%d.7:40000", s.visits)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		for name, value := range held {
			r.AddCookie(&http.Cookie{Name: name, Value: value})
		}
		w := httptest.NewRecorder()
		s.site.ServeHTTP(w, r)
		s.pins.Wait()
		s.town.cards.Wait()
		if w.Code >= http.StatusInternalServerError {
			s.Fatalf("%s %s: got status %d: %s", method, at.path, w.Code, s.journal.text())
		}
		header := w.Header().Clone()
		header.Del("Date")
		header.Del("X-Request-Id")
		header.Del("Set-Cookie")
		for _, cookie := range w.Result().Cookies() {
			held[cookie.Name] = cookie.Value
			cookie.Value = ""
			header.Add("Set-Cookie", cookie.String())
		}
		var head strings.Builder
		if err := header.Write(&head); err != nil {
			s.Fatal(err)
		}
		body := strings.NewReplacer(`"`+dni+`"`, `"DNI"`, `"`+card(dni)+`"`, `"CARD"`).Replace(w.Body.String())
		answers = append(answers, fmt.Sprintf("%s %s: %d\n%s\n%s", method, at.path, w.Code, head.String(), body))
	}
	return answers
}
