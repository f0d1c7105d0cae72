package staff_test

import (
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/internal/flood"
)

// Whatever a browser's passkey or a program could say, of a gigabyte no more is
// read than it takes to refuse it.
func TestGigabytes(t *testing.T) { //nolint:paralleltest // others would allocate beside it
	h := build(t, nil)
	sentences, err := words()
	if err != nil {
		t.Fatal(err)
	}
	limits := api.DefaultLimits()
	limits.Attempts, limits.Tokens = api.Rate{Every: time.Nanosecond, Burst: 1000}, api.Rate{Every: time.Nanosecond, Burst: 1000}
	site, err := api.New(api.Config{
		PublicURL: h.url.String(), Catalogue: sentences, Clients: h.door.Programs(), Scopes: []string{api.ScopeAudit},
		Rooms: []func(*api.Site){h.door.Room}, Limits: limits, Logger: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"application/json", "application/x-www-form-urlencoded"} {
		for _, a := range flood.Every(t, site, http.Header{"Content-Type": {kind}}) {
			tooLarge := a.Status == http.StatusRequestEntityTooLarge && a.Problem()
			// Where the length is not told, nothing may be wanted of the body.
			if unread := !a.Told && a.Status < http.StatusInternalServerError && a.Read == 0; !tooLarge && !unread {
				t.Errorf("%s %s as %s, length told %t: got %d, %s, after %d bytes, want 413, or the body unread",
					a.Method, a.Route, kind, a.Told, a.Status, a.Header.Get("Content-Type"), a.Read)
			}
		}
	}
}
