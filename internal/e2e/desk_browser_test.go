package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/rubrica-firma/rubrica/internal/thread"
)

// officer is somebody at the desk, with a browser of their own.
type officer struct{ *visit }

const deskReason = "Cita de la mañana"

// supervisor enters with a client certificate.
func supervisor(t *testing.T) officer {
	t.Helper()
	o := officer{&visit{tab: newTab(t)}}
	o.holds("rosa")
	o.tab.open(shared.desk + "/mesa")
	o.at("/mesa/entrar", "Identifíquese para atender")
	o.press(`form[action$="/certificado"] button`)
	o.at("/mesa", "Buscar a una persona")
	return o
}

// invited makes a passkey by the link that the command line prints, and enters
// with it; nothing but keys are touched.
func invited(t *testing.T) officer {
	t.Helper()
	var account struct{ ID string }
	text, err := os.ReadFile(filepath.Join(shared.dir, "registrar", "second.json"))
	if err == nil {
		err = json.Unmarshal(text, &account)
	}
	if err != nil {
		t.Fatal(err)
	}
	said, err := exec.CommandContext(t.Context(), shared.program, "officer", "invite", account.ID, "--config", filepath.Join(shared.dir, "rubrica.toml")).Output()
	if err != nil {
		t.Fatalf("inviting: %v", err)
	}
	link, _, _ := strings.Cut(string(said), "\n")
	_, secret, _ := strings.Cut(link, "#")
	shared.remember(secret)

	o := officer{&visit{tab: newTab(t)}}
	o.holds("")
	call(o.tab, webauthn.Enable, webauthn.EnableParams{})
	call(o.tab, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
		Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal,
		HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true,
	}})
	o.tab.open(link)
	o.at("/mesa/invitacion", "llave de acceso")
	o.follows("Crear")
	o.at("/mesa/entrar", "Identifíquese para atender")
	o.follows("Entrar con")
	o.at("/mesa", "Buscar a una persona")
	return o
}

// reach presses Tab until a field has the focus. A field for a day has several
// stops of its own.
func (o officer) reach(field string) {
	o.Helper()
	for range 40 {
		if eval[string](o.tab, `document.activeElement.name || ""`) == field {
			return
		}
		o.keys(kb.Tab)
	}
	o.Fatalf("%s: Tab never leads to %q", o.address().Path, field)
}

// person is whom somebody comes to register.
type person struct {
	document, passport, until string
	*thread.Citizen
}

// fillIn writes the form of a registration as the mouse would.
func (o officer) fillIn(p person) {
	o.Helper()
	set := func(name, value string) {
		o.Helper()
		eval[bool](o.tab, fmt.Sprintf(`document.querySelector("main [name=%s]").value = %q, true`, name, value))
	}
	for name, value := range map[string]string{
		"documento": p.document, "pasaporte": p.passport, "validez": p.until, "dni": p.Identifier, "nombre": "Ana María", "apellidos": "Núñez Peña", "movil": p.Phone, "correo": p.Email,
		"motivo": deskReason,
	} {
		set(name, value)
	}
}

// search looks somebody up, and opens the one that is found.
func (o officer) search(identifier string) {
	o.Helper()
	o.tab.open(shared.desk + "/mesa")
	o.submit(form{"busqueda": identifier, "motivo": deskReason})
}

