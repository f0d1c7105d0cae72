package pages

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/ca"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// The handlers of the activation, and of the house's front door.

func (d *Door) home(c echo.Context) error {
	view := &Home{
		Self: "/", RegisterURL: registerPath, ActivateURL: activationPath, ChangeURL: passwordPath, ForgottenURL: forgottenPath, CertificateURL: certificatePath,
		OwnURL: ownPagesPath, OfficesURL: OfficesPath,
	}
	if d.Development {
		view.ComponentsURL = ComponentsPath
	}
	hierarchy, err := d.Store.Hierarchy(c.Request().Context())
	if err != nil {
		return err
	}
	for _, m := range slices.Concat(hierarchy.Of(ca.RoleRoot), hierarchy.Of(ca.RoleIssuing)) {
		if !m.RevokedAt.IsZero() {
			continue // nobody is to trust it
		}
		certificate, err := m.Certificate()
		if err != nil {
			return err
		}
		view.Authorities = append(view.Authorities, Authority{
			Name: certificate.Subject.CommonName, Until: certificate.NotAfter,
			Fingerprint: fmt.Sprintf("%x", sha256.Sum256(m.DER)), URL: "/ca/" + m.Name + ".cer",
		})
	}
	return d.show(c, http.StatusOK, view)
}

// step is an address of an activation or a password's change: every one remembers the request that the citizen
// came from, so that the signature goes on afterwards.
func step(c echo.Context, path string) string {
	if id := c.QueryParam("firma"); id != "" {
		return path + "?firma=" + url.QueryEscape(id)
	}
	return path
}

// back leads to the request that the reader came from, if any. It is a path of
// this service whatever the address says.
func back(c echo.Context) string {
	if id := c.QueryParam("firma"); id != "" {
		return at(url.PathEscape(id))
	}
	return ""
}

func (d *Door) activateView(c echo.Context) *Activate {
	return &Activate{Self: step(c, activationPath), SubmitURL: step(c, activationPath)}
}

func (d *Door) activate(c echo.Context) error {
	return d.show(c, http.StatusOK, d.activateView(c))
}

func (d *Door) startActivation(c echo.Context) error {
	view := d.activateView(c)
	view.Identifier, view.Email, view.ActivationCode = c.FormValue(FieldIdentifier), c.FormValue(FieldEmail), c.FormValue(FieldActivationCode)
	claim, ok := parseClaim(c, &view.Page)
	if !ok {
		return d.show(c, http.StatusUnprocessableEntity, view)
	}
	session, _, err := d.Register.StartActivation(c.Request().Context(), claim)
	if err != nil {
		return d.again(c, err, view, "")
	}
	d.setTicket(c, activationPath, session)
	return seeOther(c, step(c, "/activar/codigo"))
}

// parseClaim tells all that is wrong at once.
func parseClaim(c echo.Context, page *Page) (citizen.Claim, bool) {
	claim := citizen.Claim{RemoteAddr: c.RealIP()}
	var err error
	note := func(field string) {
		if r, ok := asRefusal(err); ok {
			page.Fail(field, r)
		}
	}
	claim.Identifier, err = citizen.ParseIdentifier(c.FormValue(FieldIdentifier))
	note(FieldIdentifier)
	claim.Email, err = citizen.ParseEmail(c.FormValue(FieldEmail))
	note(FieldEmail)
	claim.Code, err = citizen.ParseActivationCode(c.FormValue(FieldActivationCode))
	note(FieldActivationCode)
	return claim, len(page.Problems) == 0
}

// activating is the visitor of an activation that has got so far.
func (d *Door) activating(c echo.Context, who func(echo.Context, signer.Purpose) (visitor, error), verified bool) (visitor, bool, error) {
	v, err := who(c, signer.ForActivation)
	if err == nil && v.Spent {
		return v, true, seeOther(c, step(c, "/activar/hecho"))
	}
	if refusal, ok := asRefusal(err); ok && refusal.Code == policies.SessionExpired {
		return v, true, d.sessionEnded(c)
	}
	if err != nil {
		return v, true, err
	}
	if v.Verified != verified {
		next := "/activar/codigo"
		if v.Verified {
			next = "/activar/contrasena"
		}
		return v, true, seeOther(c, step(c, next))
	}
	return v, false, nil
}

func (d *Door) activationCodeView(c echo.Context, v visitor) (*ActivationCode, error) {
	view := &ActivationCode{Self: step(c, "/activar/codigo"), Guard: v.guard(), SubmitURL: step(c, "/activar/codigo"), RestartURL: step(c, activationPath)}
	sent, err := d.codeSent(c.Request().Context(), v, signer.ForActivation, step(c, "/activar/codigo/otro"))
	if err != nil {
		return nil, err
	}
	if sent != nil {
		view.CodeSent = *sent
	}
	return view, nil
}

