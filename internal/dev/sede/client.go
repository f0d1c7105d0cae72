package sede

import (
	"bytes"
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

// Client is what an application gets when it is registered.
type Client struct {
	ID     string `json:"client_id"`
	Secret string `json:"client_secret"`
}

// Request is a signature request as the service tells it.
type Request struct {
	ID         string     `json:"id"`
	State      string     `json:"state"`
	Title      string     `json:"title"`
	SigningURL string     `json:"signing_url"`
	ExpiresAt  time.Time  `json:"expires_at"`
	Documents  []Document `json:"documents"`
	Refusals   []Refusal  `json:"refusals"`
}

// Document is one of a request's documents.
type Document struct {
	Ordinal int             `json:"ordinal"`
	Name    string          `json:"name"`
	Format  string          `json:"format"`
	State   string          `json:"state"`
	Digest  json.RawMessage `json:"digest"`
}

// Refusal is why something is not signed, and what to do.
type Refusal struct {
	Code   string `json:"code"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
	Remedy string `json:"remedy"`
}

// ProblemError is an answer of the service that is not a success (RFC 9457).
type ProblemError struct {
	Refusal
	Status int
}

func (p *ProblemError) Error() string {
	return fmt.Sprintf("the signing service answered %d: %s %s", p.Status, p.Title, p.Detail)
}

// order is the body of POST /v1/signature-requests.
type order struct {
	Signer    orderSigner     `json:"signer"`
	ReturnURL string          `json:"return_url"`
	Title     string          `json:"title"`
	Locale    string          `json:"locale"`
	Documents []orderDocument `json:"documents"`
}

type orderSigner struct {
	Identifier string `json:"identifier"`
}

type orderDocument struct {
	Name      string `json:"name"`
	MediaType string `json:"media_type"`
	Format    string `json:"format"`
	Content   []byte `json:"content"`
}

// service speaks to the signing service's native API.
type service struct {
	base   string
	client Client
	http   *http.Client

	mu      sync.Mutex
	token   string
	expires time.Time
}

// maxAnswer bounds what is read of an answer: a signed document of 20 MB and its signature.
const maxAnswer = 32 << 20

func (s *service) create(ctx context.Context, key string, o order) (Request, error) {
	body, err := json.Marshal(o)
	if err != nil {
		return Request{}, fmt.Errorf("encoding the request: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.base+"/v1/signature-requests", bytes.NewReader(body))
	if err != nil {
		return Request{}, fmt.Errorf("making the request: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Idempotency-Key", key)
	var made Request
	return made, s.authorised(request, &made)
}

func (s *service) get(ctx context.Context, id string) (Request, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base+"/v1/signature-requests/"+url.PathEscape(id), http.NoBody)
	if err != nil {
		return Request{}, fmt.Errorf("making the request: %w", err)
	}
	var found Request
	return found, s.authorised(request, &found)
}

func (s *service) signed(ctx context.Context, id string, ordinal int) ([]byte, error) {
	address := fmt.Sprintf("%s/v1/signature-requests/%s/documents/%d/signed", s.base, url.PathEscape(id), ordinal)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody) //nolint:gosec // always the service's own host
	if err != nil {
		return nil, fmt.Errorf("making the request: %w", err)
	}
	var content []byte
	return content, s.authorised(request, &content)
}

// authorised does a request with a bearer token. A token that the service no
// longer knows is fetched anew by the next request.
func (s *service) authorised(request *http.Request, into any) error {
	token, err := s.accessToken(request.Context())
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	err = s.do(request, into)
	var problem *ProblemError
	if errors.As(err, &problem) && problem.Status == http.StatusUnauthorized {
		s.mu.Lock()
		s.token = ""
		s.mu.Unlock()
	}
	return err
}

// accessToken is RFC 6749, section 4.4, with the client's secret in the header
// (section 2.3.1).
func (s *service) accessToken(ctx context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token != "" && time.Now().Before(s.expires) {
		return s.token, nil
	}
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {"signature"}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.base+"/oauth/token", strings.NewReader(form.Encode()))
	if err != nil {
		return "", fmt.Errorf("making the token request: %w", err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth(url.QueryEscape(s.client.ID), url.QueryEscape(s.client.Secret))
	var answer struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   int    `json:"expires_in"`
	}
	if err := s.do(request, &answer); err != nil {
		return "", fmt.Errorf("asking for an access token: %w", err)
	}
	s.token = answer.AccessToken
	s.expires = time.Now().Add(time.Duration(answer.ExpiresIn)*time.Second - 30*time.Second)
	return s.token, nil
}

// do reads a success into the target (JSON, or bytes as they are), anything
// else into a *ProblemError.
func (s *service) do(request *http.Request, into any) error {
	response, err := s.http.Do(request) //nolint:gosec // always the service's own host
	if err != nil {
		return fmt.Errorf("reaching the signing service: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("reading the signing service's answer: %w", err)
	}
	if response.StatusCode/100 != 2 {
		problem := &ProblemError{Status: response.StatusCode}
		if json.Unmarshal(body, &problem.Refusal) != nil || problem.Title == "" {
			problem.Title = http.StatusText(response.StatusCode)
		}
		return problem
	}
	if raw, ok := into.(*[]byte); ok {
		*raw = body
		return nil
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("reading the signing service's answer: %w", err)
	}
	return nil
}
