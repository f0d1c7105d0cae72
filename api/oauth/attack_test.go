package oauth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/store"
)

// An authorisation request goes on at an address that is registered character by
// character, or nowhere.
func TestOpenRedirect(t *testing.T) {
	t.Parallel()
	h := build(t)
	a := h.add("sede", func(c *signer.Client) { c.Switches = []string{signer.SwitchNoPAR} })
	for _, address := range []string{
		"", "https://sede.example.es/vuelta", "https://sede.example.es/vuelta?paso=3", "https://sede.example.es/vuelta?paso=2&x=1",
		"https://sede.example.es/vuelta?paso=2#x", "https://sede.example.es/vuelta?paso=2#", "https://sede.example.es/vuelta/?paso=2",
		"https://sede.example.es//vuelta?paso=2", "https://sede.example.es/./vuelta?paso=2", "https://sede.example.es/x/../vuelta?paso=2",
		"https://sede.example.es/%76uelta?paso=2", "https://sede.example.es/vuelta?paso=%32", "https://sede.example.es/vuelta?%70aso=2",
		"https://SEDE.example.es/vuelta?paso=2", "HTTPS://sede.example.es/vuelta?paso=2", "http://sede.example.es/vuelta?paso=2",
		"https://sede.example.es:443/vuelta?paso=2", "https://sede.example.es:/vuelta?paso=2", "https://sede.example.es:8443/vuelta?paso=2",
		"https://sede.example.es./vuelta?paso=2", "https://sede.example.es.atacante.es/vuelta?paso=2", "https://xsede.example.es/vuelta?paso=2",
		"https://atacante.es/vuelta?paso=2", "https://sede.example.es@atacante.es/vuelta?paso=2", "https://u:p@sede.example.es/vuelta?paso=2",
		"https://atacante.es#@sede.example.es/vuelta?paso=2", "https://atacante.es\\@sede.example.es/vuelta?paso=2",
		"https:\\\\sede.example.es\\vuelta?paso=2", "https:/sede.example.es/vuelta?paso=2", "https:sede.example.es/vuelta?paso=2",
		"//sede.example.es/vuelta?paso=2", "//atacante.es", "/vuelta?paso=2", "vuelta?paso=2", "javascript:alert(1)", "data:text/html,x",
		" https://sede.example.es/vuelta?paso=2", "https://sede.example.es/vuelta?paso=2 ", "https://sede.example.es/vuelta?paso=2\t",
		"https://sede.example.es/vuelta?paso=2\r\nLocation: https://atacante.es", "https://sede.example.es/vuelta?paso=2\x00",
		"https://sede.example.es\u3002/vuelta?paso=2", "https://ѕede.example.es/vuelta?paso=2", "https://[::1]/vuelta?paso=2",
		"https://sede.example.es/vuelta;x?paso=2", "*", "null",
	} {
		for _, broken := range []url.Values{nil, {"scope": {"openid"}}, {"scope": {"credential "}}, {"authorization_details": {"["}}} { // an error must not travel there either
			v := asking(api.ScopeService)
			v.Set("client_id", a.ID)
			v.Set("redirect_uri", address)
			maps.Copy(v, broken)
			r := h.ask(http.MethodGet, "/oauth/authorize?"+v.Encode(), nil)
			if r.status != http.StatusBadRequest || r.header.Get("Location") != "" {
				t.Errorf("%q: got %d %q, want it refused here", address, r.status, r.header.Get("Location"))
			}
		}
		v := asking(api.ScopeService)
		v.Set("redirect_uri", address)
		wantError(t, "pushing "+address, h.ask(http.MethodPost, "/oauth/par", h.asserted(a, v)), 400, "invalid_request")
	}
	v := asking(api.ScopeService)
	v.Set("client_id", a.ID)
	if r := h.ask(http.MethodGet, "/oauth/authorize?"+v.Encode(), nil); !strings.HasPrefix(r.header.Get("Location"), "/autorizar/") {
		t.Errorf("the registered one: got %d %q, want the page", r.status, r.header.Get("Location"))
	}
	// An address that is taken away takes the requests on their way with it.
	id := h.begin(a, h.push(a, asking(api.ScopeService)), "/autorizar/")
	h.must(h.owner.Administration(store.Operator{}).RemoveReturnAddress(t.Context(), a.ID, callback, time.Now()))
	if address, err := h.server.Agree(t.Context(), id, signer.Citizen{ID: "c"}, signer.NewTicket()); err == nil && strings.Contains(address, "code=") {
		t.Errorf("got %s, want no code for an address that is gone", address)
	}
}

