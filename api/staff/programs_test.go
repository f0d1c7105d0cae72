package staff_test

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/personnel"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

const secret = "the secret of a program"

func (h *house) program(t *testing.T) personnel.Account {
	t.Helper()
	return h.add(t, personnel.Account{Name: "Programa de control", Role: personnel.RoleAuditor, SecretHash: api.SecretHash(secret)})
}

// grant asks for a token.
func (b *browser) grant(t *testing.T, form url.Values) reply {
	t.Helper()
	form.Set("grant_type", "client_credentials")
	return b.post(t, "/oauth/token", form)
}

// token is the one that was given.
func (r reply) token(t *testing.T) string {
	t.Helper()
	var answer struct {
		Token  string `json:"access_token"`
		Scope  string `json:"scope"`
		Expire int    `json:"expires_in"`
	}
	if err := json.Unmarshal([]byte(r.want(t, http.StatusOK).body), &answer); err != nil {
		t.Fatal(err)
	}
	if answer.Scope != "audit" || answer.Expire != 600 {
		t.Errorf("got %+v, want the scope audit for 600 s", answer)
	}
	return answer.Token
}

// whoami asks as a program.
func (b *browser) whoami(t *testing.T, token, purpose string) reply {
	t.Helper()
	return b.ask(t, http.MethodGet, "/v1/audit/whoami", "", "Authorization", "Bearer "+token, "Audit-Purpose", purpose)
}

func TestProgramWithSecret(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	a := h.program(t)
	b := h.browser(t)
	token := b.grant(t, url.Values{"client_id": {a.ID}, "client_secret": {secret}}).token(t)
	entry := h.log.only(t, audit.AuditorLoggedIn)
	if diff := cmp.Diff(map[string]any{"name": a.Name, "role": "auditor", "by": "token"}, entry.Payload); diff != "" || entry.Operation != a.ID {
		t.Errorf("entry of %s (-want +got):\n%s", entry.Operation, diff)
	}
	want := personnel.Asking{Identity: personnel.Identity{ID: a.ID, Name: a.Name, Role: "auditor", By: "token"}, Purpose: "Petición 4/2026"}
	for _, stated := range []string{"Petición 4/2026", "UTF-8''Petici%C3%B3n%204/2026", "utf-8'es'Petici%C3%B3n 4/2026"} {
		if got := b.whoami(t, token, stated).asking(t); got != want {
			t.Errorf("%s: got %+v, want %+v", stated, got, want)
		}
	}
	for _, stated := range []string{"", "abcd", "Petici\xf3n 4/2026", "UTF-8''%zz%zz%zz", "UTF-8''a%00bcdef"} {
		b.whoami(t, token, stated).refused(t, policies.PurposeMissing)
	}
	reply := b.get(t, "/v1/audit/whoami")
	reply.refused(t, policies.ApplicationUnknown)
	if got, want := reply.header.Get("WWW-Authenticate"), `Bearer realm="rubrica", scope="audit"`; got != want {
		t.Errorf("got challenge %s, want %s", got, want)
	}
	b.whoami(t, token+"x", "un motivo").refused(t, policies.ApplicationUnknown)

	h.clock.pass(10 * time.Minute)
	b.whoami(t, token, "un motivo").refused(t, policies.ApplicationUnknown)
	token = b.grant(t, url.Values{"client_id": {a.ID}, "client_secret": {secret}, "scope": {"audit"}}).token(t)
	b.whoami(t, token, "un motivo").want(t, http.StatusOK)
	if err := h.accounts.Disable(t.Context(), a.ID, h.clock.now()); err != nil {
		t.Fatal(err)
	}
	b.whoami(t, token, "un motivo").refused(t, policies.ApplicationUnknown)
}

// Whatever is wrong with a program's credentials, the answer is the same.
func TestProgramRefused(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	good, closed := h.program(t), h.program(t)
	if err := h.accounts.Disable(t.Context(), closed.ID, h.clock.now()); err != nil {
		t.Fatal(err)
	}
	pair := h.ca.person(t)
	bearer := h.addWith(t, personnel.RoleAuditor, pair) // a certificate and no secret
	h.log.take()
	for _, tt := range []struct {
		name, id, secret, cause, operation string
	}{
		{"wrong secret", good.ID, secret + "x", "wrong", good.ID},
		{"no secret", good.ID, "", "wrong", good.ID},
		{"unknown", "nobody", secret, "unknown", "unknown"},
		{"no id", "", "", "unknown", "unknown"},
		{"disabled", closed.ID, secret, "disabled", closed.ID},
		{"an administrator", h.chief.ID, secret, "unknown", h.chief.ID},
		{"an administrator without a secret", h.chief.ID, "", "unknown", h.chief.ID},
		{"somebody without a secret", h.auditor.ID, "", "wrong", h.auditor.ID},
		{"a certificate that did not come", bearer.ID, "", "wrong", bearer.ID},
		{"SQL", "' OR '1'='1", secret, "unknown", "unknown"},
	} {
		reply := h.browser(t).grant(t, url.Values{"client_id": {tt.id}, "client_secret": {tt.secret}})
		if reply.status != http.StatusUnauthorized || compact(t, reply.body) != `{"error":"invalid_client"}` {
			t.Errorf("%s: got %d %s, want invalid_client", tt.name, reply.status, reply.body)
		}
		entry := h.log.only(t, audit.AuditorLoginFailed)
		if entry.Payload["cause"] != tt.cause || entry.Operation != tt.operation || entry.Payload["by"] != "token" {
			t.Errorf("%s: got %+v, want %s of %s", tt.name, entry, tt.cause, tt.operation)
		}
	}
	reply := h.browser(t).grant(t, url.Values{"client_id": {good.ID}, "client_secret": {secret}, "scope": {"signature"}})
	if reply.status != http.StatusBadRequest || compact(t, reply.body) != `{"error":"invalid_scope"}` {
		t.Errorf("another scope: got %d %s", reply.status, reply.body)
	}
}

