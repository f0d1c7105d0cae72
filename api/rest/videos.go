package rest

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
)

// videoLimit is the length of a video registration, which holds no video.
const videoLimit = 16 << 10

// Lengths of what a provider says, in characters.
const (
	maxRecording = 200
	maxWatch     = 1000
	maxCheck     = 200
	maxChecks    = 20
)

// AddVideoRegistration implements ServerInterface. What is registered in the end
// an officer decides; the data are read here so that they need no second look.
func (d *door) AddVideoRegistration(c echo.Context) error {
	var body VideoRegistration
	if _, err := decode(c, &body); err != nil {
		return err
	}
	person, err := videoPerson(body.Citizen)
	if err != nil {
		return err
	}
	evidence, err := videoEvidence(body.Recording)
	if err != nil {
		return err
	}
	if !policies.IsLine(body.Office, maxRecording) {
		return malformed("office")
	}
	v := citizen.Video{
		ID: rand.Text(), Provider: api.ClientOf(c).ID, Office: body.Office, Person: person, Evidence: evidence,
		ReceivedAt: d.Now().UTC().Truncate(time.Microsecond), State: citizen.VideoPending,
	}
	if err := d.Videos.AddVideo(c.Request().Context(), v); err != nil {
		return err
	}
	return c.JSON(http.StatusAccepted, VideoRegistrationReceived{ID: v.ID, ReceivedAt: v.ReceivedAt})
}

// videoPerson reads the data as an office's would be read.
func videoPerson(n NewCitizen) (p citizen.VideoPerson, err error) {
	id, err := citizen.ParseIdentifier(n.Identifier)
	if err != nil {
		return p, err
	}
	name, err := citizen.ParseName(n.GivenName, n.Surnames)
	if err != nil {
		return p, err
	}
	phone, err := citizen.ParsePhone(n.Phone)
	if err != nil {
		return p, err
	}
	email, err := citizen.ParseEmail(n.Email)
	if err != nil {
		return p, err
	}
	if _, err := time.Parse(time.DateOnly, n.DocumentUntil); err != nil {
		return p, policies.Refuse(policies.IdentityDocumentExpiry).From(policies.SourceRegister)
	}
	p = citizen.VideoPerson{
		Identifier: id.String(), GivenName: name.Given(), Surnames: name.Surnames(), Phone: phone.String(), Email: email.String(), DocumentUntil: n.DocumentUntil, Locale: "es",
	}
	if n.Locale != nil {
		p.Locale = *n.Locale
	}
	if !policies.IsLine(p.Locale, 35) {
		return p, malformed("citizen/locale")
	}
	return p, nil
}

func videoEvidence(r VideoRecording) (e citizen.VideoEvidence, err error) {
	e = citizen.VideoEvidence{Recording: r.Reference, SHA256: r.Sha256, RecordedAt: r.RecordedAt.UTC()}
	switch {
	case !policies.IsLine(r.Reference, maxRecording):
		return e, malformed("recording/reference")
	case len(r.Sha256) != 64 || strings.Trim(r.Sha256, "0123456789abcdef") != "":
		return e, malformed("recording/sha256")
	case r.RecordedAt.IsZero():
		return e, malformed("recording/recorded_at")
	}
	if r.URL != nil {
		if address, err := url.Parse(*r.URL); err != nil || address.Scheme != "https" || address.Host == "" || address.User != nil || !policies.IsLine(*r.URL, maxWatch) {
			return e, malformed("recording/url")
		}
		e.URL = *r.URL
	}
	if r.Checks != nil {
		if e.Checks = *r.Checks; len(e.Checks) > maxChecks {
			return e, malformed("recording/checks")
		}
		for name, said := range e.Checks {
			if !policies.IsLine(name, maxCheck) || !policies.IsLine(said, maxCheck) {
				return e, malformed("recording/checks")
			}
		}
	}
	return e, nil
}