func (d *Door) activationCode(c echo.Context) error {
	v, done, err := d.activating(c, d.visitor, false)
	if done || err != nil {
		return err
	}
	view, err := d.activationCodeView(c, v)
	if err != nil {
		return err
	}
	return d.show(c, http.StatusOK, view)
}

func (d *Door) resendActivation(c echo.Context) error {
	v, done, err := d.activating(c, d.posted, false)
	if done || err != nil {
		return err
	}
	if _, err := d.Module.SendCode(c.Request().Context(), signer.CodeOrder{Ticket: v.ticket, Purpose: signer.ForActivation}); err != nil {
		view, viewErr := d.activationCodeView(c, v)
		if viewErr != nil {
			return viewErr
		}
		return d.again(c, err, view, "")
	}
	return seeOther(c, step(c, "/activar/codigo"))
}

func (d *Door) confirmActivation(c echo.Context) error {
	v, done, err := d.activating(c, d.posted, false)
	if done || err != nil {
		return err
	}
	code, err := signer.ParseCode(c.FormValue(FieldCode))
	if err == nil {
		err = d.Register.Confirm(c.Request().Context(), signer.Answer{Ticket: v.ticket, Code: code})
	}
	if err != nil {
		view, viewErr := d.activationCodeView(c, v)
		if viewErr != nil {
			return viewErr
		}
		return d.again(c, err, view, FieldCode)
	}
	return seeOther(c, step(c, "/activar/contrasena"))
}

func (d *Door) passwordView(c echo.Context, v visitor) *SetPassword {
	return &SetPassword{
		Self: step(c, "/activar/contrasena"), Guard: v.guard(), Identifier: v.Citizen.Identifier,
		SubmitURL: step(c, "/activar/contrasena"), Rules: PasswordRules(),
	}
}

func (d *Door) askPassword(c echo.Context) error {
	v, done, err := d.activating(c, d.visitor, true)
	if done || err != nil {
		return err
	}
	return d.show(c, http.StatusOK, d.passwordView(c, v))
}

func (d *Door) setPassword(c echo.Context) error {
	v, done, err := d.activating(c, d.posted, true)
	if done || err != nil {
		return err
	}
	password, err := chosen(c)
	if err == nil {
		err = d.Register.SetPassword(c.Request().Context(), v.ticket, password)
	}
	if err != nil {
		return d.chooseAgain(c, err, d.passwordView(c, v))
	}
	return seeOther(c, step(c, "/activar/hecho"))
}

// chosen is the password that was typed twice.
func chosen(c echo.Context) (citizen.Password, error) {
	if c.FormValue(FieldPasswordNew) != c.FormValue(FieldPasswordAgain) {
		return citizen.Password{}, policies.Refuse(policies.PasswordMismatch)
	}
	return citizen.ParsePassword([]byte(c.FormValue(FieldPasswordNew)))
}

// chooseAgain shows the page of a password that was not taken, with its rules.
func (d *Door) chooseAgain(c echo.Context, err error, view *SetPassword) error {
	markRules(view, err)
	if r, ok := asRefusal(err); ok && r.Code == policies.PasswordMismatch {
		return d.again(c, err, view, FieldPasswordAgain)
	}
	return d.again(c, err, view, FieldPasswordNew)
}

// markRules shows which rule the last try broke. The check stops at the first
// one, so that those before it were kept and those after it remain untried.
func markRules(view *SetPassword, err error) {
	broken := ""
	if r, ok := asRefusal(err); ok && r.Code == policies.PasswordMismatch {
		broken = "match"
	} else if ok && r.Code == policies.PasswordWeak {
		broken = map[string]string{"short": "length", "classes": "classes", "name": "personal", "identifier": "personal", "previous": "previous"}[r.Params["reason"]]
	}
	for i := range view.Rules {
		if view.Rules[i].Name == broken {
			view.Rules[i].State = RuleBroken
			return
		}
		if broken != "match" && broken != "" {
			view.Rules[i].State = RuleKept
		}
	}
}

func (d *Door) activated(c echo.Context) error {
	v, err := d.visitor(c, signer.ForActivation)
	if refusal, ok := asRefusal(err); ok && refusal.Code == policies.SessionExpired || err == nil && !v.Spent {
		return seeOther(c, step(c, activationPath))
	}
	if err != nil {
		return err
	}
	return d.show(c, http.StatusOK, &Activated{Self: step(c, "/activar/hecho"), At: d.Now().Truncate(time.Minute), ContinueURL: back(c)})
}
