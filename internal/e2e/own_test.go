package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/rubrica-firma/rubrica/internal/thread"
)

// TestOwnPages looks at what was signed, and changes what citizens may change of
// themselves.
func TestOwnPages(t *testing.T) {
	t.Parallel()
	v := &visit{tab: newTab(t), citizen: active(t)}
	r := ask(t, v.citizen, sample(t, "solicitud.pdf"))
	sign(t, v.citizen, r)
	waits := ask(t, v.citizen, note())

	v.open("/mi/perfil")
	v.enter("Entre en sus páginas")
	v.at("/mi/perfil", "Mi perfil")
	v.lookBack(r.ID, waits.ID)
	v.mail()
	v.quieter(waits.SigningURL)
	v.export(r.ID)
	v.open("/mi/perfil")
	v.send(`form[action="/mi/salir/todas"] button`)
	v.at("/", "")
	v.open("/mi/datos")
	v.at("/mi/entrar", "Entre en sus páginas")
}

// lookBack looks at the list of signatures and at one of them, and takes its
// receipt.
func (v *visit) lookBack(signed, waits string) {
	v.Helper()
	v.press(`a[href="/mi/firmas"]`)
	v.at("/mi/firmas", "Mis firmas")
	v.says("Solicitud de ayuda", "Firmado", "Pendiente")
	v.shot("my-signatures", look{width: desk, whole: true})
	v.do(chromedp.SetValue(chromedp.CSS("#estado"), "signed"))
	v.send(`main form button`)
	v.at("/mi/firmas", "Mis firmas")
	if links := v.text(".entries tbody"); strings.Contains(links, "Pendiente") || !strings.Contains(links, "Firmado") {
		v.Errorf("got %q, want signed requests and no others", links)
	}
	v.open("/mi/firmas/" + waits)
	v.says("Seguir con la firma", "Se puede firmar hasta esta fecha")
	v.open("/mi/firmas/" + signed)
	v.at("/mi/firmas/"+signed, "Solicitud de ayuda")
	v.says("Le pidieron la firma", "Se confirmó con la contraseña y un código", "Quedó firmado", "Justificante")
	checkRead(v.T, v.download(`a[href$="/justificante.pdf"]`), v.citizen.Identifier, "Solicitud de ayuda")
	checkPDF(v.T, v.download(`a[href$="/documentos/1"]`))
	receipt := v.download(`a[href$="/justificante.json"]`)
	out, err := exec.CommandContext(v.Context(), shared.program, "audit", "verify", "--policy", filepath.Join(shared.dir, "log-policy.txt"),
		"--tsa-certificates", shared.root, receipt).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "sign.done") {
		v.Errorf("rubrica audit verify: %v: %s", err, out)
	}
}

// mail moves the account to another address: it is asked with a code, and done
// with the link that the new address got.
func (v *visit) mail() {
	v.Helper()
	old := *v.citizen
	v.open("/mi/perfil")
	v.press(`a[href="/mi/correo"]`)
	v.at("/mi/correo", "Cambie su correo")
	if status := v.submit(form{"new_email": "ana@"}); status != 422 {
		v.Errorf("got status %d for half an address, want 422", status)
	}
	v.focused()
	v.citizen.Email = "nueva." + old.Email
	v.submit(form{"new_email": v.citizen.Email})
	v.at("/mi/correo/codigo", "¿Qué código")
	v.code()
	v.at("/mi/correo/enviado", "Mire su correo")
	address := link(v.T, v.citizen, "Confirme su nuevo correo")
	v.open("/mi/perfil")
	v.says(old.Email) // until the link is followed
	v.tab.open(address)
	v.at("/enlace", "¿Quiere usar este correo?")
	v.send(`main form button[type=submit]`)
	v.at("/enlace/hecho", "Ha cambiado su correo")
	v.open("/mi/perfil")
	v.says(v.citizen.Email)
	letter(v.T, &old, "Ha cambiado el correo de su cuenta de firma", "correo")
	v.tab.open(address) // once
	v.says("El enlace ya no sirve")
}

