package main

import (
	"cmp"
	"context"
	"fmt"

	"github.com/rubrica-firma/rubrica/api/rest/client"
)

// CitizenCommand is the officer's desk on the command line. It calls the same
// API as any office, and signs with the office's key what it asks for.
type CitizenCommand struct {
	Register       CitizenRegisterCommand       `cmd:"" help:"Register a citizen in person and print the receipt."`
	ActivationCode CitizenActivationCodeCommand `cmd:"" help:"Give a citizen a new activation code, for a lost one or a forgotten password."`
	Block          CitizenBlockCommand          `cmd:"" help:"Let a citizen do nothing more until unblocked."`
	Unblock        CitizenUnblockCommand        `cmd:"" help:"Lift a citizen's block."`
	Revoke         CitizenRevokeCommand         `cmd:"" help:"Revoke a citizen's certificate and destroy its key."`
	Suspend        CitizenSuspendCommand        `cmd:"" help:"Put a citizen's certificate on hold; key and password stay."`
	Release        CitizenReleaseCommand        `cmd:"" help:"Lift the hold of a citizen's certificate."`
	Deregister     CitizenDeregisterCommand     `cmd:"" help:"End a citizen's registration; certificate and key go with it."`
	ReportDeath    CitizenReportDeathCommand    `cmd:"" help:"End the registration of somebody who has died; nobody is written to."`
	Sandbox        CitizenSandboxCommand        `cmd:"" production:"never" help:"Bring the citizens of a sandbox to where they should be."`
}

// OfficeSettings say which office asks.
type OfficeSettings struct {
	PublicURL string `name:"public-url" help:"Address of the service." required:""`
	// Office is the JSON file that app add --scope registration wrote.
	Office string `help:"File with the office's credentials (JSON)." required:"" type:"existingfile"`
	// OfficeKey is for an office that made its key itself.
	OfficeKey string `help:"File with the office's private key (PEM), where the credentials have none." type:"existingfile"`
	Officer   string `help:"Who is at the desk, for the log." required:""`
}

// perform signs an act and has it carried out.
func (s OfficeSettings) perform(ctx context.Context, act client.OfficeAct) (*client.Receipt, error) {
	credentials, err := officeCredentials(s.Office)
	if err != nil {
		return nil, err
	}
	if s.OfficeKey != "" {
		key, err := secretFile(s.OfficeKey)
		if err != nil {
			return nil, err
		}
		credentials.PrivateKey = string(key)
	}
	office, err := client.ConnectOffice(client.Account{BaseURL: s.PublicURL, ID: credentials.ID, Secret: credentials.Secret}, credentials.PrivateKey)
	if err != nil {
		return nil, err
	}
	act.Officer = s.Officer
	return office.Perform(ctx, act)
}

// CitizenRegisterCommand registers a citizen who stands at the desk.
type CitizenRegisterCommand struct {
	OfficeSettings
	Identifier    string `help:"DNI or NIE." required:""`
	GivenName     string `help:"Given name." required:""`
	Surnames      string `help:"Surnames." required:""`
	Phone         string `help:"Spanish mobile number." required:""`
	Email         string `help:"E-mail address." required:""`
	DocumentUntil string `help:"Last day on which the DNI or NIE is valid (YYYY-MM-DD)." required:""`
	Locale        string `help:"Language for SMS and mail." default:"es"`
}

// Run registers and prints the receipt.
func (c *CitizenRegisterCommand) Run(ctx context.Context) error {
	receipt, err := c.perform(ctx, client.OfficeAct{Act: client.ActRegister, Citizen: &client.NewCitizen{
		Identifier: c.Identifier, GivenName: c.GivenName, Surnames: c.Surnames, Phone: c.Phone, Email: c.Email,
		DocumentUntil: c.DocumentUntil, Locale: &c.Locale,
	}})
	if err != nil {
		return err
	}
	fmt.Printf("Registered: %s %s\n", c.GivenName, c.Surnames)
	printReceipt(receipt, c.PublicURL, c.Email)
	return nil
}

