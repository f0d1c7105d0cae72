package pages

import (
	"context"
	"mime"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api/receipts"
	"github.com/rubrica-firma/rubrica/signer"
)

// evidence hands the receipt over as people read it.
func (d *Door) evidence(c echo.Context) error {
	return d.proof(c, "application/pdf", func(r signer.Request) string { return r.ID + ".pdf" }, d.Receipts.Evidence)
}

// receipt hands it over as programs do.
func (d *Door) receipt(c echo.Context) error {
	return d.proof(c, echo.MIMEApplicationJSON, func(r signer.Request) string { return receipts.FileName(r.ID) }, d.receiptBytes)
}

func (d *Door) receiptBytes(ctx context.Context, r signer.Request) ([]byte, error) {
	receipt, err := d.Receipts.Receipt(ctx, r)
	if err != nil {
		return nil, err
	}
	return receipt.Bytes()
}

// proof is for the one who identified, as the signed document is.
func (d *Door) proof(
	c echo.Context, mediaType string, name func(signer.Request) string, of func(context.Context, signer.Request) ([]byte, error),
) error {
	r, err := d.Store.Request(c.Request().Context(), c.Param("id"))
	if err != nil {
		return err
	}
	if _, err := d.visitor(c, signer.ForSignature); err != nil {
		return err
	}
	return handOver(c, r, mediaType, name(r), of)
}

// handOver sends what proves a request's signature as a file.
func handOver(c echo.Context, r signer.Request, mediaType, name string, of func(context.Context, signer.Request) ([]byte, error)) error {
	content, err := of(c.Request().Context(), r)
	if err != nil {
		return err
	}
	header := c.Response().Header()
	header.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	header.Set("Cache-Control", "no-store")
	return c.Blob(http.StatusOK, mediaType, content)
}
