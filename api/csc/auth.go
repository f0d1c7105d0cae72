package csc

import (
	"context"
	"encoding/json/v2"
	"fmt"
	"net/http"
	"strings"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/policies"
)

// granted is what auth/login answers.
type granted struct {
	AccessToken string `json:"access_token"`
	ExpiresIn   int    `json:"expires_in"`
}

func unauthorized(code, description string) *fault {
	return &fault{http.StatusUnauthorized, code, description}
}

// login gives an application that shows id and secret a token for itself (CSC
// API v1.0.4.0, 11.2): the client credentials grant in other words. No citizen's
// password is ever taken here, and no refresh token given.
func (d *Door) login(ctx context.Context, c call) (answer, error) {
	if c.body.has("refresh_token") {
		return answer{}, unauthorized(invalidRequest, "Invalid refresh_token")
	}
	if _, err := c.body.flag("rememberMe"); err != nil {
		return answer{}, err
	}
	if err := c.body.clientData(); err != nil {
		return answer{}, err
	}
	id, secret, basic := c.http.BasicAuth()
	if len(c.http.Header.Values("Authorization")) != 1 || !basic {
		return answer{}, unauthorized(invalidRequest, "Malformed authentication parameter.")
	}
	if !printable(id) || !printable(secret) {
		return answer{}, unauthorized(invalidRequest, "Malformed username-password.")
	}
	if _, err := d.admitted(ctx, c.version, id, nil); err != nil {
		return answer{}, err
	}
	r := c.http.Clone(ctx)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	got := within(d.echo, r, tokenPath, []byte("grant_type=client_credentials&scope="+api.ScopeService))
	var in granted
	switch {
	case got.status == http.StatusOK && json.Unmarshal(got.body.Bytes(), &in) == nil && in.AccessToken != "":
		return ok(in)
	case got.status == http.StatusTooManyRequests:
		return answer{}, policies.Refuse(policies.RateLimited)
	case got.status < http.StatusInternalServerError:
		return answer{}, unauthorized("authentication_error", "An error occurred during authentication process")
	}
	return answer{}, fmt.Errorf("asking for a token: %d %s", got.status, strings.TrimSpace(got.body.String()))
}

// revoke ends a token of the application (RFC 7009).
func (d *Door) revoke(ctx context.Context, c call) (answer, error) {
	token, err := c.body.must("token")
	if err != nil {
		return answer{}, err
	}
	hint, err := c.body.may("token_type_hint")
	if err != nil || hint != "" && hint != "access_token" && hint != "refresh_token" {
		return answer{}, invalidParameter("token_type_hint")
	}
	if err := c.body.clientData(); err != nil {
		return answer{}, err
	}
	if printable(token) {
		if err := d.Authority.Revoke(ctx, c.grant.Client.ID, token); err != nil {
			return answer{}, err
		}
	}
	return empty()
}
