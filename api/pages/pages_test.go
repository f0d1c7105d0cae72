package pages

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/rubrica-firma/rubrica/notify/catalogue"
	"github.com/rubrica-firma/rubrica/policies"
)

// complaints keeps everything logged: a sentence that cannot be said is logged
// and nothing else.
type complaints struct {
	mu    sync.Mutex
	heard []string
}

func (c *complaints) Enabled(context.Context, slog.Level) bool { return true }
func (c *complaints) WithAttrs([]slog.Attr) slog.Handler       { return c }
func (c *complaints) WithGroup(string) slog.Handler            { return c }

func (c *complaints) Handle(_ context.Context, record slog.Record) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	record.Attrs(func(a slog.Attr) bool {
		c.heard = append(c.heard, record.Message+": "+a.String())
		return true
	})
	return nil
}

// since is what was heard after the first ones.
func (c *complaints) since(from int) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.heard[from:]
}

// parsed are the pages of all tests: they never change, and parsing them takes
// longer than most tests.
var (
	heard  = &complaints{}
	parsed = sync.OnceValues(func() (*Pages, error) {
		sentences, err := catalogue.New()
		if err != nil {
			return nil, err
		}
		return New(Options{
			Catalogue: sentences,
			Branding:  Branding{Organisation: "Ayuntamiento de Gijón", Links: []Link{{Text: "Accesibilidad", URL: "/accesibilidad"}}},
			Logger:    slog.New(heard),
		})
	})
)

// open gives the pages, and fails the test for every complaint while it runs.
func open(t *testing.T) *Pages {
	t.Helper()
	p, err := parsed()
	if err != nil {
		t.Fatalf("parsing the pages: %v", err)
	}
	from := len(heard.since(0))
	t.Cleanup(func() {
		for _, complaint := range heard.since(from) {
			t.Error(complaint)
		}
	})
	return p
}

var noon = time.Date(2026, 11, 21, 11, 0, 0, 0, time.UTC)

// page is an answer and its parsed document.
type page struct {
	*httptest.ResponseRecorder
	document *html.Node
	source   string
}

func draw(t *testing.T, p *Pages, locale string, view View) page {
	t.Helper()
	w := httptest.NewRecorder()
	if err := p.Render(w, http.StatusOK, locale, view); err != nil {
		t.Fatalf("Render(%T): %v", view, err)
	}
	source := w.Body.String()
	document, err := html.Parse(strings.NewReader(source))
	if err != nil {
		t.Fatalf("parsing %T: %v", view, err)
	}
	return page{ResponseRecorder: w, document: document, source: source}
}

func (p page) elements(names ...string) []*html.Node {
	var found []*html.Node
	for node := range p.document.Descendants() {
		if node.Type == html.ElementNode && slices.Contains(names, node.Data) {
			found = append(found, node)
		}
	}
	return found
}

func attribute(node *html.Node, name string) (string, bool) {
	for _, a := range node.Attr {
		if a.Key == name {
			return a.Val, true
		}
	}
	return "", false
}

