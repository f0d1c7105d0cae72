package api

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// The scopes of access tokens.
const (
	ScopeSignature    = "signature"          // applications: ask for signatures
	ScopeRegistration = "registration"       // offices: register citizens
	ScopeVideo        = "registration:video" // providers: hand in video identifications
	ScopeAudit        = "audit"              // auditors' programs: ask the log, at a door of its own
	ScopeService      = "service"            // Cloud Signature Consortium: whatever needs no signature
	ScopeCredential   = "credential"         // Cloud Signature Consortium: one signature, by a citizen's consent

	// ScopeCreation and ScopeDeletion are the Cloud Signature Consortium's: to hear
	// that the citizen has had a certificate made, or has given it up, because the
	// application asked. They come with signer.SwitchCredentials.
	ScopeCreation = "credential_creation"
	ScopeDeletion = "credential_deletion"

	// ParameterAccount of an authorisation request says who has to log in: a DNI or
	// NIE.
	ParameterAccount = "account"
)

// ApplicationScopes are those that applications and offices may have.
func ApplicationScopes() []string {
	return []string{ScopeSignature, ScopeRegistration, ScopeVideo, ScopeService, ScopeCredential, ScopeCreation, ScopeDeletion}
}

// ClientScopes are those that an application may be registered with that is no
// office. Those of errands come with a switch.
func ClientScopes() []string {
	return []string{ScopeSignature, ScopeService, ScopeCredential, ScopeVideo}
}

// Offered are the scopes that an application may ask for.
func Offered(c signer.Client) []string {
	if !c.Has(signer.SwitchCredentials) {
		return c.Scopes
	}
	return slices.Concat(c.Scopes, []string{ScopeCreation, ScopeDeletion})
}

const (
	tokenPath = "/oauth/token" //nolint:gosec // an address, no token
	tokenLife = 10 * time.Minute
	realm     = "rubrica"

	maxClientID = 100

	invalidClient = "invalid_client" // RFC 6749, section 5.2
)

// Clients is what the authorisation server keeps.
type Clients interface {
	// Application reads a client (policies.ApplicationUnknown if there is none
	// or it is disabled).
	Application(ctx context.Context, clientID string) (signer.Client, error)
	// AddToken keeps an access token; it is durable on return.
	AddToken(ctx context.Context, t signer.AccessToken) error
	// Token finds a token that has not expired (policies.ApplicationUnknown).
	Token(ctx context.Context, hash []byte, now time.Time) (signer.AccessToken, error)
}

// ErrorAddress is a registered return address with what an authorisation request
// came to (RFC 6749, section 4.1.2.1; RFC 9207). The state, if any, is that of the
// request.
func ErrorAddress(address, issuer, code, description, state string) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", fmt.Errorf("reading a return address: %w", err)
	}
	q := u.Query()
	q.Set("error", code)
	q.Set("iss", issuer)
	for name, value := range map[string]string{"error_description": described(description), "state": state} {
		if value != "" {
			q.Set(name, value)
		}
	}
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// described is a description in the characters that RFC 6749, appendix A.8, has
// for one; it may quote what was sent.
func described(s string) string {
	const longest = 200
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == '"' || r == '\\' {
			return '\''
		}
		return r
	}, s)
	return s[:min(len(s), longest)]
}

// isOneOf compares a hash with those that are known: how long that takes says
// nothing of any.
func isOneOf(shown []byte, known [][]byte) bool {
	found := 0
	for _, k := range known {
		if len(k) == sha256.Size {
			found |= subtle.ConstantTimeCompare(shown, k)
		}
	}
	return found == 1
}

// SecretHash is the form in which a client's secret is kept. Secrets are drawn,
// not chosen, with 128 bits at least: nothing is gained by a slow hash.
func SecretHash(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

// tokenAnswer is RFC 6749, section 5.1.
type tokenAnswer struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int    `json:"expires_in"`
	Scope       string `json:"scope"`
}