func TestAssertions(t *testing.T) {
	t.Parallel()
	h := build(t)
	bound := func(c *signer.Client) { c.Switches = []string{signer.SwitchUnbound} }
	a, other := h.add("sede", bound), h.add("otra", bound)
	token := func(assertion string) reply {
		return h.ask(http.MethodPost, "/oauth/token", url.Values{
			"grant_type": {"client_credentials"}, "scope": {"signature"}, "client_id": {a.ID}, "client_assertion": {assertion},
			"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		})
	}
	kid := map[string]any{"kid": "k-sede"}
	with := func(name string, value any) map[string]any {
		claims := a.claims()
		if claims[name] = value; value == nil {
			delete(claims, name)
		}
		return claims
	}
	good := h.sign(a.key, kid, a.claims())
	if r := token(good); r.status != http.StatusOK {
		t.Fatalf("a good one: got %d %s", r.status, r.body)
	}
	wantError(t, "the same again", token(good), 401, "invalid_client")

	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	h.must(err)
	public, err := x509.MarshalPKIXPublicKey(a.key.Public())
	h.must(err)
	none := func(alg string) string { return h.unsigned(alg, kid, a.claims()) }
	for name, assertion := range map[string]string{
		"no signature":             none("none"),
		"no signature, other case": none("nOnE"),
		"signature taken off":      none("ES256"),
		"public key as a secret":   h.hmac(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), a.claims()),
		"public key in DER as one": h.hmac(public, a.claims()),
		"client secret as a key":   h.hmac([]byte(secret+strings.Repeat("x", 32)), a.claims()),
		"another's key, own kid":   h.sign(other.key, kid, a.claims()),
		"another's key and kid":    h.sign(other.key, map[string]any{"kid": "k-otra"}, a.claims()),
		"a key of nobody":          h.sign(stranger, kid, a.claims()),
		"its key in the header":    h.sign(stranger, map[string]any{"jwk": jose.JSONWebKey{Key: stranger.Public()}}, a.claims()),
		"a key to be fetched":      h.sign(stranger, map[string]any{"jku": "https://atacante.es/jwks", "kid": "k-sede"}, a.claims()),
		"kid of a path":            h.sign(a.key, map[string]any{"kid": "../../dev/null"}, a.claims()),
		"issued by another":        h.sign(a.key, kid, with("iss", other.ID)),
		"about another":            h.sign(a.key, kid, with("sub", other.ID)),
		"for another server":       h.sign(a.key, kid, with("aud", "https://otra.example.es")),
		"for the token endpoint":   h.sign(a.key, kid, with("aud", issuer+"/oauth/token")), // FAPI 2.0, 5.3.2.1: the issuer
		"for two servers":          h.sign(a.key, kid, with("aud", []string{issuer, "https://otra.example.es"})),
		"for nobody":               h.sign(a.key, kid, with("aud", nil)),
		"without jti":              h.sign(a.key, kid, with("jti", nil)),
		"without exp":              h.sign(a.key, kid, with("exp", nil)),
		"expired":                  h.sign(a.key, kid, with("exp", time.Now().Add(-time.Minute).Unix())),
		"good for a day":           h.sign(a.key, kid, with("exp", time.Now().Add(24*time.Hour).Unix())),
		"not yet good":             h.sign(a.key, kid, with("nbf", time.Now().Add(time.Hour).Unix())),
		"of the future":            h.sign(a.key, kid, with("iat", time.Now().Add(time.Hour).Unix())),
		"no JWT":                   "x.y.z",
		"nothing":                  "",
	} {
		wantError(t, name, token(assertion), 401, "invalid_client")
	}

	h.must(h.owner.Administration(store.Operator{}).RemoveKey(t.Context(), a.ID, "k-sede", time.Now()))
	wantError(t, "a key that was removed", token(h.sign(a.key, kid, a.claims())), 401, "invalid_client")
}

// unsigned is a JWT that says it needs no signature, or has lost it.
func (h *house) unsigned(alg string, header, claims map[string]any) string {
	h.Helper()
	part := func(members map[string]any) string {
		text, err := json.Marshal(members)
		h.must(err)
		return base64.RawURLEncoding.EncodeToString(text)
	}
	header = maps.Clone(header)
	header["alg"] = alg
	return part(header) + "." + part(claims) + "."
}

// shared is a proof under a secret that stands in it.
func (h *house) shared(claims map[string]any) string {
	h.Helper()
	key := jose.JSONWebKey{Key: []byte(strings.Repeat("x", 32))}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: key}, (&jose.SignerOptions{}).WithType("dpop+jwt").WithHeader("jwk", key))
	h.must(err)
	out, err := jwt.Signed(s).Claims(claims).Serialize()
	h.must(err)
	return out
}

