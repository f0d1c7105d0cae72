package staff

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/webauthn"
	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/personnel"
	"github.com/rubrica-firma/rubrica/policies"
)

// Recorder appends to the log, through the process that may. The entry is
// durable on return.
type Recorder interface {
	RecordAudit(ctx context.Context, e audit.Entry) (seq int64, err error)
}

// Store keeps accounts and what they come in with. Secrets arrive hashed.
type Store interface {
	accounts
	visits
	passkeys
}

type accounts interface {
	// Account reads one, also one that is closed (the kind's refusal if there is
	// none).
	Account(ctx context.Context, id string) (personnel.Account, error)
	// AccountByCertificate reads the account of a certificate, likewise.
	AccountByCertificate(ctx context.Context, certificate []byte) (personnel.Account, error)
	// Accounts reads them as they stand now, by name.
	Accounts(ctx context.Context, now time.Time) ([]personnel.State, error)
	// CloseAccount disables an account and ends its visits and invitations
	// (policies.NotFound if it is none, or closed already).
	CloseAccount(ctx context.Context, id string, now time.Time) error
}

type visits interface {
	// OpenVisit begins a visit.
	OpenVisit(ctx context.Context, v personnel.Visit) error
	// Visit reads one that has not ended, of an account in use
	// (policies.SessionExpired).
	Visit(ctx context.Context, hash []byte, now time.Time) (personnel.Visit, error)
	// ProlongVisit moves its end.
	ProlongVisit(ctx context.Context, hash []byte, until time.Time) error
	// StatePurpose replaces its purpose (policies.SessionExpired).
	StatePurpose(ctx context.Context, hash []byte, purpose string) error
	// CloseVisit ends it; one that is over is no error.
	CloseVisit(ctx context.Context, hash []byte) error
}

type passkeys interface {
	// AddChallenge keeps a WebAuthn ceremony under way.
	AddChallenge(ctx context.Context, hash, record []byte, expires time.Time) error
	// TakeChallenge reads one that has not expired and forgets it, so that of
	// several calls one gets it (policies.SessionExpired).
	TakeChallenge(ctx context.Context, hash []byte, now time.Time) (record []byte, err error)
	// Passkeys reads those of an account.
	Passkeys(ctx context.Context, accountID string) ([]personnel.Passkey, error)
	// AddPasskey adds one to an account in use (the kind's refusal if it is
	// not, or if another account has the passkey).
	AddPasskey(ctx context.Context, accountID string, p personnel.Passkey, now time.Time) error
	// UsePasskey replaces its record if that is still the one that was read
	// (the kind's refusal).
	UsePasskey(ctx context.Context, was, is personnel.Passkey, now time.Time) error
	// AddInvitation replaces the invitations of an account in use
	// (policies.NotFound).
	AddInvitation(ctx context.Context, i personnel.Invitation) error
	// Invitation reads one of an account in use (policies.InvitationInvalid).
	Invitation(ctx context.Context, hash []byte, now time.Time) (personnel.Invitation, error)
	// TakeInvitation reads it and forgets it, so that of several calls one gets it.
	TakeInvitation(ctx context.Context, hash []byte, now time.Time) (personnel.Invitation, error)
}

// Config names the parts of a Door.
type Config struct {
	// Kind is whose door it is, and Paths where its pages are.
	Kind  personnel.Kind
	Paths Paths
	// PublicURL is the address of the door: its host is the relying party of
	// passkeys (WebAuthn Level 3, section 5.1.2).
	PublicURL string
	// Name is the deployment's, for the dialogue of the browser.
	Name     string
	Store    Store
	Recorder Recorder
	// Authorities are those whose client certificates are believed, as they are
	// now. Nil, or a nil pool, is none.
	Authorities func() *x509.CertPool
	// Revoked wants that nothing on a client certificate's verified path was
	// revoked (policies.CertificateUntrusted, policies.RevocationUnknown). Nil
	// where the authorities tell nobody: an account is closed then instead.
	Revoked func(ctx context.Context, path []*x509.Certificate) error
	Limits  Limits
	Logger  *slog.Logger
	Now     func() time.Time
}

