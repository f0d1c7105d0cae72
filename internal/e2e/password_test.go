package e2e

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"

	"github.com/rubrica-firma/rubrica/internal/dev/inbox"
	"github.com/rubrica-firma/rubrica/internal/thread"
)

// another is a password that fits the rules and that nobody has yet.
const another = "Persiana-verde-31"

// change goes from the page that asks for the present password to the one that
// says that it is another.
func (b *tab) change(c *thread.Citizen, password string) {
	b.Helper()
	b.at("/contrasena", "¿Quiere cambiar su contraseña?")
	b.fill("identifier", strings.ToLower(c.Identifier))
	b.fill("password_now", c.Password)
	since := time.Now()
	b.press(`main form button[type=submit]`)
	b.at("/contrasena/codigo", "¿Qué código")
	b.fill("code", code(b.T, c, since))
	b.press(`form[action^="/contrasena/codigo?"] button`)
	b.at("/contrasena/nueva", "¿Cuál será su contraseña nueva?")
	b.fill("password_new", password)
	b.fill("password_again", password)
	b.press(`main form button[type=submit]`)
	b.at("/contrasena/enviado", "Mire su correo")
	back := b.address()
	b.open(link(b.T, c, "Cambio de su contraseña de firma"))
	b.at("/enlace", "¿Quiere cambiar su contraseña?")
	b.press(`main form button[type=submit]`)
	b.at("/enlace/hecho", "Ha cambiado su contraseña")
	b.open(back.String())
	c.Password = password
	shared.remember(password)
}

// link waits for the mail that has one.
func link(t *testing.T, c *thread.Citizen, subject string) string {
	t.Helper()
	for limit := time.Now().Add(patience); time.Now().Before(limit); time.Sleep(100 * time.Millisecond) {
		for _, m := range mail(t, c) {
			if found := regexp.MustCompile(`http\S+/enlace\?\S+`).FindString(m.Text); found != "" && m.Subject == subject {
				return found
			}
		}
	}
	t.Fatalf("no link came with %q", subject)
	return ""
}

// TestChangePassword changes a password on the way to a signature, with and
// without JavaScript: the certificate stays, other sessions end, the citizen is
// told, and the signature goes on.
func TestChangePassword(t *testing.T) {
	t.Parallel()
	for name, plain := range map[string]bool{"with scripts": false, "without scripts": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, c := newTab(t), certified(t)
			call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: plain})
			old, r := c.Password, ask(t, c, note())
			open := identified(t, c, r)
			at(t, open, "/revisar")

			b.apply(c, "")
			path := b.address().Path
			b.press(`main a[href^="/contrasena?"]`)
			b.change(c, another)
			if sms := messages(t, c)[0].Text; !strings.Contains(sms, "cambio de su contraseña de firma") {
				t.Errorf("got SMS %q, want it to say what the code is for", sms)
			}
			b.press(`main a.button`)
			b.at(path, "Identifíquese")
			b.fill("identifier", c.Identifier)
			b.fill("password", old)
			b.press(`form button[type=submit]`)
			if got := b.text(".summary"); !strings.Contains(got, "no coinciden") {
				t.Errorf("got %q for the old password, want it refused", got)
			}
			b.open(shared.world.Service + path)
			b.sign(c)

			if err := open.Open(t.Context(), r.SigningURL+"/revisar"); err != nil {
				t.Fatal(err)
			}
			says(t, open, http.StatusForbidden, "Su sesión ha terminado")
			wantCertificates(t, c, 1)
			letter(t, c, "Se ha cambiado su contraseña de firma", "Si no ha sido usted,")
		})
	}
}

func wantCertificates(t *testing.T, c *thread.Citizen, want int) {
	t.Helper()
	got := shared.query(t, `
		SELECT count(*) FROM certificates z JOIN credentials k ON k.id = z.credential_id JOIN citizens p ON p.id = k.citizen_id
		WHERE p.identifier = $1`, c.Identifier)
	if got != want {
		t.Errorf("got %d certificates, want %d", got, want)
	}
}

// letter waits for a mail to the citizen.
func letter(t *testing.T, c *thread.Citizen, subject, sentence string) {
	t.Helper()
	for limit := time.Now().Add(patience); time.Now().Before(limit); time.Sleep(100 * time.Millisecond) {
		for _, m := range mail(t, c) {
			if m.Subject == subject {
				if !strings.Contains(m.Text, sentence) {
					t.Errorf("got a letter without %q:\n%s", sentence, m.Text)
				}
				return
			}
		}
	}
	t.Errorf("got no letter %q", subject)
}

func mail(t *testing.T, c *thread.Citizen) (found []inbox.Message) {
	t.Helper()
	response, err := http.Get(shared.world.Inbox + "/inbox.json?to=" + url.QueryEscape(c.Email))
	if err != nil {
		t.Fatalf("reading the mail: %v", err)
	}
	defer func() { _ = response.Body.Close() }()
	if err := json.NewDecoder(response.Body).Decode(&found); err != nil {
		t.Fatalf("reading the mail: %v", err)
	}
	return found
}

