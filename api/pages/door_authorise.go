package pages

import (
	"context"
	"net/http"
	"net/url"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/api/oauth"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// AuthorisePath leads, with an id after it, to the page of an authorisation
// request.
const AuthorisePath = "/autorizar/"

// Authorisations are the requests of applications that a citizen answers here.
// *oauth.Server fulfils it. What answers one gives the address at which the
// application waits.
type Authorisations interface {
	// Asked reads one (policies.RequestUnknown, policies.RequestState,
	// policies.RequestExpired).
	Asked(ctx context.Context, id string) (oauth.Asked, error)
	Agree(ctx context.Context, id string, who signer.Citizen, ticket signer.Ticket) (string, error)
	// Done is Agree where the citizen has had a certificate made, or has given it
	// up. Decline says why it could not be, nil: the citizen did not want to.
	Done(ctx context.Context, id string, who signer.Citizen, credentialID string) (string, error)
	Decline(ctx context.Context, id string, why *policies.Refusal) (string, error)
	// Denied answers that which a signature request came of.
	Denied(ctx context.Context, requestID string, why *policies.Refusal) (string, error)
}

// AuthoriseRoom serves the pages of authorisation requests.
type AuthoriseRoom struct {
	Door           *Door
	Authorisations Authorisations
}

// Room hangs the pages' routes in the site.
func (a AuthoriseRoom) Room(site *api.Site) {
	g, paced := site.Pages(), site.Attempts()
	g.GET("/autorizar", a.ended)
	g.GET(AuthorisePath+":asked", a.ask)
	g.POST(AuthorisePath+":asked", a.agree, paced)
	g.POST(AuthorisePath+":asked/no", a.decline)
	const affairPath = AuthorisePath + ":asked" + errandPath
	g.GET(affairPath, a.errand((*Door).askAffair))
	g.POST(affairPath, a.errand((*Door).sendAffairCode))
	g.GET(affairPath+"/codigo", a.errand((*Door).affairCode))
	g.POST(affairPath+"/codigo", a.errand((*Door).carryAffair))
}

func (a AuthoriseRoom) view(c echo.Context) (*Authorise, oauth.Asked, error) {
	id := c.Param("asked")
	asked, err := a.Authorisations.Asked(c.Request().Context(), id)
	if err != nil {
		return nil, asked, err
	}
	view := &Authorise{
		Self: AuthorisePath + id, Request: requestOf(asked), Goes: goes(asked.Scope), Days: asked.Days, Site: siteOf(asked),
		SubmitURL: AuthorisePath + id, DeclineURL: AuthorisePath + id + "/no", ForgottenURL: forgottenPath, ActivateURL: activationPath,
	}
	return view, asked, nil
}

// goes is what a scope asks for besides being told.
func goes(scope string) string {
	switch scope {
	case api.ScopeCredential:
		return "sign"
	case api.ScopeCreation:
		return string(Issue)
	case api.ScopeDeletion:
		return string(Revoke)
	}
	return ""
}

func requestOf(asked oauth.Asked) *Request {
	return &Request{
		Organisation: asked.Client.Organisation, Application: asked.Client.Name, Procedure: asked.Title, Unsigned: asked.Scope != api.ScopeCredential,
	}
}

// siteOf is where the application waits.
func siteOf(asked oauth.Asked) string {
	back, err := url.Parse(asked.Return)
	if err != nil {
		return ""
	}
	return back.Scheme + "://" + back.Host
}

func (a AuthoriseRoom) ask(c echo.Context) error {
	view, asked, err := a.view(c)
	switch {
	case err != nil:
		return err
	case asked.RequestID != "":
		return seeOther(c, SigningPath(asked.RequestID))
	}
	return a.Door.show(c, http.StatusOK, view)
}

// agree takes the password. The ticket that it gives is kept where the citizen is
// asked to do something; otherwise it was for this answer.
func (a AuthoriseRoom) agree(c echo.Context) error {
	view, asked, err := a.view(c)
	if err != nil {
		return err
	}
	view.Identifier = c.FormValue(FieldIdentifier)
	session, err := a.Door.firstFactor(c, "", FieldPassword)
	if err != nil {
		return a.Door.again(c, err, view, FieldIdentifier)
	}
	who, err := a.Door.holder(c.Request().Context(), session.Ticket)
	if err != nil {
		return err
	}
	if err := asked.Meant(who.Citizen); err != nil {
		return a.Door.again(c, err, view, FieldIdentifier)
	}
	if e := newErrand(a.Authorisations, c.Param("asked"), asked); e != nil {
		return e.begin(c, a.Door, who, session)
	}
	address, err := a.Authorisations.Agree(c.Request().Context(), c.Param("asked"), who.Citizen, session.Ticket)
	if err != nil {
		return err
	}
	return seeOther(c, address)
}

func (a AuthoriseRoom) decline(c echo.Context) error {
	address, err := a.Authorisations.Decline(c.Request().Context(), c.Param("asked"), nil)
	if err != nil {
		return err
	}
	return seeOther(c, address)
}

// ended is where pages about a signature request lead that is over: the
// application hears of it.
func (a AuthoriseRoom) ended(c echo.Context) error {
	r, err := a.Door.Store.Request(c.Request().Context(), c.QueryParam("request"))
	if err != nil {
		return err
	}
	var why *policies.Refusal
	switch r.State {
	case signer.Refused:
	case signer.Expired, signer.Withdrawn:
		why = policies.Refuse(policies.RequestExpired)
	default:
		if a.Door.Now().Before(r.ExpiresAt) {
			return seeOther(c, SigningPath(r.ID))
		}
		why = policies.Refuse(policies.RequestExpired)
	}
	address, err := a.Authorisations.Denied(c.Request().Context(), r.ID, why)
	if err != nil {
		return err
	}
	return seeOther(c, address)
}
