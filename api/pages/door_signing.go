package pages

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api/requests"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// The handlers of the signing ceremony. Every one finds its place anew from
// the request's state and the ticket, so that reload, back and a second tab
// are safe.

// at is an address inside a request's ceremony.
func at(id string, parts ...string) string {
	return ceremonyPathRoot + strings.Join(append([]string{id}, parts...), "/")
}

// ended shows the page of a request on which nothing can be done any more, or
// not at this moment. It reports false while the citizen may act.
func (d *Door) ended(c echo.Context, r signer.Request) (bool, error) {
	page := ceremonyPage(r, "")
	back, err := requests.ReturnURL(r)
	if err != nil {
		return true, err
	}
	switch {
	case r.State == signer.Signed:
		return true, seeOther(c, at(r.ID, "hecho"))
	case r.State == signer.Refused:
		return true, d.show(c, http.StatusOK, &Refused{Page: page, At: r.ClosedAt, ReturnURL: back})
	case r.State == signer.Withdrawn:
		return true, d.show(c, http.StatusGone, &Withdrawn{Page: page, At: r.ClosedAt, ReturnURL: back})
	case r.State == signer.Expired, r.State == signer.Pending && !d.Now().Before(r.ExpiresAt):
		return true, d.show(c, http.StatusGone, &Expired{Page: page, At: r.ExpiresAt, ReturnURL: back})
	case r.State == signer.Signing:
		// Another answer to the same code is being worked on, or a process died
		// over it: a little later the page knows which.
		return true, d.show(c, http.StatusOK, &Working{Page: page, LookURL: at(r.ID)})
	case r.State == signer.Received:
		return true, policies.Refuse(policies.RequestUnknown)
	}
	return false, nil
}

func ceremonyPage(r signer.Request, self string) Page {
	asked := &Request{Organisation: r.Application.Organisation, Application: r.Application.Name, Procedure: r.Title}
	for _, p := range r.Particulars {
		asked.Details = append(asked.Details, Detail{Label: p.Label, Value: p.Value})
	}
	return Page{Self: self, Request: asked}
}

// open reads the request of the address; the second result is whether the
// answer has been given already.
func (d *Door) open(c echo.Context) (signer.Request, bool, error) {
	r, err := d.Store.Request(c.Request().Context(), c.Param("id"))
	if err != nil {
		return r, true, err
	}
	done, err := d.ended(c, r)
	return r, done, err
}

// start is where an application sends its citizen.
func (d *Door) start(c echo.Context) error {
	r, done, err := d.open(c)
	if done || err != nil {
		return err
	}
	if v, err := d.visitor(c, signer.ForSignature); err == nil && !v.Spent {
		return seeOther(c, at(r.ID, "revisar"))
	}
	return d.show(c, http.StatusOK, d.identifyView(r))
}

func (d *Door) identifyView(r signer.Request) *Identify {
	return &Identify{
		Page: ceremonyPage(r, at(r.ID)), SubmitURL: at(r.ID),
		ActivateURL: activationPath + "?firma=" + r.ID, ForgottenURL: forgottenPath + "?firma=" + r.ID, ChangeURL: passwordPath + "?firma=" + r.ID,
	}
}

func (d *Door) identify(c echo.Context) error {
	r, done, err := d.open(c)
	if done || err != nil {
		return err
	}
	view := d.identifyView(r)
	view.Identifier = c.FormValue(FieldIdentifier)
	session, err := d.firstFactor(c, r.ID, FieldPassword)
	if err != nil {
		return d.again(c, err, view, FieldIdentifier)
	}
	d.setTicket(c, at(r.ID), session)
	if !session.Certified {
		return seeOther(c, at(r.ID, "certificado"))
	}
	return seeOther(c, at(r.ID, "revisar"))
}

// firstFactor identifies whoever sends a form, at a request or, without one,
// for affairs of their own.
func (d *Door) firstFactor(c echo.Context, requestID, field string) (signer.Session, error) {
	id, password, err := passwordForm(c, field)
	if err != nil {
		return signer.Session{}, err
	}
	return d.Module.Identify(c.Request().Context(), signer.Identification{
		RequestID: requestID, Identifier: id.String(), Password: password.Reveal(), RemoteAddr: c.RealIP(),
	})
}

// passwordForm reads who somebody says to be, and the password.
func passwordForm(c echo.Context, field string) (citizen.Identifier, citizen.Password, error) {
	id, err := citizen.ParseIdentifier(c.FormValue(FieldIdentifier))
	if err != nil {
		return id, citizen.Password{}, err
	}
	password, err := citizen.ParsePassword([]byte(c.FormValue(field)))
	if err != nil {
		// One that was never allowed is a wrong one.
		return id, password, policies.Refuse(policies.CredentialsWrong)
	}
	return id, password, nil
}