func text(node *html.Node) string {
	var b strings.Builder
	for n := range node.Descendants() {
		if n.Type == html.TextNode {
			b.WriteString(n.Data)
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// eachSample runs a test on every view in every state and language.
func eachSample(t *testing.T, test func(t *testing.T, locale string, view View, drawn page)) {
	t.Helper()
	p := open(t)
	samples := append(p.Samples(noon), Sample{Name: "components", View: p.components(noon, p.Samples(noon))})
	for _, sample := range samples {
		for _, language := range p.Languages(sample.View) {
			t.Run(language.Tag+"/"+sample.Name+"/"+sample.State, func(t *testing.T) {
				t.Parallel()
				test(t, language.Tag, sample.View, draw(t, p, language.Tag, sample.View))
			})
		}
	}
}

func TestEveryTemplateHasSamples(t *testing.T) {
	t.Parallel()
	p := open(t)
	shown := map[string]bool{(&Components{}).template(): true}
	for _, sample := range p.Samples(noon) {
		shown[sample.Name] = true
	}
	for name := range p.sets["es"] {
		if !shown[name] {
			t.Errorf("template %s: got no sample, want one for each state", name)
		}
	}
}

func TestPagesAreWellFormed(t *testing.T) {
	t.Parallel()
	p := open(t)
	eachSample(t, func(t *testing.T, locale string, view View, drawn page) {
		t.Helper()
		unclosed(t, drawn.source)
		root := drawn.elements("html")[0]
		if got, _ := attribute(root, "lang"); got != locale {
			t.Errorf("html lang: got %q, want %q", got, locale)
		}
		if headings := drawn.elements("h1"); len(headings) != 1 || text(headings[0]) == "" {
			t.Errorf("got %d main headings, want one with text", len(headings))
		}
		prefix := p.speak(locale).Text("layout.error_prefix", nil)
		if got := text(drawn.elements("title")[0]); strings.HasPrefix(got, prefix+" ") != (len(view.page().Problems) > 0) {
			t.Errorf("title: got %q, want %s in front exactly if there are problems", got, prefix)
		}
		for _, bad := range []string{"ZgotmplZ", "<no value>", "%!", "<nil>"} {
			if strings.Contains(drawn.source, bad) {
				t.Errorf("page contains %q", bad)
			}
		}
		ids := make(map[string]bool)
		for node := range drawn.document.Descendants() {
			id, has := attribute(node, "id")
			if has && ids[id] {
				t.Errorf("identifier %q: got twice, want once", id)
			}
			ids[id] = ids[id] || has
		}
		for _, node := range drawn.elements("a") {
			if to, _ := attribute(node, "href"); strings.HasPrefix(to, "#") && !ids[to[1:]] {
				if !strings.HasPrefix(to, "#identifier") || view.template() != "components-page" {
					t.Errorf("link to %s: nothing there", to)
				}
			}
		}
	})
}

// unclosed walks the tokens: every element that is opened is closed, in order.
func unclosed(t *testing.T, source string) {
	t.Helper()
	void := []string{"meta", "link", "input", "img", "br"}
	var stack []string
	for tokens := html.NewTokenizer(strings.NewReader(source)); ; {
		switch tokens.Next() {
		case html.ErrorToken:
			if len(stack) > 0 {
				t.Errorf("left open: %v", stack)
			}
			return
		case html.StartTagToken:
			if name := tokens.Token().Data; !slices.Contains(void, name) {
				stack = append(stack, name)
			}
		case html.EndTagToken:
			name := tokens.Token().Data
			if len(stack) == 0 || stack[len(stack)-1] != name {
				t.Fatalf("closing %s: got open elements %v, want it last", name, stack)
			}
			stack = stack[:len(stack)-1]
		default: // text and comments open nothing
		}
	}
}

func TestPagesObeyTheirSecurityPolicy(t *testing.T) {
	t.Parallel()
	eachSample(t, func(t *testing.T, _ string, _ View, drawn page) {
		t.Helper()
		policy := drawn.Header().Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
			t.Errorf("policy: got %q, want nothing allowed by default and nothing unsafe", policy)
		}
		seen := map[string]bool{}
		for directive := range strings.SplitSeq(policy, "; ") {
			name, _, _ := strings.Cut(directive, " ")
			if seen[name] {
				t.Errorf("policy: got %s twice in %q", name, policy)
			}
			seen[name] = true
		}
		if got := drawn.Header().Get("Cache-Control"); got != "no-store" {
			t.Errorf("Cache-Control: got %q, want no-store", got)
		}
		if got := len(drawn.elements("style")); got > 0 {
			t.Errorf("got %d inline style sheets, want none", got)
		}
		for _, script := range drawn.elements("script") {
			if source, _ := attribute(script, "src"); !strings.HasPrefix(source, AssetsPrefix) || text(script) != "" {
				t.Errorf("script: got source %q, want an asset and nothing inline", source)
			}
		}
		for node := range drawn.document.Descendants() {
			for _, a := range node.Attr {
				if a.Key == "data-look" && a.Val != "" && !seen["connect-src"] {
					t.Errorf("policy: got %q, want the script able to look at %s", policy, a.Val)
				}
				if a.Key == "style" || strings.HasPrefix(a.Key, "on") || strings.HasPrefix(a.Val, "javascript:") {
					t.Errorf("<%s %s=%q>: want no inline style or script", node.Data, a.Key, a.Val)
				}
			}
		}
	})
}

func TestFormsCanBeFilledByAnybody(t *testing.T) {
	t.Parallel()
	eachSample(t, func(t *testing.T, _ string, view View, drawn page) {
		t.Helper()
		labels := make(map[string]bool)
		for _, label := range drawn.elements("label") {
			to, _ := attribute(label, "for")
			labels[to] = text(label) != ""
		}
		ids := make(map[string]*html.Node)
		for node := range drawn.document.Descendants() {
			if id, has := attribute(node, "id"); has {
				ids[id] = node
			}
		}
		for _, input := range drawn.elements("input") {
			if kind, _ := attribute(input, "type"); kind == "hidden" {
				continue
			}
			id, _ := attribute(input, "id")
			if !labels[id] {
				t.Errorf("field %q: got no label, want one with text", id)
			}
			if _, has := attribute(input, "autocomplete"); !has {
				t.Errorf("field %q: want the autocomplete attribute (WCAG 2.2, 1.3.5)", id)
			}
			described, _ := attribute(input, "aria-describedby")
			for by := range strings.FieldsSeq(described) {
				if ids[by] == nil || text(ids[by]) == "" {
					t.Errorf("field %q: described by %q, which says nothing", id, by)
				}
			}
			kind, _ := attribute(input, "type")
			if value, has := attribute(input, "value"); has && (kind == "password" || id == FieldCode) {
				t.Errorf("field %q: got value %q, want secrets never sent back", id, value)
			}
			if problem := view.page().Problem(id); problem != nil {
				if invalid, _ := attribute(input, "aria-invalid"); invalid != "true" || !strings.Contains(described, id+"-problem") {
					t.Errorf("field %q: got aria-invalid=%q and description %q, want its problem told", id, invalid, described)
				}
			}
		}
		for _, node := range drawn.elements("a", "button", "summary") {
			label, _ := attribute(node, "aria-label")
			if text(node) == "" && label == "" {
				t.Errorf("<%s>: got no name, want one", node.Data)
			}
		}
		for _, image := range drawn.elements("img") {
			if alt, _ := attribute(image, "alt"); alt == "" {
				t.Error("image: got no alternative, want one")
			}
		}
		for _, form := range drawn.elements("form") {
			if method, _ := attribute(form, "method"); method != "post" {
				t.Errorf("form: got method %q, want post", method)
			}
		}
	})
}

// TestProblemsAreToldOnTopAndBesideTheField: the summary links to the field, the
// remedy is in the sentence, what was typed is kept.
func TestProblemsAreToldOnTopAndBesideTheField(t *testing.T) {
	t.Parallel()
	view := &Identify{Identifier: "12345678A", SubmitURL: "/firma/1"}
	view.Fail(FieldIdentifier, policies.Refuse(policies.IdentifierInvalid))
	drawn := draw(t, open(t), "es", view)
	for _, want := range []string{
		`<a href="#identifier">Revise el DNI o NIE</a>`,
		`Escriba los 8 números y la letra del DNI, como 12345678Z`,
		`value="12345678A"`,
		`role="alert"`,
	} {
		if !strings.Contains(drawn.source, want) {
			t.Errorf("page: got no %s", want)
		}
	}
}

func TestTextsOfOthersAreEscaped(t *testing.T) {
	t.Parallel()
	const hostile = `"><script>alert(1)</script>`
	view := &Review{
		Request:   &Request{Organisation: hostile, Application: hostile, Procedure: hostile},
		Documents: []Document{{Number: 1, Title: hostile}},
		Opened:    Opened{Document: Document{Title: hostile, Fingerprint: hostile, OriginalURL: "javascript:alert(1)"}, Page: 1, Text: hostile},
		Signer:    Signer{Name: hostile},
	}
	drawn := draw(t, open(t), "es", view)
	if got := len(drawn.elements("script")); got != 1 {
		t.Errorf("got %d scripts, want the page's own", got)
	}
	if strings.Contains(drawn.source, "javascript:") {
		t.Error("page: got a javascript address, want it blocked")
	}
}

func TestDoneLeavesByItself(t *testing.T) {
	t.Parallel()
	failed := Document{Failure: policies.Refuse(policies.SignatureFailed)}
	for _, test := range []struct {
		name string
		view *Done
		want string
	}{
		{"asked to", &Done{Documents: []Document{{}}, ReturnURL: "https://sede.example.es/x?y=1", ReturnIn: 30 * time.Second}, "30; url=https://sede.example.es/x?y=1"},
		{"asked to stay", &Done{Documents: []Document{{}}, ReturnURL: "https://sede.example.es/x"}, ""},
		{"nowhere to go", &Done{Documents: []Document{{}}, ReturnIn: 30 * time.Second}, ""},
		{"something to read", &Done{Documents: []Document{{}, failed}, ReturnURL: "https://sede.example.es/x", ReturnIn: 30 * time.Second}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			drawn := draw(t, open(t), "es", test.view)
			if got := drawn.Header().Get("Refresh"); got != test.want {
				t.Errorf("Refresh: got %q, want %q", got, test.want)
			}
			if got := strings.Contains(drawn.source, "Quedarme en esta página"); got != (test.want != "") {
				t.Errorf("a way to stay: got %t, want %t", got, test.want != "")
			}
		})
	}
}

func TestNothingIsSentOnError(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	err := open(t).Render(w, http.StatusOK, "es", &CertificateRefused{}) // without the reason that its title needs
	if err == nil || w.Body.Len() > 0 || len(w.Header()) > 0 {
		t.Errorf("Render: got error %v, %d bytes and headers %v, want an error and nothing sent", err, w.Body.Len(), w.Header())
	}
}
