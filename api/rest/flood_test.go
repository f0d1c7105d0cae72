package rest_test

import (
	"net/http"
	"testing"

	"github.com/rubrica-firma/rubrica/internal/flood"
)

// Of a gigabyte no more is read than the largest document has; whoever
// may not call, or says something else wrong before it, is refused unread. Programs
// are told in their own form.
func TestGigabytes(t *testing.T) { //nolint:paralleltest // others would allocate beside it
	h := build(t)
	for name, header := range map[string]http.Header{
		"a stranger":     nil,
		"an application": {"Authorization": {"Bearer " + h.token(t, "sede")}},
	} {
		for _, a := range flood.Every(t, h.site, header) {
			refused := a.Status >= 400 && a.Status < 500 && a.Read == 0
			if (a.Status != http.StatusRequestEntityTooLarge && !refused) || !a.Problem() {
				t.Errorf("%s: %s %s, length told %t: got %d, %s, after %d bytes, want 413, or a refusal unread",
					name, a.Method, a.Route, a.Told, a.Status, a.Header.Get("Content-Type"), a.Read)
			}
		}
	}
}
