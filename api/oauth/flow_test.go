package oauth_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

func TestService(t *testing.T) {
	t.Parallel()
	h := build(t)
	a := h.add("sede", nil)
	r := h.redeem(a, redeeming(h.service(a)))
	if r.status != http.StatusOK || r.text("token_type") != "DPoP" || r.text("scope") != "service" || len(r.text("refresh_token")) != 43 {
		t.Fatalf("got %d %s, want a bound token and a refresh token", r.status, r.body)
	}
	token, refresh := r.text("access_token"), r.text("refresh_token")
	me := h.whoami(a, token)
	if me.status != http.StatusOK || me.text("Subject") != "citizen-1" || !strings.Contains(me.body, `"Scopes":["service"]`) {
		t.Errorf("got %d %s, want the citizen's grant", me.status, me.body)
	}
	again := h.redeem(a, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}})
	if again.status != http.StatusOK || again.text("access_token") == token {
		t.Fatalf("refreshing: got %d %s, want another token", again.status, again.body)
	}
	info := h.ask(http.MethodPost, "/oauth/introspect", h.asserted(a, url.Values{"token": {token}}))
	if info.json["active"] != true || info.text("sub") != "citizen-1" || info.text("client_id") != "sede" {
		t.Errorf("introspection: got %s, want an active token", info.body)
	}
	other := h.add("otra", nil)
	if info := h.ask(http.MethodPost, "/oauth/introspect", h.asserted(other, url.Values{"token": {token}})); info.body != "{\"active\":false}\n" {
		t.Errorf("introspection by another: got %s, want no word of it", info.body)
	}
	h.ask(http.MethodPost, "/oauth/revoke", h.asserted(other, url.Values{"token": {token}}))
	if me := h.whoami(a, token); me.status != http.StatusOK {
		t.Errorf("another application revoked the token: %s", me.body)
	}
	h.ask(http.MethodPost, "/oauth/revoke", h.asserted(a, url.Values{"token": {refresh}}))
	for _, dead := range []string{token, again.text("access_token")} {
		if me := h.whoami(a, dead); me.status != http.StatusUnauthorized {
			t.Errorf("after revocation: got %d, want 401", me.status)
		}
	}
	wantError(t, "refresh after revocation", h.redeem(a, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}}), 400, "invalid_grant")
	for _, hidden := range []string{token, refresh} {
		if strings.Contains(h.shown.text.String(), hidden) {
			t.Error("the log holds a token")
		}
	}
}

func TestCredential(t *testing.T) {
	t.Parallel()
	h := build(t)
	a := h.add("sede", nil)
	v := asking(api.ScopeCredential)
	v.Set("description", "Solicitud de beca")
	request := h.begin(a, h.push(a, v), "/firma/")
	if o := h.asked.last; o.CredentialID != "cred-1" || o.Title != "Solicitud de beca" || len(o.Detail.Hashes) != 1 || o.Detail.Hashes[0].Label != "Solicitud" {
		t.Errorf("got %+v, want what was asked for", o)
	}
	sad, until := signer.NewSAD(), time.Now().Add(5*time.Minute)
	address, err := h.server.Granted(t.Context(), request, sad, until)
	h.must(err)
	if _, err := h.server.Granted(t.Context(), request, sad, until); err == nil {
		t.Error("the same consent led to two codes")
	}
	code := h.codeOf(address)
	r := h.redeem(a, redeeming(code))
	if r.status != http.StatusOK || r.text("credentialID") != "cred-1" || r.json["refresh_token"] != nil || r.text("scope") != "credential" {
		t.Fatalf("got %d %s, want a token for one signature", r.status, r.body)
	}
	if life, _ := r.json["expires_in"].(float64); life < 250 || life > 300 {
		t.Errorf("got %v s, want as long as the consent", r.json["expires_in"])
	}
	token := r.text("access_token")
	for range 2 {
		consent, err := h.server.Consent(t.Context(), token)
		h.must(err)
		if consent.SAD.Encode() != sad.Encode() || consent.RequestID != request || consent.ClientID != "sede" || consent.NumSignatures != 1 || consent.CredentialID != "cred-1" {
			t.Errorf("got %+v, want the consent", consent)
		}
	}
	h.keepsNoSecret(token, code, sad.Encode())

	wantError(t, "the code again", h.redeem(a, redeeming(code)), 400, "invalid_grant")
	if _, err := h.server.Consent(t.Context(), token); err == nil {
		t.Error("the consent outlives its revoked grant")
	}
	if me := h.whoami(a, token); me.status != http.StatusUnauthorized {
		t.Errorf("a token whose code was used twice: got %d, want 401", me.status)
	}
}

