package rest_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/api/rest"
	"github.com/rubrica-firma/rubrica/api/rest/client"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

const requestsPath = "/v1/signature-requests"

func headers(token, key string) map[string]string {
	return map[string]string{"Authorization": "Bearer " + token, "Content-Type": "application/json", "Idempotency-Key": key}
}

func sha256Of(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }

func TestSignatureRequest(t *testing.T) {
	t.Parallel()
	h := build(t)
	token := h.token(t, "sede")
	body := order(func(o map[string]any) {
		o["locale"], o["details"] = "CA-es", []any{map[string]any{"label": "Expediente", "value": "2026/1234"}}
		o["documents"] = append(solicitud(), document("datos.xml", "Text/XML; Charset=utf-8", "cades-attached", []byte("<a/>")))
	})
	got := h.call(t, http.MethodPost, requestsPath, strings.NewReader(body), headers(token, "k1"))
	if got.status != http.StatusCreated {
		t.Fatalf("got %d %s, want 201", got.status, got.body)
	}
	var made rest.SignatureRequest
	got.decode(t, &made)
	where := requestsPath + "/" + made.ID
	want := rest.SignatureRequest{
		ID: made.ID, State: rest.Pending, Title: "Solicitud de ayuda", SigningURL: h.url + "/firma/" + made.ID,
		CreatedAt: made.CreatedAt, ExpiresAt: made.CreatedAt.Add(7 * 24 * time.Hour),
		Documents: []rest.Document{
			{
				Ordinal: 1, Position: 1, State: rest.Pending, Name: "solicitud.pdf", MediaType: "application/pdf", Format: rest.Pades, Size: 12, Pages: new(3),
				Sha256: sha256Of("%PDF-1.7 …"), Level: rest.LevelB,
				Findings: []rest.Finding{{
					Code: "javascript_form", Title: made.Documents[0].Findings[0].Title, Detail: made.Documents[0].Findings[0].Detail,
				}},
			},
			{
				Ordinal: 2, Position: 2, State: rest.Pending, Name: "datos.xml", MediaType: "text/xml; charset=utf-8", Format: rest.CadesAttached, Size: 4, Sha256: sha256Of("<a/>"),
				Level: rest.LevelB, Findings: []rest.Finding{},
			},
		},
		Details: &[]rest.Detail{{Label: "Expediente", Value: "2026/1234"}}, Rejected: []rest.RejectedDocument{},
		Refusals: []rest.Refusal{{
			Code: "citizen_unknown", Title: "La persona no está registrada", Detail: "No hay ningún registro con este DNI o NIE.",
			Remedy: "La persona puede registrarse en cualquier oficina de registro, con su DNI o NIE y su móvil.",
			Source: new(policies.SourceRegister),
		}},
	}
	if diff := cmp.Diff(want, made); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
	if got, want := got.header.Get("Location"), h.url+where; got != want {
		t.Errorf("Location: got %q, want %q", got, want)
	}
	stored, err := h.memory.Request(t.Context(), made.ID)
	if err != nil || stored.Identifier != spaniard || stored.Locale != "ca-ES" {
		t.Errorf("stored: got %+v %v, want the identifier and the locale in their one form", stored, err)
	}

	again := h.call(t, http.MethodPost, requestsPath, strings.NewReader(body), headers(token, "k1"))
	if again.status != http.StatusCreated || again.header.Get("Location") != got.header.Get("Location") || !bytes.Equal(again.body, got.body) {
		t.Errorf("repeated: got %d %s, want the same answer", again.status, again.body)
	}
	wantRefusal(t, h.call(t, http.MethodPost, requestsPath, strings.NewReader(order(nil)), headers(token, "k1")), policies.IdempotencyKeyReused)

	seen := h.call(t, http.MethodGet, where, http.NoBody, headers(token, ""))
	if seen.status != http.StatusOK || seen.header.Get("ETag") == "" || !bytes.Equal(seen.body, got.body) {
		t.Errorf("got %d %s, want what was answered before", seen.status, seen.body)
	}
	asked := headers(token, "")
	asked["If-None-Match"] = seen.header.Get("ETag")
	if got := h.call(t, http.MethodGet, where, http.NoBody, asked); got.status != http.StatusNotModified || len(got.body) != 0 {
		t.Errorf("If-None-Match: got %d %q, want 304", got.status, got.body)
	}
	h.memory.move(made.ID, signer.Signed)
	var signed rest.SignatureRequest
	h.call(t, http.MethodGet, where, http.NoBody, asked).decode(t, &signed)
	if signed.State != rest.Signed || signed.ClosedAt == nil || len(signed.Refusals) != 0 {
		t.Errorf("signed: got %+v, want it closed and without refusals", signed)
	}
	if got, want := *signed.Documents[1].SignedURL, h.url+where+"/documents/2/signed"; got != want {
		t.Errorf("signed_url: got %q, want %q", got, want)
	}
	result := h.call(t, http.MethodGet, where+"/documents/1/signed", http.NoBody, headers(token, ""))
	if string(result.body) != "%PDF- signed" || result.header.Get("Content-Type") != "application/pdf" {
		t.Errorf("got %d %q, want the signed PDF", result.status, result.body)
	}
	disposition := `attachment; filename="Solicitud de Mar_a-firmado.pdf"; filename*=UTF-8''Solicitud%20de%20Mar%C3%ADa-firmado.pdf`
	if got := result.header.Get("Content-Disposition"); got != disposition {
		t.Errorf("Content-Disposition: got %q, want %q", got, disposition)
	}
}

