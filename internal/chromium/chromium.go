// Package chromium is the real browser of the tests.
package chromium

import (
	"os/exec"

	"github.com/chromedp/chromedp"
)

// Name is the program's.
func Name() string {
	const usual = "chromium"
	if _, err := exec.LookPath(usual); err != nil {
		if _, err := exec.LookPath("google-chrome"); err == nil {
			return "google-chrome"
		}
	}
	return usual
}

// Options start it, with whatever else a test wants of it. A process that waits
// for the next site, which it does after each page, would cost a third of all that
// browsing does; the other features are those that chromedp turns off.
func Options(more ...chromedp.ExecAllocatorOption) chromedp.ContextOption {
	return chromedp.WithAllocatorOptions(append([]chromedp.ExecAllocatorOption{
		chromedp.ExecPath(Name()), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-features", "Translate,BlinkGenPropertyTrees,SpareRendererForSitePerProcess"),
	}, more...)...)
}
