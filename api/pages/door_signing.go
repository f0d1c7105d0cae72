package pages

import (
	"bytes"
	"context"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api/documents"
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
	case r.State == signer.Expired, r.State == signer.Pending && !d.Now().Before(r.ExpiresAt):
		return true, d.show(c, http.StatusGone, &Expired{Page: page, At: r.ExpiresAt, ReturnURL: back})
	case r.State == signer.Signing:
		// Another answer to the same code is being worked on, or a process died
		// over it: a little later the page knows which.
		c.Response().Header().Set("Refresh", "5")
		return true, d.show(c, http.StatusOK, &Interrupted{Page: page, RetryURL: at(r.ID)})
	case r.State == signer.Received:
		return true, policies.Refuse(policies.RequestUnknown)
	}
	return false, nil
}

func ceremonyPage(r signer.Request, self string) Page {
	return Page{
		Self:    self,
		Request: &Request{Organisation: r.Application.Organisation, Application: r.Application.Name, Procedure: r.Title},
	}
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
		ActivateURL: activationPath + "?firma=" + r.ID, ForgottenURL: "",
	}
}

func (d *Door) identify(c echo.Context) error {
	r, done, err := d.open(c)
	if done || err != nil {
		return err
	}
	view := d.identifyView(r)
	view.Identifier = c.FormValue(FieldIdentifier)
	session, err := d.passFirstFactor(c, r)
	if err != nil {
		return d.again(c, err, view, FieldIdentifier)
	}
	d.setTicket(c, at(r.ID), session)
	if !session.Certified {
		return seeOther(c, at(r.ID, "certificado"))
	}
	return seeOther(c, at(r.ID, "revisar"))
}

func (d *Door) passFirstFactor(c echo.Context, r signer.Request) (signer.Session, error) {
	id, err := citizen.ParseIdentifier(c.FormValue(FieldIdentifier))
	if err != nil {
		return signer.Session{}, err
	}
	password, err := citizen.ParsePassword([]byte(c.FormValue(FieldPassword)))
	if err != nil {
		// One that was never allowed is a wrong one.
		return signer.Session{}, policies.Refuse(policies.CredentialsWrong)
	}
	return d.Module.Identify(c.Request().Context(), signer.Identification{
		RequestID: r.ID, Identifier: id.String(), Password: password.Reveal(), RemoteAddr: c.RealIP(),
	})
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
	case policies.CredentialsWrong, policies.PasswordLocked, policies.NotTheSigner,
		policies.ActivationMismatch, policies.ActivationBlocked,
		policies.Busy, policies.Unavailable, policies.RateLimited,
		policies.CodeTooSoon, policies.CodeTooMany, policies.SMSFailed:
		field = ""
	default: // the value of the field itself
	}
	if view == nil {
		return err
	}
	view.page().Fail(field, r)
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
	identify := activationPath
	if id := c.Param("id"); id != "" {
		identify = at(id)
	}
	return d.show(c, http.StatusForbidden, &SessionEnded{After: 10 * time.Minute, IdentifyURL: identify})
}

// inside is open for pages behind the first factor.
func (d *Door) inside(c echo.Context, who func(echo.Context, signer.Purpose) (visitor, error)) (signer.Request, visitor, bool, error) {
	r, done, err := d.open(c)
	if done || err != nil {
		return r, visitor{}, true, err
	}
	v, err := who(c, signer.ForSignature)
	if err == nil && v.Spent {
		err = policies.Refuse(policies.SessionExpired)
	}
	if err != nil {
		if refusal, ok := asRefusal(err); ok && refusal.Code == policies.SessionExpired {
			return r, v, true, d.sessionEnded(c)
		}
		return r, v, true, err
	}
	return r, v, false, nil
}

// certificate explains what a citizen without a certificate needs.
func (d *Door) certificate(c echo.Context) error {
	r, v, done, err := d.inside(c, d.visitor)
	if done || err != nil {
		return err
	}
	view, refused, err := d.offer(r, v)
	switch {
	case v.Certified:
		return seeOther(c, at(r.ID, "revisar"))
	case err != nil:
		return err
	case refused != nil:
		return d.show(c, http.StatusForbidden, refused)
	}
	return d.show(c, http.StatusOK, view)
}

