package pages_test

import (
	"context"
	"errors"
	"html"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/api/desk"
	"github.com/rubrica-firma/rubrica/api/pages"
	"github.com/rubrica-firma/rubrica/api/staff"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/personnel"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// counter is a desk that remembers what it was asked, and by whom.
type counter struct {
	pages.Counter // what a test does not need

	file     desk.File
	found    []citizen.Match
	order    citizen.DeskOrder
	video    citizen.Video
	refuses  error
	code     citizen.ActivationCode
	asked    []desk.Asking
	searched []string
	acts     []desk.Act
	lists    [][]string
	decided  []string

	application signer.RegisteredClient
	changes     []citizen.ApplicationChange
}

func (k *counter) Search(_ context.Context, a desk.Asking, text string) (desk.Found, error) {
	k.asked, k.searched = append(k.asked, a), append(k.searched, text)
	return desk.Found{Matches: k.found}, nil
}

func (k *counter) File(_ context.Context, a desk.Asking, id string) (desk.File, error) {
	k.asked = append(k.asked, a)
	if id != k.file.ID {
		return desk.File{}, policies.Refuse(policies.CitizenUnknown)
	}
	return k.file, nil
}

func (k *counter) Do(_ context.Context, a desk.Asking, act desk.Act) (citizen.Receipt, error) {
	if k.refuses != nil {
		return citizen.Receipt{}, k.refuses
	}
	k.asked, k.acts = append(k.asked, a), append(k.acts, act)
	if act.Kind == citizen.ActReportDeath && act.CitizenID == "" {
		k.found = []citizen.Match{{ID: "nueva", Identifier: act.Identifier, Status: signer.Deceased}}
	}
	receipt := citizen.Receipt{CitizenID: "ana", RegisteredAt: time.Now()}
	if act.Kind == citizen.ActRegister || act.Kind == citizen.ActRenewActivation {
		receipt.ActivationCode = k.code
	}
	return receipt, nil
}

func (k *counter) Ask(_ context.Context, a desk.Asking, act desk.Act, identifiers ...string) (citizen.DeskOrder, error) {
	k.asked, k.acts, k.lists = append(k.asked, a), append(k.acts, act), append(k.lists, identifiers)
	return k.order, nil
}

func (k *counter) Order(context.Context, desk.Asking, string) (citizen.DeskOrder, error) {
	return k.order, nil
}

func (k *counter) Confirm(_ context.Context, _ desk.Asking, id string) (citizen.DeskOrder, error) {
	k.decided = append(k.decided, "confirm "+id)
	return k.order, k.refuses
}

func (k *counter) Reject(_ context.Context, _ desk.Asking, id string) error {
	k.decided = append(k.decided, "reject "+id)
	return nil
}

func (k *counter) Video(context.Context, desk.Asking, string) (citizen.Video, error) {
	return k.video, nil
}

func (k *counter) Approve(_ context.Context, _ desk.Asking, id string) (citizen.Video, citizen.Receipt, error) {
	k.decided = append(k.decided, "approve "+id)
	return k.video, citizen.Receipt{CitizenID: "ana", ActivationCode: k.code, RegisteredAt: time.Now()}, k.refuses
}

func (k *counter) RejectVideo(_ context.Context, a desk.Asking, id string) error {
	k.decided, k.asked = append(k.decided, "reject "+id), append(k.asked, a)
	return nil
}

func (k *counter) Queues(context.Context, desk.Officer) (citizen.Queues, error) {
	return citizen.Queues{Videos: 3}, nil
}

// officers is a door with one session.
type officers struct {
	visit *personnel.Visit // nil: nobody is in
	left  bool
}

func (o *officers) Visit(echo.Context) (personnel.Visit, error) {
	if o.visit == nil {
		return personnel.Visit{}, policies.Refuse(policies.SessionExpired)
	}
	return *o.visit, nil
}

func (o *officers) Require(roles ...string) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			v, err := o.Visit(c)
			if err == nil && !slices.Contains(roles, v.Account.Role) {
				err = policies.Refuse(policies.RoleMissing, "role", roles[0])
			}
			if err != nil {
				return err
			}
			return next(c)
		}
	}
}

