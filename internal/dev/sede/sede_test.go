package sede_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/internal/dev/sede"
)

// peer plays the service's API as the sede's client sees it. What it calls
// signed is the document itself.
type peer struct {
	*httptest.Server
	tokens  atomic.Int32
	orders  chan map[string]any
	state   atomic.Value
	problem atomic.Value
	pushed  chan url.Values
}

func newPeer(t *testing.T) *peer {
	t.Helper()
	p := &peer{orders: make(chan map[string]any, 8)}
	p.state.Store("pending")
	p.problem.Store("")
	mux := http.NewServeMux()
	mux.HandleFunc("POST /oauth/token", func(w http.ResponseWriter, r *http.Request) {
		p.tokens.Add(1)
		id, secret, _ := r.BasicAuth()
		if id != "sede" || secret != "s%2B" || !p.grants(r) {
			http.Error(w, `{"error":"invalid_client"}`, http.StatusUnauthorized)
			return
		}
		fmt.Fprint(w, `{"access_token":"abc","token_type":"Bearer","expires_in":600}`)
	})
	authorised := func(handler http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer abc" {
				http.Error(w, "{}", http.StatusUnauthorized)
				return
			}
			handler(w, r)
		}
	}
	mux.HandleFunc("POST /v1/signature-requests", authorised(p.create))
	mux.HandleFunc("GET /v1/signature-requests/{id}", authorised(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"id":%q,"state":%q,"signing_url":"https://firma.test/x","documents":[{"ordinal":0,"name":"acta.txt","format":"cades-attached","state":"signed"}],"refusals":[]}`,
			r.PathValue("id"), p.state.Load())
	}))
	mux.HandleFunc("GET /v1/signature-requests/{id}/documents/{ordinal}/signed", authorised(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "the signed bytes")
	}))
	p.consortium(mux)
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

func (p *peer) create(w http.ResponseWriter, r *http.Request) {
	var order map[string]any
	if json.NewDecoder(r.Body).Decode(&order) != nil || r.Header.Get("Idempotency-Key") == "" {
		http.Error(w, "{}", http.StatusBadRequest)
		return
	}
	p.orders <- order
	w.Header().Set("Content-Type", "application/problem+json")
	if problem, ok := p.problem.Load().(string); ok && problem != "" {
		w.WriteHeader(http.StatusUnprocessableEntity)
		fmt.Fprint(w, problem)
		return
	}
	w.WriteHeader(http.StatusCreated)
	fmt.Fprint(w, `{"id":"req-1","state":"pending","signing_url":"https://firma.test/firmar/req-1"}`)
}

func newSede(t *testing.T, p *peer) *httptest.Server {
	t.Helper()
	handler, err := sede.New(sede.Config{
		Service: p.URL, Self: "https://sede.test", Inbox: "https://inbox.test",
		ID: "sede", Secret: "s+", Dir: filepath.Join(t.TempDir(), "sede"),
		RootFile: "/nonexistent", Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	server.Client().CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return server
}

// ask posts the form, with a file unless its name is empty.
func ask(t *testing.T, server *httptest.Server, fields url.Values, name, content string) *http.Response {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for field := range fields {
		if err := form.WriteField(field, fields.Get(field)); err != nil {
			t.Fatal(err)
		}
	}
	part, err := form.CreateFormFile("document", name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(part, content); err != nil {
		t.Fatal(err)
	}
	if err := form.Close(); err != nil {
		t.Fatal(err)
	}
	response, err := server.Client().Post(server.URL+"/solicitud", form.FormDataContentType(), &body)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

func get(t *testing.T, server *httptest.Server, path string) (status int, body string) {
	t.Helper()
	response, err := server.Client().Get(server.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

func TestAsk(t *testing.T) {
	t.Parallel()
	p := newPeer(t)
	server := newSede(t, p)
	response := ask(t, server, url.Values{"identifier": {" 12345678-z"}, "title": {"Acta"}, "format": {"cades-attached"}}, "acta.txt", "leída y conforme")
	if got := response.Header.Get("Location"); response.StatusCode != http.StatusSeeOther || got != "https://firma.test/firmar/req-1" {
		t.Fatalf("got %d to %q, want a redirection to the signing page", response.StatusCode, got)
	}
	want := map[string]any{
		"signer": map[string]any{"identifier": "12345678Z"}, "return_url": "https://sede.test/vuelta", "title": "Acta", "locale": "es",
		"documents": []any{map[string]any{
			"name": "acta.txt", "media_type": "text/plain; charset=utf-8", "format": "cades-attached", "content": "bGXDrWRhIHkgY29uZm9ybWU=",
			"level": "B-LTA",
		}},
	}
	if diff := cmp.Diff(want, <-p.orders); diff != "" {
		t.Errorf("order differs (-want +got):\n%s", diff)
	}

	if _, page := get(t, server, "/vuelta?request=req-1&state=signed"); !strings.Contains(page, "La firma está pendiente") {
		t.Errorf("got a page that believes the query, want the service's word:\n%s", page)
	}
	p.state.Store("signed")
	_, page := get(t, server, "/vuelta?request=req-1&state=signed")
	for _, wanted := range []string{"Solicitud firmada", "acta.txt.p7m", "No válida"} { // openssl finds no CMS in those bytes
		if !strings.Contains(page, wanted) {
			t.Errorf("got a page without %q:\n%s", wanted, page)
		}
	}
	if _, content := get(t, server, "/expediente/req-1/0"); content != "the signed bytes" {
		t.Errorf("got %q, want the signed bytes", content)
	}
	if _, home := get(t, server, "/"); !strings.Contains(home, `href="/vuelta?request=req-1"`) {
		t.Errorf("got a home page without the request:\n%s", home)
	}
	if got := p.tokens.Load(); got != 1 {
		t.Errorf("got %d tokens asked for, want 1", got)
	}
}

func TestAskSample(t *testing.T) {
	t.Parallel()
	p := newPeer(t)
	ask(t, newSede(t, p), url.Values{"identifier": {"12345678Z"}, "format": {"pades"}}, "", "")
	documents, ok := (<-p.orders)["documents"].([]any)
	if !ok || len(documents) != 1 {
		t.Fatalf("got documents %v, want one", documents)
	}
	sample, ok := documents[0].(map[string]any)
	if !ok || sample["name"] != "solicitud.pdf" || sample["media_type"] != "application/pdf" {
		t.Errorf("got %v, want the sample", sample["name"])
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	p := newPeer(t)
	p.problem.Store(`{"code":"identifier_invalid","title":"El DNI no es correcto","detail":"La letra no corresponde.","remedy":"Revise el número."}`)
	response := ask(t, newSede(t, p), url.Values{"identifier": {"12345678A"}, "title": {"<Acta>"}, "format": {"pades"}}, "", "")
	page, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("got status %d, want %d", response.StatusCode, http.StatusUnprocessableEntity)
	}
	for _, wanted := range []string{"El DNI no es correcto", "Revise el número.", `value="12345678A"`, `value="&lt;Acta&gt;"`} {
		if !bytes.Contains(page, []byte(wanted)) {
			t.Errorf("got a page without %q", wanted)
		}
	}
}

func TestUnknown(t *testing.T) {
	t.Parallel()
	server := newSede(t, newPeer(t))
	for _, path := range []string{"/vuelta", "/vuelta?request=other", "/vuelta?request=..%2F..%2Fx", "/expediente/other/0", "/expediente/..%2Fx/0"} {
		if status, _ := get(t, server, path); status != http.StatusNotFound {
			t.Errorf("got %d for %s, want %d", status, path, http.StatusNotFound)
		}
	}
}

// TestCrossOrigin posts the form from another site's page.
func TestCrossOrigin(t *testing.T) {
	t.Parallel()
	server := newSede(t, newPeer(t))
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/solicitud", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Sec-Fetch-Site", "cross-site")
	response, err := server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusForbidden {
		t.Errorf("got %d, want %d", response.StatusCode, http.StatusForbidden)
	}
}

func TestSampleIsPDF(t *testing.T) {
	t.Parallel()
	_, content := get(t, newSede(t, newPeer(t)), "/ejemplo.pdf")
	stored, err := os.ReadFile("static/solicitud.pdf")
	if err != nil {
		t.Fatal(err)
	}
	if content != string(stored) || !strings.HasPrefix(content, "%PDF-") {
		t.Errorf("got %d bytes, want the sample's %d", len(content), len(stored))
	}
}
