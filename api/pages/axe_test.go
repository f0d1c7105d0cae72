package pages

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	cdpage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/rubrica-firma/rubrica/internal/axe"
	"github.com/rubrica-firma/rubrica/internal/chromium"
)

// look is a way to see a page, and what is then looked for.
type look struct {
	name     string
	width    int64
	media    string            // "print", or a screen
	features map[string]string // of CSS media queries
	style    string            // that a reader's own settings add
	rules    string            // options of axe.run; without them only sight judges
	sight    string            // what internal/axe/sight.js measures
}

const (
	// WCAG 2.2 AA, and what axe calls best practice.
	everyRule = `runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]`
	// What a translation can spoil: languages, names, alternatives.
	words   = `runOnly: ["cat.language", "cat.name-role-value", "cat.text-alternatives"]`
	colours = `runOnly: {type: "rule", values: ["color-contrast", "target-size"]}`
	targets = `runOnly: {type: "rule", values: ["target-size"]}`

	// The distances between letters, words, lines and paragraphs that a page has
	// to bear (WCAG 2.2, 1.4.12), and letters of twice the size (1.4.4).
	airy  = `* { line-height: 1.5 !important; letter-spacing: 0.12em !important; word-spacing: 0.16em !important } p { margin-bottom: 2em !important }`
	large = `html { font-size: 200% !important }`

	measures = `["sideways", "cut", "overlaid"]`
	behaves  = `["sideways", "cut", "overlaid", "focus", "headings"]`
	arrives  = `["summary", "sideways", "cut", "overlaid", "focus", "paste", "moves", "headings"]`
)

// looks are the ways in which a page is seen, one after another in the same
// window. Colours do not depend on the language, and lengths do.
func (e exhibit) looks(all bool) []look {
	dark := map[string]string{"prefers-color-scheme": "dark"}
	still := map[string]string{"prefers-reduced-motion": "reduce"}
	wide := look{name: "wide", width: 1280, rules: everyRule, sight: arrives, features: still}
	narrow := look{name: "narrow and dark", width: 320, rules: colours, sight: behaves, features: dark}
	spaced := look{name: "narrow and spaced", width: 320, style: airy, sight: measures}
	if !all {
		if e.locale != "es" {
			return []look{{name: "narrow", width: 320, rules: words, sight: measures}}
		}
		return []look{wide, narrow}
	}
	looks := []look{
		wide, spaced,
		{name: "wide, large letters", width: 1280, style: large, sight: measures},
		{name: "huge", width: 3840, sight: measures},
		{name: "paper", width: 718, media: "print", sight: measures},
	}
	if e.locale != "es" {
		narrow.rules = targets
		return append(looks, narrow)
	}
	return append(looks, narrow,
		look{name: "wide and dark", width: 1280, features: dark, rules: colours, sight: measures},
		look{name: "more contrast", width: 640, features: map[string]string{"prefers-contrast": "more"}, rules: colours, sight: measures},
		look{name: "forced colours", width: 640, features: map[string]string{"forced-colors": "active"}, rules: colours, sight: behaves},
	)
}

// exhibit is one page to judge.
type exhibit struct {
	locale string
	sample Sample
}

func (e exhibit) String() string {
	return fmt.Sprintf("%s %s/%s", e.locale, e.sample.Name, e.sample.State)
}

// badPage has a fault of every kind: a field that shows no focus, words that
// leave their box, which is wider than any window, a picture upon them, and a
// level of headings left out; a summary that the reader does not stand before,
// and a field that takes no paste.
const badPage = `<!doctype html><title>Mala</title><main><div class="summary"></div><h1>Mala</h1><h3>Muy mala</h3>
<input style="outline: none"><p style="width: 20px; margin-left: 5000px"><svg class="icon" style="position: absolute" width="20" height="20"></svg>Incomprensibilidad</p></main>
<script>document.querySelector("input").onpaste = () => false</script>`

// exhibition serves samples in their languages.
type exhibition struct {
	pages    *Pages
	url      string
	exhibits []exhibit
	all      bool
	seen     atomic.Int64 // looks at pages
}