// hmac signs as if a public thing were a secret.
func (h *house) hmac(key []byte, claims map[string]any) string {
	h.Helper()
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: key}, (&jose.SignerOptions{}).WithHeader("kid", "k-sede"))
	h.must(err)
	out, err := jwt.Signed(s).Claims(claims).Serialize()
	h.must(err)
	return out
}

// So may secrets: the former one is good for as long as was said, and the one
// before it no longer.
func TestSecretRotation(t *testing.T) {
	t.Parallel()
	h := build(t)
	a := h.add("sede", func(c *signer.Client) { c.Switches = []string{signer.SwitchSecret, signer.SwitchUnbound} })
	operator := h.owner.Administration(store.Operator{})
	replace := func(next string, overlap time.Duration) error {
		now, until := time.Now(), time.Time{}
		if overlap != 0 {
			until = now.Add(overlap)
		}
		return operator.SetSecret(t.Context(), a.ID, api.SecretHash(next), until, now)
	}
	good := func(what string, want ...string) {
		t.Helper()
		for _, shown := range []string{secret, "second", "third", "fourth", "", hex.EncodeToString(api.SecretHash(secret))} {
			status := http.StatusUnauthorized
			if slices.Contains(want, shown) {
				status = http.StatusOK
			}
			ask := url.Values{"grant_type": {"client_credentials"}, "scope": {"signature"}, "client_id": {a.ID}, "client_secret": {shown}}
			if r := h.ask(http.MethodPost, "/oauth/token", ask); r.status != status {
				t.Errorf("%s: with %q got %d, want %d", what, shown, r.status, status)
			}
		}
	}
	good("before", secret)
	h.must(replace("second", 2*time.Hour))
	good("meanwhile", secret, "second")
	h.must(replace("third", 24*time.Hour))
	good("again", "second", "third")
	h.must(replace("fourth", 0))
	good("without an overlap", "fourth")
	for _, overlap := range []time.Duration{-time.Hour, signer.SecretOverlap + time.Hour} {
		if refusal, _ := errors.AsType[*policies.Refusal](replace("fifth", overlap)); refusal == nil || refusal.Params["reason"] != "secret_span" {
			t.Errorf("an overlap of %v: got %v, want secret_span", overlap, refusal)
		}
	}
	good("refused", "fourth")
	h.run(t.Context(), `UPDATE applications SET switches = '{}', secret_hash = NULL WHERE id = 'sede'`)
	h.must(replace("second", time.Hour))
	h.must(operator.Switch(t.Context(), a.ID, signer.SwitchSecret, true, time.Now()))
	h.must(operator.Switch(t.Context(), a.ID, signer.SwitchUnbound, true, time.Now()))
	good("the first of all", "second")
	h.must(replace("third", 2*time.Hour))
	h.ahead = 3 * time.Hour
	good("after the overlap", "third")
}

// Keys overlap while they are changed, and none is good outside its span.
func TestKeyRotation(t *testing.T) {
	t.Parallel()
	h := build(t)
	a := h.add("sede", func(c *signer.Client) { c.Switches = []string{signer.SwitchUnbound} })
	next, err := rsa.GenerateKey(rand.Reader, 2048)
	h.must(err)
	jwk, err := jose.JSONWebKey{Key: next.Public(), KeyID: "next", Algorithm: "PS256", Use: "sig"}.MarshalJSON()
	h.must(err)
	operator := h.owner.Administration(store.Operator{})
	h.must(operator.AddKeys(t.Context(), a.ID, []signer.ClientKey{{
		ID: "next", JWK: jwk, NotBefore: time.Now().Add(time.Hour), NotAfter: time.Now().Add(72 * time.Hour),
	}}, time.Now()))
	ask := func(alg jose.SignatureAlgorithm) int {
		s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: next}, (&jose.SignerOptions{}).WithHeader("kid", "next"))
		h.must(err)
		claims := a.claims()
		now := time.Now()
		claims["exp"] = now.Add(time.Minute).Unix()
		assertion, err := jwt.Signed(s).Claims(claims).Serialize()
		h.must(err)
		form := h.asserted(a, url.Values{"grant_type": {"client_credentials"}})
		form.Set("client_assertion", assertion)
		return h.ask(http.MethodPost, "/oauth/token", form).status
	}
	if got := ask(jose.PS256); got != http.StatusUnauthorized {
		t.Errorf("before its time: got %d, want 401", got)
	}
	h.ahead = 2 * time.Hour
	if got := ask(jose.PS256); got != http.StatusOK {
		t.Errorf("in its time: got %d, want 200", got)
	}
	h.must(operator.EndKey(t.Context(), a.ID, "next", time.Now().Add(90*time.Minute), time.Now()))
	if got := ask(jose.PS256); got != http.StatusUnauthorized {
		t.Errorf("after an end that was moved: got %d, want 401", got)
	}
	h.must(operator.EndKey(t.Context(), a.ID, "next", time.Now().Add(72*time.Hour), time.Now()))
	if got := ask(jose.RS256); got != http.StatusUnauthorized {
		t.Errorf("with an algorithm that FAPI 2.0 leaves out: got %d, want 401", got)
	}
	if r := h.ask(http.MethodPost, "/oauth/token", h.asserted(a, url.Values{"grant_type": {"client_credentials"}})); r.status != http.StatusOK {
		t.Errorf("the old one, meanwhile: got %d %s, want 200", r.status, r.body)
	}
	h.ahead = 73 * time.Hour
	if got := ask(jose.PS256); got != http.StatusUnauthorized {
		t.Errorf("after its time: got %d, want 401", got)
	}
}

