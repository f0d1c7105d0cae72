package pages

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
)

// Letters invites people to register. rpc.LetterClient fulfils it.
type Letters interface {
	Request(ctx context.Context, o citizen.LetterOrder) error
	Answer(ctx context.Context, a citizen.LetterAnswer) (citizen.Redeemed, error)
}

// LetterPath is where a letter is asked for.
const LetterPath = "/registro/carta"

const (
	letterAskedPath = LetterPath + "/pedida"
	letterCodePath  = LetterPath + "/codigo"
)

// LetterRoom is where people ask for an invitation letter, and answer one.
type LetterRoom struct {
	*Door

	Letters Letters
}

// Room hangs its routes in the site.
func (r LetterRoom) Room(site *api.Site) {
	g, paced := site.Pages(), site.Attempts()
	g.GET(LetterPath, r.ask)
	g.POST(LetterPath, r.request, paced)
	g.GET(letterAskedPath, r.asked)
	g.GET(letterCodePath, r.code)
	g.POST(letterCodePath, r.answer, paced)
}

func askLetterView() *AskLetter {
	return &AskLetter{Self: LetterPath, SubmitURL: LetterPath, CodeURL: letterCodePath, OfficeURL: registerPath}
}

func (r LetterRoom) ask(c echo.Context) error { return r.show(c, http.StatusOK, askLetterView()) }

// request answers the same to everybody whose form is filled in.
func (r LetterRoom) request(c echo.Context) error {
	view := askLetterView()
	view.Identifier, view.DocumentUntil, view.IBAN = c.FormValue(FieldIdentifier), c.FormValue(FieldDocumentUntil), c.FormValue(FieldIBAN)
	order := citizen.LetterOrder{RemoteAddr: c.RealIP()}
	var err error
	order.Identifier, err = citizen.ParseIdentifier(view.Identifier)
	view.note(FieldIdentifier, err)
	order.DocumentUntil, err = citizen.ParseDocumentDate(view.DocumentUntil)
	view.note(FieldDocumentUntil, err)
	order.IBAN, err = citizen.ParseIBAN(view.IBAN)
	view.note(FieldIBAN, err)
	if len(view.Problems) > 0 {
		return r.show(c, http.StatusUnprocessableEntity, view)
	}
	err = r.Letters.Request(c.Request().Context(), order)
	if refusal, ok := asRefusal(err); ok && refusal.Code == policies.IdentityDocumentExpiry {
		return r.again(c, err, view, FieldDocumentUntil)
	}
	if err != nil {
		return r.again(c, err, view, "")
	}
	return seeOther(c, letterAskedPath)
}

func (r LetterRoom) asked(c echo.Context) error {
	return r.show(c, http.StatusOK, &LetterAsked{Self: letterAskedPath, CodeURL: letterCodePath, HomeURL: "/"})
}

func answerLetterView() *AnswerLetter {
	return &AnswerLetter{Self: letterCodePath, SubmitURL: letterCodePath, AskURL: LetterPath}
}

func (r LetterRoom) code(c echo.Context) error { return r.show(c, http.StatusOK, answerLetterView()) }

func (r LetterRoom) answer(c echo.Context) error {
	view := answerLetterView()
	view.Identifier, view.DocumentUntil, view.CSV = c.FormValue(FieldIdentifier), c.FormValue(FieldDocumentUntil), c.FormValue(FieldCSV)
	answer := citizen.LetterAnswer{RemoteAddr: c.RealIP()}
	var err error
	answer.Identifier, err = citizen.ParseIdentifier(view.Identifier)
	view.note(FieldIdentifier, err)
	answer.DocumentUntil, err = citizen.ParseDocumentDate(view.DocumentUntil)
	view.note(FieldDocumentUntil, err)
	answer.Code, err = citizen.ParseLetterCode(view.CSV)
	view.note(FieldCSV, err)
	if len(view.Problems) > 0 {
		return r.show(c, http.StatusUnprocessableEntity, view)
	}
	opened, err := r.Letters.Answer(c.Request().Context(), answer)
	if err != nil {
		return r.again(c, err, view, "")
	}
	r.HoldEnrolment(c, citizen.ProcedureRegister, opened)
	return seeOther(c, registerPath+"/datos")
}
