package pages

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api/desk"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
)

// strangersDeath is the act upon somebody of whom there is no file. Its words
// are its own: nothing of anybody's ends with it.
func strangersDeath() (words string, x deed) {
	return "enter_death", deed{kind: citizen.ActReportDeath, danger: true, fields: []string{deskFieldDNI, deskFieldCertified}}
}

// death writes down that somebody has died who is not registered. Where the
// search found nobody its form is begun; whoever has a file is led there.
func (d *DeskDoor) death(c echo.Context) error {
	typed := func(name string) string { return clip(c.FormValue(name)) }
	words, x := strangersDeath()
	view := &DeskAct{Desk: d.head(c, "search"), Act: words, Danger: x.danger, SubmitURL: deskDeathPath, BackURL: deskPath}
	if c.FormValue(beginField) != "" {
		asking, err := d.asking(c)
		if err != nil {
			return err
		}
		err = view.fill(x, func(name string) string {
			if name == deskFieldReason { // that of the search
				return asking.Reason
			}
			return typed(name)
		})
		if err != nil {
			return err
		}
		return d.show(c, http.StatusOK, view)
	}
	id, err := citizen.ParseIdentifier(typed(deskFieldDNI))
	if refusal, ok := asRefusal(err); ok {
		view.Fail(deskFieldDNI, refusal)
	}
	act := desk.Act{Kind: x.kind, Identifier: id.String()}
	readDeed(&act, typed, &view.Page)
	asking, err := d.stating(c)
	if refusal, ok := asRefusal(err); ok && refusal.Code == policies.ReasonMissing {
		view.Fail(deskFieldReason, refusal)
	} else if err != nil {
		return err
	}
	if len(view.Problems) == 0 {
		url, err := d.enterDeath(context.WithoutCancel(c.Request().Context()), asking, act)
		if err == nil {
			return seeOther(c, url)
		}
		refusal, ok := asRefusal(err)
		if !ok || refusal.Code == policies.SessionExpired {
			return err
		}
		view.Fail(fieldOf(refusal, x.fields), refusal)
	}
	if err := view.fill(x, typed); err != nil {
		return err
	}
	return d.show(c, http.StatusUnprocessableEntity, view)
}

// enterDeath leads to the file that there is afterwards; where there is one
// before, nothing is done: whose it is has to be seen first.
func (d *DeskDoor) enterDeath(ctx context.Context, asking desk.Asking, act desk.Act) (url string, err error) {
	found, err := d.Counter.Search(ctx, asking, act.Identifier)
	if err != nil {
		return "", err
	}
	if len(found.Matches) > 0 {
		return fileURL(found.Matches[0].ID), nil
	}
	if _, err := d.Counter.Do(ctx, asking, act); err != nil {
		return "", err
	}
	if found, err = d.Counter.Search(ctx, asking, act.Identifier); err != nil || len(found.Matches) == 0 {
		return deskPath, err
	}
	return fileURL(found.Matches[0].ID) + "?" + doneParameter + "=fallecimiento", nil
}
