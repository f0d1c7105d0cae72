package e2e

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/rubrica-firma/rubrica/internal/thread"
)

// visit is a person with a real browser, from page to page.
type visit struct {
	*tab

	citizen *thread.Citizen
	since   time.Time // of the last form, which a code may answer
}

func (v *visit) open(path string) { v.Helper(); v.tab.open(shared.world.Service + path) }

// submit fills in the form that has all these fields, and sends it with its first
// button.
func (v *visit) submit(fields form) int {
	v.Helper()
	button := "main form"
	for name, text := range fields {
		button += fmt.Sprintf(":has([name=%q])", name)
		v.do(chromedp.Clear(chromedp.CSS(fmt.Sprintf("[name=%q]", name))))
		v.fill(name, text)
	}
	return v.send(button + " button[type=submit]")
}

// send presses what sends a form.
func (v *visit) send(selector string) int {
	v.Helper()
	v.since = time.Now()
	return v.press(selector)
}

// code types the code that came since the last form.
func (v *visit) code() { v.Helper(); v.submit(form{"code": code(v.T, v.citizen, v.since)}) }

// says checks that the page has these words.
func (v *visit) says(words ...string) {
	v.Helper()
	text := v.text("main")
	for _, word := range words {
		if !strings.Contains(text, word) {
			v.Errorf("%s does not say %q: %s", v.address().Path, word, text)
		}
	}
}

// show goes to the certificate door and back.
func (v *visit) show(procedure string) {
	v.Helper()
	v.open("/con-certificado/" + procedure)
	v.confirm()
}

// confirm says at the certificate door that it is oneself.
func (v *visit) confirm() {
	v.Helper()
	v.at("/certificado", "¿Es usted quien dice este certificado?")
	v.says("ANA NÚÑEZ PÉREZ", "12345678Z")
	v.send("main form button")
}

// enter identifies at the own pages with the password, and goes on to where the
// citizen wanted to be.
func (v *visit) enter(heading string) {
	v.Helper()
	v.at("/mi/entrar", heading)
	v.submit(form{"identifier": v.citizen.Identifier, "password": v.citizen.Password})
}

// pin waits for the PIN that came to the phone.
func (v *visit) pin() (pin string) {
	v.Helper()
	eventually(v.T, "a PIN comes", func() bool {
		found := regexp.MustCompile(`PIN es ([0-9A-Z -]+)\.`).FindStringSubmatch(texts(v.T, v.citizen.Phone))
		if found != nil {
			pin = found[1]
		}
		return found != nil
	})
	return pin
}

// activation reads the activation code, which is shown once.
func (v *visit) activation() {
	v.Helper()
	v.citizen.Activation = v.text(".reference-value")
	if !regexp.MustCompile(`^[0-9A-Z]{4}(-[0-9A-Z]{4})+$`).MatchString(v.citizen.Activation) {
		v.Fatalf("got activation code %q", v.citizen.Activation)
	}
	shared.remember(v.citizen.Activation)
	shared.remember(strings.ReplaceAll(v.citizen.Activation, "-", ""))
}

// TestLife lives a life without an office in a browser: registration with the
// DNIe, password, certificate, signature, Cl@ve PIN, the own pages, a certificate
// to log in with, another activation code, another mobile, renewal, an alarm, and
// leaving.
func TestLife(t *testing.T) {
	t.Parallel()
	v := &visit{tab: newTab(t), citizen: stranger(t)}
	v.citizen.Identifier = "12345678Z"
	v.holds("ana-dnie")
	until := time.Now().AddDate(5, 0, 0).Format("02/01/2006")

	v.registerOnLine(until)
	v.activate(v.citizen)
	r := ask(t, v.citizen, sample(t, "solicitud.pdf"))
	v.tab.open(r.SigningURL)
	v.sign(v.citizen)
	v.enterByPIN(until, r.ID)
	v.associate()
	v.renew(until)
	v.regenerate()
	v.changeMobile()
	v.alarm(r.ID)
	v.leave()
}