// oauthError is RFC 6749, section 5.2. It answers at the token endpoint alone.
type oauthError struct {
	Code        string `json:"error"`
	Description string `json:"error_description,omitempty"`
}

func (e *oauthError) Error() string { return "oauth: " + e.Code + ": " + e.Description }

// token is the client credentials grant (RFC 6749, section 4.4), for a site that
// issues tokens itself: the staff doors. Applications go to api/oauth.
func (s *Site) token(c echo.Context) error {
	answer, err := s.grant(c.Request())
	var refused *oauthError
	switch {
	case errors.As(err, &refused) && refused.Code == invalidClient:
		if err := s.tellRefused(c); err != nil {
			return err
		}
		c.Response().Header().Set(echo.HeaderWWWAuthenticate, `Basic realm="`+realm+`", charset="UTF-8"`)
		return c.JSON(http.StatusUnauthorized, refused)
	case refused != nil:
		return c.JSON(http.StatusBadRequest, refused)
	case err != nil:
		return err
	}
	c.Response().Header().Set("Pragma", "no-cache")
	return c.JSON(http.StatusOK, answer)
}

// tellRefused reports a client that was not let in to whom it may concern.
func (s *Site) tellRefused(c echo.Context) error {
	if s.Refused == nil {
		return nil
	}
	id, _, _ := credentials(c.Request(), c.Request().PostForm) // empty where it said none
	return s.Refused(c, id)
}

func (s *Site) grant(r *http.Request) (tokenAnswer, error) {
	form, err := tokenForm(r)
	if err != nil {
		return tokenAnswer{}, err
	}
	client, certificate, err := s.authenticate(r, form)
	if err != nil {
		return tokenAnswer{}, err
	}
	switch form.Get("grant_type") {
	case "client_credentials":
	case "":
		return tokenAnswer{}, &oauthError{Code: "invalid_request", Description: "grant_type is missing"}
	default:
		return tokenAnswer{}, &oauthError{Code: "unsupported_grant_type"}
	}
	scopes, err := s.grantable(client, form.Get("scope"))
	if err != nil {
		return tokenAnswer{}, err
	}
	return s.issue(r.Context(), signer.AccessToken{ClientID: client.ID, Scopes: scopes, Certificate: certificate})
}

// tokenForm reads the parameters of a token request: in the body, and none of
// them twice (RFC 6749, sections 3.2 and 2.3.1).
func tokenForm(r *http.Request) (url.Values, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, &oauthError{Code: "invalid_request", Description: "the body must be application/x-www-form-urlencoded"}
	}
	if err := r.ParseForm(); err != nil {
		if tooLong := (*http.MaxBytesError)(nil); errors.As(err, &tooLong) {
			return nil, err
		}
		return nil, &oauthError{Code: "invalid_request", Description: "the body cannot be read"}
	}
	for _, values := range r.PostForm {
		if len(values) > 1 {
			return nil, &oauthError{Code: "invalid_request", Description: "a parameter stands twice"}
		}
	}
	return r.PostForm, nil
}

// authenticate checks client_secret_basic or client_secret_post or, of a client
// that shows no secret, its TLS certificate (RFC 8705, section 2), which it then
// returns. An unknown client costs and answers what a wrong secret does.
func (s *Site) authenticate(r *http.Request, form url.Values) (client signer.Client, certificate []byte, err error) {
	id, secret, err := credentials(r, form)
	if err != nil {
		return client, nil, err
	}
	if len(id) > maxClientID || !printable(id) {
		return client, nil, &oauthError{Code: invalidClient}
	}
	client, err = s.Clients.Application(r.Context(), id)
	unknown := errors.Is(err, policies.Refuse(policies.ApplicationUnknown))
	if err != nil && !unknown {
		return client, nil, fmt.Errorf("reading a client: %w", err)
	}
	shown, known := SecretHash(secret), client.SecretHashes(s.Now())
	if secret == "" && s.Certificate != nil {
		certificate = s.Certificate(r)
		shown, known = certificate, [][]byte{client.Certificate}
	}
	if !isOneOf(shown, known) || unknown {
		return client, nil, &oauthError{Code: invalidClient}
	}
	return client, certificate, nil
}

