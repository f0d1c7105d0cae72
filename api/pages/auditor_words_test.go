package pages

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/api/auditing"
	"github.com/rubrica-firma/rubrica/audit"
)

// eachWords runs a test in every language of the auditors.
func eachWords(t *testing.T, test func(t *testing.T, w auditWords)) {
	t.Helper()
	p := open(t)
	for _, language := range p.options.Catalogue.StaffLanguages() {
		t.Run(language.Tag, func(t *testing.T) {
			t.Parallel()
			test(t, auditWords{p.speak(language.Tag)})
		})
	}
}

// TestEverythingInTheLogHasItsWords demands a sentence for each type of event,
// a label for each fact and words for each value of a closed list.
func TestEverythingInTheLogHasItsWords(t *testing.T) {
	t.Parallel()
	eachWords(t, func(t *testing.T, w auditWords) {
		t.Helper()
		said := make(map[string]audit.EventType)
		for _, kind := range audit.EventTypes() {
			sentence := w.event(kind)
			if sentence == string(kind) || strings.HasSuffix(sentence, ".") {
				t.Errorf("event %s: got %q, want a sentence without a full stop", kind, sentence)
			}
			if other, twice := said[sentence]; twice {
				t.Errorf("events %s and %s: got %q for both, want them told apart", kind, other, sentence)
			}
			said[sentence] = kind
			schema, known := audit.SchemaOf(kind)
			if !known {
				t.Errorf("event %s: got no schema", kind)
			}
			checkFieldWords(t, w, kind, schema.Fields)
		}
		for _, result := range auditing.Results() {
			if got := w.outcome(result); got == "" || strings.Contains(got, "audit.") {
				t.Errorf("result %s: got %q, want words", result, got)
			}
		}
	})
}

func checkFieldWords(t *testing.T, w auditWords, kind audit.EventType, fields []audit.Field) {
	t.Helper()
	for _, field := range fields {
		if !w.Has("audit.fact_" + field.Name) {
			t.Errorf("%s: fact %s has no words", kind, field.Name)
		}
		for _, value := range field.Values {
			if got := w.text(field, value); got.Text == value {
				t.Errorf("%s: %s %q has no words (audit.value_%s_%s)", kind, field.Name, value, field.Name, word(value))
			}
		}
		checkFieldWords(t, w, kind, field.Fields)
	}
}

func TestEventsAreGroupedOnce(t *testing.T) {
	t.Parallel()
	w := auditWords{open(t).speak("es")}
	seen := make(map[audit.EventType]bool)
	for _, group := range eventGroups() {
		if !w.Has("audit.group." + group.Name) {
			t.Errorf("group %s has no words", group.Name)
		}
		for _, kind := range group.Types {
			if seen[kind] {
				t.Errorf("%s: got in two groups", kind)
			}
			seen[kind] = true
		}
	}
	for _, kind := range audit.EventTypes() {
		if !seen[kind] {
			t.Errorf("%s: got in no group, want it in the search form", kind)
		}
	}
}

func TestFactsAreToldInWords(t *testing.T) {
	t.Parallel()
	w := auditWords{open(t).speak("es")}
	at := time.Date(2026, 11, 21, 11, 0, 7, 0, time.UTC)
	for _, test := range []struct {
		name  string
		kind  audit.EventType
		facts map[string]any
		want  []Fact
	}{
		{"nothing", audit.ClockTrusted, nil, nil},
		{
			"of a time, a count and a truth", audit.AuditExported,
			map[string]any{"complete": true, "checkpoint": json.Number("18250"), "format": "csv"},
			[]Fact{{Label: "Formato", Text: "CSV"}, {Label: "Intervalo completo", Text: "Sí"}, {Label: "Punto del registro", Text: "18\u202f250"}},
		},
		{
			"a refusal, with its code", audit.CertificateRefused,
			map[string]any{"reason": "registration_level"},
			[]Fact{{Label: "Motivo", Text: w.Text("refusal.registration_level.title", nil) + " (registration_level)"}},
		},
		{
			"what the schema does not know, after what it knows", audit.ClockFault,
			map[string]any{"zulu": "2026-11-21T11:00:07Z", "fault": "offset", "person": "12345678Z", "application": "app-1"},
			[]Fact{{Label: "Fallo", Text: "offset"}, {Label: "zulu", Text: "21 de noviembre de 2026 a las 12:00:07 (hora peninsular)", At: at}},
		},
		{
			"a list of objects", audit.SignDone,
			map[string]any{"documents": []any{map[string]any{"ordinal": json.Number("1"), "sha256": "7f3a91c0"}}},
			[]Fact{{Label: "Documentos", Inner: [][]Fact{{{Label: "Orden", Text: "1"}, {Label: "Huella", Text: "7F3A 91C0", Code: true}}}}},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, w.facts(test.kind, test.facts)); diff != "" {
				t.Errorf("facts (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEntryStates(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		erased, intact bool
		want           string
	}{{false, true, "intact"}, {true, true, "erased"}, {false, false, "altered"}, {true, false, "altered"}} {
		if got := entryState(auditing.Entry{Erased: test.erased, Intact: test.intact}); got != test.want {
			t.Errorf("erased %t, intact %t: got %s, want %s", test.erased, test.intact, got, test.want)
		}
	}
}

func TestHealthStates(t *testing.T) {
	t.Parallel()
	seen := auditing.CheckpointHealth{Size: 9, At: noon, Age: 2 * time.Minute}
	behind := seen
	behind.Lag = 1
	for _, test := range []struct {
		name   string
		health auditing.Health
		want   string
	}{
		{"nothing published", auditing.Health{}, "unpublished"},
		{"nothing happens", auditing.Health{Witnessed: seen}, "good"},
		{"entries wait", auditing.Health{Witnessed: behind}, "late"},
		{"suspended", auditing.Health{Witnessed: seen, Suspended: true}, "suspended"},
	} {
		view := &AuditHealth{Health: test.health}
		if got := view.State(); got != test.want || view.Tone() == "" || view.Icon() == "" {
			t.Errorf("%s: got %s (%s, %s), want %s", test.name, got, view.Tone(), view.Icon(), test.want)
		}
	}
}
