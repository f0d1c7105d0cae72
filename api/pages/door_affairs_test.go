package pages_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/ca"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// issued is a certificate that ends in so many days.
func issued(days int) *signer.Certificate {
	now := time.Now()
	return &signer.Certificate{Serial: "5f3a91c0", NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(0, 0, days)}
}

func suspended(days int) *signer.Certificate {
	c := issued(days)
	c.RevokedAt, c.Reason = time.Now().Add(-time.Hour), citizen.CertificateHold
	return c
}

// attending is a browser at the page of the citizen's own certificate.
func attending(t *testing.T, c *signer.Certificate, assured time.Time) *house {
	t.Helper()
	h := newHouse(t)
	h.far.certificate, h.far.assured = c, assured
	h.open("/certificado?firma=" + requestID)
	h.says("/certificado", http.StatusOK, "Identifíquese para ver su certificado")
	h.submit(form{"identifier": identifier, "password": present})
	h.says("/certificado/estado", http.StatusOK, "Su certificado de firma")
	return h
}

func (h *house) press(action string) {
	h.Helper()
	if err := h.Press(h.Context(), action); err != nil {
		h.Fatal(err)
	}
}

func (h *house) leads(want bool, address string) {
	h.Helper()
	if got := strings.Contains(strings.ReplaceAll(h.page.String(), "?", `"?`), `href="`+strings.ReplaceAll(address, "?", `"?`)+`"`); got != want {
		h.Errorf("at %s: got a link to %s: %t, want %t", h.URL().Path, address, got, want)
	}
}

// TestOwnCertificate reads each state in plain words, with what can be done
// there and nothing else.
func TestOwnCertificate(t *testing.T) {
	t.Parallel()
	lately, long := time.Now().AddDate(-1, 0, 0), time.Now().AddDate(-6, 0, 0)
	revoked := issued(300)
	revoked.RevokedAt = time.Now().Add(-time.Hour)
	for name, test := range map[string]struct {
		certificate *signer.Certificate
		assured     time.Time
		says        []string
		can         string
	}{
		"in force":                  {issued(300), lately, []string{"En vigor Puede firmar con él.", "5F3A 91C0", "Se puede renovar desde el", "Permite crear certificados hasta", "menos de 5 años"}, "suspender revocar"},
		"ending":                    {issued(41), lately, []string{"caduca pronto", "caduca dentro de 41 días"}, "nuevo suspender revocar"},
		"ending tomorrow":           {issued(1), lately, []string{"caduca dentro de 1 día, el"}, "nuevo suspender revocar"},
		"ending, registration old":  {issued(41), long, []string{"En vigor Puede firmar", "Antes tiene que renovar su registro", "En cualquier oficina de registro, con su DNI o NIE y su móvil.", "con su DNI electrónico", "Permitió crear certificados hasta"}, "suspender revocar"},
		"suspended":                 {suspended(300), lately, []string{"Suspendido Desde el", "Nadie puede firmar con él"}, "levantar revocar"},
		"suspended, old":            {suspended(300), long, []string{"Suspendido", "Antes tiene que renovar su registro"}, "levantar revocar"},
		"suspended until its end":   {suspended(-1), lately, []string{"Caducado"}, "nuevo"},
		"expired":                   {issued(-1), lately, []string{"Caducado", "Crear mi certificado"}, "nuevo"},
		"expired, registration old": {issued(-1), long, []string{"Caducado", "Antes tiene que renovar su registro"}, ""},
		"revoked":                   {revoked, lately, []string{"Revocado Se revocó el"}, "nuevo"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := attending(t, test.certificate, test.assured)
			h.says("/certificado/estado", http.StatusOK, test.says...)
			for _, affair := range []string{"nuevo", "suspender", "levantar", "revocar"} {
				can := strings.Contains(" "+test.can+" ", " "+affair+" ")
				h.leads(can, "/certificado/"+affair)
				h.open("/certificado/" + affair + "?firma=" + requestID)
				if want := map[bool]string{true: "/certificado/" + affair, false: "/certificado/estado"}[can]; h.URL().Path != want {
					t.Errorf("%s: got %s, want %s", affair, h.URL().Path, want)
				}
				h.open("/certificado/estado?firma=" + requestID)
			}
		})
	}
	t.Run("none", func(t *testing.T) {
		t.Parallel()
		h := attending(t, issued(300), lately)
		h.far.set(func() {
			for _, v := range h.far.tickets {
				v.Credential, v.Certified = &signer.Credential{State: signer.Empty}, false
			}
		})
		h.open("/certificado/estado")
		h.says("/certificado/estado", http.StatusOK, "No tiene certificado de firma", "Crear mi certificado")
		h.leads(true, "/certificado/nuevo")
		h.leads(false, "/certificado/revocar")
	})
}

