package rest_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/api/rest"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/signer/cades"
)

const (
	uploadsPath   = "/v1/documents"
	documentLimit = 100 << 20
)

func uploading(token string) map[string]string {
	return map[string]string{"Authorization": "Bearer " + token, "Content-Type": "application/octet-stream"}
}

// zeros is a body of that size, whose length is told or not.
func zeros(size int64, told bool) io.Reader {
	r := io.LimitReader(nothing{}, size)
	if told {
		return sized{Reader: r, size: size}
	}
	return r
}

type nothing struct{}

func (nothing) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// sized is a body whose length net/http is told.
type sized struct {
	io.Reader
	size int64
}

// upload sends a body.
func (h *house) upload(t *testing.T, token string, body io.Reader) reply {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.url+uploadsPath, body)
	if err != nil {
		t.Fatal(err)
	}
	if s, ok := body.(sized); ok {
		r.ContentLength = s.size
	}
	for name, value := range uploading(token) {
		r.Header.Set(name, value)
	}
	response, err := h.http.Do(r)
	if err != nil {
		t.Fatalf("uploading: %v", err)
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	got := reply{status: response.StatusCode, header: response.Header, body: content}
	if err := h.agreed(r, got); err != nil {
		t.Errorf("the answer is not in the contract: %v", err)
	}
	return got
}

// Whoever uploads too much is told how much would have been admitted, however
// the body comes.
func TestUploadLimit(t *testing.T) {
	t.Parallel()
	h := build(t)
	token := h.token(t, "sede")
	for _, told := range []bool{true, false} {
		for size, code := range map[int64]policies.Code{
			0: policies.DocumentEmpty, 1: "", documentLimit + 1: policies.DocumentTooLarge, documentLimit + 20<<20: policies.DocumentTooLarge,
		} {
			t.Run(fmt.Sprintf("%d %t", size, told), func(t *testing.T) {
				t.Parallel()
				got := h.upload(t, token, zeros(size, told))
				if code == "" {
					var made rest.Upload
					if got.decode(t, &made); got.status != http.StatusCreated || made.Size != size || made.ID == "" {
						t.Errorf("got %d %+v, want it taken in", got.status, made)
					}
					return
				}
				problem := wantRefusal(t, got, code)
				if code == policies.DocumentTooLarge && (problem.Detail == nil || !strings.Contains(*problem.Detail, "100 MB")) {
					t.Errorf("got %v, want the limit named", problem.Detail)
				}
			})
		}
	}
}

func TestUploadRefuses(t *testing.T) {
	t.Parallel()
	h := build(t)
	asked := uploading(h.token(t, "sede"))
	asked["Content-Type"] = "multipart/form-data; boundary=x"
	wantRefusal(t, h.call(t, http.MethodPost, uploadsPath, strings.NewReader("x"), asked), policies.RequestMalformed)
	if got := h.call(t, http.MethodPost, uploadsPath, strings.NewReader("x"), uploading("wrong")); got.status != http.StatusUnauthorized {
		t.Errorf("without a token: got %d", got.status)
	}
	if got := h.call(t, http.MethodPost, uploadsPath, strings.NewReader("x"), uploading(h.token(t, "office"))); got.status != http.StatusForbidden {
		t.Errorf("with an office's token: got %d", got.status)
	}
	var made rest.Upload
	h.upload(t, h.token(t, "sede"), strings.NewReader("%PDF-1.7 …")).decode(t, &made)
	body := order(func(o map[string]any) {
		o["documents"] = []any{map[string]any{"name": "a.pdf", "media_type": "application/pdf", "format": "pades", "upload": made.ID}}
	})
	problem := wantRefusal(t, h.call(t, http.MethodPost, requestsPath, strings.NewReader(body), headers(h.token(t, "other"), "k")), policies.UploadUnknown)
	if problem.Params == nil || (*problem.Params)["document"] != "1" {
		t.Errorf("got params %v, want the document named", problem.Params)
	}
	for _, key := range []string{"once", "twice"} {
		if got := h.call(t, http.MethodPost, requestsPath, strings.NewReader(body), headers(h.token(t, "sede"), key)); got.status != http.StatusCreated {
			t.Errorf("%s: got %d %s", key, got.status, got.body)
		}
	}
}

