package policies

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRefusal(t *testing.T) {
	t.Parallel()
	r := Refuse(RegistrationTooOld, "since", "2020-01-01", "years", "5").From(SourceRenewal).After(time.Minute)
	want := &Refusal{
		Code: RegistrationTooOld, Source: SourceRenewal,
		Params: map[string]string{"since": "2020-01-01", "years": "5"}, RetryAfter: time.Minute,
	}
	if diff := cmp.Diff(want, r); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := fmt.Errorf("asking: %w", r); !errors.Is(err, Refuse(RegistrationTooOld)) || errors.Is(err, Refuse(RegistrationLevel)) {
		t.Errorf("errors.Is goes by another thing than the code")
	}
	if got, want := Refuse(CodeWrong).Error(), "refused: code_wrong"; got != want {
		t.Errorf("Error: got %q, want %q", got, want)
	}
}

// Codes lists every constant of type Code once.
func TestCodesIsComplete(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "refusal.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	declared := map[Code]int{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if kind, ok := spec.Type.(*ast.Ident); !ok || kind.Name != "Code" {
			return true
		}
		for _, value := range spec.Values {
			literal, ok := value.(*ast.BasicLit)
			if !ok {
				t.Fatalf("a code that is no literal: %v", value)
			}
			code, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Fatal(err)
			}
			declared[Code(code)]++
		}
		return true
	})
	listed := map[Code]int{}
	for _, code := range Codes() {
		listed[code]++
	}
	if len(declared) < 50 {
		t.Errorf("declared codes: got %d, want all", len(declared))
	}
	if diff := cmp.Diff(declared, listed); diff != "" {
		t.Errorf("codes (-declared +listed):\n%s", diff)
	}
}
