package pages

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/api/documents"
	"github.com/rubrica-firma/rubrica/api/requests"
	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/ca"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// Store is what the pages read beside requests.
type Store interface {
	// Visitor reads who is behind a ticket, spent or not, until it expires
	// (policies.SessionExpired).
	Visitor(ctx context.Context, ticketHash []byte, now time.Time) (signer.Visitor, error)
	// Challenge reads the ticket's newest code for a purpose, nil if none.
	Challenge(ctx context.Context, ticketHash []byte, purpose signer.Purpose) (*signer.SentCode, error)
	// Delivery is what is known of a message, empty while no operator has accepted
	// it.
	Delivery(ctx context.Context, id string) (signer.DeliveryState, error)
	// Request reads one request (policies.RequestUnknown).
	Request(ctx context.Context, id string) (signer.Request, error)
	// Hierarchy reads the certification authorities, oldest first.
	Hierarchy(ctx context.Context) (ca.Hierarchy, error)
}

// Register is a citizen's activation, password and certificate. rpc.Client
// fulfils it.
type Register interface {
	StartActivation(ctx context.Context, c citizen.Claim) (signer.Session, signer.Challenge, error)
	Confirm(ctx context.Context, a signer.Answer) error
	SetPassword(ctx context.Context, t signer.Ticket, p citizen.Password) error
	// ChangePassword reports whether the change waits for a link in a mail.
	ChangePassword(ctx context.Context, t signer.Ticket, p citizen.Password) (waits bool, err error)
	ChangeCertificate(ctx context.Context, ch citizen.CertificateChange) error
}

// Viewer draws untrusted documents. *documents.Worker fulfils it.
type Viewer interface {
	PageImage(ctx context.Context, f *documents.File, page, dpi int) ([]byte, error)
	PageText(ctx context.Context, f *documents.File, page int) (string, error)
}

// Requests is the doors' common core. *requests.Service fulfils it.
type Requests interface {
	Fix(ctx context.Context, requestID string, ticket signer.Ticket) (signer.Request, error)
	Original(ctx context.Context, requestID string, d signer.Document) (*documents.File, error)
	Preview(ctx context.Context, requestID string, d signer.Document) (*documents.File, error)
	Result(ctx context.Context, r signer.Request, ordinal int) (requests.Result, error)
	AugmentSoon(ctx context.Context, requestID string)
	// Overtaken reports whether somebody else has signed what was shown.
	Overtaken(ctx context.Context, r signer.Request) (bool, error)
	// Cosigners are the others who sign what a request asks for.
	Cosigners(ctx context.Context, r signer.Request) ([]requests.Cosigner, error)
}

// Receipts proves signatures. *receipts.Service fulfils it.
type Receipts interface {
	// Receipt is that of a signed request (policies.RequestState,
	// policies.ReceiptPending).
	Receipt(ctx context.Context, r signer.Request) (audit.Receipt, error)
	// Evidence is the same as a PDF.
	Evidence(ctx context.Context, r signer.Request) ([]byte, error)
}

// DoorConfig names the parts of a Door.
type DoorConfig struct {
	Pages    *Pages
	Store    Store
	Requests Requests
	Receipts Receipts
	Module   signer.Module
	Register Register
	Viewer   Viewer
	Grants   Grants // nil: no application spends a consent itself
	Rules    policies.Rules
	// Issuer names the certification authority to citizens.
	Issuer string
	// CodeInterval is the time between two codes, as the module has it.
	CodeInterval time.Duration
	// Development shows the component page and lets cookies travel without TLS.
	Development bool
	Now         func() time.Time
}

// Door serves the pages: decode, one domain call, a view.
type Door struct {
	DoorConfig
	site *api.Site // that Room hangs it in
}

// NewDoor makes a Door.
func NewDoor(c DoorConfig) *Door { return &Door{DoorConfig: c} }

// Room hangs the pages' routes in the site. Where somebody may guess, the pace
// of one address is bounded.
func (d *Door) Room(site *api.Site) {
	d.site = site
	g, paced := site.Pages(), site.Attempts()
	g.GET("/", d.home)
	g.GET(AssetsPrefix+"*", echo.WrapHandler(d.Pages.Assets()))
	if d.Development {
		g.GET(ComponentsPath+"*", echo.WrapHandler(d.Pages.Gallery(d.Now)))
	}

	g.GET("/firma/:id", d.start)
	g.POST("/firma/:id", d.identify, paced)
	g.GET("/firma/:id/certificado", d.certificate)
	g.POST("/firma/:id/certificado", d.sendCertificateCode)
	g.GET("/firma/:id/certificado/codigo", d.certificateCode)
	g.POST("/firma/:id/certificado/codigo", d.issue)
	g.GET("/firma/:id/revisar", d.review)
	g.GET("/firma/:id/documento/:n/original", d.original)
	g.GET("/firma/:id/documento/:n/firmado", d.signed)
	g.GET("/firma/:id/documento/:n/pagina/:p", d.pageImage)
	g.GET("/firma/:id/justificante.pdf", d.evidence)
	g.GET("/firma/:id/justificante.json", d.receipt)
	g.POST("/firma/:id/codigo", d.sendCode)
	g.GET("/firma/:id/confirmar", d.confirm)
	g.POST("/firma/:id/confirmar", d.sign)
	g.GET("/firma/:id/rechazar", d.askRefusal)
	g.POST("/firma/:id/rechazar", d.refuse)
	g.GET("/firma/:id/hecho", d.done)

	g.GET("/activar", d.activate)
	g.POST("/activar", d.startActivation, paced)
	g.GET("/activar/codigo", d.activationCode)
	g.POST("/activar/codigo", d.confirmActivation)
	g.POST("/activar/codigo/otro", d.resendActivation)
	g.GET("/activar/contrasena", d.askPassword)
	g.POST("/activar/contrasena", d.setPassword)
	g.GET("/activar/hecho", d.activated)

	g.GET(passwordPath, d.askChange)
	g.POST(passwordPath, d.startChange, paced)
	g.GET(passwordCodePath, d.changeCode)
	g.POST(passwordCodePath, d.takeChangeCode)
	g.POST(passwordCodePath+"/otro", d.resendChangeCode)
	g.GET(newPasswordPath, d.askNewPassword)
	g.POST(newPasswordPath, d.changePassword)
	g.GET(changedPath, d.changed)
	g.GET(forgottenPath, d.forgotten)

	d.affairRoom(site)
}

