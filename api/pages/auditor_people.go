package pages

import (
	"net/http"
	"net/url"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/personnel"
	"github.com/rubrica-firma/rubrica/policies"
)

// The administrators' pages, and those that are nobody's in particular: health
// and the instruction.

func (d *AuditDoor) health(c echo.Context) error {
	health, err := d.Auditing.Health(c.Request().Context())
	if err != nil {
		return err
	}
	return d.show(c, http.StatusOK, &AuditHealth{Self: auditHealthPath, Desk: d.desk(c, "health"), Health: health, AgainURL: auditHealthPath})
}

// verify is open to all: whoever holds an export or a receipt may know how to
// verify it.
func (d *AuditDoor) verify(c echo.Context) error {
	return d.show(c, http.StatusOK, &AuditVerify{Self: auditVerifyPath, Desk: d.desk(c, "verify"), Origin: d.Origin, LogURL: d.PublicURL + "/log"})
}

func (d *AuditDoor) peopleView(c echo.Context) (*AuditPeople, error) {
	accounts, err := d.Auditors.Accounts(c)
	if err != nil {
		return nil, err
	}
	asking, err := d.Auditors.Identify(c)
	if err != nil {
		return nil, err
	}
	view := &AuditPeople{Self: auditPeoplePath, Desk: d.desk(c, "people")}
	for _, account := range accounts {
		view.People = append(view.People, person(account, asking.Identity.ID))
	}
	return view, nil
}

func person(a personnel.State, self string) AuditPerson {
	p := AuditPerson{
		ID: a.ID, Name: a.Name, Role: a.Role, CreatedAt: a.CreatedAt, DisabledAt: a.DisabledAt, Passkeys: a.Passkeys,
		Certificate: len(a.Certificate) > 0, Program: len(a.SecretHash) > 0, Self: a.ID == self,
	}
	address := auditPeoplePath + "/" + url.PathEscape(a.ID)
	if !a.Disabled() && !p.Program { // programs have no passkeys
		p.InviteURL = address + "/invitar"
	}
	if !a.Disabled() && !p.Self { // nobody locks themselves out
		p.DisableURL = address + "/desactivar"
	}
	return p
}

func (d *AuditDoor) people(c echo.Context) error {
	view, err := d.peopleView(c)
	if err != nil {
		return err
	}
	return d.show(c, http.StatusOK, view)
}

// invite draws the link that it made: it is kept nowhere, so there is nothing
// to be led to.
func (d *AuditDoor) invite(c echo.Context) error {
	id := c.Param("id")
	invitation, err := d.Auditors.Invite(c, id)
	if err != nil {
		return err
	}
	view, err := d.peopleView(c)
	if err != nil {
		return err
	}
	view.Invited = &AuditInvitation{Link: invitation.Link, Until: invitation.Until}
	for _, p := range view.People {
		if p.ID == id {
			view.Invited.Name = p.Name
		}
	}
	return d.show(c, http.StatusOK, view)
}

func (d *AuditDoor) askDisable(c echo.Context) error {
	view, err := d.peopleView(c)
	if err != nil {
		return err
	}
	for _, p := range view.People {
		if p.ID == c.Param("id") && p.DisableURL != "" {
			return d.show(c, http.StatusOK, &AuditDisable{
				Self: p.DisableURL, Desk: view.Desk, Person: p, SubmitURL: p.DisableURL, BackURL: auditPeoplePath,
			})
		}
	}
	return policies.Refuse(policies.NotFound)
}

func (d *AuditDoor) disable(c echo.Context) error {
	if err := d.Auditors.Disable(c, c.Param("id")); err != nil {
		return err
	}
	return seeOther(c, auditPeoplePath)
}
