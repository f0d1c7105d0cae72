package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/rubrica-firma/rubrica/api/rest/client"
	"github.com/rubrica-firma/rubrica/internal/thread"
)

// backEnd is an application that asks for a note's signature.
type backEnd struct {
	*testing.T

	id    string
	door  *client.ClientWithResponses
	order client.NewSignatureRequest
}

// newBackEnd has one registered at the command line, which browsers do not come
// back to yet.
func newBackEnd(t *testing.T, name string) backEnd {
	t.Helper()
	account := newApplication(t, name, "--return-url", "https://padron.example.es/")
	door, err := client.Connect(client.Account{BaseURL: shared.world.Service, ID: account.ID, Secret: account.Secret, Scope: "signature"})
	if err != nil {
		t.Fatal(err)
	}
	return backEnd{t, account.ID, door, order(registered(t), note())}
}

// newApplication registers one at the command line.
func newApplication(t *testing.T, name string, more ...string) (account thread.Account) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "application.json")
	cli(t, append([]string{"app", "add", "--name", name, "--organisation", "Ayuntamiento", "--output", file}, more...)...)
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, &account)
	}
	if err != nil {
		t.Fatal(err)
	}
	return account
}

// asks gives the status and the code of the refusal, if it is one.
func (b backEnd) asks() (status int, code string) {
	b.Helper()
	answer, err := b.door.CreateSignatureRequestWithResponse(b.Context(), &client.CreateSignatureRequestParams{IdempotencyKey: rand.Text()}, b.order)
	if err != nil {
		b.Fatal(err)
	}
	if problem, is := errors.AsType[*client.Problem](client.Check(answer, nil)); is {
		code = problem.Code
	}
	return answer.StatusCode(), code
}

func (b backEnd) wants(status int, code string) {
	b.Helper()
	if got, why := b.asks(); got != status || why != code {
		b.Errorf("the application is answered %d %s, want %d %s", got, why, status, code)
	}
}

// ownPaper is a certificate of an application's own making, with its fingerprint.
func ownPaper(t *testing.T) (text, fingerprint string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(now.UnixNano()), NotBefore: now, NotAfter: now.AddDate(2, 0, 0)},
		&x509.Certificate{}, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(der)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), hex.EncodeToString(sum[:])
}

// administers has a supervisor change all that an application may do. What is
// saved holds for its next call.
func (o officer) administers() {
	o.Helper()
	app := newBackEnd(o.T, "Padrón de habitantes")
	page := "/mesa/aplicaciones/" + app.id
	o.tab.open(shared.desk + "/mesa/aplicaciones")
	if o.address().Path == "/mesa/motivo" {
		o.submit(form{"motivo": "La sede cambia de proveedor"})
	}
	o.at("/mesa/aplicaciones", "Aplicaciones")
	o.says("Padrón de habitantes", app.id)
	o.shot("desk-applications", look{width: desk})
	o.press(fmt.Sprintf(`a[href=%q]`, page))
	o.at(page, "Padrón de habitantes")

	app.wants(http.StatusUnprocessableEntity, "return_address_unknown")
	o.press(`a[href$="/direccion"]`)
	if status := o.submit(form{"direccion": "sede.example.es"}); status != http.StatusUnprocessableEntity {
		o.Errorf("got %d, want half an address refused", status)
	}
	o.says("Revise la dirección")
	o.submit(form{"direccion": shared.world.ReturnURL})
	o.at(page, "Padrón de habitantes")
	o.says("La dirección está añadida", shared.world.ReturnURL)
	app.wants(http.StatusCreated, "")

	o.limits("", "puertas-csc-v2")
	o.says("CSC, versión 2")
	app.wants(http.StatusForbidden, "door_not_allowed")
	o.limits("1", "puertas-csc-v2", "puertas-rest", "niveles-B-B")
	app.order.Documents[0].Level = new(client.LevelT)
	app.wants(http.StatusForbidden, "level_not_allowed")
	app.order.Documents[0].Level = nil
	eventually(o.T, "an application that hurries is told to wait", func() bool { _, code := app.asks(); return code == "rate_limited" })
	o.limits("", "puertas-rest", "niveles-B-B")

	old, fresh := o.presents(page), o.presents(page)
	o.says(old, fresh) // both hold while one takes the place of the other
	o.shot("desk-application", look{width: desk, whole: true})
	o.press(fmt.Sprintf(`a[href$="quitar-certificado?de=%s"]`, old))
	o.says(old, "nadie podrá entrar con este certificado")
	o.shot("desk-change", look{width: desk})
	o.send("main form button")
	o.at(page, "Padrón de habitantes")
	o.says("El certificado ya no vale", fresh)
	if n := shared.query(o.T, `SELECT count(*) FROM application_certificates WHERE application_id = $1`, app.id); n != 1 {
		o.Errorf("got %d certificates, want the new one", n)
	}

	app.wants(http.StatusCreated, "")
	o.press(`a[href$="/desactivar"]`)
	o.send("main form button")
	o.says("La aplicación está desactivada")
	app.wants(http.StatusUnauthorized, "application_unknown") // with the token that it has
	o.press(`a[href$="/activar"]`)
	o.send("main form button")
	o.says("La aplicación puede entrar otra vez")
	app.wants(http.StatusCreated, "")
	if n := shared.query(o.T, `SELECT count(*) FROM log_entries WHERE type = 'application.changed' AND operation = $1 AND strpos(convert_from(payload, 'UTF8'), '"reason":"') > 0`, app.id); n != 9 {
		o.Errorf("got %d changes in the log with who and why, want 9", n)
	}
}

// limits has those alone ticked that are named.
func (o officer) limits(calls string, ticked ...string) {
	o.Helper()
	o.press(`a[href$="/limites"]`)
	eval[bool](o.tab, `document.querySelectorAll("main [type=checkbox]").forEach(t => t.checked = false), true`)
	for _, id := range ticked {
		o.do(chromedp.Click(chromedp.CSS(fmt.Sprintf("[id=%q]", id))))
	}
	o.submit(form{"llamadas": calls})
	o.says("Los límites han cambiado")
}

// presents adds a certificate, and returns its fingerprint.
func (o officer) presents(page string) string {
	o.Helper()
	text, fingerprint := ownPaper(o.T)
	o.press(`a[href$="/certificado"]`)
	eval[bool](o.tab, fmt.Sprintf(`document.querySelector("[name=certificado]").value = %q, true`, text))
	o.send("main form button")
	o.at(page, "Padrón de habitantes")
	o.says("El certificado está añadido")
	return fingerprint
}
