package api_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

const formType = "application/x-www-form-urlencoded"

type tokenAnswer struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int    `json:"expires_in"`
	Scope       string `json:"scope"`
	Error       string `json:"error"`
}

func (h house) tokenRequest(t *testing.T, form string, headers ...string) (reply, tokenAnswer) {
	t.Helper()
	response := h.ask(t, http.MethodPost, "/oauth/token", form, append([]string{"Content-Type", formType}, headers...)...)
	var answer tokenAnswer
	if err := json.Unmarshal([]byte(response.body), &answer); err != nil {
		t.Fatalf("status %d: %v", response.status, err)
	}
	return response, answer
}

// basic is the Authorization header of client_secret_basic.
func basic(id, secret string) string {
	r := http.Request{Header: http.Header{}}
	r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
	return r.Header.Get("Authorization")
}

func TestTokenEndpoint(t *testing.T) {
	t.Parallel()
	good := basic("sede", secret)
	post := url.Values{"client_id": {"sede"}, "client_secret": {secret}}.Encode()
	for _, tt := range []struct {
		name, form, authorization string
		status                    int
		code, scope               string
	}{
		{"basic", "grant_type=client_credentials", good, 200, "", "signature"},
		{"post", "grant_type=client_credentials&scope=signature&" + post, "", 200, "", "signature"},
		{"basic with its id", "grant_type=client_credentials&client_id=sede", good, 200, "", "signature"},
		{"all scopes", "grant_type=client_credentials", basic("both", secret), 200, "", "signature registration"},
		{"one of two", "grant_type=client_credentials&scope=registration", basic("both", secret), 200, "", "registration"},
		{"no client", "grant_type=client_credentials", "", 401, "invalid_client", ""},
		{"unknown client", "grant_type=client_credentials", basic("nobody", secret), 401, "invalid_client", ""},
		{"wrong secret", "grant_type=client_credentials", basic("sede", secret+"x"), 401, "invalid_client", ""},
		{"empty secret of an unknown client", "grant_type=client_credentials", basic("nobody", ""), 401, "invalid_client", ""},
		{"NUL in the id", "grant_type=client_credentials&client_id=%00&client_secret=x", "", 401, "invalid_client", ""},
		{"broken escape", "grant_type=client_credentials", "Basic JTolCg==", 401, "invalid_client", ""},
		{"another scheme", "grant_type=client_credentials", "Bearer abc", 401, "invalid_client", ""},
		{"two ways", "grant_type=client_credentials&" + post, good, 400, "invalid_request", ""},
		{"another id", "grant_type=client_credentials&client_id=both", good, 400, "invalid_request", ""},
		{"no grant type", "scope=signature", good, 400, "invalid_request", ""},
		{"grant type twice", "grant_type=client_credentials&grant_type=client_credentials", good, 400, "invalid_request", ""},
		{"another grant", "grant_type=password", good, 400, "unsupported_grant_type", ""},
		{"scope of others", "grant_type=client_credentials&scope=registration", good, 400, "invalid_scope", ""},
		{"scope of another door", "grant_type=client_credentials&scope=audit", basic("auditing", secret), 400, "invalid_scope", ""},
		{"scopes of other doors only", "grant_type=client_credentials", basic("auditing", secret), 400, "invalid_scope", ""},
		{"scope twice", "grant_type=client_credentials&scope=signature+signature", good, 400, "invalid_scope", ""},
		{"unknown scope", "grant_type=client_credentials&scope=signature+openid", good, 400, "invalid_scope", ""},
		{"broken form", "grant_type=%zz", good, 400, "invalid_request", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var headers []string
			if tt.authorization != "" {
				headers = []string{"Authorization", tt.authorization}
			}
			response, answer := build(t, nil).tokenRequest(t, tt.form, headers...)
			if response.status != tt.status || answer.Error != tt.code || answer.Scope != tt.scope {
				t.Errorf("got %d %+v, want %d %s %s", response.status, answer, tt.status, tt.code, tt.scope)
			}
			if tt.status == 200 && (len(answer.AccessToken) != 43 || answer.TokenType != "Bearer" || answer.ExpiresIn != 600) {
				t.Errorf("got %+v, want a bearer token of 32 bytes for 600 s", answer)
			}
			if got := response.header.Get("WWW-Authenticate"); (got != "") != (tt.status == 401) {
				t.Errorf("WWW-Authenticate: got %q with status %d", got, tt.status)
			}
			if got := response.header.Get("Cache-Control"); got != "no-store" {
				t.Errorf("Cache-Control: got %q, want no-store", got)
			}
		})
	}
}