// SigningPath is where an application sends the citizen.
func SigningPath(requestID string) string { return at(requestID) }

// Trouble draws the page of a refusal that no form can show. It is the site's
// api.ErrorPage.
func (d *Door) Trouble(c echo.Context, status int, refusal *policies.Refusal) error {
	if refusal.Code == policies.SessionExpired {
		return d.sessionEnded(c)
	}
	return d.show(c, status, &Trouble{Refusal: refusal, Reference: refusal.Params["reference"], HomeURL: "/"})
}

func (d *Door) show(c echo.Context, status int, view View) error {
	locale := d.Pages.Locale(c.Response(), c.Request())
	return d.Pages.Render(c.Response(), status, locale, view)
}

// seeOther is the answer to a form that was accepted: reload and back are safe.
func seeOther(c echo.Context, address string) error {
	return c.Redirect(http.StatusSeeOther, address)
}

// asRefusal finds the refusal in an error; anything else goes to the public
// side's error handler.
func asRefusal(err error) (*policies.Refusal, bool) {
	var r *policies.Refusal
	ok := errors.As(err, &r)
	return r, ok
}

// unacceptable is the status of a form that is shown again with its problems.
func unacceptable(r *policies.Refusal) int {
	switch r.Code {
	case policies.Busy, policies.Unavailable, policies.LogSuspended, policies.SMSFailed:
		return http.StatusServiceUnavailable
	case policies.RateLimited, policies.CodeTooMany, policies.CodeTooSoon, policies.PasswordPaused:
		return http.StatusTooManyRequests
	default:
		return http.StatusUnprocessableEntity
	}
}

// The cookies that hold tickets, one a ceremony: a citizen may have two open.
const (
	ticketCookie     = "rubrica_ticket"
	activationPath   = "/activar"
	ceremonyPathRoot = "/firma/"
)

func (d *Door) setTicket(c echo.Context, path string, s signer.Session) {
	c.SetCookie(&http.Cookie{ //nolint:gosec // without Secure in development only, which has no TLS
		Name: ticketCookie, Value: s.Ticket.Encode(), Path: path, Expires: s.ExpiresAt,
		HttpOnly: true, Secure: !d.Development, SameSite: http.SameSiteLaxMode,
	})
}

// visitor is who the browser's ticket says is there.
type visitor struct {
	signer.Visitor
	ticket signer.Ticket
}

func (d *Door) visitor(c echo.Context, purpose signer.Purpose) (visitor, error) {
	cookie, err := c.Cookie(ticketCookie)
	if err != nil {
		return visitor{}, policies.Refuse(policies.SessionExpired)
	}
	ticket, err := signer.ParseTicket(cookie.Value)
	if err != nil {
		return visitor{}, err
	}
	v, err := d.holder(c.Request().Context(), ticket)
	if err != nil {
		return visitor{}, err
	}
	if v.Purpose != purpose || v.RequestID != c.Param("id") {
		return visitor{}, policies.Refuse(policies.SessionExpired)
	}
	return v, nil
}

// holder is who holds a ticket.
func (d *Door) holder(ctx context.Context, ticket signer.Ticket) (visitor, error) {
	v, err := d.Store.Visitor(ctx, ticket.Hash(), d.Now())
	return visitor{Visitor: v, ticket: ticket}, err
}

// posted is visitor for a form: the form must carry the session's guard too.
func (d *Door) posted(c echo.Context, purpose signer.Purpose) (visitor, error) {
	v, err := d.visitor(c, purpose)
	if err != nil {
		return v, err
	}
	if !hmac.Equal([]byte(c.FormValue(FieldGuard)), []byte(v.guard())) {
		return visitor{}, policies.Refuse(policies.SessionExpired)
	}
	return v, nil
}

// guard binds a form to the ticket without giving the ticket away.
func (v visitor) guard() string {
	mac := hmac.New(sha256.New, []byte(v.ticket.Encode()))
	mac.Write([]byte("guard"))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func (v visitor) signer() Signer {
	return Signer{Name: v.Citizen.GivenName + " " + v.Citizen.Surnames, Masked: masked(v.Citizen.Identifier)}
}

func (v visitor) tail() string {
	return v.Citizen.Phone[max(0, len(v.Citizen.Phone)-3):]
}

// masked shows of an identifier what publications show.
func masked(identifier string) string {
	id, err := citizen.ParseIdentifier(identifier)
	if err != nil {
		return "***"
	}
	return id.Masked()
}
