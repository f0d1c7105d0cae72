package main

import (
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/api/desk"
	"github.com/rubrica-firma/rubrica/api/pages"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/citizen/registers"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/signer/rpc"
	"github.com/rubrica-firma/rubrica/store"
)

// EntranceSettings are the signer's for Cl@ve PIN, invitation letters and
// municipal cards.
type EntranceSettings struct {
	// RegisterURL takes POST /holder: see package citizen/registers. Without it
	// there are no invitation letters.
	RegisterURL       string `name:"register-url" help:"Register of accounts and addresses, for invitation letters; empty if there are none." production:"https"`
	RegisterTokenFile string `name:"register-token-file" help:"File with the register's bearer token." type:"existingfile"`
	// MunicipalCard lets holders of a town's cards in.
	MunicipalCard bool `name:"municipal-card" help:"Identify by municipal card (rubrica card import)."`
}

// entranceParts are what the other ways in share with the rest of the signer.
type entranceParts struct {
	db     *store.DB
	people signer.People
	vault  *signer.Vault
	module *signer.Service
	post   citizen.Post
	logger *slog.Logger
}

// entrance is the other ways in; letters and cards are nil where there are none.
type entrance struct {
	pins    *citizen.Pins
	letters *citizen.Letters
	cards   *citizen.Cards
}

func (s EntranceSettings) entrance(p entranceParts) (entrance, error) {
	e := entrance{pins: &citizen.Pins{
		Store: p.db, People: p.people, Checks: p.vault, Gate: p.module, Post: p.post, Limits: citizen.DefaultPINLimits(), Now: time.Now, Logger: p.logger,
	}}
	if s.MunicipalCard {
		e.cards = &citizen.Cards{
			Store: p.db, People: p.people, Vault: p.vault, Gate: p.module, Post: p.post, Locale: "es",
			Limits: citizen.DefaultCardLimits(), Now: time.Now, Logger: p.logger,
		}
	}
	if s.RegisterURL == "" {
		return e, nil
	}
	token, err := secretFile(s.RegisterTokenFile)
	if err != nil {
		return e, fmt.Errorf("--register-url also needs --register-token-file: %w", err)
	}
	e.letters = &citizen.Letters{
		Store: p.db, People: p.people, Vault: p.vault, Limits: citizen.DefaultLetterLimits(), Now: time.Now,
		Holders: &registers.Client{URL: s.RegisterURL, Token: token, Timeout: 5 * time.Second, HTTP: http.DefaultClient},
	}
	return e, nil
}

// perform adds the acts that print letters.
func (e entrance) perform(acts map[citizen.ActKind]citizen.Performer) {
	if e.letters != nil {
		acts[citizen.ActPrintLetter] = e.letters.Print
	}
}

// serve puts them among the services that are served. Letters lead on to
// enrolments.
func (e entrance) serve(services *rpc.Services, enrolments *citizen.Enrolments) {
	services.Pins = e.pins
	if e.letters != nil {
		e.letters.Enroller = enrolments
		services.Letters = e.letters
	}
	if e.cards != nil {
		services.Cards = e.cards
	}
}

// linger waits for what is on its way to somebody, once nobody can ask for more.
func linger(services rpc.Services) {
	for _, service := range []any{services.Pins, services.Cards} {
		if sending, ok := service.(interface{ Wait() }); ok {
			sending.Wait()
		}
	}
}

// EntrancePages are the public side's: what it shows, the signer must have.
type EntrancePages struct {
	Letters       bool `name:"letters" help:"Take requests for invitation letters (the signer's --register-url)."`
	MunicipalCard bool `name:"municipal-card" help:"Let holders of municipal cards in (the signer's --municipal-card)."`
}

// letterURL is where letters are asked for, empty where there are none.
func (e EntrancePages) letterURL() string {
	if !e.Letters {
		return ""
	}
	return pages.LetterPath
}

// entrances are the rooms of the other ways in.
func (e EntrancePages) entrances(door *pages.Door, client *rpc.Client) []func(*api.Site) {
	rooms := []func(*api.Site){pages.PinRoom{Door: door, Pins: client.Pins()}.Room}
	if e.Letters {
		rooms = append(rooms, pages.LetterRoom{Door: door, Letters: client.Letters()}.Room)
	}
	if e.MunicipalCard {
		rooms = append(rooms, pages.CardRoom{Door: door, Cards: client.Cards()}.Room)
	}
	return rooms
}

// LetterSettings are the registrar's.
type LetterSettings struct {
	Letters bool `name:"letters" help:"Print invitation letters at the desk (the signer's --register-url)."`
}

// printer draws letters at the desk, nil where there are none.
func (s LetterSettings) printer(drawn *pages.Pages, serviceURL string) desk.Printer {
	if !s.Letters {
		return nil
	}
	return letters{drawn: drawn, serviceURL: serviceURL}
}
