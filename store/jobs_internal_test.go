package store

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Every kind of job is known to every worker: River's leader discards jobs of
// which it has never heard, whoever works them.
func TestEveryJobIsKnown(t *testing.T) {
	t.Parallel()
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	var kinds, known []string
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), f.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl: // func (Job) Kind() string
				if n.Recv != nil && n.Name.Name == "Kind" {
					if id, ok := n.Recv.List[0].Type.(*ast.Ident); ok {
						kinds = append(kinds, id.Name)
					}
				}
			case *ast.IndexExpr: // know[Job]
				if f, ok := n.X.(*ast.Ident); ok && f.Name == "know" {
					if id, ok := n.Index.(*ast.Ident); ok {
						known = append(known, id.Name)
					}
				}
			}
			return true
		})
	}
	slices.Sort(kinds)
	slices.Sort(known)
	if diff := cmp.Diff(kinds, known); diff != "" || len(kinds) < 4 {
		t.Errorf("jobs, and those that knowAll knows (-want +got):\n%s", diff)
	}
}