// credentials are the client's, from the header or from the body, never both
// (RFC 6749, section 2.3).
func credentials(r *http.Request, form url.Values) (id, secret string, err error) {
	id, secret, basic := r.BasicAuth()
	if r.Header.Get("Authorization") == "" {
		return form.Get("client_id"), form.Get("client_secret"), nil
	}
	if form.Has("client_secret") {
		return "", "", &oauthError{Code: "invalid_request", Description: "two ways of authentication at once"}
	}
	id, idErr := url.QueryUnescape(id)
	secret, secretErr := url.QueryUnescape(secret)
	if !basic || idErr != nil || secretErr != nil {
		return "", "", &oauthError{Code: invalidClient}
	}
	if form.Has("client_id") && form.Get("client_id") != id {
		return "", "", &oauthError{Code: "invalid_request", Description: "client_id is not the one that authenticates"}
	}
	return id, secret, nil
}

// printable is RFC 6749, appendix A.1.
func printable(id string) bool {
	return strings.IndexFunc(id, func(r rune) bool { return r < ' ' || r > '~' }) < 0
}

// grantable is what is asked for, or all that the client may have at this door.
func (s *Site) grantable(client signer.Client, asked string) ([]string, error) {
	var offered []string
	for _, scope := range client.Scopes {
		if slices.Contains(s.Scopes, scope) {
			offered = append(offered, scope)
		}
	}
	scopes := strings.Split(asked, " ")
	if asked == "" {
		scopes = offered
	}
	if len(scopes) == 0 {
		return nil, &oauthError{Code: "invalid_scope"}
	}
	for i, scope := range scopes {
		if !slices.Contains(offered, scope) || slices.Contains(scopes[:i], scope) {
			return nil, &oauthError{Code: "invalid_scope"}
		}
	}
	return scopes, nil
}

func (s *Site) issue(ctx context.Context, t signer.AccessToken) (tokenAnswer, error) {
	var secret [32]byte
	rand.Read(secret[:])
	value := base64.RawURLEncoding.EncodeToString(secret[:])
	t.Hash, t.ExpiresAt = tokenHash(value), s.Now().Add(tokenLife)
	if err := s.Clients.AddToken(ctx, t); err != nil {
		return tokenAnswer{}, fmt.Errorf("keeping an access token: %w", err)
	}
	return tokenAnswer{
		AccessToken: value, TokenType: "Bearer", ExpiresIn: int(tokenLife / time.Second), Scope: strings.Join(t.Scopes, " "),
	}, nil
}

func tokenHash(value string) []byte {
	sum := sha256.Sum256([]byte(value))
	return sum[:]
}

// serverMetadata is RFC 8414, section 2, and RFC 8705, section 3.3.
type serverMetadata struct {
	Issuer        string   `json:"issuer"`
	TokenEndpoint string   `json:"token_endpoint"`
	AuthMethods   []string `json:"token_endpoint_auth_methods_supported"`
	GrantTypes    []string `json:"grant_types_supported"`
	ResponseTypes []string `json:"response_types_supported"` // required, though no grant here has one
	Scopes        []string `json:"scopes_supported"`
	Documentation string   `json:"service_documentation"`
	BoundTokens   bool     `json:"tls_client_certificate_bound_access_tokens,omitempty"`
}

func (s *Site) metadata(c echo.Context) error {
	m := serverMetadata{
		Issuer:        s.URL(""),
		TokenEndpoint: s.URL(tokenPath),
		AuthMethods:   []string{"client_secret_basic", "client_secret_post"},
		GrantTypes:    []string{"client_credentials"},
		ResponseTypes: []string{},
		Scopes:        s.Scopes,
		Documentation: s.URL("/docs"),
	}
	if s.Certificate != nil {
		m.AuthMethods, m.BoundTokens = append(m.AuthMethods, "tls_client_auth"), true
	}
	return c.JSON(http.StatusOK, m)
}