func (o *officers) State(_ echo.Context, purpose string) error {
	o.visit.Purpose = purpose
	return nil
}

func (o *officers) Leave(echo.Context) error {
	o.visit, o.left = nil, true
	return nil
}

func (*officers) CertificateOffered(echo.Context) bool { return true }
func (*officers) EnterByCertificate(echo.Context) error {
	return policies.Refuse(policies.OfficerRefused)
}

func (o *officers) Accounts(echo.Context) ([]personnel.State, error) {
	return []personnel.State{{Account: o.visit.Account}, {ID: "eva", Name: "Eva Mora", Role: desk.RoleOfficer}}, nil
}

func (*officers) Invite(echo.Context, string) (staff.Invitation, error) {
	return staff.Invitation{Link: "https://mesa.example.es/mesa/invitacion#secreto", Until: time.Now()}, nil
}
func (*officers) Disable(echo.Context, string) error { return nil }

// deskHouse is the desk's pages behind a server.
type deskHouse struct {
	*testing.T
	counter  *counter
	officers *officers
	url      string
}

const deskReason = "Cita 2026/4410"

func newDeskHouse(t *testing.T) *deskHouse {
	t.Helper()
	words, drawn := shared(t)
	h := &deskHouse{T: t, counter: &counter{code: citizen.NewActivationCode()}, officers: &officers{visit: &personnel.Visit{
		Hash: []byte("0123456789abcdef0123456789abcdef"), By: "certificate", Purpose: deskReason,
		Account: personnel.Account{ID: "rosa", Name: "Rosa Gil", Role: desk.RoleSupervisor, Office: "central"},
	}}}
	h.counter.file = desk.File{
		ID: "ana", Identifier: "12345678Z", GivenName: "Ana", Surnames: "Núñez Pérez", Phone: "+34600000421", Email: "ana@example.es", Status: signer.Active, DocumentUntil: time.Now().AddDate(1, 0, 0),
		Registration: signer.Registration{Mode: "office", Level: "advanced", AssuredAt: time.Now().AddDate(-1, 0, 0)},
		Password:     time.Now().AddDate(-1, 0, 0),
		Issued: []citizen.Issued{
			{Serial: "0a", NotBefore: time.Now().AddDate(-1, 0, 0), NotAfter: time.Now().AddDate(1, 0, 0), Live: true},
		},
		Incidents: []citizen.Case{{ID: "inc-1", CitizenID: "ana", Said: "No fui yo.", OpenedAt: time.Now()}},
	}
	h.counter.order = citizen.DeskOrder{
		ID: "order-1", Office: "central", Act: citizen.ActChangePhone, Identifiers: []string{"12345678Z"}, Phone: "+34612345678", Reason: "Robo", AskedBy: "luis", AskedName: "Luis Vega",
		AskedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour), State: citizen.OrderWaiting,
	}
	h.counter.video = citizen.Video{
		ID: "v1", Provider: "provider", ProviderName: "Proveedor", State: citizen.VideoPending, ReceivedAt: time.Now(),
		Person:   citizen.VideoPerson{Identifier: "12345678Z", GivenName: "Ana", Surnames: "Núñez", Phone: "+34600000421", Email: "ana@example.es", DocumentUntil: "2031-05-31"},
		Evidence: citizen.VideoEvidence{Recording: "rec-1", SHA256: "7f3a", RecordedAt: time.Now(), URL: "javascript:alert(1)"},
	}
	server := httptest.NewUnstartedServer(nil)
	h.url = "http://" + server.Listener.Addr().String()
	door := pages.NewDeskDoor(pages.DeskConfig{
		Pages: drawn, Counter: h.counter, Officers: h.officers, Offices: map[string]string{"central": "Oficina central"}, ServiceURL: "https://firma.example.es", MassLimit: 3, CoolOff: 48 * time.Hour, Now: time.Now,
	})
	site, err := api.New(api.Config{
		PublicURL: h.url, Catalogue: words, ErrorPage: door.Trouble, Rooms: []func(*api.Site){door.Room},
		Limits: api.DefaultLimits(), Logger: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = site
	server.Start()
	t.Cleanup(server.Close)
	return h
}

// deskAnswer is what came back.
type deskAnswer struct {
	status   int
	location string
	body     string
	header   http.Header
}

func (h *deskHouse) ask(method, path string, fields map[string]string) deskAnswer {
	h.Helper()
	values := make(url.Values)
	for name, value := range fields {
		values.Set(name, value)
	}
	request, err := http.NewRequestWithContext(h.Context(), method, h.url+path, strings.NewReader(values.Encode()))
	if err != nil {
		h.Fatal(err)
	}
	if method == http.MethodPost {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.Header.Set("Origin", h.url)
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	if err != nil {
		h.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		h.Fatal(err)
	}
	return deskAnswer{response.StatusCode, response.Header.Get("Location"), string(body), response.Header}
}

func (h *deskHouse) get(path string) deskAnswer { h.Helper(); return h.ask(http.MethodGet, path, nil) }

func (h *deskHouse) post(path string, fields map[string]string) deskAnswer {
	h.Helper()
	return h.ask(http.MethodPost, path, fields)
}

// want checks status, address and sentences.
func (h *deskHouse) want(a deskAnswer, status int, location string, sentences ...string) {
	h.Helper()
	if a.status != status || a.location != location {
		h.Fatalf("got %d %q, want %d %q: %s", a.status, a.location, status, location, told(a.body))
	}
	for _, s := range sentences {
		if !strings.Contains(a.body, s) && !strings.Contains(html.UnescapeString(a.body), s) {
			h.Errorf("got no %q in %s", s, told(a.body))
		}
	}
}

// told is what a page says, from its heading on.
func told(body string) string {
	_, main, _ := strings.Cut(body, "<main")
	return main
}

func TestDeskSearch(t *testing.T) {
	t.Parallel()
	h := newDeskHouse(t)
	h.officers.visit.Purpose = ""
	h.want(h.get("/mesa"), 200, "", "Buscar a una persona", `name="motivo"`, `accesskey="1"`, "autofocus")
	h.want(h.post("/mesa", map[string]string{"busqueda": "12345678A", "motivo": "ver"}), 422, "", "Revise el DNI", "Falta el motivo", `value="12345678A"`)
	if len(h.counter.searched) > 0 {
		t.Fatalf("got %v searched, want nothing", h.counter.searched)
	}
	h.want(h.post("/mesa", map[string]string{"busqueda": "12345678Z", "motivo": deskReason}), 200, "", "No está en el registro", `name="dni" value="12345678Z"`)
	h.counter.found = []citizen.Match{{ID: "ana", Identifier: "12345678Z", GivenName: "Ana", Surnames: "Núñez <b>", Status: signer.Active}}
	h.want(h.post("/mesa", map[string]string{"busqueda": "núñez", "motivo": deskReason}), 303, "/mesa/ficha/ana")
	h.counter.found = append(h.counter.found, citizen.Match{ID: "eva", Identifier: "X1234567L", GivenName: "Eva", Surnames: "Núñez", Status: signer.Blocked})
	h.want(h.post("/mesa", map[string]string{"busqueda": "núñez", "motivo": deskReason}), 200, "", "2 personas", "Núñez &lt;b&gt;", "/mesa/ficha/eva")
	for _, a := range h.counter.asked {
		if a.Reason != deskReason || a.Officer.ID != "rosa" || a.Officer.Office != "central" || a.Officer.By != "certificate" {
			t.Errorf("got %+v asking, want Rosa with the reason", a)
		}
	}
}

// A death of somebody who was never registered begins where nobody was found,
// and never touches whoever has a file.
func TestDeskDeathOfAStranger(t *testing.T) {
	t.Parallel()
	h := newDeskHouse(t)
	form := map[string]string{"dni": "12345678 z", "acreditacion": "Registro Civil de Soria, certificado 77", "motivo": deskReason}
	h.want(h.post("/mesa", map[string]string{"busqueda": "12345678Z", "motivo": deskReason}), 200, "", `formaction="/mesa/fallecimiento"`)
	if a := h.post("/mesa", map[string]string{"busqueda": "núñez", "motivo": deskReason}); strings.Contains(a.body, "/mesa/fallecimiento") {
		t.Errorf("got a death offered of nobody's number: %s", a.body)
	}
	h.want(h.post("/mesa/fallecimiento", map[string]string{"empezar": "1", "dni": "12345678Z"}), 200, "", "Anotar el fallecimiento", `value="12345678Z"`, `name="acreditacion"`, deskReason)
	h.want(h.post("/mesa/fallecimiento", map[string]string{"dni": "12345678A", "motivo": "no"}), 422, "", "Revise el DNI", "Falta el motivo", "Error:")
	if len(h.counter.acts) > 0 {
		t.Fatalf("got %+v done, want nothing", h.counter.acts)
	}
	h.want(h.post("/mesa/fallecimiento", form), 303, "/mesa/ficha/nueva?hecho=fallecimiento")
	want := []desk.Act{{Kind: citizen.ActReportDeath, Identifier: "12345678Z", Certified: form["acreditacion"]}}
	if diff := cmp.Diff(want, h.counter.acts); diff != "" {
		t.Errorf("done (-want +got):\n%s", diff)
	}
	h.counter.found, h.counter.refuses = nil, policies.Refuse(policies.CitizenExists)
	h.want(h.post("/mesa/fallecimiento", form), 422, "", "Error:", `value="12345678 z"`)
	h.counter.refuses, h.counter.found = nil, []citizen.Match{{ID: "ana", Identifier: "12345678Z"}}
	h.want(h.post("/mesa/fallecimiento", form), 303, "/mesa/ficha/ana")
	if diff := cmp.Diff(want, h.counter.acts); diff != "" {
		t.Errorf("done of somebody who has a file (-want +got):\n%s", diff)
	}
}

func TestDeskWantsAReason(t *testing.T) {
	t.Parallel()
	h := newDeskHouse(t)
	h.officers.visit.Purpose = ""
	h.want(h.get("/mesa/ficha/ana"), 303, "/mesa/motivo?volver=%2Fmesa%2Fficha%2Fana")
	if len(h.counter.asked) > 0 {
		t.Fatalf("got %v asked, want nothing", h.counter.asked)
	}
	h.want(h.post("/mesa/motivo?volver=%2Fmesa%2Fficha%2Fana", map[string]string{"motivo": "no"}), 422, "", "Falta el motivo")
	h.want(h.post("/mesa/motivo?volver=%2Fmesa%2Fficha%2Fana", map[string]string{"motivo": deskReason}), 303, "/mesa/ficha/ana")
	h.want(h.post("/mesa/motivo?volver=https%3A%2F%2Fevil.example%2Fmesa%2F", map[string]string{"motivo": deskReason}), 303, "/mesa")
	h.want(h.get("/mesa/ficha/ana"), 200, "", "Ana Núñez Pérez", "12345678Z", "Nivel avanzado", "No fui yo.", "<q>"+deskReason+"</q>")
	h.want(h.get("/mesa/ficha/nadie"), 404, "")
}

func TestDeskRolesAndSessions(t *testing.T) {
	t.Parallel()
	h := newDeskHouse(t)
	h.officers.visit.Account.Role = desk.RoleAdministrator
	h.want(h.get("/mesa"), 303, "/mesa/personas")
	for _, path := range []string{"/mesa/ficha/ana", "/mesa/alta", "/mesa/ordenes", "/mesa/videos", "/mesa/incidencias", "/mesa/revocacion"} {
		if a := h.get(path); a.status != http.StatusForbidden {
			t.Errorf("%s for an administrator: got %d, want 403", path, a.status)
		}
	}
	h.want(h.get("/mesa/personas"), 200, "", "Eva Mora", "/mesa/personas/eva/desactivar")
	h.want(h.post("/mesa/personas/eva/invitar", nil), 200, "", "/mesa/invitacion#secreto")
	h.want(h.get("/mesa/personas/rosa/desactivar"), 404, "") // nobody locks themselves out
	h.want(h.get("/mesa/personas/eva/desactivar"), 200, "", "Eva Mora")
	h.want(h.post("/mesa/personas/eva/desactivar", nil), 303, "/mesa/personas")
	h.officers.visit.Account.Role = desk.RoleOfficer
	if a := h.get("/mesa/personas"); a.status != http.StatusForbidden {
		t.Errorf("accounts for an officer: got %d, want 403", a.status)
	}
	h.want(h.post("/mesa/salir", nil), 303, "/mesa/entrar")
	h.want(h.get("/mesa/ordenes"), 303, "/mesa/entrar?volver=%2Fmesa%2Fordenes")
	h.want(h.get("/mesa/entrar?volver=%2Fmesa%2Fordenes"), 200, "", "/mesa/entrar/certificado?volver=%2Fmesa%2Fordenes", "/mesa/passkey/login/begin")
	h.want(h.post("/mesa/entrar/certificado", nil), 403, "", "No se ha podido identificarle")
	h.want(h.post("/mesa", map[string]string{"busqueda": "ana"}), 403, "", "Su sesión ha terminado")
	h.want(h.get("/mesa/invitacion"), 200, "", "/mesa/passkey/enrol/begin")
}

var sealedField = regexp.MustCompile(`name="sellado" value="([^"]+)"`)

func person(changes map[string]string) map[string]string {
	form := map[string]string{
		"documento": "dni", "dni": "12345678z", "nombre": "Ana", "apellidos": "Núñez Pérez", "movil": "600 000 421", "correo": "ana@example.es", "validez": "2031-05-31", "lengua": "ca", "motivo": deskReason,
	}
	maps.Copy(form, changes)
	return form
}

func TestDeskRegisters(t *testing.T) {
	t.Parallel()
	h := newDeskHouse(t)
	h.want(h.get("/mesa/alta"), 200, "", "Registrar a una persona", `type="tel"`, `inputmode="tel"`, `type="date"`)
	h.want(h.post("/mesa/alta", map[string]string{"empezar": "1", "dni": "X1234567L"}), 200, "", `value="X1234567L"`, `value="nie" selected`)
	a := h.post("/mesa/alta", map[string]string{"documento": "dni", "dni": "1", "nombre": "4", "movil": "91", "correo": "a", "validez": "x", "motivo": "y"})
	h.want(a, 422, "", `value="91"`)
	for name, test := range map[string]struct {
		form map[string]string
		want string
	}{
		"a NIE with the number of a DNI":    {person(map[string]string{"documento": "nie"}), "no corresponde a ese número"},
		"a DNI with the number of a NIE":    {person(map[string]string{"dni": "X1234567L"}), "no corresponde a ese número"},
		"a passport without its number":     {person(map[string]string{"documento": "passport"}), "tres letras y seis cifras"},
		"a passport of somebody with a NIE": {person(map[string]string{"documento": "passport", "pasaporte": "ABC123456", "dni": "X1234567L"}), "no corresponde a ese número"},
		"another document":                  {person(map[string]string{"documento": "library"}), "no corresponde a ese número"},
		"a turned name":                     {person(map[string]string{"nombre": "Ana\u202e"}), "nombre"},
		"300 letters":                       {person(map[string]string{"apellidos": strings.Repeat("a", 300)}), "apellidos"},
	} {
		if a := h.post("/mesa/alta", test.form); a.status != 422 || !strings.Contains(a.body, test.want) {
			t.Errorf("%s: got %d, want 422 with %q: %s", name, a.status, test.want, a.body)
		}
	}
	if len(h.counter.acts) > 0 {
		t.Fatalf("got %v done, want nothing", h.counter.acts)
	}
	h.counter.refuses = policies.Refuse(policies.PhoneTaken)
	h.want(h.post("/mesa/alta", person(nil)), 422, "", `id="movil-problem"`, `value="600 000 421"`)
	h.counter.refuses = nil

	a = h.post("/mesa/alta", person(map[string]string{"documento": "passport", "pasaporte": "abc 123456"}))
	h.want(a, 200, "", h.counter.code.Print(), "https://firma.example.es/activar", "Oficina central", "Rosa Gil", "31 de mayo de 2031")
	want := desk.Act{
		Kind: citizen.ActRegister, Identifier: "12345678z", Document: desk.Passport, Passport: "ABC123456",
		Person: &desk.Person{Identifier: "12345678z", GivenName: "Ana", Surnames: "Núñez Pérez", Phone: "600 000 421", Email: "ana@example.es", DocumentUntil: "2031-05-31", Locale: "ca"},
	}
	if diff := cmp.Diff([]desk.Act{want}, h.counter.acts); diff != "" {
		t.Errorf("acts (-want +got):\n%s", diff)
	}
	if a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("got Cache-Control %q, want no-store", a.header.Get("Cache-Control"))
	}
}

func TestDeskReceiptAsPDF(t *testing.T) {
	t.Parallel()
	h := newDeskHouse(t)
	a := h.post("/mesa/ficha/ana/codigo", map[string]string{"motivo": deskReason})
	h.want(a, 200, "", h.counter.code.Print())
	sealed := sealedField.FindStringSubmatch(a.body)[1]
	if strings.Contains(sealed, h.counter.code.Reveal()) {
		t.Error("got the code in the clear in the form")
	}
	pdf := h.post("/mesa/resguardo", map[string]string{"sellado": sealed})
	if pdf.status != 200 || pdf.header.Get("Content-Type") != "application/pdf" || !strings.HasPrefix(pdf.body, "%PDF-") || pdf.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("got %d %v, want a PDF that nobody keeps", pdf.status, pdf.header)
	}
	text := pdfText(t, pdf.body)
	for _, sentence := range []string{h.counter.code.Print(), "12345678Z", "Ana Núñez Pérez", "+34 600 000 421", "Oficina central", "https://firma.example.es/activar"} {
		if !strings.Contains(text, sentence) {
			t.Errorf("got no %q on the receipt: %s", sentence, text)
		}
	}
	h.want(h.post("/mesa/resguardo", map[string]string{"sellado": sealed[1:] + "A"}), 404, "")
	h.want(h.post("/mesa/resguardo", map[string]string{"sellado": ""}), 404, "")
	h.officers.visit.Hash = []byte("another session's, of 32 octets!")
	h.want(h.post("/mesa/resguardo", map[string]string{"sellado": sealed}), 404, "")
}

