package rest_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
)

// asked is an operation as it is called.
type asked struct{ method, path, scope, kind string }

// Whatever is sent to whichever operation: its answer is one of the contract, and
// never a failure of ours; and what was carried out is in the contract, too.
func FuzzDoor(f *testing.F) {
	for op := range byte(24) {
		f.Add(op, "", "", "", []byte(order(nil)))
		f.Add(op, "limit=1&wait=0&state=waiting&before=x", "text/html", `W/"x", *`, []byte(aVideo()))
		f.Add(op, "wait=1&wait=2&%00", "application/pdf;q=0", `"`, []byte(`{"identifier":"12345678Z"}`))
		f.Add(op, "a;b=%zz", "*/*", "", []byte(ordered("register", `"citizen":`+aCitizen)))
		f.Add(op, "", "", "", []byte(`{"document":{"content":"JVBERi0="},"name":"a"}`))
	}
	var (
		once sync.Once
		s    *scene
		ops  []asked
	)
	f.Fuzz(func(t *testing.T, op byte, query, accept, tag string, body []byte) {
		once.Do(func() {
			s = newScene(t).open()
			each(t, func(path, method string, o *openapi3.Operation) {
				_, kind, _ := bodyOf(t, o)
				ops = append(ops, asked{method, strings.ReplaceAll(concrete(path), "X", s.signed), scopeOf(o), kind})
			})
			slices.SortFunc(ops, func(a, b asked) int { return strings.Compare(a.method+a.path, b.method+b.path) })
		})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond) // nobody waits for a change here
		defer cancel()
		o := ops[int(op)%len(ops)]
		r, err := http.NewRequestWithContext(ctx, o.method, s.url+o.path, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.URL.RawQuery = query
		r.RequestURI, r.RemoteAddr = r.URL.RequestURI(), "192.0.2.1:1"
		for name, value := range map[string]string{
			"Authorization": "Bearer " + s.tokens[o.scope], "Content-Type": o.kind, "Accept": accept, "If-None-Match": tag, "Idempotency-Key": tag, "Prefer": tag,
		} {
			r.Header.Set(name, value)
		}
		w := httptest.NewRecorder()
		s.site.ServeHTTP(w, r)
		got := reply{status: w.Code, header: w.Header(), body: w.Body.Bytes()}
		if ctx.Err() != nil && got.status == http.StatusServiceUnavailable {
			return // it took too long for this test
		}
		if got.status >= http.StatusInternalServerError {
			t.Errorf("%s %s: got %d %s", o.method, o.path, got.status, got.body)
		}
		if err := s.agreed(r, got); err != nil {
			t.Errorf("%s %s: %v", o.method, o.path, err)
		}
	})
}
