package pages

import (
	"encoding/json/v2"
	"net/http"
	"net/url"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api/desk"
	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// home is the search, or the accounts for who sees no citizen.
func (d *DeskDoor) home(c echo.Context) error {
	visit, err := d.Officers.Visit(c)
	if err != nil {
		return err
	}
	if visit.Account.Role == desk.RoleAdministrator {
		return seeOther(c, deskPeoplePath)
	}
	return d.show(c, http.StatusOK, &DeskSearch{Self: deskPath, Desk: d.head(c, "search"), SubmitURL: deskPath})
}

// search leads to the one person that was found, or lists them. What was asked
// stands in no address: browsers keep those, and proxies write them down.
func (d *DeskDoor) search(c echo.Context) error {
	view := &DeskSearch{Asked: clip(c.FormValue(deskFieldAsked)), Reason: clip(c.FormValue(deskFieldReason)), SubmitURL: deskPath}
	if _, err := desk.ParseQuestion(view.Asked); err != nil {
		refusal, ok := asRefusal(err)
		if !ok {
			return err
		}
		view.Fail(deskFieldAsked, refusal)
	}
	asking, err := d.stating(c)
	if refusal, ok := asRefusal(err); ok && refusal.Code == policies.ReasonMissing {
		view.Fail(deskFieldReason, refusal)
	} else if err != nil {
		return err
	}
	if len(view.Problems) > 0 {
		view.Desk = d.head(c, "search")
		return d.show(c, http.StatusUnprocessableEntity, view)
	}
	found, err := d.Counter.Search(c.Request().Context(), asking, view.Asked)
	if err != nil {
		return err
	}
	if len(found.Matches) == 1 {
		return seeOther(c, fileURL(found.Matches[0].ID))
	}
	view.Desk, view.Found = d.head(c, "search"), newDeskFound(found, view.Asked)
	return d.show(c, http.StatusOK, view)
}

func fileURL(citizenID string) string { return deskFilePath + "/" + url.PathEscape(citizenID) }

func newDeskFound(found desk.Found, asked string) *DeskFound {
	view := &DeskFound{More: found.More, RegisterURL: deskRegisterPath}
	if id, err := citizen.ParseIdentifier(asked); err == nil {
		view.Identifier, view.DeathURL = id.String(), deskDeathPath
	}
	for _, m := range found.Matches {
		view.Matches = append(view.Matches, DeskMatch{Match: m, URL: fileURL(m.ID)})
	}
	return view
}

func (d *DeskDoor) askReason(c echo.Context) error {
	visit, err := d.Officers.Visit(c)
	if err != nil {
		return err
	}
	return d.show(c, http.StatusOK, d.reasonView(c, visit.Purpose))
}

func (d *DeskDoor) reasonView(c echo.Context, reason string) *DeskReason {
	r := c.Request()
	return &DeskReason{Self: r.URL.RequestURI(), Desk: d.head(c, ""), Reason: reason, SubmitURL: deskOnward(deskReasonPath, deskWanted(c)), BackURL: deskPath}
}

func (d *DeskDoor) stateReason(c echo.Context) error {
	_, err := d.stating(c)
	if refusal, ok := asRefusal(err); ok && refusal.Code == policies.ReasonMissing {
		view := d.reasonView(c, clip(c.FormValue(deskFieldReason)))
		view.Fail(deskFieldReason, refusal)
		return d.show(c, http.StatusUnprocessableEntity, view)
	}
	if err != nil {
		return err
	}
	return seeOther(c, deskWanted(c))
}

// doneParameter names the act that led to a file.
const doneParameter = "hecho"

func (d *DeskDoor) file(c echo.Context) error {
	asking, err := d.asking(c)
	if err != nil {
		return err
	}
	file, err := d.Counter.File(c.Request().Context(), asking, c.Param("id"))
	if err != nil {
		return err
	}
	view := newDeskFile(file)
	view.Self, view.Desk, view.Now = fileURL(file.ID), d.head(c, "search"), d.Now()
	if deed, ok := deedAt(c.QueryParam(doneParameter)); ok {
		view.Done = string(deed.kind)
	}
	return d.show(c, http.StatusOK, view)
}

func newDeskFile(file desk.File) *DeskFile {
	view := &DeskFile{File: file}
	for _, deed := range deeds() {
		if !deed.possible(file.File) {
			continue
		}
		link := DeskDeed{Name: string(deed.kind), URL: fileURL(file.ID) + "/" + deed.slug}
		if deed.danger {
			view.Endings = append(view.Endings, link)
		} else {
			view.Acts = append(view.Acts, link)
		}
	}
	if file.Status == signer.Deregistered {
		view.AgainURL = deskRegisterPath
	}
	for _, r := range file.Past {
		view.Past = append(view.Past, newDeskPast(r))
	}
	return view
}

// newDeskPast reads who did it from an entry, and why, where it says so.
func newDeskPast(r audit.Record) DeskPast {
	past := DeskPast{Record: r}
	var payload struct {
		Name, Officer, Reason, Office string
	}
	if err := json.Unmarshal(r.Payload, &payload, json.MatchCaseInsensitiveNames(true)); err != nil {
		return past // erased, or of a kind that says neither
	}
	past.Officer, past.Office, past.Reason = payload.Officer, payload.Office, payload.Reason
	if payload.Name != "" {
		past.Officer = payload.Name
	}
	return past
}