// again shows a form with what kept it from being accepted. Field is where a
// malformed value stands. Where there is no form to show, view is nil.
func (d *Door) again(c echo.Context, err error, view View, field string) error {
	r, ok := asRefusal(err)
	if !ok {
		return err
	}
	switch r.Code {
	case policies.Internal, policies.RequestUnknown:
		return err
	case policies.RequestState, policies.RequestExpired:
		return seeOther(c, at(c.Param("id")))
	case policies.SessionExpired:
		return d.sessionEnded(c)
	case policies.CodeWrong, policies.CodeExhausted:
		r = withWait(r, view)
	case policies.CredentialsWrong, policies.PasswordLocked, policies.PasswordPaused, policies.PasswordExpired, policies.NotTheSigner,
		policies.CitizenBlocked, policies.CitizenInactive, policies.CitizenDeregistered, policies.RecordTampered,
		policies.ActivationMismatch, policies.ActivationBlocked,
		policies.Busy, policies.Unavailable, policies.LogSuspended, policies.RateLimited,
		policies.CodeTooSoon, policies.CodeTooMany, policies.SMSFailed,
		policies.CredentialMissing, policies.CertificateExpired, policies.CertificateRevoked, policies.CertificateSuspended,
		policies.CertificateInForce, policies.RenewalTooEarly, policies.RegistrationEnding, policies.DocumentChanged:
		field = ""
	default: // the value of the field itself
	}
	if view == nil {
		return err
	}
	view.page().Fail(field, r)
	if r.RetryAfter > 0 {
		c.Response().Header().Set(echo.HeaderRetryAfter, strconv.Itoa(int((r.RetryAfter+time.Second-1)/time.Second)))
	}
	return d.show(c, unacceptable(r), view)
}

// withWait adds to a refusal of a code when another may be asked for, if that
// is not at once.
func withWait(r *policies.Refusal, view View) *policies.Refusal {
	waiting, ok := view.(interface{ wait() time.Duration })
	if !ok || waiting.wait() <= 0 {
		return r
	}
	told := *r
	return told.After(waiting.wait())
}

func (d *Door) sessionEnded(c echo.Context) error {
	view := &SessionEnded{After: 10 * time.Minute, Kept: KeptRequest, IdentifyURL: step(c, activationPath)}
	switch id := c.Param("id"); {
	case id != "":
		view.IdentifyURL = at(id)
	case strings.HasPrefix(c.Path(), passwordPath):
		view.IdentifyURL, view.Kept = step(c, passwordPath), KeptPassword
	case strings.HasPrefix(c.Path(), AuthorisePath):
		view.IdentifyURL, view.Kept = AuthorisePath+c.Param("asked"), KeptCertificate
	case strings.HasPrefix(c.Path(), certificatePath):
		view.IdentifyURL, view.Kept = step(c, certificatePath), KeptCertificate
	}
	return d.show(c, http.StatusForbidden, view)
}

// inside is open for pages behind the first factor.
func (d *Door) inside(c echo.Context, who func(echo.Context, signer.Purpose) (visitor, error)) (signer.Request, visitor, bool, error) {
	r, done, err := d.open(c)
	if done || err != nil {
		return r, visitor{}, true, err
	}
	v, err := who(c, signer.ForSignature)
	if err == nil && v.Spent {
		return r, v, true, d.spent(c, r, v)
	}
	if err != nil {
		if refusal, ok := asRefusal(err); ok && refusal.Code == policies.SessionExpired {
			return r, v, true, d.sessionEnded(c)
		}
		return r, v, true, err
	}
	return r, v, false, nil
}

// codeSent is the newest code of a purpose, nil if none was sent.
func (d *Door) codeSent(ctx context.Context, v visitor, purpose signer.Purpose, againURL string) (*CodeSent, error) {
	challenge, err := d.Store.Challenge(ctx, v.ticket.Hash(), purpose)
	if err != nil || challenge == nil || challenge.State == signer.CodeFailed {
		return nil, err
	}
	now := d.Now()
	sent := &CodeSent{
		Tail: v.tail(), SentAt: challenge.SentAt, ExpiresAt: challenge.ExpiresAt, Now: now,
		AgainIn: max(0, challenge.SentAt.Add(d.CodeInterval).Sub(now)), AgainURL: againURL,
	}
	sent.Delivered, sent.Failed = delivery(challenge.Delivery)
	return sent, nil
}

// delivery is what an operator says of a message.
func delivery(state signer.DeliveryState) (delivered, failed bool) {
	return state == signer.DeliveryDone, state == signer.DeliveryFailed
}

