package staff

import (
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/personnel"
	"github.com/rubrica-firma/rubrica/policies"
)

// Accounts are all accounts, for an administrator: those of their own office,
// where there are offices.
func (d *Door) Accounts(c echo.Context) ([]personnel.State, error) {
	by, err := d.administrator(c)
	if err != nil {
		return nil, err
	}
	all, err := d.Store.Accounts(c.Request().Context(), d.Now())
	return slices.DeleteFunc(all, func(a personnel.State) bool { return a.Office != by.Office }), err
}

// Invitation lets whoever has its link add a passkey to an account, once.
type Invitation struct {
	Link  string
	Until time.Time
}

// Invite makes a link for an account's owner. It is told once, and kept as a
// hash.
func (d *Door) Invite(c echo.Context, accountID string) (Invitation, error) {
	ctx := c.Request().Context()
	by, a, err := d.manages(c, accountID)
	if err != nil {
		return Invitation{}, err
	}
	secret, i := NewInvitation(a, d.Now(), d.Limits.Invitation)
	if err := d.record(ctx, d.Kind.Events.Invited, a.ID, map[string]any{
		"name": a.Name, "by": by.ID, "until": i.ExpiresAt.UTC().Format(time.RFC3339),
	}); err != nil {
		return Invitation{}, err
	}
	return Invitation{Link: d.Paths.Invitation(d.PublicURL, secret), Until: i.ExpiresAt}, d.Store.AddInvitation(ctx, i)
}

// NewInvitation draws the secret of an invitation.
func NewInvitation(a personnel.Account, now time.Time, life time.Duration) (secret string, i personnel.Invitation) {
	secret, hash := newSecret()
	return secret, personnel.Invitation{Hash: hash, Account: a, ExpiresAt: now.Add(life)}
}

// Disable closes an account for good.
func (d *Door) Disable(c echo.Context, accountID string) error {
	ctx := c.Request().Context()
	by, a, err := d.manages(c, accountID)
	if err != nil {
		return err
	}
	if err := d.record(ctx, d.Kind.Events.Disabled, a.ID, map[string]any{"name": a.Name, "by": by.ID}); err != nil {
		return err
	}
	return d.Store.CloseAccount(ctx, a.ID, d.Now())
}

// manages is the administrator who asks, and the account in use that it is about.
func (d *Door) manages(c echo.Context, accountID string) (by personnel.Identity, a personnel.Account, err error) {
	if by, err = d.administrator(c); err != nil {
		return by, a, err
	}
	a, err = d.Store.Account(c.Request().Context(), accountID)
	if d.unknown(err) || err == nil && (a.Disabled() || a.Office != by.Office) {
		return by, a, policies.Refuse(policies.NotFound)
	}
	return by, a, err
}

func (d *Door) administrator(c echo.Context) (personnel.Identity, error) {
	asking, err := d.Identify(c)
	if err == nil && asking.Identity.Role != personnel.RoleAdministrator {
		err = policies.Refuse(policies.RoleMissing, "role", personnel.RoleAdministrator)
	}
	return asking.Identity, err
}
