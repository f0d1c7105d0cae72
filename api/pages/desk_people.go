package pages

import (
	"net/http"
	"net/url"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/personnel"
	"github.com/rubrica-firma/rubrica/policies"
)

// Coming in and going, and the accounts of those who do.

func (d *DeskDoor) loginView(c echo.Context) *DeskLogin {
	return &DeskLogin{Desk: d.head(c, ""), Certificate: d.Officers.CertificateOffered(c), CertificateURL: deskOnward(deskLoginPath+"/certificado", deskWanted(c))}
}

func (d *DeskDoor) login(c echo.Context) error {
	if _, err := d.Officers.Visit(c); err == nil {
		return seeOther(c, deskWanted(c))
	}
	view := d.loginView(c)
	view.Self = c.Request().URL.RequestURI()
	return d.show(c, http.StatusOK, view)
}

func (d *DeskDoor) enterByCertificate(c echo.Context) error {
	err := d.Officers.EnterByCertificate(c)
	if refusal, ok := asRefusal(err); ok {
		view := d.loginView(c)
		view.Fail("", refusal)
		return d.show(c, http.StatusForbidden, view)
	}
	if err != nil {
		return err
	}
	return seeOther(c, deskWanted(c))
}

func (d *DeskDoor) invited(c echo.Context) error {
	return d.show(c, http.StatusOK, &DeskInvited{Self: deskInvitedPath, Desk: d.head(c, "")})
}

func (d *DeskDoor) leave(c echo.Context) error {
	if err := d.Officers.Leave(c); err != nil {
		return err
	}
	return seeOther(c, deskLoginPath)
}

func (d *DeskDoor) peopleView(c echo.Context) (*DeskPeople, error) {
	accounts, err := d.Officers.Accounts(c)
	if err != nil {
		return nil, err
	}
	visit, err := d.Officers.Visit(c)
	if err != nil {
		return nil, err
	}
	view := &DeskPeople{Self: deskPeoplePath, Desk: d.head(c, "people")}
	for _, account := range accounts {
		view.People = append(view.People, deskColleague(account, visit.Account.ID))
	}
	return view, nil
}

func deskColleague(s personnel.State, self string) AuditPerson {
	p := AuditPerson{
		ID: s.ID, Name: s.Name, Role: s.Role, CreatedAt: s.CreatedAt, DisabledAt: s.DisabledAt, Passkeys: s.Passkeys,
		Certificate: len(s.Certificate) > 0, Self: s.ID == self,
	}
	address := deskPeoplePath + "/" + url.PathEscape(s.ID)
	if !s.Disabled() {
		p.InviteURL = address + "/invitar"
	}
	if !s.Disabled() && !p.Self { // nobody locks themselves out
		p.DisableURL = address + "/desactivar"
	}
	return p
}

func (d *DeskDoor) people(c echo.Context) error {
	view, err := d.peopleView(c)
	if err != nil {
		return err
	}
	return d.show(c, http.StatusOK, view)
}

// invite shows the link that it made: it is kept nowhere.
func (d *DeskDoor) invite(c echo.Context) error {
	id := c.Param("id")
	invitation, err := d.Officers.Invite(c, id)
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

func (d *DeskDoor) askDisable(c echo.Context) error {
	view, err := d.peopleView(c)
	if err != nil {
		return err
	}
	for _, p := range view.People {
		if p.ID == c.Param("id") && p.DisableURL != "" {
			return d.show(c, http.StatusOK, &DeskDisable{Self: p.DisableURL, Desk: view.Desk, Person: p, SubmitURL: p.DisableURL, BackURL: deskPeoplePath})
		}
	}
	return policies.Refuse(policies.NotFound)
}

func (d *DeskDoor) disable(c echo.Context) error {
	if err := d.Officers.Disable(c, c.Param("id")); err != nil {
		return err
	}
	return seeOther(c, deskPeoplePath)
}
