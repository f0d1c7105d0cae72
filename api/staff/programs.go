package staff

import (
	"context"
	"encoding/hex"
	"net/url"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/personnel"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// PurposeHeader is where a program says with each question why it asks: UTF-8,
// or UTF-8”percent-encoded (RFC 8187, section 3.2).
const PurposeHeader = "Audit-Purpose"

// Programs are the accounts that may have access tokens, for the token endpoint
// of the door's site. Administrators are none.
type Programs struct{ door *Door }

var _ api.Clients = Programs{}

// Programs are this door's.
func (d *Door) Programs() Programs { return Programs{d} }

// Application implements api.Clients.
func (p Programs) Application(ctx context.Context, id string) (signer.Client, error) {
	a, err := p.account(ctx, id)
	if err != nil {
		return signer.Client{}, err
	}
	return signer.Client{
		ID: a.ID, Name: a.Name, SecretHash: a.SecretHash, Certificate: a.Certificate, Scopes: []string{api.ScopeAudit},
	}, nil
}

func (p Programs) account(ctx context.Context, id string) (personnel.Account, error) {
	a, err := p.door.Store.Account(ctx, id)
	if p.door.unknown(err) || err == nil && (a.Disabled() || a.Role != personnel.RoleAuditor) {
		return personnel.Account{}, policies.Refuse(policies.ApplicationUnknown)
	}
	return a, err
}

// AddToken implements api.Clients: it is in the log before it is worth anything.
func (p Programs) AddToken(ctx context.Context, t signer.AccessToken) error {
	a, err := p.account(ctx, t.ClientID)
	if err != nil {
		return err
	}
	entered := attempt{by: byToken, account: a}
	if t.Certificate != nil {
		entered.facts = map[string]any{"certificate_sha256": hex.EncodeToString(t.Certificate)}
	}
	if err := p.door.recordEntry(ctx, entered, ""); err != nil {
		return err
	}
	return p.door.Store.OpenVisit(ctx, personnel.Visit{
		Hash: t.Hash, Account: a, By: byToken, Certificate: t.Certificate, CreatedAt: p.door.Now(), ExpiresAt: t.ExpiresAt,
	})
}

// Token implements api.Clients. The cookie of a session is no token.
func (p Programs) Token(ctx context.Context, hash []byte, now time.Time) (signer.AccessToken, error) {
	v, err := p.door.Store.Visit(ctx, hash, now)
	if expired(err) || err == nil && v.By != byToken {
		return signer.AccessToken{}, policies.Refuse(policies.ApplicationUnknown)
	}
	return signer.AccessToken{
		Hash: v.Hash, ClientID: v.Account.ID, Scopes: []string{api.ScopeAudit}, ExpiresAt: v.ExpiresAt, Certificate: v.Certificate,
	}, err
}

// Refused records a client that the token endpoint did not let in. It is
// api.Config's.
func (d *Door) Refused(c echo.Context, clientID string) error {
	a := attempt{by: byToken, cause: causeWrong}
	var err error
	if a.account, err = d.Store.Account(c.Request().Context(), clientID); err != nil && !d.unknown(err) {
		return err
	}
	switch {
	case err != nil || a.account.Role != personnel.RoleAuditor:
		a.cause = causeUnknown
	case a.account.Disabled():
		a.cause = causeDisabled
	}
	return d.recordFailure(c, a)
}

// program is who asks with an access token.
func (d *Door) program(c echo.Context) (personnel.Asking, error) {
	client, err := d.site.Authenticate(c, api.ScopeAudit)
	if err != nil {
		return personnel.Asking{}, err
	}
	asking := personnel.Asking{Identity: personnel.Identity{ID: client.ID, Name: client.Name, Role: personnel.RoleAuditor, By: byToken}}
	if stated := c.Request().Header.Get(PurposeHeader); stated != "" {
		asking.Purpose, err = Purpose(decoded(stated))
	}
	return asking, err
}

// decoded reads an ext-value of RFC 8187, or text as it is. What it cannot read
// has no characters, which is no purpose.
func decoded(stated string) string {
	charset, rest, extended := strings.Cut(stated, "'")
	if !extended || !strings.EqualFold(charset, "UTF-8") {
		return stated
	}
	_, encoded, _ := strings.Cut(rest, "'")
	text, err := url.PathUnescape(encoded)
	if err != nil {
		return ""
	}
	return text
}