// One document that cannot be signed is told, with its place among those that
// were sent; the others stand.
func TestRejectedDocument(t *testing.T) {
	t.Parallel()
	h := build(t)
	body := order(func(o map[string]any) {
		o["expires_at"] = time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
		o["documents"] = append([]any{document("hola.pdf", "application/pdf", "pades", []byte("hola"))}, solicitud()...)
	})
	var made rest.SignatureRequest
	h.call(t, http.MethodPost, requestsPath, strings.NewReader(body), headers(h.token(t, "sede"), "k")).decode(t, &made)
	if len(made.Documents) != 1 || made.Documents[0].Ordinal != 1 || made.Documents[0].Position != 2 {
		t.Errorf("got %+v, want the second document as the first to be signed", made.Documents)
	}
	if len(made.Rejected) != 1 || made.Rejected[0].Position != 1 || made.Rejected[0].Refusal.Code != string(policies.DocumentNotPDF) || made.Rejected[0].Refusal.Remedy == "" {
		t.Errorf("got %+v, want the first rejected, and what to do", made.Rejected)
	}
	if left := time.Until(made.ExpiresAt); left > time.Hour || left < 50*time.Minute {
		t.Errorf("it expires in %s, want an hour", left)
	}
}

// Who waits is answered as soon as there is something new, and told when there is
// not.
func TestLongPoll(t *testing.T) {
	t.Parallel()
	h := build(t)
	token := h.token(t, "sede")
	made := h.call(t, http.MethodPost, requestsPath, strings.NewReader(order(nil)), headers(token, "k"))
	where := made.header.Get("Location")[len(h.url):]
	asked := headers(token, "")
	asked["If-None-Match"] = h.call(t, http.MethodGet, where, http.NoBody, asked).header.Get("ETag")
	if got := h.call(t, http.MethodGet, where+"?wait=1", http.NoBody, asked); got.status != http.StatusNotModified {
		t.Errorf("nothing happens: got %d, want 304", got.status)
	}
	var r rest.SignatureRequest
	made.decode(t, &r)
	time.AfterFunc(100*time.Millisecond, func() { h.memory.move(r.ID, signer.Signed) })
	var seen rest.SignatureRequest
	h.call(t, http.MethodGet, where+"?wait=60", http.NoBody, asked).decode(t, &seen)
	if seen.State != rest.Signed {
		t.Errorf("got %s, want it signed", seen.State)
	}
	for _, wait := range []string{"-1", "61", "x", "1e9"} {
		wantRefusal(t, h.call(t, http.MethodGet, where+"?wait="+wait, http.NoBody, asked), policies.RequestMalformed)
	}
}