// receipt is the PDF that the receipt's button opens in a window of its own.
func (o officer) receipt() string {
	o.Helper()
	sealed := eval[string](o.tab, `document.querySelector("main [name=sellado]").value`)
	cookies, err := chromedp.Call(o.ctx, network.GetCookies, network.GetCookiesParams{URLs: []string{shared.desk}})
	if err != nil {
		o.Fatal(err)
	}
	request, err := http.NewRequestWithContext(o.Context(), http.MethodPost, shared.desk+"/mesa/resguardo", strings.NewReader(url.Values{"sellado": {sealed}}.Encode()))
	if err != nil {
		o.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Sec-Fetch-Site", "same-origin")
	for _, c := range cookies.Cookies {
		request.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
	}
	answer, err := o.carrier.RoundTrip(request)
	if err != nil {
		o.Fatal(err)
	}
	defer answer.Body.Close() //nolint:errcheck // read to the end below
	content, err := io.ReadAll(answer.Body)
	if err != nil || answer.Header.Get("Content-Type") != "application/pdf" || !strings.HasPrefix(answer.Header.Get("Content-Disposition"), "inline") {
		o.Fatalf("got %d %s (%v), want a PDF to look at", answer.StatusCode, answer.Header, err)
	}
	return o.paper(content)
}

// paper is what a PDF says.
func (o officer) paper(content []byte) string {
	o.Helper()
	cmd := exec.CommandContext(o.Context(), "pdftotext", "-layout", "-", "-")
	cmd.Stdin = bytes.NewReader(content)
	text, err := cmd.CombinedOutput()
	if err != nil {
		o.Fatalf("pdftotext: %v: %s", err, text)
	}
	return string(text)
}

// registered checks the receipt, on the screen, as PDF and as the browser prints
// it, and gives the activation code.
func (o officer) registered(p person) {
	o.Helper()
	o.at("/mesa/alta", "Resguardo")
	o.citizen = p.Citizen
	o.activation()
	printed, err := chromedp.Call(o.ctx, page.PrintToPDF, page.PrintToPDFParams{PrintBackground: new(true)})
	if err != nil {
		o.Fatal(err)
	}
	for what, text := range map[string]string{"the PDF": o.receipt(), "the printed page": o.paper(printed.Data)} {
		for _, word := range []string{"Ana María Núñez Peña", p.Identifier, o.citizen.Activation, "Oficina", "Marcos Ruiz Vega"} {
			if !strings.Contains(text, word) {
				o.Errorf("%s does not say %q: %s", what, word, text)
			}
		}
		if strings.Contains(text, "Cartas") || strings.Contains(text, "Guardar") {
			o.Errorf("%s has what is pressed on the screen: %s", what, text)
		}
	}
}

// recording has a provider hand in a video identification.
func recording(t *testing.T, id string, c *thread.Citizen) {
	t.Helper()
	shared.exec(t, `
		INSERT INTO video_registrations (id, provider, office, identifier, facts, evidence, received_at, state)
		SELECT $1, (SELECT id FROM applications WHERE name ILIKE '%sede%' LIMIT 1), (SELECT office FROM officers WHERE name = 'Marcos Ruiz Vega'), $2,
			jsonb_build_object('identifier', $2::text, 'given_name', 'Ana María', 'surnames', 'Núñez Peña', 'phone', $3::text, 'email', $4::text, 'document_until', '2031-05-31', 'locale', 'es'),
			jsonb_build_object('recording', $1::text, 'sha256', repeat('7f', 32), 'recorded_at', '2026-11-20T09:30:00Z', 'checks', jsonb_build_object('liveness', 'passed')),
			now(), 'pending'`, id, c.Identifier, c.Phone, c.Email)
}

// TestDesk is a morning at an office: two officers, one with a passkey and one
// with a certificate, register, search, act, confirm for each other, look at
// recordings and incidents, and administer an application. Everything they look at
// is in the log, with why.
func TestDesk(t *testing.T) {
	t.Parallel()
	marcos, rosa := invited(t), supervisor(t)

	// A whole registration by keyboard, from a search that finds nobody.
	dni := person{document: "dni", Citizen: stranger(t)}
	marcos.reach("busqueda")
	marcos.keys(dni.Identifier)
	marcos.enters()
	marcos.at("/mesa", "Buscar a una persona")
	marcos.says("Falta el motivo")
	marcos.reach("motivo")
	marcos.keys(deskReason)
	marcos.enters()
	marcos.at("/mesa", "No hay nadie")
	marcos.enters() // on "Registrar a esta persona", where the focus is
	marcos.at("/mesa/alta", "Registrar a una persona")
	for _, f := range []struct{ field, text string }{
		{"validez", "11112031"}, {"nombre", "Ana María"}, {"apellidos", "Núñez Peña"}, {"movil", "600"}, {"correo", dni.Email},
	} {
		marcos.reach(f.field)
		marcos.keys(f.text)
	}
	marcos.enters()
	marcos.at("/mesa/alta", "Registrar a una persona")
	marcos.says("móvil")
	marcos.reach("movil")
	marcos.do(chromedp.KeyEvent("a", chromedp.KeyModifiers(chromedp.ModifierCtrl)))
	marcos.keys(dni.Phone)
	marcos.enters()
	marcos.registered(dni)

	nie := person{document: "nie", until: "2031-05-31", Citizen: stranger(t)}
	nie.Identifier = asNIE(nie.Identifier)
	passport := person{document: "passport", passport: "AAB123456", until: "2030-01-31", Citizen: stranger(t)}
	for _, p := range []person{nie, passport} {
		marcos.tab.open(shared.desk + "/mesa/alta")
		marcos.fillIn(p)
		marcos.send(`form[action="/mesa/alta"] button`)
		marcos.registered(p)
	}

	marcos.search("nunez pena")
	marcos.at("/mesa", "personas")
	marcos.shot("desk-search", look{width: desk})
	marcos.search(dni.Identifier)
	marcos.at(marcos.address().Path, "Ana María Núñez Peña")
	marcos.says("Sin activar", inGroups(dni.Phone))
	file := marcos.address().Path
	marcos.shot("desk-file", look{width: desk})

	marcos.changePhone(rosa, file, dni)
	marcos.massRevocation(rosa)
	marcos.videos()
	marcos.incident(file)
	marcos.logged(dni)
	rosa.administers()
}

// asNIE is a NIE with the digits of a DNI.
func asNIE(dni string) string {
	digits := "X" + dni[1:8]
	var n int
	_, _ = fmt.Sscanf(dni[1:8], "%d", &n)
	return digits + string("TRWAGMYFPDXBNJZSQVHLCKE"[n%23])
}

// inGroups is a number as the desk writes it.
func inGroups(phone string) string {
	n := phone[len(phone)-9:]
	return n[:3] + " " + n[3:6] + " " + n[6:]
}

// changePhone has the one officer ask for a new mobile of somebody without a
// document, and the other confirm it.
func (o officer) changePhone(second officer, file string, p person) {
	o.Helper()
	o.tab.open(shared.desk + file + "/movil")
	phone := stranger(o.T).Phone
	o.do(chromedp.Click(chromedp.CSS("[name=sin_documento]")))
	o.submit(form{"movil": phone, "motivo": "Le han robado la cartera y el móvil"})
	o.at(o.address().Path, "Cambiar el móvil")
	o.says("La orden está en espera")
	if eval[bool](o.tab, `!!document.querySelector("form[action$='/confirmar']")`) {
		o.Error("who asks can confirm")
	}
	order := o.address().Path
	second.tab.open(shared.desk + order)
	if strings.HasSuffix(second.address().Path, "/motivo") {
		second.submit(form{"motivo": "Confirmar lo que pide Marcos"})
	}
	second.says("Marcos Ruiz Vega", inGroups(phone))
	second.press(`form[action$="/confirmar"] button`)
	second.at(order, "Cambiar el móvil")
	second.says("Hecho")
	if n := shared.query(o.T, `SELECT count(*) FROM citizens WHERE identifier = $1 AND phone = $2`, p.Identifier, phone); n != 1 {
		o.Errorf("got %d people with the new mobile, want 1", n)
	}
	eventually(o.T, "the old mobile is told", func() bool { return strings.Contains(texts(o.T, p.Phone), "este movil ya no es") })
	o.tab.open(shared.desk + file)
	o.says(inGroups(phone))
}

// massRevocation has the certificates of two people revoked by both officers.
func (o officer) massRevocation(second officer) {
	o.Helper()
	certified := certified(o.T)
	other := registered(o.T) // has none
	o.tab.open(shared.desk + "/mesa/revocacion")
	eval[bool](o.tab, fmt.Sprintf(`document.querySelector("[name=lista]").value = %q, true`, certified.Identifier+"\n"+other.Identifier))
	o.submit(form{"motivo": "Fallo del dispositivo"})
	order := o.address().Path
	o.says("La orden está en espera", certified.Identifier, other.Identifier)
	second.tab.open(shared.desk + "/mesa/ordenes")
	second.press(fmt.Sprintf(`a[href=%q]`, order))
	second.press(`form[action$="/confirmar"] button`)
	second.says("Hecho")
	n := shared.query(o.T, `
		SELECT count(*) FROM certificates c JOIN credentials k ON k.id = c.credential_id JOIN citizens z ON z.id = k.citizen_id
		WHERE z.identifier = $1 AND c.revoked_at IS NOT NULL`, certified.Identifier)
	if n != 1 {
		o.Errorf("got %d certificates revoked, want 1", n)
	}
}

// videos approves a recording and rejects another.
func (o officer) videos() {
	o.Helper()
	seen, forged := stranger(o.T), stranger(o.T)
	recording(o.T, "rec-"+seen.Identifier, seen)
	recording(o.T, "rec-"+forged.Identifier, forged)
	o.tab.open(shared.desk + "/mesa/videos")
	o.at("/mesa/videos", "Identificaciones por vídeo")
	o.shot("desk-videos", look{width: desk})
	o.press(fmt.Sprintf(`a[href$="rec-%s"]`, forged.Identifier))
	o.submit(form{"rechazo": "La cara no es la del documento"})
	o.at("/mesa/videos", "Identificaciones por vídeo")
	o.press(fmt.Sprintf(`a[href$="rec-%s"]`, seen.Identifier))
	o.shot("desk-video", look{width: desk, whole: true})
	o.follows("Aprobar")
	o.citizen = seen
	o.activation()
	o.says("Por vídeo")
	if n := shared.query(o.T, `SELECT count(*) FROM video_registrations WHERE (id, state) IN (($1, 'approved'), ($2, 'rejected'))`,
		"rec-"+seen.Identifier, "rec-"+forged.Identifier); n != 2 {
		o.Errorf("got %d recordings decided, want 2", n)
	}
}

// incident closes one.
func (o officer) incident(file string) {
	o.Helper()
	id := "incident-" + filepath.Base(file)
	shared.exec(o.T, `INSERT INTO incidents (id, citizen_id, said, opened_at) VALUES ($1, $2, 'No he firmado nada en esa sede.', now())`, id, filepath.Base(file))
	o.tab.open(shared.desk + "/mesa/incidencias")
	o.says("No he firmado nada en esa sede.")
	o.press(fmt.Sprintf(`a[href*=%q]`, id))
	o.submit(form{"resultado": "Se ha hablado con la persona: era suya.", "motivo": deskReason})
	o.at(file, "Ana María Núñez Peña")
	o.says("Se ha hablado con la persona")
	if n := shared.query(o.T, `SELECT count(*) FROM incidents WHERE id = $1 AND closed_at IS NOT NULL`, id); n != 1 {
		o.Errorf("got %d incidents closed, want 1", n)
	}
}

// logged checks that whoever was looked up is named, with why.
func (o officer) logged(p person) {
	o.Helper()
	for _, test := range []struct{ kind, what string }{
		{"desk.looked_up", `"looked":"search"`},
		{"desk.looked_up", `"looked":"file"`},
		{"desk.ordered", `"act":"change_phone"`},
		{"desk.decided", `"decision":"confirmed"`},
		{"desk.acted", `"act":"register"`},
		{"desk.acted", `"act":"close_incident"`},
	} {
		n := shared.query(o.T, `
			SELECT count(*) FROM log_entries
			WHERE type = $1 AND person = $2 AND strpos(convert_from(payload, 'UTF8'), $3) > 0 AND strpos(convert_from(payload, 'UTF8'), '"reason":"') > 0`,
			test.kind, p.Identifier, test.what)
		if n == 0 {
			o.Errorf("no %s with %s about %s", test.kind, test.what, p.Identifier)
		}
	}
}
