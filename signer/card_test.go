package signer_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

const (
	cardNumber = "4711"
	cardPIN    = "2580"
	cardMail   = "ana@correo.example"
)

// town has cards.
type town struct {
	*entrance

	cards *citizen.Cards
}

func newTown(t *testing.T) *town {
	t.Helper()
	c := townOf(newEntrance(t))
	c.add(cardNumber, ana)
	return c
}

func townOf(e *entrance) *town {
	return &town{entrance: e, cards: &citizen.Cards{
		Store: e.db, People: e.people, Vault: e.vault, Gate: e.module, Post: e.post, Locale: "es",
		Limits: citizen.DefaultCardLimits(), Now: e.clock.Now, Logger: e.journal.logger(),
	}}
}

func (c *town) add(number, dni string) {
	c.Helper()
	err := c.cards.Import(c.Context(), citizen.NewCard{
		Number:     must[citizen.CardNumber](c.T)(citizen.ParseCardNumber(number)),
		Identifier: must[citizen.Identifier](c.T)(citizen.ParseIdentifier(dni)),
		Email:      must[citizen.Email](c.T)(citizen.ParseEmail(cardMail)),
		PIN:        must[citizen.CardPIN](c.T)(citizen.ParseCardPIN(cardPIN)),
	})
	if err != nil {
		c.Fatalf("importing a card: %v", err)
	}
}

// key asks for an operations key, and gives the one that arrived, if any.
func (c *town) key(number, pin, address string) (string, error) {
	c.Helper()
	before := len(c.post.mails)
	err := c.cards.AskKey(c.Context(), citizen.KeyOrder{
		Number: must[citizen.CardNumber](c.T)(citizen.ParseCardNumber(number)),
		PIN:    must[citizen.CardPIN](c.T)(citizen.ParseCardPIN(pin)), RemoteAddr: address,
	})
	c.cards.Wait()
	if err != nil || len(c.post.mails) == before {
		return "", err
	}
	return c.post.mails[len(c.post.mails)-1].Secret.Reveal(), nil
}

func (c *town) enter(number, pin, key string) (signer.Session, error) {
	c.Helper()
	return c.cards.Identify(c.Context(), citizen.CardAnswer{
		Number: must[citizen.CardNumber](c.T)(citizen.ParseCardNumber(number)),
		PIN:    must[citizen.CardPIN](c.T)(citizen.ParseCardPIN(pin)),
		Key:    must[citizen.OperationsKey](c.T)(citizen.ParseOperationsKey(key)), RemoteAddr: pinAddress,
	})
}

const noKey = "ABCD-EFGH-JKLM"

// A new user and somebody who has forgotten the key do the same; leading zeros
// do not count; the key before ends; and the card sees, but never signs.
func TestCard(t *testing.T) {
	t.Parallel()
	c := newTown(t)
	c.activate(ana, anaPhone)
	first, err := c.key("0000"+cardNumber, cardPIN, pinAddress)
	if err != nil || c.post.mails[0].To != cardMail || c.post.mails[0].Kind != citizen.MailOperationsKey {
		t.Fatalf("got %v %+v, want a key in the card's mail", err, c.post.mails)
	}
	if _, err := c.enter(cardNumber, cardPIN, first); err != nil {
		t.Fatalf("with the first key: %v", err)
	}
	second, err := c.key(cardNumber, cardPIN, pinAddress)
	if err != nil || second == first {
		t.Fatalf("got %v, want another key", err)
	}
	if _, err := c.enter(cardNumber, cardPIN, first); !errors.Is(err, policies.Refuse(policies.CardMismatch)) {
		t.Errorf("with the key before: got %v, want card_mismatch", err)
	}
	session, err := c.enter(cardNumber, cardPIN, strings.ToLower(second))
	if err != nil {
		t.Fatalf("with the new key: %v", err)
	}
	v := must[signer.Visitor](t)(c.public.Visitor(t.Context(), session.Ticket.Hash(), c.clock.Now()))
	if v.Citizen.Identifier != ana || v.Via != signer.ViaCard || v.Purpose != signer.ForAccess {
		t.Errorf("got %s by %q for %q, want %s by card for the own pages", v.Citizen.Identifier, v.Via, v.Purpose, ana)
	}
	for _, purpose := range []signer.Purpose{signer.ForSignature, signer.ForCertificate, signer.ForPassword, signer.ForEmail, signer.ForDeregistration} {
		if _, err := c.module.SendCode(t.Context(), signer.CodeOrder{Ticket: session.Ticket, Purpose: purpose}); err == nil {
			t.Errorf("code for %s: got it sent, want it refused", purpose)
		}
	}
	c.post.dead = true // a mail that nobody took replaces nothing
	if _, err := c.key(cardNumber, cardPIN, pinAddress); err != nil {
		t.Fatal(err)
	}
	if _, err := c.enter(cardNumber, cardPIN, second); err != nil {
		t.Errorf("after a mail that was not taken: %v", err)
	}
	c.checker.Secrets = append(c.checker.Secrets, first, second, strings.ReplaceAll(second, "-", ""))
	c.invariants()
}

