package rest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
	"github.com/google/go-cmp/cmp"
	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/api/auditing"
	"github.com/rubrica-firma/rubrica/api/auditing/rest"
	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/notify/catalogue"
	"github.com/rubrica-firma/rubrica/policies"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// desk answers always the same, and remembers what it was asked. A question
// about an application named after a refusal is refused so.
type desk struct {
	mu     sync.Mutex
	asking auditing.Asking
	query  auditing.Query
	option auditing.ExportOptions
	breaks bool
}

func entry() auditing.Entry {
	return auditing.Entry{
		Seq: 7, Type: audit.SignDone, Operation: "OP1", At: noon, Person: "12345678Z", Result: audit.ResultSucceeded,
		Facts: map[string]any{"application": "sede", "n": json.Number("9007199254740991")},
		Leaf:  []byte(`{"v":1}`), Payload: []byte(`{}`), Salt: []byte("salt"), Intact: true,
	}
}

func (d *desk) remember(a auditing.Asking, q auditing.Query, o auditing.ExportOptions) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	o.Begun = nil
	d.asking, d.query, d.option = a, q, o
	if a.Identity.Role != auditing.RoleAuditor {
		return policies.Refuse(policies.RoleMissing)
	}
	if q.Application == "?" {
		return policies.Refuse(policies.QueryInvalid, "field", "application")
	}
	return nil
}

func (d *desk) Search(_ context.Context, a auditing.Asking, q auditing.Query) (auditing.Found, error) {
	altered := auditing.Entry{Seq: 6, Type: audit.SignDone, Operation: "OP1", At: noon}
	return auditing.Found{Entries: []auditing.Entry{entry(), altered}, Next: 6, Size: 9}, d.remember(a, q, auditing.ExportOptions{})
}

func (d *desk) Entry(_ context.Context, a auditing.Asking, seq int64) (auditing.Single, error) {
	single := auditing.Single{Entry: entry(), Witnessed: true, Proof: []byte("c2sp.org/tlog-proof@v1\n")}
	if seq == 8 {
		single.Proof = nil
	}
	return single, d.remember(a, auditing.Query{}, auditing.ExportOptions{})
}

func (d *desk) Operation(_ context.Context, a auditing.Asking, id string) (auditing.Found, error) {
	return auditing.Found{Entries: []auditing.Entry{}, Size: 9}, d.remember(a, auditing.Query{Operation: id}, auditing.ExportOptions{})
}

func (d *desk) Totals(_ context.Context, a auditing.Asking, from, to time.Time) (auditing.Totals, error) {
	return auditing.Totals{
		From: from, To: to, Counted: 8, Size: 9,
		Signatures:    []auditing.SignatureTotal{{Day: from, Application: "sede", Result: audit.ResultSucceeded, N: 3}},
		Refusals:      []auditing.ReasonTotal{{Type: audit.SignDenied, Reason: "certificate_expired", N: 2}},
		CodeFailures:  []auditing.EventTotal{{Day: from, Type: audit.CodeFailed, N: 1}},
		Confirmations: []auditing.TimeTotal{{Day: from, N: 1, Seconds: 30}},
		Events:        []auditing.EventTotal{{Type: audit.SignDone, N: 3}},
	}, d.remember(a, auditing.Query{From: from, To: to}, auditing.ExportOptions{})
}

func (d *desk) Completeness(_ context.Context, a auditing.Asking, from, to int64) (auditing.Completeness, error) {
	return auditing.Completeness{
		From: from, To: to, Origin: "firma.example.es/log", Size: 9, Checkpoint: []byte("note\n"), Edge: [][]byte{{1}}, Root: []byte{2}, Consistency: [][]byte{},
	}, d.remember(a, auditing.Query{}, auditing.ExportOptions{})
}

func (d *desk) Health(context.Context) (auditing.Health, error) {
	return auditing.Health{
		At: noon, Origin: "firma.example.es/log", Size: 9, Last: noon, Witnessed: auditing.CheckpointHealth{Size: 8, At: noon, Age: 90 * time.Second, Lag: 1},
		Witnesses: []auditing.WitnessHealth{{Name: "w1", Size: 8, At: noon}, {Name: "w2"}}, Signing: true,
	}, nil
}

var errGone = errors.New("the database has gone")

func (d *desk) Export(_ context.Context, a auditing.Asking, q auditing.Query, o auditing.ExportOptions, w io.Writer) error {
	if err := d.remember(a, q, o); err != nil {
		return err
	}
	o.Begun(auditing.Export{Format: o.Format, Checkpoint: 9, Name: "x.jsonl", MediaType: "application/jsonl; charset=utf-8"})
	if _, err := io.WriteString(w, strings.Repeat("{}\n", 10000)); err != nil {
		return err
	}
	if d.breaks {
		return errGone
	}
	return nil
}

