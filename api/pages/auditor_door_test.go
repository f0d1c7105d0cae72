package pages_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/api/auditing"
	"github.com/rubrica-firma/rubrica/api/pages"
	"github.com/rubrica-firma/rubrica/api/staff"
	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/personnel"
	"github.com/rubrica-firma/rubrica/policies"
)

// gate lets in whoever has a cookie, under the name that it holds.
type gate struct {
	mu       sync.Mutex
	visits   map[string]personnel.Visit
	accounts []personnel.State
	closed   []string
}

const auditorCookie = "auditor"

func (g *gate) Visit(c echo.Context) (personnel.Visit, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	cookie, err := c.Cookie(auditorCookie)
	if err != nil {
		return personnel.Visit{}, policies.Refuse(policies.SessionExpired)
	}
	visit, known := g.visits[cookie.Value]
	if !known {
		return personnel.Visit{}, policies.Refuse(policies.SessionExpired)
	}
	return visit, nil
}

func (g *gate) Identify(c echo.Context) (auditing.Asking, error) {
	v, err := g.Visit(c)
	return auditing.Asking{Identity: auditing.Identity{ID: v.Account.ID, Name: v.Account.Name, Role: v.Account.Role, By: v.By}, Purpose: v.Purpose}, err
}

func (g *gate) Require(roles ...string) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			asking, err := g.Identify(c)
			switch {
			case err != nil:
				return err
			case !slices.Contains(roles, asking.Identity.Role):
				return policies.Refuse(policies.RoleMissing)
			case len(roles) == 1 && roles[0] == auditing.RoleAuditor && asking.Purpose == "":
				return policies.Refuse(policies.PurposeMissing)
			}
			return next(c)
		}
	}
}

func (g *gate) CertificateOffered(c echo.Context) bool {
	return c.Request().Header.Get("Certificate") != ""
}

func (g *gate) EnterByCertificate(c echo.Context) error {
	if c.Request().Header.Get("Certificate") != "right" {
		return policies.Refuse(policies.AuditorRefused)
	}
	c.SetCookie(&http.Cookie{Name: auditorCookie, Value: "new", Path: "/"})
	return nil
}

func (g *gate) State(c echo.Context, purpose string) error {
	if n := len([]rune(purpose)); n < 5 || n > 200 {
		return policies.Refuse(policies.PurposeMissing)
	}
	cookie, err := c.Cookie(auditorCookie)
	if err != nil {
		return policies.Refuse(policies.SessionExpired)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	visit := g.visits[cookie.Value]
	visit.Purpose = purpose
	g.visits[cookie.Value] = visit
	return nil
}

func (g *gate) Leave(c echo.Context) error {
	c.SetCookie(&http.Cookie{Name: auditorCookie, Value: "", Path: "/", MaxAge: -1})
	return nil
}

func (g *gate) Accounts(echo.Context) ([]personnel.State, error) { return g.accounts, nil }

func (g *gate) Invite(_ echo.Context, id string) (staff.Invitation, error) {
	return staff.Invitation{Link: "https://auditoria.example.es/auditoria/invitacion#SECRETO-" + id, Until: time.Now().Add(time.Hour)}, nil
}

func (g *gate) Disable(_ echo.Context, id string) error {
	g.closed = append(g.closed, id)
	return nil
}

// ledger answers from what it is given and keeps what it was asked.
type ledger struct {
	mu      sync.Mutex
	asked   []auditing.Query
	why     []auditing.Asking
	found   auditing.Found
	single  auditing.Single
	totals  auditing.Totals
	health  auditing.Health
	refusal error
	export  func(auditing.Query, auditing.ExportOptions, io.Writer) error
}

func (l *ledger) note(a auditing.Asking, q auditing.Query) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked, l.why = append(l.asked, q), append(l.why, a)
	return l.refusal
}

func (l *ledger) Search(_ context.Context, a auditing.Asking, q auditing.Query) (auditing.Found, error) {
	return l.found, l.note(a, q)
}

func (l *ledger) Entry(_ context.Context, a auditing.Asking, seq int64) (auditing.Single, error) {
	return l.single, l.note(a, auditing.Query{Before: seq})
}

func (l *ledger) Operation(_ context.Context, a auditing.Asking, id string) (auditing.Found, error) {
	return l.found, l.note(a, auditing.Query{Operation: id})
}

func (l *ledger) Totals(_ context.Context, a auditing.Asking, from, to time.Time) (auditing.Totals, error) {
	return l.totals, l.note(a, auditing.Query{From: from, To: to})
}

func (l *ledger) Health(context.Context) (auditing.Health, error) { return l.health, nil }

func (l *ledger) Export(_ context.Context, a auditing.Asking, q auditing.Query, o auditing.ExportOptions, w io.Writer) error {
	if err := l.note(a, q); err != nil {
		return err
	}
	return l.export(q, o, w)
}

