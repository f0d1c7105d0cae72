package pages

import (
	"net/http"
	"net/url"
	"slices"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// What citizens are told of their registration and their data, and what they
// say that was not them.

func (r OwnRoom) registration(c echo.Context, v visitor) error {
	all, err := r.Own.Registrations(c.Request().Context(), v.Citizen.ID)
	if err != nil {
		return err
	}
	now := r.Now()
	report := policies.Preflight(signer.Facts(v.Citizen, v.Credential, now), r.Rules)
	g := v.Citizen.Registration
	view := &MyRegistration{
		Page: r.page(v, registeredPath, "registration"), Mode: g.Mode, Level: g.Level, AssuredAt: g.AssuredAt,
		Until: report.RegistrationUntil, Years: r.Rules.RegistrationYears, Reading: r.Rules.Reading,
		TooOld:   !report.RegistrationUntil.IsZero() && !now.Before(report.RegistrationUntil),
		RenewURL: r.explained(renewPath), OfficeURL: OfficesPath,
	}
	for _, o := range report.Certify {
		switch o.Code { //nolint:exhaustive // those that the registration is the reason of
		case policies.RegistrationTooOld, policies.RegistrationTelematic, policies.RegistrationLevel, policies.IdentityDocumentExpiry:
			view.Obstacles = append(view.Obstacles, o)
		}
	}
	view.Enough = len(view.Obstacles) == 0
	for _, past := range all {
		view.History = append(view.History, OwnRegistration{Mode: past.Mode, AssuredAt: past.AssuredAt})
	}
	return r.show(c, http.StatusOK, view)
}

func (r OwnRoom) data(c echo.Context, v visitor) error {
	askers, err := r.Own.Askers(c.Request().Context(), v.Citizen.Identifier)
	if err != nil {
		return err
	}
	view := &MyData{
		Page: r.page(v, dataPath, "data"), DownloadURL: dataPath + "/mis-datos.json", DepartureURL: departurePath, ProfileURL: profilePath,
	}
	for _, a := range askers {
		if !slices.Contains(view.Organisations, a.Organisation) {
			view.Organisations = append(view.Organisations, a.Organisation)
		}
	}
	return r.show(c, http.StatusOK, view)
}

// incidentView asks what happened, of a signature if one is named.
func (r OwnRoom) incidentView(c echo.Context, v visitor, requestID string) (*MyIncident, error) {
	view := &MyIncident{
		Page: r.page(v, selfWithQuery(c, incidentPath), "signatures"), ID: requestID,
		Certified: signer.Changeable(signer.ForSuspension, v.Credential, r.Now()) == nil,
		SubmitURL: incidentPath, BackURL: signaturesPath,
	}
	if requestID == "" {
		return view, nil
	}
	request, err := r.ownRequest(c.Request().Context(), requestID, v)
	if err != nil {
		return nil, err
	}
	row := mySignature(citizen.HistoryRow{
		ID: request.ID, Title: request.Title, Application: request.Application, State: request.State, Documents: len(request.Documents),
		CreatedAt: request.CreatedAt, ExpiresAt: request.ExpiresAt, ClosedAt: request.ClosedAt,
	})
	view.Signature, view.BackURL = &row, row.URL
	return view, nil
}

func (r OwnRoom) askIncident(c echo.Context, v visitor) error {
	view, err := r.incidentView(c, v, c.QueryParam("firma"))
	if err != nil {
		return err
	}
	return r.show(c, http.StatusOK, view)
}

func (r OwnRoom) openIncident(c echo.Context, v visitor) error {
	view, err := r.incidentView(c, v, c.FormValue("firma"))
	if err != nil {
		return err
	}
	view.Said = c.FormValue(FieldSaid)
	_, err = r.Profile.OpenIncident(c.Request().Context(), citizen.Complaint{Ticket: v.ticket, RequestID: view.ID, Said: view.Said})
	if err != nil {
		return r.again(c, err, view, FieldSaid)
	}
	return seeOther(c, incidentsPath+"?nueva=1")
}

func (r OwnRoom) incidents(c echo.Context, v visitor) error {
	ctx := c.Request().Context()
	all, err := r.Own.Incidents(ctx, v.Citizen.ID)
	if err != nil {
		return err
	}
	view := &MyIncidents{
		Page: r.page(v, incidentsPath, "signatures"), New: c.QueryParam("nueva") != "" && len(all) > 0, CertificateURL: certificatePath, BackURL: signaturesPath,
	}
	for _, i := range all {
		row := MyIncidentRow{ID: i.ID, Said: i.Said, OpenedAt: i.OpenedAt, ClosedAt: i.ClosedAt, Outcome: i.Outcome}
		if i.RequestID != "" {
			request, err := r.ownRequest(ctx, i.RequestID, v)
			if err != nil {
				return err
			}
			row.Title, row.URL = request.Title, signaturesPath+"/"+url.PathEscape(request.ID)
		}
		view.Rows = append(view.Rows, row)
	}
	return r.show(c, http.StatusOK, view)
}
