package audit

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Term is what entries are found by, beside operation, person, type and time.
type Term struct {
	Kind, Value string
}

// Terms are the search terms of a payload as it is stored, each once, in the
// order of kinds and values. It reads what any version has written: what a
// schema does not know says nothing.
func Terms(kind EventType, payload []byte) ([]Term, error) {
	schema, known := SchemaOf(kind)
	if !known || !schema.searchable() {
		return nil, nil
	}
	var values map[string]any
	if err := json.Unmarshal(payload, &values); err != nil {
		return nil, fmt.Errorf("reading the terms of %s: %w", kind, err)
	}
	return schema.terms(values), nil
}

func (s Schema) searchable() bool {
	return slices.ContainsFunc(s.Fields, Field.searchable)
}

func (f Field) searchable() bool {
	return f.Term != "" || slices.ContainsFunc(f.Fields, Field.searchable)
}

func (s Schema) terms(values map[string]any) []Term {
	terms := collectTerms(nil, s.Fields, values)
	slices.SortFunc(terms, func(a, b Term) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Value, b.Value)) })
	return slices.Compact(terms)
}

func collectTerms(terms []Term, fields []Field, values map[string]any) []Term {
	for _, f := range fields {
		switch v := values[f.Name].(type) {
		case string:
			if f.Term == TermReason {
				// Older versions wrote some with a detail behind a colon.
				v, _, _ = strings.Cut(v, ":")
			}
			if f.Term != "" && v != "" {
				terms = append(terms, Term{f.Term, v})
			}
		case map[string]any:
			terms = collectTerms(terms, f.Fields, v)
		case []any:
			for _, one := range v {
				if object, ok := one.(map[string]any); ok {
					terms = collectTerms(terms, f.Fields, object)
				}
			}
		}
	}
	return terms
}