func (l *ledger) last(t *testing.T) auditing.Query {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.asked) == 0 {
		t.Fatal("nothing was asked of the log")
	}
	return l.asked[len(l.asked)-1]
}

// bureau is the auditor's door on a real server.
type bureau struct {
	*testing.T
	gate   *gate
	ledger *ledger
	url    string
	logged *bytes.Buffer
	cookie string
	header http.Header
	// passkeys answers the script, where a test has one.
	passkeys echo.HandlerFunc
}

// now is fixed: ranges are compared with it.
var now = time.Date(2026, 11, 21, 11, 0, 0, 0, time.UTC)

func newBureau(t *testing.T) *bureau {
	t.Helper()
	words, drawn := shared(t)
	visit := func(id, role, purpose string) personnel.Visit {
		return personnel.Visit{Hash: bytes.Repeat([]byte(id[:1]), 32), Account: personnel.Account{ID: id, Name: "Carmen " + id, Role: role}, By: "certificate", Purpose: purpose}
	}
	b := &bureau{T: t, cookie: "carmen", header: http.Header{}, logged: &bytes.Buffer{}, ledger: &ledger{}, gate: &gate{visits: map[string]personnel.Visit{
		"carmen": visit("carmen", auditing.RoleAuditor, "Expediente 114"),
		"pedro":  visit("pedro", auditing.RoleAuditor, "Otro motivo"),
		"new":    visit("new", auditing.RoleAuditor, ""),
		"luis":   visit("luis", auditing.RoleAdministrator, ""),
	}}}
	door := pages.NewAuditDoor(pages.AuditDoorConfig{
		Pages: drawn, Auditing: b.ledger, Auditors: b.gate, Origin: "firma.example.es/log", PublicURL: "https://firma.example.es",
		Applications: func(context.Context) (map[string]string, error) {
			return map[string]string{"app-1": "Sede <electrónica>"}, nil
		},
		Now: func() time.Time { return now },
	})
	server := httptest.NewUnstartedServer(nil)
	b.url = "http://" + server.Listener.Addr().String()
	site, err := api.New(api.Config{
		PublicURL: b.url, Catalogue: words, ErrorPage: door.Trouble, Rooms: []func(*api.Site){door.Room, b.passkeyRoom},
		Limits: api.DefaultLimits(), Logger: slog.New(slog.NewTextHandler(b.logged, nil)), Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = site
	server.Start()
	t.Cleanup(server.Close)
	return b
}

func (b *bureau) passkeyRoom(site *api.Site) {
	site.Door("/auditoria/passkey/").POST("/auditoria/passkey/*", func(c echo.Context) error { return b.passkeys(c) })
}

// answer is what came back, with where it leads.
type answer struct {
	status   int
	location *url.URL
	header   http.Header
	body     string
}

func (b *bureau) do(method, path, kind string, body io.Reader) answer {
	b.Helper()
	req, err := http.NewRequestWithContext(b.Context(), method, b.url+path, body)
	if err != nil {
		b.Fatal(err)
	}
	maps.Copy(req.Header, b.header)
	if kind != "" {
		req.Header.Set("Content-Type", kind)
		req.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	if b.cookie != "" {
		req.AddCookie(&http.Cookie{Name: auditorCookie, Value: b.cookie})
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // read to the end below
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{status: resp.StatusCode, header: resp.Header, body: "broken off: " + err.Error()}
	}
	location, err := url.Parse(resp.Header.Get("Location"))
	if err != nil {
		b.Fatal(err)
	}
	return answer{resp.StatusCode, location, resp.Header, string(text)}
}

func (b *bureau) get(path string) answer { b.Helper(); return b.do(http.MethodGet, path, "", nil) }

func (b *bureau) post(path string, fields ...string) answer {
	b.Helper()
	values := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		values.Set(fields[i], fields[i+1])
	}
	return b.do(http.MethodPost, path, "application/x-www-form-urlencoded", strings.NewReader(values.Encode()))
}

func (b *bureau) says(a answer, status int, sentences ...string) {
	b.Helper()
	if a.status != status {
		b.Errorf("got status %d, want %d: %s", a.status, status, a.body)
	}
	for _, sentence := range sentences {
		if !strings.Contains(a.body, sentence) {
			b.Errorf("got no %q", sentence)
		}
	}
}

func (b *bureau) leads(a answer, path string) {
	b.Helper()
	if a.status != http.StatusSeeOther || a.location.Path != path {
		b.Errorf("got %d to %s, want 303 to %s: %s", a.status, a.location, path, a.body)
	}
}

func TestAuditorIsLedToTheLoginAndBack(t *testing.T) {
	t.Parallel()
	b := newBureau(t)
	b.cookie = ""
	a := b.get("/auditoria/totales?desde=2026-11-01")
	b.leads(a, "/auditoria/entrar")
	if got, want := a.location.Query().Get("volver"), "/auditoria/totales?desde=2026-11-01"; got != want {
		t.Errorf("way back: got %q, want %q", got, want)
	}
	b.says(b.get(a.location.String()), http.StatusOK, "Su sesión ha terminado", "no ha presentado ningún certificado", "Con llave de acceso")
	b.says(b.post("/auditoria", "dni", "12345678Z"), http.StatusForbidden, "Su sesión ha terminado")

	b.header.Set("Certificate", "wrong")
	b.says(b.post("/auditoria/entrar/certificado"), http.StatusUnprocessableEntity, "role=\"alert\"")
	b.header.Set("Certificate", "right")
	b.says(b.get("/auditoria/entrar"), http.StatusOK, "Entrar con el certificado")
	a = b.post("/auditoria/entrar/certificado?volver=/auditoria/totales")
	b.leads(a, "/auditoria/proposito")
	b.cookie = "new"
	b.says(b.post(a.location.String(), "motivo", "  ver "), http.StatusUnprocessableEntity, `value="  ver "`, "Escriba para qué consulta")
	b.leads(b.post(a.location.String(), "motivo", "Expediente 2026/114"), "/auditoria/totales")
	b.says(b.get("/auditoria/verificar"), http.StatusOK, "Expediente 2026/114")
	b.leads(b.post("/auditoria/salir"), "/auditoria/entrar")
}

func TestAuditorWithoutPurposeStatesIt(t *testing.T) {
	t.Parallel()
	b := newBureau(t)
	b.cookie = "new"
	b.leads(b.get("/auditoria"), "/auditoria/proposito")
	b.leads(b.get("/auditoria/operacion/X"), "/auditoria/proposito")
	if len(b.ledger.asked) > 0 {
		t.Errorf("got %d questions asked, want none without a purpose", len(b.ledger.asked))
	}
}

func TestLoginLeadsNowhereElse(t *testing.T) {
	t.Parallel()
	b := newBureau(t)
	for _, back := range []string{"https://evil.example/auditoria", "//evil.example/auditoria", "/auditoria//evil.example", "/auditoriax", "javascript:alert(1)", `/\evil.example`, "/firma/1"} {
		a := b.get("/auditoria/entrar?" + url.Values{"volver": {back}}.Encode())
		b.leads(a, "/auditoria")
		if a.location.Host != "" {
			t.Errorf("%s: got led to %s", back, a.location)
		}
	}
}

func TestRolesAreSeparate(t *testing.T) {
	t.Parallel()
	b := newBureau(t)
	for _, test := range []struct {
		cookie, method, path string
		want                 int
	}{
		{"luis", "GET", "/auditoria", 403},
		{"luis", "POST", "/auditoria", 403},
		{"luis", "GET", "/auditoria/anotacion/7", 403},
		{"luis", "GET", "/auditoria/anotacion/7/prueba", 403},
		{"luis", "GET", "/auditoria/operacion/X", 403},
		{"luis", "GET", "/auditoria/totales", 403},
		{"luis", "GET", "/auditoria/exportar", 403},
		{"luis", "POST", "/auditoria/exportar", 403},
		{"luis", "POST", "/auditoria/huella", 403},
		{"luis", "GET", "/auditoria/estado", 200},
		{"luis", "GET", "/auditoria/personas", 200},
		{"luis", "GET", "/auditoria/verificar", 200},
		{"carmen", "GET", "/auditoria/estado", 200},
		{"carmen", "GET", "/auditoria/personas", 403},
		{"carmen", "POST", "/auditoria/personas/x/invitar", 403},
		{"carmen", "POST", "/auditoria/personas/x/desactivar", 403},
		{"", "GET", "/auditoria/verificar", 200},
		{"", "POST", "/auditoria/huella", 403},
		{"", "GET", "/auditoria/personas", 303},
		{"", "GET", "/auditoria/estado", 303},
	} {
		b.cookie = test.cookie
		kind := ""
		if test.method == http.MethodPost {
			kind = "application/x-www-form-urlencoded"
		}
		a := b.do(test.method, test.path, kind, strings.NewReader(""))
		if a.status != test.want {
			t.Errorf("%s %s as %q: got %d, want %d", test.method, test.path, test.cookie, a.status, test.want)
		}
		if a.status == http.StatusForbidden && !strings.Contains(a.body, "<main") {
			t.Errorf("%s %s as %q: got %s, want a page", test.method, test.path, test.cookie, a.header.Get("Content-Type"))
		}
	}
	if len(b.ledger.asked) > 0 || len(b.gate.closed) > 0 {
		t.Errorf("got %d questions and %d accounts closed, want none", len(b.ledger.asked), len(b.gate.closed))
	}
}

func TestForeignPagesPostNothing(t *testing.T) {
	t.Parallel()
	b := newBureau(t)
	b.header.Set("Origin", "https://evil.example")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.url+"/auditoria/exportar", strings.NewReader("alcance=complete"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	req.AddCookie(&http.Cookie{Name: auditorCookie, Value: "carmen"})
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusBadRequest || len(b.ledger.asked) > 0 {
		t.Errorf("got %d and %d questions, want it refused", resp.StatusCode, len(b.ledger.asked))
	}
}

func TestSearch(t *testing.T) {
	t.Parallel()
	const hash = "7f3a91c05be2d84417aa0c9f63b1e58d2a4470f9c6d35e18b07fa29c41d6e380"
	madrid, err := time.LoadLocation("Europe/Madrid")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		fields []string
		want   auditing.Query
	}{
		{"everything", nil, auditing.Query{}},
		{"a person, typed with blanks", []string{"dni", " 12345678z "}, auditing.Query{Citizen: "12345678Z"}},
		{"a certificate, typed with colons", []string{"serie", "5F:3A:91"}, auditing.Query{Certificate: "5f3a91"}},
		{"a document, as pages write it", []string{"huella", "7F3A 91C0 5BE2 D844 17AA 0C9F 63B1 E58D 2A44 70F9 C6D3 5E18 B07F A29C 41D6 E380"}, auditing.Query{Document: hash}},
		{"an operation", []string{"operacion", "P7Q2:M4_a-b.c"}, auditing.Query{Operation: "P7Q2:M4_a-b.c"}},
		{"an event", []string{"tipo", "sign.done"}, auditing.Query{Types: []audit.EventType{audit.SignDone}}},
		{"a result of an application", []string{"resultado", "failed", "aplicacion", "app-1"}, auditing.Query{Result: audit.ResultFailed, Application: "app-1"}},
		{
			"whole days",
			[]string{"desde", "2026-11-01", "hasta", "2026-11-02"},
			auditing.Query{From: time.Date(2026, 11, 1, 0, 0, 0, 0, madrid), To: time.Date(2026, 11, 3, 0, 0, 0, 0, madrid)},
		},
		{
			"a day with 25 hours",
			[]string{"desde", "2026-10-25", "hasta", "2026-10-25"},
			auditing.Query{From: time.Date(2026, 10, 25, 0, 0, 0, 0, madrid), To: time.Date(2026, 10, 26, 0, 0, 0, 0, madrid)},
		},
		{
			"whole minutes",
			[]string{"desde", "2026-11-01", "desde_hora", "09:30", "hasta", "2026-11-01", "hasta_hora", "09:30"},
			auditing.Query{From: time.Date(2026, 11, 1, 9, 30, 0, 0, madrid), To: time.Date(2026, 11, 1, 9, 31, 0, 0, madrid)},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := newBureau(t)
			b.ledger.found.Size = 18250
			a := b.post("/auditoria", test.fields...)
			b.leads(a, "/auditoria")
			b.says(b.get(a.location.String()), http.StatusOK, "hasta la anotación 18\u202f250")
			if diff := cmp.Diff(test.want, b.ledger.last(t), cmpopts.EquateApproxTime(0)); diff != "" {
				t.Errorf("query (-want +got):\n%s", diff)
			}
			if got := b.ledger.why[0].Purpose; got != "Expediente 114" {
				t.Errorf("purpose: got %q, want the session's", got)
			}
		})
	}
}

func TestSearchOfAGroupOfEvents(t *testing.T) {
	t.Parallel()
	b := newBureau(t)
	b.get(b.post("/auditoria", "tipo", "*signatures").location.String())
	if got := b.ledger.last(t).Types; !slices.Contains(got, audit.SignDone) || !slices.Contains(got, audit.SignDenied) || slices.Contains(got, audit.CodeSent) {
		t.Errorf("types: got %v, want those of signatures", got)
	}
}

func TestWrongInputIsToldBesideItsField(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		field, value, want string
	}{
		{"dni", "12345678A", "El número y la letra no se corresponden"},
		{"dni", "' OR 1=1 --", "DNI"},
		{"serie", "xyz", "No es un número hexadecimal"},
		{"serie", strings.Repeat("a", 41), "No es un número hexadecimal"},
		{"huella", "7f3a", "64 cifras y letras"},
		{"operacion", "a b", "El identificador de una operación"},
		{"operacion", "'; DROP TABLE log_entries; --", "El identificador de una operación"},
		{"tipo", "sign.everything", "Lo elegido no está en la lista"},
		{"resultado", "good", "Lo elegido no está en la lista"},
		{"aplicacion", "<b>", "Lo elegido no está en la lista"},
		{"desde", "2026-02-30", "No es un día que exista"},
		{"desde", "1626-02-01", "No es un día que exista"},
		{"desde", "2027-01-01", "Todavía no hay anotaciones"},
		{"hasta", "ayer", "No es un día que exista"},
	} {
		t.Run(test.field+" "+test.value, func(t *testing.T) {
			t.Parallel()
			b := newBureau(t)
			a := b.post("/auditoria", test.field, test.value)
			b.says(a, http.StatusUnprocessableEntity, test.want, `href="#`+test.field+`"`, `id="`+test.field+`-problem"`, `aria-invalid="true"`)
			if len(b.ledger.asked) > 0 {
				t.Error("the log was asked")
			}
		})
	}
	b := newBureau(t)
	b.says(b.post("/auditoria", "desde", "2026-11-20", "hasta", "2026-11-01", "dni", "12345678A"), http.StatusUnprocessableEntity,
		"Hay 2 ", "anterior al día", `value="12345678A"`, `value="2026-11-20"`, `value="2026-11-01"`)
	b.says(b.post("/auditoria", "desde_hora", "09:00"), http.StatusUnprocessableEntity, "Hay una hora sin su día")
	b.says(b.post("/auditoria", "desde", "2026-11-20", "desde_hora", "25:00"), http.StatusUnprocessableEntity, "No es una hora del día")
}