// quieter asks for no notices of signatures, and gets none.
func (v *visit) quieter(signing string) {
	v.Helper()
	v.open("/mi/avisos")
	v.at("/mi/avisos", "Avisos de firma")
	v.do(chromedp.Click(chromedp.CSS(`label[for="avisos-none"]`)))
	v.send(`form[action="/mi/avisos"] button`)
	v.at("/mi/hecho", "Sus avisos están guardados")
	v.open("/mi/perfil")
	v.says("No avisarme de las firmas")
	if err := v.citizen.Sign(v.Context(), signing, thread.Walk{}); err != nil {
		v.Fatal(err)
	}
	for _, m := range mail(v.T, v.citizen) {
		if strings.HasPrefix(m.Subject, "Ha firmado") {
			v.Errorf("got a mail %q, and had asked for none", m.Subject)
		}
	}
}

// export takes home all that is known.
func (v *visit) export(signed string) {
	v.Helper()
	v.open("/mi/datos")
	v.at("/mi/datos", "Mis datos")
	text, err := os.ReadFile(v.download(`main a.button[download]`))
	if err != nil || !json.Valid(text) {
		v.Fatalf("the export is no JSON (%v): %s", err, text)
	}
	for _, want := range []string{v.citizen.Identifier, v.citizen.Email, v.citizen.Phone, signed} {
		if !bytes.Contains(text, []byte(want)) {
			v.Errorf("the export does not hold %q", want)
		}
	}
}

// TestCard gets an operations key twice, as a new user and because it was
// forgotten, and comes in with card, PIN and key.
func TestCard(t *testing.T) {
	t.Parallel()
	v := &visit{tab: newTab(t), citizen: active(t)}
	list := filepath.Join(t.TempDir(), "cards.csv")
	number := v.citizen.Phone[3:]
	if err := os.WriteFile(list, []byte("number,identifier,email,pin\n"+number+","+v.citizen.Identifier+","+v.citizen.Email+",4711\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cli(t, "card", "import", list)

	v.open("/mi/entrar")
	v.press(`a[href="/tarjeta"]`)
	v.at("/tarjeta", "Entre con su tarjeta ciudadana")
	var keys []string
	for len(keys) < 2 {
		v.open("/tarjeta")
		v.press(`a[href="/tarjeta/clave"]`)
		v.at("/tarjeta/clave", "Pida una clave de operaciones")
		v.submit(form{"card": "000" + number, "card_pin": "4711"})
		v.at("/tarjeta/clave/pedida", "Ha pedido una clave de operaciones")
		eventually(t, "a key is mailed", func() bool {
			found := regexp.MustCompile(`[0-9A-Z]{4}(-[0-9A-Z]{4}){2}`).FindString(newest(t, v.citizen, "Su clave de operaciones"))
			if found == "" || len(keys) > 0 && found == keys[0] {
				return false
			}
			keys = append(keys, found)
			return true
		})
	}
	v.press(`main a.button[href="/tarjeta"]`)
	if status := v.submit(form{"card": number, "card_pin": "4711", "operations_key": keys[0]}); status != 422 {
		t.Errorf("got status %d for a key that is no longer, want 422", status)
	}
	v.focused()
	v.submit(form{"card": "00" + number, "card_pin": "4711", "operations_key": keys[1]})
	v.at("/mi", "Mis páginas")
	v.open("/mi/avisos")
	v.at("/mi/entrar", "Escriba su contraseña")
}

// newest is the last mail with a subject.
func newest(t *testing.T, c *thread.Citizen, subject string) string {
	t.Helper()
	for _, m := range mail(t, c) {
		if m.Subject == subject {
			return m.Text
		}
	}
	return ""
}

// cli runs a command of the program in the environment.
func cli(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), shared.program, append(args, "--config", filepath.Join(shared.dir, "rubrica.toml"))...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("rubrica %v: %v: %s", args, err, out)
	}
}

// TestOffices looks for an office near home.
func TestOffices(t *testing.T) {
	t.Parallel()
	cli(t, "office", "import", filepath.Join("..", "..", "testdata", "offices.csv"))
	v := &visit{tab: newTab(t)}
	v.tab.open(shared.world.Service)
	v.press(`main a[href="/oficinas"]`)
	v.at("/oficinas", "¿Dónde hay una oficina?")
	v.submit(form{"place": "Valdenada"})
	v.says("No se ha encontrado ninguna oficina")
	v.submit(form{"place": "gijon"})
	v.says("2 oficinas", "Plaza Mayor, 1", "985 18 11 11")
	v.shot("offices", look{width: telephone})
}
