package rest_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/api/rest"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/signer/sandbox"
)

// phones have one code for whoever is asked about, but for one who has none.
type phones struct{}

const withoutCode = "99999108F"

func (phones) Code(_ context.Context, id string) (sandbox.Message, error) {
	if id == withoutCode {
		return sandbox.Message{}, policies.Refuse(policies.NotFound)
	}
	code, err := signer.ParseCode("01234567")
	return sandbox.Message{Identifier: "99999101T", Purpose: signer.ForSignature, Reference: "AB12-CD34", Code: code, SentAt: time.Now()}, err
}

func TestSandbox(t *testing.T) {
	t.Parallel()
	h := build(t)
	token, stranger := h.token(t, "sede"), h.token(t, "other")

	var all rest.SandboxCitizens
	got := h.call(t, http.MethodGet, "/v1/sandbox/citizens", nil, headers(token, ""))
	got.decode(t, &all)
	if first := all.Citizens[0]; got.status != http.StatusOK || len(all.Citizens) != len(sandbox.Citizens()) || first.Identifier != "99999101T" || first.Obstacle != nil {
		t.Errorf("got %d %s, want the citizens, and nothing in the way of the first", got.status, got.body)
	}

	var made rest.SignatureRequest
	h.call(t, http.MethodPost, requestsPath, strings.NewReader(order(nil)), headers(token, "k")).decode(t, &made)
	for _, id := range []string{made.ID, "99999101T"} {
		var code rest.SandboxCode
		got := h.call(t, http.MethodGet, "/v1/sandbox/codes/"+id, nil, headers(token, ""))
		got.decode(t, &code)
		if got.status != http.StatusOK || code.Code != "01234567" || code.Purpose != "signature" {
			t.Errorf("%s: got %d %s, want the code", id, got.status, got.body)
		}
	}
	wantRefusal(t, h.call(t, http.MethodGet, "/v1/sandbox/codes/"+withoutCode, nil, headers(token, "")), policies.NotFound)
	for _, id := range []string{made.ID, spaniard, "%00"} {
		wantRefusal(t, h.call(t, http.MethodGet, "/v1/sandbox/codes/"+id, nil, headers(stranger, "")), policies.RequestUnknown)
	}
	for _, path := range []string{"citizens", "codes/" + made.ID} {
		wantRefusal(t, h.call(t, http.MethodGet, "/v1/sandbox/"+path, nil, nil), policies.ApplicationUnknown)
		wantRefusal(t, h.call(t, http.MethodGet, "/v1/sandbox/"+path, nil, headers(h.token(t, "office"), "")), policies.ScopeMissing)
	}
}

// TestNoSandbox asks a deployment that is none.
func TestNoSandbox(t *testing.T) {
	t.Parallel()
	h := build(t, func(c *rest.Config) { c.Sandbox = nil })
	token := h.token(t, "sede")
	for _, path := range []string{"citizens", "codes/99999101T"} {
		wantRefusal(t, h.call(t, http.MethodGet, "/v1/sandbox/"+path, nil, headers(token, "")), policies.NotFound)
	}
}