// newExhibition chooses what is shown: every page in its first state in Spanish,
// and a sixth of them, by days, in one of the other languages by turns. Further
// states are built of the same components, which the component page shows in all
// their states. AXE=all (make axe) shows every state in every language and look.
func newExhibition(t *testing.T) *exhibition {
	t.Helper()
	p := open(t)
	e := &exhibition{pages: p, all: os.Getenv("AXE") != ""}
	samples := p.Samples(noon)
	shown := make(map[string]bool)
	for _, sample := range append(samples, Sample{Name: "components", View: p.components(noon, samples)}) {
		languages := p.Languages(sample.View) // Spanish is the first
		turn, today := 1+len(shown)%(len(languages)-1), len(shown)%6 == time.Now().YearDay()%6
		for n, language := range languages {
			if e.all && e.asked(language.Tag, sample.Name) || !e.all && !shown[sample.Name] && (n == 0 || n == turn && today) {
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
		_, _ = io.WriteString(w, badPage)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	e.url = server.URL
	return e
}

func (e *exhibition) asked(locale, name string) bool {
	language, prefix, _ := strings.Cut(os.Getenv("AXE"), "/")
	return (language == "all" || language == locale) && strings.HasPrefix(name, prefix)
}

// finding is what axe, or a measure of ours, has against a page.
type finding struct {
	Rule  string   `json:"rule"`
	Help  string   `json:"help"`
	Nodes []string `json:"nodes"`
}

// verdict is what became of one look at one page.
type verdict struct {
	Title    string    `json:"title"`
	Findings []finding `json:"findings"`
}

// judge is run in a page that axe-core was added to. preload would fetch style
// sheets for a rule about the orientation of screens, which no page asks about.
const judge = `(async (style, rules, measures) => {
	const settings = new CSSStyleSheet(); // which the page's policy does not forbid
	settings.replaceSync(style);
	document.adoptedStyleSheets = [settings];
	const said = rules && await axe.run(document, {resultTypes: ["violations"], preload: false, elementRef: false, ...rules});
	const findings = said ? said.violations.map((v) => ({rule: v.id, help: v.help, nodes: v.nodes.map((n) => n.html + " " + n.failureSummary)})) : [];
	findings.push(...sight(measures));
	document.adoptedStyleSheets = [];
	return JSON.stringify({title: document.title, findings});
})("%s", %s, %s)`

// TestAxeFindsNothing shows the pages to axe-core and to the measures of
// internal/axe.
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
	t.Logf("%d looks at %d pages in %s", e.seen.Load(), len(e.exhibits), time.Since(began).Round(time.Second))
}

func newBrowser(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := chromedp.NewContext(context.Background(), chromium.Options())
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("starting the browser: %v", err)
	}
	return ctx
}

func (e *exhibition) judge(tab context.Context, t *testing.T, number int) {
	t.Helper()
	exhibit := e.exhibits[number]
	for i, l := range exhibit.looks(e.all) {
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
		e.seen.Add(1)
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
	v, err := look{rules: everyRule, sight: arrives}.verdict(tab)
	for _, rule := range []string{"html-has-lang", "label", "summary", "sideways", "cut", "overlaid", "focus", "paste", "headings"} {
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
	if _, err := chromedp.Call(tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: l.media, Features: features}); err != nil {
		return fmt.Errorf("setting media features: %w", err)
	}
	return nil
}

func (l look) verdict(tab context.Context) (verdict, error) {
	rules := "null"
	if l.rules != "" {
		rules = "{" + l.rules + "}"
	}
	said, err := chromedp.Run(tab, chromedp.Evaluate[string](fmt.Sprintf(judge, l.style, rules, l.sight), chromedp.EvalAwaitPromise))
	if err != nil {
		return verdict{}, fmt.Errorf("running axe: %w", err)
	}
	var v verdict
	if err := json.Unmarshal([]byte(said), &v); err != nil {
		return verdict{}, fmt.Errorf("reading the verdict: %w", err)
	}
	return v, nil
}
