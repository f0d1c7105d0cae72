package pages

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api/receipts"
	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// historyPage is how many rows a page of the own signatures has.
const historyPage = 25

// fromParameter is where a page of the history begins.
const fromParameter = "antes"

// myStates are those that can be asked for.
func myStates() []signer.State {
	return []signer.State{signer.Signed, signer.Pending, signer.Refused, signer.Expired, signer.Withdrawn}
}

func mySignature(row citizen.HistoryRow) MySignature {
	s := MySignature{
		Title: row.Title, Organisation: row.Application.Organisation, Application: row.Application.Name,
		State: row.State, At: row.CreatedAt, Documents: row.Documents, URL: signaturesPath + "/" + url.PathEscape(row.ID),
	}
	if !row.ClosedAt.IsZero() {
		s.At = row.ClosedAt
	}
	return s
}

// signatures lists what the citizen was asked to sign, newest first.
func (r OwnRoom) signatures(c echo.Context, v visitor) error {
	ctx := c.Request().Context()
	askers, err := r.Own.Askers(ctx, v.Citizen.Identifier)
	if err != nil {
		return err
	}
	view := &MySignatures{
		Page: r.page(v, selfWithQuery(c, signaturesPath), "signatures"), States: myStates(), SubmitURL: signaturesPath, AllURL: signaturesPath, IncidentURL: incidentPath,
		State: c.QueryParam(FieldState), Asker: c.QueryParam(FieldAsker), From: c.QueryParam(FieldFrom), To: c.QueryParam(FieldTo),
	}
	for _, a := range askers {
		view.Applications = append(view.Applications, Choice{Value: a.ID, Text: a.Organisation + " · " + a.Name})
	}
	query, ok := r.historyQuery(c, view)
	if !ok {
		return r.show(c, http.StatusUnprocessableEntity, view)
	}
	query.Identifier, query.Limit = v.Citizen.Identifier, historyPage+1
	rows, err := r.Own.History(ctx, query)
	if err != nil {
		return err
	}
	if view.Later = query.Before != (citizen.HistoryPlace{}); view.Later {
		view.FirstURL = filtersURL(c, "")
	}
	if len(rows) > historyPage {
		rows = rows[:historyPage]
		view.NextURL = filtersURL(c, encodePlace(rows[historyPage-1].Place()))
	}
	for _, row := range rows {
		view.Rows = append(view.Rows, mySignature(row))
	}
	return r.show(c, http.StatusOK, view)
}

// selfWithQuery is the address of a page with what was asked of it.
func selfWithQuery(c echo.Context, path string) string {
	if query := c.QueryParams().Encode(); query != "" {
		return path + "?" + query
	}
	return path
}

// historyQuery reads the filters, and tells all that is wrong with them.
func (r OwnRoom) historyQuery(c echo.Context, view *MySignatures) (citizen.HistoryQuery, bool) {
	q := citizen.HistoryQuery{Application: view.Asker}
	for _, state := range myStates() {
		if string(state) == view.State {
			q.State = state
		}
	}
	q.From = r.day(view.From, FieldFrom, &view.Page)
	if to := r.day(view.To, FieldTo, &view.Page); !to.IsZero() {
		q.To = to.AddDate(0, 0, 1)
	}
	if place := c.QueryParam(fromParameter); place != "" {
		var err error
		if q.Before, err = parsePlace(place); err != nil {
			view.Fail("", policies.Refuse(policies.RequestMalformed, "field", fromParameter))
		}
	}
	view.Filtered = q.State != "" || q.Application != "" || !q.From.IsZero() || !q.To.IsZero()
	return q, len(view.Problems) == 0
}

// day reads a date as people of this country write it, in Basque with the year
// first. A field of the browser's would ask in the browser's language, not the
// page's.
func (r OwnRoom) day(text, field string, page *Page) time.Time {
	if text = strings.TrimSpace(text); text == "" {
		return time.Time{}
	}
	zone := r.Rules.Zone
	if zone == nil {
		zone = time.UTC
	}
	for _, form := range []string{time.DateOnly, "2006/1/2", "2/1/2006", "2-1-2006", "2.1.2006", "02012006"} {
		if t, err := time.ParseInLocation(form, text, zone); err == nil && t.Year() > 1900 && t.Year() < 3000 {
			return t
		}
	}
	page.Fail(field, policies.Refuse(policies.RequestMalformed, "field", field))
	return time.Time{}
}