// TestBadChanges types what is wrong on the way to another password.
func TestBadChanges(t *testing.T) {
	t.Parallel()
	c := active(t)
	b := plainBrowser(t)
	open(t, b, shared.world.Service+"/contrasena")
	submit(t, b, form{"identifier": wrongLetter(c.Identifier), "password_now": c.Password})
	says(t, b, http.StatusUnprocessableEntity, "El número y la letra no se corresponden")
	submit(t, b, form{"identifier": c.Identifier, "password_now": another})
	says(t, b, http.StatusUnprocessableEntity, "Le quedan 4 intentos")
	since := time.Now()
	submit(t, b, form{"identifier": c.Identifier, "password_now": c.Password})
	at(t, b, "/contrasena/codigo")
	right := code(t, c, since)
	submit(t, b, form{"code": right[:5]})
	says(t, b, http.StatusUnprocessableEntity, "ocho cifras")
	submit(t, b, form{"code": other(right)})
	says(t, b, http.StatusUnprocessableEntity, "Le quedan 2 intentos")
	open(t, b, shared.world.Service+"/contrasena/nueva")
	at(t, b, "/contrasena/codigo")
	submit(t, b, form{"code": right})
	at(t, b, "/contrasena/nueva")
	for range 2 {
		for _, test := range []struct{ password, again, says string }{
			{another, another + "x", "no son iguales"},
			{"corta-1A", "corta-1A ", "no son iguales"},
			{"Ab-1", "Ab-1", "demasiado corta"},
			{"persianaverde", "persianaverde", "le falta"},
			{"Mi-" + c.Identifier + "-x", "Mi-" + c.Identifier + "-x", "DNI o NIE"},
			{c.Password, c.Password, "Es la misma contraseña que tenía antes."},
		} {
			submit(t, b, form{"password_new": test.password, "password_again": test.again})
			says(t, b, http.StatusUnprocessableEntity, test.says)
		}
	}
	submit(t, b, form{"password_new": another, "password_again": another})
	at(t, b, "/contrasena/enviado")
	open(t, b, link(t, c, "Cambio de su contraseña de firma"))
	submit(t, b, nil)
	at(t, b, "/enlace/hecho")
	c.Password = another
	shared.remember(another)
	sign(t, c, ask(t, c, note()))
}

// TestForgottenPassword reads what will be lost before anything is, and loses
// it: the certificate is revoked, and the signature that waits gets another.
func TestForgottenPassword(t *testing.T) {
	t.Parallel()
	b, c := newTab(t), certified(t)
	b.apply(c, "")
	path := b.address().Path
	b.press(`main a[href^="/contrasena/olvidada"]`)
	b.at("/contrasena/olvidada", "¿Ha olvidado su contraseña?")
	for _, want := range []string{"Perderá su certificado de firma", "Lo que ya ha firmado sigue valiendo."} {
		if got := b.text("main"); !strings.Contains(got, want) {
			t.Errorf("got %q, want %q in it", got, want)
		}
	}
	b.press(`main a.button`)
	wantRevoked(t, c, 0)

	if err := c.Renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.Password = another
	for _, secret := range []string{c.Password, c.Activation, strings.ReplaceAll(c.Activation, "-", "")} {
		shared.remember(secret)
	}
	b.prove(c)
	wantRevoked(t, c, 1)
	b.press(`main a.button`)
	b.at(path, "Identifíquese")
	b.sign(c)
	wantCertificates(t, c, 2)
}

func wantRevoked(t *testing.T, c *thread.Citizen, want int) {
	t.Helper()
	got := shared.query(t, `
		SELECT count(*) FROM certificates z JOIN credentials k ON k.id = z.credential_id JOIN citizens p ON p.id = k.citizen_id
		WHERE p.identifier = $1 AND z.revoked_at IS NOT NULL`, c.Identifier)
	if got != want {
		t.Errorf("got %d certificates revoked, want %d", got, want)
	}
}

// strange is an address in another network than everybody's.
func strange() netip.Addr { return netip.AddrFrom4([4]byte{127, 0, 9, 1}) }

// elsewhere is a browser there.
func elsewhere(t *testing.T) *thread.Browser {
	t.Helper()
	b := plainBrowser(t)
	b.From(strange())
	return b
}

// TestStrangeGuesses has somebody guess from where the citizen has never been:
// they have to wait, and the citizen does not.
func TestStrangeGuesses(t *testing.T) {
	t.Parallel()
	c := active(t)
	r := ask(t, c, note())
	b := elsewhere(t)
	open(t, b, r.SigningURL)
	for _, want := range []string{"Le quedan 4 intentos", "Le quedan 3 intentos", "Le quedan 2 intentos", "Le queda 1 intento"} {
		submit(t, b, form{"identifier": c.Identifier, "password": "Equivocada-7x"})
		says(t, b, http.StatusUnprocessableEntity, want)
	}
	for _, password := range []string{"Equivocada-7x", "Equivocada-7x", c.Password} {
		submit(t, b, form{"identifier": c.Identifier, "password": password})
		says(t, b, http.StatusTooManyRequests, "Espere antes de volver a intentarlo")
	}
	sign(t, c, r)
}
