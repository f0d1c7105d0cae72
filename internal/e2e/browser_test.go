package e2e

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/rubrica-firma/rubrica/internal/chromium"
)

// screenshots is where the pictures of the documentation are to be kept;
// empty is nowhere. Pages in every state are drawn by `rubrica pages`.
func screenshots() string { return os.Getenv("SCREENSHOTS") }

// chrome is the one browser of all tests; each tab has cookies of its own.
var chrome = sync.OnceValues(func() (context.Context, error) {
	ctx, _ := chromedp.NewContext(context.Background(), chromium.Options( // it ends with this process
		chromedp.Flag("disable-component-update", true), chromedp.Flag("accept-lang", "es-ES,es"), chromedp.WindowSize(1280, 900)))
	return ctx, chromedp.Do(ctx)
})

// tab is a real browser's, as one person uses it.
type tab struct {
	*testing.T
	ctx context.Context

	mu       sync.Mutex
	carrier  *http.Transport // of what is asked of doors with TLS
	page     string          // address of the document that is open
	asked    map[string]bool // addresses of documents
	problems []string        // what nobody should have to see
}

func newTab(t *testing.T) *tab {
	t.Helper()
	parent, err := chrome()
	if err != nil {
		t.Fatalf("starting the browser: %v", err)
	}
	b := &tab{T: t, asked: map[string]bool{}}
	var cancel context.CancelFunc
	b.ctx, cancel = chromedp.NewContext(parent, chromedp.WithNewBrowserContext(), chromedp.WithListener(b.listen))
	t.Cleanup(cancel)
	t.Cleanup(b.quiet)
	if err := chromedp.Do(b.ctx); err != nil { // the tab lives as long as this context
		t.Fatalf("opening a tab: %v", err)
	}
	b.screen(desk)
	return b
}

// listen gathers what a developer would see in red, and what is asked of others
// than this machine.
func (b *tab) listen(event any) {
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		b.note(e.ExceptionDetails.Text)
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			b.note(fmt.Sprintf("console.%s", e.Type))
		}
	case *log.EventEntryAdded:
		b.entry(e.Entry)
	case *network.EventRequestWillBeSent:
		b.request(e)
	case *page.EventFrameNavigated:
		b.mu.Lock()
		defer b.mu.Unlock()
		b.page = e.Frame.URL
	case *fetch.EventRequestPaused:
		b.mu.Lock()
		defer b.mu.Unlock()
		go b.carry(e, b.page)
	}
}

func (b *tab) note(problem string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.problems = append(b.problems, problem)
}

// entry notes what the browser complains of: a policy that stopped something,
// a script or a picture that is not there. How a page itself was answered is no
// complaint: a form that was not accepted has the status of one.
func (b *tab) entry(e *log.Entry) {
	b.mu.Lock()
	page := b.asked[e.URL]
	b.mu.Unlock()
	grave := e.Level == log.EntryLevelError || e.Level == log.EntryLevelWarning
	if grave && (!page || e.Source != log.EntrySourceNetwork) {
		b.note(fmt.Sprintf("%s: %s (%s)", e.Source, e.Text, e.URL))
	}
}

func (b *tab) request(e *network.EventRequestWillBeSent) {
	if u, err := url.Parse(e.Request.URL); err != nil || u.Host != "" && u.Hostname() != "localhost" {
		b.note("a foreign host is asked: " + e.Request.URL)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if e.Type == network.ResourceTypeDocument {
		b.asked[e.Request.URL] = true
	}
}

// said is what was noted since it was last asked.
func (b *tab) said() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	said := b.problems
	b.problems = nil
	return said
}

// quiet fails for everything that was noted.
func (b *tab) quiet() {
	b.Helper()
	for _, problem := range b.said() {
		b.Errorf("the browser says: %s", problem)
	}
}

const patience = 20 * time.Second

func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.Helper()
	get(b, chromedp.Steps(actions...))
}

// get runs an action that has a result.
func get[R any](b *tab, action chromedp.Action[R]) R {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	result, err := chromedp.Run(ctx, action)
	if err != nil {
		b.Fatalf("in the browser: %v", err)
	}
	return result
}

// call runs a command of the DevTools protocol.
func call[P, R any](b *tab, command cdp.Command[P, R], params P) {
	b.Helper()
	if _, err := chromedp.Call(b.ctx, command, params); err != nil {
		b.Fatalf("%s: %v", command.Method, err)
	}
}

