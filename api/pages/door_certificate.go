package pages

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api/requests"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// The certificate that a signature needs, between steps 1 and 2 of the ceremony:
// the first one, one in the place of another that cannot sign, or, at the
// citizen's wish, of one that ends soon.

// certificate explains what a citizen without a certificate needs, or may have
// before the present one ends.
func (d *Door) certificate(c echo.Context) error {
	r, v, done, err := d.inside(c, d.visitor)
	if done || err != nil {
		return err
	}
	view, refused, err := d.offer(r, v)
	switch {
	case err != nil:
		return err
	case refused != nil && v.Certified:
		return seeOther(c, at(r.ID, "revisar"))
	case refused != nil:
		return d.show(c, http.StatusForbidden, refused)
	}
	return d.show(c, http.StatusOK, view)
}

// offer is the explanation of the certificate to be, or of why there is none.
func (d *Door) offer(r signer.Request, v visitor) (*CertificateOffer, View, error) {
	page := ceremonyPage(r, at(r.ID, "certificado"))
	page.Guard = v.guard()
	grant, err := d.grant(v)
	if refusal, ok := asRefusal(err); ok {
		view, err := d.uncertified(r, page, refusal)
		return nil, view, err
	}
	if err != nil {
		return nil, nil, err
	}
	view := &CertificateOffer{
		Page: page, Signer: v.signer(), Replaces: v.Replaces, Issuer: d.Issuer, Until: grant.NotAfter, Tail: v.tail(),
		SubmitURL: at(r.ID, "certificado"), RefuseURL: at(r.ID, "rechazar"),
	}
	switch {
	case v.Certified:
		view.SkipURL, view.Ends, view.DaysLeft = at(r.ID, "revisar"), v.Credential.Certificate.NotAfter, d.daysUntil(v.Credential.Certificate.NotAfter)
	case !v.Replaces:
		view.Reason, _ = asRefusal(policies.Sign(signer.Facts(v.Citizen, v.Credential, d.Now()), d.Rules))
	}
	return view, nil, nil
}

// uncertified tells why there can be no certificate now, and the ways out.
func (d *Door) uncertified(r signer.Request, page Page, reason *policies.Refusal) (View, error) {
	back, err := requests.ReturnURL(r)
	if reason.Code == policies.CertificateSuspended {
		return &SuspendedCertificate{
			Page: page, Until: r.ExpiresAt, CertificateURL: certificatePath + "?firma=" + r.ID, ReturnURL: back, RefuseURL: at(r.ID, "rechazar"),
		}, err
	}
	return &CertificateRefused{
		Page: page, Reason: reason, Until: r.ExpiresAt, OfficesURL: OfficesPath, ResumeURL: at(r.ID), ReturnURL: back, RefuseURL: at(r.ID, "rechazar"),
	}, err
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
	view := &CertificateCode{
		Page: page, CodeSent: *sent, SubmitURL: at(r.ID, "certificado", "codigo"), RefuseURL: at(r.ID, "rechazar"),
	}
	if v.Certified {
		view.SkipURL = at(r.ID, "revisar")
	}
	return view, nil
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
	if _, refusal := d.grant(v); view == nil || refusal != nil {
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
