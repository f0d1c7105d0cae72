package csc_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/api"
)

// formHeaders are those of a form.
func formHeaders() map[string]string {
	return map[string]string{"Content-Type": "application/x-www-form-urlencoded"}
}

// Below the addresses of this interface stands the one authorisation server: what
// it is asked is put into its words, and its answers into those of a version.
func edge(h *house) {
	ask := func(method, path, query string) map[string][]string {
		h.Helper()
		got := h.send1(method, path, strings.NewReader(query), formHeaders())
		var parameters map[string][]string
		if err := json.Unmarshal([]byte(got.body), &parameters); err != nil || got.status != http.StatusOK {
			h.Fatalf("%s: %d %s", path, got.status, got.body)
		}
		return parameters
	}
	const hash, plain = "-_-_", "+/+/"
	details := func(digests string, more ...string) string {
		return `[{"credentialID":"k","documentDigests":[` + digests + `]` + strings.Join(more, "") + `}]`
	}
	digest := `{"hash":"` + plain + `"}`
	numbered := `"https://cloudsignatureconsortium.org/2025/credential"`
	for _, test := range []struct{ method, path, query, want string }{
		{http.MethodGet, "v1/oauth2/authorize?scope=credential&credentialID=k&hash=" + hash, "", details(digest, `,"type":"credential"`)},
		{http.MethodGet, "v1/oauth2/authorize?scope=credential&credentialID=k&numSignatures=2&hash=" + hash + "," + hash, "", details(digest+","+digest, `,"numSignatures":2,"type":`, numbered)},
		{http.MethodGet, "v2/oauth2/authorize?scope=credential&credentialID=k&numSignatures=x&hashes=!", "", details(`{"hash":"!"}`, `,"numSignatures":"x","type":`, numbered)},
		{http.MethodPost, "v2/oauth2/pushed_authorize", "scope=credential&client_id=app&credentialID=k&hashAlgorithmOID=1.2&hashes=" + hash, details(digest, `,"hashAlgorithmOID":"1.2","type":"credential"`)},
	} {
		got := ask(test.method, test.path, test.query)
		delete(got, "client_id")
		if diff := cmp.Diff(map[string][]string{"scope": {"credential"}, "authorization_details": {test.want}}, got); diff != "" {
			h.Errorf("%s %s (-want +got):\n%s", test.path, test.query, diff)
		}
	}
	got := ask(http.MethodGet, "v2/oauth2/authorize?scope=service&state=1&clientData=x", "")
	if diff := cmp.Diff(map[string][]string{"scope": {"service"}, "state": {"1"}}, got); diff != "" {
		h.Errorf("scope service (-want +got):\n%s", diff)
	}
	for path, want := range map[string]string{"v1/oauth2/token": "SAD", "v2/oauth2/token": "Bearer"} {
		got := h.send1(http.MethodPost, path, strings.NewReader("grant_type=authorization_code&scope=credential"), map[string]string{
			"Content-Type": "application/x-www-form-urlencoded", "Authorization": h.basic("app", secret),
		})
		var answer map[string]any
		if err := json.Unmarshal([]byte(got.body), &answer); err != nil || answer["token_type"] != want {
			h.Errorf("%s: got %d %s, want token_type %s", path, got.status, got.body, want)
		}
	}
	if got := h.send1(http.MethodPost, "v1/oauth2/revoke", strings.NewReader("token=x&client_id=app"), formHeaders()); got.status != http.StatusNoContent {
		h.Errorf("revoking: got %d", got.status)
	}
}

// Without its switch version 1 is closed at every address that knows an
// application, and nothing is used up; version 2 is open.
func closed(h *house) {
	const no = "403 access_denied The application may not do this (door_not_allowed)"
	form := "client_id=" + h.modern.ID + "&grant_type=authorization_code&code=x&token=x&scope=credential"
	basic := formHeaders()
	basic["Authorization"] = h.basic(h.modern.ID, secret)
	for _, path := range []string{"oauth2/pushed_authorize", "oauth2/token", "oauth2/revoke"} {
		post := func(version, form string, headers map[string]string) reply {
			return h.send1(http.MethodPost, version+"/"+path, strings.NewReader(form), headers)
		}
		h.answers(path, post("v1", form, formHeaders()), no)
		h.answers(path+" by a secret", post("v1", "client_id=app&token=x", basic), no)
		h.answers(path+" of nobody", post("v1", "client_assertion=x", formHeaders()), "400 invalid_request Missing parameter client_id")
		if got := post("v2", form, formHeaders()); got.status == http.StatusForbidden {
			h.Errorf("version 2, %s: got %d %s", path, got.status, got.body)
		}
	}
	h.answers("login", h.send1(http.MethodPost, "v1/auth/login", nil, map[string]string{"Authorization": basic["Authorization"]}), no)
	for _, p := range h.methods("x") {
		if name, found := strings.CutPrefix(p.path, "v1/"); found && p.token == "service" {
			h.refused("v1/"+name, "modern", p.base, no)
		}
	}
	h.refused("v1/auth/revoke", "modern", map[string]any{"token": "x"}, no)

	// A browser goes back where that is registered, and stays here otherwise.
	ask := url.Values{"client_id": {h.modern.ID}, "state": {"s 1"}, "scope": {"service"}}
	h.answers("authorising", h.send1(http.MethodGet, "v1/oauth2/authorize?"+ask.Encode(), nil, nil), no)
	ask.Set("redirect_uri", "https://atacante.example/")
	h.answers("authorising elsewhere", h.send1(http.MethodGet, "v1/oauth2/authorize?"+ask.Encode(), nil, nil), no)
	ask.Set("redirect_uri", h.modern.ReturnAddresses[0])
	want := h.modern.ReturnAddresses[0] + "?" + url.Values{"error": {"unauthorized_client"}, "iss": {h.url}, "state": {"s 1"}}.Encode()
	if got := h.location("v1/oauth2/authorize?" + ask.Encode()); got != want {
		h.Errorf("got %q, want %q", got, want)
	}
}

