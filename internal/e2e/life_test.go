package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/internal/thread"
)

// onLine is the person of the environment's certificates, whom no office knows,
// with a browser that has the certificate of the DNIe.
func onLine(t *testing.T) (*thread.Citizen, *thread.Browser) {
	t.Helper()
	c := stranger(t)
	c.Identifier = "12345678Z"
	dir := filepath.Join(shared.dir, "registrar")
	own, err := tls.LoadX509KeyPair(filepath.Join(dir, "ana-dnie.pem"), filepath.Join(dir, "ana-dnie.key"))
	if err != nil {
		t.Fatal(err)
	}
	authority, err := os.ReadFile(filepath.Join(dir, "tls-ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority)
	b := plainBrowser(t)
	b.Show(own, pool)
	return c, b
}

// visit goes from page to page, and says where it stopped.
type visit struct {
	*testing.T
	*thread.Browser
	citizen *thread.Citizen
	since   time.Time // of the last code that was asked for
}

func (w *visit) open(path string) { w.Helper(); open(w.T, w.Browser, shared.world.Service+path) }

func (w *visit) submit(fields form) {
	w.Helper()
	w.since = time.Now()
	if err := w.Submit(w.Context(), fields); err != nil {
		w.Fatal(err)
	}
}

// press sends the form whose action ends like this.
func (w *visit) press(action string) {
	w.Helper()
	w.since = time.Now()
	if err := w.Press(w.Context(), action); err != nil {
		w.Fatal(err)
	}
}

// at checks where the browser is, and that the page has words for it.
func (w *visit) at(path, word string) {
	w.Helper()
	if got := w.URL().Path; got != path {
		w.Fatalf("got %s (status %d), want %s: %s", got, w.Status(), path, w.Text())
	}
	if !strings.Contains(w.Text(), word) {
		w.Errorf("%s does not say %q: %s", path, word, w.Text())
	}
}

// code types the code that came since the last form.
func (w *visit) code() {
	w.Helper()
	code, err := w.citizen.Code(w.Context(), w.since)
	if err != nil {
		w.Fatal(err)
	}
	if err := w.Submit(w.Context(), form{"code": code}); err != nil {
		w.Fatal(err)
	}
}

// show goes to the certificate door and back.
func (w *visit) show(procedure string) {
	w.Helper()
	w.open("/con-certificado/" + procedure)
	w.at("/certificado", "12345678Z")
	w.press("/certificado")
}

// TestLife walks a life without an office: registration with the DNIe, password,
// certificate, signature, Cl@ve PIN, the own pages, another mobile, renewal, an
// alarm, and leaving.
func TestLife(t *testing.T) {
	t.Parallel()
	c, b := onLine(t)
	w := &visit{T: t, Browser: b, citizen: c}
	until := time.Now().AddDate(5, 0, 0).Format("02/01/2006")

	w.show("registro")
	w.at("/registro/datos", "ANA NÚÑEZ PÉREZ")
	w.submit(form{"mobile": "600", "contact_email": "ana", "document_until": "ayer"})
	w.at("/registro/datos", "correo")
	w.submit(form{"mobile": c.Phone, "contact_email": c.Email, "document_until": until})
	w.at("/registro/codigo", "")
	w.code()
	if c.Activation = regexp.MustCompile(`[0-9A-Z]{4}(-[0-9A-Z]{4})+`).FindString(w.Text()); c.Activation == "" {
		t.Fatalf("no activation code at %s (%d): %s", w.URL(), w.Status(), w.Text())
	}
	shared.remember(c.Activation)
	if err := c.Activate(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := ask(t, c, note())
	sign(t, c, r)

	w.open("/pin")
	w.submit(form{"identifier": c.Identifier, "document_until": until, "access_key": "a1b2"})
	w.at("/pin/codigo", "PIN")
	pin := w.pin()
	w.submit(form{"access_key": "a1b2", "pin": pin})
	w.at("/mi", "Mis páginas")
	w.open("/mi/baja") // a PIN changes nothing
	if w.URL().Path != "/mi/entrar" {
		t.Errorf("leaving with a PIN: got %s, want to be asked for the password: %s", w.URL(), w.Text())
	}
	w.open("/mi/firmas/" + r.ID)
	w.at("/mi/firmas/"+r.ID, "Solicitud de ayuda")

	w.show("renovacion")
	w.at("/renovar/datos", "")
	w.submit(form{"document_until": until})
	w.at("/renovar/datos", "renova")

	old := c.Phone
	w.show("movil")
	w.at("/movil/datos", "")
	c.Phone = stranger(t).Phone
	w.submit(form{"mobile": c.Phone})
	w.at("/movil/codigo", "")
	w.code()
	w.at("/movil/codigo", "72")
	eventually(t, "the old mobile is told", func() bool { return strings.Contains(texts(t, old), "este movil ya no es") })

	// The change has ended every session. Who reports a misuse keeps this one.
	w.open("/mi/baja")
	w.submit(form{"identifier": c.Identifier, "password": c.Password})
	w.at("/mi/baja", "")
	w.open("/mi/no-he-sido-yo?firma=" + r.ID)
	w.at("/mi/no-he-sido-yo", "")
	w.press("/mi/no-he-sido-yo")
	w.at("/mi/incidencias", "")
	w.open("/certificado")
	w.open("/mi/baja")
	w.at("/mi/baja", "")
	w.press("/mi/baja")
	w.at("/mi/baja/codigo", "")
	w.code()
	w.at("/mi/baja/hecho", "baja")
	if err := c.Sign(t.Context(), ask(t, c, note()).SigningURL, thread.Walk{}); err == nil {
		t.Error("somebody who has left signs")
	}
	w.show("registro")
	w.at("/registro/datos", "")
}

// pin waits for the PIN that came to the phone.
func (w *visit) pin() string {
	w.Helper()
	for limit := time.Now().Add(patience); time.Now().Before(limit); time.Sleep(50 * time.Millisecond) {
		if found := regexp.MustCompile(`PIN es ([0-9A-Z -]+)\.`).FindStringSubmatch(texts(w.T, w.citizen.Phone)); found != nil {
			return found[1]
		}
	}
	w.Fatalf("no PIN came: %s", texts(w.T, w.citizen.Phone))
	return ""
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