func TestHostileTextStaysText(t *testing.T) {
	t.Parallel()
	const hostile = `"><script>alert(1)</script>`
	b := newBureau(t)
	a := b.post("/auditoria", "dni", hostile, "serie", hostile, "huella", hostile, "operacion", hostile)
	b.says(a, http.StatusUnprocessableEntity)
	facts := map[string]any{"title": hostile, hostile: hostile, "reason": hostile, "application": hostile}
	e := auditing.Entry{Seq: 7, Type: audit.EventType(hostile), Operation: "X", At: now, Person: hostile, Facts: facts, Intact: true, Leaf: []byte(hostile), Payload: []byte(hostile), Salt: []byte(hostile)}
	b.ledger.found, b.ledger.single = auditing.Found{Entries: []auditing.Entry{e}, Size: 8}, auditing.Single{Entry: e}
	for _, path := range []string{b.post("/auditoria").location.String(), "/auditoria/anotacion/7", "/auditoria/operacion/X"} {
		drawn := b.get(path)
		b.says(drawn, http.StatusOK)
		a.body += drawn.body
	}
	if strings.Contains(a.body, "<script>alert") {
		t.Error("got hostile markup in a page, want it escaped")
	}
}

func TestResultsArePagedWithinTheSession(t *testing.T) {
	t.Parallel()
	b := newBureau(t)
	b.ledger.found = auditing.Found{Next: 41, Size: 100, Entries: []auditing.Entry{{
		Seq: 42, Type: audit.SignDone, Operation: "OP1", At: now, Person: "12345678Z", Facts: map[string]any{"application": "app-1"}, Result: audit.ResultSucceeded, Intact: true,
	}}}
	a := b.post("/auditoria", "dni", "12345678Z")
	if strings.Contains(a.location.String(), "12345678") {
		t.Errorf("address: got %s, want nobody's number in it", a.location)
	}
	drawn := b.get(a.location.String())
	b.says(drawn, http.StatusOK, "Los documentos quedaron firmados", "Sede &lt;electrónica&gt;", "12345678Z", "21/11/2026 12:00:00", "hora peninsular", "Hecho", "antes=41")
	b.get(a.location.String() + "&antes=41")
	if got := b.ledger.last(t); got.Before != 41 || got.Citizen != "12345678Z" {
		t.Errorf("next page: got %+v, want the same query before 41", got)
	}
	asked := len(b.ledger.asked)
	b.cookie = "pedro"
	b.says(b.get(a.location.String()), http.StatusUnprocessableEntity, "era de otra sesión")
	b.cookie = "carmen"
	b.says(b.get("/auditoria?consulta=AAAA"), http.StatusUnprocessableEntity, "era de otra sesión")
	if len(b.ledger.asked) != asked {
		t.Error("a search of another session was asked")
	}
	if strings.Contains(b.logged.String(), "12345678Z") {
		t.Error("the access log has the number of whom was asked about")
	}
}