// filter leads to the list with the filters that were chosen.
func (r OwnRoom) filter(c echo.Context, _ visitor) error { return seeOther(c, filtersURL(c, "")) }

// filtersURL is the list with the same filters, from a place on.
func filtersURL(c echo.Context, place string) string {
	query := url.Values{}
	for _, name := range []string{FieldState, FieldAsker, FieldFrom, FieldTo} {
		if value := c.FormValue(name); value != "" {
			query.Set(name, value)
		}
	}
	if place != "" {
		query.Set(fromParameter, place)
	}
	if len(query) == 0 {
		return signaturesPath
	}
	return signaturesPath + "?" + query.Encode()
}

func encodePlace(p citizen.HistoryPlace) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d %s", p.At.UnixMicro(), p.ID))
}

func parsePlace(s string) (citizen.HistoryPlace, error) {
	text, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return citizen.HistoryPlace{}, fmt.Errorf("reading a place: %w", err)
	}
	at, id, _ := strings.Cut(string(text), " ")
	micros, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return citizen.HistoryPlace{}, fmt.Errorf("reading a place: %w", err)
	}
	return citizen.HistoryPlace{At: time.UnixMicro(micros).UTC(), ID: id}, nil
}

// ownRequest is a request of the citizen's own: somebody else's is one that
// there is not.
func (r OwnRoom) ownRequest(ctx context.Context, id string, v visitor) (signer.Request, error) {
	request, err := r.Store.Request(ctx, id)
	if err == nil && (request.Identifier != v.Citizen.Identifier || request.State == signer.Received) {
		err = policies.Refuse(policies.RequestUnknown)
	}
	return request, err
}

// signature shows one with its time line.
func (r OwnRoom) signature(c echo.Context, v visitor) error {
	ctx := c.Request().Context()
	request, err := r.ownRequest(ctx, c.Param("id"), v)
	if err != nil {
		return err
	}
	steps, err := r.steps(ctx, request)
	if err != nil {
		return err
	}
	self := signaturesPath + "/" + url.PathEscape(request.ID)
	view := &MySignatureDetail{
		Page: r.page(v, self, "signatures"), Title: request.Title,
		Organisation: request.Application.Organisation, Application: request.Application.Name,
		ID: request.ID, State: request.State, Steps: steps, BackURL: signaturesPath,
		IncidentURL: incidentPath + "?" + url.Values{"firma": {request.ID}}.Encode(),
	}
	for _, d := range request.Documents {
		view.Documents = append(view.Documents, Document{Number: d.Ordinal, Title: d.Name, Size: d.Size, Pages: d.Pages, Fingerprint: fmt.Sprintf("%x", d.SHA256)})
	}
	if err := r.offer(ctx, view, request); err != nil {
		return err
	}
	switch request.State {
	case signer.Signed:
		view.Reference = request.Reference()
		view.EvidenceURL, view.ReceiptURL, view.FileName = self+"/justificante.pdf", self+"/justificante.json", receipts.FileName(request.ID)
	case signer.Pending:
		if r.Now().Before(request.ExpiresAt) {
			view.ContinueURL = SigningPath(request.ID)
		}
	case signer.Received, signer.Signing, signer.Refused, signer.Expired, signer.Withdrawn:
	}
	return r.show(c, http.StatusOK, view)
}

