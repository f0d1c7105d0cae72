package validation_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/api/validation"
	"github.com/rubrica-firma/rubrica/ca"
	"github.com/rubrica-firma/rubrica/policies"
)

// code is that of a problem document.
func code(w *httptest.ResponseRecorder) policies.Code {
	var p api.Problem
	_ = json.Unmarshal(w.Body.Bytes(), &p) // none has no code
	return p.Code
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	town := found(t, time.Now)
	_, handler := town.open(t, nil)
	for path, want := range map[string][]byte{
		"/ca/root.cer": town.root.Raw, "/ca/issuing-1.cer": town.issuing.Raw, "/ca/issuing.cer": town.issuing.Raw,
	} {
		w := ask(handler, http.MethodGet, path, nil)
		h := w.Header()
		if w.Code != http.StatusOK || !bytes.Equal(w.Body.Bytes(), want) || h.Get("Content-Type") != "application/pkix-cert" ||
			h.Get("Cache-Control") != "public, max-age=3600" || h.Get("Cross-Origin-Resource-Policy") != "cross-origin" {
			t.Errorf("%s: got %d %v", path, w.Code, h)
		}
		if w := ask(handler, http.MethodGet, path, nil, "If-None-Match", h.Get("Etag")); w.Code != http.StatusNotModified {
			t.Errorf("%s, again: got %d, want 304", path, w.Code)
		}
		if w := ask(handler, http.MethodHead, path, nil); w.Code != http.StatusOK || w.Header().Get("Etag") != h.Get("Etag") {
			t.Errorf("HEAD %s: got %d %v", path, w.Code, w.Header())
		}
	}
}

func TestNamesOfFiles(t *testing.T) {
	t.Parallel()
	town := found(t, time.Now)
	_, handler := town.open(t, nil)
	for _, name := range []string{
		"", "root", "root.pem", "root.cer.crl", ".cer", "ROOT.cer", "-root.cer", "1.crl", "root.CER", "root%00.cer", "..%2froot.cer", "root.cer%0a",
		"issuing-2.cer", "none.crl", strings.Repeat("a", 65) + ".crl", "a'--.crl", "a%20b.crl",
	} {
		if w := ask(handler, http.MethodGet, "/ca/"+name, nil); w.Code != http.StatusNotFound || code(w) != policies.NotFound {
			t.Errorf("%q: got %d %s, want 404", name, w.Code, w.Body)
		}
	}
	if town.read != 1 { // none.crl alone is a name
		t.Errorf("the database was asked for %d lists, want 1", town.read)
	}
}

func TestLists(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		town := found(t, time.Now)
		_, handler := town.open(t, nil)
		publish := func(name string, number int64, life time.Duration, der string) {
			town.lists[name] = ca.PublishedList{Number: number, DER: []byte(der), ThisUpdate: time.Now(), NextUpdate: time.Now().Add(life)}
		}
		publish("issuing-1-2026-1", 1, time.Hour, "first")
		publish("issuing", 1, 20*time.Second, "of before")
		get := func(name, body, cache string, headers ...string) http.Header {
			t.Helper()
			w := ask(handler, http.MethodGet, "/ca/"+name+".crl", nil, headers...)
			if w.Code != http.StatusOK || w.Body.String() != body || w.Header().Get("Content-Type") != "application/pkix-crl" ||
				w.Header().Get("Cache-Control") != cache {
				t.Errorf("%s: got %d %q %v, want %q, %s", name, w.Code, w.Body, w.Header(), body, cache)
			}
			return w.Header()
		}
		first := get("issuing-1-2026-1", "first", "public, max-age=60")
		if got, want := first.Get("Last-Modified"), time.Now().UTC().Format(http.TimeFormat); got != want {
			t.Errorf("Last-Modified: got %s, want %s", got, want)
		}
		get("issuing", "of before", "public, max-age=20")
		for range 10 {
			get("issuing-1-2026-1", "first", "public, max-age=60")
		}
		if town.read != 2 {
			t.Errorf("the database was asked %d times for two lists", town.read)
		}
		publish("issuing-1-2026-1", 2, time.Hour, "second") // within the same second of the clock
		time.Sleep(time.Second)
		get("issuing-1-2026-1", "second", "public, max-age=60", "If-None-Match", first.Get("Etag"), "If-Modified-Since", first.Get("Last-Modified"))
		get("issuing-1-2026-1", "second", "public, max-age=60", "If-Modified-Since", first.Get("Last-Modified"))
		get("issuing", "of before", "public, max-age=19")
		time.Sleep(time.Minute)
		get("issuing", "of before", "public, max-age=0") // its signer has failed to renew it
	})
}