// A token that was given for a certificate is bound to it (RFC 8705, section 3).
func TestProgramWithCertificate(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	pair, others := h.ca.person(t), h.ca.person(t)
	a := h.addWith(t, personnel.RoleAuditor, pair)
	h.addWith(t, personnel.RoleAuditor, others)
	h.log.take()
	b := h.browser(t, pair)
	token := b.grant(t, url.Values{"client_id": {a.ID}}).token(t)
	if got := h.log.only(t, audit.AuditorLoggedIn).Payload["certificate_sha256"]; got != hex.EncodeToString(a.Certificate) {
		t.Errorf("got certificate %v in the entry", got)
	}
	b.whoami(t, token, "un motivo").want(t, http.StatusOK)
	for name, own := range map[string][]tls.Certificate{"none": nil, "another": {others}, "of another authority": {newAuthority(t, "Otra").person(t)}} {
		if got := h.browser(t, own...).whoami(t, token, "un motivo"); got.status != http.StatusUnauthorized {
			t.Errorf("with certificate %s: got %d, want the token refused", name, got.status)
		}
		if got := h.browser(t, own...).grant(t, url.Values{"client_id": {a.ID}}); got.status != http.StatusUnauthorized {
			t.Errorf("asking with certificate %s: got %d, want it refused", name, got.status)
		}
	}
	var metadata map[string]any
	if err := json.Unmarshal([]byte(b.get(t, "/.well-known/oauth-authorization-server").body), &metadata); err != nil {
		t.Fatal(err)
	}
	if metadata["tls_client_certificate_bound_access_tokens"] != true || !cmp.Equal(metadata["scopes_supported"], []any{"audit"}) {
		t.Errorf("got metadata %v, want bound tokens of the scope audit", metadata)
	}
}

// A cookie's secret is no token, and a token no cookie.
func TestTokenIsNoCookie(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	inside, _ := h.inside(t, personnel.RoleAuditor)
	inside.whoami(t, inside.cookie(sessionCookie).Value, "un motivo").refused(t, policies.ApplicationUnknown)
	b := h.browser(t, h.ca.person(t))
	token := b.grant(t, url.Values{"client_id": {h.program(t).ID}, "client_secret": {secret}}).token(t)
	b.client.Jar.SetCookies(h.url, []*http.Cookie{{Name: sessionCookie, Value: token, Path: "/", Secure: true}})
	b.get(t, "/auditoria").refused(t, policies.SessionExpired)
}

// A token that could not be recorded is not given.
func TestNoTokenWithoutTheLog(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	a := h.program(t)
	h.log.breakDown(policies.Refuse(policies.Unavailable))
	h.browser(t).grant(t, url.Values{"client_id": {a.ID}, "client_secret": {secret}}).refused(t, policies.Unavailable)
	h.browser(t).grant(t, url.Values{"client_id": {a.ID}, "client_secret": {"wrong"}}).refused(t, policies.Unavailable)
	if got := h.count(t)[0]; got != 0 {
		t.Errorf("got %d tokens that are not in the log", got)
	}
}

// What was given to an application or to an office is worth nothing here, and
// what was given to an auditor nothing at the public door.
func TestOtherDoors(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	ctx := context.Background()
	for _, scope := range []string{api.ScopeSignature, api.ScopeRegistration, api.ScopeAudit} {
		client := signer.Client{ID: "client-" + scope, Name: scope, SecretHash: api.SecretHash(secret), Scopes: []string{scope}}
		if err := h.db.AddApplication(ctx, client, h.clock.now()); err != nil {
			t.Fatal(err)
		}
		reply := h.browser(t).grant(t, url.Values{"client_id": {client.ID}, "client_secret": {secret}})
		if reply.status != http.StatusUnauthorized {
			t.Errorf("a client of the scope %s: got %d %s, want it unknown", scope, reply.status, reply.body)
		}
		h.log.only(t, audit.AuditorLoginFailed)
	}
}
