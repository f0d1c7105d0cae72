package api

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// Authority knows what access tokens stand for.
type Authority interface {
	// Present is asked about a token that came with a request, under a scheme of
	// the Authorization header: Bearer, or DPoP (RFC 9449). It checks whatever
	// the token is bound to (policies.ApplicationUnknown).
	Present(r *http.Request, scheme, token string) (Grant, error)
}

// Grant is what an access token stands for.
type Grant struct {
	ID     string // for logs and idempotency; empty if the authority keeps none
	Token  string // as it was shown: never to be logged
	Client signer.Client
	Scopes []string
	// Subject is the id of the citizen who granted it, Identifier the DNI or NIE;
	// empty if the application speaks for itself.
	Subject    string
	Identifier string
	// RequestID and CredentialID are what a token of ScopeCredential is good for,
	// CredentialID alone what one of ScopeCreation or ScopeDeletion is.
	RequestID    string
	CredentialID string
	ExpiresAt    time.Time
}

// Bearer lets applications in that show an access token with the scope, at
// their pace (RFC 6750; the token is read from the header alone).
func (s *Site) Bearer(scope string) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if _, err := s.Grant(c, scope); err != nil {
				return err
			}
			return next(c)
		}
	}
}

// Authenticate is Bearer for a handler that also knows other ways in.
func (s *Site) Authenticate(c echo.Context, scope string) (signer.Client, error) {
	g, err := s.Grant(c, scope)
	return g.Client, err
}

// Grant is Authenticate for a handler that asks who is behind the token. Any of
// the scopes will do; if none is named, every scope does.
func (s *Site) Grant(c echo.Context, anyOf ...string) (Grant, error) {
	g, err := s.bearer(c, anyOf)
	if err != nil {
		return Grant{}, err
	}
	c.Set(grantKey, g)
	return g, s.Turn(c, g.Client)
}

// GrantOf is what Bearer let in, the zero value before.
func GrantOf(c echo.Context) Grant {
	g, _ := c.Get(grantKey).(Grant)
	return g
}

// ClientOf is the application that Bearer let in, the zero value before.
func ClientOf(c echo.Context) signer.Client { return GrantOf(c).Client }

func (s *Site) bearer(c echo.Context, anyOf []string) (Grant, error) {
	h := c.Response().Header()
	lines := c.Request().Header.Values(echo.HeaderAuthorization)
	var scheme, token string
	if len(lines) == 1 {
		scheme, token, _ = strings.Cut(lines[0], " ")
	}
	if !strings.EqualFold(scheme, "Bearer") && !strings.EqualFold(scheme, "DPoP") || token == "" {
		h.Set(echo.HeaderWWWAuthenticate, challenge("", anyOf))
		return Grant{}, policies.Refuse(policies.ApplicationUnknown)
	}
	g, err := s.Authority.Present(c.Request(), scheme, token)
	switch {
	case errors.Is(err, policies.Refuse(policies.ApplicationUnknown)):
		h.Set(echo.HeaderWWWAuthenticate, challenge("invalid_token", nil))
		return Grant{}, err
	case err != nil:
		return Grant{}, fmt.Errorf("reading an access token: %w", err)
	}
	if err := g.Client.Enter(doorAt(c.Path())); err != nil {
		return Grant{}, err
	}
	g.Token = token
	// What a token once said is not enough: the application, and this door, must
	// still have the scope.
	offered := Offered(g.Client)
	good := slices.DeleteFunc(slices.Clone(g.Scopes), func(scope string) bool {
		return !slices.Contains(offered, scope) || !slices.Contains(s.Scopes, scope)
	})
	if len(good) == 0 || len(anyOf) > 0 && !slices.ContainsFunc(anyOf, func(scope string) bool { return slices.Contains(good, scope) }) {
		h.Set(echo.HeaderWWWAuthenticate, challenge("insufficient_scope", anyOf))
		return Grant{}, policies.Refuse(policies.ScopeMissing, "scope", strings.Join(anyOf, " "))
	}
	g.Scopes = good
	return g, nil
}

// doorAt is the door that a route lies behind; what is no application's has none.
func doorAt(route string) string {
	for _, d := range []struct{ prefix, door string }{
		{"/v1/", signer.DoorREST}, {"/csc/v1/", signer.DoorCSC1}, {"/csc/v2/", signer.DoorCSC2},
	} {
		if strings.HasPrefix(route, d.prefix) {
			return d.door
		}
	}
	return ""
}

// challenge is RFC 6750, section 3. No error is named to those who showed no
// token.
func challenge(code string, scopes []string) string {
	out := `Bearer realm="` + realm + `"`
	if code != "" {
		out += `, error="` + code + `"`
	}
	if len(scopes) > 0 {
		out += `, scope="` + strings.Join(scopes, " ") + `"`
	}
	return out
}

// ownTokens is the authority of a site that issues tokens itself.
type ownTokens struct{ *Site }

// Present implements Authority.
func (s ownTokens) Present(r *http.Request, scheme, token string) (Grant, error) {
	if !strings.EqualFold(scheme, "Bearer") {
		return Grant{}, policies.Refuse(policies.ApplicationUnknown)
	}
	t, err := s.Clients.Token(r.Context(), tokenHash(token), s.Now())
	if err != nil {
		return Grant{}, err
	}
	if t.Certificate != nil && (s.Certificate == nil || subtle.ConstantTimeCompare(s.Certificate(r), t.Certificate) != 1) {
		return Grant{}, policies.Refuse(policies.ApplicationUnknown) // RFC 8705, section 3
	}
	client, err := s.Clients.Application(r.Context(), t.ClientID)
	return Grant{Client: client, Scopes: t.Scopes, ExpiresAt: t.ExpiresAt}, err
}