func TestRequestsOfOthersDoNotExist(t *testing.T) {
	t.Parallel()
	h := build(t)
	mine, theirs := h.token(t, "sede"), h.token(t, "other")
	var made rest.SignatureRequest
	h.call(t, http.MethodPost, requestsPath, strings.NewReader(order(nil)), headers(mine, "k")).decode(t, &made)
	h.memory.move(made.ID, signer.Signed)
	for _, path := range []string{made.ID, made.ID + "/documents/1/signed", "NOTHING", "%00", "%ff%fe", "a%20b", strings.Repeat("A", 300)} {
		got := h.call(t, http.MethodGet, requestsPath+"/"+path, http.NoBody, headers(theirs, ""))
		wantRefusal(t, got, policies.RequestUnknown)
	}
	// The same key of another application is another key.
	got := h.call(t, http.MethodPost, requestsPath, strings.NewReader(order(nil)), headers(theirs, "k"))
	var another rest.SignatureRequest
	got.decode(t, &another)
	if another.ID == made.ID || another.ID == "" {
		t.Errorf("got request %q, want one of its own", another.ID)
	}
	for path, code := range map[string]policies.Code{
		"/documents/2/signed": policies.NotFound, "/documents/0/signed": policies.NotFound, "/documents/-1/signed": policies.NotFound,
		"/documents/x/signed": policies.RequestMalformed, "/documents/99999999999999999999/signed": policies.RequestMalformed,
	} {
		wantRefusal(t, h.call(t, http.MethodGet, requestsPath+"/"+made.ID+path, http.NoBody, headers(mine, "")), code)
	}
	early := h.call(t, http.MethodGet, requestsPath+"/"+another.ID+"/documents/1/signed", http.NoBody, headers(theirs, ""))
	wantRefusal(t, early, policies.RequestState)
}

func TestAccess(t *testing.T) {
	t.Parallel()
	h := build(t)
	office := h.token(t, "office")
	sede := h.token(t, "sede")
	for _, tt := range []struct {
		name, method, path, token string
		code                      policies.Code
	}{
		{"no token", http.MethodPost, requestsPath, "", policies.ApplicationUnknown},
		{"wrong token", http.MethodPost, requestsPath, "wrong", policies.ApplicationUnknown},
		{"an office asks for a signature", http.MethodPost, requestsPath, office, policies.ScopeMissing},
		{"an office looks ahead", http.MethodPost, "/v1/preflight", office, policies.ScopeMissing},
		{"nobody looks ahead", http.MethodPost, "/v1/preflight", "", policies.ApplicationUnknown},
		{"an office reads a request", http.MethodGet, requestsPath + "/X", office, policies.ScopeMissing},
		{"an office downloads", http.MethodGet, requestsPath + "/X/documents/1/signed", office, policies.ScopeMissing},
		{"a sede registers", http.MethodPost, "/v1/office/acts", sede, policies.ScopeMissing},
	} {
		got := h.call(t, tt.method, tt.path, strings.NewReader("{}"), headers(tt.token, "k"))
		wantRefusal(t, got, tt.code)
		if got.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: want WWW-Authenticate", tt.name)
		}
	}
	wantRefusal(t, h.call(t, http.MethodDelete, requestsPath, http.NoBody, headers(sede, "k")), policies.MethodNotAllowed)
	wantRefusal(t, h.call(t, http.MethodGet, "/v1/nothing", http.NoBody, map[string]string{"Accept": "text/html"}), policies.NotFound)
}