// house is a running site with the door in it.
type house struct {
	*desk

	url    string
	routes routers.Router
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{desk: &desk{}, routes: contract(t)}
	server := httptest.NewServer(newSite(t, h.desk))
	t.Cleanup(server.Close)
	h.url = server.URL
	return h
}

// newSite is a site with nothing but the door.
func newSite(t *testing.T, d *desk) http.Handler {
	t.Helper()
	words, err := catalogue.New()
	must(t, err)
	site, err := api.New(api.Config{
		PublicURL: "https://auditoria.example.es", Catalogue: words, Limits: api.DefaultLimits(), Logger: slog.New(slog.DiscardHandler), Now: time.Now,
		Rooms: []func(*api.Site){rest.Room(rest.Config{Service: d, Identify: func(c echo.Context) (auditing.Asking, error) {
			role := c.Request().Header.Get("Role")
			if role == "" {
				return auditing.Asking{}, policies.Refuse(policies.ApplicationUnknown)
			}
			return auditing.Asking{Identity: auditing.Identity{ID: "A1", Role: role}, Purpose: c.Request().Header.Get("Audit-Purpose")}, nil
		}})},
	})
	must(t, err)
	return site
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func contract(t *testing.T) routers.Router {
	t.Helper()
	data, err := os.ReadFile("openapi.yaml")
	must(t, err)
	document, err := openapi3.NewLoader().LoadFromData(data)
	must(t, err)
	must(t, document.Validate(t.Context()))
	router, err := legacy.NewRouter(document)
	must(t, err)
	return router
}

// ask holds the answer against the contract.
func (h *house) ask(t *testing.T, role, method, path, body string) (int, http.Header, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, h.url+path, strings.NewReader(body))
	must(t, err)
	r.Header.Set("Role", role)
	r.Header.Set("Audit-Purpose", "Petición del juzgado")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(r)
	must(t, err)
	defer func() { _ = resp.Body.Close() }()
	content, err := io.ReadAll(resp.Body)
	must(t, err)
	asked := r.Clone(t.Context())
	asked.URL.Scheme, asked.URL.Host = "", ""
	route, params, err := h.routes.FindRoute(asked)
	if err != nil {
		return resp.StatusCode, resp.Header, content // not in the contract
	}
	err = openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: asked, PathParams: params, Route: route},
		Status:                 resp.StatusCode, Header: resp.Header, Body: io.NopCloser(bytes.NewReader(content)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true, ExcludeResponseBody: strings.Contains(resp.Header.Get("Content-Type"), "jsonl")},
	})
	if err != nil {
		t.Errorf("%s %s: the answer is not in the contract: %v", method, path, err)
	}
	return resp.StatusCode, resp.Header, content
}

// TestAnswers asks everything, and holds the answers against the contract.
func TestAnswers(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, q := range []struct{ method, path, body, says string }{
		{http.MethodPost, "/v1/audit/search", `{}`, `"next":6`},
		{http.MethodGet, "/v1/audit/entries/7", "", `9007199254740991`},
		{http.MethodGet, "/v1/audit/entries/7/proof", "", "c2sp.org/tlog-proof@v1\n"},
		{http.MethodGet, "/v1/audit/operations/OP1", "", `"size":9`},
		{http.MethodGet, "/v1/audit/totals?from=2026-03-01&to=2026-03-02", "", `"certificate_expired"`},
		{http.MethodGet, "/v1/audit/completeness?from=0&to=9", "", `"origin":"firma.example.es/log"`},
		{http.MethodGet, "/v1/audit/health", "", `"age_seconds":90`},
		{http.MethodPost, "/v1/audit/export", `{}`, "{}\n"},
		{http.MethodGet, "/v1/audit/openapi.yaml", "", "openapi: 3.0.3"},
		{http.MethodGet, "/v1/audit/guide", "", "rubrica audit verify"},
	} {
		status, header, body := h.ask(t, auditing.RoleAuditor, q.method, q.path, q.body)
		if status != http.StatusOK || !bytes.Contains(body, []byte(q.says)) {
			t.Errorf("%s: got %d %.300s, want it to say %s", q.path, status, body, q.says)
		}
		if kept := header.Get("Cache-Control"); kept != "no-store" && q.path != "/v1/audit/openapi.yaml" && q.path != "/v1/audit/guide" {
			t.Errorf("%s: got Cache-Control %q, want no-store", q.path, kept)
		}
	}
	if want := "Petición del juzgado"; h.asking.Purpose != want {
		t.Errorf("got the purpose %q, want %q", h.asking.Purpose, want)
	}
}

