package staff

import (
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/personnel"
	"github.com/rubrica-firma/rubrica/policies"
)

// maxCredential is more than any passkey's answer takes.
const maxCredential = 64 << 10

// Paths are the pages that a door's own script and links go on to.
type Paths struct {
	// Base is the door's first page; the others are below it.
	Base string
	// First is the page that comes after a login, by role.
	First func(role string) string
}

// AuditorPaths are those of the auditors' door.
func AuditorPaths() Paths {
	const base = "/auditoria"
	return Paths{Base: base, First: func(role string) string {
		if role == personnel.RoleAdministrator {
			return base + "/estado"
		}
		return base + "/proposito"
	}}
}

// OfficerPaths are those of the officers' desk.
func OfficerPaths() Paths {
	const base = "/mesa"
	return Paths{Base: base, First: func(role string) string {
		if role == personnel.RoleAdministrator {
			return base + "/personas"
		}
		return base
	}}
}

// login and invited are the pages of those who are not in.
func (p Paths) login() string   { return p.Base + "/entrar" }
func (p Paths) invited() string { return p.Base + "/invitacion" }

// Invitation is the link of an invitation: the secret stands behind the #, so
// that no server and no log on the way is told of it.
func (p Paths) Invitation(publicURL, secret string) string {
	return publicURL + p.invited() + "#" + secret
}

// next is the answer that sends the script to another page.
type next struct {
	Next string `json:"next"`
}

func (d *Door) loginBegin(c echo.Context) error {
	options, err := d.BeginLogin(c)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, options)
}

func (d *Door) loginFinish(c echo.Context) error {
	answer, err := posted(c)
	if err != nil {
		return err
	}
	who, err := d.FinishLogin(c, answer)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, next{d.Paths.First(who.Role)})
}

func (d *Door) enrolBegin(c echo.Context) error {
	body, err := posted(c)
	if err != nil {
		return err
	}
	var asked struct {
		Invitation string `json:"invitation"`
	}
	if err := json.Unmarshal(body, &asked); err != nil {
		return fmt.Errorf("%w: %w", policies.Refuse(policies.RequestMalformed), err)
	}
	options, err := d.BeginEnrolment(c, asked.Invitation)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, options)
}

func (d *Door) enrolFinish(c echo.Context) error {
	answer, err := posted(c)
	if err != nil {
		return err
	}
	invited, err := d.FinishEnrolment(c, answer)
	if err != nil {
		return err
	}
	if invited {
		return c.JSON(http.StatusOK, next{d.Paths.login()})
	}
	return c.JSON(http.StatusOK, next{d.Paths.Base})
}

// posted reads a body of JSON, a type that no form of another site can send.
func posted(c echo.Context) ([]byte, error) {
	if kind, _, err := mime.ParseMediaType(c.Request().Header.Get(echo.HeaderContentType)); err != nil || kind != echo.MIMEApplicationJSON {
		return nil, fmt.Errorf("%w: %w", policies.Refuse(policies.RequestMalformed, "field", echo.HeaderContentType), echo.ErrUnsupportedMediaType)
	}
	body, err := io.ReadAll(c.Request().Body)
	if err != nil {
		return nil, fmt.Errorf("reading a body: %w", err)
	}
	return body, nil
}
