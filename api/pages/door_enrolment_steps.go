package pages

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// The steps after somebody has proved who they are.

func (r RegistrationRoom) dataView(e enrolled) *EnrolData {
	return &EnrolData{
		Self: e.base + "/datos", Guard: e.guard(), Procedure: e.Procedure, Kind: e.Kind, Signer: e.signer(),
		Obstacles: r.obstacles(e), Hours: r.coolOff(), SubmitURL: e.base + "/datos", BackURL: e.base,
	}
}

// obstacles are what a registration of that kind will not be enough for, as the
// deployment reads the five-year rule.
func (r RegistrationRoom) obstacles(e enrolled) []*policies.Refusal {
	if e.Procedure != citizen.ProcedureRegister {
		return nil
	}
	now := r.Now()
	return policies.Preflight(policies.Facts{
		Now: now, Status: policies.StatusActive, DocumentUntil: now.AddDate(1, 0, 0),
		Registration: policies.Registration{Mode: e.Mode, Level: e.Level, AssuredAt: now},
	}, r.Rules).Certify
}

func (r RegistrationRoom) askData(c echo.Context, e enrolled) error {
	view := r.dataView(e)
	// Who comes back to mend one thing finds the others as they were.
	view.Mobile, view.Email = strings.TrimPrefix(e.Phone, "+34"), e.Email
	if until, err := time.Parse(time.DateOnly, e.DocumentUntil); err == nil {
		view.DocumentUntil = until.Format("02/01/2006")
	}
	return r.show(c, http.StatusOK, view)
}

func (r RegistrationRoom) takeData(c echo.Context, e enrolled) error {
	view := r.dataView(e)
	view.Mobile, view.Email, view.DocumentUntil = c.FormValue(FieldMobile), c.FormValue(FieldContactEmail), c.FormValue(FieldDocumentUntil)
	order := citizen.EnrolmentOrder{Ticket: e.ticket, Locale: r.Pages.Locale(c.Response(), c.Request())}
	var err error
	if view.Asks(FieldMobile) {
		order.Phone, err = citizen.ParsePhone(view.Mobile)
		view.note(FieldMobile, err)
	}
	if view.Asks(FieldContactEmail) {
		order.Email, err = citizen.ParseEmail(view.Email)
		view.note(FieldContactEmail, err)
	}
	if view.Asks(FieldDocumentUntil) {
		order.DocumentUntil, err = citizen.ParseDocumentDate(view.DocumentUntil)
		view.note(FieldDocumentUntil, err)
	}
	if len(view.Problems) > 0 {
		return r.show(c, http.StatusUnprocessableEntity, view)
	}
	if !view.Asks(FieldMobile) {
		return r.finish(c, e, view, citizen.EnrolmentAnswer{DocumentUntil: order.DocumentUntil})
	}
	if _, err := r.Registrar.SendEnrolmentCode(c.Request().Context(), order); err != nil {
		return r.tryAgain(c, e, err, view)
	}
	return seeOther(c, e.base+"/codigo")
}

// tryAgain shows a page with what kept its answer from being accepted.
func (r RegistrationRoom) tryAgain(c echo.Context, e enrolled, err error, view View) error {
	refusal, ok := asRefusal(err)
	if !ok {
		return err
	}
	field := map[policies.Code]string{
		policies.PhoneInvalid: FieldMobile, policies.PhoneTaken: FieldMobile, policies.PhoneRefused: FieldMobile,
		policies.EmailInvalid: FieldContactEmail, policies.IdentityDocumentExpiry: FieldDocumentUntil,
		policies.CodeMalformed: FieldCode, policies.CodeWrong: FieldCode, policies.CodeExpired: FieldCode,
	}[refusal.Code]
	if _, typing := view.(*EnrolCode); typing && field != FieldCode {
		field = ""
	}
	switch refusal.Code {
	case policies.SessionExpired, policies.CitizenExists, policies.CitizenUnknown, policies.CitizenDeregistered, policies.CitizenBlocked,
		policies.DNIeRequired, policies.RecordTampered:
		return r.restart(c, e.Procedure, refusal)
	case policies.Internal:
		return err
	case policies.CodeWrong, policies.CodeExhausted:
		refusal = withWait(refusal, view)
	default:
	}
	view.page().Fail(field, refusal)
	return r.show(c, unacceptable(refusal), view)
}

func (r RegistrationRoom) codeView(e enrolled) *EnrolCode {
	now := r.Now()
	return &EnrolCode{
		Self: e.base + "/codigo", Guard: e.guard(), Procedure: e.Procedure, SubmitURL: e.base + "/codigo", BackURL: e.base + "/datos",
		Tail: e.tail(), SentAt: e.SentAt, ExpiresAt: e.CodeUntil(), Now: now,
		AgainIn: max(0, e.SentAt.Add(r.CodeInterval).Sub(now)), AgainURL: e.base + "/codigo/otro",
	}
}

func (r RegistrationRoom) askCode(c echo.Context, e enrolled) error {
	if e.SentAt.IsZero() {
		return seeOther(c, e.base+"/datos")
	}
	view := r.codeView(e)
	state, err := r.Store.Delivery(c.Request().Context(), e.CodeID())
	if err != nil {
		return err
	}
	view.Delivered, view.Failed = delivery(state)
	return r.show(c, http.StatusOK, view)
}

