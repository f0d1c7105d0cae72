package pages_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/api/oauth"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// waiting is an authorisation server at which one application waits, for one
// citizen's answer or for the consent to one signature request.
type waiting struct {
	url     string // where the application is: for a browser of tests, here
	asked   oauth.Asked
	agreed  string // by whom
	denied  bool
	why     *policies.Refusal
	done    []string // who, and with which credential
	consent string
}

func (w *waiting) Asked(_ context.Context, id string) (oauth.Asked, error) {
	if id != "abc" || w.agreed != "" || w.denied {
		return oauth.Asked{}, policies.Refuse(policies.RequestUnknown)
	}
	return w.asked, nil
}

func (w *waiting) Agree(_ context.Context, _ string, who signer.Citizen, _ signer.Ticket) (string, error) {
	w.agreed = who.Identifier
	return w.url + "/?code=x", nil
}

func (w *waiting) Decline(_ context.Context, _ string, why *policies.Refusal) (string, error) {
	w.denied, w.why = true, why
	return w.url + "/?error=access_denied", nil
}

func (w *waiting) Done(_ context.Context, _ string, who signer.Citizen, credentialID string) (string, error) {
	w.done = append(w.done, who.Identifier+" "+credentialID)
	return w.url + "/?code=x", nil
}

func (w *waiting) Denied(_ context.Context, id string, why *policies.Refusal) (string, error) {
	if w.denied = why == nil; id != requestID {
		return "", policies.Refuse(policies.RequestUnknown)
	}
	return w.url + "/?error=access_denied", nil
}

func (w *waiting) Waiting(_ context.Context, id string) (string, error) {
	if id != requestID {
		return "", policies.Refuse(policies.RequestUnknown)
	}
	return "https://aplicacion.example.es/vuelta", nil
}

func (w *waiting) Granted(_ context.Context, _ string, sad signer.SAD, _ time.Time) (string, error) {
	w.consent = sad.Encode()
	return w.url + "/?code=x", nil
}

func TestAuthorise(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.apps.asked = oauth.Asked{
		Client: signer.Client{Name: "Portafirmas", Organisation: "Diputación"}, Scope: "service", Days: 30, Return: "https://aplicacion.example.es/vuelta",
	}
	h.open("/autorizar/abc")
	h.says("/autorizar/abc", http.StatusOK, "Portafirmas", "Diputación", "podrá ver", "30 días", "No autorizar")
	h.submit(form{"identifier": identifier, "password": "Otra-contraseña-9"})
	h.says("/autorizar/abc", http.StatusUnprocessableEntity, "no coinciden")
	if h.apps.agreed != "" {
		t.Fatal("a wrong password agreed")
	}
	h.apps.asked.Account = "87654321X"
	h.submit(form{"identifier": identifier, "password": present})
	h.says("/autorizar/abc", http.StatusUnprocessableEntity, "otra persona")
	if h.apps.agreed != "" {
		t.Fatal("another citizen agreed than the one who is asked")
	}
	h.apps.asked.Account = identifier
	h.submit(form{"identifier": identifier, "password": present})
	h.says("/", http.StatusOK)
	if h.URL().Query().Get("code") != "x" || h.apps.agreed != identifier {
		t.Errorf("got %s for %q, want the application's address, for whoever logged in", h.URL(), h.apps.agreed)
	}
	h.open("/autorizar/abc")
	h.says("/autorizar/abc", http.StatusNotFound)

	h.apps.agreed = ""
	response, err := http.Get(h.url + "/autorizar/abc")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close() //nolint:errcheck // a test's
	if policy := response.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "form-action 'self' https://aplicacion.example.es;") {
		t.Errorf("got %q, want the form to be let through to the application", policy)
	}
}

// A consent over hashes for which an application waits is handed on, not spent.
func TestConsentHandedOn(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.far.signs = func(context.Context) error {
		t.Error("the consent was spent here")
		return nil
	}
	h.far.request.Documents = []signer.Document{{Ordinal: 1, Name: "Solicitud", Format: signer.Hash, Hash: signer.SHA256}}
	h.confirm()
	h.submit(form{"code": rightCode})
	h.says("/", http.StatusOK)
	if h.URL().Query().Get("code") != "x" || h.apps.consent != h.far.sad.Encode() {
		t.Errorf("got %s, want the application's address, and the consent handed on", h.URL())
	}
	if strings.Contains(h.seen.String(), h.far.sad.Encode()) || strings.Contains(h.logged.String(), h.far.sad.Encode()) {
		t.Error("the consent is in a page, an address or the log")
	}
	h.far.request.State = signer.Refused
	h.open("/autorizar?request=" + requestID + "&state=refused")
	h.says("/", http.StatusOK)
	if h.URL().Query().Get("error") != "access_denied" || !h.apps.denied {
		t.Errorf("got %s, want the application to hear of the refusal", h.URL())
	}
}

// errands is a browser of a citizen whom an application asks for something.
func errands(t *testing.T, scope string, c *signer.Certificate) *house {
	t.Helper()
	h := newHouse(t)
	h.far.certificate = c
	h.apps.asked = oauth.Asked{
		Client: signer.Client{ID: "portafirmas", Name: "Portafirmas", Organisation: "Diputación"}, Scope: scope, Return: "https://aplicacion.example.es/vuelta",
	}
	h.open("/autorizar/abc")
	h.says("/autorizar/abc", http.StatusOK, "Portafirmas", "Diputación", "No autorizar")
	h.submit(form{"identifier": identifier, "password": "Otra-contraseña-9"})
	h.says("/autorizar/abc", http.StatusUnprocessableEntity, "no coinciden")
	h.submit(form{"identifier": identifier, "password": present})
	return h
}

