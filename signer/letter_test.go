package signer_test

import (
	"context"
	"encoding/json/v2"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

const (
	leo        = "00000023T" // in the register of addresses, in no other
	leoAccount = "ES9121000418450200051332"
)

// holders is a register that knows one person.
type holders struct {
	mu    sync.Mutex
	asked int
	dead  bool
}

func (h *holders) Holder(_ context.Context, q citizen.HolderQuestion) (*citizen.Recipient, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked++
	if h.dead {
		return nil, errors.New("register does not answer")
	}
	if q.Identifier.String() != leo && q.Identifier.String() != ana || q.IBAN.String() != leoAccount {
		return nil, nil //nolint:nilnil // nobody holds it, and nothing failed
	}
	return &citizen.Recipient{
		GivenName: "Leo", Surnames: "Peña", DocumentUntil: q.DocumentUntil.Format(time.DateOnly),
		Address: citizen.Address{Lines: []string{"Calle Mayor 1"}, PostalCode: "33201", Town: "Gijón"},
	}, nil
}

// enroller is what letters lead on to.
type enroller struct{ opened []citizen.Opening }

func (e *enroller) Open(_ context.Context, o citizen.Opening) (citizen.Redeemed, error) {
	e.opened = append(e.opened, o)
	return citizen.Redeemed{Ticket: signer.NewTicket()}, nil
}

type mailroom struct {
	*entrance

	letters  *citizen.Letters
	holders  *holders
	enroller *enroller
}

func newMailroom(t *testing.T) *mailroom {
	t.Helper()
	e := newEntrance(t)
	m := &mailroom{entrance: e, holders: &holders{}, enroller: &enroller{}}
	limits := citizen.DefaultLetterLimits()
	limits.Step = time.Millisecond
	m.letters = &citizen.Letters{
		Store: e.db, People: e.people, Holders: m.holders, Vault: e.vault, Enroller: m.enroller, Limits: limits, Now: e.clock.Now,
	}
	return m
}

func (m *mailroom) request(dni, iban, address string) error {
	m.Helper()
	return m.letters.Request(m.Context(), citizen.LetterOrder{
		Identifier:    must[citizen.Identifier](m.T)(citizen.ParseIdentifier(dni)),
		DocumentUntil: must[time.Time](m.T)(citizen.ParseDocumentDate(m.valid)),
		IBAN:          must[citizen.IBAN](m.T)(citizen.ParseIBAN(iban)), RemoteAddr: address,
	})
}

// texts reads a column, as the database's owner.
func (m *mailroom) texts(query string) []string {
	m.Helper()
	rows := must[pgx.Rows](m.T)(m.owner.Query(m.Context(), query))
	return must[[]string](m.T)(pgx.CollectRows(rows, pgx.RowTo[string]))
}

// only is the id of the one letter.
func (m *mailroom) only() string {
	m.Helper()
	ids := m.texts(`SELECT id FROM letters WHERE state IN ('requested', 'printed')`)
	if len(ids) != 1 {
		m.Fatalf("got letters %v, want one", ids)
	}
	return ids[0]
}

func (m *mailroom) print(id, dni string) (citizen.PrintableLetter, error) {
	m.Helper()
	var l citizen.PrintableLetter
	receipt, err := m.letters.Print(m.Context(), citizen.Statement{
		ID: "act", Office: "office", OfficeName: "Oficina de Valdehierro", Officer: "Ruth", Subject: id,
		Identifier: must[citizen.Identifier](m.T)(citizen.ParseIdentifier(dni)),
	})
	if err != nil {
		return l, err
	}
	return l, json.Unmarshal([]byte(receipt.Code), &l)
}

func (m *mailroom) answer(dni, until, code, address string) error {
	m.Helper()
	_, err := m.letters.Answer(m.Context(), citizen.LetterAnswer{
		Identifier:    must[citizen.Identifier](m.T)(citizen.ParseIdentifier(dni)),
		DocumentUntil: must[time.Time](m.T)(citizen.ParseDocumentDate(until)),
		Code:          must[citizen.LetterCode](m.T)(citizen.ParseLetterCode(code)), RemoteAddr: address,
	})
	return err
}

func TestLetter(t *testing.T) {
	t.Parallel()
	m := newMailroom(t)
	if err := m.request(leo, leoAccount, "192.0.2.1"); err != nil {
		t.Fatal(err)
	}
	id := m.only()
	if codes := m.texts(`SELECT encode(mac, 'hex') FROM letters WHERE mac IS NOT NULL`); len(codes) != 0 {
		t.Errorf("got a code before the letter was printed")
	}
	letter, err := m.print(id, leo)
	if err != nil {
		t.Fatal(err)
	}
	if len(letter.Code) != 16 || letter.Recipient.Address.Town != "Gijón" || letter.Masked != "***0002**" {
		t.Errorf("got %+v, want a code, whom it is for and where it goes", letter)
	}
	const address = "192.0.2.1"
	for name, err := range map[string]error{
		"another's":    m.answer(ana, m.valid, letter.Code, address),
		"another date": m.answer(leo, "01/01/9999", letter.Code, address),
		"another code": m.answer(leo, m.valid, "ABCDEFGHJKLMNPQR", address),
	} {
		if !errors.Is(err, policies.Refuse(policies.LetterMismatch)) {
			t.Errorf("%s: got %v, want letter_mismatch", name, err)
		}
	}
	if err := m.answer(leo, m.valid, letter.Grouped(), address); err != nil {
		t.Fatalf("the right one: %v", err)
	}
	opened := m.enroller.opened[0]
	if opened.Identifier != leo || opened.Kind != citizen.ByLetter || opened.Level != policies.LevelBasic || opened.Mode != policies.ModeLetter || opened.Office != "office" {
		t.Errorf("got %+v, want a registration of the basic level begun", opened)
	}
	again, err := m.print(id, leo) // the paper jammed
	if err != nil || again.Code == letter.Code {
		t.Errorf("got %v and the same code: %t, want another one", err, again.Code == letter.Code)
	}
	if err := m.answer(leo, m.valid, letter.Code, address); !errors.Is(err, policies.Refuse(policies.LetterMismatch)) {
		t.Errorf("got %v, want the code of the lost paper worth nothing", err)
	}
	m.clock.advance(61 * 24 * time.Hour)
	if err := m.answer(leo, m.valid, again.Code, address); !errors.Is(err, policies.Refuse(policies.LetterMismatch)) {
		t.Errorf("got %v, want the code too old", err)
	}
	m.checker.Secrets = append(m.checker.Secrets, letter.Code, again.Code, leoAccount)
	m.invariants()
}

// A letter that is asked for a hundred times, by everybody at once, is one
// letter; who asks meets the limits of the address, and no other answer.
func TestLetterAskedAHundredTimes(t *testing.T) {
	t.Parallel()
	m := newMailroom(t)
	m.letters.Limits.Asks = citizen.Quota{Here: 1000, Person: 90, Address: 1000, Service: 1000}
	results := make(chan error, 100)
	for range cap(results) {
		go func() { results <- m.request(leo, leoAccount, "192.0.2.1") }()
	}
	limited := 0
	for range cap(results) {
		if err := <-results; errors.Is(err, policies.Refuse(policies.RateLimited)) {
			limited++
		} else if err != nil {
			t.Errorf("got %v", err)
		}
	}
	if limited != 10 {
		t.Errorf("got %d refused, want 10", limited)
	}
	id := m.only()
	if _, err := m.print(id, leo); err != nil {
		t.Fatal(err)
	}
	m.letters.Limits.Asks.Person = 1000
	if err := m.request(leo, leoAccount, "192.0.2.1"); err != nil || m.only() != id {
		t.Errorf("got %v, want the letter that is on its way", err)
	}
	m.clock.advance(16 * 24 * time.Hour) // it was lost in the post
	if err := m.request(leo, leoAccount, "192.0.2.1"); err != nil || m.only() == id {
		t.Errorf("got %v and the same letter, want another", err)
	}
}

// Whoever asks learns nothing: the answer is the same for somebody with a
// letter, without, registered, and with an account that is another's.
func TestLetterTellsNothing(t *testing.T) {
	t.Parallel()
	m := newMailroom(t)
	m.activate(ana, anaPhone)
	const otherAccount = "ES7921000813610123456789"
	for i, asked := range []struct{ dni, iban, outcome string }{
		{leo, leoAccount, "requested"},
		{leo, leoAccount, "pending"},
		{leo, otherAccount, "mismatch"},
		{"00000000T", leoAccount, "mismatch"},
		{ana, leoAccount, "registered"},
		{ana, otherAccount, "registered"},
	} {
		if err := m.request(asked.dni, asked.iban, "192.0.2.1"); err != nil {
			t.Errorf("%v: got %v, want the answer of all", asked, err)
		}
		if m.holders.asked != i+1 {
			t.Errorf("%v: the register was asked %d times, want it asked about everybody", asked, m.holders.asked)
		}
		outcomes := m.texts(`SELECT convert_from(payload, 'UTF8')::jsonb->>'outcome' FROM log_entries WHERE type = 'letter.requested' ORDER BY seq`)
		if got := outcomes[len(outcomes)-1]; got != asked.outcome {
			t.Errorf("%v: got outcome %q", asked, got)
		}
	}
	m.holders.dead = true
	for _, dni := range []string{"00000001R", eva} {
		if err := m.request(dni, leoAccount, "198.51.100.1"); !errors.Is(err, policies.Refuse(policies.RegisterUnavailable)) {
			t.Errorf("%s: got %v, want register_unavailable for all", dni, err)
		}
	}
}

// What a register that does not answer costs is not the person's: who tries again
// later is let in, from that address too.
func TestLetterWithoutRegisterCostsNothing(t *testing.T) {
	t.Parallel()
	m := newMailroom(t)
	m.letters.Limits.Asks = citizen.Quota{Here: 2, Person: 2, Address: 8, Service: 100}
	ask := func() error { return m.request(leo, leoAccount, "192.0.2.1") }
	m.holders.dead = true
	for n := range 5 {
		if err := ask(); !errors.Is(err, policies.Refuse(policies.RegisterUnavailable)) {
			t.Errorf("request %d: got %v, want register_unavailable", n+1, err)
		}
	}
	m.holders.dead = false
	for n := range 2 {
		if err := ask(); err != nil {
			t.Errorf("request %d to a register that answers: got %v, want it taken", n+1, err)
		}
	}
	m.holders.dead = true
	if err := ask(); !errors.Is(err, policies.Refuse(policies.RateLimited)) {
		t.Errorf("the third: got %v, want rate_limited", err)
	}
	if err := m.request(eva, leoAccount, "192.0.2.1"); !errors.Is(err, policies.Refuse(policies.RateLimited)) {
		t.Errorf("somebody else from an address that has asked nine times: got %v, want rate_limited", err)
	}
}

// The answer leaves at a whole step, however long it took to find it.
func TestLetterAnswersEvenly(t *testing.T) {
	t.Parallel()
	m := newMailroom(t)
	m.letters.Limits.Step = 400 * time.Millisecond
	for _, dni := range []string{leo, "00000000T"} {
		evenly(t, m.letters.Limits.Step, func() error { return m.request(dni, leoAccount, "192.0.2.1") })
	}
}

// Codes cannot be tried for ever: the narrow limits of one network first, and
// then the letter's own, which another letter lifts.
func TestLetterBlocks(t *testing.T) {
	t.Parallel()
	m := newMailroom(t)
	if err := m.request(leo, leoAccount, "192.0.2.1"); err != nil {
		t.Fatal(err)
	}
	letter, err := m.print(m.only(), leo)
	if err != nil {
		t.Fatal(err)
	}
	for _, dni := range []string{leo, "00000000T"} {
		var got []policies.Code
		for i := range 12 {
			refusal := (*policies.Refusal)(nil)
			if err := m.answer(dni, m.valid, "ABCDEFGHJKLMNPQR", []string{"192.0.2.1", "198.51.100.1", "203.0.113.1"}[i/5]); !errors.As(err, &refusal) {
				t.Fatalf("%s, time %d: got %v", dni, i+1, err)
			}
			got = append(got, refusal.Code)
		}
		want := slices.Repeat([]policies.Code{policies.LetterMismatch}, 10)
		if want = append(want, policies.LetterBlocked, policies.LetterBlocked); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", dni, got, want)
		}
	}
	if err := m.answer(leo, m.valid, letter.Code, "203.0.113.200"); !errors.Is(err, policies.Refuse(policies.LetterBlocked)) {
		t.Errorf("the right code of a blocked letter: got %v", err)
	}
	if err := m.answer(ana, m.valid, "ABCDEFGHJKLMNPQR", "192.0.2.9"); err != nil && errors.Is(err, policies.Refuse(policies.RateLimited)) {
		t.Errorf("another person: got %v, want it compared", err)
	}
	another, err := m.print(m.only(), leo)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.answer(leo, m.valid, another.Code, "10.9.8.7"); err != nil {
		t.Errorf("printed anew: %v", err)
	}
}