// offer is the explanation of the certificate to be, or of why there is none.
func (d *Door) offer(r signer.Request, v visitor) (*CertificateOffer, *CertificateRefused, error) {
	page := ceremonyPage(r, at(r.ID, "certificado"))
	page.Guard = v.guard()
	facts := signer.Facts(v.Citizen, v.Credential, d.Now())
	grant, err := policies.IssueCertificate(facts, d.Rules)
	if refusal, ok := asRefusal(err); ok {
		back, err := requests.ReturnURL(r)
		return nil, &CertificateRefused{
			Page: page, Reason: refusal, Until: r.ExpiresAt,
			ResumeURL: at(r.ID), ReturnURL: back, RefuseURL: at(r.ID, "rechazar"),
		}, err
	}
	if err != nil {
		return nil, nil, err
	}
	reason, _ := asRefusal(policies.Sign(facts, d.Rules))
	return &CertificateOffer{
		Page: page, Signer: v.signer(), Reason: reason, Issuer: d.Issuer, Until: grant.NotAfter, Tail: v.tail(),
		SubmitURL: at(r.ID, "certificado"), RefuseURL: at(r.ID, "rechazar"),
	}, nil, nil
}

func (d *Door) sendCertificateCode(c echo.Context) error {
	r, v, done, err := d.inside(c, d.posted)
	if done || err != nil {
		return err
	}
	_, err = d.Module.SendCode(c.Request().Context(), signer.CodeOrder{Ticket: v.ticket, Purpose: signer.ForCertificate})
	if err == nil {
		return seeOther(c, at(r.ID, "certificado", "codigo"))
	}
	if view, codeErr := d.certificateCodeView(c, r, v); codeErr == nil && view != nil {
		return d.again(c, err, view, "")
	}
	view, refused, offerErr := d.offer(r, v)
	if offerErr != nil || refused != nil {
		return seeOther(c, at(r.ID, "certificado"))
	}
	return d.again(c, err, view, "")
}

// certificateCodeView is nil when no code waits for an answer.
func (d *Door) certificateCodeView(c echo.Context, r signer.Request, v visitor) (*CertificateCode, error) {
	sent, err := d.codeSent(c.Request().Context(), v, signer.ForCertificate, at(r.ID, "certificado"))
	if err != nil || sent == nil {
		return nil, err
	}
	page := ceremonyPage(r, at(r.ID, "certificado", "codigo"))
	page.Guard = v.guard()
	return &CertificateCode{
		Page: page, CodeSent: *sent, SubmitURL: at(r.ID, "certificado", "codigo"), RefuseURL: at(r.ID, "rechazar"),
	}, nil
}

// codeSent is the newest code of a purpose, nil if none was sent.
func (d *Door) codeSent(ctx context.Context, v visitor, purpose signer.Purpose, againURL string) (*CodeSent, error) {
	challenge, err := d.Store.Challenge(ctx, v.ticket.Hash(), purpose)
	if err != nil || challenge == nil || challenge.State == signer.CodeFailed {
		return nil, err
	}
	now := d.Now()
	return &CodeSent{
		Tail: v.tail(), SentAt: challenge.SentAt, ExpiresAt: challenge.ExpiresAt, Now: now,
		AgainIn: max(0, challenge.SentAt.Add(d.CodeInterval).Sub(now)), AgainURL: againURL,
	}, nil
}

func (d *Door) certificateCode(c echo.Context) error {
	r, v, done, err := d.inside(c, d.visitor)
	if done || err != nil {
		return err
	}
	view, err := d.certificateCodeView(c, r, v)
	if err != nil {
		return err
	}
	if view == nil || v.Certified {
		return seeOther(c, at(r.ID, "certificado"))
	}
	return d.show(c, http.StatusOK, view)
}

func (d *Door) issue(c echo.Context) error {
	r, v, done, err := d.inside(c, d.posted)
	if done || err != nil {
		return err
	}
	session, err := d.passIssue(c, v)
	if err == nil {
		d.setTicket(c, at(r.ID), session)
		return seeOther(c, at(r.ID, "revisar"))
	}
	view, viewErr := d.certificateCodeView(c, r, v)
	if viewErr != nil || view == nil {
		return seeOther(c, at(r.ID, "certificado"))
	}
	return d.again(c, err, view, FieldCode)
}

func (d *Door) passIssue(c echo.Context, v visitor) (signer.Session, error) {
	code, err := signer.ParseCode(c.FormValue(FieldCode))
	if err != nil {
		return signer.Session{}, err
	}
	return d.Module.IssueCredential(c.Request().Context(), signer.Answer{Ticket: v.ticket, Code: code})
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
	return view, nil
}

