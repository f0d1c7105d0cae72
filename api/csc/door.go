package csc

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/api/requests"
	"github.com/rubrica-firma/rubrica/ca"
	"github.com/rubrica-firma/rubrica/signer"
)

// Consent is what a token of scope credential carries.
type Consent struct {
	ClientID, RequestID, CredentialID string
	Qualifier                         string // of the certificate, empty if any will do
	SAD                               signer.SAD
	ExpiresAt                         time.Time
}

// Authority is what this door asks of the authorisation server, besides who the
// bearer of a token is.
type Authority interface {
	// Consent opens what a token carries (policies.AuthorisationInvalid,
	// AuthorisationExpired). Whose it is, the caller compares.
	Consent(ctx context.Context, token string) (Consent, error)
	// Revoke ends a token of the application; an unknown one is no error.
	Revoke(ctx context.Context, clientID, token string) error
	// Spend uses a grant up that is good for one answer
	// (policies.AuthorisationInvalid).
	Spend(ctx context.Context, grantID string) error
	// Carry gives a token that carries a consent and is good for nothing else.
	Carry(ctx context.Context, c Consent) (token string, err error)
}

// Store is what this door reads, and the record of what it has handed out.
type Store interface {
	// CredentialOf reads a credential that is not destroyed, and whose it is
	// (policies.CredentialMissing).
	CredentialOf(ctx context.Context, credentialID string) (signer.Citizen, signer.Credential, error)
	// Person reads a citizen and the credential, nil if there is none
	// (policies.CitizenUnknown).
	Person(ctx context.Context, identifier string) (signer.Citizen, *signer.Credential, error)
	// Application reads an enabled client (policies.ApplicationUnknown).
	Application(ctx context.Context, id string) (signer.Client, error)
	// Request reads a request (policies.RequestUnknown).
	Request(ctx context.Context, id string) (signer.Request, error)
	// HandOut records that signatures leave, all or none, each once for ever
	// (policies.AuthorisationInvalid). HandedOut are those that have left.
	HandOut(ctx context.Context, requestID string, ordinals []int, now time.Time) error
	HandedOut(ctx context.Context, requestID string) ([]int, error)
	// HandOver is HandOut of what was kept, which is forgotten with it.
	HandOver(ctx context.Context, requestID string, ordinals []int, now time.Time) error
	// Webhooks are the addresses that an application has registered.
	Webhooks(ctx context.Context, applicationID string) ([]signer.Webhook, error)
	// Hierarchy reads the authorities.
	Hierarchy(ctx context.Context) (ca.Hierarchy, error)
}

// Signatures builds signatures around hashes. *requests.Service fulfils it.
type Signatures interface {
	Around(ctx context.Context, r signer.Request, wanted []requests.Wanted) (*requests.Building, error)
	// AugmentSoon tries to lift what was kept, and Fetch gives it
	// (policies.NotFound).
	AugmentSoon(ctx context.Context, requestID string)
	Fetch(ctx context.Context, r signer.Request) ([]requests.Built, error)
}

// Module is what spends a consent. signer.Module fulfils it.
type Module interface {
	SignHashes(ctx context.Context, order signer.HashOrder) error
}

// TimeStamps answers RFC 3161. The signer does.
type TimeStamps interface {
	TimeStamp(ctx context.Context, query []byte) (response []byte, err error)
}

// Config names the parts of a Door.
type Config struct {
	Store      Store
	Authority  Authority
	Signatures Signatures
	Module     Module
	TimeStamps TimeStamps
	// Explicit and Hashes serve explicit mode (SCAL1); nil: it is switched off.
	Explicit Explicit
	Hashes   Hashes
	// Name, Region and Description are what info says of the service; Languages
	// the first of which is the usual one.
	Name, Region, Description string
	Languages                 []string
	// Logo is the path of a picture of the service.
	Logo string
	// DocumentBytes bound the documents of one call of signatures/signDoc.
	DocumentBytes int64
	Logger        *slog.Logger
	Now           func() time.Time
}

// Door serves both versions.
type Door struct {
	Config
	site *api.Site
	echo *echo.Echo
}

// New makes a Door.
func New(c Config) *Door { return &Door{Config: c} }

// prefix is where the door stands; the version follows.
const prefix = "/csc/"

// smallBody is room for a hundred hashes and a long clientData.
const smallBody = 64 << 10

// version is that of the interface, 1 or 2.
type version int

// endpoint is one row of the documents' table.
type endpoint struct {
	path     string
	versions []version
	scopes   []string // any of which is needed; nil: no token
	large    bool     // carries documents
	need     need     // without which info does not name it
	serve    func(d *Door, ctx context.Context, c call) (answer, error)
}

// need is without what a method answers nothing but refusals.
type need int

const (
	needNothing  need = iota
	needExplicit      // explicit mode
	needMore          // what this service does not have
)