// TestAffairs carries each through: what it does is told before, the code is
// asked for, what was done is told after, and back, reload and a form sent twice
// do nothing more.
func TestAffairs(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		affair      string
		certificate *signer.Certificate
		before      string
		code, done  string
		reason      string
		want        citizen.CertificateChange // no purpose: another certificate
	}{
		"renew":   {"nuevo", issued(30), "La clave anterior se destruye.", "para renovar su certificado", "Ha renovado su certificado de firma", "", citizen.CertificateChange{}},
		"suspend": {"suspender", issued(300), "Se puede deshacer.", "para suspender su certificado", "Ha suspendido su certificado de firma", "", citizen.CertificateChange{Purpose: signer.ForSuspension}},
		"release": {"levantar", suspended(300), "no la levante: revóquelo.", "para levantar la suspensión", "Ha levantado la suspensión", "", citizen.CertificateChange{Purpose: signer.ForRelease}},
		"revoke":  {"revocar", issued(300), "Perderá también su contraseña", "para revocar su certificado", "Ha revocado su certificado de firma", "otro", citizen.CertificateChange{Purpose: signer.ForRevocation}},
		"revoke, the key not trusted": {
			"revocar", suspended(300), "pedir un código de activación en una oficina", "para revocar su certificado", "su contraseña ya no vale", "clave",
			citizen.CertificateChange{Purpose: signer.ForRevocation, Reason: citizen.KeyCompromise},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := attending(t, test.certificate, time.Now())
			path := "/certificado/" + test.affair
			h.open(path + "?firma=" + requestID)
			h.says(path, http.StatusOK, test.before, "Todavía no se hace nada.")
			if test.reason == "" {
				h.press(path)
			} else {
				h.submit(form{"motivo": test.reason})
			}
			h.says(path+"/codigo", http.StatusOK, test.code, "421")
			h.open(path + "/codigo?" + h.URL().RawQuery) // reload
			h.submit(form{"code": "1234"})
			h.says(path+"/codigo", http.StatusUnprocessableEntity, "ocho cifras")
			h.submit(form{"code": wrongCode})
			h.says(path+"/codigo", http.StatusUnprocessableEntity, "El código no coincide. Le quedan 2 intentos.")
			twice := *h.Browser
			h.submit(form{"code": rightCode})
			h.says("/certificado/hecho", http.StatusOK, test.done, "Lo que ya ha firmado conserva su validez.")
			h.leads(test.want.Purpose != signer.ForRevocation, "/firma/"+requestID)
			h.Browser = &twice
			h.submit(form{"code": rightCode})
			h.says("/certificado/hecho", http.StatusOK, test.done)
			for _, again := range []string{"/certificado/estado", path, path + "/codigo"} {
				h.open(again)
				h.says("/certificado/hecho", http.StatusOK, test.done)
			}
			h.changed(test.want)
		})
	}
}