// What an application asks for is told before, needs the code, is done once, and
// then the application hears of it.
func TestErrand(t *testing.T) {
	t.Parallel()
	for scope, test := range map[string]struct {
		certificate  *signer.Certificate
		before, code string
		fill         form
	}{
		"credential_creation": {issued(-1), "¿Quiere crear su certificado de firma?", "para crear su certificado", form{}},
		"credential_deletion": {issued(300), "Perderá también su contraseña", "para revocar su certificado", form{"motivo": "clave"}},
	} {
		t.Run(scope, func(t *testing.T) {
			t.Parallel()
			h := errands(t, scope, test.certificate)
			const at = "/autorizar/abc/certificado"
			h.says(at, http.StatusOK, test.before, "Todavía no se hace nada.", "No autorizar")
			if head := h.page.String(); !strings.Contains(head, "Portafirmas") || !strings.Contains(head, "Diputación") || strings.Contains(head, "Le pide una firma") {
				t.Error("the page does not say who asks")
			}
			if len(test.fill) > 0 {
				h.submit(test.fill)
			} else {
				h.press(at)
			}
			h.says(at+"/codigo", http.StatusOK, test.code, "No autorizar")
			h.submit(form{"code": wrongCode})
			h.says(at+"/codigo", http.StatusUnprocessableEntity, "El código no coincide.")
			if h.far.orderedBy != "portafirmas" || len(h.apps.done) != 0 || len(h.far.changes) != 0 {
				t.Fatalf("a wrong code: ordered by %q, done %v, changed %v", h.far.orderedBy, h.apps.done, h.far.changes)
			}
			twice := *h.Browser
			h.submit(form{"code": rightCode})
			h.says("/", http.StatusOK)
			if h.URL().Query().Get("code") != "x" || len(h.apps.done) != 1 || h.apps.done[0] != identifier+" CRED" {
				t.Errorf("got %s for %v, want the application's address, for whoever confirmed", h.URL(), h.apps.done)
			}
			h.Browser = &twice // who comes back before the application has heard is sent on
			h.submit(form{"code": rightCode})
			if h.URL().Query().Get("code") != "x" || len(h.apps.done) != 2 {
				t.Errorf("the form again: got %s", h.URL())
			}
			if scope == "credential_creation" {
				h.changed(citizen.CertificateChange{})
			} else {
				h.changed(citizen.CertificateChange{Purpose: signer.ForRevocation, Reason: citizen.KeyCompromise})
			}
		})
	}
}

// Who cannot, or does not want to, is told so, and the application hears why.
func TestErrandNotDone(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		scope, named string
		certificate  *signer.Certificate
		assured      time.Time
		want         policies.Code
	}{
		"a certificate in force":   {"credential_creation", "", issued(300), time.Now(), policies.CredentialExists},
		"one that ends soon":       {"credential_creation", "", issued(20), time.Now(), policies.CredentialExists},
		"one on hold":              {"credential_creation", "", suspended(300), time.Now(), policies.CertificateSuspended},
		"an old registration":      {"credential_creation", "", issued(-1), time.Now().AddDate(-6, 0, 0), policies.RegistrationTooOld},
		"nothing to give up":       {"credential_deletion", "", issued(-1), time.Now(), policies.CertificateExpired},
		"somebody else's":          {"credential_deletion", "OTHER", issued(300), time.Now(), policies.CredentialMissing},
		"one's own, by its number": {"credential_deletion", "CRED", issued(300), time.Now(), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			h.far.certificate, h.far.assured = test.certificate, test.assured
			h.apps.asked = oauth.Asked{Client: signer.Client{ID: "app"}, Scope: test.scope, CredentialID: test.named, Return: "https://aplicacion.example.es/vuelta"}
			h.open("/autorizar/abc")
			h.submit(form{"identifier": identifier, "password": present})
			if test.want == "" {
				h.says("/autorizar/abc/certificado", http.StatusOK)
				h.press("/autorizar/abc/no")
				h.says("/", http.StatusOK)
			} else {
				h.says("/autorizar/abc", http.StatusForbidden, "Volver a la aplicación")
				h.leads(true, h.url+"/?error=access_denied")
			}
			if h.apps.why == nil != (test.want == "") || h.apps.why != nil && h.apps.why.Code != test.want || !h.apps.denied || len(h.far.changes) != 0 {
				t.Errorf("the application hears %v, want %q", h.apps.why, test.want)
			}
		})
	}
	h := newHouse(t)
	h.apps.asked = oauth.Asked{Scope: "credential_deletion"}
	for _, path := range []string{"/autorizar/abc/certificado", "/autorizar/abc/certificado/codigo"} {
		h.open(path)
		h.says(path, http.StatusForbidden, "Su sesión ha terminado")
		h.leads(true, "/autorizar/abc")
	}
	h.apps.asked.Scope = "service"
	h.open("/autorizar/abc/certificado")
	h.says("/autorizar/abc", http.StatusOK)
}