func TestPKCE(t *testing.T) {
	t.Parallel()
	h := build(t)
	a := h.add("sede", nil)
	for name, change := range map[string]func(url.Values){
		"no challenge":     func(v url.Values) { v.Del("code_challenge") },
		"plain":            func(v url.Values) { v.Set("code_challenge_method", "plain") },
		"an unknown one":   func(v url.Values) { v.Set("code_challenge_method", "S1") },
		"implicit":         func(v url.Values) { v.Set("response_type", "token") },
		"hybrid":           func(v url.Values) { v.Set("response_type", "code id_token") },
		"fragment":         func(v url.Values) { v.Set("response_mode", "fragment") },
		"form_post":        func(v url.Values) { v.Set("response_mode", "form_post") },
		"a request inside": func(v url.Values) { v.Set("request_uri", "urn:ietf:params:oauth:request_uri:x") },
	} {
		v := asking(api.ScopeService)
		change(v)
		wantError(t, name, h.ask(http.MethodPost, "/oauth/par", h.asserted(a, v)), 400, "invalid_request")
	}
	for name, change := range map[string]func(url.Values){
		"no verifier":        func(v url.Values) { v.Del("code_verifier") },
		"another verifier":   func(v url.Values) { v.Set("code_verifier", strings.Repeat("x", 43)) },
		"the challenge":      func(v url.Values) { v.Set("code_verifier", challengeOf(verifier)) },
		"a short one":        func(v url.Values) { v.Set("code_verifier", "x") },
		"another address":    func(v url.Values) { v.Set("redirect_uri", "https://sede.example.es/otra") },
		"without an address": func(v url.Values) { v.Del("redirect_uri") },
	} {
		code := h.service(a)
		form := redeeming(code)
		change(form)
		wantError(t, name, h.redeem(a, form), 400, "invalid_grant")
		wantError(t, name+", then the right one", h.redeem(a, redeeming(code)), 400, "invalid_grant")
	}
	other := h.add("otra", nil)
	wantError(t, "another's code", h.redeem(other, redeeming(h.service(a))), 400, "invalid_grant")
	wantError(t, "a code of nobody", h.redeem(a, redeeming(strings.Repeat("x", 43))), 400, "invalid_grant")
	code := h.service(a)
	h.ahead = 2 * time.Minute
	h.sql(`UPDATE oauth_grants SET data = jsonb_set(data, '{auth_code_expires_at}', '1') WHERE code_used_at IS NULL`)
	wantError(t, "an old code", h.redeem(a, redeeming(code)), 400, "invalid_grant")
}

// Of many that show the same code at once, one at most has a token, and none
// keeps it.
func TestCodeRace(t *testing.T) {
	t.Parallel()
	h := build(t)
	a := h.add("sede", nil)
	code := h.service(a)
	var group sync.WaitGroup
	replies := make([]reply, 8)
	for i := range replies {
		form := h.asserted(a, redeeming(code))
		proof := h.proof(a, http.MethodPost, issuer+"/oauth/token", "")
		group.Go(func() { replies[i] = h.ask(http.MethodPost, "/oauth/token", form, "DPoP", proof) })
	}
	group.Wait()
	good := 0
	for _, r := range replies {
		if r.status != http.StatusOK {
			wantError(t, "a late one", r, 400, "invalid_grant")
			continue
		}
		if good++; h.whoami(a, r.text("access_token")).status != http.StatusUnauthorized {
			t.Error("the first token outlives the code's second use")
		}
	}
	if good > 1 {
		t.Errorf("%d had a token", good)
	}
}

