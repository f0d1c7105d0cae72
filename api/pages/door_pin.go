package pages

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// Pins identifies by Cl@ve PIN. rpc.PinClient fulfils it.
type Pins interface {
	Ask(ctx context.Context, o citizen.PINOrder) (citizen.PINTicket, error)
	Identify(ctx context.Context, a citizen.PINAnswer) (signer.Session, error)
}

const (
	pinPath     = "/pin"
	pinCodePath = pinPath + "/codigo"
	pinCookie   = "rubrica_pin"
)

// PinRoom is where people come in by Cl@ve PIN.
type PinRoom struct {
	*Door

	Pins Pins
}

// Room hangs its routes in the site.
func (r PinRoom) Room(site *api.Site) {
	g, paced := site.Pages(), site.Attempts()
	g.GET(pinPath, r.ask)
	g.POST(pinPath, r.send, paced)
	g.GET(pinCodePath, r.code)
	g.POST(pinCodePath, r.identify, paced)
}

func askPINView() *AskPIN {
	return &AskPIN{Self: pinPath, SubmitURL: pinPath, PasswordURL: ownPagesPath}
}

func (r PinRoom) ask(c echo.Context) error { return r.show(c, http.StatusOK, askPINView()) }

// send answers the same to everybody whose form is filled in: that a PIN is on
// its way if the data are right.
func (r PinRoom) send(c echo.Context) error {
	view := askPINView()
	view.Identifier, view.DocumentUntil = c.FormValue(FieldIdentifier), c.FormValue(FieldDocumentUntil)
	order := citizen.PINOrder{RemoteAddr: c.RealIP()}
	var err error
	order.Identifier, err = citizen.ParseIdentifier(view.Identifier)
	view.note(FieldIdentifier, err)
	order.DocumentUntil, err = citizen.ParseDocumentDate(view.DocumentUntil)
	view.note(FieldDocumentUntil, err)
	order.AccessKey, err = citizen.ParseAccessKey(c.FormValue(FieldAccessKey))
	view.note(FieldAccessKey, err)
	if len(view.Problems) > 0 {
		return r.show(c, http.StatusUnprocessableEntity, view)
	}
	ticket, err := r.Pins.Ask(c.Request().Context(), order)
	if err != nil {
		return r.again(c, err, view, "")
	}
	r.keep(c, pinCookie, pinPath, pinTicket(ticket))
	return seeOther(c, pinCodePath)
}

// note adds a problem of a field, if there is one.
func (p *Page) note(field string, err error) {
	if r, ok := asRefusal(err); ok {
		p.Fail(field, r)
	}
}

// keep sets a cookie that lives as long as the browser's window.
func (d *Door) keep(c echo.Context, name, path, value string) {
	c.SetCookie(&http.Cookie{ //nolint:gosec // without Secure in development only, which has no TLS
		Name: name, Value: value, Path: path, HttpOnly: true, Secure: !d.Development, SameSite: http.SameSiteLaxMode,
	})
}

// pinTicket writes a ticket for a cookie; the time is for the page alone.
func pinTicket(t citizen.PINTicket) string {
	return t.ID + "." + strconv.FormatInt(t.ExpiresAt.Unix(), 10)
}

func heldPIN(c echo.Context) (citizen.PINTicket, bool) {
	cookie, err := c.Cookie(pinCookie)
	if err != nil {
		return citizen.PINTicket{}, false
	}
	id, until, _ := strings.Cut(cookie.Value, ".")
	seconds, err := strconv.ParseInt(until, 10, 64)
	return citizen.PINTicket{ID: id, ExpiresAt: time.Unix(seconds, 0)}, err == nil && id != ""
}

func (r PinRoom) codeView(t citizen.PINTicket) *TypePIN {
	return &TypePIN{Self: pinCodePath, ExpiresAt: t.ExpiresAt, Now: r.Now(), SubmitURL: pinCodePath, AgainURL: pinPath}
}

func (r PinRoom) code(c echo.Context) error {
	ticket, ok := heldPIN(c)
	if !ok {
		return seeOther(c, pinPath)
	}
	return r.show(c, http.StatusOK, r.codeView(ticket))
}

func (r PinRoom) identify(c echo.Context) error {
	ticket, ok := heldPIN(c)
	if !ok {
		return seeOther(c, pinPath)
	}
	view := r.codeView(ticket)
	answer := citizen.PINAnswer{ID: ticket.ID, RemoteAddr: c.RealIP()}
	var err error
	answer.AccessKey, err = citizen.ParseAccessKey(c.FormValue(FieldAccessKey))
	view.note(FieldAccessKey, err)
	answer.PIN, err = citizen.ParsePIN(c.FormValue(FieldPIN))
	view.note(FieldPIN, err)
	if len(view.Problems) > 0 {
		return r.show(c, http.StatusUnprocessableEntity, view)
	}
	session, err := r.Pins.Identify(c.Request().Context(), answer)
	if refusal, ok := asRefusal(err); ok && refusal.Code == policies.SessionExpired {
		return seeOther(c, pinPath)
	}
	if err != nil {
		return r.again(c, err, view, "")
	}
	r.drop(c, pinCookie, pinPath)
	return r.letIn(c, session)
}

// drop takes a cookie away.
func (d *Door) drop(c echo.Context, name, path string) {
	c.SetCookie(&http.Cookie{ //nolint:gosec // without Secure in development only, which has no TLS
		Name: name, Path: path, MaxAge: -1, HttpOnly: true, Secure: !d.Development, SameSite: http.SameSiteLaxMode,
	})
}

// ownPagesPath is where the citizen's own pages begin.
const ownPagesPath = "/mi"

// letIn leads somebody who was identified to the own pages.
func (d *Door) letIn(c echo.Context, s signer.Session) error {
	d.welcome(c, s)
	return seeOther(c, ownPagesPath)
}