// eval asks a script, which works also where the page may not run any.
func eval[R any](b *tab, script string) R { b.Helper(); return get(b, chromedp.Evaluate[R](script)) }

// load does what leads to another page, and waits for it. It returns its status.
func (b *tab) load(actions ...chromedp.Action[chromedp.Void]) int {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	response, err := chromedp.RunResponse(ctx, actions...)
	if err != nil {
		b.Fatalf("loading a page: %v", err)
	}
	if response == nil { // from the history
		return http.StatusOK
	}
	return int(response.Status)
}

func (b *tab) open(address string) { b.Helper(); b.load(chromedp.Navigate(address)) }

// press clicks what leads to another page.
func (b *tab) press(selector string) int {
	b.Helper()
	return b.load(chromedp.Click(chromedp.CSS(selector)))
}

// fill types into a field as a person does, key by key.
func (b *tab) fill(name, text string) {
	b.Helper()
	b.do(chromedp.SendKeys(chromedp.CSS(fmt.Sprintf("input[name=%q]", name)), text))
}

// text is what an element says to a reader.
func (b *tab) text(selector string) string {
	b.Helper()
	return get(b, chromedp.Text(chromedp.CSS(selector)))
}

func (b *tab) address() *url.URL {
	b.Helper()
	u, err := url.Parse(get(b, chromedp.Location()))
	if err != nil {
		b.Fatal(err)
	}
	return u
}

// at checks where the browser is, and that the page has words for it.
func (b *tab) at(suffix, heading string) {
	b.Helper()
	if got := b.address(); !strings.HasSuffix(got.Path, suffix) {
		b.Fatalf("got page %s, want …%s: %s", got, suffix, b.text("main"))
	}
	if got := b.text("h1"); !strings.Contains(got, heading) {
		b.Errorf("got heading %q at %s, want %q", got, suffix, heading)
	}
	b.narrow()
}

// The widths of screens, in CSS pixels: the narrowest is that of WCAG 2.2,
// criterion 1.4.10.
const desk, telephone, narrowest = 1280, 390, 320

// screen has the window another width: what is pressed must be where it was when
// it was found, so that a new width is waited for.
func (b *tab) screen(width int64) {
	b.Helper()
	call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: width, Height: 900, DeviceScaleFactor: 1, Mobile: width == telephone,
	})
	for limit := time.Now().Add(patience); eval[int64](b, `innerWidth`) != width; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(limit) {
			b.Fatalf("the window does not become %d px wide", width)
		}
	}
}

// narrow checks that nothing is wider than the narrowest screen.
func (b *tab) narrow() {
	b.Helper()
	defer b.screen(desk)
	b.screen(narrowest)
	if wide := eval[float64](b, `document.documentElement.scrollWidth - 320`); wide > 0 {
		b.Errorf("%s is %v px wider than a screen of %d", b.address().Path, wide, narrowest)
	}
}

// look is how a picture of the documentation is taken.
type look struct {
	width int64
	dark  bool
	// whole is the page to its end; else what the window shows.
	whole bool
}

// shot keeps how the page looks, for the documentation.
func (b *tab) shot(name string, l look) {
	b.Helper()
	if screenshots() == "" {
		return
	}
	defer b.screen(desk)
	b.screen(l.width)
	if l.dark {
		call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}},
		})
		defer call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{})
	}
	take := chromedp.CaptureScreenshot()
	if l.whole {
		take = chromedp.FullScreenshot(100)
	}
	keep(b.T, name, get(b, take))
}

// keep writes a picture of the documentation with the 256 colours that it has
// most of: a third of the octets, and nobody sees it.
func keep(t *testing.T, name string, picture []byte) {
	t.Helper()
	drawn, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		t.Fatal(err)
	}
	frame, count := drawn.Bounds(), map[color.Color]int{}
	for y := range frame.Dy() {
		for x := range frame.Dx() {
			count[drawn.At(x, y)]++
		}
	}
	colours := slices.SortedFunc(maps.Keys(count), func(a, z color.Color) int { return count[z] - count[a] })
	reduced := image.NewPaletted(frame, colours[:min(256, len(colours))])
	draw.Draw(reduced, frame, drawn, frame.Min, draw.Src)
	var out bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, reduced); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(screenshots(), name+".png"), out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}
