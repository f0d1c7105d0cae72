package pages

import (
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api/auditing"
	"github.com/rubrica-firma/rubrica/policies"
)

func (d *AuditDoor) loginView(c echo.Context) *AuditLogin {
	self := onward(auditLoginPath, wanted(c, auditPath))
	return &AuditLogin{
		Self: self, Desk: &Desk{}, Certificate: d.Auditors.CertificateOffered(c),
		CertificateURL: onward(auditLoginPath+"/certificado", wanted(c, auditPath)),
	}
}

func (d *AuditDoor) login(c echo.Context) error {
	if visit, err := d.Auditors.Visit(c); err == nil {
		return seeOther(c, d.first(c, visit.Account.Role, visit.Purpose))
	}
	view := d.loginView(c)
	view.Ended = c.QueryParam(returnParameter) != "" // led here from inside
	return d.show(c, http.StatusOK, view)
}

// first is where somebody who has come in goes: an auditor says why first.
func (*AuditDoor) first(c echo.Context, role, purpose string) string {
	switch {
	case role == auditing.RoleAdministrator:
		return wanted(c, auditHealthPath)
	case purpose == "":
		return onward(auditPurposePath, wanted(c, auditPath))
	}
	return wanted(c, auditPath)
}

func (d *AuditDoor) enterByCertificate(c echo.Context) error {
	err := d.Auditors.EnterByCertificate(c)
	if refusal, ok := asRefusal(err); ok {
		view := d.loginView(c)
		view.Fail("", refusal)
		return d.show(c, unacceptable(refusal), view)
	}
	if err != nil {
		return err
	}
	// The cookie that was just set comes with the next request.
	return seeOther(c, onward(auditPurposePath, wanted(c, auditPath)))
}

func (d *AuditDoor) invited(c echo.Context) error {
	return d.show(c, http.StatusOK, &AuditInvited{Self: auditInvitedPath, Desk: d.desk(c, "")})
}

func (d *AuditDoor) leave(c echo.Context) error {
	if err := d.Auditors.Leave(c); err != nil {
		return err
	}
	return seeOther(c, auditLoginPath)
}

func (d *AuditDoor) purposeView(c echo.Context, purpose string) *AuditPurpose {
	view := &AuditPurpose{
		Self: onward(auditPurposePath, wanted(c, auditPath)), Desk: d.desk(c, ""),
		Purpose: purpose, SubmitURL: onward(auditPurposePath, wanted(c, auditPath)),
	}
	if view.Desk.Purpose != "" {
		view.BackURL = wanted(c, auditPath)
	}
	return view
}

func (d *AuditDoor) askPurpose(c echo.Context) error {
	asking, err := d.Auditors.Identify(c)
	if err != nil {
		return err
	}
	if asking.Identity.Role == auditing.RoleAdministrator { // who reads nothing has nothing to justify
		return seeOther(c, wanted(c, auditHealthPath))
	}
	return d.show(c, http.StatusOK, d.purposeView(c, asking.Purpose))
}

func (d *AuditDoor) statePurpose(c echo.Context) error {
	typed := c.FormValue(FieldPurpose)
	err := d.Auditors.State(c, strings.TrimSpace(strings.ToValidUTF8(typed, "�")))
	if refusal, ok := asRefusal(err); ok && refusal.Code == policies.PurposeMissing {
		view := d.purposeView(c, clip(typed))
		view.Fail(FieldPurpose, refusal)
		return d.show(c, unacceptable(refusal), view)
	}
	if err != nil {
		return err
	}
	return seeOther(c, wanted(c, auditPath))
}

// clip keeps of a typed text what a field takes: what is longer was not typed
// in it.
func clip(typed string) string {
	const most = 200
	typed = strings.ToValidUTF8(typed, "�")
	for i := range typed {
		if utf8.RuneCountInString(typed[:i]) >= most {
			return typed[:i]
		}
	}
	return typed
}
