package pages

import (
	"slices"
	"strings"
	"testing"
)

// TestInputsSayWhatTheyAreFor: browsers and password managers fill what the
// reader has typed elsewhere, and telephones show the right keys (WCAG 2.2,
// 1.3.5). What staff type is about other people, and is never filled in.
func TestInputsSayWhatTheyAreFor(t *testing.T) {
	t.Parallel()
	type purpose struct{ kind, autocomplete, mode string }
	purposes := map[string]purpose{
		FieldIdentifier:    {"text", "username", ""},
		FieldPassword:      {"password", "current-password", ""},
		FieldPasswordNow:   {"password", "current-password", ""},
		FieldPasswordNew:   {"password", "new-password", ""},
		FieldPasswordAgain: {"password", "new-password", ""},
		FieldOperationsKey: {"password", "current-password", ""},
		FieldCode:          {"text", "one-time-code", "numeric"},
		FieldPIN:           {"text", "one-time-code", "numeric"},
		FieldEmail:         {"email", "email", "email"},
		FieldContactEmail:  {"email", "email", "email"},
		FieldNewEmail:      {"email", "email", "email"},
		FieldMobile:        {"tel", "tel", "tel"},
		// No token of the list says these.
		FieldActivationCode: {"text", "off", ""},
		FieldAccessKey:      {"text", "off", ""},
		FieldCSV:            {"text", "off", ""},
		FieldDocumentUntil:  {"text", "off", ""},
		FieldIBAN:           {"text", "off", ""},
		FieldCard:           {"text", "off", "numeric"},
		FieldCardPIN:        {"password", "off", "numeric"},
		FieldPlace:          {"text", "off", ""},
		FieldFrom:           {"text", "off", ""},
		FieldTo:             {"text", "off", ""},
	}
	seen := make(map[string]bool)
	eachSpanish(t, func(sample Sample, drawn page) {
		for _, input := range drawn.elements("input") {
			name, _ := attribute(input, "name")
			var got purpose
			got.kind, _ = attribute(input, "type")
			got.autocomplete, _ = attribute(input, "autocomplete")
			got.mode, _ = attribute(input, "inputmode")
			want, known := purposes[name]
			seen[name] = true
			switch staff := strings.HasPrefix(sample.Name, "desk-") || strings.HasPrefix(sample.Name, "auditor-"); {
			case slices.Contains([]string{"hidden", "radio", "checkbox", "date", "time", "file"}, got.kind):
			case known && got != want:
				t.Errorf("%s/%s, field %s: got %v, want %v", sample.Name, sample.State, name, got, want)
			case staff && got.autocomplete != "off":
				t.Errorf("%s/%s, field %s: got autocomplete %q, want off", sample.Name, sample.State, name, got.autocomplete)
			case !known && !staff && sample.Name != "components":
				t.Errorf("%s/%s, field %s: want it in the table of this test", sample.Name, sample.State, name)
			}
		}
	})
	for name := range purposes {
		if !seen[name] {
			t.Errorf("field %s: got it on no page, want it on one", name)
		}
	}
}

// TestTitlesTellPagesApart: the title says which page of which procedure this
// is (WCAG 2.2, 2.4.2), and parts in another language say so (3.1.2).
func TestTitlesTellPagesApart(t *testing.T) {
	t.Parallel()
	// The same step of ways that never meet.
	same := map[string]string{"affair-code": "change-code", "my-code": "change-code", "link-followed": "changed", "link": "change-password"}
	pages := make(map[string]string)
	eachSpanish(t, func(sample Sample, drawn page) {
		if strings.HasPrefix(sample.Name, "desk-") || strings.HasPrefix(sample.Name, "auditor-") {
			return // where titles are names of people
		}
		name := sample.Name
		if other := same[name]; other != "" {
			name = other
		}
		heading := text(drawn.elements("h1")[0])
		if other := pages[heading]; other != "" && other != name {
			t.Errorf("%q: got it on %s and %s, want it on one", heading, other, name)
		}
		pages[heading] = name
		if title := text(drawn.elements("title")[0]); !strings.Contains(title, heading) {
			t.Errorf("%s/%s: got title %q, want %q in it", sample.Name, sample.State, title, heading)
		}
		for _, link := range drawn.elements("a") {
			if to, is := attribute(link, "hreflang"); is {
				if lang, _ := attribute(link, "lang"); lang != to {
					t.Errorf("%s/%s: got a link to %q with its name in %q, want the same", sample.Name, sample.State, to, lang)
				}
			}
		}
	})
}

// eachSpanish draws every view in every state in Spanish: what is asked of the
// markup does not depend on the language.
func eachSpanish(t *testing.T, test func(Sample, page)) {
	t.Helper()
	p := open(t)
	samples := p.Samples(noon)
	for _, sample := range append(samples, Sample{Name: "components", View: p.components(noon, samples)}) {
		test(sample, draw(t, p, "es", sample.View))
	}
}
