package rest

import (
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api/auditing"
	"github.com/rubrica-firma/rubrica/policies"
)

// checkpointHeader names the checkpoint of an export: CSV has no place for it.
const checkpointHeader = "Rubrica-Checkpoint"

// ExportLog implements ServerInterface. What refuses an export comes before its
// first byte; what breaks it off later, cuts the connection: an export without
// its end is not taken for a whole one.
func (d *door) ExportLog(c echo.Context, _ ExportLogParams) error {
	asking, err := d.Identify(c)
	if err != nil {
		return err
	}
	var asked ExportQuestion
	if err := decode(c, &asked); err != nil {
		return err
	}
	options := auditing.ExportOptions{
		Format: auditing.Format(asked.Format), Complete: asked.Complete, Checkpoint: asked.Checkpoint,
		Begun: func(e auditing.Export) { begin(c, e) },
	}
	if options.Format == "" {
		options.Format = auditing.JSONLines
	}
	if asked.After != nil {
		if *asked.After < 0 {
			return policies.Refuse(policies.QueryInvalid, "field", "after")
		}
		options.Next = *asked.After + 1
	}
	err = d.Service.Export(c.Request().Context(), asking, auditing.Query{
		Citizen: asked.Citizen, Certificate: asked.Certificate, Document: asked.Document, Application: asked.Application,
		Operation: asked.Operation, Types: typesOf(asked.Types), Result: auditing.Result(asked.Result), From: asked.From, To: asked.To,
	}, options, patient(c))
	if err != nil && c.Response().Committed {
		d.site.Logger.ErrorContext(c.Request().Context(), "export_broken_off", "error", err)
		panic(http.ErrAbortHandler)
	}
	return err
}

func begin(c echo.Context, e auditing.Export) {
	private(c)
	attach(c, e.Name)
	h := c.Response().Header()
	h.Set(echo.HeaderContentType, e.MediaType)
	h.Set(checkpointHeader, strconv.FormatInt(e.Checkpoint, 10))
	c.Response().WriteHeader(http.StatusOK)
}

// A reader of an export has so much time for each portion; the whole may last.
const portionTime = 2 * time.Minute

// patient writes to a client that reads as fast as it can.
func patient(c echo.Context) io.Writer {
	return writer{c.Response(), http.NewResponseController(c.Response())}
}

type writer struct {
	w       io.Writer
	control *http.ResponseController
}

func (w writer) Write(p []byte) (int, error) {
	// A connection that knows no deadlines is one of a test.
	_ = w.control.SetWriteDeadline(time.Now().Add(portionTime))
	return w.w.Write(p)
}

func proofName(seq int64) string { return "entry-" + strconv.FormatInt(seq, 10) + ".tlog-proof" }

// attach names a download (RFC 6266, section 4.1). The names are ours: ASCII
// without quotes.
func attach(c echo.Context, name string) {
	c.Response().Header().Set(echo.HeaderContentDisposition, `attachment; filename="`+name+`"`)
}
