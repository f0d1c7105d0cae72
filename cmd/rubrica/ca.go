package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/rubrica-firma/rubrica/ca"
	"github.com/rubrica-firma/rubrica/ca/ceremony"
	"github.com/rubrica-firma/rubrica/ca/lint"
)

// CACommand holds the ceremonies of the certification authority's keys. Its
// settings are the table [ca] of the configuration file; those of one command
// are in a table of its own, such as [ca.init].
type CACommand struct {
	// Database is opened in the role rubrica_signer.
	Database string `help:"Address of the database (role rubrica_signer)." required:""`
	// PublicURL is in certificates: its host, with http.
	PublicURL string `name:"public-url" help:"Address of the service, as browsers see it." required:"" production:"https"`
	CATokens
	ProfileSettings
	// IssuingAlgorithm, OCSPAlgorithm and TSAAlgorithm are those of keys that
	// are made from now on.
	IssuingAlgorithm string `help:"Key of issuing authorities: rsa-3072 or ec-p384." enum:"rsa-3072,ec-p384" default:"rsa-3072"`
	OCSPAlgorithm    string `name:"ocsp-algorithm" help:"Key of OCSP responders: ec-p256, ec-p384 or rsa-3072." enum:"ec-p256,ec-p384,rsa-3072" default:"ec-p256"`
	TSAAlgorithm     string `name:"tsa-algorithm" help:"Key of time-stamping units: rsa-3072, rsa-4096, ec-p256 or ec-p384." enum:"rsa-3072,rsa-4096,ec-p256,ec-p384" default:"rsa-3072"`
	IssuingYears     int    `help:"Validity of issuing authorities, years." default:"10"`
	// RootListMonths is how long the root's token can stay where it is.
	RootListMonths int `help:"Months from a list of the root to its next one." default:"13"`
	// Yes is for where nobody sits before the terminal.
	Yes bool `help:"Go on without asking."`
	// Export receives root.pem, root.cer, root.crl, a .cer of each member, and
	// minutes.txt.
	Export string `help:"Write certificates, the root's list and minutes into this directory." type:"path" placeholder:"DIR"`

	Init      CAInitCommand     `cmd:"" help:"Hold the first ceremony of keys, or go on with it."`
	Status    CAStatusCommand   `cmd:"" help:"Draw the hierarchy, and say what a person has to do. Exit status 1: something."`
	Rollover  CARolloverCommand `cmd:"" help:"Let another issuing authority take over; the root's token is needed."`
	Renew     CARenewCommand    `cmd:"" help:"Give a service a new key."`
	RootCRL   CARootCRLCommand  `cmd:"" name:"root-crl" help:"Sign another revocation list of the root; its token is needed."`
	Revoke    CARevokeCommand   `cmd:"" help:"Revoke a member; for an issuing authority the root's token is needed."`
	ExportNow CAExportCommand   `cmd:"" name:"export" help:"Write the public side into a directory."`
}

// CAInitCommand holds the first ceremony. Running it again changes nothing; run
// after an interruption it goes on.
type CAInitCommand struct {
	RootAlgorithm string `help:"Key of the root." enum:"rsa-4096,ec-p384" default:"rsa-4096"`
	RootYears     int    `help:"Validity of the root, years." default:"20"`
	// Organisation and OrganisationIdentifier name the authority in its
	// certificates, for as long as the root is valid.
	Organisation           string `help:"Organisation of the certification authority." default:"Rúbrica"`
	OrganisationIdentifier string `help:"Its identifier in the form of EN 319 412-1, such as VATES-Q2826000H."`
	// Keeper is where citizens' keys are kept; rubrica key migrate changes it.
	Keeper string `help:"Keep citizens' keys sealed under their passwords, or as objects of the token." enum:"sealed,token" default:"sealed"`
}

// Run holds the ceremony.
func (c *CAInitCommand) Run(ctx context.Context, all *CACommand) error {
	return all.enter(ctx, func(room *caRoom) error {
		room.house.RootAlgorithm, room.house.RootYears = c.RootAlgorithm, c.RootYears
		room.house.Organisation, room.house.OrganisationIdentifier = c.Organisation, c.OrganisationIdentifier
		room.house.Keeper = c.Keeper
		if err := room.house.Init(ctx); err != nil {
			return fmt.Errorf("holding the key ceremony: %w", err)
		}
		if err := sealOlderRecords(ctx, room.db, room.token); err != nil {
			return fmt.Errorf("sealing the records of an older version: %w", err)
		}
		return checkToken(ctx, room.db, room.token, map[string]bool{})
	})
}

// CARolloverCommand lets another issuing authority take over.
type CARolloverCommand struct {
	TSA bool `name:"tsa" help:"Give time-stamps a new key by it, too."`
}

