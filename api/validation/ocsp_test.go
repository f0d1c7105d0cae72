package validation_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	other "golang.org/x/crypto/ocsp"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/api/validation"
	"github.com/rubrica-firma/rubrica/ca/ocsp"
)

// follow starts a desk's poller and waits for its first poll; what it returns
// stops it.
func follow(t *testing.T, desk *validation.Desk) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { desk.Follow(ctx); close(done) }()
	synctest.Wait()
	return func() { cancel(); <-done }
}

// asking is a request about a new certificate.
func asking(t *testing.T, town *town, serial int64) []byte {
	t.Helper()
	request, err := other.CreateRequest(town.leaf(t, serial), town.issuing, nil)
	must(t, err)
	return request
}

// TestOpenSSL has openssl ask over real connections, by POST and by the GET of
// RFC 6960, appendix A.1.
func TestOpenSSL(t *testing.T) {
	t.Parallel()
	town, f := found(t, time.Now), newFolder(t)
	_, handler := town.open(t, nil)
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	good, revoked := town.leaf(t, 0x77), town.leaf(t, 0x78)
	town.revoke(revoked)
	chain := []string{"-CAfile", f.pem("root.pem", town.root), "-issuer", f.pem("issuing.pem", town.issuing), "-verify_other", f.pem("issuing.pem", town.issuing)}
	for _, path := range []string{"/ocsp", "/ocsp/"} {
		for _, flags := range [][]string{nil, {"-no_nonce"}} {
			out := f.openssl(append(append([]string{
				"ocsp", "-url", server.URL + path,
			}, chain...), append(flags, "-cert", f.pem("good.pem", good), "-cert", f.pem("revoked.pem", revoked))...)...)
			for _, want := range []string{"Response verify OK", "good.pem: good", "revoked.pem: revoked", "Reason: keyCompromise"} {
				if !strings.Contains(out, want) {
					t.Errorf("POST %s %v: got\n%s\nwant %q", path, flags, out, want)
				}
			}
		}
	}
	request := f.request(town, good, "-no_nonce")
	text := base64.StdEncoding.EncodeToString(request)
	for name, path := range map[string]string{
		"raw":               "/ocsp/" + text,
		"escaped":           "/ocsp/" + url.QueryEscape(text),
		"slashes raw":       "/ocsp/" + strings.NewReplacer("+", "%2b", "=", "%3d").Replace(text),
		"slash twice":       "/ocsp//" + text,
		"without padding":   "/ocsp/" + strings.TrimRight(text, "="),
		"a plus in a blank": "/ocsp/" + strings.ReplaceAll(text, "+", "%20"),
	} {
		response, err := server.Client().Get(server.URL + path)
		must(t, err)
		der, err := io.ReadAll(response.Body)
		must(t, err)
		must(t, response.Body.Close())
		told, err := other.ParseResponseForCert(der, good, town.issuing)
		if err != nil || told.Status != other.Good || response.Header.Get("Content-Type") != "application/ocsp-response" {
			t.Errorf("%s: got %d %s %x (%v), want good", name, response.StatusCode, response.Header.Get("Content-Type"), der, err)
		}
		file := f.put("response.der", der)
		out := f.openssl(append(append([]string{"ocsp", "-respin", file}, chain...), "-cert", f.pem("good.pem", good))...)
		if !strings.Contains(out, "Response verify OK") {
			t.Errorf("%s: openssl says\n%s", name, out)
		}
	}
}

