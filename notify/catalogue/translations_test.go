package catalogue

import (
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/nicksnyder/go-i18n/v2/i18n"
	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
)

// staffOnly are the areas, one file per language each, that only officers and
// auditors read.
func staffOnly() []string { return []string{"auditor", "auditor-entrance", "desk"} }

// forCitizens are the areas that every citizen reads in the own language.
func forCitizens(t *testing.T) []string {
	t.Helper()
	files, err := locales.ReadDir("locales")
	if err != nil {
		t.Fatalf("listing the sentences: %v", err)
	}
	var areas []string
	for _, file := range files {
		name, spanish := strings.CutSuffix("."+file.Name(), ".es.toml")
		name = strings.TrimPrefix(name, ".")
		if spanish && !slices.Contains(staffOnly(), name) {
			areas = append(areas, name)
		}
	}
	return areas
}

// area reads the messages that one file holds, by identifier.
func area(t *testing.T, name, language string) map[string]*i18n.Message {
	t.Helper()
	file := path.Join("locales", strings.TrimPrefix(name+".", ".")+language+".toml")
	content, err := locales.ReadFile(file)
	if err != nil {
		t.Fatalf("reading the sentences: %v", err)
	}
	parsed, err := i18n.ParseMessageFileBytes(content, file, map[string]i18n.UnmarshalFunc{"toml": toml.Unmarshal})
	if err != nil {
		t.Fatalf("parsing %s: %v", file, err)
	}
	messages := make(map[string]*i18n.Message, len(parsed.Messages))
	for _, m := range parsed.Messages {
		messages[m.ID] = m
	}
	return messages
}

// forms are the plural forms in which a language needs a sentence that counts:
// those that whole numbers below a million take (CLDR, Language Plural Rules).
// From a million on, Romance languages say "un millón de documentos": nobody
// signs as many.
func forms(tag language.Tag) map[plural.Form]bool {
	needed := make(map[plural.Form]bool)
	for n := range 1000 {
		needed[plural.Cardinal.MatchPlural(tag, n, 0, 0, 0, 0)] = true
	}
	return needed
}

// said gives a message's sentences by plural form; one without plural forms has
// only the last.
func said(m *i18n.Message) map[plural.Form]string {
	sentences := map[plural.Form]string{
		plural.Zero: m.Zero, plural.One: m.One, plural.Two: m.Two, plural.Few: m.Few, plural.Many: m.Many, plural.Other: m.Other,
	}
	maps.DeleteFunc(sentences, func(_ plural.Form, sentence string) bool { return sentence == "" })
	return sentences
}

// placeholders are the names in a sentence, sorted.
func placeholders(sentence string) []string {
	names := make(map[string]bool)
	for _, match := range placeholder.FindAllStringSubmatch(sentence, -1) {
		names[match[1]] = true
	}
	return slices.Sorted(maps.Keys(names))
}

func TestCitizensReadTheirLanguage(t *testing.T) {
	t.Parallel()
	for _, name := range forCitizens(t) {
		spanish := area(t, name, "es")
		for _, locale := range offered()[1:] {
			t.Run(path.Join(name, locale), func(t *testing.T) {
				t.Parallel()
				translated := area(t, name, locale)
				if diff := cmp.Diff(slices.Sorted(maps.Keys(spanish)), slices.Sorted(maps.Keys(translated))); diff != "" {
					t.Fatalf("messages (-Spanish +translation):\n%s", diff)
				}
				for id, message := range translated {
					compare(t, language.MustParse(locale), spanish[id], message)
				}
			})
		}
	}
}

