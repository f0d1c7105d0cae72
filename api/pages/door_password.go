package pages

import (
	"net/http"
	"slices"
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
	return &ChangePassword{Self: self, SubmitURL: self, ForgottenURL: step(c, forgottenPath), BackURL: back(c)}
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
	v, err := who(c, signer.ForPassword)
	if err == nil && v.Spent {
		changed, err := d.consumed(c.Request().Context(), v, signer.ForPassword)
		switch {
		case err != nil:
			return v, true, err
		case changed:
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

// takeChangeCode reads the code; it is checked together with the new password,
// which it authorises. Until then the browser keeps it.
func (d *Door) takeChangeCode(c echo.Context) error {
	v, done, err := d.changing(c, d.posted)
	if done || err != nil {
		return err
	}
	code, err := signer.ParseCode(c.FormValue(FieldCode))
	if err != nil {
		return d.codeAgain(c, v, err, FieldCode)
	}
	d.keepCode(c, code.Reveal(), d.Now().Add(codeLife))
	return seeOther(c, step(c, newPasswordPath))
}

// The cookie that holds the typed code on the way to the page of the password
// that it authorises: reload and back are safe there, and neither the address
// nor the page holds the code.
const (
	codeCookie = "rubrica_code"
	codeLife   = 5 * time.Minute
)

func (d *Door) keepCode(c echo.Context, code string, until time.Time) {
	c.SetCookie(&http.Cookie{ //nolint:gosec // without Secure in development only, which has no TLS
		Name: codeCookie, Value: code, Path: newPasswordPath, Expires: until,
		HttpOnly: true, Secure: !d.Development, SameSite: http.SameSiteStrictMode,
	})
}

func (d *Door) forgetCode(c echo.Context) { d.keepCode(c, "", time.Unix(0, 0)) }

// newPassword is the page of the new password, and the code that was typed for
// it; nil where there is none.
func (d *Door) newPassword(c echo.Context, v visitor) (*SetPassword, signer.Code, error) {
	cookie, err := c.Cookie(codeCookie)
	if err != nil {
		return nil, signer.Code{}, nil //nolint:nilerr // without a cookie there is no code yet
	}
	code, err := signer.ParseCode(cookie.Value)
	if err != nil {
		return nil, signer.Code{}, nil //nolint:nilerr // likewise
	}
	sent, err := d.codeSent(c.Request().Context(), v, signer.ForPassword, "")
	if err != nil || sent == nil {
		return nil, signer.Code{}, err
	}
	self := step(c, newPasswordPath)
	return &SetPassword{
		Self: self, Guard: v.guard(), Identifier: v.Citizen.Identifier, Rules: PasswordRules(),
		SubmitURL: self, Code: sent,
	}, code, nil
}

func (d *Door) askNewPassword(c echo.Context) error {
	v, done, err := d.changing(c, d.visitor)
	if done || err != nil {
		return err
	}
	view, _, err := d.newPassword(c, v)
	switch {
	case err != nil:
		return err
	case view == nil:
		return seeOther(c, step(c, passwordCodePath))
	}
	return d.show(c, http.StatusOK, view)
}

func (d *Door) changePassword(c echo.Context) error {
	v, done, err := d.changing(c, d.posted)
	if done || err != nil {
		return err
	}
	view, code, err := d.newPassword(c, v)
	switch {
	case err != nil:
		return err
	case view == nil:
		return seeOther(c, step(c, passwordCodePath))
	}
	password, err := chosen(c)
	if err == nil {
		err = d.Register.ChangePassword(c.Request().Context(), signer.Answer{Ticket: v.ticket, Code: code}, password)
	}
	if err == nil {
		d.forgetCode(c)
		return seeOther(c, step(c, changedPath))
	}
	return d.unchanged(c, v, view, err)
}

// unchanged shows the page on which there is something to mend.
func (d *Door) unchanged(c echo.Context, v visitor, view *SetPassword, err error) error {
	// The same form posted twice: the first one may have changed it by now.
	if changed, unknown := d.consumed(c.Request().Context(), v, signer.ForPassword); unknown == nil && changed {
		return seeOther(c, step(c, changedPath))
	}
	if refusal, ok := asRefusal(err); ok && slices.Contains(codeRefusals(), refusal.Code) {
		d.forgetCode(c)
		return d.codeAgain(c, v, err, FieldCode)
	}
	return d.chooseAgain(c, err, view)
}

// codeRefusals are those of a code, which another code mends.
func codeRefusals() []policies.Code {
	return []policies.Code{policies.CodeWrong, policies.CodeExpired, policies.CodeUsed, policies.CodeExhausted}
}

func (d *Door) changed(c echo.Context) error {
	v, err := d.visitor(c, signer.ForPassword)
	if refusal, ok := asRefusal(err); ok && refusal.Code == policies.SessionExpired {
		return seeOther(c, step(c, passwordPath))
	}
	if err != nil {
		return err
	}
	switch changed, err := d.consumed(c.Request().Context(), v, signer.ForPassword); {
	case err != nil:
		return err
	case !changed:
		return seeOther(c, step(c, passwordPath))
	}
	return d.show(c, http.StatusOK, &Changed{
		Self: step(c, changedPath), At: d.Now().Truncate(time.Minute), ContinueURL: back(c), HomeURL: "/",
	})
}
