package pages

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	cdpage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/rubrica-firma/rubrica/internal/axe"
)

// look is a way to see a page, and what is then looked for.
type look struct {
	name     string
	width    int64
	features map[string]string // of CSS media queries
	rules    string            // options of axe.run
}

const (
	// WCAG 2.2 AA, and what axe calls best practice.
	everyRule = `runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]`
	// What a translation can spoil: languages, names, alternatives.
	words   = `runOnly: ["cat.language", "cat.name-role-value", "cat.text-alternatives"]`
	colours = `runOnly: {type: "rule", values: ["color-contrast", "target-size"]}`
)

// looks are the ways in which a page is seen, one after another in the same
// window.
func (e exhibit) looks() []look {
	wide := look{name: "wide", width: 1280, rules: everyRule}
	narrow := look{name: "narrow and dark", width: 320, features: map[string]string{"prefers-color-scheme": "dark"}, rules: colours}
	switch {
	case e.locale != "es":
		return []look{{name: "narrow", width: 320, rules: words}}
	case os.Getenv("AXE") != "all":
		return []look{wide, narrow}
	default:
		return []look{wide, narrow, {name: "forced colours", width: 640, features: map[string]string{"forced-colors": "active"}, rules: colours}}
	}
}

// exhibit is one page to judge.
type exhibit struct {
	locale string
	sample Sample
}

func (e exhibit) String() string {
	return fmt.Sprintf("%s %s/%s", e.locale, e.sample.Name, e.sample.State)
}

// exhibition serves samples in their languages.
type exhibition struct {
	pages    *Pages
	url      string
	exhibits []exhibit
}

