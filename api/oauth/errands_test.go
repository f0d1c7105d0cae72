package oauth_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// withErrands is an application that may ask for them.
func withErrands(c *signer.Client) { c.Switches = []string{signer.SwitchCredentials} }

// call asks the door of the Cloud Signature Consortium with a bound token.
func (h *house) call(a app, token, path, body string) reply {
	h.Helper()
	r := httptest.NewRequestWithContext(h.Context(), http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "DPoP "+token)
	r.Header.Set("DPoP", h.proof(a, http.MethodPost, issuer+path, token))
	w := httptest.NewRecorder()
	h.handler.ServeHTTP(w, r)
	return replyOf(w)
}

// errand is a token of one that its citizen has done.
func (h *house) errand(a app, scope, credential string) reply {
	h.Helper()
	id := h.begin(a, h.push(a, asking(scope)), "/autorizar/")
	address, err := h.server.Done(h.Context(), id, signer.Citizen{ID: "citizen-1"}, credential)
	h.must(err)
	return h.redeem(a, redeeming(h.codeOf(address)))
}

// TestErrand: what a citizen has done for an application is told to it alone, once.
func TestErrand(t *testing.T) {
	t.Parallel()
	h := build(t)
	a, other := h.add("sede", withErrands), h.add("otra", withErrands)
	for _, scope := range []string{api.ScopeCreation, api.ScopeDeletion} {
		id := h.begin(a, h.push(a, asking(scope)), "/autorizar/")
		if _, err := h.server.Agree(t.Context(), id, signer.Citizen{ID: "citizen-1"}, signer.NewTicket()); err == nil {
			t.Errorf("%s is granted before anything has been done", scope)
		}
		address, err := h.server.Done(t.Context(), id, signer.Citizen{ID: "citizen-1"}, "cred-1")
		h.must(err)
		if _, err := h.server.Done(t.Context(), id, signer.Citizen{ID: "citizen-1"}, "cred-2"); err == nil {
			t.Errorf("%s is granted twice", scope)
		}
		code := h.codeOf(address)
		wantError(t, "another's code", h.redeem(other, redeeming(code)), 400, "invalid_grant")
	}
	got := h.errand(a, api.ScopeDeletion, "cred-1")
	token := got.text("access_token")
	if got.status != http.StatusOK || got.text("scope") != api.ScopeDeletion || got.text("credentialID") != "cred-1" || got.json["refresh_token"] != nil {
		t.Fatalf("got %d %s, want a token for that credential, which is not refreshed", got.status, got.body)
	}
	if me := h.whoami(a, token); me.text("CredentialID") != "cred-1" || me.text("Subject") != "citizen-1" {
		t.Errorf("got %s, want the citizen's credential", me.body)
	}

	const remove, create, list = "/csc/v2/credentials/delete", "/csc/v2/credentials/create", "/csc/v2/credentials/list"
	body := `{"credentialDeletionRequest":{"credentialID":"cred-1"}}`
	wantError(t, "with another's key", h.call(other, token, remove, body), 401, "invalid_token")
	for _, path := range []string{create, list, "/csc/v2/signatures/signHash"} {
		wantError(t, path, h.call(a, token, path, body), 403, "insufficient_scope")
	}
	service := h.redeem(a, redeeming(h.service(a))).text("access_token")
	wantError(t, "with a token of scope service", h.call(a, service, remove, body), 403, "insufficient_scope")
	wantError(t, "another credential", h.call(a, token, remove, strings.Replace(body, "cred-1", "cred-2", 1)), 400, "invalid_request")
	if r := h.call(a, token, remove, body); r.status != http.StatusNoContent {
		t.Errorf("got %d %s, want to hear that it is gone", r.status, r.body)
	}
	if r := h.call(a, token, remove, body); r.status != http.StatusBadRequest || r.text("error_description") != "Invalid parameter SAD" {
		t.Errorf("again: got %d %s", r.status, r.body)
	}

	together := h.whoami(a, h.errand(a, api.ScopeCreation, "cred-1").text("access_token")).text("ID")
	var spent atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if h.server.Spend(t.Context(), together) == nil {
				spent.Add(1)
			}
		})
	}
	all.Wait()
	if got := spent.Load(); got != 1 {
		t.Errorf("a grant was spent %d times by eight at once, want once", got)
	}

	unheard := h.errand(a, api.ScopeDeletion, "cred-1").text("access_token")
	h.sql(`UPDATE applications SET switches = '{}' WHERE id = 'sede'`)
	wantError(t, "the switch off", h.call(a, unheard, remove, body), 403, "insufficient_scope")
}

