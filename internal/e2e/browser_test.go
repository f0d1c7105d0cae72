package e2e

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// screenshots is a directory for pictures of every page that the tests meet, at
// the widths of a desk and of a telephone, light and dark.
var screenshots = flag.String("screenshots", "", "keep pictures of the pages in this directory")

// chrome is the one browser of all tests; each tab has cookies of its own.
var chrome = sync.OnceValues(func() (context.Context, error) {
	ctx, _ := chromedp.NewContext(context.Background(), chromedp.WithAllocatorOptions( // it ends with this process
		chromedp.ExecPath(chromium()), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-component-update", true), chromedp.Flag("accept-lang", "es-ES,es"), chromedp.WindowSize(1280, 900)))
	return ctx, chromedp.Do(ctx)
})

// tab is a real browser's, as one person uses it.
type tab struct {
	*testing.T
	ctx context.Context

	mu       sync.Mutex
	problems []string // what the console said
}

func newTab(t *testing.T) *tab {
	t.Helper()
	parent, err := chrome()
	if err != nil {
		t.Fatalf("starting the browser: %v", err)
	}
	b := &tab{T: t}
	var cancel context.CancelFunc
	b.ctx, cancel = chromedp.NewContext(parent, chromedp.WithNewBrowserContext(), chromedp.WithListener(b.listen))
	t.Cleanup(cancel)
	if err := chromedp.Do(b.ctx); err != nil { // the tab lives as long as this context
		t.Fatalf("opening a tab: %v", err)
	}
	b.screen(desk)
	return b
}

// listen gathers what a developer would see in red.
func (b *tab) listen(event any) {
	var problem string
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		problem = e.ExceptionDetails.Text
	case *runtime.EventConsoleAPICalled:
		if e.Type != runtime.ConsoleAPICalledTypeError && e.Type != runtime.ConsoleAPICalledTypeWarning {
			return
		}
		problem = fmt.Sprintf("console.%s", e.Type)
	case *log.EventEntryAdded:
		if e.Entry.Level != log.EntryLevelError && e.Entry.Level != log.EntryLevelWarning {
			return
		}
		problem = fmt.Sprintf("%s: %s (%s)", e.Entry.Source, e.Entry.Text, e.Entry.URL)
	default:
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.problems = append(b.problems, problem)
}

// said is what the console said since it was last asked.
func (b *tab) said() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	said := b.problems
	b.problems = nil
	return said
}

// quiet fails for everything that the console said.
func (b *tab) quiet() {
	b.Helper()
	for _, problem := range b.said() {
		b.Errorf("the console says: %s", problem)
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
	b.picture(path.Base(suffix))
}

// The widths of screens: what is pressed must be where it was when it was found,
// so that a new width is waited for.
const desk, telephone = 1280, 360

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

// picture checks that nothing is wider than a telephone, and keeps how the page
// looks, if somebody wants to see.
func (b *tab) picture(name string) {
	b.Helper()
	defer b.screen(desk)
	b.screen(telephone)
	if wide := eval[float64](b, `document.documentElement.scrollWidth - 360`); wide > 0 {
		b.Errorf("%s is %v px wider than a telephone of 360", b.address().Path, wide)
	}
	if *screenshots == "" {
		return
	}
	dir := filepath.Join(*screenshots, strings.ReplaceAll(b.Name(), "/", "-"))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		b.Fatal(err)
	}
	for _, width := range []int64{desk, telephone} {
		for _, scheme := range []string{"light", "dark"} {
			b.screen(width)
			call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
			})
			file := filepath.Join(dir, fmt.Sprintf("%s-%d-%s.png", name, width, scheme))
			if err := os.WriteFile(file, get(b, chromedp.FullScreenshot(100)), 0o600); err != nil {
				b.Fatal(err)
			}
		}
	}
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{})
}
