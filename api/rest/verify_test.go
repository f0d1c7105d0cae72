package rest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/api/documents"
	"github.com/rubrica-firma/rubrica/api/verification"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/verify"
)

// judge says of a document that it holds one signature whose hash is wrong, and
// what it was given.
type judge struct {
	got *[]string
	*memory
}

func (j judge) Verify(_ context.Context, in verification.Input) (*verify.Report, error) {
	if in.Document.Size() == 0 {
		return nil, policies.Refuse(policies.DocumentEmpty)
	}
	if err := j.refusal(); err != nil {
		return nil, err
	}
	for _, f := range []*documents.File{in.Document, in.Content} {
		if f == nil {
			continue
		}
		content, err := io.ReadAll(f.Reader())
		if err != nil {
			return nil, err
		}
		*j.got = append(*j.got, string(content))
	}
	wrong := verify.Conclusion{Indication: verify.Failed, SubIndication: verify.HashFailure, Reason: "the digest is another"}
	return &verify.Report{
		Name: in.Name, Format: "pdf", Size: in.Document.Size(), Time: time.Now().UTC(), Conclusion: wrong, Algorithms: "ETSI TS 119 312",
		Signatures: []*verify.Signature{{Number: 1, Format: "PAdES", Conclusion: wrong, BestTime: time.Now().UTC()}},
	}, nil
}

// drawn are reports that say only what they are.
type drawn struct{}

func (drawn) ReportHTML(locale string, _ *verify.Report) (page []byte, policy string, err error) {
	return []byte("<p>" + locale), "default-src 'none'", nil
}

func (drawn) ReportPDF(string, *verify.Report) ([]byte, error) { return []byte("%PDF-"), nil }

func TestVerify(t *testing.T) {
	t.Parallel()
	h := build(t)
	bearer := "Bearer " + h.token(t, "sede")
	upload := func(content string) string {
		t.Helper()
		got := h.call(t, http.MethodPost, "/v1/documents", strings.NewReader(content), map[string]string{
			"Authorization": bearer, "Content-Type": "application/octet-stream",
		})
		var u struct{ ID string }
		got.decode(t, &u)
		return u.ID
	}
	for name, c := range map[string]struct {
		kind, body, accept string
		status             int
		answer             string // media type
		got                []string
	}{
		"a document by itself": {kind: "application/octet-stream", body: "%PDF- signed", status: 200, answer: "application/json", got: []string{"%PDF- signed"}},
		"in JSON":              {kind: "application/json", body: `{"document":{"content":"JVBERi0="}}`, status: 200, answer: "application/json", got: []string{"%PDF-"}},
		"detached, uploaded": {
			kind: "application/json", body: `{"name":"a.csig","document":{"upload":"` + upload("signature") + `"},"content":{"upload":"` + upload("content") + `"}}`,
			status: 200, answer: "application/json", got: []string{"signature", "content"},
		},
		"as a page":              {kind: "application/octet-stream", body: "%PDF-", accept: "text/html, application/json;q=0.5", status: 200, answer: "text/html; charset=UTF-8", got: []string{"%PDF-"}},
		"as a PDF":               {kind: "application/octet-stream", body: "%PDF-", accept: "application/pdf", status: 200, answer: "application/pdf", got: []string{"%PDF-"}},
		"in a form nobody knows": {kind: "application/octet-stream", body: "%PDF-", accept: "image/png", status: 200, answer: "application/json", got: []string{"%PDF-"}},
		"empty":                  {kind: "application/octet-stream", status: 422, answer: "application/problem+json"},
		"no document":            {kind: "application/json", body: `{}`, status: 400, answer: "application/problem+json"},
		"two documents in one":   {kind: "application/json", body: `{"document":{"content":"JVBERi0=","upload":"x"}}`, status: 400, answer: "application/problem+json"},
		"an unknown upload":      {kind: "application/json", body: `{"document":{"upload":"nobody"}}`, status: api.Status(policies.UploadUnknown), answer: "application/problem+json"},
		"an unknown member":      {kind: "application/json", body: `{"document":{"content":"JVBERi0="},"trust":"all"}`, status: 400, answer: "application/problem+json"},
		"another type":           {kind: "text/plain", body: "hola", status: 400, answer: "application/problem+json"},
		"a name too long":        {kind: "application/json", body: `{"name":"` + strings.Repeat("x", 900) + `","document":{"content":"JVBERi0="}}`, status: 400, answer: "application/problem+json"},
	} {
		h.got = nil
		got := h.call(t, http.MethodPost, "/v1/verify", strings.NewReader(c.body), map[string]string{
			"Authorization": bearer, "Content-Type": c.kind, "Accept": c.accept, "Accept-Language": "gl",
		})
		if got.status != c.status || got.header.Get("Content-Type") != c.answer {
			t.Errorf("%s: got %d %s %s, want %d %s", name, got.status, got.header.Get("Content-Type"), got.body, c.status, c.answer)
		}
		if strings.Join(h.got, "|") != strings.Join(c.got, "|") {
			t.Errorf("%s: validated %q, want %q", name, h.got, c.got)
		}
		if c.answer != "application/json" {
			continue
		}
		var report struct{ Indication string }
		if err := json.Unmarshal(got.body, &report); err != nil || report.Indication != "TOTAL-FAILED" {
			t.Errorf("%s: got %s (%v)", name, got.body, err)
		}
	}
}

// What is too large is refused by its length, whatever it is sent as.
func TestVerifyTooLarge(t *testing.T) {
	t.Parallel()
	h := build(t)
	bearer := "Bearer " + h.token(t, "sede")
	for kind, size := range map[string]int64{"application/octet-stream": 100<<20 + 1, "application/json": 120 << 20} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.url+"/v1/verify", bytes.NewReader(nil))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", bearer)
		r.Header.Set("Content-Type", kind)
		r.Body, r.ContentLength = io.NopCloser(zeros(size, false)), size
		response, err := h.http.Do(r)
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("%s of %d octets: got %d, want 413", kind, size, response.StatusCode)
		}
	}
}