// A body that does not arrive whole is its sender's matter: nothing is kept, and
// no operator is woken.
func TestUploadBreaksOff(t *testing.T) {
	t.Parallel()
	h := build(t)
	token := h.token(t, "sede")
	address := strings.TrimPrefix(h.url, "http://")
	for name, tt := range map[string]struct {
		head, body string
		want       string // of the status line; empty if nobody is there to read it
	}{
		"midway":         {"Content-Length: 2000000", strings.Repeat("x", 500_000), ""},
		"at once":        {"Content-Length: 2000000", "", ""},
		"a broken chunk": {"Transfer-Encoding: chunked", "5\r\nxxxxx\r\nZZ\r\n", "400"},
	} {
		connection, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		_, err = fmt.Fprintf(connection, "POST %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/octet-stream\r\n%s\r\n\r\n%s",
			uploadsPath, address, token, tt.head, tt.body)
		if err != nil {
			t.Fatal(err)
		}
		line := make([]byte, 12)
		if tt.want != "" {
			if _, err := io.ReadFull(connection, line); err != nil || !strings.HasSuffix(string(line), tt.want) {
				t.Errorf("%s: got %q, %v, want %s", name, line, err, tt.want)
			}
		}
		if err := connection.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Fatal(err)
		}
	}
	for limit := time.Now().Add(5 * time.Second); strings.Count(h.journal.String(), "request served") < 4; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("not every upload has ended: %s", h.journal)
		}
	}
	if text := h.journal.String(); strings.Contains(text, "level=ERROR") || strings.Contains(text, "code=internal") {
		t.Errorf("got %s, want no failure of ours", text)
	}
	h.memory.mu.Lock()
	defer h.memory.mu.Unlock()
	if len(h.memory.uploads) != 0 {
		t.Errorf("got %d uploads, want none", len(h.memory.uploads))
	}
}

// lift says what the signature of a request has reached.
func (m *memory) lift(id string, level cades.Level, lacking policies.Code) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := &m.requests[id].Documents[0]
	d.Reached, d.Lacking = level, lacking
}

// The level that is not reached is said even where nobody has come to it yet.
func TestLevelMissing(t *testing.T) {
	t.Parallel()
	h := build(t)
	token := h.token(t, "sede")
	body := order(func(o map[string]any) {
		d := document("solicitud.pdf", "application/pdf", "pades", []byte("%PDF-1.7 …"))
		d["level"] = "B-LTA"
		o["documents"] = []any{d}
	})
	var made rest.SignatureRequest
	h.call(t, http.MethodPost, requestsPath, strings.NewReader(body), headers(token, "k")).decode(t, &made)
	if made.Documents[0].LevelReached != nil || made.Documents[0].LevelMissing != nil {
		t.Errorf("before the signature: got %v, %v", made.Documents[0].LevelReached, made.Documents[0].LevelMissing)
	}
	for _, tt := range []struct {
		reached rest.Level
		lacking policies.Code
		want    policies.Code
	}{
		{rest.LevelB, "", policies.TimeStampUnavailable},
		{rest.LevelT, "", policies.EvidenceUnavailable},
		{rest.LevelLT, policies.TimeStampUnavailable, policies.TimeStampUnavailable},
		{rest.LevelLTA, "", ""},
	} {
		h.memory.move(made.ID, signer.Signed)
		h.memory.lift(made.ID, cades.Level(tt.reached), tt.lacking)
		var now rest.SignatureRequest
		h.call(t, http.MethodGet, requestsPath+"/"+made.ID, http.NoBody, headers(token, "")).decode(t, &now)
		got := now.Documents[0]
		if got.LevelReached == nil || *got.LevelReached != tt.reached {
			t.Errorf("got %v, want %s", got.LevelReached, tt.reached)
		}
		if missing := got.LevelMissing; (missing == nil) != (tt.want == "") || missing != nil && missing.Code != string(tt.want) {
			t.Errorf("at %s: got %v missing, want %q", tt.reached, missing, tt.want)
		}
	}
	got := h.call(t, http.MethodGet, requestsPath+"/"+made.ID+"/documents/1/signed", http.NoBody, headers(token, ""))
	if level := got.header.Get("Rubrica-Signature-Level"); level != string(rest.LevelT) { // as the core of these tests has it
		t.Errorf("got level %q with the document", level)
	}
}
