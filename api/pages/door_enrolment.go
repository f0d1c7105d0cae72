package pages

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// Registrar is the registration authority on line. rpc.Client fulfils it.
type Registrar interface {
	Redeem(ctx context.Context, r citizen.Redemption) (citizen.Redeemed, error)
	SendEnrolmentCode(ctx context.Context, o citizen.EnrolmentOrder) (signer.Challenge, error)
	CompleteEnrolment(ctx context.Context, a citizen.EnrolmentAnswer) (citizen.Receipt, error)
}

// EnrolmentReader reads an enrolment for its pages, spent or not, until it
// expires (policies.SessionExpired). store.Public fulfils it.
type EnrolmentReader interface {
	Enrolment(ctx context.Context, hash []byte, now time.Time) (citizen.Enrolment, error)
}

// RegistrationRoom is where people register, renew a registration and change
// their mobile who show a certificate or answer a letter.
type RegistrationRoom struct {
	*Door

	Registrar  Registrar
	Enrolments EnrolmentReader
	// CertificateURL is the address of the certificate door; empty where the
	// deployment has none.
	CertificateURL string
	// The addresses of what other rooms offer; empty where there is none.
	LetterURL, OfficesURL string
	// ServiceURL is the public address of this service, for receipts.
	ServiceURL string
}

const (
	registerPath   = "/registro"
	renewPath      = "/renovar"
	phonePath      = "/movil"
	codePath       = "/codigo-de-activacion" //nolint:misspell // Spanish
	showPath       = "/con-certificado"
	shownPath      = "/certificado-presentado"
	verifierCookie = "rubrica_verifier"
	codeIn         = "codigo"
)

// basePath is where a procedure has its pages; its enrolment's cookie goes there
// and nowhere else.
func basePath(p citizen.Procedure) (string, bool) {
	switch p {
	case citizen.ProcedureRegister:
		return registerPath, true
	case citizen.ProcedureRenew:
		return renewPath, true
	case citizen.ProcedurePhone:
		return phonePath, true
	case citizen.ProcedureActivation:
		return codePath, true
	case citizen.ProcedureAssociate, citizen.ProcedureAccess:
		return ownPagesPath, true
	}
	return "", false
}

// Room hangs the routes in the site.
func (r RegistrationRoom) Room(site *api.Site) {
	g, paced := site.Pages(), site.Attempts()
	g.GET(registerPath, r.ways)
	for _, p := range []citizen.Procedure{citizen.ProcedureRegister, citizen.ProcedureRenew, citizen.ProcedurePhone, citizen.ProcedureActivation} {
		base, _ := basePath(p)
		if p != citizen.ProcedureRegister {
			g.GET(base, r.explain(p))
		}
		g.GET(base+"/datos", r.with(p, r.askData))
		g.POST(base+"/datos", r.with(p, r.takeData), paced)
		g.POST(base+"/recibo.pdf", r.receipt(p))
		if p == citizen.ProcedureRegister || p == citizen.ProcedurePhone {
			g.GET(base+"/codigo", r.with(p, r.askCode))
			g.POST(base+"/codigo", r.with(p, r.takeCode))
			g.POST(base+"/codigo/otro", r.with(p, r.resend))
		}
	}
	g.GET(showPath+"/:tramite", r.start)
	g.GET(shownPath, r.shown, paced)
}

// show is the address of the page that leads to the certificate door.
func (r RegistrationRoom) showURL(p citizen.Procedure) string {
	if r.CertificateURL == "" {
		return ""
	}
	return showPath + "/" + string(p)
}

func (r RegistrationRoom) ways(c echo.Context) error {
	return r.show(c, http.StatusOK, &RegisterWays{
		Self: registerPath, Strict: r.Rules.Reading != policies.ReadingAge,
		CertificateURL: r.showURL(citizen.ProcedureRegister), LetterURL: r.LetterURL, OfficesURL: r.OfficesURL, ActivateURL: activationPath,
	})
}

func (r RegistrationRoom) explain(p citizen.Procedure) echo.HandlerFunc {
	return func(c echo.Context) error {
		base, _ := basePath(p)
		return r.show(c, http.StatusOK, &ShowCertificate{
			Self: base, Procedure: p, Years: r.Rules.RegistrationYears, Hours: r.coolOff(), StartURL: r.showURL(p), OfficesURL: r.OfficesURL,
		})
	}
}

func (r RegistrationRoom) coolOff() int { return int(r.Rules.PhoneCoolOff / time.Hour) }

// start sends the browser to the certificate door, with the hash of a secret
// that it keeps: what the door gives it is worth nothing to another browser.
func (r RegistrationRoom) start(c echo.Context) error {
	p := citizen.Procedure(c.Param("tramite"))
	if _, known := basePath(p); !known || r.CertificateURL == "" {
		return policies.Refuse(policies.NotFound)
	}
	verifier := make([]byte, sha256.Size)
	rand.Read(verifier)
	challenge := sha256.Sum256(verifier)
	r.keep(c, verifierCookie, shownPath, base64.RawURLEncoding.EncodeToString(verifier))
	return seeOther(c, r.CertificateURL+"/certificado?"+url.Values{
		"desafio": {base64.RawURLEncoding.EncodeToString(challenge[:])},
		"tramite": {string(p)},
		"lang":    {r.Pages.Locale(c.Response(), c.Request())},
	}.Encode())
}