func TestBadOrders(t *testing.T) {
	t.Parallel()
	h := build(t)
	token := h.token(t, "sede")
	set := func(name string, value any) string {
		return order(func(o map[string]any) { o[name] = value })
	}
	without := func(name string) string {
		return order(func(o map[string]any) { delete(o, name) })
	}
	documents := func(change map[string]any) string {
		d := document("a.pdf", "application/pdf", "pades", []byte("%PDF-"))
		maps.Copy(d, change)
		return set("documents", []any{d})
	}
	deep := strings.Repeat(`[`, 10_000) + strings.Repeat(`]`, 10_000)
	good := order(nil)
	for _, tt := range []struct {
		name, body string
		code       policies.Code
		params     map[string]string
	}{
		{"empty", "", policies.RequestMalformed, nil},
		{"null", "null", policies.IdentifierInvalid, nil},
		{"an array", "[]", policies.RequestMalformed, nil},
		{"two values", good + "{}", policies.RequestMalformed, nil},
		{"cut short", good[:len(good)-1], policies.RequestMalformed, nil},
		{"unknown member", strings.Replace(good, "{", `{"callback":"x",`, 1), policies.RequestMalformed, map[string]string{"field": "/callback"}},
		{"member in another case", strings.Replace(good, `"title"`, `"Title"`, 1), policies.RequestMalformed, map[string]string{"field": "/Title"}},
		{"member twice", strings.Replace(good, "{", `{"title":"another",`, 1), policies.RequestMalformed, map[string]string{"field": "/title"}},
		{"unknown member of a document", documents(map[string]any{"page": 1}), policies.RequestMalformed, map[string]string{"field": "/documents/0/page"}},
		{"wrong type", set("title", 7), policies.RequestMalformed, map[string]string{"field": "/title"}},
		{"10,000 deep where a text belongs", strings.Replace(good, `"Solicitud de ayuda"`, deep, 1), policies.RequestMalformed, nil},
		{"10,000 deep where nothing belongs", strings.Replace(good, "{", `{"x":`+deep+",", 1), policies.RequestMalformed, nil},
		{"10,000 deep", deep, policies.RequestMalformed, nil},
		{"not UTF-8", strings.Replace(good, "Solicitud", "Solicitud\xff", 1), policies.RequestMalformed, nil},
		{"lone surrogate", strings.Replace(good, "Solicitud", `\ud800`, 1), policies.RequestMalformed, nil},
		{"bad base64", documents(map[string]any{"content": "JVBERi0*"}), policies.RequestMalformed, map[string]string{"field": "/documents/0/content"}},
		{"base64url", documents(map[string]any{"content": "_-__"}), policies.RequestMalformed, map[string]string{"field": "/documents/0/content"}},
		{"base64 without padding", documents(map[string]any{"content": "JVBERi0xLg"}), policies.RequestMalformed, map[string]string{"field": "/documents/0/content"}},
		{"base64 in lines", documents(map[string]any{"content": "JVBE\r\nRi0="}), policies.RequestMalformed, map[string]string{"field": "/documents/0/content"}},
		{"no signer", without("signer"), policies.IdentifierInvalid, nil},
		{"wrong check letter", set("signer", map[string]any{"identifier": "12345678A"}), policies.IdentifierInvalid, map[string]string{"reason": "letter"}},
		{"no title", without("title"), policies.RequestMalformed, map[string]string{"field": "title"}},
		{"title of two lines", set("title", "a\nb"), policies.RequestMalformed, map[string]string{"field": "title"}},
		{"title with NUL", set("title", "a\x00b"), policies.RequestMalformed, map[string]string{"field": "title"}},
		{"no return address", without("return_url"), policies.ReturnAddressUnknown, nil},
		{"another return address", set("return_url", "https://evil.example/"), policies.ReturnAddressUnknown, nil},
		{"a path below the return address", set("return_url", returnURL+"/x"), policies.ReturnAddressUnknown, nil},
		{"no language", set("locale", "not a language"), policies.RequestMalformed, map[string]string{"field": "/locale"}},
		{"no documents", set("documents", []any{}), policies.RequestMalformed, map[string]string{"field": "documents"}},
		{"null documents", set("documents", nil), policies.RequestMalformed, map[string]string{"field": "documents"}},
		{"three documents", set("documents", []any{
			document("a", "text/plain", "cades-detached", []byte("a")), document("b", "text/plain", "cades-detached", []byte("b")),
			document("c", "text/plain", "cades-detached", []byte("c")),
		}), policies.RequestTooManyDocs, map[string]string{"limit": "2"}},
		{"unknown format", documents(map[string]any{"format": "xades"}), policies.RequestMalformed, map[string]string{"field": "format", "document": "1"}},
		{"no media type", documents(map[string]any{"media_type": ""}), policies.RequestMalformed, map[string]string{"field": "media_type", "document": "1"}},
		{"NUL in the media type", documents(map[string]any{"media_type": "text/plain\x00"}), policies.RequestMalformed, map[string]string{"field": "media_type", "document": "1"}},
		{"path in the name", documents(map[string]any{"name": "../acta.pdf"}), policies.RequestMalformed, map[string]string{"field": "name", "document": "1"}},
		{"0 bytes", documents(map[string]any{"content": ""}), policies.DocumentEmpty, map[string]string{"document": "1"}},
		{"no PDF", documents(map[string]any{"content": "aG9sYQ=="}), policies.DocumentNotPDF, map[string]string{"document": "1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			problem := wantRefusal(t, h.call(t, http.MethodPost, requestsPath, strings.NewReader(tt.body), headers(token, "k "+tt.name[:1])), tt.code)
			for name, want := range tt.params {
				if problem.Params == nil || (*problem.Params)[name] != want {
					t.Errorf("params: got %v, want %s %q", problem.Params, name, want)
				}
			}
		})
	}
}