// TestStrangeRequests: what is asked wrongly gets OCSP's word for it, what is
// sent wrongly HTTP's.
func TestStrangeRequests(t *testing.T) {
	t.Parallel()
	town := found(t, time.Now)
	var log bytes.Buffer
	_, handler := town.open(t, func(c *validation.Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	request, err := other.CreateRequest(town.leaf(t, 5), town.issuing, nil)
	must(t, err)
	unknown, err := other.CreateRequest(town.leaf(t, 6), town.root, nil)
	must(t, err)
	const kind = "application/ocsp-request"
	for _, tt := range []struct {
		name, method, path, kind string
		body                     []byte
		status                   int
		told                     string // by x/crypto/ocsp, of an OCSP response
	}{
		{"empty", http.MethodPost, "/ocsp", kind, nil, 200, "malformed"},
		{"rubbish", http.MethodPost, "/ocsp", kind, []byte("secret words"), 200, "malformed"},
		{"cut off", http.MethodPost, "/ocsp", kind, request[:40], 200, "malformed"},
		{"another authority's", http.MethodPost, "/ocsp", kind, unknown, 200, "unauthorized"},
		{"with parameters", http.MethodPost, "/ocsp", kind + "; charset=utf-8", request, 200, ""},
		{"in capitals", http.MethodPost, "/ocsp", "Application/OCSP-Request", request, 200, ""},
		{"as large as may be", http.MethodPost, "/ocsp", kind, make([]byte, 16<<10), 200, "malformed"},
		{"too large", http.MethodPost, "/ocsp", kind, make([]byte, 16<<10+1), 413, ""},
		{"another media type", http.MethodPost, "/ocsp", "text/plain", request, 415, ""},
		{"no media type", http.MethodPost, "/ocsp", "", request, 415, ""},
		{"another method", http.MethodPut, "/ocsp", kind, request, 405, ""},
		{"nothing in the address", http.MethodGet, "/ocsp", "", nil, 200, "malformed"},
		{"nothing after the slash", http.MethodGet, "/ocsp/", "", nil, 200, "malformed"},
		{"no base64", http.MethodGet, "/ocsp/%00%ff!", "", nil, 200, "malformed"},
		{"no DER", http.MethodGet, "/ocsp/c2VjcmV0", "", nil, 200, "malformed"},
		{"climbing", http.MethodGet, "/ocsp/../../etc/passwd", "", nil, 200, "malformed"},
		{"long", http.MethodGet, "/ocsp/" + strings.Repeat("A", 8<<10-6), "", nil, 200, "malformed"},
		{"too long", http.MethodGet, "/ocsp/" + strings.Repeat("A", 8<<10-5), "", nil, 413, ""},
	} {
		w := ask(handler, tt.method, tt.path, tt.body, "Content-Type", tt.kind)
		if w.Code != tt.status {
			t.Errorf("%s: got %d %s, want %d", tt.name, w.Code, w.Body, tt.status)
			continue
		}
		want := "application/problem+json"
		if tt.status == http.StatusOK {
			want = "application/ocsp-response"
			_, err := other.ParseResponse(w.Body.Bytes(), nil)
			if tt.told == "" != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.told) {
				t.Errorf("%s: got %v, want %q", tt.name, err, tt.told)
			}
		}
		if got := w.Header().Get("Content-Type"); got != want {
			t.Errorf("%s: Content-Type: got %s, want %s", tt.name, got, want)
		}
		if w.Header().Get("Set-Cookie") != "" || w.Header().Get("Location") != "" || w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: a cookie, a redirect, or no security headers: %v", tt.name, w.Header())
		}
	}
	if strings.Contains(log.String(), "secret") || strings.Contains(log.String(), "c2VjcmV0") {
		t.Errorf("the log repeats what was asked:\n%s", &log)
	}
}

func TestHeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		town := found(t, time.Now)
		desk, handler := town.open(t, nil)
		defer follow(t, desk)()
		leaf := town.leaf(t, 9)
		request, err := other.CreateRequest(leaf, town.issuing, nil)
		must(t, err)
		path := "/ocsp/" + url.PathEscape(base64.StdEncoding.EncodeToString(request))
		first := ask(handler, http.MethodGet, path, nil)
		told, err := other.ParseResponseForCert(first.Body.Bytes(), leaf, town.issuing)
		must(t, err)
		for name, want := range map[string]string{
			"Cache-Control":                "max-age=0, public, no-transform, must-revalidate",
			"Last-Modified":                told.ThisUpdate.Format(http.TimeFormat),
			"Expires":                      told.ThisUpdate.Format(http.TimeFormat),
			"Content-Length":               strconv.Itoa(first.Body.Len()),
			"Cross-Origin-Resource-Policy": "cross-origin",
			"Strict-Transport-Security":    "max-age=31536000",
		} {
			if got := first.Header().Get(name); got != want {
				t.Errorf("%s: got %q, want %q", name, got, want)
			}
		}
		tag := first.Header().Get("Etag")
		for _, held := range []string{tag, "W/" + tag, `"other", ` + tag, "*"} {
			w := ask(handler, http.MethodGet, path, nil, "If-None-Match", held)
			if w.Code != http.StatusNotModified || w.Body.Len() != 0 || w.Header().Get("Etag") != tag {
				t.Errorf("If-None-Match %s: got %d %v, want 304", held, w.Code, w.Header())
			}
		}
		// A date of whole seconds cannot tell an answer from the one before.
		if w := ask(handler, http.MethodGet, path, nil, "If-Modified-Since", first.Header().Get("Last-Modified")); w.Code != http.StatusOK {
			t.Errorf("If-Modified-Since: got %d, want 200", w.Code)
		}
		if w := ask(handler, http.MethodHead, path, nil); w.Code != http.StatusOK || w.Header().Get("Etag") != tag {
			t.Errorf("HEAD: got %d %v, want the headers of GET", w.Code, w.Header())
		}
		posted := post(handler, request)
		if got := posted.Header(); got.Get("Cache-Control") != "no-store" || got.Get("Etag") != "" || !bytes.Equal(posted.Body.Bytes(), first.Body.Bytes()) {
			t.Errorf("POST: got %v, want the same answer, for no cache", got)
		}
		town.revoke(leaf)
		time.Sleep(time.Second)
		if w := ask(handler, http.MethodGet, path, nil, "If-None-Match", tag); w.Code != http.StatusOK || w.Header().Get("Etag") == tag {
			t.Errorf("after a revocation: got %d %v, want another answer", w.Code, w.Header())
		}
		stranger := ask(handler, http.MethodGet, "/ocsp/MAA=", nil)
		if got := stranger.Header(); got.Get("Cache-Control") != "no-store" || got.Get("Etag") != "" {
			t.Errorf("an answer that is not to be kept: got %v", got)
		}
	})
}

// TestMemory: when the signer is asked, and when not.
func TestMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		town := found(t, time.Now)
		desk, handler := town.open(t, nil)
		leaf, another := town.leaf(t, 9), town.leaf(t, 10)
		request, err := other.CreateRequest(leaf, town.issuing, nil)
		must(t, err)
		second, err := other.CreateRequest(another, town.issuing, nil)
		must(t, err)
		want := func(what string, request []byte, asked int) {
			t.Helper()
			if w := post(handler, request); w.Code != http.StatusOK || w.Body.Len() < 100 {
				t.Errorf("%s: got %d %x, want a good answer", what, w.Code, w.Body)
			}
			if got := town.count(); got != asked {
				t.Errorf("%s: the signer was asked %d times, want %d", what, got, asked)
			}
		}
		want("before the feed was read", request, 1)
		want("before the feed was read, again", request, 1)
		stop := follow(t, desk)
		want("first", request, 1)
		want("again", request, 0)
		want("another", second, 1)
		for range 20 {
			time.Sleep(30 * time.Second)
			want("later", request, 0)
		}
		town.revoke(another)
		time.Sleep(250 * time.Millisecond)
		want("another has changed", request, 0)
		want("changed", second, 1)

		town.set(func() { town.deaf = errors.New("no database") })
		time.Sleep(550 * time.Millisecond)
		want("the feed just fell silent", request, 0)
		time.Sleep(500 * time.Millisecond)
		want("the feed is silent", request, 1)
		want("the feed is silent, again", request, 1)
		town.set(func() { town.deaf = nil })
		time.Sleep(200 * time.Millisecond)
		want("the feed is back", request, 1)
		want("the feed is back, again", request, 0)

		time.Sleep(11 * time.Minute) // past half of the answer's life
		want("half its life has passed", request, 1)
		want("half its life has passed, again", request, 0)
		time.Sleep(21 * time.Minute)
		town.set(func() { town.silent = errors.New("no socket") })
		want("the signer is silent, and the answer not expired", request, 1)
		time.Sleep(21 * time.Minute)
		if w := post(handler, request); !bytes.Equal(w.Body.Bytes(), []byte{0x30, 3, 0x0a, 1, 3}) || w.Header().Get("Retry-After") != "1" {
			t.Errorf("expired: got %x %v, want tryLater", w.Body, w.Header())
		}
		stop()
	})
}