// shown is where the browser comes back to.
func (r RegistrationRoom) shown(c echo.Context) error {
	p := citizen.Procedure(c.QueryParam("tramite"))
	base, known := basePath(p)
	if !known {
		return policies.Refuse(policies.NotFound)
	}
	cookie, err := c.Cookie(verifierCookie)
	if err != nil {
		return r.restart(c, p, policies.Refuse(policies.SessionExpired))
	}
	redeemed, err := r.Registrar.Redeem(c.Request().Context(), citizen.Redemption{
		Code: c.QueryParam(codeIn), Verifier: cookie.Value, Procedure: p, RemoteAddr: c.RealIP(),
	})
	if refusal, ok := asRefusal(err); ok {
		return r.restart(c, p, refusal)
	}
	if err != nil {
		return err
	}
	r.drop(c, verifierCookie, shownPath)
	if p == citizen.ProcedureAccess {
		return r.letIn(c, signer.Session{Ticket: redeemed.Ticket, ExpiresAt: redeemed.ExpiresAt})
	}
	r.HoldEnrolment(c, p, redeemed)
	if p == citizen.ProcedureAssociate {
		return seeOther(c, associatedPath)
	}
	return seeOther(c, base+"/datos")
}

// HoldEnrolment gives the browser the ticket of an enrolment, for the pages of
// its procedure.
func (d *Door) HoldEnrolment(c echo.Context, p citizen.Procedure, e citizen.Redeemed) {
	base, _ := basePath(p)
	c.SetCookie(&http.Cookie{ //nolint:gosec // without Secure in development only, which has no TLS
		Name: shownCookie, Value: e.Ticket.Encode(), Path: base, Expires: e.ExpiresAt,
		HttpOnly: true, Secure: !d.Development, SameSite: http.SameSiteLaxMode,
	})
}

// restart tells why it does not go on, and where it begins.
func (r RegistrationRoom) restart(c echo.Context, p citizen.Procedure, refusal *policies.Refusal) error {
	if refusal.Code == policies.Internal || refusal.Code == policies.Unavailable {
		return refusal
	}
	switch refusal.Code {
	case policies.SessionExpired, policies.CitizenExists, policies.CitizenUnknown, policies.CitizenDeregistered:
		// Elsewhere these are told to offices, or of a signature.
		refusal = policies.Refuse(refusal.Code, "reason", "procedure")
	default:
	}
	base, _ := basePath(p)
	return r.show(c, unacceptable(refusal), &Trouble{Refusal: refusal, RetryURL: base, HomeURL: "/"})
}

// enrolled is somebody on the way.
type enrolled struct {
	citizen.Enrolment
	ticket signer.Ticket
	base   string
}

// guard binds a form to the ticket without giving the ticket away.
func (e enrolled) guard() string { return visitor{ticket: e.ticket}.guard() }

func (e enrolled) signer() Signer {
	return Signer{Name: e.GivenName + " " + e.Surnames, Masked: masked(e.Identifier)}
}

func (e enrolled) tail() string { return e.Phone[max(0, len(e.Phone)-3):] }

// with reads the enrolment of a procedure; a form must carry its guard.
func (r RegistrationRoom) with(p citizen.Procedure, handle func(echo.Context, enrolled) error) echo.HandlerFunc {
	return func(c echo.Context) error {
		e, err := r.held(c, p)
		if err == nil && c.Request().Method == http.MethodPost && !hmac.Equal([]byte(c.FormValue(FieldGuard)), []byte(e.guard())) {
			err = policies.Refuse(policies.SessionExpired)
		}
		if err == nil && !e.SpentAt.IsZero() {
			err = policies.Refuse(policies.SessionExpired)
		}
		if refusal, ok := asRefusal(err); ok {
			return r.restart(c, p, refusal)
		}
		if err != nil {
			return err
		}
		return handle(c, e)
	}
}

func (r RegistrationRoom) held(c echo.Context, p citizen.Procedure) (enrolled, error) {
	base, _ := basePath(p)
	cookie, err := c.Cookie(shownCookie)
	if err != nil {
		return enrolled{}, policies.Refuse(policies.SessionExpired)
	}
	ticket, err := signer.ParseTicket(cookie.Value)
	if err != nil {
		return enrolled{}, err
	}
	row, err := r.Enrolments.Enrolment(c.Request().Context(), ticket.Hash(), r.Now())
	if err == nil && row.Procedure != p {
		err = policies.Refuse(policies.SessionExpired)
	}
	return enrolled{Enrolment: row, ticket: ticket, base: base}, err
}