func TestTokenEndpointReadsNoQuery(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	query := url.Values{"grant_type": {"client_credentials"}, "client_id": {"sede"}, "client_secret": {secret}}.Encode()
	response := h.ask(t, http.MethodPost, "/oauth/token?"+query, "", "Content-Type", formType)
	if response.status != http.StatusUnauthorized {
		t.Errorf("credentials in the address: got %d, want 401", response.status)
	}
	response = h.ask(t, http.MethodPost, "/oauth/token", `{"grant_type":"client_credentials"}`, "Content-Type", "application/json")
	if response.status != http.StatusBadRequest || !strings.Contains(response.body, "invalid_request") {
		t.Errorf("JSON: got %d %s, want invalid_request", response.status, response.body)
	}
}

func TestTokenEndpointFails(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	h.clients.broken = errors.New("no database")
	response := h.ask(t, http.MethodPost, "/oauth/token", "grant_type=client_credentials",
		"Content-Type", formType, "Authorization", basic("sede", secret))
	wantProblem(t, response, policies.Internal)

	paced := build(t, func(c *api.Config) { c.Limits.Tokens = api.Rate{Every: time.Minute, Burst: 1} })
	paced.tokenRequest(t, "grant_type=client_credentials", "Authorization", basic("sede", secret))
	wantProblem(t, paced.ask(t, http.MethodPost, "/oauth/token", ""), policies.RateLimited)
}

func TestBearer(t *testing.T) {
	t.Parallel()
	h := build(t, func(c *api.Config) {
		c.Limits.Calls = api.Rate{Every: time.Hour, Burst: 5}
		c.Rooms = append(c.Rooms, func(s *api.Site) {
			whoami := func(c echo.Context) error { return c.String(http.StatusOK, api.ClientOf(c).Name) }
			s.Door("/").GET("/sign", whoami, s.Bearer(api.ScopeSignature))
			s.Door("/").GET("/register", whoami, s.Bearer(api.ScopeRegistration))
		})
	})
	_, answer := h.tokenRequest(t, "grant_type=client_credentials", "Authorization", basic("sede", secret))
	token := answer.AccessToken

	response := h.ask(t, http.MethodGet, "/sign", "", "Authorization", "Bearer "+token)
	if response.status != http.StatusOK || response.body != "Sede electrónica" {
		t.Fatalf("got %d %q, want the application", response.status, response.body)
	}
	for _, tt := range []struct {
		name, path, authorization string
		code                      policies.Code
		challenge                 string
	}{
		{"no token", "/sign", "", policies.ApplicationUnknown, `Bearer realm="rubrica", scope="signature"`},
		{"token in the address", "/sign?access_token=" + token, "", policies.ApplicationUnknown, `Bearer realm="rubrica", scope="signature"`},
		{"another scheme", "/sign", basic("sede", secret), policies.ApplicationUnknown, `Bearer realm="rubrica", scope="signature"`},
		{"wrong token", "/sign", "Bearer " + token + "x", policies.ApplicationUnknown, `Bearer realm="rubrica", error="invalid_token"`},
		{"wrong scope", "/register", "bearer " + token, policies.ScopeMissing, `Bearer realm="rubrica", error="insufficient_scope", scope="registration"`},
	} {
		response := h.ask(t, http.MethodGet, tt.path, "", "Authorization", tt.authorization)
		wantProblem(t, response, tt.code)
		if got := response.header.Get("WWW-Authenticate"); got != tt.challenge {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.challenge)
		}
	}
	for range 4 {
		h.ask(t, http.MethodGet, "/sign", "", "Authorization", "Bearer "+token)
	}
	wantProblem(t, h.ask(t, http.MethodGet, "/sign", "", "Authorization", "Bearer "+token), policies.RateLimited)

	h.clients.disable("sede")
	wantProblem(t, h.ask(t, http.MethodGet, "/sign", "", "Authorization", "Bearer "+token), policies.ApplicationUnknown)
	_, other := h.tokenRequest(t, "grant_type=client_credentials", "Authorization", basic("both", secret))
	h.clock.pass(10 * time.Minute)
	wantProblem(t, h.ask(t, http.MethodGet, "/sign", "", "Authorization", "Bearer "+other.AccessToken), policies.ApplicationUnknown)

	for _, hidden := range []string{token, other.AccessToken, secret, url.QueryEscape(secret)} {
		if strings.Contains(h.journal.String(), hidden) {
			t.Errorf("the log holds a secret:\n%s", h.journal)
		}
	}
	for hash := range h.clients.tokens {
		if strings.Contains(hash, token) || len(hash) != 32 {
			t.Errorf("a token is kept as %d bytes, want a SHA-256", len(hash))
		}
	}
}