func TestRefusalsOfTheCoreStandBesideTheirField(t *testing.T) {
	t.Parallel()
	b := newBureau(t)
	b.ledger.refusal = policies.Refuse(policies.QueryInvalid, "field", "certificate")
	b.says(b.get(b.post("/auditoria", "serie", "0").location.String()), http.StatusUnprocessableEntity, `id="serie-problem"`)
	b.ledger.refusal = policies.Refuse(policies.Unavailable)
	b.says(b.get(b.post("/auditoria").location.String()), http.StatusServiceUnavailable)
	b.ledger.refusal = errors.New("connection refused to db.internal")
	if a := b.get(b.post("/auditoria").location.String()); a.status != http.StatusInternalServerError || strings.Contains(a.body, "db.internal") {
		t.Errorf("got %d: %s, want a page that tells nothing", a.status, a.body)
	}
}

func TestEntryAndItsProof(t *testing.T) {
	t.Parallel()
	b := newBureau(t)
	b.ledger.single = auditing.Single{Proof: []byte("c2sp.org/tlog-proof@v1\n"), Witnessed: true, Entry: auditing.Entry{
		Seq: 7, Type: audit.CodeFailed, Operation: "OP1", At: now, Person: "12345678Z", Intact: true, Result: audit.ResultFailed,
		Facts: map[string]any{"phone": "··· ··· 421", "reason": "code_wrong"}, Leaf: []byte(`{"v":1}`), Payload: []byte(`{}`), Salt: []byte("salt"),
	}}
	sum := sha256.Sum256([]byte("salt{}"))
	b.says(b.get("/auditoria/anotacion/7"), http.StatusOK, "Se escribió mal el código", "Íntegro", "··· ··· 421", "El código no coincide (code_wrong)", "12:00:00 (hora peninsular)", hex.EncodeToString(sum[:]))
	a := b.get("/auditoria/anotacion/7/prueba")
	if a.body != "c2sp.org/tlog-proof@v1\n" || a.header.Get("Content-Disposition") != `attachment; filename="7.tlog-proof"` {
		t.Errorf("proof: got %q as %q", a.body, a.header.Get("Content-Disposition"))
	}
	b.ledger.single.Proof = nil
	b.says(b.get("/auditoria/anotacion/7/prueba"), api.Status(policies.CheckpointMissing), "<main")
	b.ledger.single.Entry.Intact = false
	b.says(b.get("/auditoria/anotacion/7"), http.StatusOK, "No coincide con su compromiso")
	for _, path := range []string{"/auditoria/anotacion/x", "/auditoria/anotacion/-1", "/auditoria/operacion/a%20b"} {
		b.says(b.get(path), http.StatusNotFound, "<main")
	}
}

