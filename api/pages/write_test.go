package pages

import (
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// TestWrite: what is written stands alone: a link leads to a file that is there,
// or nowhere.
func TestWrite(t *testing.T) {
	t.Parallel()
	p, dir := open(t), t.TempDir()
	if err := p.Write(dir, noon, "es", "gl"); err != nil {
		t.Fatal(err)
	}
	files := os.DirFS(dir)
	names, err := fs.Glob(files, "*/*.html")
	if err != nil || len(names) < len(p.Samples(noon)) {
		t.Fatalf("got %d pages, %v, want one for each of %d samples and more", len(names), err, len(p.Samples(noon)))
	}
	missing := map[string]bool{}
	for _, name := range names {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		document, err := html.Parse(strings.NewReader(string(content)))
		if err != nil {
			t.Fatal(err)
		}
		for node := range document.Descendants() {
			for _, key := range []string{"href", "src"} {
				to, _ := attribute(node, key)
				u, err := url.Parse(to)
				if err != nil || u.IsAbs() || u.Path == "" {
					continue
				}
				language, _, _ := strings.Cut(strings.TrimPrefix(u.Path, "../"), "/")
				if language == "assets" || language == "es" || language == "gl" || !strings.Contains(u.Path, "/") {
					_, err = fs.Stat(files, path.Join(path.Dir(name), u.Path))
				}
				if err != nil || strings.HasPrefix(u.Path, "/") || u.RawQuery != "" {
					missing[to] = true
				}
			}
		}
	}
	for to := range missing {
		t.Errorf("a page leads to %s, which is not there", to)
	}
}
