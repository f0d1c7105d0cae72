// Package client speaks to the native door of Rúbrica. The calls and their
// types are generated from the contract; Connect adds the access token.
package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

//go:generate go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2 -config oapi-codegen.yaml ../openapi.yaml

// Account is what an application gets when it is registered, and where.
type Account struct {
	// BaseURL is the public address of the service.
	BaseURL string
	ID      string
	Secret  string
	// Scope is what access tokens are asked for: "signature" or "registration".
	Scope string
	// HTTP carries all requests; nil means http.DefaultClient.
	HTTP *http.Client
	// Now is the clock that tells when a token ends; nil means time.Now.
	Now func() time.Time
}

// Connect makes a client that gets and renews its access tokens. Nothing is
// sent before the first call.
func Connect(a Account) (*ClientWithResponses, error) {
	if a.HTTP == nil {
		a.HTTP = http.DefaultClient
	}
	if a.Now == nil {
		a.Now = time.Now
	}
	a.BaseURL = strings.TrimRight(a.BaseURL, "/")
	session := &session{account: a}
	return NewClientWithResponses(a.BaseURL, WithHTTPClient(session), WithRequestEditorFn(session.authorise))
}

// early is how long before its end a token is not used any more.
const early = 30 * time.Second

// session holds the access token of the moment.
type session struct {
	account Account

	mu   sync.Mutex
	held string
	ends time.Time
}

// Do sends a request. A token that the service no longer knows is forgotten,
// so that the next call gets another.
func (s *session) Do(r *http.Request) (*http.Response, error) {
	response, err := s.account.HTTP.Do(r)
	if err == nil && response.StatusCode == http.StatusUnauthorized {
		s.mu.Lock()
		s.held = ""
		s.mu.Unlock()
	}
	return response, err
}

func (s *session) authorise(ctx context.Context, r *http.Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held == "" || !s.account.Now().Before(s.ends) {
		if err := s.renew(ctx); err != nil {
			return fmt.Errorf("getting an access token: %w", err)
		}
	}
	r.Header.Set("Authorization", "Bearer "+s.held)
	return nil
}

// renew is the client credentials grant (RFC 6749, section 4.4), the secret in
// the header (section 2.3.1).
func (s *session) renew(ctx context.Context) error {
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {s.account.Scope}}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.account.BaseURL+"/oauth/token", strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(url.QueryEscape(s.account.ID), url.QueryEscape(s.account.Secret))
	response, err := s.account.HTTP.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	var answer struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   int    `json:"expires_in"`
		Error       string `json:"error"`
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, 1<<16)).Decode(&answer); err != nil {
		return fmt.Errorf("reading the answer (status %d): %w", response.StatusCode, err)
	}
	if response.StatusCode != http.StatusOK || answer.AccessToken == "" {
		return fmt.Errorf("status %d %s", response.StatusCode, answer.Error)
	}
	s.held = answer.AccessToken
	s.ends = s.account.Now().Add(time.Duration(answer.ExpiresIn)*time.Second - early)
	return nil
}

// Error makes a problem document an error.
func (p *Problem) Error() string {
	parts := []string{fmt.Sprintf("%s (%d)", p.Code, p.Status), p.Title}
	for _, part := range []*string{p.Detail, p.Remedy} {
		if part != nil {
			parts = append(parts, *part)
		}
	}
	return strings.Join(parts, ": ")
}

// Answer is what every answer of this package fulfils.
type Answer interface {
	StatusCode() int
	GetBody() []byte
}

// Check joins the two ways in which a call can fail: it gives the error of the
// transport, or the *Problem that was the answer.
func Check(answer Answer, err error) error {
	if err != nil {
		return err
	}
	if answer.StatusCode() < http.StatusBadRequest {
		return nil
	}
	problem := new(Problem)
	if err := json.Unmarshal(answer.GetBody(), problem); err != nil || problem.Code == "" {
		return errors.New("the service answered " + http.StatusText(answer.StatusCode()))
	}
	return problem
}
