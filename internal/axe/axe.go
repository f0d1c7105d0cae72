// Package axe judges pages with axe-core, which looks for what keeps people
// with disabilities from using them, and with a few measures of its own for
// what axe-core does not see. It is for tests only.
package axe

import (
	"embed"
	"os"
	"path/filepath"
	"testing" //nolint:depguard // a helper of tests, as the packages internal/*test are

	"github.com/rubrica-firma/rubrica/internal/npm"
)

//go:embed package.json package-lock.json
var sources embed.FS

//go:embed sight.js
var sight string

// Script is to be run in a page: it defines the globals axe, which is axe-core,
// and sight, which takes names of its measures and gives what they found.
func Script(tb testing.TB) string {
	tb.Helper()
	dir, err := npm.Install("axe", sources)
	if err != nil {
		tb.Fatalf("installing axe-core (apt-get install nodejs npm): %v", err)
	}
	script, err := os.ReadFile(filepath.Join(dir, "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		tb.Fatalf("reading axe-core: %v", err)
	}
	return string(script) + "\n" + sight
}
