package pages

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/api/oauth"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// Affairs that an application has asked for (scopes credential_creation and
// credential_deletion): the pages of the citizen's own, with who asks at their
// head. What the citizen confirms here is done here; the application only hears
// of it.

// errandPath follows the address of an authorisation request.
const errandPath = "/certificado"

// errand is who has asked for an affair.
type errand struct {
	oauth.Asked

	waiting Authorisations
	path    string // of the authorisation request
	id      string
}

// newErrand is nil where nothing is to be done with a certificate.
func newErrand(waiting Authorisations, id string, asked oauth.Asked) *errand {
	if asked.Scope != api.ScopeCreation && asked.Scope != api.ScopeDeletion {
		return nil
	}
	return &errand{Asked: asked, waiting: waiting, path: AuthorisePath + id, id: id}
}

// affair is what is asked for.
func (e *errand) affair() affair {
	a := affair{path: e.path + errandPath, purpose: signer.ForCertificate, name: Renew, asked: e}
	if e.Scope == api.ScopeDeletion {
		a.purpose, a.name = signer.ForRevocation, Revoke
	}
	return a
}

// errand serves a page of the affair that is asked for.
func (a AuthoriseRoom) errand(serve func(*Door, echo.Context, affair) error) echo.HandlerFunc {
	return func(c echo.Context) error {
		id := c.Param("asked")
		asked, err := a.Authorisations.Asked(c.Request().Context(), id)
		if err != nil {
			return err
		}
		e := newErrand(a.Authorisations, id, asked)
		if e == nil {
			return seeOther(c, AuthorisePath+id)
		}
		return serve(a.Door, c, e.affair())
	}
}

// begin goes on with a citizen who has just typed the password.
func (e *errand) begin(c echo.Context, d *Door, v visitor, session signer.Session) error {
	if why := d.obstacle(v, e.affair()); why != nil {
		return e.cannot(c, d, why)
	}
	d.setTicket(c, e.path, session)
	return seeOther(c, e.affair().path)
}

func (e *errand) request() *Request { return requestOf(e.Asked) }

func (e *errand) leave() Leave { return Leave{DeclineURL: e.path + "/no", Site: siteOf(e.Asked)} }

// obstacle is why the citizen cannot do what is asked. A certificate that is there
// is one: to renew it is the citizen's own affair.
func (e *errand) obstacle(d *Door, v visitor, a affair) error {
	if a.purpose == signer.ForCertificate {
		_, err := policies.IssueCertificate(signer.Facts(v.Citizen, v.Credential, d.Now()), d.Rules)
		return err
	}
	if e.CredentialID != "" && e.CredentialID != v.CredentialID {
		return policies.Refuse(policies.CredentialMissing)
	}
	return signer.Changeable(a.purpose, v.Credential, d.Now())
}

// cannot tells the citizen why, and the application.
func (e *errand) cannot(c echo.Context, d *Door, why error) error {
	refusal, ok := asRefusal(why)
	if !ok {
		return why
	}
	address, err := e.waiting.Decline(c.Request().Context(), e.id, refusal)
	if err != nil {
		return err
	}
	return d.show(c, http.StatusForbidden, &Trouble{Request: e.request(), Refusal: refusal, ReturnURL: address})
}

// done tells the application, whether the browser still waits or not.
func (e *errand) done(c echo.Context, v visitor) error {
	address, err := e.waiting.Done(context.WithoutCancel(c.Request().Context()), e.id, v.Citizen, v.CredentialID)
	if err != nil {
		return err
	}
	return seeOther(c, address)
}

// over tells it of a session that ended with what it has asked for, and that it
// has not heard of.
func (e *errand) over(c echo.Context, d *Door, v visitor, a affair) error {
	used, err := d.consumed(c.Request().Context(), v, a.purpose)
	if err == nil && used && a.purpose == signer.ForCertificate {
		err = d.made(v)
	}
	switch {
	case err != nil:
		return err
	case !used:
		return d.sessionEnded(c)
	}
	return e.done(c, v)
}
