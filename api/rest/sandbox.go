package rest

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/sandbox"
)

// Sandbox reveals the codes of citizens who are nobody. rpc.SandboxClient fulfils
// it.
type Sandbox interface {
	// Code is the last one of a request, or of what no request asked for of the
	// citizen with that DNI (policies.NotFound).
	Code(ctx context.Context, id string) (sandbox.Message, error)
}

// ListSandboxCitizens implements ServerInterface.
func (d *door) ListSandboxCitizens(c echo.Context) error {
	if d.Sandbox == nil {
		return policies.Refuse(policies.NotFound)
	}
	var out SandboxCitizens
	for _, citizen := range sandbox.Citizens() {
		one := SandboxCitizen{
			Identifier: citizen.Identifier, GivenName: sandbox.GivenName, Surnames: citizen.Surnames, Email: citizen.Email,
			Password: sandbox.Password, About: citizen.About,
		}
		if citizen.Obstacle != "" {
			one.Obstacle = new(string(citizen.Obstacle))
		}
		out.Citizens = append(out.Citizens, one)
	}
	return c.JSON(http.StatusOK, out)
}

// GetSandboxCode implements ServerInterface. Of another application's request
// there is no code.
func (d *door) GetSandboxCode(c echo.Context, id string) error {
	if d.Sandbox == nil {
		return policies.Refuse(policies.NotFound)
	}
	if _, ours := sandbox.ByIdentifier(id); !ours {
		if _, err := d.own(c, id); err != nil {
			return err
		}
	}
	m, err := d.Sandbox.Code(c.Request().Context(), id)
	if err != nil {
		return err
	}
	out := SandboxCode{Identifier: m.Identifier, Purpose: string(m.Purpose), Code: m.Code.Reveal(), SentAt: m.SentAt.UTC()}
	if m.Reference != "" {
		out.Reference = &m.Reference
	}
	return c.JSON(http.StatusOK, out)
}
