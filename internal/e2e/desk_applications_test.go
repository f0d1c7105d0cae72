package e2e

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

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

	o.scopes("permisos-service") // what it has a token for is refused all the same
	app.wants(http.StatusForbidden, "scope_missing")
	o.scopes("permisos-service", "permisos-signature")
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
	if n := shared.query(o.T, `SELECT count(*) FROM log_entries WHERE type = 'application.changed' AND operation = $1 AND strpos(convert_from(payload, 'UTF8'), '"reason":"') > 0`, app.id); n != 11 {
		o.Errorf("got %d changes in the log with who and why, want 11", n)
	}
	o.registers(app)
}

// keeper is an application that shows who it is by a key of its own.
type keeper struct {
	*testing.T

	id  string
	key *ecdsa.PrivateKey
}

// draws has it make another key, and gives the public part.
func (k *keeper) draws() string {
	k.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		k.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		k.Fatal(err)
	}
	k.key = key
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// sign makes a JWT.
func (k *keeper) sign(header map[jose.HeaderKey]any, claims map[string]any) string {
	k.Helper()
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: k.key}, &jose.SignerOptions{ExtraHeaders: header})
	if err != nil {
		k.Fatal(err)
	}
	claims["jti"], claims["iat"] = rand.Text(), time.Now().Unix()
	text, err := jwt.Signed(s).Claims(claims).Serialize()
	if err != nil {
		k.Fatal(err)
	}
	return text
}

