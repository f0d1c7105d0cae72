package rest

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// RegisterCitizen implements ServerInterface.
func (d *door) RegisterCitizen(c echo.Context) error {
	var form NewCitizen
	if _, err := decode(c, &form); err != nil {
		return err
	}
	application, err := application(form, api.ClientOf(c))
	if err != nil {
		return err
	}
	receipt, err := d.Register.Register(c.Request().Context(), application)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusCreated, encodeReceipt(application.Identifier, receipt))
}

// application parses what the officer wrote. The office is who calls.
func application(form NewCitizen, office signer.Client) (a citizen.Application, err error) {
	if a.Identifier, err = citizen.ParseIdentifier(form.Identifier); err != nil {
		return a, err
	}
	if a.Name, err = citizen.ParseName(form.GivenName, form.Surnames); err != nil {
		return a, err
	}
	if a.Phone, err = citizen.ParsePhone(form.Phone); err != nil {
		return a, err
	}
	if a.Email, err = citizen.ParseEmail(form.Email); err != nil {
		return a, err
	}
	if a.DocumentUntil, err = time.Parse(time.DateOnly, form.DocumentUntil); err != nil {
		return a, policies.Refuse(policies.IdentityDocumentExpiry).From(policies.SourceRegister)
	}
	if a.Locale, err = parseLocale(form.Locale); err != nil {
		return a, err
	}
	a.Office, a.Officer = office.Name, office.ID
	return a, nil
}

// CreateActivationCode implements ServerInterface.
func (d *door) CreateActivationCode(c echo.Context) error {
	var form NewActivationCode
	if _, err := decode(c, &form); err != nil {
		return err
	}
	identifier, err := citizen.ParseIdentifier(form.Identifier)
	if err != nil {
		return err
	}
	receipt, err := d.Register.RenewActivation(c.Request().Context(), identifier, api.ClientOf(c).ID)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusCreated, encodeReceipt(identifier, receipt))
}

func encodeReceipt(identifier citizen.Identifier, r citizen.Receipt) Receipt {
	return Receipt{
		CitizenID: r.CitizenID, Identifier: identifier.Masked(), ActivationCode: r.ActivationCode.Print(), RegisteredAt: r.RegisteredAt.UTC(),
	}
}