// A card that is not there, a wrong PIN and a wrong key answer alike and are
// counted alike, until the card is blocked; importing it anew lifts that.
func TestCardTellsNothing(t *testing.T) {
	t.Parallel()
	c := newTown(t)
	c.activate(ana, anaPhone)
	key, err := c.key(cardNumber, cardPIN, pinAddress)
	if err != nil || key == "" {
		t.Fatalf("got %q %v, want a key", key, err)
	}
	for _, try := range []struct{ name, number, pin, key string }{
		{"wrong key", cardNumber, cardPIN, noKey},
		{"wrong PIN", "1" + cardNumber, "1111", noKey}, // of a card that is there
		{"no such card", "999", cardPIN, noKey},
	} {
		if try.name == "wrong PIN" {
			c.add(try.number, eva)
		}
		var got []policies.Code
		for range 7 {
			_, err := c.enter(try.number, try.pin, try.key)
			refusal := (*policies.Refusal)(nil)
			if !errors.As(err, &refusal) || len(refusal.Params) != 0 {
				t.Fatalf("%s: got %v", try.name, err)
			}
			got = append(got, refusal.Code)
		}
		want := append(slices.Repeat([]policies.Code{policies.CardMismatch}, 5), policies.CardBlocked, policies.CardBlocked)
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", try.name, got, want)
		}
		if _, err := c.key(try.number, cardPIN, "192.0.2.77"); !errors.Is(err, policies.Refuse(policies.CardBlocked)) {
			t.Errorf("%s: a key for a blocked card: got %v", try.name, err)
		}
	}
	if _, err := c.enter(cardNumber, cardPIN, key); !errors.Is(err, policies.Refuse(policies.CardBlocked)) {
		t.Errorf("the right key of a blocked card: got %v", err)
	}
	c.add(cardNumber, ana)
	if _, err := c.enter(cardNumber, cardPIN, key); !errors.Is(err, policies.Refuse(policies.CardMismatch)) {
		t.Errorf("the key of the card before: got %v, want card_mismatch", err)
	}
	if key, err = c.key(cardNumber, cardPIN, "192.0.2.77"); err != nil || key == "" {
		t.Errorf("imported anew: got %v, want a key", err)
	}
}

// What a stranger asks for is answered like what a holder asks for.
func TestCardKeyForStrangers(t *testing.T) {
	t.Parallel()
	c := newTown(t)
	for name, ask := range map[string][2]string{"no such card": {"999", cardPIN}, "wrong PIN": {cardNumber, "1111"}} {
		if key, err := c.key(ask[0], ask[1], pinAddress); err != nil || key != "" {
			t.Errorf("%s: got %v and a key: %t, want neither", name, err, key != "")
		}
	}
	// The holder is not registered: that learns only who has the card and its key.
	key, err := c.key(cardNumber, cardPIN, pinAddress)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.enter(cardNumber, cardPIN, key); !errors.Is(err, policies.Refuse(policies.CitizenUnknown)) {
		t.Errorf("got %v, want citizen_unknown", err)
	}
	for range 2 {
		_, _ = c.key(cardNumber, cardPIN, pinAddress)
	}
	if _, err := c.key(cardNumber, cardPIN, pinAddress); !errors.Is(err, policies.Refuse(policies.RateLimited)) {
		t.Errorf("a fourth key within the hour: got %v, want rate_limited", err)
	}
}

// Whoever writes the database can neither give a card to somebody else nor have
// its keys mailed elsewhere.
func TestCardRowAltered(t *testing.T) {
	t.Parallel()
	c := newTown(t)
	c.activate(ana, anaPhone)
	c.activate(eva, evaPhone)
	key, err := c.key(cardNumber, cardPIN, pinAddress)
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range []string{`email = 'mine@correo.example'`, `identifier = '` + eva + `'`, `created_at = created_at - interval '1 hour'`} {
		c.add(cardNumber, ana)
		c.sql(`UPDATE cards SET ` + change)
		if _, err := c.enter(cardNumber, cardPIN, key); !errors.Is(err, policies.Refuse(policies.RecordTampered)) {
			t.Errorf("%s: got %v, want record_tampered", change, err)
		}
	}
}

// A card moves to the token's newest keys when it is used: then the older ones
// are not needed for it.
func TestCardMovesWithThePepper(t *testing.T) {
	t.Parallel()
	c := newTown(t)
	c.activate(ana, anaPhone)
	key, err := c.key(cardNumber, cardPIN, pinAddress)
	if err != nil {
		t.Fatal(err)
	}
	c.begin(signer.Pepper, 2)
	c.begin(signer.SealKey, 2)
	if err := c.module.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := c.enter(cardNumber, cardPIN, key); err != nil {
			t.Fatalf("under newer keys: %v", err)
		}
	}
	card := must[citizen.Card](t)(c.db.Card(t.Context(), cardNumber))
	if card.Pepper != 2 || card.Key.Pepper != 2 || card.Seal.Epoch != 2 {
		t.Errorf("got epochs %d, %d and %d, want 2", card.Pepper, card.Key.Pepper, card.Seal.Epoch)
	}
}