func TestOperationIsATimeLine(t *testing.T) {
	t.Parallel()
	b := newBureau(t)
	e := func(after time.Duration, kind audit.EventType) auditing.Entry {
		return auditing.Entry{Type: kind, Operation: "OP1", At: now.Add(after), Intact: true, Result: audit.ResultOf(kind)}
	}
	b.ledger.found = auditing.Found{Size: 9, Entries: []auditing.Entry{e(0, audit.SignRequested), e(41*time.Second, audit.SignShown), e(41*time.Second+time.Millisecond, audit.CodeSent), e(3*time.Minute, audit.SignDone)}}
	b.says(b.get("/auditoria/operacion/OP1"), http.StatusOK, "41 segundos después", "menos de un segundo después", "2 minutos y 18 segundos después", "4 pasos", "3 minutos")
	b.ledger.found = auditing.Found{Size: 9}
	b.says(b.get("/auditoria/operacion/OP1"), http.StatusOK, "hasta la anotación 9")
}

func TestTotalsOfARange(t *testing.T) {
	t.Parallel()
	b := newBureau(t)
	b.ledger.totals = auditing.Totals{
		From: now.AddDate(0, 0, -1).Truncate(24 * time.Hour), To: now.Truncate(24*time.Hour).AddDate(0, 0, 1), Counted: 90, Size: 100,
		Signatures: []auditing.SignatureTotal{{Day: now.Truncate(24 * time.Hour), Application: "app-1", Result: audit.ResultSucceeded, N: 1234}},
	}
	a := b.post("/auditoria/totales", "desde", "2026-11-20", "hasta", "2026-11-21", "aplicacion", "")
	b.leads(a, "/auditoria/totales")
	b.says(b.get(a.location.String()), http.StatusOK, "1234", "<svg", "10 anotaciones recientes", "Sede &lt;electrónica&gt;")
	got := b.ledger.last(t)
	if want := (auditing.Query{From: time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC), To: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)}); !cmp.Equal(want, got) {
		t.Errorf("range: got %+v, want %+v", got, want)
	}
	b.says(b.get("/auditoria/totales?desde=2026-11-20&hasta=2026-11-01"), http.StatusUnprocessableEntity, `id="hasta-problem"`, `value="2026-11-20"`)
	b.says(b.get("/auditoria/totales?desde=mañana"), http.StatusUnprocessableEntity, `id="desde-problem"`)
}