// within reads a number from 1 to n; anything else is 1.
func within(s string, n int) int {
	if i, err := strconv.Atoi(s); err == nil && i >= 1 && i <= n {
		return i
	}
	return 1
}

func reviewURL(id string, document, page int) string {
	return at(id, "revisar") + fmt.Sprintf("?documento=%d&pagina=%d", document, page)
}

// Pages are drawn at this density; an A4 page has these dimensions then. The
// browser keeps the place of the picture free and corrects other formats.
const (
	pageDPI    = 110
	pageWidth  = 909
	pageHeight = 1286
)

// textPreview is how much of a plain text is shown.
const textPreview = 64 << 10

func (d *Door) opened(c echo.Context, r signer.Request, doc signer.Document) (Opened, error) {
	o := Opened{Document: document(r, doc)}
	content, err := d.Requests.Original(c.Request().Context(), r.ID, doc)
	if err != nil {
		return o, err
	}
	if doc.Pages == 0 {
		if strings.HasPrefix(doc.MediaType, "text/plain") {
			o.Text, _ = documents.TextPreview(content, textPreview)
		}
		return o, nil
	}
	o.Page = within(c.QueryParam("pagina"), doc.Pages)
	o.ImageURL = at(r.ID, "documento", strconv.Itoa(doc.Ordinal), "pagina", strconv.Itoa(o.Page)+".png")
	o.Width, o.Height = pageWidth, pageHeight
	if o.Page > 1 {
		o.PrevURL = reviewURL(r.ID, doc.Ordinal, o.Page-1)
	}
	if o.Page < doc.Pages {
		o.NextURL = reviewURL(r.ID, doc.Ordinal, o.Page+1)
	}
	// The text stands beside the image for those who cannot see it; without it
	// the image still says everything.
	if text, err := d.Viewer.PageText(c.Request().Context(), content, o.Page); err == nil {
		o.Text = strings.TrimSpace(text)
	}
	return o, nil
}

func document(r signer.Request, doc signer.Document) Document {
	return Document{
		Number: doc.Ordinal, Title: doc.Name, Kind: kind(doc), Size: doc.Size, Pages: doc.Pages,
		Fingerprint: fmt.Sprintf("%x", doc.SHA256),
		OpenURL:     reviewURL(r.ID, doc.Ordinal, 1),
		OriginalURL: at(r.ID, "documento", strconv.Itoa(doc.Ordinal), "original"),
	}
}

// kind names a document's type as people do.
func kind(doc signer.Document) string {
	if doc.MediaType == "application/pdf" {
		return "PDF"
	}
	if i := strings.LastIndexByte(doc.Name, '.'); i >= 0 && len(doc.Name)-i <= 6 {
		return strings.ToUpper(doc.Name[i+1:])
	}
	return doc.MediaType
}

func listed(r signer.Request, signed bool) []Document {
	list := make([]Document, len(r.Documents))
	for i, doc := range r.Documents {
		list[i] = document(r, doc)
		if signed {
			list[i].SignedURL = at(r.ID, "documento", strconv.Itoa(doc.Ordinal), "firmado")
		}
	}
	return list
}

// readable is the document of the address, for the one who identified.
func (d *Door) readable(c echo.Context) (signer.Request, signer.Document, error) {
	r, err := d.Store.Request(c.Request().Context(), c.Param("id"))
	if err != nil {
		return r, signer.Document{}, err
	}
	if _, err := d.visitor(c, signer.ForSignature); err != nil {
		return r, signer.Document{}, err
	}
	n, err := strconv.Atoi(c.Param("n"))
	if err != nil || n < 1 || n > len(r.Documents) {
		return r, signer.Document{}, policies.Refuse(policies.NotFound)
	}
	return r, r.Documents[n-1], nil
}

func (d *Door) pageImage(c echo.Context) error {
	r, doc, err := d.readable(c)
	if err != nil {
		return err
	}
	page, err := strconv.Atoi(strings.TrimSuffix(c.Param("p"), ".png"))
	if err != nil || page < 1 || page > doc.Pages {
		return policies.Refuse(policies.NotFound)
	}
	ctx := c.Request().Context()
	content, err := d.Requests.Original(ctx, r.ID, doc)
	if err != nil {
		return err
	}
	image, err := d.Viewer.PageImage(ctx, content, page, pageDPI)
	if err != nil {
		return err
	}
	header := c.Response().Header()
	header.Set("Cache-Control", "private, max-age=600")
	header.Set("X-Content-Type-Options", "nosniff")
	return c.Blob(http.StatusOK, "image/png", image)
}