// review fixes what will be signed, and shows it.
func (d *Door) review(c echo.Context) error {
	r, v, done, err := d.inside(c, d.visitor)
	if done || err != nil {
		return err
	}
	if !v.Certified {
		return seeOther(c, at(r.ID, "certificado"))
	}
	view, err := d.reviewView(c, r.ID, v)
	if err != nil {
		return d.again(c, err, nil, "")
	}
	return d.show(c, http.StatusOK, view)
}

func (d *Door) reviewView(c echo.Context, id string, v visitor) (*Review, error) {
	r, err := d.Requests.Fix(c.Request().Context(), id, v.ticket)
	if err != nil {
		return nil, err
	}
	number := within(c.QueryParam("documento"), len(r.Documents))
	opened, err := d.opened(c, r, r.Documents[number-1])
	if err != nil {
		return nil, err
	}
	view := &Review{
		Page: ceremonyPage(r, reviewURL(r.ID, number, opened.Page)), Opened: opened, Signer: v.signer(), Tail: v.tail(),
		SubmitURL: at(r.ID, "codigo"), RefuseURL: at(r.ID, "rechazar"),
	}
	view.Guard = v.guard()
	view.Documents = listed(r, false)
	others, err := d.Requests.Cosigners(c.Request().Context(), r)
	if err != nil {
		return nil, err
	}
	for _, other := range others {
		view.Others = append(view.Others, Cosigner(other))
	}
	if _, refusal := d.grant(v); refusal == nil {
		view.Ends = v.Credential.Certificate.NotAfter
		view.RenewURL, view.DaysLeft = at(r.ID, "certificado"), d.daysUntil(view.Ends)
	}
	return view, nil
}

func (d *Door) sendCode(c echo.Context) error {
	r, v, done, err := d.inside(c, d.posted)
	if done || err != nil {
		return err
	}
	overtaken, err := d.Requests.Overtaken(c.Request().Context(), r)
	if err != nil {
		return err
	}
	if overtaken { // a code for what is there no longer would be in vain
		return d.reviewAgain(c, policies.Refuse(policies.DocumentChanged, "reason", "signed"), r.ID, v)
	}
	_, err = d.Module.SendCode(c.Request().Context(), signer.CodeOrder{Ticket: v.ticket, Purpose: signer.ForSignature})
	if err == nil {
		return seeOther(c, at(r.ID, "confirmar"))
	}
	if view, viewErr := d.confirmView(c, r, v); viewErr == nil && view != nil {
		return d.again(c, err, view, "")
	}
	return d.reviewAgain(c, err, r.ID, v)
}

// reviewAgain shows what is to be signed as it is now, and what kept it from being
// signed.
func (d *Door) reviewAgain(c echo.Context, err error, id string, v visitor) error {
	view, viewErr := d.reviewView(c, id, v)
	if viewErr != nil {
		return viewErr
	}
	return d.again(c, err, view, "")
}

func (d *Door) askRefusal(c echo.Context) error {
	r, v, done, err := d.inside(c, d.visitor)
	if done || err != nil {
		return err
	}
	page := ceremonyPage(r, at(r.ID, "rechazar"))
	page.Guard = v.guard()
	return d.show(c, http.StatusOK, &Refuse{Page: page, Documents: listed(r, false), SubmitURL: at(r.ID, "rechazar"), BackURL: at(r.ID)})
}

func (d *Door) refuse(c echo.Context) error {
	r, v, done, err := d.inside(c, d.posted)
	if done || err != nil {
		return err
	}
	if err := d.Module.Refuse(c.Request().Context(), v.ticket); err != nil {
		return d.again(c, err, nil, "")
	}
	return seeOther(c, at(r.ID))
}

// leaveAfter gives a reader the time that WCAG 2.2 (2.2.1) asks for.
const leaveAfter = 30 * time.Second

// done tells what was signed; the documents only to the one who signed them.
func (d *Door) done(c echo.Context) error {
	r, err := d.Store.Request(c.Request().Context(), c.Param("id"))
	if err != nil {
		return err
	}
	if r.State != signer.Signed {
		return seeOther(c, at(r.ID))
	}
	if _, err := d.visitor(c, signer.ForSignature); err != nil {
		if refusal, ok := asRefusal(err); ok && refusal.Code == policies.SessionExpired {
			return d.sessionEnded(c)
		}
		return err
	}
	back, err := requests.ReturnURL(r)
	if err != nil {
		return err
	}
	view := &Done{
		Page: ceremonyPage(r, at(r.ID, "hecho")), Documents: listed(r, true), SignedAt: r.ClosedAt, Reference: r.Reference(),
		ReturnURL: back, StayURL: at(r.ID, "hecho") + "?quedarse=1",
		EvidenceURL: at(r.ID, "justificante.pdf"), ReceiptURL: at(r.ID, "justificante.json"),
	}
	if c.QueryParam("quedarse") == "" {
		view.ReturnIn = leaveAfter
	}
	return d.show(c, http.StatusOK, view)
}