func TestDPoP(t *testing.T) {
	t.Parallel()
	h := build(t)
	a, other := h.add("sede", nil), h.add("otra", nil)
	token := h.redeem(a, redeeming(h.service(a))).text("access_token")
	claims := func(change func(map[string]any)) map[string]any {
		out := map[string]any{
			"htm": "GET", "htu": issuer + "/whoami", "jti": rand.Text(), "iat": time.Now().Unix(), "ath": challengeOf(token),
		}
		change(out)
		return out
	}
	ask := func(scheme, proof string) int {
		headers := []string{"Authorization", scheme + " " + token}
		if proof != "" {
			headers = append(headers, "DPoP", proof)
		}
		return h.ask(http.MethodGet, "/whoami", nil, headers...).status
	}
	good := h.proof(a, http.MethodGet, issuer+"/whoami", token)
	if got := ask("DPoP", good); got != http.StatusOK {
		t.Fatalf("a good proof: got %d", got)
	}
	set := func(name string, value any) func(map[string]any) {
		return func(m map[string]any) {
			if m[name] = value; value == nil {
				delete(m, name)
			}
		}
	}
	for name, proof := range map[string]string{
		"the same again": good, "none": "",
		"another's key":    h.proofOf(other, claims(func(map[string]any) {})),
		"another method":   h.proofOf(a, claims(set("htm", "POST"))),
		"another address":  h.proofOf(a, claims(set("htu", issuer+"/otra"))),
		"another host":     h.proofOf(a, claims(set("htu", "https://otra.example.es/whoami"))),
		"user in the host": h.proofOf(a, claims(set("htu", "https://x@firma.example.es/whoami"))),
		"another token":    h.proofOf(a, claims(set("ath", challengeOf("x")))),
		"no token":         h.proofOf(a, claims(set("ath", nil))),
		"no jti":           h.proofOf(a, claims(set("jti", nil))),
		"no iat":           h.proofOf(a, claims(set("iat", nil))),
		"old":              h.proofOf(a, claims(set("iat", time.Now().Add(-time.Hour).Unix()))),
		"of the future":    h.proofOf(a, claims(set("iat", time.Now().Add(time.Hour).Unix()))),
		"another typ":      h.sign(a.key, map[string]any{"typ": "JWT", "jwk": jose.JSONWebKey{Key: a.key.Public()}}, claims(func(map[string]any) {})),
		"no key":           h.sign(a.key, map[string]any{"typ": "dpop+jwt"}, claims(func(map[string]any) {})),
		"no signature":     h.unsigned("none", map[string]any{"typ": "dpop+jwt", "jwk": jose.JSONWebKey{Key: a.key.Public()}}, claims(func(map[string]any) {})),
		"a secret as key":  h.shared(claims(func(map[string]any) {})),
		"a private key":    h.sign(a.key, map[string]any{"typ": "dpop+jwt", "jwk": jose.JSONWebKey{Key: a.key}}, claims(func(map[string]any) {})),
		"huge":             strings.Repeat("x", 10<<10),
	} {
		if got := ask("DPoP", proof); got != http.StatusUnauthorized {
			t.Errorf("%s: got %d, want 401", name, got)
		}
	}
	if got := ask("Bearer", ""); got != http.StatusUnauthorized {
		t.Errorf("borne by anybody: got %d, want 401", got)
	}
	two := h.ask(http.MethodGet, "/whoami", nil, "Authorization", "DPoP "+token, "DPoP", h.proof(a, "GET", issuer+"/whoami", token), "DPoP", "x")
	if two.status != http.StatusUnauthorized {
		t.Errorf("two proofs: got %d, want 401", two.status)
	}
	form := redeeming(h.service(a))
	wantError(t, "no proof at all", h.ask(http.MethodPost, "/oauth/token", h.asserted(a, form)), 400, "invalid_request")
	proof := h.proof(a, http.MethodPost, issuer+"/oauth/token", "")
	if r := h.ask(http.MethodPost, "/oauth/token", h.asserted(a, redeeming(h.service(a))), "DPoP", proof); r.status != http.StatusOK {
		t.Fatalf("got %d %s", r.status, r.body)
	}
	wantError(t, "a proof again", h.ask(http.MethodPost, "/oauth/token", h.asserted(a, redeeming(h.service(a))), "DPoP", proof), 400, "invalid_dpop_proof")
}

