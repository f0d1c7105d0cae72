package pages

import (
	"archive/zip"
	"cmp"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api/auditing"
	"github.com/rubrica-firma/rubrica/policies"
)

// The scopes of an export: every leaf of a range, what a search finds, or the
// entries of a range.
const (
	exportComplete = "complete"
	exportQuery    = "query"
	exportRange    = "range"
)

// exportView is the form, with the search that the reader comes from.
func (d *AuditDoor) exportView(c echo.Context, sealed string) (*AuditExport, SearchForm, error) {
	view := &AuditExport{
		Self: auditExportPath, Desk: d.desk(c, "export"), Scope: exportComplete, Format: string(auditing.JSONLines),
		SubmitURL: auditExportPath, VerifyURL: auditVerifyPath, SearchURL: auditPath,
	}
	if sealed == "" {
		return view, SearchForm{}, nil
	}
	form, mine, err := d.unseal(c, sealed)
	if err != nil {
		return nil, form, err
	}
	if !mine {
		view.Fail("", policies.Refuse(policies.QueryInvalid, "field", searchParameter, "reason", "lapsed"))
		return view, form, nil
	}
	view.Self += "?" + searchParameter + "=" + sealed
	view.Search, view.Scope = sealed, exportQuery
	view.From, view.FromTime, view.To, view.ToTime = form.From, form.FromTime, form.To, form.ToTime
	view.Asked, err = d.asked(c.Request().Context(), form)
	if len(view.Asked) == 0 {
		view.Asked = []AskedFor{} // a search for everything is one for a range
		view.Scope = exportRange
	}
	return view, form, err
}

func (d *AuditDoor) askExport(c echo.Context) error {
	view, _, err := d.exportView(c, c.QueryParam(searchParameter))
	if err != nil {
		return err
	}
	status := http.StatusOK
	if len(view.Problems) > 0 {
		status = http.StatusUnprocessableEntity
	}
	return d.show(c, status, view)
}

// export sends the entries as they are read. What refuses them comes before the
// first byte; what breaks afterwards breaks the download, so that half of one is
// not taken for the whole.
func (d *AuditDoor) export(c echo.Context) error {
	view, form, err := d.exportView(c, c.FormValue(searchParameter))
	if err != nil {
		return err
	}
	typed := searchForm(c.FormValue)
	view.From, view.FromTime, view.To, view.ToTime = typed.From, typed.FromTime, typed.To, typed.ToTime
	view.Scope, view.Format = cmp.Or(c.FormValue(FieldScope), view.Scope), cmp.Or(c.FormValue(FieldFormat), view.Format)
	if view.Scope != exportQuery {
		form = SearchForm{}
	}
	form.From, form.FromTime, form.To, form.ToTime = typed.From, typed.FromTime, typed.To, typed.ToTime
	query := d.query(form, &view.Page)
	format := auditing.Format(view.Format)
	if format != auditing.JSONLines && format != auditing.CSV {
		view.Format = string(auditing.JSONLines)
		view.Fail("", policies.Refuse(policies.QueryInvalid, "field", FieldFormat, "reason", "choice"))
	}
	if len(view.Problems) > 0 {
		return d.show(c, http.StatusUnprocessableEntity, view)
	}
	asking, err := d.Auditors.Identify(c)
	if err != nil {
		return err
	}
	o := outgoing{AuditDoor: d, c: c, asking: asking, query: query, complete: view.Scope == exportComplete}
	if format == auditing.CSV {
		err = o.archive()
	} else {
		err = o.lines()
	}
	switch refusal, ok := asRefusal(err); {
	case err == nil:
		return nil
	case c.Response().Committed:
		d.Pages.options.Logger.LogAttrs(c.Request().Context(), slog.LevelWarn, "export broken off", slog.Any("error", err))
		panic(http.ErrAbortHandler) // the only way to tell a browser that there should have been more
	case ok && failed(&view.Page, refusal):
		return d.show(c, http.StatusUnprocessableEntity, view)
	case ok && refusal.Code == policies.CheckpointMissing:
		view.Fail("", refusal)
		return d.show(c, http.StatusServiceUnavailable, view)
	}
	return err
}

// outgoing is an export on its way.
type outgoing struct {
	*AuditDoor
	c        echo.Context
	asking   auditing.Asking
	query    auditing.Query
	complete bool
}

// begin sends the head of the download.
func (o outgoing) begin(name, mediaType string) {
	header := o.c.Response().Header()
	header.Set(echo.HeaderContentType, mediaType)
	header.Set(echo.HeaderContentDisposition, mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	o.c.Response().WriteHeader(http.StatusOK)
}

func (o outgoing) lines() error {
	return o.Auditing.Export(o.c.Request().Context(), o.asking, o.query, auditing.ExportOptions{
		Format: auditing.JSONLines, Complete: o.complete, Begun: func(e auditing.Export) { o.begin(e.Name, e.MediaType) },
	}, o.unhurried(o.c))
}

// archive sends rows, and beside them what they are verified with, under the
// names by which "rubrica audit verify" looks for the one beside the other.
func (o outgoing) archive() error {
	ctx := o.c.Request().Context()
	archive := zip.NewWriter(o.unhurried(o.c))
	var told auditing.Export
	part := &entry{archive: archive}
	err := o.Auditing.Export(ctx, o.asking, o.query, auditing.ExportOptions{
		Format: auditing.CSV, Complete: o.complete, Begun: func(e auditing.Export) {
			told, part.name = e, e.Name
			o.begin(strings.TrimSuffix(e.Name, ".csv")+".zip", "application/zip")
		},
	}, part)
	if err != nil {
		return err
	}
	err = o.Auditing.Export(ctx, o.asking, o.query, auditing.ExportOptions{
		Format: auditing.Companion, Complete: o.complete, Checkpoint: told.Checkpoint,
	}, &entry{archive: archive, name: told.Name + ".jsonl"})
	if err != nil {
		return err
	}
	if err := archive.Close(); err != nil {
		return fmt.Errorf("ending an archive: %w", err)
	}
	return nil
}

// entry is a file of an archive; it begins with its first byte, when its name
// is known.
type entry struct {
	archive *zip.Writer
	name    string
	w       io.Writer
}

func (e *entry) Write(p []byte) (int, error) {
	if e.w == nil {
		w, err := e.archive.Create(e.name)
		if err != nil {
			return 0, fmt.Errorf("beginning a file of an archive: %w", err)
		}
		e.w = w
	}
	return e.w.Write(p)
}

// unhurried gives a download time for as long as its reader takes it.
func (d *AuditDoor) unhurried(c echo.Context) io.Writer {
	return &unhurried{Writer: c.Response(), more: func() { d.site.Patient(c, stretch) }, left: 0}
}

// stretch is after how many bytes a download is given time for as many more.
const stretch = 8 << 20

type unhurried struct {
	io.Writer
	more func()
	left int
}

func (w *unhurried) Write(p []byte) (int, error) {
	if w.left < len(p) {
		w.more()
		w.left = stretch
	}
	n, err := w.Writer.Write(p)
	w.left -= n
	if err != nil {
		return n, fmt.Errorf("sending an export: %w", err)
	}
	return n, nil
}