// Limits bound visits and attempts to begin one.
type Limits struct {
	// Idle and Visit are how long a session lasts without a request, and at most.
	Idle, Visit time.Duration
	// Challenge and Invitation are how long either can be used.
	Challenge, Invitation time.Duration
	// Attempts paces them by address.
	Attempts api.Rate
	// Failures paces the entries about failed attempts of all addresses together:
	// a flood is counted, and its number told with the next entry.
	Failures api.Rate
}

// DefaultLimits are what an organisation's personnel needs.
func DefaultLimits() Limits {
	return Limits{
		Idle: 30 * time.Minute, Visit: 8 * time.Hour,
		Challenge: 5 * time.Minute, Invitation: 24 * time.Hour,
		Attempts: api.Rate{Every: 3 * time.Second, Burst: 20},
		Failures: api.Rate{Every: time.Second, Burst: 60},
	}
}

// Door lets one kind of personnel in.
type Door struct {
	Config
	web      *webauthn.WebAuthn
	site     *api.Site // that Room hangs it in
	pace     func(echo.Context) time.Duration
	failures *api.Flood
}

// New makes a Door.
func New(c Config) (*Door, error) {
	web, err := relyingParty(c)
	if err != nil {
		return nil, err
	}
	return &Door{Config: c, web: web, failures: api.NewFlood(c.Limits.Failures)}, nil
}

// Room hangs the routes of the passkeys' script in the site. What the pages do
// without a script, they hang themselves.
func (d *Door) Room(site *api.Site) {
	d.site, d.pace = site, site.Pace(d.Limits.Attempts)
	prefix := d.Paths.Base + "/passkey/"
	e, small := site.Door(prefix), site.Accept(maxCredential)
	e.POST(prefix+"login/begin", d.loginBegin, small)
	e.POST(prefix+"login/finish", d.loginFinish, small)
	e.POST(prefix+"enrol/begin", d.enrolBegin, small)
	e.POST(prefix+"enrol/finish", d.enrolFinish, small)
}

// programsPath is where programs ask; who shows nothing there is told how to.
const programsPath = "/v1/"

const askingKey = "rubrica.asking"

// Identify is who asks, and why: by the cookie of a session, or by an access
// token with the scope audit. A person may have stated no purpose yet. Refusals:
// session_expired without a session; application_unknown without a token.
func (d *Door) Identify(c echo.Context) (personnel.Asking, error) {
	if asking, known := c.Get(askingKey).(personnel.Asking); known {
		return asking, nil
	}
	asking, err := d.identify(c)
	if err == nil {
		c.Set(askingKey, asking)
	}
	return asking, err
}

func (d *Door) identify(c echo.Context) (personnel.Asking, error) {
	r := c.Request()
	_, err := r.Cookie(d.sessionCookie())
	shown := r.Header.Get(echo.HeaderAuthorization) != "" || err != nil && strings.HasPrefix(r.URL.Path, programsPath)
	if d.Kind.Programs && shown {
		return d.program(c)
	}
	v, err := d.Visit(c)
	if err != nil {
		return personnel.Asking{}, err
	}
	return personnel.Asking{Identity: identity(v.Account, v.By), Purpose: v.Purpose}, nil
}

func identity(a personnel.Account, by string) personnel.Identity {
	return personnel.Identity{ID: a.ID, Name: a.Name, Role: a.Role, Office: a.Office, By: by}
}

// Require lets one of these roles in. Who is let in by the purposeful role alone,
// to see what administrators may not, has stated a purpose.
func (d *Door) Require(roles ...string) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			asking, err := d.Identify(c)
			switch {
			case err != nil:
				return err
			case !slices.Contains(roles, asking.Identity.Role):
				return policies.Refuse(policies.RoleMissing, "role", roles[0])
			case len(roles) == 1 && roles[0] == d.Kind.Purposeful && asking.Purpose == "":
				return policies.Refuse(policies.PurposeMissing)
			}
			return next(c)
		}
	}
}

// admit spends one of the address's turns, before anything is compared.
func (d *Door) admit(c echo.Context) error {
	if wait := d.pace(c); wait > 0 {
		return policies.Refuse(policies.RateLimited, "seconds", api.Seconds(wait)).After(wait)
	}
	return nil
}

// unknown is whether a read found nobody.
func (d *Door) unknown(err error) bool { return errors.Is(err, policies.Refuse(d.Kind.Refused)) }

// expired is whether there is no such visit.
func expired(err error) bool { return errors.Is(err, policies.Refuse(policies.SessionExpired)) }