func (d *Door) original(c echo.Context) error {
	r, doc, err := d.readable(c)
	if err != nil {
		return err
	}
	content, err := d.Requests.Original(c.Request().Context(), r.ID, doc)
	if err != nil {
		return err
	}
	return attach(c, requests.Result{Name: doc.Name, MediaType: doc.MediaType, Content: content})
}

func (d *Door) signed(c echo.Context) error {
	r, doc, err := d.readable(c)
	if err != nil {
		return err
	}
	result, err := d.Requests.Result(c.Request().Context(), r, doc.Ordinal)
	if err != nil {
		return err
	}
	return attach(c, result)
}

// attach hands a file over for saving, never for showing: an applicant's HTML
// must not run under this origin.
func attach(c echo.Context, f requests.Result) error {
	header := c.Response().Header()
	header.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": f.Name}))
	header.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store")
	return c.Stream(http.StatusOK, f.MediaType, bytes.NewReader(f.Content))
}

func (d *Door) sendCode(c echo.Context) error {
	r, v, done, err := d.inside(c, d.posted)
	if done || err != nil {
		return err
	}
	_, err = d.Module.SendCode(c.Request().Context(), signer.CodeOrder{Ticket: v.ticket, Purpose: signer.ForSignature})
	if err == nil {
		return seeOther(c, at(r.ID, "confirmar"))
	}
	if view, viewErr := d.confirmView(c, r, v); viewErr == nil && view != nil {
		return d.again(c, err, view, "")
	}
	view, viewErr := d.reviewView(c, r.ID, v)
	if viewErr != nil {
		return viewErr
	}
	return d.again(c, err, view, "")
}

// confirmView is nil when no code waits for an answer.
func (d *Door) confirmView(c echo.Context, r signer.Request, v visitor) (*Confirm, error) {
	sent, err := d.codeSent(c.Request().Context(), v, signer.ForSignature, at(r.ID, "codigo"))
	if err != nil || sent == nil {
		return nil, err
	}
	page := ceremonyPage(r, at(r.ID, "confirmar"))
	page.Guard = v.guard()
	return &Confirm{
		Page: page, CodeSent: *sent, Reference: r.Reference(), Documents: listed(r, false), Signer: v.signer(),
		SubmitURL: at(r.ID, "confirmar"), ReviewURL: at(r.ID, "revisar"), RefuseURL: at(r.ID, "rechazar"),
	}, nil
}

func (d *Door) confirm(c echo.Context) error {
	r, v, done, err := d.inside(c, d.visitor)
	if done || err != nil {
		return err
	}
	view, err := d.confirmView(c, r, v)
	if err != nil {
		return err
	}
	if view == nil {
		return seeOther(c, at(r.ID, "revisar"))
	}
	return d.show(c, http.StatusOK, view)
}

func (d *Door) sign(c echo.Context) error {
	r, v, done, err := d.inside(c, d.posted)
	if done || err != nil {
		return err
	}
	code, err := signer.ParseCode(c.FormValue(FieldCode))
	if err == nil {
		err = d.Module.Sign(c.Request().Context(), signer.Answer{Ticket: v.ticket, Code: code})
	}
	if err == nil {
		return seeOther(c, at(r.ID, "hecho"))
	}
	// The same form posted twice: the first one may have signed by now.
	if now, readErr := d.Store.Request(c.Request().Context(), r.ID); readErr == nil && now.State != signer.Pending {
		return seeOther(c, at(r.ID))
	}
	if refusal, ok := asRefusal(err); ok && refusal.Code == policies.SignatureFailed {
		page := ceremonyPage(r, "")
		return d.show(c, http.StatusServiceUnavailable, &Interrupted{Page: page, RetryURL: at(r.ID), RefuseURL: at(r.ID, "rechazar")})
	}
	view, viewErr := d.confirmView(c, r, v)
	if viewErr != nil || view == nil {
		return seeOther(c, at(r.ID, "revisar"))
	}
	return d.again(c, err, view, FieldCode)
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
	}
	if c.QueryParam("quedarse") == "" {
		view.ReturnIn = leaveAfter
	}
	return d.show(c, http.StatusOK, view)
}