func TestStamps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		town := found(t, time.Now)
		_, handler := town.open(t, func(c *validation.Config) {
			c.Limits.Stamping = 1
			c.Limits.Stamps = api.Rate{Every: 10 * time.Second, Burst: 3}
		})
		post := func(query []byte) *httptest.ResponseRecorder {
			return ask(handler, http.MethodPost, "/tsa", query, "Content-Type", "application/timestamp-query")
		}
		systemFailure := []byte{0x30, 12, 0x30, 10, 2, 1, 2, 3, 5, 6, 0, 0, 0, 0x40}
		refused := func(what string, w *httptest.ResponseRecorder, wait string) {
			t.Helper()
			if w.Code != http.StatusOK || !bytes.Equal(w.Body.Bytes(), systemFailure) || w.Header().Get("Retry-After") != wait ||
				w.Header().Get("Content-Type") != "application/timestamp-reply" || w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("%s: got %d %x %v, want systemFailure", what, w.Code, w.Body, w.Header())
			}
		}
		town.hold = make(chan struct{})
		first := make(chan *httptest.ResponseRecorder)
		go func() { first <- post([]byte("rubbish")) }()
		synctest.Wait()
		refused("another at the same time", post([]byte("rubbish")), "1")
		close(town.hold)
		if w := <-first; w.Code != http.StatusOK || w.Body.Len() < 20 || bytes.Equal(w.Body.Bytes(), systemFailure) {
			t.Errorf("rubbish: got %d %x, want the authority's own refusal", w.Code, w.Body)
		}
		town.hold, town.silent = nil, errors.New("no socket")
		refused("the signer is silent", post([]byte("rubbish")), "1")
		refused("out of pace", post([]byte("rubbish")), "10")
		for what, w := range map[int]*httptest.ResponseRecorder{
			http.StatusUnsupportedMediaType:  ask(handler, http.MethodPost, "/tsa", nil, "Content-Type", "application/ocsp-request"),
			http.StatusRequestEntityTooLarge: post(make([]byte, 8<<10+1)),
			http.StatusMethodNotAllowed:      ask(handler, http.MethodGet, "/tsa", nil),
		} {
			if w.Code != what || code(w) == "" {
				t.Errorf("got %d %s, want a problem of %d", w.Code, w.Body, what)
			}
		}
		f := newFolder(t)
		out := f.openssl("ts", "-reply", "-in", f.put("reply.tsr", systemFailure), "-text")
		if !strings.Contains(out, "Status: Rejected") || !strings.Contains(out, "system failure") {
			t.Errorf("openssl reads\n%s", out)
		}
	})
}

func TestStampByOpenSSL(t *testing.T) {
	t.Parallel()
	town, f := found(t, time.Now), newFolder(t)
	_, handler := town.open(t, nil)
	query := filepath.Join(f.path, "query.tsq")
	f.openssl("ts", "-query", "-data", f.put("document", []byte("content")), "-sha256", "-cert", "-out", query)
	der, err := os.ReadFile(query)
	must(t, err)
	w := ask(handler, http.MethodPost, "/tsa", der, "Content-Type", "application/timestamp-query")
	out := f.openssl("ts", "-verify", "-queryfile", query, "-in", f.put("reply.tsr", w.Body.Bytes()),
		"-CAfile", f.pem("root.pem", town.root), "-untrusted", f.pem("issuing.pem", town.issuing))
	if !strings.Contains(out, "Verification: OK") || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("got %v, openssl says\n%s", w.Header(), out)
	}
}
