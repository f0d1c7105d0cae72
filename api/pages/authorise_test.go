package pages_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/api/oauth"
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

func (w *waiting) Decline(context.Context, string) (string, error) {
	w.denied = true
	return w.url + "/?error=access_denied", nil
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
