package validation_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/internal/flood"
)

// A question of a gigabyte, and a time-stamp's, are refused after what a
// question may be long.
func TestGigabytes(t *testing.T) { //nolint:paralleltest // others would allocate beside it
	_, handler := found(t, time.Now).open(t, nil)
	refused := make(map[string]int)
	for _, kind := range []string{"application/ocsp-request", "application/timestamp-query"} {
		for _, a := range flood.Every(t, handler, http.Header{"Content-Type": {kind}}) {
			switch {
			case a.Status == http.StatusRequestEntityTooLarge:
				refused[a.Route]++
			case a.Status != http.StatusUnsupportedMediaType || a.Read != 0:
				t.Errorf("%s %s, length told %t: got %d after %d bytes, want 413", a.Method, a.Route, a.Told, a.Status, a.Read)
			}
		}
	}
	for _, route := range []string{"/ocsp", "/tsa"} {
		if refused[route] < 2 {
			t.Errorf("%s: got 413 %d times, want it with its own kind of question, length told or not", route, refused[route])
		}
	}
}
