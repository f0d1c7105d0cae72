package pages

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/api/presenting"
	"github.com/rubrica-firma/rubrica/policies"
)

// Presenting judges the certificates of connections. *presenting.Door fulfils it.
type Presenting interface {
	// Look judges the certificate of a request's connection
	// (policies.CertificateUntrusted, policies.CertificateUnreadable,
	// policies.RevocationUnknown, policies.DNIeRequired).
	Look(r *http.Request, e presenting.Errand) (presenting.Shown, error)
	// HandOver gives the address at which the visitor goes on.
	HandOver(ctx context.Context, s presenting.Shown, e presenting.Errand) (address string, err error)
}

// CertificateDoorConfig names the parts of a CertificateDoor.
type CertificateDoorConfig struct {
	Pages      *Pages
	Presenting Presenting
	// ServiceURL is the address of the public side, without a slash at its end.
	ServiceURL string
	// Development shows the component page.
	Development bool
	Now         func() time.Time
}

// CertificateDoor serves the pages of the certificate door.
type CertificateDoor struct{ CertificateDoorConfig }

// NewCertificateDoor makes a CertificateDoor.
func NewCertificateDoor(c CertificateDoorConfig) *CertificateDoor { return &CertificateDoor{c} }

// PresentPath is where somebody shows a certificate.
const PresentPath = "/certificado"

// PresentURL is the address at which a visitor shows a certificate for an
// errand, at the door's own address.
func PresentURL(door string, e presenting.Errand) string {
	return door + PresentPath + "?" + url.Values{
		presenting.ChallengeParameter: {e.Encode()}, presenting.ProcedureParameter: {string(e.Procedure)},
	}.Encode()
}

// Room hangs the pages' routes in the site.
func (d *CertificateDoor) Room(site *api.Site) {
	g, paced := site.Pages(), site.Attempts()
	g.GET("/", func(c echo.Context) error { return seeOther(c, d.ServiceURL) })
	g.GET(AssetsPrefix+"*", echo.WrapHandler(d.Pages.Assets()))
	if d.Development {
		g.GET(ComponentsPath+"*", echo.WrapHandler(d.Pages.Gallery(d.Now)))
	}
	g.GET(PresentPath, d.present, paced)
	g.POST(PresentPath, d.handOver, paced)
}

// Trouble draws the page of a refusal. It is the site's api.ErrorPage.
func (d *CertificateDoor) Trouble(c echo.Context, status int, refusal *policies.Refusal) error {
	return d.show(c, status, &Trouble{Refusal: refusal, Reference: refusal.Params["reference"], HomeURL: d.ServiceURL})
}

func (d *CertificateDoor) show(c echo.Context, status int, view View) error {
	locale := d.Pages.Locale(c.Response(), c.Request())
	return d.Pages.Render(c.Response(), status, locale, view)
}

// present shows whom the certificate names, before anything is done with it.
func (d *CertificateDoor) present(c echo.Context) error {
	e, err := presenting.ParseErrand(c.QueryParam(presenting.ChallengeParameter), c.QueryParam(presenting.ProcedureParameter))
	if err != nil {
		return err
	}
	shown, err := d.Presenting.Look(c.Request(), e)
	if refusal, ok := asRefusal(err); ok {
		return d.refused(c, e, refusal)
	}
	if err != nil {
		return err
	}
	return d.show(c, http.StatusOK, d.shown(shown, e))
}

func (d *CertificateDoor) shown(s presenting.Shown, e presenting.Errand) *ShownCertificate {
	return &ShownCertificate{
		Self: PresentURL("", e), Procedure: string(e.Procedure), Challenge: e.Encode(),
		Name: s.Name.String(), Identifier: s.Identifier.String(), Class: string(s.Class), Issuer: s.Issuer, Until: s.Certificate.NotAfter,
		SubmitURL: PresentPath, CancelURL: d.ServiceURL, ServiceURL: d.ServiceURL,
	}
}

// handOver takes the visitor back, with a code that says which certificate it
// was.
func (d *CertificateDoor) handOver(c echo.Context) error {
	e, err := presenting.ParseErrand(c.FormValue(presenting.ChallengeParameter), c.FormValue(presenting.ProcedureParameter))
	if err != nil {
		return err
	}
	shown, err := d.Presenting.Look(c.Request(), e)
	if err == nil {
		var address string
		if address, err = d.Presenting.HandOver(c.Request().Context(), shown, e); err == nil {
			return seeOther(c, address)
		}
	}
	if refusal, ok := asRefusal(err); ok {
		return d.refused(c, e, refusal)
	}
	return err
}

// refused tells what is wrong with the certificate, and what to do. What is no
// fault of the certificate goes to the site.
func (d *CertificateDoor) refused(c echo.Context, e presenting.Errand, refusal *policies.Refusal) error {
	if api.Status(refusal.Code) >= http.StatusInternalServerError && refusal.Code != policies.RevocationUnknown {
		return refusal
	}
	return d.show(c, api.Status(refusal.Code), &RefusedCertificate{
		Self: PresentURL("", e), Refusal: refusal, RetryURL: PresentURL("", e),
		OfficesURL: d.ServiceURL + OfficesPath, CancelURL: d.ServiceURL,
	})
}

// ShownCertificate asks whether it is the right certificate.
type ShownCertificate struct {
	Page
	Procedure  string // its sentences are presented.for.<procedure>
	Challenge  string
	Name       string
	Identifier string // whole: it is the reader's own
	Class      string // presented.class.<class>
	Issuer     string
	Until      time.Time
	SubmitURL  string
	CancelURL  string
	ServiceURL string // where the form leads at last
}

// RefusedCertificate tells why a certificate will not do.
type RefusedCertificate struct {
	Page
	Refusal    *policies.Refusal
	RetryURL   string
	OfficesURL string
	CancelURL  string
}

// Another is whether another certificate may help, which browsers do not ask for
// by themselves.
func (v *RefusedCertificate) Another() bool { return v.Refusal.Code != policies.RevocationUnknown }

// policy lets the answer to the form lead back to the public side.
func (v *ShownCertificate) policy() []string { return leads(v.ServiceURL) }

func (*ShownCertificate) template() string   { return "presented" }
func (*RefusedCertificate) template() string { return "presented-refused" }
