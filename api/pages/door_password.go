package pages

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// The handlers of a password's change, and of what a forgotten one costs.

const (
	passwordPath     = "/contrasena"
	passwordCodePath = passwordPath + "/codigo"
	newPasswordPath  = passwordPath + "/nueva"
	changedPath      = passwordPath + "/hecho"
	forgottenPath    = passwordPath + "/olvidada"
)

func (d *Door) forgotten(c echo.Context) error {
	return d.show(c, http.StatusOK, &Forgotten{
		Self: step(c, forgottenPath), ActivateURL: step(c, activationPath), ChangeURL: step(c, passwordPath), BackURL: back(c),
	})
}

func (d *Door) changeView(c echo.Context) *ChangePassword {
	self := step(c, passwordPath)
	return &ChangePassword{
		Self: self, SubmitURL: self, ForgottenURL: step(c, forgottenPath), CertificateURL: step(c, certificatePath), BackURL: back(c),
	}
}

func (d *Door) askChange(c echo.Context) error {
	return d.show(c, http.StatusOK, d.changeView(c))
}

// startChange takes the present password and sends the code.
func (d *Door) startChange(c echo.Context) error {
	view := d.changeView(c)
	view.Identifier = c.FormValue(FieldIdentifier)
	session, err := d.firstFactor(c, "", FieldPasswordNow)
	if err != nil {
		return d.again(c, err, view, FieldIdentifier)
	}
	d.setTicket(c, passwordPath, session)
	if _, err = d.Module.SendCode(c.Request().Context(), signer.CodeOrder{Ticket: session.Ticket, Purpose: signer.ForPassword}); err == nil {
		return seeOther(c, step(c, passwordCodePath))
	}
	v, unknown := d.holder(c.Request().Context(), session.Ticket)
	if unknown != nil {
		return unknown
	}
	return d.codeAgain(c, v, err, "")
}

// changing is open for pages behind the present password.
func (d *Door) changing(c echo.Context, who func(echo.Context, signer.Purpose) (visitor, error)) (visitor, bool, error) {
	v, err := who(c, signer.ForAffairs)
	if err == nil && v.Spent {
		if v.hasChanged() {
			return v, true, seeOther(c, step(c, changedPath))
		}
		return v, true, d.sessionEnded(c)
	}
	if refusal, ok := asRefusal(err); ok && refusal.Code == policies.SessionExpired {
		return v, true, d.sessionEnded(c)
	}
	return v, err != nil, err
}

func (d *Door) changeCodeView(c echo.Context, v visitor) (*ChangeCode, error) {
	again := step(c, passwordCodePath+"/otro")
	sent, err := d.codeSent(c.Request().Context(), v, signer.ForPassword, again)
	if err != nil {
		return nil, err
	}
	if sent == nil {
		sent = &CodeSent{Tail: v.tail(), AgainURL: again}
	}
	self := step(c, passwordCodePath)
	return &ChangeCode{Self: self, Guard: v.guard(), CodeSent: *sent, SubmitURL: self, RestartURL: step(c, passwordPath)}, nil
}

// hasChanged tells whether the ticket ended with a new password, and not
// otherwise: both happened at one time.
func (v visitor) hasChanged() bool {
	return v.Spent && v.Credential != nil && v.Credential.PasswordAt.Equal(v.SpentAt)
}

// codeAgain asks for the code, and says what was wrong with the last one.
func (d *Door) codeAgain(c echo.Context, v visitor, wrong error, field string) error {
	view, err := d.changeCodeView(c, v)
	if err != nil {
		return err
	}
	return d.again(c, wrong, view, field)
}

func (d *Door) changeCode(c echo.Context) error {
	v, done, err := d.changing(c, d.visitor)
	if done || err != nil {
		return err
	}
	if v.Verified {
		return seeOther(c, step(c, newPasswordPath))
	}
	view, err := d.changeCodeView(c, v)
	if err != nil {
		return err
	}
	return d.show(c, http.StatusOK, view)
}

func (d *Door) resendChangeCode(c echo.Context) error {
	v, done, err := d.changing(c, d.posted)
	if done || err != nil {
		return err
	}
	if _, err := d.Module.SendCode(c.Request().Context(), signer.CodeOrder{Ticket: v.ticket, Purpose: signer.ForPassword}); err != nil {
		return d.codeAgain(c, v, err, "")
	}
	return seeOther(c, step(c, passwordCodePath))
}

func (d *Door) takeChangeCode(c echo.Context) error {
	v, done, err := d.changing(c, d.posted)
	if done || err != nil {
		return err
	}
	if v.Verified {
		return seeOther(c, step(c, newPasswordPath))
	}
	code, err := signer.ParseCode(c.FormValue(FieldCode))
	if err == nil {
		err = d.Register.Confirm(c.Request().Context(), signer.Answer{Ticket: v.ticket, Code: code})
	}
	if err != nil {
		return d.codeAgain(c, v, err, FieldCode)
	}
	return seeOther(c, step(c, newPasswordPath))
}

func (d *Door) newPasswordView(c echo.Context, v visitor) *SetPassword {
	self := step(c, newPasswordPath)
	return &SetPassword{
		Self: self, Guard: v.guard(), Identifier: v.Citizen.Identifier, Rules: PasswordRules(), SubmitURL: self, Changes: true,
	}
}

func (d *Door) askNewPassword(c echo.Context) error {
	v, done, err := d.changing(c, d.visitor)
	if done || err != nil {
		return err
	}
	if !v.Verified {
		return seeOther(c, step(c, passwordCodePath))
	}
	return d.show(c, http.StatusOK, d.newPasswordView(c, v))
}

func (d *Door) changePassword(c echo.Context) error {
	v, done, err := d.changing(c, d.posted)
	if done || err != nil {
		return err
	}
	if !v.Verified {
		return seeOther(c, step(c, passwordCodePath))
	}
	waits := false
	password, err := chosen(c)
	if err == nil {
		waits, err = d.Register.ChangePassword(c.Request().Context(), v.ticket, password)
	}
	if err == nil && waits {
		return seeOther(c, step(c, passwordMailedPath))
	}
	if err == nil {
		return seeOther(c, step(c, changedPath))
	}
	// The same form posted twice: the first one may have changed it by now.
	if again, unknown := d.visitor(c, signer.ForAffairs); unknown == nil && again.hasChanged() {
		return seeOther(c, step(c, changedPath))
	}
	return d.chooseAgain(c, err, d.newPasswordView(c, v))
}

func (d *Door) changed(c echo.Context) error {
	v, err := d.visitor(c, signer.ForAffairs)
	if refusal, ok := asRefusal(err); ok && refusal.Code == policies.SessionExpired {
		return seeOther(c, step(c, passwordPath))
	}
	if err != nil {
		return err
	}
	if !v.hasChanged() {
		return seeOther(c, step(c, passwordPath))
	}
	return d.show(c, http.StatusOK, &Changed{
		Self: step(c, changedPath), At: d.Now().Truncate(time.Minute), ContinueURL: back(c), HomeURL: "/",
	})
}
