package pages

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestAssetsNeverChange(t *testing.T) {
	t.Parallel()
	p := open(t)
	hashed := regexp.MustCompile(`^/assets/[a-z-]+\.[0-9a-f]{12}\.(css|js|svg)$`)
	for name, address := range p.assets.addresses {
		if !hashed.MatchString(address) {
			t.Errorf("address of %s: got %q, want its hash in it", name, address)
		}
		w := httptest.NewRecorder()
		p.Assets().ServeHTTP(w, httptest.NewRequest(http.MethodGet, address, nil))
		if w.Code != http.StatusOK || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
			t.Errorf("%s: got %d and %q, want it kept for ever", name, w.Code, w.Header().Get("Cache-Control"))
		}
		if got := w.Header().Get("X-Content-Type-Options"); got != "nosniff" {
			t.Errorf("%s: got X-Content-Type-Options %q, want nosniff", name, got)
		}
	}
	for _, address := range []string{"/assets/app.css", "/assets/app.000000000000.css", "/assets/", "/assets/../pages.go"} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL.Path = address
		p.Assets().ServeHTTP(w, r)
		if w.Code != http.StatusNotFound {
			t.Errorf("%s: got %d, want 404", address, w.Code)
		}
	}
}

// TestIconsExist finds a symbol for every icon that a page asks for.
func TestIconsExist(t *testing.T) {
	t.Parallel()
	p := open(t)
	sprite := string(p.assets.files[p.assets.addresses["icons.svg"]].content)
	used := regexp.MustCompile(`icons\.[0-9a-f]+\.svg#([a-z]+)"`)
	samples := append(p.Samples(noon), Sample{View: p.components(noon, nil)})
	for _, sample := range samples {
		for _, icon := range used.FindAllStringSubmatch(draw(t, p, "es", sample.View).source, -1) {
			if !strings.Contains(sprite, `id="`+icon[1]+`"`) {
				t.Errorf("%s: got icon %q, which the sprite lacks", sample.Name, icon[1])
			}
		}
	}
}

func TestGalleryShowsEverySample(t *testing.T) {
	t.Parallel()
	p := open(t)
	gallery := p.Gallery(func() time.Time { return noon })
	get := func(address string) string {
		w := httptest.NewRecorder()
		gallery.ServeHTTP(w, httptest.NewRequest(http.MethodGet, address, nil))
		if w.Code != http.StatusOK {
			t.Errorf("%s: got %d, want 200", address, w.Code)
		}
		return w.Body.String()
	}
	index := get(ComponentsPath)
	for _, sample := range p.Samples(noon) {
		address := sample.View.page().Self
		if !strings.Contains(index, `href="`+address+`"`) {
			t.Errorf("index: got no link to %s", address)
		}
		if get(address) == index {
			t.Errorf("%s: got the index, want the sample", address)
		}
	}
}