// pdfText is what a PDF says, to another program than the one that drew it.
func pdfText(t *testing.T, pdf string) string {
	t.Helper()
	tool := exec.CommandContext(t.Context(), "pdftotext", "-layout", "-", "-")
	tool.Stdin = strings.NewReader(pdf)
	text, err := tool.Output()
	if err != nil {
		t.Fatalf("pdftotext: %v", err)
	}
	return string(text)
}

func TestDeskActs(t *testing.T) {
	t.Parallel()
	h := newDeskHouse(t)
	base := desk.Act{CitizenID: "ana", Identifier: "12345678Z"}
	for _, test := range []struct {
		slug string
		form map[string]string
		want func(*desk.Act)
		to   string // empty: a receipt
	}{
		{"renovar", map[string]string{"documento": "dni", "validez": "2031-05-31"}, func(a *desk.Act) {
			a.Kind, a.Document, a.DocumentUntil = citizen.ActRenewRegistration, desk.DNI, "2031-05-31"
		}, ""},
		{"codigo", nil, func(a *desk.Act) { a.Kind = citizen.ActRenewActivation }, ""},
		{"movil", map[string]string{"movil": "612 345 678"}, func(a *desk.Act) { a.Kind, a.Phone = citizen.ActChangePhone, "+34612345678" }, "/mesa/ficha/ana?hecho=movil"},
		{"movil", map[string]string{"movil": "612345678", "sin_documento": "1"}, func(a *desk.Act) {
			a.Kind, a.Phone, a.WithoutDocument = citizen.ActChangePhone, "+34612345678", true
		}, "/mesa/ordenes/order-1?pedida=1"},
		{"correo", map[string]string{"correo": "otra@example.es"}, func(a *desk.Act) { a.Kind, a.Email = citizen.ActChangeEmail, "otra@example.es" }, "/mesa/ficha/ana?hecho=correo"},
		{"bloquear", nil, func(a *desk.Act) { a.Kind = citizen.ActBlock }, "/mesa/ficha/ana?hecho=bloquear"},
		{"desbloquear", nil, func(a *desk.Act) { a.Kind = citizen.ActUnblock }, "/mesa/ficha/ana?hecho=desbloquear"},
		{"suspender", nil, func(a *desk.Act) { a.Kind = citizen.ActSuspend }, "/mesa/ficha/ana?hecho=suspender"},
		{"levantar", nil, func(a *desk.Act) { a.Kind = citizen.ActRelease }, "/mesa/ficha/ana?hecho=levantar"},
		{"revocar", map[string]string{"causa": "key_compromise"}, func(a *desk.Act) { a.Kind, a.CRLWord = citizen.ActRevoke, "key_compromise" }, "/mesa/ficha/ana?hecho=revocar"},
		{"baja", nil, func(a *desk.Act) { a.Kind = citizen.ActDeregister }, "/mesa/ficha/ana?hecho=baja"},
		{"fallecimiento", map[string]string{"acreditacion": "Registro Civil de Soria, certificado 77"}, func(a *desk.Act) {
			a.Kind, a.Certified = citizen.ActReportDeath, "Registro Civil de Soria, certificado 77"
		}, "/mesa/ficha/ana?hecho=fallecimiento"},
		{"rectificacion", nil, func(a *desk.Act) { a.Kind = citizen.ActCorrectDeath }, "/mesa/ordenes/order-1?pedida=1"},
		{"incidencia?incidencia=inc-1", map[string]string{"resultado": "Era suya."}, func(a *desk.Act) {
			a.Kind, a.Subject, a.Outcome = citizen.ActCloseIncident, "inc-1", "Era suya."
		}, "/mesa/ficha/ana?hecho=incidencia"},
	} {
		path := "/mesa/ficha/ana/" + test.slug
		if a := h.get(path); a.status != 200 || !strings.Contains(a.body, `value="`+h.officers.visit.Purpose+`"`) || !strings.Contains(a.body, "Ana Núñez Pérez") {
			t.Errorf("%s: got %d, want the form with the person and the reason: %s", test.slug, a.status, a.body)
		}
		before := len(h.counter.acts)
		if a := h.post(path, test.form); a.status != 422 || len(h.counter.acts) > before {
			t.Errorf("%s without a reason: got %d, want 422 and nothing done", test.slug, a.status)
		}
		form := map[string]string{"motivo": "Cita 77, " + test.slug[:4]}
		maps.Copy(form, test.form)
		a := h.post(path, form)
		if test.to == "" && (a.status != 200 || !strings.Contains(a.body, "sellado")) || test.to != "" && (a.status != 303 || a.location != test.to) {
			t.Errorf("%s: got %d %s, want %q or a receipt: %s", test.slug, a.status, a.location, test.to, a.body)
			continue
		}
		want := base
		test.want(&want)
		if diff := cmp.Diff(want, h.counter.acts[len(h.counter.acts)-1]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.slug, diff)
		}
		if got := h.counter.asked[len(h.counter.asked)-1].Reason; got != form["motivo"] {
			t.Errorf("%s: got reason %q, want %q", test.slug, got, form["motivo"])
		}
	}
	h.want(h.get("/mesa/ficha/ana?hecho=bloquear"), 200, "", "Cuenta bloqueada")
	h.want(h.get("/mesa/ficha/ana/movil"), 200, "", "durante 48 horas")
	h.want(h.get("/mesa/ficha/ana/nada"), 404, "")
	h.want(h.get("/mesa/ficha/ana/incidencia?incidencia=otra"), 404, "")
	h.counter.refuses = policies.Refuse(policies.CitizenInactive)
	h.want(h.post("/mesa/ficha/ana/bloquear", map[string]string{"motivo": deskReason}), 422, "", "Error:")
	h.counter.refuses = errors.New("the signer is away")
	if a := h.post("/mesa/ficha/ana/bloquear", map[string]string{"motivo": deskReason}); a.status != http.StatusInternalServerError || strings.Contains(a.body, "signer") {
		t.Errorf("got %d %s, want 500 and no cause", a.status, a.body)
	}
}

