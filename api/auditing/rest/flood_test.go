package rest_test

import (
	"net/http"
	"testing"

	"github.com/rubrica-firma/rubrica/internal/flood"
	"github.com/rubrica-firma/rubrica/personnel"
)

// Of a gigabyte in the place of a question no more is read than it takes to refuse
// it, whoever asks.
func TestGigabytes(t *testing.T) { //nolint:paralleltest // others would allocate beside it
	site := newSite(t, &desk{})
	for name, header := range map[string]http.Header{
		"a stranger": {"Content-Type": {"application/json"}},
		"an auditor": {"Content-Type": {"application/json"}, "Role": {personnel.RoleAuditor}, "Audit-Purpose": {"Petición del juzgado"}},
	} {
		for _, a := range flood.Every(t, site, header) {
			unread := a.Status >= 400 && a.Status < 500 && a.Read == 0
			if (a.Status != http.StatusRequestEntityTooLarge && !unread) || !a.Problem() {
				t.Errorf("%s: %s %s, length told %t: got %d, %s, after %d bytes, want 413, or a refusal unread",
					name, a.Method, a.Route, a.Told, a.Status, a.Header.Get("Content-Type"), a.Read)
			}
		}
	}
}