// Whoever writes the database cannot have a letter go elsewhere, nor to another
// person, and a registration ends it.
func TestLetterRowAltered(t *testing.T) {
	t.Parallel()
	m := newMailroom(t)
	if err := m.request(leo, leoAccount, "192.0.2.1"); err != nil {
		t.Fatal(err)
	}
	id := m.only()
	if _, err := m.print(id, ana); !errors.Is(err, policies.Refuse(policies.NotFound)) {
		t.Errorf("printed for another: got %v, want not_found", err)
	}
	for change, dni := range map[string]string{
		`recipient = jsonb_set(recipient, '{address,lines,0}', '"Calle Menor 2"')`: leo,
		`recipient = jsonb_set(recipient, '{document_until}', '"2040-01-01"')`:     leo,
		`identifier = '` + eva + `'`:                        eva,
		`requested_at = requested_at - interval '1 second'`: leo,
	} {
		m.sql(`CREATE TABLE kept AS TABLE letters`)
		m.sql(`UPDATE letters SET ` + change)
		if _, err := m.print(id, dni); !errors.Is(err, policies.Refuse(policies.RecordTampered)) {
			t.Errorf("%s: got %v, want record_tampered", change, err)
		}
		m.sql(`UPDATE letters l SET (recipient, identifier, requested_at) = (SELECT recipient, identifier, requested_at FROM kept k WHERE k.id = l.id)`)
		m.sql(`DROP TABLE kept`)
	}
	letter, err := m.print(id, leo)
	if err != nil {
		t.Fatal(err)
	}
	m.activate(leo, evaPhone) // at an office
	if err := m.answer(leo, m.valid, letter.Code, "192.0.2.1"); !errors.Is(err, policies.Refuse(policies.LetterMismatch)) {
		t.Errorf("after a registration: got %v, want letter_mismatch", err)
	}
}
