package rest

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api/receipts"
)

// GetReceipt implements ServerInterface.
func (d *door) GetReceipt(c echo.Context, id RequestID) error {
	r, err := d.own(c, id)
	if err != nil {
		return err
	}
	receipt, err := d.Receipts.Receipt(c.Request().Context(), r)
	if err != nil {
		return err
	}
	body, err := receipt.Bytes()
	if err != nil {
		return err
	}
	c.Response().Header().Set(echo.HeaderContentDisposition, attachment(receipts.FileName(r.ID)))
	return c.JSONBlob(http.StatusOK, body)
}

// GetEvidence implements ServerInterface.
func (d *door) GetEvidence(c echo.Context, id RequestID) error {
	r, err := d.own(c, id)
	if err != nil {
		return err
	}
	document, err := d.Receipts.Evidence(c.Request().Context(), r)
	if err != nil {
		return err
	}
	c.Response().Header().Set(echo.HeaderContentDisposition, attachment(r.ID+".pdf"))
	return c.Blob(http.StatusOK, "application/pdf", document)
}