// TestErrandRefused: errands are asked of citizens, one at a time, by applications
// with the switch.
func TestErrandRefused(t *testing.T) {
	t.Parallel()
	h := build(t)
	a, without := h.add("sede", withErrands), h.add("otra", nil)
	for _, scope := range []string{api.ScopeCreation, api.ScopeDeletion} {
		wantError(t, "without the switch", h.ask(http.MethodPost, "/oauth/par", h.asserted(without, asking(scope))), 400, "invalid_scope")
		wantError(t, "with service", h.ask(http.MethodPost, "/oauth/par", h.asserted(a, asking("service "+scope))), 400, "invalid_scope")
		wantError(t, "for itself", h.redeem(a, url.Values{"grant_type": {"client_credentials"}, "scope": {scope}}), 400, "invalid_scope")
		detailed := asking(scope)
		detailed.Set("authorization_details", details("cred-1"))
		wantError(t, "with details", h.ask(http.MethodPost, "/oauth/par", h.asserted(a, detailed)), 400, "invalid_authorization_details")
	}
	if r := h.redeem(a, url.Values{"grant_type": {"client_credentials"}}); strings.Contains(r.text("scope"), "credential") {
		t.Errorf("for itself, by default: got %s", r.body)
	}

	id := h.begin(a, h.push(a, asking(api.ScopeCreation)), "/autorizar/")
	address, err := h.server.Decline(t.Context(), id, policies.Refuse(policies.CredentialExists))
	h.must(err)
	wantBack(t, address, "access_denied")
	if u, err := url.Parse(address); err != nil || u.Query().Get("error_description") != string(policies.CredentialExists) {
		t.Errorf("got %s, want it to say why", address)
	}
	seen := h.begin(a, h.push(a, asking(api.ScopeService)), "/autorizar/")
	if _, err := h.server.Done(t.Context(), seen, signer.Citizen{ID: "citizen-1"}, "cred-1"); err == nil {
		t.Error("a request of scope service ends with a credential")
	}

	for path, name := range map[string]string{"/oauth/par": "cred-9", "/csc/v2/oauth2/pushed_authorize": "cred-8"} {
		v := asking(api.ScopeDeletion)
		v.Set("credentialID", name)
		r := h.ask(http.MethodPost, path, h.asserted(a, v))
		id := h.begin(a, r.text("request_uri"), "/autorizar/")
		if asked, err := h.server.Asked(t.Context(), id); err != nil || asked.CredentialID != name || asked.Scope != api.ScopeDeletion {
			t.Errorf("%s: got %+v, %v, want the credential that it names", path, asked, err)
		}
	}
	id = h.begin(a, h.push(a, asking(api.ScopeCreation)), "/autorizar/")
	h.sql(`UPDATE applications SET switches = '{}' WHERE id = 'sede'`)
	if _, err := h.server.Asked(t.Context(), id); err == nil {
		t.Error("a citizen is asked for an application whose switch is off")
	}
	h.ahead = time.Hour
	if _, err := h.server.Done(t.Context(), id, signer.Citizen{ID: "citizen-1"}, "cred-1"); err == nil {
		t.Error("a request that has expired ends with a credential")
	}
}