// resend sends another code to the same number.
func (r RegistrationRoom) resend(c echo.Context, e enrolled) error {
	order := citizen.EnrolmentOrder{Ticket: e.ticket, Locale: r.Pages.Locale(c.Response(), c.Request())}
	var err error
	if order.Phone, err = citizen.ParsePhone(e.Phone); err != nil {
		return seeOther(c, e.base+"/datos")
	}
	if e.Procedure == citizen.ProcedureRegister {
		if order.Email, err = citizen.ParseEmail(e.Email); err != nil {
			return seeOther(c, e.base+"/datos")
		}
		if order.DocumentUntil, err = time.Parse(time.DateOnly, e.DocumentUntil); err != nil {
			return seeOther(c, e.base+"/datos")
		}
	}
	if _, err := r.Registrar.SendEnrolmentCode(c.Request().Context(), order); err != nil {
		return r.tryAgain(c, e, err, r.codeView(e))
	}
	return seeOther(c, e.base+"/codigo")
}

func (r RegistrationRoom) takeCode(c echo.Context, e enrolled) error {
	if e.SentAt.IsZero() {
		return seeOther(c, e.base+"/datos")
	}
	view := r.codeView(e)
	code, err := signer.ParseCode(c.FormValue(FieldCode))
	if err != nil {
		return r.tryAgain(c, e, err, view)
	}
	return r.finish(c, e, view, citizen.EnrolmentAnswer{Code: code})
}

// finish does it, and shows what only this answer can show: the activation code
// is nowhere else.
func (r RegistrationRoom) finish(c echo.Context, e enrolled, view View, answer citizen.EnrolmentAnswer) error {
	answer.Ticket, answer.Procedure = e.ticket, e.Procedure
	receipt, err := r.Registrar.CompleteEnrolment(c.Request().Context(), answer)
	if err != nil {
		return r.tryAgain(c, e, err, view)
	}
	done := &EnrolDone{
		Guard: e.guard(), Procedure: e.Procedure, At: r.Now(), Obstacles: r.obstacles(e), Tail: e.tail(), Hours: r.coolOff(),
		ActivateURL: activationPath, OwnURL: ownPagesPath,
	}
	if e.Procedure != citizen.ProcedurePhone {
		done.ReceiptURL = e.base + "/recibo.pdf"
	}
	if receipt.ActivationCode != (citizen.ActivationCode{}) {
		done.ActivationCode = receipt.ActivationCode.Print()
	}
	if e.Procedure == citizen.ProcedureRenew {
		done.Until = policies.Preflight(policies.Facts{
			Now: done.At, Status: policies.StatusActive,
			Registration: policies.Registration{Mode: e.Mode, Level: e.Level, AssuredAt: receipt.RegisteredAt},
		}, r.Rules).RegistrationUntil
	}
	return r.show(c, http.StatusOK, done)
}

// receipt draws what the person takes home. The activation code comes back from
// the page that has shown it: it is kept nowhere, and drawn as it was sent.
func (r RegistrationRoom) receipt(p citizen.Procedure) echo.HandlerFunc {
	return func(c echo.Context) error {
		e, err := r.held(c, p)
		if err == nil && (e.SpentAt.IsZero() || c.FormValue(FieldGuard) != e.guard()) {
			err = policies.Refuse(policies.SessionExpired)
		}
		if refusal, ok := asRefusal(err); ok {
			return r.restart(c, p, refusal)
		}
		if err != nil {
			return err
		}
		paper := RegistrationReceipt{
			Kind: map[citizen.Procedure]ReceiptKind{
				citizen.ProcedureRegister: ReceiptRegistered, citizen.ProcedureRenew: ReceiptRenewed, citizen.ProcedureActivation: ReceiptActivation,
			}[p],
			Name: e.signer().Name, Identifier: e.Identifier, Mode: string(e.Mode), Level: string(e.Level),
			Office: e.OfficeName, IssuedAt: e.SpentAt, AssuredAt: e.SpentAt, ServiceURL: strings.TrimRight(r.ServiceURL, "/"),
		}
		if paper.Kind == ReceiptRegistered {
			paper.Email, paper.Phone = e.Email, signer.MaskPhone(e.Phone)
			if until, err := time.Parse(time.DateOnly, e.DocumentUntil); err == nil {
				paper.DocumentUntil = until
			}
		}
		if code, err := citizen.ParseActivationCode(c.FormValue(FieldActivationCode)); err == nil {
			paper.ActivationCode = code.Print()
		}
		pdf, err := r.Pages.Receipt(r.Pages.Locale(c.Response(), c.Request()), paper)
		if err != nil {
			return err
		}
		header := c.Response().Header()
		header.Set("Content-Disposition", `attachment; filename="resguardo.pdf"`)
		header.Set("Cache-Control", "no-store")
		header.Set("Content-Length", strconv.Itoa(len(pdf)))
		return c.Blob(http.StatusOK, "application/pdf", pdf)
	}
}