func TestBadHeaders(t *testing.T) {
	t.Parallel()
	h := build(t)
	token := h.token(t, "sede")
	for _, tt := range []struct {
		name, header, value string
		code                policies.Code
	}{
		{"no key", "Idempotency-Key", "", policies.IdempotencyKeyMissing},
		{"key beyond ASCII", "Idempotency-Key", "clave\xff", policies.RequestMalformed},
		{"long key", "Idempotency-Key", strings.Repeat("k", 256), policies.RequestMalformed},
		{"form", "Content-Type", "application/x-www-form-urlencoded", policies.RequestMalformed},
		{"text", "Content-Type", "text/json", policies.RequestMalformed},
		{"no type", "Content-Type", "", policies.RequestMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			asked := headers(token, "k")
			asked[tt.header] = tt.value
			wantRefusal(t, h.call(t, http.MethodPost, requestsPath, strings.NewReader(order(nil)), asked), tt.code)
		})
	}
	asked := headers(token, "k")
	asked["Content-Type"] = "application/json; charset=utf-8"
	if got := h.call(t, http.MethodPost, requestsPath, strings.NewReader(order(nil)), asked); got.status != http.StatusCreated {
		t.Errorf("with a charset: got %d %s, want 201", got.status, got.body)
	}
}

func TestLargeDocuments(t *testing.T) {
	t.Parallel()
	h := build(t)
	token := h.token(t, "sede")
	// head and tail stand around the base64 of a document.
	head, tail, _ := strings.Cut(order(func(o map[string]any) {
		o["documents"] = []any{map[string]any{"name": "a", "media_type": "text/plain", "format": "cades-detached", "content": "HERE"}}
	}), "HERE")
	body := func(size int) io.Reader {
		return io.MultiReader(strings.NewReader(head), strings.NewReader(base64.StdEncoding.EncodeToString(make([]byte, size))), strings.NewReader(tail))
	}
	for _, tt := range []struct {
		name    string
		size    int
		chunked bool
		code    policies.Code
	}{
		{"20 MB", 20 << 20, false, ""},
		{"21 MB in chunks", 21 << 20, true, policies.DocumentTooLarge},
		{"50 MB", 50 << 20, false, policies.DocumentTooLarge},
		{"50 MB in chunks", 50 << 20, true, policies.DocumentTooLarge},
	} {
		var whole bytes.Buffer
		if _, err := whole.ReadFrom(body(tt.size)); err != nil {
			t.Fatal(err)
		}
		reader := io.Reader(&whole)
		if tt.chunked {
			reader = io.MultiReader(&whole) // whose length net/http does not know
		}
		got := h.call(t, http.MethodPost, requestsPath, reader, headers(token, tt.name))
		if tt.code != "" {
			wantRefusal(t, got, tt.code)
		} else if got.status != http.StatusCreated {
			t.Errorf("%s: got %d %s, want 201", tt.name, got.status, got.body)
		}
	}
}

