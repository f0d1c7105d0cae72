package pages

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/signer"
)

// Cards identifies by municipal card. rpc.CardClient fulfils it.
type Cards interface {
	AskKey(ctx context.Context, o citizen.KeyOrder) error
	Identify(ctx context.Context, a citizen.CardAnswer) (signer.Session, error)
}

const (
	cardPath         = "/tarjeta"
	cardKeyPath      = cardPath + "/clave"
	cardKeyAskedPath = cardKeyPath + "/pedida"
)

// CardRoom is where holders of a town's cards come in. A deployment without
// cards does not hang it.
type CardRoom struct {
	*Door

	Cards Cards
}

// Room hangs its routes in the site.
func (r CardRoom) Room(site *api.Site) {
	g, paced := site.Pages(), site.Attempts()
	g.GET(cardPath, r.ask)
	g.POST(cardPath, r.identify, paced)
	g.GET(cardKeyPath, r.askKey)
	g.POST(cardKeyPath, r.sendKey, paced)
	g.GET(cardKeyAskedPath, r.keyAsked)
}

func identifyCardView() *IdentifyCard {
	return &IdentifyCard{Self: cardPath, SubmitURL: cardPath, KeyURL: cardKeyPath}
}

func (r CardRoom) ask(c echo.Context) error { return r.show(c, http.StatusOK, identifyCardView()) }

func (r CardRoom) identify(c echo.Context) error {
	view := identifyCardView()
	view.Card = c.FormValue(FieldCard)
	answer := citizen.CardAnswer{RemoteAddr: c.RealIP()}
	var err error
	answer.Number, err = citizen.ParseCardNumber(view.Card)
	view.note(FieldCard, err)
	answer.PIN, err = citizen.ParseCardPIN(c.FormValue(FieldCardPIN))
	view.note(FieldCardPIN, err)
	answer.Key, err = citizen.ParseOperationsKey(c.FormValue(FieldOperationsKey))
	view.note(FieldOperationsKey, err)
	if len(view.Problems) > 0 {
		return r.show(c, http.StatusUnprocessableEntity, view)
	}
	session, err := r.Cards.Identify(c.Request().Context(), answer)
	if err != nil {
		return r.again(c, err, view, "")
	}
	return r.letIn(c, session)
}

func (r CardRoom) askKey(c echo.Context) error {
	return r.show(c, http.StatusOK, &AskCardKey{Self: cardKeyPath, SubmitURL: cardKeyPath, BackURL: cardPath})
}

// sendKey answers the same to everybody whose form is filled in, to a new user
// and to one who has forgotten the key alike.
func (r CardRoom) sendKey(c echo.Context) error {
	view := &AskCardKey{Self: cardKeyPath, Card: c.FormValue(FieldCard), SubmitURL: cardKeyPath, BackURL: cardPath}
	order := citizen.KeyOrder{RemoteAddr: c.RealIP()}
	var err error
	order.Number, err = citizen.ParseCardNumber(view.Card)
	view.note(FieldCard, err)
	order.PIN, err = citizen.ParseCardPIN(c.FormValue(FieldCardPIN))
	view.note(FieldCardPIN, err)
	if len(view.Problems) > 0 {
		return r.show(c, http.StatusUnprocessableEntity, view)
	}
	if err := r.Cards.AskKey(c.Request().Context(), order); err != nil {
		return r.again(c, err, view, "")
	}
	return seeOther(c, cardKeyAskedPath)
}

func (r CardRoom) keyAsked(c echo.Context) error {
	return r.show(c, http.StatusOK, &CardKeyAsked{Self: cardKeyAskedPath, EnterURL: cardPath, AgainURL: cardKeyPath})
}
