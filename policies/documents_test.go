package policies

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestJudgeDocument(t *testing.T) {
	t.Parallel()
	rules := DefaultDocumentRules()
	for _, test := range []struct {
		name     string
		findings []Finding
		warnings []Finding
		refusal  *Refusal
	}{
		{name: "nothing found"},
		{name: "an invoice with its data", findings: []Finding{{Code: FindingAttachments}, {Code: FindingLayers}}},
		{
			name:     "a form that adds up",
			findings: []Finding{{Code: FindingJavaScriptForm, Where: "field Total"}},
			warnings: []Finding{{Code: FindingJavaScriptForm, Where: "field Total"}},
		},
		{
			name: "a program", findings: []Finding{
				{Code: FindingJavaScriptForm}, {Code: FindingActionLaunch, Where: "page 3"}, {Code: FindingMedia}, {Code: FindingMedia}, {Code: FindingActionLaunch},
			},
			warnings: []Finding{{Code: FindingJavaScriptForm}},
			refusal: Refuse(DocumentUnsafe, "reason", "action_launch", "where", "page 3", "others", "media").
				From(SourceActions),
		},
		{
			name:     "a finding of a newer inspector",
			findings: []Finding{{Code: "holograms"}},
			refusal:  Refuse(DocumentUnsafe, "reason", "holograms").From(SourceLimits),
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			warnings, refusal := JudgeDocument(test.findings, rules)
			if diff := cmp.Diff(test.warnings, warnings); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.refusal, refusal); diff != "" {
				t.Errorf("refusal (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDocumentRulesWith(t *testing.T) {
	t.Parallel()
	rules := DefaultDocumentRules()
	strict, err := rules.With(map[string]string{"javascript_form": "refuse", "layers_hidden": "allow", "hybrid": "allow"})
	if err != nil {
		t.Fatalf("With: %v", err)
	}
	if got, want := strict.Verdict(FindingJavaScriptForm), VerdictRefuse; got != want {
		t.Errorf("javascript_form: got %s, want %s", got, want)
	}
	if got, want := strict.Verdict(FindingLayersHidden), VerdictAllow; got != want {
		t.Errorf("layers_hidden: got %s, want %s", got, want)
	}
	if got, want := rules.Verdict(FindingJavaScriptForm), VerdictWarn; got != want {
		t.Errorf("the rules that were changed: got %s, want %s as before", got, want)
	}
	if got, want := DocumentRules(nil).Verdict(FindingAttachments), VerdictRefuse; got != want {
		t.Errorf("no rules: got %s, want %s", got, want)
	}
	for _, wrong := range []map[string]string{{"javascripts": "allow"}, {"hybrid": "ignore"}, {"hybrid": ""}} {
		if _, err := rules.With(wrong); !errors.Is(err, ErrDocumentRule) {
			t.Errorf("With(%v): got %v, want ErrDocumentRule", wrong, err)
		}
	}
}

// An unknown verdict, which With would have refused, does not open anything.
func TestUnknownVerdictRefuses(t *testing.T) {
	t.Parallel()
	_, refusal := JudgeDocument([]Finding{{Code: FindingLayers}}, DocumentRules{FindingLayers: "perhaps"})
	if !errors.Is(refusal, Refuse(DocumentUnsafe)) {
		t.Errorf("got %v, want document_unsafe", refusal)
	}
}

// The table judges every constant of type FindingCode once, with a source.
func TestDocumentRulesTableIsComplete(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "documents.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	declared := map[string]int{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		kind, ok := spec.Type.(*ast.Ident)
		if !ok || kind.Name != "FindingCode" {
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
			declared[code]++
		}
		return true
	})
	if len(declared) < 40 {
		t.Errorf("declared codes: got %d, want all", len(declared))
	}
	judged := map[string]int{}
	for _, rule := range DocumentRulesTable() {
		judged[string(rule.Code)]++
		if rule.Source == "" {
			t.Errorf("%s: no source", rule.Code)
		}
	}
	if diff := cmp.Diff(declared, judged); diff != "" {
		t.Errorf("findings (-declared +judged):\n%s", diff)
	}
}