// keepsNoSecret looks for handles in what the database has of grants.
func (h *house) keepsNoSecret(secrets ...string) {
	h.Helper()
	for _, table := range []string{"oauth_sessions", "oauth_grants", "access_tokens"} {
		for _, hidden := range secrets {
			var found int
			h.row(`SELECT count(*) FROM `+table+` t WHERE t::text LIKE '%' || $1 || '%' OR t::text LIKE '%' || encode($1::bytea, 'hex') || '%'`, hidden)(&found)
			if found > 0 {
				h.Errorf("%s holds a secret", table)
			}
		}
	}
}

func TestDenied(t *testing.T) {
	t.Parallel()
	h := build(t)
	a := h.add("sede", nil)
	request := h.begin(a, h.push(a, asking(api.ScopeCredential)), "/firma/")
	address, err := h.server.Denied(t.Context(), request, nil)
	h.must(err)
	wantBack(t, address, "access_denied")
	id := h.begin(a, h.push(a, asking(api.ScopeService)), "/autorizar/")
	address, err = h.server.Decline(t.Context(), id, nil)
	h.must(err)
	wantBack(t, address, "access_denied")
	if _, err := h.server.Agree(t.Context(), id, signer.Citizen{ID: "citizen-1"}, signer.NewTicket()); err == nil {
		t.Error("a request that was declined can be agreed to")
	}
	h.asked.refuse = errCredential()
	uri := h.push(a, asking(api.ScopeCredential))
	r := h.ask(http.MethodGet, "/oauth/authorize?"+url.Values{"client_id": {a.ID}, "request_uri": {uri}}.Encode(), nil)
	wantBack(t, r.header.Get("Location"), "invalid_request")
}

func wantBack(t *testing.T, address, code string) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil || u.Host != "sede.example.es" || u.Query().Get("error") != code || u.Query().Get("iss") != issuer {
		t.Errorf("got %q, want the application's address with %s", address, code)
	}
}

// Whom a kind of certificate is asked of is known after the log-in.
func TestQualifier(t *testing.T) {
	t.Parallel()
	h := build(t)
	a := h.add("sede", nil)
	v := asking(api.ScopeCredential)
	v.Set("authorization_details", strings.Replace(details("x"), `"credentialID":"x"`, `"signatureQualifier":"eu_eidas_qes"`, 1))
	id := h.begin(a, h.push(a, v), "/autorizar/")
	asked, err := h.server.Asked(t.Context(), id)
	h.must(err)
	if asked.Qualifier != "eu_eidas_qes" || asked.Scope != "credential" || asked.Client.Name != "Sede sede" {
		t.Errorf("got %+v, want what is asked", asked)
	}
	address, err := h.server.Agree(t.Context(), id, signer.Citizen{ID: "citizen-1", Identifier: "12345678Z"}, signer.NewTicket())
	h.must(err)
	request, ok := strings.CutPrefix(address, "/firma/")
	if !ok || h.asked.last.Identifier != "12345678Z" {
		t.Fatalf("got %s for %q, want the signing page of whoever logged in", address, h.asked.last.Identifier)
	}
	address, err = h.server.Granted(t.Context(), request, signer.NewSAD(), time.Now().Add(time.Minute))
	h.must(err)
	r := h.redeem(a, redeeming(h.codeOf(address)))
	if r.text("credentialID") != "cred-1" {
		t.Errorf("got %s, want the credential", r.body)
	}
	if consent, err := h.server.Consent(t.Context(), r.text("access_token")); err != nil || consent.Qualifier != "eu_eidas_qes" {
		t.Errorf("got %+v %v, want what kind was granted", consent, err)
	}

	// Who has one of another kind cannot give it.
	id = h.begin(a, h.push(a, v), "/autorizar/")
	h.asked.refuse = errCredential()
	address, err = h.server.Agree(t.Context(), id, signer.Citizen{ID: "citizen-1", Identifier: "12345678Z"}, signer.NewTicket())
	h.must(err)
	wantBack(t, address, "invalid_request")
	for _, never := range []string{"eu_eidas_qeseal", "eu_eidas_AES", "x"} {
		v.Set("authorization_details", strings.Replace(details("x"), `"credentialID":"x"`, `"signatureQualifier":"`+never+`"`, 1))
		wantError(t, never, h.ask(http.MethodPost, "/oauth/par", h.asserted(a, v)), 400, "invalid_authorization_details")
	}
}