// location is where an address leads a browser.
func (h *house) location(path string) string {
	h.Helper()
	client := *h.http
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	of := *h
	of.http = &client
	return of.send1(http.MethodGet, path, nil, nil).header.Get("Location")
}

// An account_token is the application's own or is refused: never passed over.
func accountTokens(h *house) {
	sign := func(alg jose.SignatureAlgorithm, key []byte, claims map[string]any) string {
		h.Helper()
		s := must[jose.Signer](h.T)(jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, (&jose.SignerOptions{}).WithType("JWT")))
		return must[string](h.T)(jwt.Signed(s).Claims(claims).Serialize())
	}
	now := h.clock.Now().Unix()
	claims := map[string]any{"sub": "cuenta-7", "iat": now, "jti": "1", "iss": "Sede", "azp": "app"}
	key := api.SecretHash(secret)
	good := sign(jose.HS256, key, claims)
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`)) + good[strings.Index(good, "."):strings.LastIndex(good, ".")+1]
	const refused = "400 invalid_request Invalid parameter account_token"
	for _, version := range []string{"v1", "v2"} {
		for _, test := range []struct{ name, client, token, want string }{
			{"good", "app", good, ""},
			{"under the former secret", "app", sign(jose.HS256, api.SecretHash(former), claims), ""},
			{"without azp", "app", sign(jose.HS256, key, with(claims, "azp", nil)), ""},
			{"empty", "app", "", refused},
			{"no JWT", "app", "x", refused},
			{"another key", "app", sign(jose.HS256, api.SecretHash("otro"), claims), refused},
			{"the secret itself", "app", sign(jose.HS256, []byte(secret+strings.Repeat("x", 32)), claims), refused},
			{"another algorithm", "app", sign(jose.HS512, append(key, key...), claims), refused},
			{"no signature", "app", good[:strings.LastIndex(good, ".")+1], refused},
			{"none", "app", none, refused},
			{"another's", "app", sign(jose.HS256, key, with(claims, "azp", "other")), refused},
			{"expired", "app", sign(jose.HS256, key, with(claims, "exp", now-3600)), refused},
			{"of the future", "app", sign(jose.HS256, key, with(claims, "iat", now+3600)), refused},
			{"of who has no secret", "other", sign(jose.HS256, make([]byte, 32), with(claims, "azp", "other")), refused},
		} {
			what := version + ": " + test.name
			ask := url.Values{"client_id": {test.client}, "scope": {"service"}, "account_token": {test.token}}
			got := h.send1(http.MethodGet, version+"/oauth2/authorize?"+ask.Encode(), nil, nil)
			pushed := h.send1(http.MethodPost, version+"/oauth2/pushed_authorize", strings.NewReader(ask.Encode()), formHeaders())
			if test.want != "" {
				h.answers(what, got, test.want)
				h.answers(what+", pushed", pushed, test.want)
				continue
			}
			if got.status != http.StatusOK || pushed.status != http.StatusOK || strings.Contains(got.body+pushed.body, "account") {
				h.Errorf("%s: got %d %s, %d %s, want it handed on without the token", what, got.status, got.body, pushed.status, pushed.body)
			}
			ask.Set("account", "87654321X") // what it says itself counts for nothing beside what it has signed
			ask.Set("account_token", sign(jose.HS256, key, with(claims, "sub", "12.345.678-z")))
			got = h.send1(http.MethodGet, version+"/oauth2/authorize?"+ask.Encode(), nil, nil)
			if !strings.Contains(got.body, `"account":["`+ana+`"]`) || strings.Contains(got.body, "account_token") {
				h.Errorf("%s, of a citizen: got %d %s, want to hear who has to log in", what, got.status, got.body)
			}
			ask.Set("account_token", test.token+"x")
			ask.Set("redirect_uri", h.app.ReturnAddresses[0])
			if got := h.location(version + "/oauth2/authorize?" + ask.Encode()); !strings.Contains(got, "error=invalid_request") {
				h.Errorf("%s, spoilt: got %q, want the error at the application", what, got)
			}
		}
	}
}
