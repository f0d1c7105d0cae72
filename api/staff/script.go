package auditors

import (
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api/auditing"
	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/policies"
)

// passkeyPath is where the pages' script asks.
const passkeyPath = "/auditoria/passkey/"

// maxCredential is more than any passkey's answer takes.
const maxCredential = 64 << 10

// Pages that the script goes on to.
const (
	pageHome    = "/auditoria"
	pageLogin   = "/auditoria/entrar"
	pagePurpose = "/auditoria/proposito"
	pageHealth  = "/auditoria/estado"
	pageInvited = "/auditoria/invitacion"
)

// Entrance is the page that comes after a login.
func Entrance(a audit.Auditor) string {
	if a.Role == auditing.RoleAdministrator {
		return pageHealth
	}
	return pagePurpose
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
	return c.JSON(http.StatusOK, next{Entrance(who)})
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
		return c.JSON(http.StatusOK, next{pageLogin})
	}
	return c.JSON(http.StatusOK, next{pageHome})
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