func TestMetadata(t *testing.T) {
	t.Parallel()
	var got map[string]any
	response := build(t, nil).ask(t, http.MethodGet, "/.well-known/oauth-authorization-server", "")
	if err := json.Unmarshal([]byte(response.body), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"issuer":                                "https://firma.example.es",
		"token_endpoint":                        "https://firma.example.es/oauth/token",
		"token_endpoint_auth_methods_supported": []any{"client_secret_basic", "client_secret_post"},
		"grant_types_supported":                 []any{"client_credentials"},
		"response_types_supported":              []any{},
		"scopes_supported":                      []any{"signature", "registration", "registration:video"},
		"service_documentation":                 "https://firma.example.es/docs",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("metadata (-want +got):\n%s", diff)
	}
}

// A token of this door's tables is worth nothing for what the door does not grant.
func TestBearerOfAnotherDoor(t *testing.T) {
	t.Parallel()
	h := build(t, func(c *api.Config) {
		c.Rooms = append(c.Rooms, func(s *api.Site) {
			s.Door("/").GET("/ask", func(c echo.Context) error { return c.NoContent(http.StatusNoContent) }, s.Bearer(api.ScopeAudit))
		})
	})
	token := "a token that somebody wrote into the table"
	err := h.clients.AddToken(t.Context(), signer.AccessToken{
		Hash: api.SecretHash(token), ClientID: "auditing", Scopes: []string{api.ScopeAudit}, ExpiresAt: h.clock.now().Add(time.Minute),
	})
	if err != nil {
		t.Fatal(err)
	}
	wantProblem(t, h.ask(t, http.MethodGet, "/ask", "", "Authorization", "Bearer "+token), policies.ScopeMissing)
}

// With certificates, a client may show its own instead of a secret, and gets
// tokens that are worth nothing without it (RFC 8705).
func TestCertificates(t *testing.T) {
	t.Parallel()
	shown := api.SecretHash("the certificate")
	var refused []string
	h := build(t, func(c *api.Config) {
		c.Certificate = func(*http.Request) []byte { return shown }
		c.Refused = func(_ echo.Context, id string) error {
			refused = append(refused, id)
			return nil
		}
		c.Rooms = append(c.Rooms, func(s *api.Site) {
			s.Door("/").GET("/sign", func(c echo.Context) error { return c.NoContent(http.StatusNoContent) }, s.Bearer(api.ScopeSignature))
		})
	})
	sede := h.clients.known["sede"]
	sede.Certificate = shown
	h.clients.known["sede"] = sede
	_, answer := h.tokenRequest(t, "grant_type=client_credentials&client_id=sede")
	_, unbound := h.tokenRequest(t, "grant_type=client_credentials", "Authorization", basic("sede", secret))
	for i, tt := range []struct {
		certificate []byte
		token       string
		status      int
	}{
		{shown, answer.AccessToken, 204},
		{shown, unbound.AccessToken, 204},
		{nil, answer.AccessToken, 401},
		{api.SecretHash("another"), answer.AccessToken, 401},
		{nil, unbound.AccessToken, 204},
	} {
		shown = tt.certificate
		if got := h.ask(t, http.MethodGet, "/sign", "", "Authorization", "Bearer "+tt.token); got.status != tt.status {
			t.Errorf("case %d: got %d %s, want %d", i, got.status, got.body, tt.status)
		}
	}
	for _, shown = range [][]byte{nil, {}, api.SecretHash("another")} {
		for _, id := range []string{"sede", "both", "nobody", ""} {
			if response, _ := h.tokenRequest(t, "grant_type=client_credentials&client_id="+id); response.status != http.StatusUnauthorized {
				t.Errorf("%q with certificate %x: got %d, want it refused", id, shown, response.status)
			}
		}
	}
	if want := slices.Repeat([]string{"sede", "both", "nobody", ""}, 3); !slices.Equal(refused, want) {
		t.Errorf("told of %q, want %q", refused, want)
	}
}
