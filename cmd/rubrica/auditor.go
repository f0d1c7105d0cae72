package main

import (
	"context"
	"errors"
	"time"

	"github.com/rubrica-firma/rubrica/api/staff"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/personnel"
)

// AuditorCommand is the auditor's door, and who may enter by it.
type AuditorCommand struct {
	Serve   AuditorServeCommand   `cmd:"" help:"Run the auditor's door: pages and API over the signature log."`
	Add     AuditorAddCommand     `cmd:"" help:"Open an account of an auditor, of a program that asks, or of an administrator of auditors."`
	Invite  AuditorInviteCommand  `cmd:"" help:"Print a link by which a passkey may be added to an account, once."`
	Disable AuditorDisableCommand `cmd:"" help:"Close an account for good."`
	List    AuditorListCommand    `cmd:"" help:"List the accounts."`
}

// AuditorAddCommand opens an account. A program's secret is printed once and kept
// only as a hash.
type AuditorAddCommand struct {
	RegisterSettings
	NewAccountSettings
	Role    string `help:"auditor asks the log; administrator invites and disables auditors, and reads nothing of the log." enum:"auditor,administrator" required:""`
	Program bool   `help:"Draw a client secret, for a program that asks by itself."`
}

// Run opens the account.
func (c *AuditorAddCommand) Run(ctx context.Context) error {
	a, err := c.account(c.Role, time.Now())
	if err != nil {
		return err
	}
	credentials := accountCredentials{ID: a.ID}
	if c.Program {
		if a.Role != personnel.RoleAuditor {
			return errors.New("a program asks: its role is auditor")
		}
		secret, hash := citizen.DrawSecret()
		credentials.Secret, a.SecretHash = secret.Reveal(), hash
	}
	if err := c.add(ctx, personnel.Auditors(), a); err != nil {
		return err
	}
	return credentials.tell(c.Output)
}

// AuditorInviteCommand invites the owner of an account.
type AuditorInviteCommand struct {
	RegisterSettings
	ID string `arg:"" help:"The account's id."`
	// PublicURL is the door's, as AuditorServeCommand has it.
	PublicURL string `name:"public-url" help:"Address of the auditor's door, as browsers see it." required:"" production:"https"`
}

// Run prints the link. Whoever has it has the account, until it is used.
func (c *AuditorInviteCommand) Run(ctx context.Context) error {
	return c.invite(ctx, personnel.Auditors(), c.ID, func(secret string) string { return staff.AuditorPaths().Invitation(withoutSlash(c.PublicURL), secret) })
}

// AuditorDisableCommand closes an account.
type AuditorDisableCommand struct {
	RegisterSettings
	ID string `arg:"" help:"The account's id."`
}

// Run ends the account with its sessions, tokens and invitations.
func (c *AuditorDisableCommand) Run(ctx context.Context) error {
	return c.disable(ctx, personnel.Auditors(), c.ID)
}

// AuditorListCommand lists the accounts.
type AuditorListCommand struct{ RegisterSettings }

// Run prints a line an account.
func (c *AuditorListCommand) Run(ctx context.Context) error { return c.list(ctx, personnel.Auditors()) }
