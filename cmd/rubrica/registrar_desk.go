package main

import (
	"context"
	"fmt"
	"time"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/api/desk"
	"github.com/rubrica-firma/rubrica/api/pages"
	"github.com/rubrica-firma/rubrica/api/staff"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/store"
)

// desk are the rooms of the officers' desk, behind its door.
func (c *RegistrarServeCommand) desk(r registrar, door *staff.Door) (house, error) {
	drawn, err := pages.New(pages.Options{
		Catalogue: r.sentences, Sandbox: c.Sandbox, Logger: r.logger,
		Branding: pages.Branding{LogoText: c.LogoText, Organisation: c.Organisation, Accent: c.Accent},
	})
	if err != nil {
		return house{}, fmt.Errorf("preparing the pages: %w", err)
	}
	kept, pens := store.ForDesk(r.db), make(map[string]desk.Pen, len(r.offices))
	for _, office := range r.offices {
		pens[office.Office()] = office
	}
	names, err := kept.OfficeNames(context.Background())
	if err != nil {
		return house{}, fmt.Errorf("reading the offices' names: %w", err)
	}
	limits := desk.DefaultLimits()
	counter := desk.New(desk.Config{
		Store: kept, Recorder: r.signer, Register: r.signer, Pens: pens, Printer: c.printer(drawn, withoutSlash(c.ServiceURL)), Rules: c.rules(), Limits: limits, Now: time.Now,
	})
	rooms := pages.NewDeskDoor(pages.DeskConfig{
		Pages: drawn, Counter: counter, Officers: door, Offices: names, ServiceURL: withoutSlash(c.ServiceURL), MassLimit: limits.Mass, CoolOff: c.PhoneCoolOff.Duration, Letters: c.Letters, Now: time.Now,
	})
	return house{rooms: []func(*api.Site){rooms.Room}, trouble: rooms.Trouble}, nil
}

// letters are drawn for the service that their codes are used at.
type letters struct {
	drawn      *pages.Pages
	serviceURL string
}

// Letters implements desk.Printer.
func (l letters) Letters(all []citizen.PrintableLetter) ([]byte, error) {
	return l.drawn.Letters(all, l.serviceURL, time.Now())
}