func TestHealthIsToldToBothRoles(t *testing.T) {
	t.Parallel()
	b := newBureau(t)
	b.ledger.health = auditing.Health{
		At: now, Size: 12, Witnessed: auditing.CheckpointHealth{Size: 10, At: now, Age: 4 * time.Second, Lag: 2},
		Witnesses: []auditing.WitnessHealth{{Name: "Diputación", Size: 10, At: now}, {Name: "Archivo"}},
	}
	for _, b.cookie = range []string{"carmen", "luis"} {
		b.says(b.get("/auditoria/estado"), http.StatusOK, "confirmado por testigos", "Hasta la anotación 10", "Hace 4 segundos", "<strong>Diputación</strong>")
	}
	b.ledger.health.Suspended, b.ledger.health.Since, b.ledger.health.Reason = true, now, "forked"
	b.says(b.get("/auditoria/estado"), http.StatusOK, "Las firmas están suspendidas", "tile-error", "no es el que vio un testigo")
}

func TestExport(t *testing.T) {
	t.Parallel()
	b := newBureau(t)
	b.ledger.export = func(_ auditing.Query, o auditing.ExportOptions, w io.Writer) error {
		if o.Begun != nil {
			o.Begun(auditing.Export{Format: o.Format, Checkpoint: 9, Name: "registro 1-9." + string(o.Format), MediaType: "application/jsonl"})
		}
		_, err := fmt.Fprintf(w, "%s %t %d\n", o.Format, o.Complete, o.Checkpoint)
		return err
	}
	search := b.post("/auditoria", "dni", "12345678Z").location.Query().Get("consulta")
	b.says(b.get("/auditoria/exportar?consulta="+search), http.StatusOK, "12345678Z", "Solo lo que encuentra su búsqueda")
	a := b.post("/auditoria/exportar", "consulta", search, "alcance", "query", "formato", "jsonl")
	if a.body != "jsonl false 0\n" || !strings.Contains(a.header.Get("Content-Disposition"), `"registro 1-9.jsonl"`) {
		t.Errorf("export: got %q as %q", a.body, a.header.Get("Content-Disposition"))
	}
	if got := b.ledger.last(t).Citizen; got != "12345678Z" {
		t.Errorf("export of a search: got citizen %q", got)
	}
	if a = b.post("/auditoria/exportar", "consulta", search, "alcance", "complete", "formato", "jsonl", "desde", "2026-11-01"); a.body != "jsonl true 0\n" {
		t.Errorf("complete export: got %q", a.body)
	}
	if got := b.ledger.last(t); got.Citizen != "" || got.From.IsZero() {
		t.Errorf("complete range: got %+v, want dates and nothing else", got)
	}
	asked := len(b.ledger.asked)
	b.says(b.post("/auditoria/exportar", "alcance", "complete", "formato", "exe"), http.StatusUnprocessableEntity)
	b.says(b.post("/auditoria/exportar", "alcance", "complete", "desde", "2026-11-20", "hasta", "2026-11-01"), http.StatusUnprocessableEntity, `id="hasta-problem"`)
	if len(b.ledger.asked) != asked {
		t.Error("an impossible export was asked for")
	}
	b.ledger.refusal = policies.Refuse(policies.CheckpointMissing)
	b.says(b.post("/auditoria/exportar", "alcance", "complete"), http.StatusServiceUnavailable, "<main")
}