func compare(t *testing.T, tag language.Tag, source, translation *i18n.Message) {
	t.Helper()
	needed := map[plural.Form]bool{plural.Other: true}
	if source.One != "" {
		needed = forms(tag)
	}
	sentences := said(translation)
	if diff := cmp.Diff(needed, present(sentences)); diff != "" {
		t.Errorf("%s: plural forms (-needed +there):\n%s", translation.ID, diff)
	}
	for form, sentence := range sentences {
		got, want := placeholders(sentence), placeholders(source.Other)
		if form != plural.Other { // "one document" may go without its number
			got, want = slices.DeleteFunc(got, counting), slices.DeleteFunc(want, counting)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: placeholders of %q (-Spanish +translation):\n%s", translation.ID, sentence, diff)
		}
		if first, last := sentence[:1], sentence[len(sentence)-1:]; first == " " || last == " " || strings.Contains(sentence, "  ") {
			t.Errorf("%s: got %q, want no blanks around or beside each other", translation.ID, sentence)
		}
		if strings.HasSuffix(source.Other, ".") != strings.HasSuffix(sentence, ".") || strings.HasSuffix(source.Other, "?") != strings.HasSuffix(sentence, "?") {
			t.Errorf("%s: got %q, want it to end as %q does", translation.ID, sentence, source.Other)
		}
	}
}

func present(sentences map[plural.Form]string) map[plural.Form]bool {
	forms := make(map[plural.Form]bool, len(sentences))
	for form := range sentences {
		forms[form] = true
	}
	return forms
}

// TestNothingIsLeftInSpanish: that a long sentence is the same in two languages
// is no accident.
func TestNothingIsLeftInSpanish(t *testing.T) {
	t.Parallel()
	const long = 45
	for _, name := range forCitizens(t) {
		spanish := area(t, name, "es")
		for _, locale := range offered()[1:] {
			for id, message := range area(t, name, locale) {
				if len(message.Other) > long && message.Other == spanish[id].Other {
					t.Errorf("%s in %s: got %q, the Spanish", id, locale, message.Other)
				}
			}
		}
	}
}

func TestStaffReadsSpanishAndEnglish(t *testing.T) {
	t.Parallel()
	c := open(t)
	for _, l := range c.StaffLanguages() {
		got := slices.Sorted(maps.Keys(c.messages[language.MustParse(l.Tag)]))
		if diff := cmp.Diff(c.IDs(), got); diff != "" {
			t.Errorf("messages of %s (-source +translation):\n%s", l.Tag, diff)
		}
	}
	for wanted, want := range map[string]string{"en": "en", "ca": "es", "eu, en;q=0.5": "es", "": "es"} {
		if got := c.ForStaff(wanted).Locale(); got != want {
			t.Errorf("ForStaff(%q): got %s, want %s", wanted, got, want)
		}
	}
}

// TestAVarietySpeaksItsLanguage: Valencian first, then Catalan, then Spanish.
func TestAVarietySpeaksItsLanguage(t *testing.T) {
	t.Parallel()
	c := open(t)
	catalan := language.Catalan
	for tag, sentences := range map[language.Tag][]*i18n.Message{
		source:  {{ID: "first", Other: "primero"}, {ID: "newest", Other: "novísimo"}, {ID: "many", Other: "{{.count}} cosas"}},
		catalan: {{ID: "first", Other: "primer"}, {ID: "many", One: "{{.count}} cosa", Other: "{{.count}} coses"}},
	} {
		if err := c.bundles[tag].AddMessages(tag, sentences...); err != nil {
			t.Fatalf("adding messages: %v", err)
		}
		for _, m := range sentences {
			described, err := describe(m)
			if err != nil {
				t.Fatal(err)
			}
			c.messages[tag][m.ID] = described
		}
	}
	valencian := c.For("ca-valencia")
	for _, test := range []struct {
		id     string
		params map[string]any
		want   string
	}{
		{"language.name", nil, "Valencià"},
		{"first", nil, "primer"},
		{"newest", nil, "novísimo"},
		{"many", map[string]any{"count": 1}, "1 cosa"},
		{"many", map[string]any{"count": 2}, "2 coses"},
		{"time.hours", map[string]any{"number": 1}, "1 hora"},
		{"time.hours", map[string]any{"number": 3}, "3 hores"},
	} {
		if got := valencian.Text(test.id, test.params); got != test.want {
			t.Errorf("%s in Valencian: got %q, want %q", test.id, got, test.want)
		}
	}
}
