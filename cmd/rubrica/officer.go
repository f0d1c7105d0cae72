package main

import (
	"context"
	"time"

	"github.com/rubrica-firma/rubrica/api/staff"
	"github.com/rubrica-firma/rubrica/personnel"
)

// OfficerCommand is who works at the officers' desk, which `rubrica registrar
// serve` runs.
type OfficerCommand struct {
	Add     OfficerAddCommand     `cmd:"" help:"Open an account of an officer of an office, of a supervisor, or of an administrator of its officers."`
	Invite  OfficerInviteCommand  `cmd:"" help:"Print a link by which a passkey may be added to an account, once."`
	Disable OfficerDisableCommand `cmd:"" help:"Close an account for good."`
	List    OfficerListCommand    `cmd:"" help:"List the accounts."`
}

// OfficerAddCommand opens an account.
type OfficerAddCommand struct {
	RegisterSettings
	NewAccountSettings
	Role string `help:"officer registers citizens; supervisor also confirms what others ask; administrator invites and disables officers of the office, and sees no citizen." enum:"officer,supervisor,administrator" required:""`
	// OfficeID is what app add --scope registration printed as client_id, OfficeFile
	// the file that it wrote instead.
	OfficeID   string `name:"office-id" help:"Client id of the office that the officer acts for." xor:"office" required:""`
	OfficeFile string `name:"office-file" help:"File with that office's credentials (JSON), of which the client id is read." type:"existingfile" xor:"office" required:""`
}

// Run opens the account.
func (c *OfficerAddCommand) Run(ctx context.Context) error {
	a, err := c.account(c.Role, time.Now())
	if err != nil {
		return err
	}
	if a.Office = c.OfficeID; c.OfficeFile != "" {
		office, err := officeCredentials(c.OfficeFile)
		if err != nil {
			return err
		}
		a.Office = office.ID
	}
	if err := c.add(ctx, personnel.Officers(), a); err != nil {
		return err
	}
	return accountCredentials{ID: a.ID}.tell(c.Output)
}

// OfficerInviteCommand invites the owner of an account.
type OfficerInviteCommand struct {
	RegisterSettings
	ID string `arg:"" help:"The account's id."`
	// PublicURL is the desk's, as RegistrarServeCommand has it.
	PublicURL string `name:"public-url" help:"Address of the officers' desk, as browsers see it." required:"" production:"https"`
}

// Run prints the link. Whoever has it has the account, until it is used.
func (c *OfficerInviteCommand) Run(ctx context.Context) error {
	return c.invite(ctx, personnel.Officers(), c.ID, func(secret string) string { return staff.OfficerPaths().Invitation(withoutSlash(c.PublicURL), secret) })
}

// OfficerDisableCommand closes an account.
type OfficerDisableCommand struct {
	RegisterSettings
	ID string `arg:"" help:"The account's id."`
}

// Run ends the account with its sessions and invitations.
func (c *OfficerDisableCommand) Run(ctx context.Context) error {
	return c.disable(ctx, personnel.Officers(), c.ID)
}

// OfficerListCommand lists the accounts.
type OfficerListCommand struct{ RegisterSettings }

// Run prints a line an account.
func (c *OfficerListCommand) Run(ctx context.Context) error { return c.list(ctx, personnel.Officers()) }
