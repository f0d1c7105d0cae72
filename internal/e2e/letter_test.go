package e2e

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
)

// TestKeyboardLetter registers by letter with keys alone: it is asked for, an
// officer prints it, and its code leads to an account that identifies, and does
// not sign.
func TestKeyboardLetter(t *testing.T) {
	t.Parallel()
	v := &visit{tab: newTab(t), citizen: stranger(t)}
	v.citizen.Identifier, v.citizen.GivenName, v.citizen.Surnames = "11111111H", "Íñigo", "Muñoz Peña"
	const until = "30/06/2032"

	v.tab.open(shared.world.Service)
	v.follows("Regístrese")
	v.follows("Pedir la carta")
	v.at("/registro/carta", "Pida una carta para registrarse")
	v.types("identifier", v.citizen.Identifier)
	v.types("document_until", "30/06")
	v.types("iban", "ES91 2100 0418 4502 0005 1333") // a check digit that is wrong
	v.enters()
	v.focused()
	v.types("document_until", until)
	v.types("iban", "ES91 2100 0418 4502 0005 1332")
	v.enters()
	v.at("/registro/carta/pedida", "Ha pedido una carta")

	csv := printed(t, v.citizen.Surnames)
	v.follows("Ya tengo la carta")
	v.at("/registro/carta/codigo", "Escriba el código de la carta")
	v.types("identifier", v.citizen.Identifier)
	v.types("document_until", until)
	v.types("csv", strings.ToLower(csv))
	v.enters()
	v.at("/registro/datos", "Sus datos de contacto")
	v.says("identificar")
	v.types("mobile", v.citizen.Phone)
	v.types("contact_email", v.citizen.Email)
	v.since = time.Now()
	v.enters()
	v.at("/registro/codigo", "Escriba el código del SMS")
	v.types("code", code(t, v.citizen, v.since))
	v.enters()
	v.at("/registro/codigo", "Ya está registrado")
	v.activation()
	v.follows("Activar")
	v.at("/activar", "Active su cuenta")
	v.types("identifier", v.citizen.Identifier)
	v.types("email", v.citizen.Email)
	v.types("activation_code", v.citizen.Activation)
	v.since = time.Now()
	v.enters()
	v.at("/activar/codigo", "móvil")
	v.types("code", code(t, v.citizen, v.since))
	v.enters()
	v.at("/activar/contrasena", "contraseña")
	v.types("password_new", v.citizen.Password)
	v.types("password_again", v.citizen.Password)
	v.enters()
	v.at("/activar/hecho", "")

	v.open("/mi/registro")
	v.types("identifier", v.citizen.Identifier)
	v.types("password", v.citizen.Password)
	v.enters()
	v.at("/mi/registro", "Mi registro")
	v.says("Básico", "Tiene que renovar su registro")
}

// printed has an officer print the letters that wait, and gives the code in the
// one to somebody.
func printed(t *testing.T, surnames string) (csv string) {
	t.Helper()
	v := &visit{tab: newTab(t)}
	call(v.tab, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	v.holds("rosa")
	v.tab.open(shared.desk + "/mesa")
	v.press(`form[action$="/certificado"] button`)
	v.at("/mesa", "")
	v.tab.open(shared.desk + "/mesa/cartas")
	v.at("/mesa/motivo", "")
	v.submit(form{"motivo": "Cartas del día"})
	v.at("/mesa/cartas", "")
	letters := v.download(`form[action$="/cartas"] button`)
	text, err := exec.CommandContext(t.Context(), "pdftotext", "-layout", letters, "-").CombinedOutput()
	if err != nil {
		t.Fatalf("pdftotext: %v: %s", err, text)
	}
	_, mine, _ := strings.Cut(string(text), surnames)
	if csv = regexp.MustCompile(`[0-9A-Z]{4}(-[0-9A-Z]{4}){3}`).FindString(mine); csv == "" {
		t.Fatalf("no code in the letter: %s", text)
	}
	if screenshots() != "" {
		drawn, err := exec.CommandContext(t.Context(), "pdftoppm", "-png", "-singlefile", "-r", "80", letters).Output()
		if err != nil {
			t.Fatalf("pdftoppm: %v", err)
		}
		keep(t, "letter", drawn)
	}
	shared.remember(csv)
	shared.remember(strings.ReplaceAll(csv, "-", ""))
	return csv
}