// TestQuestionsArriveWhole says all that a question can.
func TestQuestionsArriveWhole(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	const criteria = `"citizen":"12345678Z","certificate":"ff","document":"ab","application":"sede","operation":"OP1","types":["sign.done"],` +
		`"result":"succeeded","from":"2026-03-01T12:00:00Z","to":"2026-03-01T13:00:00+01:00"`
	want := auditing.Query{
		Citizen: "12345678Z", Certificate: "ff", Document: "ab", Application: "sede", Operation: "OP1", Types: []audit.EventType{audit.SignDone},
		Result: audit.ResultSucceeded, From: noon, To: noon, Before: 9, Limit: 3,
	}
	h.ask(t, auditing.RoleAuditor, http.MethodPost, "/v1/audit/search", `{`+criteria+`,"before":9,"limit":3}`)
	if diff := cmp.Diff(want, h.query); diff != "" {
		t.Errorf("searched (-want +got):\n%s", diff)
	}
	h.ask(t, auditing.RoleAuditor, http.MethodPost, "/v1/audit/export", `{`+criteria+`,"format":"csv","complete":true,"checkpoint":9,"after":0}`)
	want.Before, want.Limit = 0, 0
	if diff := cmp.Diff(want, h.query); diff != "" {
		t.Errorf("exported (-want +got):\n%s", diff)
	}
	options := auditing.ExportOptions{Format: auditing.CSV, Complete: true, Checkpoint: 9, Next: 1}
	if diff := cmp.Diff(options, h.option); diff != "" {
		t.Errorf("exported (-want +got):\n%s", diff)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for name, test := range map[string]struct {
		role, method, path, body string
		code                     policies.Code
	}{
		"nobody":                   {"", http.MethodPost, "/v1/audit/search", `{}`, policies.ApplicationUnknown},
		"nobody asks for health":   {"", http.MethodGet, "/v1/audit/health", "", policies.ApplicationUnknown},
		"an officer, of health":    {"officer", http.MethodGet, "/v1/audit/health", "", policies.RoleMissing},
		"an administrator reads":   {auditing.RoleAdministrator, http.MethodGet, "/v1/audit/entries/7", "", policies.RoleMissing},
		"an administrator exports": {auditing.RoleAdministrator, http.MethodPost, "/v1/audit/export", `{}`, policies.RoleMissing},
		"a field unread":           {auditing.RoleAuditor, http.MethodPost, "/v1/audit/search", `{"application":"?"}`, policies.QueryInvalid},
		"a member unknown":         {auditing.RoleAuditor, http.MethodPost, "/v1/audit/search", `{"dni":"12345678Z"}`, policies.RequestMalformed},
		"a member twice":           {auditing.RoleAuditor, http.MethodPost, "/v1/audit/search", `{"limit":1,"limit":2}`, policies.RequestMalformed},
		"two questions":            {auditing.RoleAuditor, http.MethodPost, "/v1/audit/search", `{}{}`, policies.RequestMalformed},
		"no question":              {auditing.RoleAuditor, http.MethodPost, "/v1/audit/search", "", policies.RequestMalformed},
		"no day":                   {auditing.RoleAuditor, http.MethodGet, "/v1/audit/totals?from=yesterday&to=2026-03-02", "", policies.RequestMalformed},
		"no number":                {auditing.RoleAuditor, http.MethodGet, "/v1/audit/entries/7%20OR%201=1", "", policies.RequestMalformed},
		"a proof to come":          {auditing.RoleAuditor, http.MethodGet, "/v1/audit/entries/8/proof", "", policies.CheckpointMissing},
		"on after less than none":  {auditing.RoleAuditor, http.MethodPost, "/v1/audit/export", `{"after":-1}`, policies.QueryInvalid},
		"a long question":          {auditing.RoleAuditor, http.MethodPost, "/v1/audit/search", `{"citizen":"` + strings.Repeat("1", 65<<10) + `"}`, policies.DocumentTooLarge},
	} {
		status, _, body := h.ask(t, test.role, test.method, test.path, test.body)
		var problem rest.Problem
		if err := json.Unmarshal(body, &problem); err != nil || problem.Code != string(test.code) || status != api.Status(test.code) {
			t.Errorf("%s: got %d %.300s, want %s", name, status, body, test.code)
		}
	}
	if status, _, body := h.ask(t, auditing.RoleAdministrator, http.MethodGet, "/v1/audit/health", ""); status != http.StatusOK {
		t.Errorf("an administrator, of health: got %d %s", status, body)
	}
}

// TestBrokenExport breaks one off after its beginning: no client takes it for a
// whole one.
func TestBrokenExport(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.breaks = true
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.url+"/v1/audit/export", strings.NewReader(`{}`))
	must(t, err)
	r.Header.Set("Role", auditing.RoleAuditor)
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	must(t, err)
	defer func() { _ = resp.Body.Close() }()
	if _, err = io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %d and %v, want an answer that is cut off", resp.StatusCode, err)
	}
}