// A request that was pushed under a key is only good under that key.
func TestPushedUnderAKey(t *testing.T) {
	t.Parallel()
	h := build(t)
	a, thief := h.add("sede", nil), h.add("otra", nil)
	r := h.ask(http.MethodPost, "/oauth/par", h.asserted(a, asking(api.ScopeService)), "DPoP", h.proof(a, http.MethodPost, issuer+"/oauth/par", ""))
	id := h.begin(a, r.text("request_uri"), "/autorizar/")
	address, err := h.server.Agree(t.Context(), id, signer.Citizen{ID: "c"}, signer.NewTicket())
	h.must(err)
	form := h.asserted(a, redeeming(h.codeOf(address)))
	got := h.ask(http.MethodPost, "/oauth/token", form, "DPoP", h.proof(thief, http.MethodPost, issuer+"/oauth/token", ""))
	wantError(t, "another key", got, 400, "invalid_dpop_proof")
}

func TestBadParameters(t *testing.T) {
	t.Parallel()
	h := build(t)
	a := h.add("sede", nil)
	push := func(change func(url.Values)) reply {
		v := asking(api.ScopeCredential)
		change(v)
		return h.ask(http.MethodPost, "/oauth/par", h.asserted(a, v))
	}
	for _, tt := range []struct {
		name, code string
		change     func(url.Values)
	}{
		{"twice", "invalid_request", func(v url.Values) { v.Add("state", "x") }},
		{"scope twice", "invalid_request", func(v url.Values) { v.Add("scope", "service") }},
		{"huge", "invalid_request", func(v url.Values) { v.Set("state", strings.Repeat("x", 3000)) }},
		{"NUL", "invalid_request", func(v url.Values) { v.Set("state", "\x00") }},
		{"an unsigned request", "request_not_supported", func(v url.Values) { v.Set("request", "eyJhbGciOiJub25lIn0.e30.") }},
		{"both scopes", "invalid_scope", func(v url.Values) { v.Set("scope", "service credential") }},
		{"scope of others", "invalid_scope", func(v url.Values) { v.Set("scope", "registration") }},
		{"scope of its own", "invalid_scope", func(v url.Values) { v.Set("scope", "signature") }},
		{"openid", "invalid_scope", func(v url.Values) { v.Set("scope", "openid") }},
		{"scope spaced", "invalid_scope", func(v url.Values) { v.Set("scope", "credential ") }},
		{"no details", "invalid_authorization_details", func(v url.Values) { v.Del("authorization_details") }},
		{"details of service", "invalid_authorization_details", func(v url.Values) { v.Set("scope", "service") }},
		{"description of two lines", "invalid_request", func(v url.Values) { v.Set("description", "a\nb") }},
		{"description turned round", "invalid_request", func(v url.Values) { v.Set("description", "a\u202eb") }},
		{"deep", "invalid_authorization_details", func(v url.Values) { v.Set("authorization_details", strings.Repeat("[", 20000)) }},
	} {
		wantError(t, tt.name, push(tt.change), 400, tt.code)
	}
	if r := push(func(v url.Values) { v.Set("authorization_details", strings.Repeat("x", 70<<10)) }); r.status != http.StatusRequestEntityTooLarge || r.text("error") != "invalid_request" {
		t.Errorf("70 KB: got %d %s, want 413 in our form", r.status, r.body)
	}
	if r := h.ask(http.MethodGet, "/oauth/token", nil); r.status != http.StatusMethodNotAllowed || r.text("error") != "invalid_request" {
		t.Errorf("GET: got %d %s, want 405 in our form", r.status, r.body)
	}
	if r := h.ask(http.MethodGet, "/oauth/jwks", nil); r.status != http.StatusNotFound || r.text("error") != "invalid_request" {
		t.Errorf("an address of nobody: got %d %s, want 404 in our form", r.status, r.body)
	}
	for _, hidden := range []string{"/userinfo", "/register", "/jwks", "/.well-known/openid-configuration"} {
		if r := h.ask(http.MethodGet, hidden, nil); r.status != http.StatusNotFound {
			t.Errorf("%s: got %d, want nothing there", hidden, r.status)
		}
	}
	// A pushed request is required of whom nobody has let off.
	v := asking(api.ScopeService)
	v.Set("client_id", a.ID)
	if r := h.ask(http.MethodGet, "/oauth/authorize?"+v.Encode(), nil); r.status != http.StatusBadRequest {
		t.Errorf("not pushed: got %d, want it refused", r.status)
	}
	other := h.add("otra", nil)
	uri := h.push(a, asking(api.ScopeService))
	if r := h.ask(http.MethodGet, "/oauth/authorize?"+url.Values{"client_id": {other.ID}, "request_uri": {uri}}.Encode(), nil); r.status != http.StatusBadRequest {
		t.Errorf("another's request: got %d, want it refused", r.status)
	}
}