// call is one request, as far as all endpoints read it alike.
type call struct {
	version version
	grant   api.Grant
	body    object
	http    *http.Request
}

// answer is a status and what is written as JSON; nil writes nothing.
type answer struct {
	status int
	body   any
}

func ok(body any) (answer, error) { return answer{http.StatusOK, body}, nil }

func empty() (answer, error) { return answer{status: http.StatusNoContent}, nil }

func endpoints() []endpoint {
	one, two, both := []version{1}, []version{2}, []version{1, 2}
	service, any := []string{api.ScopeService}, []string{api.ScopeService, api.ScopeCredential}
	return []endpoint{
		{path: "info", versions: both, serve: (*Door).info},
		{path: "auth/login", versions: both, serve: (*Door).login},
		{path: "auth/revoke", versions: both, scopes: any, serve: (*Door).revoke},
		{path: "credentials/list", versions: both, scopes: service, serve: (*Door).list},
		{path: "credentials/info", versions: both, scopes: any, serve: (*Door).credential},
		{path: "credentials/authorize", versions: both, scopes: service, need: needExplicit, serve: (*Door).authorize},
		{path: "credentials/authorizeCheck", versions: two, scopes: service, need: needMore, serve: (*Door).authorizeCheck},
		{path: "credentials/getChallenge", versions: two, scopes: service, need: needExplicit, serve: (*Door).challenge},
		{path: "credentials/sendOTP", versions: one, scopes: service, need: needExplicit, serve: (*Door).sendOTP},
		{path: "credentials/extendTransaction", versions: both, scopes: any, serve: (*Door).extend},
		{path: "credentials/create", versions: two, scopes: []string{api.ScopeCreation}, serve: (*Door).create},
		{path: "credentials/delete", versions: two, scopes: []string{api.ScopeDeletion}, serve: (*Door).remove},
		{path: "signatures/signHash", versions: both, scopes: any, serve: (*Door).signHash},
		{path: "signatures/signDoc", versions: two, scopes: any, large: true, serve: (*Door).signDoc},
		{path: "signatures/signPolling", versions: two, scopes: any, serve: (*Door).signPolling},
		{path: "signatures/timestamp", versions: both, scopes: service, serve: (*Door).timestamp},
	}
}

// Room hangs the endpoints in the site.
func (d *Door) Room(s *api.Site) {
	d.site = s
	e := s.Door(prefix)
	d.echo = e
	d.edge(s, e)
	s.Answers(prefix, refused)
	for _, p := range endpoints() {
		for _, v := range p.versions {
			limit := s.Accept(smallBody)
			if p.large {
				limit = s.Accept(api.AcceptedBytes(requests.HashLimit, d.DocumentBytes/requests.HashLimit))
			}
			middle := []echo.MiddlewareFunc{limit}
			if p.path == "auth/login" {
				middle = append(middle, s.Tokens())
			}
			e.POST(fmt.Sprintf("%sv%d/%s", prefix, v, p.path), d.handler(p, v), middle...)
		}
	}
}

func (d *Door) handler(p endpoint, v version) echo.HandlerFunc {
	return func(c echo.Context) error {
		in := call{version: v, http: c.Request()}
		if err := d.admit(c, p, &in); err != nil {
			return failed(c, err)
		}
		out, err := p.serve(d, c.Request().Context(), in)
		if err != nil {
			return failed(c, err)
		}
		c.Response().Header().Set(echo.HeaderCacheControl, "no-store")
		if out.body == nil {
			return c.NoContent(out.status)
		}
		return c.JSON(out.status, out.body)
	}
}

// admit asks who is there before it reads what is wanted.
func (d *Door) admit(c echo.Context, p endpoint, in *call) error {
	if p.scopes != nil {
		if err := d.bearer(c, p, in); err != nil {
			return err
		}
	}
	r := c.Request()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	if len(body) > 0 {
		kind, _, err := mime.ParseMediaType(r.Header.Get(echo.HeaderContentType))
		if err != nil || kind != echo.MIMEApplicationJSON {
			return echo.ErrUnsupportedMediaType
		}
	}
	in.body, err = parse(body)
	return err
}

func (d *Door) bearer(c echo.Context, p endpoint, in *call) error {
	lines := c.Request().Header.Values(echo.HeaderAuthorization)
	if len(lines) != 1 {
		return invalid("Malformed authorization header")
	}
	scheme, token, found := strings.Cut(lines[0], " ")
	if !found || token == "" || !strings.EqualFold(scheme, "Bearer") && !strings.EqualFold(scheme, "DPoP") {
		return invalid("Malformed authorization header")
	}
	var err error
	in.grant, err = d.site.Grant(c, p.scopes...)
	return err
}

// holds reports whether the bearer of the call has a scope.
func (c call) holds(scope string) bool { return slices.Contains(c.grant.Scopes, scope) }