// Whom the application asks, nobody else answers.
func TestAccount(t *testing.T) {
	t.Parallel()
	h := build(t)
	a := h.add("sede", withErrands)
	ana, eva := signer.Citizen{ID: "citizen-1", Identifier: "12345678Z"}, signer.Citizen{ID: "citizen-2", Identifier: "87654321X"}
	for _, scope := range []string{api.ScopeService, api.ScopeCreation, api.ScopeCredential} {
		v := asking(scope)
		v.Set("account", ana.Identifier)
		if scope == api.ScopeCredential { // of whoever logs in
			v.Set("authorization_details", strings.Replace(details("x"), `"credentialID":"x"`, `"signatureQualifier":"eu_eidas_aes"`, 1))
		}
		id := h.begin(a, h.push(a, v), "/autorizar/")
		asked, err := h.server.Asked(t.Context(), id)
		h.must(err)
		if asked.Meant(ana) != nil || !errors.Is(asked.Meant(eva), policies.Refuse(policies.NotTheSigner)) {
			t.Errorf("%s: got %v and %v, want it to be for one of them", scope, asked.Meant(ana), asked.Meant(eva))
		}
		if scope == api.ScopeCreation {
			continue // which is not agreed to
		}
		if _, err := h.server.Agree(t.Context(), id, eva, signer.NewTicket()); !errors.Is(err, policies.Refuse(policies.NotTheSigner)) {
			t.Errorf("%s: got %v, want it refused", scope, err)
		}
		if _, err := h.server.Agree(t.Context(), id, ana, signer.NewTicket()); err != nil {
			t.Errorf("%s: got %v, want it granted", scope, err)
		}
	}
	if h.asked.last.Account != ana.Identifier {
		t.Errorf("got %+v, want whose signature it has to be", h.asked.last)
	}
}

// A request URI that is shown twice ends what came of it.
func TestRequestURITwice(t *testing.T) {
	t.Parallel()
	h := build(t)
	a := h.add("sede", nil)
	uri := h.push(a, asking(api.ScopeService))
	id := h.begin(a, uri, "/autorizar/")
	address, err := h.server.Agree(t.Context(), id, signer.Citizen{ID: "citizen-1"}, signer.NewTicket())
	h.must(err)
	token := h.redeem(a, redeeming(h.codeOf(address))).text("access_token")
	if me := h.whoami(a, token); me.status != http.StatusOK {
		t.Fatalf("got %d %s, want a good token", me.status, me.body)
	}
	r := h.ask(http.MethodGet, "/oauth/authorize?"+url.Values{"client_id": {a.ID}, "request_uri": {uri}}.Encode(), nil)
	if r.status != http.StatusBadRequest || r.header.Get("Location") != "" {
		t.Errorf("the second time: got %d %s, want it refused here", r.status, r.header.Get("Location"))
	}
	if me := h.whoami(a, token); me.status != http.StatusUnauthorized {
		t.Errorf("the token of the first time: got %d, want 401", me.status)
	}

	uri = h.push(a, asking(api.ScopeService))
	id = h.begin(a, uri, "/autorizar/")
	h.ask(http.MethodGet, "/oauth/authorize?"+url.Values{"client_id": {a.ID}, "request_uri": {uri}}.Encode(), nil)
	if _, err := h.server.Agree(t.Context(), id, signer.Citizen{ID: "citizen-1"}, signer.NewTicket()); err == nil {
		t.Error("a request whose URI was shown twice goes on")
	}
}