// TestAnswerUnderWay: an answer that was on its way when the status changed is
// not remembered, and the next who ask do not get it.
func TestAnswerUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		town := found(t, time.Now)
		town.leaf(t, 1)
		leaf := town.leaf(t, 9)
		request, err := other.CreateRequest(leaf, town.issuing, nil)
		must(t, err)
		late := &lateSigner{town: town, wait: 3 * time.Second}
		desk, handler := town.open(t, func(c *validation.Config) { c.Validation = late })
		defer follow(t, desk)()
		status := func(w *httptest.ResponseRecorder) int {
			told, err := other.ParseResponseForCert(w.Body.Bytes(), leaf, town.issuing)
			must(t, err)
			return told.Status
		}
		slow := make(chan *httptest.ResponseRecorder)
		go func() { slow <- post(handler, request) }()
		go func() { slow <- post(handler, request) }() // shares the question
		time.Sleep(100 * time.Millisecond)
		town.revoke(leaf)
		time.Sleep(time.Second)
		go func() { slow <- post(handler, request) }() // must not
		first, second, third := status(<-slow), status(<-slow), status(<-slow)
		if first != other.Good || second != other.Good || third != other.Revoked || late.asked != 2 {
			t.Errorf("got %d, %d, %d by %d questions, want good, good, revoked by two", first, second, third, late.asked)
		}
		if got := status(post(handler, request)); got != other.Revoked {
			t.Errorf("afterwards: got %d, want revoked", got)
		}
	})
}

// lateSigner looks at once and answers late.
type lateSigner struct {
	*town

	wait  time.Duration
	asked int
}

func (l *lateSigner) OCSP(ctx context.Context, request []byte) (ocsp.Answer, error) {
	l.asked++
	answer, err := l.town.OCSP(ctx, request)
	time.Sleep(l.wait)
	return answer, err
}

func TestBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		town := found(t, time.Now)
		_, handler := town.open(t, func(c *validation.Config) {
			c.Limits.Asking = 2
			c.Limits.Questions = api.Rate{Every: 3 * time.Second, Burst: 4}
		})
		tryLater := []byte{0x30, 3, 0x0a, 1, 3}
		town.hold = make(chan struct{})
		answers := make(chan []byte)
		for i := range int64(2) {
			request := asking(t, town, 20+i)
			go func() { answers <- post(handler, request).Body.Bytes() }()
		}
		synctest.Wait()
		if w := post(handler, asking(t, town, 30)); !bytes.Equal(w.Body.Bytes(), tryLater) || w.Header().Get("Retry-After") != "1" {
			t.Errorf("while two are being answered: got %x %v, want tryLater", w.Body, w.Header())
		}
		close(town.hold)
		for range 2 {
			if got := <-answers; len(got) < 100 {
				t.Errorf("got %x, want an answer", got)
			}
		}
		town.set(func() { town.hold = nil })
		request := asking(t, town, 31)
		if w := post(handler, request); w.Body.Len() < 100 {
			t.Errorf("afterwards: got %x, want an answer", w.Body)
		}
		if w := post(handler, request); !bytes.Equal(w.Body.Bytes(), tryLater) || w.Header().Get("Retry-After") != "3" {
			t.Errorf("out of pace: got %x %v, want tryLater", w.Body, w.Header())
		}
	})
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	if _, err := validation.New(validation.Config{}); err == nil {
		t.Error("got a desk without anything")
	}
	town := &town{}
	config := validation.Config{Validation: town, Feed: town, Published: town, Logger: slog.Default(), Now: time.Now}
	if _, err := validation.New(config); err == nil {
		t.Error("got a desk whose memory holds nothing")
	}
}