func TestDeskOrders(t *testing.T) {
	t.Parallel()
	h := newDeskHouse(t)
	h.want(h.post("/mesa/revocacion", map[string]string{"lista": "12345678Z 12345678A", "motivo": "no"}), 422, "", "«12345678A» no es un DNI ni un NIE", "Falta el motivo")
	h.want(h.post("/mesa/revocacion", map[string]string{"lista": "12345678Z X1234567L 00000014Z 00000000T", "motivo": deskReason}), 422, "", "más personas de las que caben")
	h.want(h.post("/mesa/revocacion", map[string]string{"lista": "12345678Z\r\nX1234567L", "causa": "key_compromise", "motivo": deskReason}), 303, "/mesa/ordenes/order-1?pedida=1")
	if diff := cmp.Diff([][]string{{"12345678Z", "X1234567L"}}, h.counter.lists); diff != "" || h.counter.acts[0].Kind != citizen.ActMassRevocation {
		t.Errorf("got %+v, lists (-want +got):\n%s", h.counter.acts, diff)
	}
	h.want(h.get("/mesa/ordenes/order-1"), 200, "", "/mesa/ordenes/order-1/confirmar", "/mesa/ordenes/order-1/rechazar", "Robo", "+34 612 345 678")
	h.want(h.post("/mesa/ordenes/order-1/confirmar", nil), 303, "/mesa/ordenes/order-1")
	h.want(h.post("/mesa/ordenes/order-1/rechazar", nil), 303, "/mesa/ordenes")
	if diff := cmp.Diff([]string{"confirm order-1", "reject order-1"}, h.counter.decided); diff != "" {
		t.Errorf("decided (-want +got):\n%s", diff)
	}
	// Who asked for it is offered to take it back, and nothing else.
	h.counter.order.AskedBy = "rosa"
	a := h.get("/mesa/ordenes/order-1?pedida=1")
	h.want(a, 200, "", "La orden está en espera", "Retirarla")
	if strings.Contains(a.body, "/confirmar") {
		t.Error("got a way to confirm one's own order")
	}
	h.counter.refuses = policies.Refuse(policies.SecondOfficerNeeded)
	if a := h.post("/mesa/ordenes/order-1/confirmar", nil); a.status < 400 || !strings.Contains(a.body, "otra persona de la oficina") {
		t.Errorf("got %d, want the refusal: %s", a.status, a.body)
	}
}