// Run holds the ceremony.
func (c *CARolloverCommand) Run(ctx context.Context, all *CACommand) error {
	return all.enter(ctx, func(room *caRoom) error {
		if err := room.house.Rollover(ctx); err != nil {
			return fmt.Errorf("rolling over: %w", err)
		}
		if !c.TSA {
			return nil
		}
		if err := room.house.Renew(ctx, ca.RoleTSA, ""); err != nil {
			return fmt.Errorf("renewing the time-stamping unit: %w (go on with rubrica ca renew tsa)", err)
		}
		return nil
	})
}

// CARenewCommand gives a service a new key. The signer renews certificates by
// itself, with the key that they have.
type CARenewCommand struct {
	Service string `arg:"" help:"ocsp or tsa." enum:"ocsp,tsa"`
	Of      string `help:"Issuing authority that a responder answers for; the current one if none is given." placeholder:"NAME"`
}

// Run holds the ceremony.
func (c *CARenewCommand) Run(ctx context.Context, all *CACommand) error {
	return all.enter(ctx, func(room *caRoom) error {
		if err := room.house.Renew(ctx, ca.Role(c.Service), c.Of); err != nil {
			return fmt.Errorf("renewing: %w", err)
		}
		return nil
	})
}

// CARootCRLCommand signs the root's list.
type CARootCRLCommand struct{}

// Run holds the ceremony.
func (*CARootCRLCommand) Run(ctx context.Context, all *CACommand) error {
	return all.enter(ctx, func(room *caRoom) error {
		if err := room.house.RootList(ctx); err != nil {
			return fmt.Errorf("signing the root's list: %w", err)
		}
		return nil
	})
}

// CARevokeCommand revokes a member.
type CARevokeCommand struct {
	Member string `arg:"" help:"Name of the member, as status shows it."`
	Reason string `help:"compromise, superseded or cessation." enum:"compromise,superseded,cessation" required:""`
}

// Run revokes.
func (c *CARevokeCommand) Run(ctx context.Context, all *CACommand) error {
	return all.enter(ctx, func(room *caRoom) error {
		if err := room.house.Revoke(ctx, c.Member, ceremony.Cause(c.Reason)); err != nil {
			return fmt.Errorf("revoking: %w", err)
		}
		return nil
	})
}

// CAExportCommand writes the public side, without any token.
type CAExportCommand struct {
	Dir string `arg:"" help:"Directory." type:"path"`
}

// Run writes.
func (c *CAExportCommand) Run(ctx context.Context, all *CACommand) error {
	db, err := openDatabase(ctx, all.Database)
	if err != nil {
		return err
	}
	defer db.Close()
	return export(ctx, &ceremony.House{Store: ceremonyStore{DB: db}}, c.Dir)
}

// enter opens the service's token, holds a ceremony in front of it, and exports
// what there is then.
func (c *CACommand) enter(ctx context.Context, hold func(*caRoom) error) error {
	room, err := c.room(ctx)
	if err != nil {
		return err
	}
	defer room.close()
	if err := hold(room); err != nil {
		return err
	}
	if c.Export == "" {
		return nil
	}
	if err := export(ctx, room.house, c.Export); err != nil {
		return fmt.Errorf("%w (the ceremony is done and recorded: rubrica ca export DIR writes the files again)", err)
	}
	return nil
}

// room opens database and token. Root gives up its rights here, if the token is
// somebody's; so what it alone may read, and make, comes first.
func (c *CACommand) room(ctx context.Context) (_ *caRoom, err error) {
	pins, err := c.readPINs()
	if err != nil {
		return nil, err
	}
	if c.Export != "" {
		if err := c.makeExport(); err != nil {
			return nil, err
		}
	}
	if err := c.service().actAsOwner(); err != nil {
		return nil, err
	}
	room := &caRoom{pins: pins, settings: c}
	defer func() {
		if err != nil {
			room.close()
		}
	}()
	if room.db, err = openDatabase(ctx, c.Database); err != nil {
		return nil, err
	}
	if room.token, err = openToken(c.service(), pins.service); err != nil {
		return nil, err
	}
	if err := checkToken(ctx, room.db, room.token, map[string]bool{}); err != nil {
		return nil, err
	}
	base, err := PublicSettings{PublicURL: c.PublicURL}.plainURL()
	if err != nil {
		return nil, err
	}
	profile, _, err := c.profile()
	if err != nil {
		return nil, err
	}
	kept := ca.RootToken
	if c.oneToken() {
		kept = ca.ServiceToken
	}
	room.house = &ceremony.House{
		Base: base, IssuingAlgorithm: c.IssuingAlgorithm, OCSPAlgorithm: c.OCSPAlgorithm, TSAAlgorithm: c.TSAAlgorithm,
		IssuingYears: c.IssuingYears, RootListMonths: c.RootListMonths, Profile: profile,
		Store: ceremonyStore{DB: room.db, address: c.Database}, Console: console{in: os.Stdin, out: os.Stdout, yes: c.Yes},
		Service: room.token, Secrets: ceremonySecrets{room.token}, Root: room.root, RootKept: kept,
		Lint: lint.Certificate, Now: time.Now,
	}
	return room, nil
}
