package auditors

import (
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api/auditing"
	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/policies"
)

// Auditors are all accounts, for an administrator.
func (d *Door) Auditors(c echo.Context) ([]audit.AuditorState, error) {
	if _, err := d.administrator(c); err != nil {
		return nil, err
	}
	return d.Store.AllAuditors(c.Request().Context(), d.Now())
}

// Invitation lets whoever has its link add a passkey to an account, once.
type Invitation struct {
	Link  string
	Until time.Time
}

// Invite makes a link for an account's owner. It is told once, and kept as a
// hash.
func (d *Door) Invite(c echo.Context, auditorID string) (Invitation, error) {
	ctx := c.Request().Context()
	by, a, err := d.manages(c, auditorID)
	if err != nil {
		return Invitation{}, err
	}
	secret, i := NewInvitation(a, d.Now(), d.Limits.Invitation)
	if err := d.record(ctx, audit.AuditorInvited, a.ID, map[string]any{
		"name": a.Name, "by": by.ID, "until": i.ExpiresAt.UTC().Format(time.RFC3339),
	}); err != nil {
		return Invitation{}, err
	}
	return Invitation{Link: InvitationLink(d.PublicURL, secret), Until: i.ExpiresAt}, d.Store.AddInvitation(ctx, i)
}

// NewInvitation draws the secret of an invitation.
func NewInvitation(a audit.Auditor, now time.Time, life time.Duration) (secret string, i audit.Invitation) {
	secret, hash := newSecret()
	return secret, audit.Invitation{Hash: hash, Auditor: a, ExpiresAt: now.Add(life)}
}

// InvitationLink is the link: the secret stands behind the #, so that no server
// and no log on the way is told of it.
func InvitationLink(publicURL, secret string) string { return publicURL + pageInvited + "#" + secret }

// Disable closes an account for good.
func (d *Door) Disable(c echo.Context, auditorID string) error {
	ctx := c.Request().Context()
	by, a, err := d.manages(c, auditorID)
	if err != nil {
		return err
	}
	if err := d.record(ctx, audit.AuditorDisabled, a.ID, map[string]any{"name": a.Name, "by": by.ID}); err != nil {
		return err
	}
	return d.Store.CloseAuditor(ctx, a.ID, d.Now())
}

// manages is the administrator who asks, and the account in use that it is about.
func (d *Door) manages(c echo.Context, auditorID string) (by auditing.Identity, a audit.Auditor, err error) {
	if by, err = d.administrator(c); err != nil {
		return by, a, err
	}
	a, err = d.Store.Auditor(c.Request().Context(), auditorID)
	if unknown(err) || err == nil && a.Disabled() {
		return by, a, policies.Refuse(policies.NotFound)
	}
	return by, a, err
}

func (d *Door) administrator(c echo.Context) (auditing.Identity, error) {
	asking, err := d.Identify(c)
	if err == nil && asking.Identity.Role != auditing.RoleAdministrator {
		err = policies.Refuse(policies.RoleMissing, "role", auditing.RoleAdministrator)
	}
	return asking.Identity, err
}