func TestDeskVideos(t *testing.T) {
	t.Parallel()
	h := newDeskHouse(t)
	a := h.get("/mesa/videos/v1")
	h.want(a, 200, "", "rec-1", "Aprobar y registrar", `href="#ZgotmplZ"`) // no address that a provider may make up
	h.want(h.post("/mesa/videos/v1/rechazar", map[string]string{"rechazo": "no"}), 422, "", "Falta el motivo")
	h.want(h.post("/mesa/videos/v1/rechazar", map[string]string{"rechazo": "La cara no es la del documento."}), 303, "/mesa/videos")
	if got := h.counter.asked[len(h.counter.asked)-1].Reason; got != "La cara no es la del documento." {
		t.Errorf("got reason %q, want the officer's", got)
	}
	h.counter.refuses = policies.Refuse(policies.PhoneTaken)
	h.want(h.post("/mesa/videos/v1/aprobar", nil), 422, "", "Aprobar y registrar")
	h.counter.refuses = nil
	h.want(h.post("/mesa/videos/v1/aprobar", nil), 200, "", h.counter.code.Print(), "Por vídeo")
	if diff := cmp.Diff([]string{"reject v1", "approve v1", "approve v1"}, h.counter.decided); diff != "" {
		t.Errorf("decided (-want +got):\n%s", diff)
	}
}

// A form from elsewhere does nothing.
func TestDeskTakesNoForeignForms(t *testing.T) {
	t.Parallel()
	h := newDeskHouse(t)
	for _, path := range []string{"/mesa", "/mesa/alta", "/mesa/ficha/ana/bloquear", "/mesa/revocacion", "/mesa/ordenes/order-1/confirmar", "/mesa/videos/v1/aprobar", "/mesa/salir", "/mesa/resguardo", "/mesa/motivo"} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.url+path, strings.NewReader("motivo="+url.QueryEscape(deskReason)))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.Header.Set("Sec-Fetch-Site", "cross-site")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: got %d, want 400", path, response.StatusCode)
		}
	}
	if len(h.counter.acts)+len(h.counter.decided) > 0 || h.officers.left {
		t.Errorf("got %v and %v, want nothing done", h.counter.acts, h.counter.decided)
	}
}