func TestDocumentation(t *testing.T) {
	t.Parallel()
	h := build(t)
	contract, err := os.ReadFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got := h.call(t, http.MethodGet, "/v1/openapi.yaml", http.NoBody, nil)
	if !bytes.Equal(got.body, contract) || got.header.Get("Content-Type") != "application/yaml" {
		t.Errorf("got %d %s, want the contract", got.status, got.header.Get("Content-Type"))
	}
	page := string(h.call(t, http.MethodGet, "/docs", http.NoBody, nil).body)
	for _, want := range []string{"/v1/signature-requests", "/v1/office/acts", "/v1/preflight", "Ask for a signature", "registration", "<code>Idempotency-Key</code>", `href="/v1/openapi.yaml"`} {
		if !strings.Contains(page, want) {
			t.Errorf("/docs lacks %q", want)
		}
	}
}

func TestClient(t *testing.T) {
	t.Parallel()
	h := build(t)
	c, err := client.Connect(client.Account{BaseURL: h.url + "/", ID: "sede", Secret: secret, Scope: "signature", HTTP: h.http})
	if err != nil {
		t.Fatal(err)
	}
	order := client.NewSignatureRequest{
		Signer: client.Signer{Identifier: spaniard}, Title: "Solicitud", ReturnURL: returnURL,
		Documents: []client.NewDocument{{Name: "a.bin", MediaType: "application/octet-stream", Format: client.CadesDetached, Content: new([]byte{0, 1, 2})}},
	}
	made, err := c.CreateSignatureRequestWithResponse(t.Context(), &client.CreateSignatureRequestParams{IdempotencyKey: "k"}, order)
	if err := client.Check(made, err); err != nil {
		t.Fatal(err)
	}
	id := made.JSON201.ID
	early, err := c.GetSignedDocumentWithResponse(t.Context(), id, 1)
	var problem *client.Problem
	if err := client.Check(early, err); !errors.As(err, &problem) || problem.Code != string(policies.RequestState) {
		t.Errorf("before it is signed: got %v, want request_state", err)
	}
	// A token that the service has lost is fetched again by the next call but one.
	h.memory.mu.Lock()
	clear(h.memory.tokens)
	h.memory.mu.Unlock()
	lost, err := c.GetSignatureRequestWithResponse(t.Context(), id, nil)
	if err := client.Check(lost, err); !errors.As(err, &problem) || problem.Code != string(policies.ApplicationUnknown) {
		t.Errorf("lost token: got %v, want application_unknown", err)
	}
	h.memory.move(id, signer.Signed)
	seen, err := c.GetSignatureRequestWithResponse(t.Context(), id, nil)
	if err := client.Check(seen, err); err != nil || seen.JSON200.State != client.Signed {
		t.Errorf("got %v, want it signed", err)
	}
	ahead, err := c.PreflightCitizenWithResponse(t.Context(), client.Signer{Identifier: spaniard})
	if err := client.Check(ahead, err); err != nil || ahead.JSON200.CanSign || ahead.JSON200.Obstacles.Sign[0].Where[0].Place != client.AtOffice {
		t.Errorf("got %v %s, want an unknown citizen, sent to an office", err, ahead.Body)
	}
	result, err := c.GetSignedDocumentWithResponse(t.Context(), id, 1)
	if err := client.Check(result, err); err != nil || string(result.Body) != "%PDF- signed" {
		t.Errorf("got %v %q, want the result", err, result.Body)
	}
	stranger, err := client.Connect(client.Account{BaseURL: h.url, ID: "sede", Secret: "wrong", Scope: "signature", HTTP: h.http})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stranger.GetSignatureRequestWithResponse(t.Context(), id, nil); err == nil || strings.Contains(err.Error(), "wrong") {
		t.Errorf("wrong secret: got %v, want an error without it", err)
	}
}