// changed checks what was done to the certificate, once.
func (h *house) changed(want citizen.CertificateChange) {
	h.Helper()
	if want.Purpose == "" {
		if len(h.far.changes) != 0 || h.far.certificate.Serial != "0b" {
			h.Errorf("got %+v and the serial %s, want another certificate", h.far.changes, h.far.certificate.Serial)
		}
		return
	}
	if len(h.far.changes) != 1 || h.far.changes[0].Purpose != want.Purpose || h.far.changes[0].Reason != want.Reason {
		h.Errorf("got %+v, want %s with reason %d, once", h.far.changes, want.Purpose, want.Reason)
	}
}

// TestAffairNeedsItsSession has neither a stranger, nor a form of another
// site's making, nor an older session do anything, and says how to go on.
func TestAffairNeedsItsSession(t *testing.T) {
	t.Parallel()
	stranger := newHouse(t)
	for _, path := range []string{"/certificado/estado", "/certificado/hecho", "/certificado/revocar", "/certificado/revocar/codigo"} {
		stranger.open(path + "?firma=" + requestID)
		stranger.says(path, http.StatusForbidden, "Su sesión ha terminado", "identifíquese otra vez para ver cómo está su certificado")
		stranger.leads(true, "/certificado?firma="+requestID)
	}

	forger := attending(t, issued(300), time.Now())
	forger.open("/certificado/suspender")
	forger.submit(form{"guard": "0000"})
	forger.says("/certificado/suspender", http.StatusForbidden, "Su sesión ha terminado")

	replaced := attending(t, issued(300), time.Now())
	replaced.open("/certificado/suspender")
	replaced.press("/certificado/suspender")
	replaced.far.set(func() {
		for _, v := range replaced.far.tickets {
			v.Spent, v.SpentAt = true, time.Now()
		}
	})
	replaced.submit(form{"code": rightCode})
	replaced.says("/certificado/hecho", http.StatusForbidden, "Su sesión ha terminado")
	for _, h := range []*house{forger, replaced} {
		if len(h.far.changes) != 0 {
			t.Errorf("got %+v, want nothing done", h.far.changes)
		}
	}
}

// A session at one door opens no other.
func TestAffairsKeepToTheirDoor(t *testing.T) {
	t.Parallel()
	h := attending(t, issued(300), time.Now())
	for _, path := range []string{"/contrasena/nueva", "/firma/" + requestID + "/revisar"} {
		h.open(path)
		h.says(path, http.StatusForbidden, "Su sesión ha terminado")
	}
	h.open("/certificado")
	h.says("/certificado/estado", http.StatusOK)
}

// TestAffairWithoutSMS goes on where the operator has failed.
func TestAffairWithoutSMS(t *testing.T) {
	t.Parallel()
	h := attending(t, issued(300), time.Now())
	h.far.set(func() { h.far.sends = policies.Refuse(policies.SMSFailed) })
	h.open("/certificado/revocar")
	h.submit(form{"motivo": "clave"})
	h.says("/certificado/revocar", http.StatusServiceUnavailable, "No hemos podido enviarle el SMS", "¿Le enviamos un código al móvil?")
	h.open("/certificado/revocar/codigo")
	h.says("/certificado/revocar", http.StatusOK, "¿Por qué lo revoca?")
	h.submit(form{"motivo": "clave"})
	h.says("/certificado/revocar/codigo", http.StatusOK)
	h.press("/certificado/revocar") // another
	h.says("/certificado/revocar/codigo", http.StatusOK)
	h.submit(form{"code": rightCode})
	h.says("/certificado/hecho", http.StatusOK, "Ha revocado su certificado de firma")
	h.changed(citizen.CertificateChange{Purpose: signer.ForRevocation, Reason: citizen.KeyCompromise})
}

// A certificate that was begun and never made is no certificate.
func TestRenewalThatFailed(t *testing.T) {
	t.Parallel()
	h := attending(t, issued(30), time.Now())
	h.open("/certificado/nuevo")
	h.press("/certificado/nuevo")
	h.far.set(func() {
		for hash, v := range h.far.tickets {
			v.Spent, v.SpentAt = true, time.Now()
			h.far.codes[hash+string(signer.ForCertificate)].State = signer.CodeConsumed
		}
	})
	h.open("/certificado/nuevo/codigo")
	h.says("/certificado/hecho", http.StatusServiceUnavailable, "El servicio no está disponible")
}

