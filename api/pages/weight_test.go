package pages

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// weighty are the pages on the way to a signature.
func weighty() []string { return []string{"identify", "review", "confirm", "done"} }

// TestSigningPagesAreLight: what a browser fetches for a page, uncompressed and
// without the document, stays under 60 KB in every language.
func TestSigningPagesAreLight(t *testing.T) {
	t.Parallel()
	const limit = 60_000
	p := open(t)
	light := make(map[string]bool)
	for _, sample := range p.Samples(noon) {
		for _, name := range weighty() {
			if sample.Name != name {
				continue
			}
			light[name] = true
			for _, language := range p.Languages(sample.View) {
				drawn := draw(t, p, language.Tag, sample.View)
				total := len(drawn.source)
				for address, file := range p.assets.files {
					if strings.Contains(drawn.source, address) && address != p.assets.addresses["sample-page.svg"] {
						total += len(file.content)
					}
				}
				if total > limit {
					t.Errorf("%s/%s in %s: got %d bytes, want at most %d", name, sample.State, language.Tag, total, limit)
				}
			}
		}
	}
	if len(light) != len(weighty()) {
		t.Errorf("weighed: got %v, want %v", light, weighty())
	}
}

// TestPagesArePaintedWithoutScript: the script never arrives, and the reader
// sees the page all the same.
func TestPagesArePaintedWithoutScript(t *testing.T) {
	t.Parallel()
	p := open(t)
	view := &Identify{SubmitURL: "/firma/1"}
	arrives := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc(AssetsPrefix, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == p.assets.addresses["app.js"] {
			<-arrives
		}
		p.Assets().ServeHTTP(w, r)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		if err := p.Render(w, http.StatusOK, "es", view); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(arrives) })
	tab := newBrowser(t)
	go func() { _ = chromedp.Do(tab, chromedp.Navigate(server.URL)) }() // whose end would be the script's
	const painted = `performance.getEntriesByName("first-contentful-paint").length > 0 && document.querySelector("h1").innerText`
	var heading string
	for end := time.Now().Add(30 * time.Second); heading == "" && time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		// On the way to the page there is nothing to ask yet.
		heading, _ = chromedp.Run(tab, chromedp.Evaluate[string](`String(`+painted+` || "")`))
	}
	if want := p.speak("es").Text("identify.title", nil); heading != want {
		t.Errorf("painted before the script arrived: got heading %q, want %q", heading, want)
	}
}