func TestRowsComeWithWhatTheyAreVerifiedWith(t *testing.T) {
	t.Parallel()
	b := newBureau(t)
	b.ledger.export = func(_ auditing.Query, o auditing.ExportOptions, w io.Writer) error {
		if o.Begun != nil {
			o.Begun(auditing.Export{Checkpoint: 9, Name: "registro.csv", MediaType: "text/csv"})
		}
		_, err := fmt.Fprintf(w, "%s %t %d", o.Format, o.Complete, o.Checkpoint)
		return err
	}
	a := b.post("/auditoria/exportar", "alcance", "complete", "formato", "csv")
	if got := a.header.Get("Content-Disposition"); got != `attachment; filename=registro.zip` {
		t.Errorf("name: got %s", got)
	}
	archive, err := zip.NewReader(strings.NewReader(a.body), int64(len(a.body)))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, file := range archive.File {
		r, err := file.Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		got[file.Name] = string(content)
	}
	want := map[string]string{"registro.csv": "csv true 0", "registro.csv.jsonl": "companion true 9"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("archive (-want +got):\n%s", diff)
	}
}

func TestHalfAnExportIsNoExport(t *testing.T) {
	t.Parallel()
	b := newBureau(t)
	b.ledger.export = func(_ auditing.Query, o auditing.ExportOptions, w io.Writer) error {
		o.Begun(auditing.Export{Name: "x.jsonl", MediaType: "application/jsonl"})
		if _, err := w.Write(bytes.Repeat([]byte("x"), 1<<20)); err != nil {
			return err
		}
		return errors.New("the database went away")
	}
	if a := b.post("/auditoria/exportar", "alcance", "complete"); !strings.HasPrefix(a.body, "broken off") {
		t.Errorf("got a whole answer of %d bytes, want the download broken off", len(a.body))
	}
}

func TestPeople(t *testing.T) {
	t.Parallel()
	b := newBureau(t)
	b.cookie = "luis"
	b.gate.accounts = []personnel.State{
		{ID: "a1", Name: "Pedro <Gil>", Role: auditing.RoleAuditor, CreatedAt: now},
		{ID: "luis", Name: "Luis", Role: auditing.RoleAdministrator, CreatedAt: now, Passkeys: 2},
		{ID: "a3", Name: "Elena", Role: auditing.RoleAuditor, CreatedAt: now, DisabledAt: now},
	}
	list := b.get("/auditoria/personas")
	b.says(list, http.StatusOK, "Pedro &lt;Gil&gt;", "2 llaves de acceso", "Cuenta cerrada", "Todavía no puede entrar")
	for _, none := range []string{"personas/luis/desactivar", "personas/a3/", "SECRETO"} {
		if strings.Contains(list.body, none) {
			t.Errorf("list: got %s, want it nowhere", none)
		}
	}
	a := b.post("/auditoria/personas/a1/invitar")
	b.says(a, http.StatusOK, "invitacion#SECRETO-a1", "Solo se muestra ahora")
	if got := a.header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("the link's page: got Cache-Control %q", got)
	}
	b.says(b.get("/auditoria/personas/a1/desactivar"), http.StatusOK, "¿Cerrar la cuenta de Pedro &lt;Gil&gt;?")
	b.says(b.get("/auditoria/personas/luis/desactivar"), http.StatusNotFound)
	b.leads(b.post("/auditoria/personas/a1/desactivar"), "/auditoria/personas")
	if diff := cmp.Diff([]string{"a1"}, b.gate.closed); diff != "" {
		t.Errorf("closed (-want +got):\n%s", diff)
	}
}

