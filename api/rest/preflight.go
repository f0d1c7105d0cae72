package rest

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/notify/catalogue"
	"github.com/rubrica-firma/rubrica/policies"
)

// questionLimit bounds a body that names a citizen.
const questionLimit = 1 << 10

// PreflightCitizen implements ServerInterface.
func (d *door) PreflightCitizen(c echo.Context) error {
	var about Signer
	if _, err := decode(c, &about); err != nil {
		return err
	}
	identifier, err := citizen.ParseIdentifier(about.Identifier)
	if err != nil {
		return err
	}
	report, err := d.Requests.Outlook(c.Request().Context(), identifier.String())
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, d.encodeReport(d.site.Messages(c), report))
}

func (d *door) encodeReport(words *catalogue.Messages, r policies.Report) Preflight {
	return Preflight{
		CanSign: len(r.Sign) == 0, CanGetCertificate: len(r.Certify) == 0, CanRenew: len(r.Renew) == 0,
		Obstacles: Obstacles{
			Sign: d.obstacles(words, r.Sign), GetCertificate: d.obstacles(words, r.Certify), Renew: d.obstacles(words, r.Renew),
		},
		CertificateUntil: moment(r.CertificateUntil), RenewalFrom: moment(r.RenewalFrom), RegistrationUntil: moment(r.RegistrationUntil),
	}
}

// moment leaves out what there is none of.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return new(t.UTC())
}

func (d *door) obstacles(words *catalogue.Messages, refusals []*policies.Refusal) []Obstacle {
	out := make([]Obstacle, 0, len(refusals))
	for _, refusal := range refusals {
		text := words.Refusal(refusal)
		obstacle := Obstacle{
			Code: string(refusal.Code), Title: text.Title, Detail: text.Detail, Remedy: text.Remedy,
			Where: make([]Place, 0, len(refusal.Where())),
		}
		for _, where := range refusal.Where() {
			obstacle.Where = append(obstacle.Where, d.place(words, where))
		}
		if refusal.Source != "" {
			obstacle.Source = &refusal.Source
		}
		if len(refusal.Params) > 0 {
			obstacle.Params = &refusal.Params
		}
		out = append(out, obstacle)
	}
	return out
}

func (d *door) place(words *catalogue.Messages, where policies.Where) Place {
	out := Place{Place: Where(where), Text: words.Where(where)}
	if path, ours := d.Pages[where]; ours {
		out.URL = new(d.site.URL(path))
	}
	return out
}