func (v *visit) registerOnLine(until string) {
	v.Helper()
	v.tab.open(shared.world.Service)
	v.press(`main a[href="/registro"]`)
	v.at("/registro", "Regístrese")
	v.shot("register", look{width: desk, whole: true})
	v.press(`a[href="/con-certificado/registro"]`)
	v.confirm()
	v.at("/registro/datos", "Sus datos de contacto")
	v.says("ANA NÚÑEZ PÉREZ")
	if status := v.submit(form{"mobile": "600", "contact_email": "ana", "document_until": "ayer"}); status != 422 {
		v.Errorf("got status %d for three wrong fields, want 422", status)
	}
	v.focused()
	v.at("/registro/datos", "Sus datos de contacto")
	if n := eval[int](v.tab, `document.querySelectorAll(".summary li a").length`); n != 3 {
		v.Errorf("got %d problems, want 3: %s", n, v.text(".summary"))
	}
	v.submit(form{"mobile": v.citizen.Phone, "contact_email": v.citizen.Email, "document_until": until})
	v.at("/registro/codigo", "Escriba el código del SMS")
	v.code()
	v.at("/registro/codigo", "Ya está registrado")
	v.activation()
	checkRead(v.T, v.download(`form[action$="/recibo.pdf"] button`), "NÚÑEZ", v.citizen.Activation)
}

func (v *visit) enterByPIN(until, request string) {
	v.Helper()
	v.open("/mi")
	v.at("/mi/entrar", "Entre en sus páginas")
	v.press(`a[href="/pin"]`)
	v.at("/pin", "Entre con Cl@ve PIN")
	v.submit(form{"identifier": v.citizen.Identifier, "document_until": until, "access_key": "a1b2"})
	v.at("/pin/codigo", "Escriba el PIN")
	v.shot("pin", look{width: telephone, dark: true, whole: true})
	pin := v.pin()
	if status := v.submit(form{"access_key": "a1b3", "pin": pin}); status != 422 {
		v.Errorf("got status %d for another access key, want 422", status)
	}
	v.at("/pin/codigo", "Escriba el PIN")
	v.submit(form{"access_key": "a1b2", "pin": pin})
	v.at("/mi", "Mis páginas")
	v.says("Su certificado de firma está en vigor", "Solicitud de ayuda")
	v.open("/mi/baja") // a PIN changes nothing
	v.at("/mi/entrar", "Escriba su contraseña")
	v.open("/mi/firmas/" + request)
	v.at("/mi/firmas/"+request, "Solicitud de ayuda")
}

// associate gives the profile a certificate to log in with, and takes it away.
func (v *visit) associate() {
	v.Helper()
	v.open("/mi/certificado")
	v.enter("Escriba su contraseña")
	v.at("/mi/certificado", "Certificado con el que entra")
	v.says("No tiene ningún certificado asociado.")
	v.holds("ana-qualified")
	v.press(`a[href="/con-certificado/asociar"]`)
	v.confirm()
	v.at("/mi/certificado", "¿Quiere entrar con este certificado?")
	v.send(`form[action="/mi/certificado"] button`)
	v.at("/mi/certificado/codigo", "¿Qué código")
	v.code()
	v.at("/mi/hecho", "El certificado está asociado a su perfil")
	letter(v.T, v.citizen, "Hay un certificado asociado a su perfil", "certificado")

	v.press(`form[action="/mi/salir"] button`)
	v.at("/", "")
	v.open("/mi")
	v.press(`a[href="/con-certificado/acceso"]`)
	v.confirm()
	v.at("/mi", "Mis páginas")
	v.open("/mi/certificado")
	v.enter("Escriba su contraseña")
	v.at("/mi/certificado", "Certificado con el que entra")
	v.says("Prestador de Desarrollo")
	v.send(`form[action="/mi/certificado"] button`)
	v.at("/mi/certificado/codigo", "¿Qué código")
	v.code()
	v.at("/mi/hecho", "El certificado ya no está asociado a su perfil")
	v.show("acceso")
	v.says("Ese certificado no está asociado a ningún perfil")
}