// sending is a multipart form whose file is made while it is sent.
func sending(t *testing.T, size int64, fields ...string) (kind string, body io.Reader) {
	t.Helper()
	r, w := io.Pipe()
	form := multipart.NewWriter(w)
	go func() {
		err := func() error {
			for i := 0; i < len(fields); i += 2 {
				if err := form.WriteField(fields[i], fields[i+1]); err != nil {
					return err
				}
			}
			part, err := form.CreateFormFile("archivo", `C:\papeles\<b>acta.pdf`)
			if err != nil {
				return err
			}
			if _, err := io.CopyN(part, zeros{}, size); err != nil {
				return err
			}
			return errors.Join(form.WriteField("hasta", "2026-11-20"), form.Close())
		}()
		w.CloseWithError(err)
	}()
	return form.FormDataContentType(), r
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestFileIsHashedWhileItIsSent(t *testing.T) {
	// Not parallel: it measures the memory of the process.
	const size = 1 << 30
	b := newBureau(t)
	kind, body := sending(t, size, "dni", "12345678Z", "desde", "2026-11-01")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	most := make(chan uint64)
	stop := make(chan struct{})
	go func() { most <- highWater(stop) }()
	a := b.do(http.MethodPost, "/auditoria/huella", kind, body)
	close(stop)
	peak := <-most
	runtime.ReadMemStats(&after)
	b.leads(a, "/auditoria")
	want := sha256.New()
	if _, err := io.CopyN(want, zeros{}, size); err != nil {
		t.Fatal(err)
	}
	digits := strings.ToUpper(hex.EncodeToString(want.Sum(nil)))
	drawn := b.get(a.location.String())
	b.says(drawn, http.StatusOK, digits[:4]+" "+digits[4:8], "«&lt;b&gt;acta.pdf»", `value="12345678Z"`, `value="2026-11-01"`, `value="2026-11-20"`)
	if strings.Contains(a.location.String(), "acta") || len(b.ledger.asked) > 0 {
		t.Errorf("got %s and %d questions, want no name in the address and nothing asked yet", a.location, len(b.ledger.asked))
	}
	if grown := int64(peak) - int64(before.HeapAlloc); grown > 64<<20 {
		t.Errorf("heap grew by %d MB while 1024 MB were hashed, want 64 at most", grown>>20)
	}
}

// highWater is the most heap in use until stop is closed.
func highWater(stop <-chan struct{}) uint64 {
	var most uint64
	for {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		most = max(most, m.HeapAlloc)
		select {
		case <-stop:
			return most
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func TestUploadsThatAreNone(t *testing.T) {
	t.Parallel()
	b := newBureau(t)
	b.says(b.post("/auditoria/huella", "dni", "12345678Z"), http.StatusBadRequest, "<main")
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	if err := errors.Join(w.WriteField("dni", "12345678A"), w.Close()); err != nil {
		t.Fatal(err)
	}
	b.says(b.do(http.MethodPost, "/auditoria/huella", w.FormDataContentType(), &form), http.StatusUnprocessableEntity, `id="archivo-problem"`, `value="12345678A"`)
	form.Reset()
	w = multipart.NewWriter(&form)
	if err := errors.Join(w.WriteField("dni", strings.Repeat("x", 2000)), w.Close()); err != nil {
		t.Fatal(err)
	}
	b.says(b.do(http.MethodPost, "/auditoria/huella", w.FormDataContentType(), &form), http.StatusBadRequest, "<main")
}

func TestFileTooLargeIsToldBesideTheField(t *testing.T) {
	t.Parallel()
	b := newBureau(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.url+"/auditoria/huella", io.LimitReader(zeros{}, 3<<30))
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = 3 << 30
	req.Header.Set("Content-Type", "multipart/form-data; boundary=x")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	req.Header.Set("Expect", "100-continue") // the answer comes before the file
	req.AddCookie(&http.Cookie{Name: auditorCookie, Value: "carmen"})
	transport := &http.Transport{ExpectContinueTimeout: time.Minute}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // read to the end below
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	b.says(answer{status: resp.StatusCode, body: string(body)}, http.StatusRequestEntityTooLarge, `id="archivo-problem"`, "2 GB")
}
