// Package flood sends doors bodies of a gigabyte: what a test of every door that
// takes a body has to see refused.
package flood

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api"
)

// Gigabyte is how long each body would be.
const Gigabyte = 1 << 30

// memory is what an answer may allocate, however long the body is: a page about
// the refusal, and buffers.
const memory = 4 << 20

// mostAccepted is how much the route takes that takes the most, but for what
// auditors have hashed: a document of the largest size.
const mostAccepted = 128 << 20

// Answer is what a route said.
type Answer struct {
	Method, Route string
	Told          bool // whether the length was
	Status        int
	Header        http.Header
	Body          []byte
	Read          int64 // bytes of the body
}

// Problem is whether it was answered as programs are.
func (a Answer) Problem() bool {
	return strings.HasPrefix(a.Header.Get(echo.HeaderContentType), "application/problem+json")
}

// OAuth is whether it was answered as clients of OAuth 2.0 are (RFC 6749, section 5.2).
func (a Answer) OAuth() bool {
	var told struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	return json.Unmarshal(a.Body, &told) == nil && told.Error != "" && told.Description != ""
}

// Page is whether it was answered as people are.
func (a Answer) Page() bool {
	return strings.HasPrefix(a.Header.Get(echo.HeaderContentType), "text/html")
}

// Every sends a gigabyte to every route of a site that takes a body, twice: with
// its length told, and without. It checks that no more was read than a route
// accepts at most and a refusal drains, and that memory stayed flat. It must not
// run beside other tests of its package: they allocate, too.
func Every(t *testing.T, site http.Handler, header http.Header) []Answer {
	t.Helper()
	routes, ok := site.(*echo.Echo)
	if !ok {
		t.Fatalf("got a %T, want an Echo", site)
	}
	var answers []Answer
	for _, route := range routes.Routes() {
		switch route.Method {
		case http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
		default:
			continue
		}
		for _, told := range []bool{true, false} {
			answers = append(answers, send(t, site, route, told, header))
		}
	}
	if len(answers) == 0 {
		t.Fatal("no route takes a body")
	}
	return answers
}

func send(t *testing.T, site http.Handler, route *echo.Route, told bool, header http.Header) Answer {
	t.Helper()
	body := &endless{left: Gigabyte, of: 'a'}
	if kind := header.Get(echo.HeaderContentType); kind == echo.MIMEApplicationJSON {
		body.of = ' ' // what is no JSON would be refused for that
	}
	r := httptest.NewRequestWithContext(t.Context(), route.Method, address(route.Path), body)
	r.ContentLength = -1
	if told {
		r.ContentLength = Gigabyte
	}
	r.Header.Set(echo.HeaderContentType, echo.MIMEApplicationForm)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	maps.Copy(r.Header, header)
	w := httptest.NewRecorder()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	site.ServeHTTP(w, r)
	runtime.ReadMemStats(&after)
	a := Answer{route.Method, route.Path, told, w.Code, w.Header(), w.Body.Bytes(), Gigabyte - body.left}
	bound := int64(0) // where it is known from the start that all of it is too much
	if !told {
		bound = mostAccepted + api.DefaultLimits().Drain
	}
	if a.Read > bound {
		t.Errorf("%s %s, length told %t: %d bytes were read, want %d at most", a.Method, a.Route, told, a.Read, bound)
	}
	if spent := after.TotalAlloc - before.TotalAlloc; spent > memory {
		t.Errorf("%s %s, length told %t: %d bytes were allocated, want %d at most", a.Method, a.Route, told, spent, memory)
	}
	return a
}

// address is one that a route answers.
func address(route string) string {
	parts := strings.Split(route, "/")
	for i, part := range parts {
		if strings.HasPrefix(part, ":") || part == "*" {
			parts[i] = "x"
		}
	}
	return strings.Join(parts, "/")
}

// endless is a body that is never held.
type endless struct {
	left int64
	of   byte
}

func (e *endless) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), e.left)
	for i := range p[:n] {
		p[i] = e.of
	}
	e.left -= n
	return int(n), nil
}
