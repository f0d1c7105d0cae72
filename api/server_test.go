package api_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/api"
)

// A client that sends a letter a minute is not waited for: each phase of each
// connection ends, at the doors' server and at every other of the service.
func TestServersWaitForNobody(t *testing.T) {
	t.Parallel()
	s := api.Server(http.NotFoundHandler(), "")
	for name, got := range map[string]time.Duration{
		"header": s.ReadHeaderTimeout, "body": s.ReadTimeout, "answer": s.WriteTimeout, "idle": s.IdleTimeout,
	} {
		if got <= 0 || got > 2*time.Minute {
			t.Errorf("%s: got %v, want a bound", name, got)
		}
	}
	if s.ReadHeaderTimeout > 10*time.Second || s.MaxHeaderBytes > 64<<10 {
		t.Errorf("got %v and %d bytes for a header, want little", s.ReadHeaderTimeout, s.MaxHeaderBytes)
	}
	servers := 0
	for _, dir := range []string{"../api", "../audit", "../signer", "../cmd"} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			for n := range ast.Preorder(file) {
				if fields, ok := serverOf(n); ok {
					servers++
					if !fields["ReadHeaderTimeout"] || !fields["ReadTimeout"] {
						t.Errorf("%s: a server without ReadHeaderTimeout and ReadTimeout waits for whoever sends nothing", path)
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if servers < 3 {
		t.Errorf("got %d servers, want the doors', the signer's and the witness's at least", servers)
	}
}

// serverOf are the fields that a literal of an http.Server sets.
func serverOf(n ast.Node) (map[string]bool, bool) {
	literal, ok := n.(*ast.CompositeLit)
	if !ok {
		return nil, false
	}
	kind, ok := literal.Type.(*ast.SelectorExpr)
	if !ok || kind.Sel.Name != "Server" {
		return nil, false
	}
	if from, ok := kind.X.(*ast.Ident); !ok || from.Name != "http" {
		return nil, false
	}
	fields := make(map[string]bool)
	for _, e := range literal.Elts {
		if pair, ok := e.(*ast.KeyValueExpr); ok {
			if key, ok := pair.Key.(*ast.Ident); ok {
				fields[key.Name] = true
			}
		}
	}
	return fields, true
}
