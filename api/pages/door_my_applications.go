package pages

import (
	"net/http"
	"net/url"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// What applications may see of a citizen, because the citizen said so.

const (
	myApplicationsPath = ownPagesPath + "/aplicaciones"
	withdrawnParameter = "retirado"
)

// MyApplications lists them.
type MyApplications struct {
	Page
	Rows      []MyApplication
	Withdrawn bool // one, just now
	BackURL   string
}

// MyApplication is one application that may see something.
type MyApplication struct {
	Name, Organisation string
	GivenAt, Until     time.Time
	WithdrawURL        string
}

// MyWithdrawal asks before a consent is taken back, and tells what that does.
type MyWithdrawal struct {
	Page
	Application        MyApplication
	SubmitURL, BackURL string
}

func (*MyApplications) template() string { return "my-applications" }
func (*MyWithdrawal) template() string   { return "my-withdrawal" }

func newMyApplication(c signer.ServiceConsent) MyApplication {
	return MyApplication{
		Name: c.Application.Name, Organisation: c.Application.Organisation, GivenAt: c.GivenAt, Until: c.Until,
		WithdrawURL: myApplicationsPath + "/" + url.PathEscape(c.Application.ID),
	}
}

func (r OwnRoom) applications(c echo.Context, v visitor) error {
	all, err := r.Own.LiveConsents(c.Request().Context(), v.Citizen.ID, r.Now())
	if err != nil {
		return err
	}
	view := &MyApplications{Page: r.page(v, myApplicationsPath, "home"), Withdrawn: c.QueryParam(withdrawnParameter) != "", BackURL: ownPagesPath}
	for _, consent := range all {
		view.Rows = append(view.Rows, newMyApplication(consent))
	}
	return r.show(c, http.StatusOK, view)
}

func (r OwnRoom) askWithdrawal(c echo.Context, v visitor) error {
	all, err := r.Own.LiveConsents(c.Request().Context(), v.Citizen.ID, r.Now())
	if err != nil {
		return err
	}
	for _, consent := range all {
		if consent.Application.ID == c.Param("id") {
			row := newMyApplication(consent)
			return r.show(c, http.StatusOK, &MyWithdrawal{
				Page: r.page(v, row.WithdrawURL, "home"), Application: row, SubmitURL: row.WithdrawURL, BackURL: myApplicationsPath,
			})
		}
	}
	return policies.Refuse(policies.NotFound)
}

// withdraw takes a consent back. That there is none any more is what was wanted:
// the same form may have been sent twice.
func (r OwnRoom) withdraw(c echo.Context, v visitor) error {
	err := r.Profile.WithdrawConsent(c.Request().Context(), v.ticket, c.Param("id"))
	if refusal, ok := asRefusal(err); err != nil && (!ok || refusal.Code != policies.NotFound) {
		return err
	}
	return seeOther(c, myApplicationsPath+"?"+withdrawnParameter+"=1")
}

func (r OwnRoom) exportConsents(c echo.Context, v visitor, emit func(any) error) error {
	all, err := r.Own.LiveConsents(c.Request().Context(), v.Citizen.ID, r.Now())
	for _, consent := range all {
		if err == nil {
			err = emit(exported{
				"application": consent.Application.Name, "organisation": consent.Application.Organisation, "scopes": consent.Scopes,
				"given_at": timeOrNothing(consent.GivenAt), "until": timeOrNothing(consent.Until),
			})
		}
	}
	return err
}
