package pages

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api/auditing"
	"github.com/rubrica-firma/rubrica/policies"
)

func searchURL(parameter, sealed string, more ...string) string {
	query := url.Values{parameter: {sealed}}
	for i := 0; i+1 < len(more); i += 2 {
		query.Set(more[i], more[i+1])
	}
	return auditPath + "?" + query.Encode()
}

func (d *AuditDoor) searchView(c echo.Context, form SearchForm) (*AuditSearch, error) {
	names, err := d.names(c.Request().Context())
	if err != nil {
		return nil, err
	}
	return &AuditSearch{
		Self: auditPath, Desk: d.desk(c, "search"), Form: form, Applications: choices(names),
		SubmitURL: auditPath, UploadURL: auditUploadPath, UploadLimit: uploadLimit,
	}, nil
}

// startSearch reads the form and leads to its results.
func (d *AuditDoor) startSearch(c echo.Context) error {
	form := searchForm(c.FormValue)
	view, err := d.searchView(c, form)
	if err != nil {
		return err
	}
	if d.query(form, &view.Page); len(view.Problems) > 0 {
		return d.show(c, http.StatusUnprocessableEntity, view)
	}
	sealed, err := d.seal(c, form)
	if err != nil {
		return err
	}
	return seeOther(c, searchURL(searchParameter, sealed))
}

// search is the form, empty or to be changed, or what a sealed search finds.
func (d *AuditDoor) search(c echo.Context) error {
	if sealed := c.QueryParam(searchParameter); sealed != "" {
		return d.results(c, sealed)
	}
	var form SearchForm
	sealed := c.QueryParam(draftParameter)
	if sealed != "" {
		draft, mine, err := d.unseal(c, sealed)
		if err != nil {
			return err
		}
		if !mine {
			return d.lapsed(c)
		}
		form = draft
	}
	view, err := d.searchView(c, form)
	if err != nil {
		return err
	}
	if sealed != "" {
		view.Self = searchURL(draftParameter, sealed)
	}
	return d.show(c, http.StatusOK, view)
}

// lapsed answers an address that belongs to another session.
func (d *AuditDoor) lapsed(c echo.Context) error {
	view, err := d.searchView(c, SearchForm{})
	if err != nil {
		return err
	}
	view.Fail("", policies.Refuse(policies.QueryInvalid, "field", searchParameter, "reason", "lapsed"))
	return d.show(c, http.StatusUnprocessableEntity, view)
}

func (d *AuditDoor) results(c echo.Context, sealed string) error {
	ctx := c.Request().Context()
	form, mine, err := d.unseal(c, sealed)
	if err != nil {
		return err
	}
	if !mine {
		return d.lapsed(c)
	}
	view, err := d.searchView(c, form)
	if err != nil {
		return err
	}
	query := d.query(form, &view.Page)
	query.Before = number(c.QueryParam(beforeParameter))
	asking, err := d.Auditors.Identify(c)
	if err != nil {
		return err
	}
	found := auditing.Found{}
	if len(view.Problems) == 0 {
		if found, err = d.Auditing.Search(ctx, asking, query); err != nil {
			if refusal, ok := asRefusal(err); !ok || !failed(&view.Page, refusal) {
				return err
			}
		}
	}
	if len(view.Problems) > 0 {
		return d.show(c, http.StatusUnprocessableEntity, view)
	}
	view.Self = c.Request().URL.RequestURI()
	if view.Found, err = d.found(ctx, form, sealed, found); err != nil {
		return err
	}
	if query.Before > 0 {
		view.Found.Later, view.Found.FirstURL = true, searchURL(searchParameter, sealed)
	}
	return d.show(c, http.StatusOK, view)
}

// number reads a count in an address, 0 if it is none.
func number(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// failed puts what the core could not read beside its field. It is false for a
// refusal that is about no field.
func failed(page *Page, refusal *policies.Refusal) bool {
	fields := map[string]string{
		"citizen": FieldCitizen, "certificate": FieldSerial, "document": FieldHash, "application": FieldApplication,
		"operation": FieldOperation, "types": FieldEvent, "result": FieldResult, "from": FieldFrom, "to": FieldTo,
	}
	switch refusal.Code {
	case policies.QueryInvalid, policies.IdentifierInvalid:
		page.Fail(fields[refusal.Params["field"]], refusal)
	case policies.RangeImpossible:
		page.Fail(FieldTo, refusal)
	default:
		return false
	}
	return true
}

func (d *AuditDoor) found(ctx context.Context, form SearchForm, sealed string, found auditing.Found) (*AuditFound, error) {
	names, err := d.names(ctx)
	if err != nil {
		return nil, err
	}
	view := &AuditFound{
		Rows: rows(found.Entries, names, searchParameter+"="+sealed), Size: found.Size,
		ChangeURL: searchURL(draftParameter, sealed), SaveURL: auditExportPath + "?" + searchParameter + "=" + sealed,
	}
	if found.Next > 0 {
		view.NextURL = searchURL(searchParameter, sealed, beforeParameter, strconv.FormatInt(found.Next, 10))
	}
	view.Asked, err = d.asked(ctx, form)
	return view, err
}

// rows are entries as lists show them.
func rows(entries []auditing.Entry, names map[string]string, from string) []AuditRow {
	all := make([]AuditRow, len(entries))
	for i, e := range entries {
		all[i] = row(e, names, from)
	}
	return all
}

// row tells an entry's application and where more of it is read. from goes
// along in the address of the entry, for the way back.
func row(e auditing.Entry, names map[string]string, from string) AuditRow {
	r := AuditRow{Entry: e, URL: auditEntryPath + "/" + strconv.FormatInt(e.Seq, 10), StepsURL: auditStepsPath + "/" + url.PathEscape(e.Operation)}
	if from != "" {
		r.URL += "?" + from
	}
	if id, ok := e.Facts["application"].(string); ok {
		r.Application, r.Client = cmp.Or(names[id], id), id
	}
	return r
}