// CitizenActivationCodeCommand issues a new activation code.
type CitizenActivationCodeCommand struct {
	OfficeSettings
	Identifier string `help:"DNI or NIE." required:""`
}

// Run issues and prints it.
func (c *CitizenActivationCodeCommand) Run(ctx context.Context) error {
	receipt, err := c.perform(ctx, client.OfficeAct{Act: client.ActRenewActivation, Identifier: &c.Identifier})
	if err != nil {
		return err
	}
	printReceipt(receipt, c.PublicURL, "")
	return nil
}

func printReceipt(r *client.Receipt, publicURL, email string) {
	fmt.Printf("Activation code: %s\n", r.ActivationCode)
	fmt.Printf("Activate at %s/activar with DNI/NIE, %s and this code; an SMS follows.\n", publicURL, cmp.Or(email, "the registered e-mail"))
}

// CitizenSettings say on whom an office acts, and why.
type CitizenSettings struct {
	OfficeSettings
	Identifier string `help:"DNI or NIE." required:""`
	Reason     string `help:"Why, for the log." required:""`
}

func (s CitizenSettings) act(ctx context.Context, kind client.ActKind, done string) error {
	if _, err := s.perform(ctx, client.OfficeAct{Act: kind, Identifier: &s.Identifier, Reason: &s.Reason}); err != nil {
		return err
	}
	fmt.Println(done)
	return nil
}

// CitizenBlockCommand blocks a citizen.
type CitizenBlockCommand struct{ CitizenSettings }

// Run blocks.
func (c *CitizenBlockCommand) Run(ctx context.Context) error {
	return c.act(ctx, client.ActBlock, "Blocked.")
}

// CitizenUnblockCommand lifts a block.
type CitizenUnblockCommand struct{ CitizenSettings }

// Run unblocks.
func (c *CitizenUnblockCommand) Run(ctx context.Context) error {
	return c.act(ctx, client.ActUnblock, "Unblocked.")
}

// CitizenSuspendCommand suspends a certificate.
type CitizenSuspendCommand struct{ CitizenSettings }

// Run suspends.
func (c *CitizenSuspendCommand) Run(ctx context.Context) error {
	return c.act(ctx, client.ActSuspend, "Suspended.")
}

// CitizenReleaseCommand lifts a suspension.
type CitizenReleaseCommand struct{ CitizenSettings }

// Run releases.
func (c *CitizenReleaseCommand) Run(ctx context.Context) error {
	return c.act(ctx, client.ActRelease, "Released.")
}

// CitizenReportDeathCommand ends the registration of somebody who has died.
type CitizenReportDeathCommand struct {
	CitizenSettings
	Document string `help:"The document that certifies the death: which, of whom, its number." required:""`
}

// Run deregisters.
func (c *CitizenReportDeathCommand) Run(ctx context.Context) error {
	_, err := c.perform(ctx, client.OfficeAct{
		Act: client.ActReportDeath, Identifier: &c.Identifier, Reason: &c.Reason, Evidence: &map[string]string{"document": c.Document},
	})
	if err != nil {
		return err
	}
	fmt.Println("Written down as dead. Nobody is written to.")
	return nil
}

// CitizenDeregisterCommand ends a registration.
type CitizenDeregisterCommand struct{ CitizenSettings }

// Run deregisters.
func (c *CitizenDeregisterCommand) Run(ctx context.Context) error {
	return c.act(ctx, client.ActDeregister, "Deregistered.")
}

// CitizenRevokeCommand revokes a certificate.
type CitizenRevokeCommand struct {
	OfficeSettings
	Identifier string `help:"DNI or NIE." required:""`
	Reason     string `help:"unspecified, key_compromise, affiliation_changed (a name, too) or cessation_of_operation." enum:"unspecified,key_compromise,affiliation_changed,cessation_of_operation" default:"unspecified"`
}

// Run revokes.
func (c *CitizenRevokeCommand) Run(ctx context.Context) error {
	return CitizenSettings(*c).act(ctx, client.ActRevoke, "Revoked.")
}