// newExhibition chooses what is shown: every page in its first state in Spanish,
// and by turns in one of the other languages. Further states are built of the
// same components, which the component page shows in all their states. AXE=all
// (make axe) shows every state in every language and look.
func newExhibition(t *testing.T) *exhibition {
	t.Helper()
	p := open(t)
	e := &exhibition{pages: p}
	samples := p.Samples(noon)
	shown := make(map[string]bool)
	for _, sample := range append(samples, Sample{Name: "components", View: p.components(noon, samples)}) {
		languages := p.Languages(sample.View) // Spanish is the first
		turn := 1 + len(shown)%(len(languages)-1)
		for n, language := range languages {
			if !shown[sample.Name] && (n == 0 || n == turn) || os.Getenv("AXE") == "all" {
				e.exhibits = append(e.exhibits, exhibit{locale: language.Tag, sample: sample})
			}
		}
		shown[sample.Name] = true
	}
	mux := http.NewServeMux()
	mux.Handle(AssetsPrefix, p.Assets())
	mux.HandleFunc("/muestra/{number}", func(w http.ResponseWriter, r *http.Request) {
		number, err := strconv.Atoi(r.PathValue("number"))
		if err != nil || number >= len(e.exhibits) {
			http.NotFound(w, r)
			return
		}
		if err := p.Render(w, http.StatusOK, e.exhibits[number].locale, e.exhibits[number].sample.View); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	mux.HandleFunc("/mala", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<!doctype html><title>Mala</title><main><h1>Mala</h1><input></main>")
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	e.url = server.URL
	return e
}

// finding is what axe has against a page.
type finding struct {
	Rule  string   `json:"rule"`
	Help  string   `json:"help"`
	Nodes []string `json:"nodes"`
}

// verdict is what became of one look at one page.
type verdict struct {
	Title    string    `json:"title"`
	Findings []finding `json:"findings"`
	Overflow int       `json:"overflow"` // pixels that stand out on the right
}

// judge is run in a page that axe-core was added to. preload would fetch style
// sheets for a rule about the orientation of screens, which no page asks about.
const judge = `axe.run(document, {resultTypes: ["violations"], preload: false, elementRef: false, %s}).then((said) => JSON.stringify({
	title: document.title,
	overflow: document.scrollingElement.scrollWidth - document.documentElement.clientWidth,
	findings: said.violations.map((v) => ({rule: v.id, help: v.help, nodes: v.nodes.map((n) => n.html + " " + n.failureSummary)})),
}))`

// TestAxeFindsNothing shows the pages to axe-core. Nothing may have to be
// scrolled sideways, at 320 px neither (WCAG 2.2, 1.4.10).
func TestAxeFindsNothing(t *testing.T) {
	t.Parallel()
	e := newExhibition(t)
	script := axe.Script(t)
	browser := newBrowser(t)
	began := time.Now()
	numbers := make(chan int)
	var tabs sync.WaitGroup
	for range 2 {
		tabs.Go(func() {
			tab, cancel := chromedp.NewContext(browser)
			defer cancel()
			if _, err := chromedp.Call(tab, cdpage.AddScriptToEvaluateOnNewDocument, cdpage.AddScriptToEvaluateOnNewDocumentParams{Source: script}); err != nil {
				t.Errorf("bringing axe along: %v", err)
			}
			e.condemn(tab, t)
			for number := range numbers {
				e.judge(tab, t, number)
			}
		})
	}
	for number := range e.exhibits {
		numbers <- number
	}
	close(numbers)
	tabs.Wait()
	t.Logf("%d pages in %s", len(e.exhibits), time.Since(began).Round(time.Second))
}

func newBrowser(t *testing.T) context.Context {
	t.Helper()
	name := "chromium"
	if _, err := exec.LookPath(name); err != nil {
		name = "google-chrome"
	}
	ctx, cancel := chromedp.NewContext(context.Background(), chromedp.WithAllocatorOptions(
		chromedp.ExecPath(name), chromedp.NoSandbox, chromedp.DisableGPU))
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("starting the browser: %v", err)
	}
	return ctx
}

func (e *exhibition) judge(tab context.Context, t *testing.T, number int) {
	t.Helper()
	exhibit := e.exhibits[number]
	for i, l := range exhibit.looks() {
		err := l.take(tab)
		if err == nil && i == 0 {
			err = chromedp.Do(tab, chromedp.Navigate(e.url+"/muestra/"+strconv.Itoa(number)))
		}
		if err != nil {
			t.Errorf("showing %s, %s: %v", exhibit, l.name, err)
			return
		}
		v, err := l.verdict(tab)
		if err != nil || v.Title == "" {
			t.Errorf("%s, %s: got title %q and error %v, want a judged page", exhibit, l.name, v.Title, err)
			return
		}
		if v.Overflow > 0 {
			t.Errorf("%s, %s: %d px stand out on the right", exhibit, l.name, v.Overflow)
		}
		for _, f := range v.Findings {
			t.Errorf("%s, %s: %s: %s\n%s", exhibit, l.name, f.Rule, f.Help, strings.Join(f.Nodes[:min(3, len(f.Nodes))], "\n"))
		}
	}
}

// condemn shows a page with faults: who finds none there finds none anywhere.
func (e *exhibition) condemn(tab context.Context, t *testing.T) {
	t.Helper()
	if err := chromedp.Do(tab, chromedp.Navigate(e.url+"/mala")); err != nil {
		t.Errorf("showing a bad page: %v", err)
	}
	v, err := look{rules: everyRule}.verdict(tab)
	for _, rule := range []string{"html-has-lang", "label"} {
		if !slices.ContainsFunc(v.Findings, func(f finding) bool { return f.Rule == rule }) {
			t.Errorf("bad page: got findings %v and error %v, want %s among them", v.Findings, err, rule)
		}
	}
}

// take has a tab see pages so.
func (l look) take(tab context.Context) error {
	if err := chromedp.Do(tab, chromedp.EmulateViewport(l.width, 400)); err != nil {
		return fmt.Errorf("setting the width: %w", err)
	}
	var features []*emulation.MediaFeature
	for name, value := range l.features {
		features = append(features, &emulation.MediaFeature{Name: name, Value: value})
	}
	if _, err := chromedp.Call(tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features}); err != nil {
		return fmt.Errorf("setting media features: %w", err)
	}
	return nil
}

func (l look) verdict(tab context.Context) (verdict, error) {
	said, err := chromedp.Run(tab, chromedp.Evaluate[string](fmt.Sprintf(judge, l.rules), chromedp.EvalAwaitPromise))
	if err != nil {
		return verdict{}, fmt.Errorf("running axe: %w", err)
	}
	var v verdict
	if err := json.Unmarshal([]byte(said), &v); err != nil {
		return verdict{}, fmt.Errorf("reading the verdict: %w", err)
	}
	return v, nil
}