// renew takes the DNIe and no other certificate, without a script.
func (v *visit) renew(until string) {
	v.Helper()
	call(v.tab, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	v.open("/mi/registro")
	v.at("/mi/registro", "Mi registro")
	v.says("Su registro permite crear certificados", "La regla de los cinco años")
	v.shot("five-years", look{width: desk, whole: true})
	v.open("/renovar")
	v.at("/renovar", "Renueve su registro")
	v.press(`a[href="/con-certificado/renovacion"]`)
	v.at("/certificado", "Hace falta el DNI electrónico")
	v.holds("ana-dnie")
	v.show("renovacion")
	v.at("/renovar/datos", "Confirme que quiere renovar su registro")
	v.submit(form{"document_until": until})
	v.at("/renovar/datos", "Registro renovado")
	checkRead(v.T, v.download(`form[action$="/recibo.pdf"] button`), "NÚÑEZ")
	call(v.tab, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{})
}

const codePage = "/codigo-de-activacion" //nolint:misspell // Spanish

// regenerate asks for another activation code: password and certificate stay
// until it is used.
func (v *visit) regenerate() {
	v.Helper()
	v.open(codePage)
	v.at(codePage, "Pida otro código de activación")
	v.press(`a[href="/con-certificado/codigo"]`)
	v.confirm()
	v.at(codePage+"/datos", "Otro código de activación")
	v.send(`main form button`)
	v.at(codePage+"/datos", "Código de activación nuevo")
	v.activation()
	wantRevoked(v.T, v.citizen, 0)
}

func (v *visit) changeMobile() {
	v.Helper()
	old := v.citizen.Phone
	v.open("/movil")
	v.at("/movil", "Cambie su móvil")
	v.press(`a[href="/con-certificado/movil"]`)
	v.confirm()
	v.at("/movil/datos", "Su móvil nuevo")
	v.citizen.Phone = stranger(v.T).Phone
	v.submit(form{"mobile": v.citizen.Phone})
	v.at("/movil/codigo", "Escriba el código del SMS")
	v.code()
	v.at("/movil/codigo", "Móvil cambiado")
	v.says("72")
	eventually(v.T, "the old mobile is told", func() bool { return strings.Contains(texts(v.T, old), "este movil ya no es") })
}

// alarm reports a misuse. The change of the mobile has ended every session; who
// reports keeps this one.
func (v *visit) alarm(request string) {
	v.Helper()
	v.open("/mi/firmas/" + request)
	v.enter("Entre en sus páginas")
	v.press(`main a[href^="/mi/no-he-sido-yo"]`)
	v.at("/mi/no-he-sido-yo", "¿Esta firma no la hizo usted?")
	v.shot("not-me", look{width: desk, whole: true})
	v.do(chromedp.SendKeys(chromedp.CSS("textarea[name=said]"), "Yo no estaba en casa."))
	v.send(`form[action="/mi/no-he-sido-yo"] button`)
	v.at("/mi/incidencias", "Hemos recibido su aviso")
	v.says("Yo no estaba en casa.", "Lo está mirando una oficina")
	v.open("/mi")
	v.says("Su certificado de firma está suspendido", "Una oficina está mirando un aviso suyo")
}

// leave reads what is lost before anything is.
func (v *visit) leave() {
	v.Helper()
	v.open("/mi/perfil")
	v.press(`a[href="/mi/baja"]`)
	v.at("/mi/baja", "¿Quiere darse de baja?")
	v.says("Perderá su certificado de firma", "No se puede deshacer.", "Lo que ya ha firmado conserva su validez")
	v.send(`form[action="/mi/baja"] button`)
	v.at("/mi/baja/codigo", "¿Qué código")
	v.code()
	v.at("/mi/baja/hecho", "Se ha dado de baja")
	wantRevoked(v.T, v.citizen, 1)
	if err := v.citizen.Sign(v.Context(), ask(v.T, v.citizen, note()).SigningURL, thread.Walk{}); err == nil {
		v.Error("somebody who has left signs")
	}
	v.show("registro")
	v.at("/registro/datos", "Sus datos de contacto")
}

// eventually waits for what jobs do.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for limit := time.Now().Add(patience); !holds(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("it never comes that %s", what)
		}
	}
}

// texts are all messages that came to a number.
func texts(t *testing.T, phone string) string {
	t.Helper()
	var all []string
	for _, m := range messages(t, &thread.Citizen{Phone: phone}) {
		all = append(all, m.Text)
	}
	return strings.Join(all, "\n")
}