// TestHome names the authorities behind signatures, all that there have been,
// and leads to the own certificate.
func TestHome(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []ca.Member{{Name: "root", Role: ca.RoleRoot}, {Name: "issuing-1", Role: ca.RoleIssuing}, {Name: "ocsp-1", Role: ca.RoleOCSP}, {Name: "issuing-2", Role: ca.RoleIssuing}, {Name: "issuing-3", Role: ca.RoleIssuing, RevokedAt: time.Now()}} {
		template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Autoridad " + m.Name}, NotAfter: time.Now()}
		if m.DER, err = x509.CreateCertificate(rand.Reader, template, template, key.Public(), key); err != nil {
			t.Fatal(err)
		}
		h.far.hierarchy = append(h.far.hierarchy, m)
	}
	h.open("/")
	h.says("/", http.StatusOK, "Autoridad root", "Autoridad issuing-1", "Autoridad issuing-2")
	for address, want := range map[string]bool{
		"/ca/root.cer": true, "/ca/issuing-1.cer": true, "/ca/issuing-2.cer": true, "/ca/issuing-3.cer": false, "/ca/ocsp-1.cer": false, "/certificado": true, "/contrasena": true,
	} {
		h.leads(want, address)
	}
}

// TestCeremonyOfAnEndingCertificate offers to renew, and lets who does not want
// to sign.
func TestCeremonyOfAnEndingCertificate(t *testing.T) {
	t.Parallel()
	at := "/firma/" + requestID
	identified := func(t *testing.T, c *signer.Certificate) *house {
		t.Helper()
		h := newHouse(t)
		h.far.certificate = c
		h.open(at)
		h.submit(form{"identifier": identifier, "password": present})
		return h
	}
	t.Run("renews", func(t *testing.T) {
		t.Parallel()
		h := identified(t, issued(12))
		h.open(at + "/certificado")
		h.says(at+"/certificado", http.StatusOK, "¿Quiere renovar ahora su certificado de firma?", "caduca dentro de 12 días", "Firmar con el que tengo")
		h.leads(true, at+"/revisar")
		h.press("/certificado")
		h.says(at+"/certificado/codigo", http.StatusOK, "Firmar con el que tengo")
		if err := h.Submit(t.Context(), form{"code": rightCode}); err != nil {
			t.Fatal(err)
		}
		if h.URL().Path != at+"/revisar" || h.far.certificate.Serial != "0b" {
			t.Errorf("got %s and the serial %s, want the documents and another certificate", h.URL().Path, h.far.certificate.Serial)
		}
		h.open(at + "/certificado")
		if h.URL().Path != at+"/revisar" {
			t.Errorf("got %s, want no second renewal", h.URL().Path)
		}
	})
	t.Run("too early", func(t *testing.T) {
		t.Parallel()
		h := identified(t, issued(200))
		h.open(at + "/certificado")
		if h.URL().Path != at+"/revisar" {
			t.Errorf("got %s, want the documents", h.URL().Path)
		}
	})
	t.Run("expired", func(t *testing.T) {
		t.Parallel()
		h := identified(t, issued(-1))
		h.says(at+"/certificado", http.StatusOK, "Cree otro certificado de firma", "caducó el", "conserva su validez")
		h.leads(true, at+"/rechazar")
	})
	t.Run("suspended", func(t *testing.T) {
		t.Parallel()
		h := identified(t, suspended(200))
		h.says(at+"/certificado", http.StatusForbidden, "Su certificado de firma está suspendido", "levante antes la suspensión", "podrá firmar hasta el")
		h.leads(true, "/certificado?firma="+requestID)
		h.open(at + "/revisar")
		h.says(at+"/certificado", http.StatusForbidden)
	})
}
