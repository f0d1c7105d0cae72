package rest

import (
	"mime"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
)

// mimeJOSE is a JWS in compact serialization (RFC 7515, section 9.2.1).
const mimeJOSE = "application/jose"

// PerformOfficeAct implements ServerInterface. The signer believes the act or
// does not; it is read here only to say early what is wrong with its form.
func (d *door) PerformOfficeAct(c echo.Context) error {
	r := c.Request()
	kind, _, err := mime.ParseMediaType(r.Header.Get(echo.HeaderContentType))
	if err != nil || kind != mimeJOSE {
		return malformed(echo.HeaderContentType)
	}
	body, err := read(r)
	if err != nil {
		return err
	}
	act := citizen.Act{Office: api.ClientOf(c).ID, JWS: string(body)}
	statement, err := citizen.ReadAct(act.JWS)
	if err != nil {
		return err
	}
	// Applications are administered at a desk, by an officer who came in there.
	if statement.Office != act.Office || statement.Kind == citizen.ActChangeApplication {
		return policies.Refuse(policies.OfficeActInvalid, "reason", "office")
	}
	receipt, err := d.Register.Perform(r.Context(), act)
	if err != nil {
		return err
	}
	if receipt.CitizenID == "" {
		return c.NoContent(http.StatusNoContent)
	}
	return c.JSON(http.StatusCreated, encodeReceipt(statement.Identifier, receipt))
}

func encodeReceipt(identifier citizen.Identifier, r citizen.Receipt) Receipt {
	return Receipt{
		CitizenID: r.CitizenID, Identifier: identifier.Masked(), ActivationCode: r.ActivationCode.Print(), RegisteredAt: r.RegisteredAt.UTC(),
	}
}