// offer has the signed documents downloaded as long as they are kept here.
func (r OwnRoom) offer(ctx context.Context, view *MySignatureDetail, request signer.Request) error {
	if request.State != signer.Signed {
		return nil
	}
	kept, err := r.Own.KeptDocuments(ctx, request.ID)
	if err != nil {
		return err
	}
	for i := range view.Documents {
		if d := &view.Documents[i]; slices.Contains(kept, d.Number) && request.Documents[i].Given == nil {
			d.SignedURL, view.Kept = view.Self+"/documentos/"+strconv.Itoa(d.Number), true
		}
	}
	if view.Kept {
		view.KeptUntil = request.ClosedAt.Add(r.Retention)
	}
	return nil
}

// ownDocument hands a signed document to whoever signed it. That it was taken is
// written down before it is given.
func (r OwnRoom) ownDocument(c echo.Context, v visitor) error {
	ctx := c.Request().Context()
	request, err := r.ownRequest(ctx, c.Param("id"), v)
	if err != nil {
		return err
	}
	ordinal, err := strconv.Atoi(c.Param("n"))
	if err != nil {
		return policies.Refuse(policies.NotFound)
	}
	result, err := r.Requests.Result(ctx, request, ordinal)
	if err != nil {
		return err
	}
	err = r.Profile.TakeDocument(ctx, v.ticket, request.ID, ordinal)
	if err == nil {
		return r.attach(c, result)
	}
	result.File.Close()
	if refusal, ok := asRefusal(err); ok && refusal.Code == policies.SessionExpired {
		return seeOther(c, entryFor(c, true))
	}
	return err
}

// steps are what happened to a request, in its order: what its row says, and
// what the log says of consent and signature.
func (r OwnRoom) steps(ctx context.Context, request signer.Request) ([]MyStep, error) {
	records, err := r.Own.SignatureEntries(ctx, request.ID)
	if err != nil {
		return nil, err
	}
	steps := []MyStep{{Name: "asked", At: request.CreatedAt}}
	done := false
	for _, record := range records {
		step := MyStep{Name: "consented", At: record.At, Seq: record.Seq, Phone: confirmedBy(record.Payload)}
		if record.Type == audit.SignDone {
			step.Name, step.Result, step.Phone, done = "signed", "succeeded", "", true
		}
		steps = append(steps, step)
	}
	switch request.State {
	case signer.Signed:
		if !done {
			steps = append(steps, MyStep{Name: "signed", Result: "succeeded", At: request.ClosedAt})
		}
	case signer.Refused:
		steps = append(steps, MyStep{Name: "refused", Result: "refused", At: request.ClosedAt})
	case signer.Expired:
		steps = append(steps, MyStep{Name: "expired", Result: "expired", At: request.ClosedAt})
	case signer.Withdrawn:
		steps = append(steps, MyStep{Name: "withdrawn", Result: "expired", At: request.ClosedAt})
	case signer.Pending:
		steps = append(steps, MyStep{Name: "waits", At: request.ExpiresAt})
	case signer.Received, signer.Signing:
	}
	return steps, nil
}

// confirmedBy is the masked mobile that took the code, as the log has it.
func confirmedBy(payload []byte) string {
	var told struct {
		Proofs []struct {
			Phone string `json:"phone"`
		} `json:"proofs"`
	}
	if json.Unmarshal(payload, &told) != nil { // of an older form: it is not told
		return ""
	}
	for _, p := range told.Proofs {
		if p.Phone != "" {
			return p.Phone
		}
	}
	return ""
}

func (r OwnRoom) ownEvidence(c echo.Context, v visitor) error {
	return r.handProof(c, v, "application/pdf", func(q signer.Request) string { return q.ID + ".pdf" }, r.Receipts.Evidence)
}

func (r OwnRoom) ownReceipt(c echo.Context, v visitor) error {
	return r.handProof(c, v, echo.MIMEApplicationJSON, func(q signer.Request) string { return receipts.FileName(q.ID) }, r.receiptBytes)
}

func (r OwnRoom) handProof(
	c echo.Context, v visitor, mediaType string, name func(signer.Request) string, of func(context.Context, signer.Request) ([]byte, error),
) error {
	request, err := r.ownRequest(c.Request().Context(), c.Param("id"), v)
	if err != nil {
		return err
	}
	return handOver(c, request, mediaType, name(request), of)
}
