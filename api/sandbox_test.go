package api_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/notify/catalogue"
)

// TestSandboxHeader: a sandbox says what it is on every answer, the one about an
// address that is not there among them; no other deployment does.
func TestSandboxHeader(t *testing.T) {
	t.Parallel()
	words, err := catalogue.New()
	if err != nil {
		t.Fatal(err)
	}
	for want, on := range map[string]bool{"true": true, "": false} {
		site, err := api.New(api.Config{
			PublicURL: "https://firma.example.es", Catalogue: words, Sandbox: on, Limits: api.DefaultLimits(), Logger: slog.New(slog.DiscardHandler), Now: time.Now,
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"/healthz", "/nowhere", "/problems/not_found"} {
			w := httptest.NewRecorder()
			site.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody))
			if got := w.Header().Get(api.SandboxHeader); got != want {
				t.Errorf("%s: got %q, want %q", path, got, want)
			}
		}
	}
}