// A disabled application is refused at once, with every token that it has.
func TestDisabled(t *testing.T) {
	t.Parallel()
	h := build(t)
	a := h.add("sede", nil)
	r := h.redeem(a, redeeming(h.service(a)))
	token, refresh := r.text("access_token"), r.text("refresh_token")
	id := h.begin(a, h.push(a, asking(api.ScopeService)), "/autorizar/")
	h.must(h.owner.Administration(store.Operator{}).Enable(t.Context(), a.ID, false, time.Now()))
	if me := h.whoami(a, token); me.status != http.StatusUnauthorized {
		t.Errorf("its token: got %d, want 401", me.status)
	}
	wantError(t, "its refresh token", h.redeem(a, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}}), 401, "invalid_client")
	if _, err := h.server.Agree(t.Context(), id, signer.Citizen{ID: "c"}, signer.NewTicket()); err == nil {
		t.Error("its request goes on")
	}
	h.must(h.owner.Administration(store.Operator{}).Enable(t.Context(), a.ID, true, time.Now()))
	if me := h.whoami(a, token); me.status != http.StatusOK {
		t.Errorf("enabled again: got %d %s, want it let in", me.status, me.body)
	}
}

// What citizens grant is a door of its own. An application to which it is closed
// has tokens for itself all the same.
func TestDoorClosed(t *testing.T) {
	t.Parallel()
	h := build(t)
	a := h.add("sede", nil)
	r := h.redeem(a, redeeming(h.service(a)))
	refresh, code := r.text("refresh_token"), h.service(a)
	uri := h.push(a, asking(api.ScopeService))
	h.must(h.owner.Administration(store.Operator{}).Limit(t.Context(), signer.Client{ID: a.ID, Doors: []string{signer.DoorREST}}, time.Now()))
	wantError(t, "pushing", h.ask(http.MethodPost, "/oauth/par", h.asserted(a, asking(api.ScopeService))), 400, "unauthorized_client")
	wantError(t, "a code", h.redeem(a, redeeming(code)), 400, "unauthorized_client")
	wantError(t, "a refresh", h.redeem(a, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}}), 400, "unauthorized_client")
	authorise := "/oauth/authorize?" + url.Values{"client_id": {a.ID}, "request_uri": {uri}}.Encode()
	if r := h.ask(http.MethodGet, authorise, nil); r.status != http.StatusBadRequest {
		t.Errorf("authorising: got %d %s, want it refused", r.status, r.body)
	}
	if r := h.redeem(a, url.Values{"grant_type": {"client_credentials"}, "scope": {"signature"}}); r.status != http.StatusOK {
		t.Errorf("for itself: got %d %s, want a token", r.status, r.body)
	}
}

// An application has its own pace at this server too, told in its answers; what
// comes too early is used up by nothing.
func TestPace(t *testing.T) {
	t.Parallel()
	h := build(t)
	a := h.add("sede", nil)
	code := h.service(a)
	h.must(h.owner.Administration(store.Operator{}).Limit(t.Context(), signer.Client{ID: a.ID, Calls: 1}, time.Now()))
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {"signature"}}
	late := reply{}
	for range 10 {
		if late = h.redeem(a, form); late.status != http.StatusOK {
			break
		}
		if got := late.header.Get("RateLimit-Limit"); got != "4" {
			t.Errorf("got limit %q, want that of one call a second", got)
		}
	}
	wantError(t, "too many", late, http.StatusTooManyRequests, "temporarily_unavailable")
	if late.header.Get("Retry-After") == "" || late.header.Get("RateLimit-Remaining") != "0" {
		t.Errorf("got %v, want it told when to come back", late.header)
	}
	wantError(t, "a code", h.redeem(a, redeeming(code)), http.StatusTooManyRequests, "temporarily_unavailable")
	wantError(t, "pushing", h.ask(http.MethodPost, "/oauth/par", h.asserted(a, asking(api.ScopeService))), http.StatusTooManyRequests, "temporarily_unavailable")
	wantError(t, "revoking", h.ask(http.MethodPost, "/oauth/revoke", h.asserted(a, url.Values{"token": {"x"}})), http.StatusTooManyRequests, "temporarily_unavailable")
	// Whoever does not show to be the application spends nothing of it.
	wantError(t, "a stranger", h.ask(http.MethodPost, "/oauth/token", url.Values{"client_id": {a.ID}, "grant_type": {"client_credentials"}}), 401, "invalid_client")
	h.ahead = 10 * time.Second
	h.must(h.owner.Administration(store.Operator{}).Limit(t.Context(), signer.Client{ID: a.ID}, time.Now()))
	if r := h.redeem(a, redeeming(code)); r.status != http.StatusOK {
		t.Errorf("the code, later: got %d %s, want a token", r.status, r.body)
	}
}