// enters asks for a token as the FAPI 2.0 security profile wants it: by
// private_key_jwt (OpenID Connect Core 1.0, section 9), bound to the key by DPoP
// (RFC 9449).
func (k *keeper) enters() (status int, kind string) {
	k.Helper()
	address := shared.world.Service + "/oauth/token"
	public := jose.JSONWebKey{Key: k.key.Public()}
	thumbprint, err := public.Thumbprint(crypto.SHA256)
	if err != nil {
		k.Fatal(err)
	}
	kid := base64.RawURLEncoding.EncodeToString(thumbprint)
	form := url.Values{
		"grant_type": {"client_credentials"}, "scope": {"service"}, "client_id": {k.id},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		"client_assertion": {k.sign(map[jose.HeaderKey]any{"kid": kid}, map[string]any{
			"iss": k.id, "sub": k.id, "aud": shared.world.Service, "exp": time.Now().Add(time.Minute).Unix(),
		})},
	}
	request, err := http.NewRequestWithContext(k.Context(), http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		k.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("DPoP", k.sign(map[jose.HeaderKey]any{"typ": "dpop+jwt", "jwk": public}, map[string]any{"htm": http.MethodPost, "htu": address}))
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		k.Fatal(err)
	}
	defer answer.Body.Close() //nolint:errcheck // read below
	var told struct {
		Kind  string `json:"token_type"`
		Error string `json:"error"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&told); err != nil {
		k.Fatal(err)
	}
	return answer.StatusCode, told.Kind + told.Error
}

func (k *keeper) wants(status int, kind string) {
	k.Helper()
	if got, told := k.enters(); got != status || told != kind {
		k.Errorf("the token endpoint says %d %s, want %d %s", got, told, status, kind)
	}
}

// registers has a supervisor register an application by its public key, exchange
// the key without a break, and give a secret to one that has one.
func (o officer) registers(other backEnd) {
	o.Helper()
	app := &keeper{T: o.T}
	o.tab.open(shared.desk + "/mesa/aplicaciones")
	o.press(`a[href$="/aplicaciones/nueva"]`)
	o.at("/mesa/aplicaciones/nueva", "Dar de alta una aplicación")
	app.id = eval[string](o.tab, `document.querySelector("[name=cliente]").value`)
	o.types("direcciones", "https://archivo.example.es/vuelta")
	o.do(chromedp.Click(chromedp.CSS(`[id="permisos-service"]`)))
	named := form{"aplicacion": "Archivo municipal", "organismo": "Ayuntamiento", "contacto": "archivo@example.es"}
	o.types("credencial", "-----BEGIN PRIVATE KEY-----")
	if status := o.submit(named); status != http.StatusUnprocessableEntity {
		o.Errorf("got %d, want it refused with a private key", status)
	}
	o.says("ha salido de la aplicación")
	o.shot("desk-new-application", look{width: desk, whole: true})
	o.types("credencial", app.draws())
	o.send("main form button") // the rest is there still
	o.at("/mesa/aplicaciones/"+app.id, "Archivo municipal")
	o.says("La aplicación está dada de alta", app.id, "https://archivo.example.es/vuelta", "archivo@example.es")
	app.wants(http.StatusOK, "DPoP")

	last, lastID := app.key, o.text("#claves ~ ul code")
	o.press(`a[href$="/clave"]`)
	o.types("clave", app.draws())
	o.send("main form button")
	o.says("La clave está añadida")
	app.wants(http.StatusOK, "DPoP")
	o.press(fmt.Sprintf(`a[href$="fin-clave?de=%s"]`, lastID))
	o.at("/fin-clave", "Cambiar el final de una clave")
	eval[bool](o.tab, `document.querySelector("[name=hasta]").value = "2044-05-31", true`)
	o.send("main form button")
	o.says("El final de la clave ha cambiado", "1 de junio de 2044")
	next := app.key
	app.key = last
	app.wants(http.StatusOK, "DPoP") // both hold meanwhile
	o.press(fmt.Sprintf(`a[href$="quitar-clave?de=%s"]`, lastID))
	o.send("main form button")
	o.says("La clave ya no vale")
	app.wants(http.StatusUnauthorized, "invalid_client")
	app.key = next
	app.wants(http.StatusOK, "DPoP")

	o.tab.open(shared.desk + "/mesa/aplicaciones/" + other.id + "/secreto")
	o.send("main form button")
	o.at("/secreto", "Credenciales de la aplicación")
	o.says("No se guarda en ninguna parte", other.id)
	secret := o.text(".reference code")
	door, err := client.Connect(client.Account{BaseURL: shared.world.Service, ID: other.id, Secret: secret, Scope: "signature"})
	if err != nil {
		o.Fatal(err)
	}
	other.door = door
	other.wants(http.StatusCreated, "")
	o.press("main .actions a")
	o.at("/mesa/aplicaciones/"+other.id, "Padrón de habitantes")
	if strings.Contains(o.text("main"), secret) {
		o.Error("the secret is shown again")
	}
	if n := shared.query(o.T, `SELECT count(*) FROM log_entries WHERE strpos(convert_from(payload, 'UTF8'), $1) > 0`, secret); n != 0 {
		o.Errorf("got the secret in %d entries of the log", n)
	}
	if n := shared.query(o.T, `
		SELECT count(*) FROM log_entries
		WHERE type IN ('application.added', 'application.changed') AND operation = $1 AND strpos(convert_from(payload, 'UTF8'), '"statement":"') > 0`, app.id); n != 5 {
		o.Errorf("got %d entries of what was asked for at the desk, want it registered, with a key, another one, the last one's end, and its removal", n)
	}
}

// types puts a text into an area, as who pastes it.
func (o officer) types(name, text string) {
	o.Helper()
	eval[bool](o.tab, fmt.Sprintf("document.querySelector(`[name=%s]`).value = %q, true", name, text))
}

// limits has those alone ticked that are named.
func (o officer) limits(calls string, ticked ...string) {
	o.Helper()
	o.press(`a[href$="/limites"]`)
	o.ticks(ticked)
	o.submit(form{"llamadas": calls})
	o.says("Los límites han cambiado")
}

// scopes has those alone ticked that are named; nothing is too little.
func (o officer) scopes(ticked ...string) {
	o.Helper()
	o.press(`a[href$="/permisos"]`)
	o.ticks(nil)
	if status := o.submit(form{}); status != http.StatusUnprocessableEntity {
		o.Errorf("got %d, want an application that may ask for nothing refused", status)
	}
	o.says("No ha marcado nada")
	o.ticks(ticked)
	o.submit(form{})
	o.says("Los permisos han cambiado")
}

func (o officer) ticks(ids []string) {
	o.Helper()
	eval[bool](o.tab, `document.querySelectorAll("main [type=checkbox]").forEach(t => t.checked = false), true`)
	for _, id := range ids {
		o.do(chromedp.Click(chromedp.CSS(fmt.Sprintf("[id=%q]", id))))
	}
}

// presents adds a certificate, and returns its fingerprint.
func (o officer) presents(page string) string {
	o.Helper()
	text, fingerprint := ownPaper(o.T)
	o.press(`a[href$="/certificado"]`)
	o.types("certificado", text)
	o.send("main form button")
	o.at(page, "Padrón de habitantes")
	o.says("El certificado está añadido")
	return fingerprint
}
