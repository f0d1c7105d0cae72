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
	Decline(ctx context.Context, id string) (string, error)
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
	g.GET(AuthorisePath+":id", a.ask)
	g.POST(AuthorisePath+":id", a.agree, paced)
	g.POST(AuthorisePath+":id/no", a.decline)
}

func (a AuthoriseRoom) view(c echo.Context) (*Authorise, oauth.Asked, error) {
	id := c.Param("id")
	asked, err := a.Authorisations.Asked(c.Request().Context(), id)
	if err != nil {
		return nil, asked, err
	}
	view := &Authorise{
		Self:    AuthorisePath + id,
		Request: &Request{Organisation: asked.Client.Organisation, Application: asked.Client.Name, Procedure: asked.Title},
		Signs:   asked.Scope == api.ScopeCredential, Days: asked.Days,
		SubmitURL: AuthorisePath + id, DeclineURL: AuthorisePath + id + "/no", ForgottenURL: forgottenPath, ActivateURL: activationPath,
	}
	if back, err := url.Parse(asked.Return); err == nil {
		view.Site = back.Scheme + "://" + back.Host
	}
	return view, asked, nil
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

// agree takes the password. The ticket that it gives is not kept: it was for
// this answer.
func (a AuthoriseRoom) agree(c echo.Context) error {
	view, _, err := a.view(c)
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
	address, err := a.Authorisations.Agree(c.Request().Context(), c.Param("id"), who.Citizen, session.Ticket)
	if err != nil {
		return err
	}
	return seeOther(c, address)
}

func (a AuthoriseRoom) decline(c echo.Context) error {
	address, err := a.Authorisations.Decline(c.Request().Context(), c.Param("id"))
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