// Without its switch, a way that is weaker is no way.
func TestSwitches(t *testing.T) {
	t.Parallel()
	h := build(t)
	strict := h.add("estricta", nil)
	secretly := h.add("secreta", func(c *signer.Client) { c.Switches = []string{signer.SwitchSecret, signer.SwitchUnbound} })
	form := func(a app, change url.Values) url.Values {
		v := url.Values{"grant_type": {"client_credentials"}, "scope": {"signature"}, "client_id": {a.ID}}
		maps.Copy(v, change)
		return v
	}
	withSecret := url.Values{"client_secret": {secret}}
	if r := h.ask(http.MethodPost, "/oauth/token", form(secretly, withSecret)); r.status != http.StatusOK || r.text("token_type") != "Bearer" {
		t.Errorf("with the switch: got %d %s, want a token", r.status, r.body)
	}
	wantError(t, "without it", h.ask(http.MethodPost, "/oauth/token", form(strict, withSecret)), 401, "invalid_client")
	r := h.ask(http.MethodPost, "/oauth/token", h.asserted(strict, url.Values{"grant_type": {"client_credentials"}}))
	wantError(t, "a token for anybody", r, 400, "invalid_request")
	wantError(t, "two ways", h.ask(http.MethodPost, "/oauth/token", h.asserted(secretly, form(secretly, withSecret))), 400, "invalid_request")
	h.must(h.owner.Administration(store.Operator{}).Switch(t.Context(), secretly.ID, signer.SwitchSecret, false, time.Now()))
	wantError(t, "switched off", h.ask(http.MethodPost, "/oauth/token", form(secretly, withSecret)), 401, "invalid_client")
}

// A certificate shows who an application is, and its tokens are good with it
// alone.
func TestMutualTLS(t *testing.T) {
	t.Parallel()
	h := build(t)
	a, other := h.add("sede", nil), h.add("otra", nil)
	header := func(c *x509.Certificate) string { return ":" + base64.StdEncoding.EncodeToString(c.Raw) + ":" }
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {"signature"}, "client_id": {a.ID}}
	r := h.ask(http.MethodPost, "/oauth/token", form, "Client-Cert", header(a.certificate))
	if r.status != http.StatusOK || r.text("token_type") != "Bearer" {
		t.Fatalf("got %d %s, want a token", r.status, r.body)
	}
	token := r.text("access_token")
	ask := func(headers ...string) int {
		return h.ask(http.MethodGet, "/whoami", nil, append([]string{"Authorization", "Bearer " + token}, headers...)...).status
	}
	for name, tt := range map[string]struct {
		headers []string
		status  int
	}{
		"its certificate":   {[]string{"Client-Cert", header(a.certificate)}, 200},
		"no certificate":    {nil, 401},
		"another's":         {[]string{"Client-Cert", header(other.certificate)}, 401},
		"a new one, by key": {[]string{"Client-Cert", header(h.certificate(a.key))}, 401},
		"two":               {[]string{"Client-Cert", header(other.certificate), "Client-Cert", header(a.certificate)}, 401},
	} {
		if got := ask(tt.headers...); got != tt.status {
			t.Errorf("%s: got %d, want %d", name, got, tt.status)
		}
	}
	wantError(t, "another's certificate", h.ask(http.MethodPost, "/oauth/token", form, "Client-Cert", header(other.certificate)), 401, "invalid_client")
	operator := h.owner.Administration(store.Operator{})
	h.must(operator.EndCertificate(t.Context(), a.ID, a.Certificates[0].SHA256, time.Now().Add(time.Minute), time.Now()))
	if got := h.ask(http.MethodPost, "/oauth/token", form, "Client-Cert", header(a.certificate)).status; got != http.StatusOK {
		t.Errorf("before an end that was moved: got %d, want 200", got)
	}
	h.must(operator.EndCertificate(t.Context(), a.ID, a.Certificates[0].SHA256, time.Now(), time.Now()))
	wantError(t, "after an end that was moved", h.ask(http.MethodPost, "/oauth/token", form, "Client-Cert", header(a.certificate)), 401, "invalid_client")
	h.must(operator.EndCertificate(t.Context(), a.ID, a.Certificates[0].SHA256, time.Now().Add(time.Minute), time.Now()))
	h.must(operator.RemoveCertificate(t.Context(), a.ID, a.Certificates[0].SHA256, time.Now()))
	wantError(t, "a certificate that was removed", h.ask(http.MethodPost, "/oauth/token", form, "Client-Cert", header(a.certificate)), 401, "invalid_client")
}
