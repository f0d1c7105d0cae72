package api

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// Bearer lets applications in that show an access token with the scope, at
// their pace (RFC 6750; the token is read from the header alone).
func (s *Site) Bearer(scope string) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if _, err := s.Authenticate(c, scope); err != nil {
				return err
			}
			return next(c)
		}
	}
}

// Authenticate is Bearer for a handler that also knows other ways in.
func (s *Site) Authenticate(c echo.Context, scope string) (signer.Client, error) {
	client, err := s.bearer(c, scope)
	if err != nil {
		return signer.Client{}, err
	}
	c.Set(clientKey, client)
	return client, s.calls.admit(client.ID)
}

// ClientOf is the application that Bearer let in, the zero value before.
func ClientOf(c echo.Context) signer.Client {
	client, _ := c.Get(clientKey).(signer.Client)
	return client
}

func (s *Site) bearer(c echo.Context, scope string) (signer.Client, error) {
	h := c.Response().Header()
	kind, value, _ := strings.Cut(c.Request().Header.Get(echo.HeaderAuthorization), " ")
	if !strings.EqualFold(kind, "Bearer") || value == "" {
		h.Set(echo.HeaderWWWAuthenticate, challenge("", scope))
		return signer.Client{}, policies.Refuse(policies.ApplicationUnknown)
	}
	ctx := c.Request().Context()
	token, err := s.Clients.Token(ctx, tokenHash(value), s.Now())
	var client signer.Client
	if err == nil && !s.holds(c.Request(), token) {
		err = policies.Refuse(policies.ApplicationUnknown)
	}
	if err == nil {
		client, err = s.Clients.Application(ctx, token.ClientID)
	}
	switch {
	case errors.Is(err, policies.Refuse(policies.ApplicationUnknown)):
		h.Set(echo.HeaderWWWAuthenticate, challenge("invalid_token", ""))
		return signer.Client{}, err
	case err != nil:
		return signer.Client{}, fmt.Errorf("reading an access token: %w", err)
	case !slices.Contains(token.Scopes, scope) || !slices.Contains(client.Scopes, scope) || !slices.Contains(s.Scopes, scope):
		h.Set(echo.HeaderWWWAuthenticate, challenge("insufficient_scope", scope))
		return signer.Client{}, policies.Refuse(policies.ScopeMissing, "scope", scope)
	}
	return client, nil
}

// holds is whether a token that is bound to a certificate comes with it (RFC
// 8705, section 3).
func (s *Site) holds(r *http.Request, token signer.AccessToken) bool {
	if token.Certificate == nil {
		return true
	}
	return s.Certificate != nil && subtle.ConstantTimeCompare(s.Certificate(r), token.Certificate) == 1
}

// challenge is RFC 6750, section 3. No error is named to those who showed no
// token.
func challenge(code, scope string) string {
	out := `Bearer realm="` + realm + `"`
	if code != "" {
		out += `, error="` + code + `"`
	}
	if scope != "" {
		out += `, scope="` + scope + `"`
	}
	return out
}
