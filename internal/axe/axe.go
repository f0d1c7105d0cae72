// Package axe judges pages with axe-core, which looks for what keeps people
// with disabilities from using them. It is for tests only.
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

// Script is axe-core, to be run in a page: it defines the global axe.
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
	return string(script)
}
