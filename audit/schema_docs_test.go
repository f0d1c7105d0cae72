package audit

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write docs/log-events.md anew")

// docs/log-events.md is what the schemas say.
func TestDocs(t *testing.T) {
	t.Parallel()
	const name = "../docs/log-events.md"
	want := eventsPage()
	if *update {
		if err := os.WriteFile(name, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s is not what the schemas say; go test ./audit -run TestDocs -update writes it (-want +got):\n%s", name, diff)
	}
}

const eventsIntroduction = `# Events of the signature log

Written by ` + "`go test ./audit -run TestDocs -update`" + ` from the schemas in ` + "`audit/schema_*.go`" + `; do not edit.

The list is closed: an entry of another type, with a field that its type does not have, without one that it must have, or with
one of another kind is refused when it is appended. A type and a field once written keep their meaning: what older versions
wrote stays readable (*former*).

The leaf of an entry, which is public, holds type, operation, time and a commitment. The payload holds the facts below, and
` + "`person`" + ` (DNI or NIE) where the entry is about somebody; it is canonical JSON (RFC 8785). No password, PIN, one-time code,
activation code, token or anything by which one could be guessed has a field; telephones and mail addresses are masked.

Kinds: *string*; *integer* (whole, below 2^53); *boolean*; *time* (RFC 3339) and *date*; *hex* (lower case); *phone* and *mail*
(masked: ` + "`··· ··· 421`, `a···@example.es`" + `); *words* (an object of strings under any names); *object* and *list of objects*, whose
fields stand under them.

In the tables each event comes with its class of outcome, if it is one, and its fields follow it.

Entries are searched by type, time, operation and person, and by these terms:

| Term | What it is |
|---|---|
| application | client id |
| certificate | serial number, lower-case hexadecimal, no leading zeros |
| document | SHA-256 of the document as it came and as the citizen saw it, lower-case hexadecimal; of an intent and its signatures also the digest of what is signed |
| reason | stable code of a refusal (package policies) |
| citizen | DNI or NIE of whom an auditor asked about |
`

func eventsPage() []byte {
	var page bytes.Buffer
	page.WriteString(eventsIntroduction)
	for _, house := range Houses() {
		fmt.Fprintf(&page, "\n## %s\n\n%s\n\n| Event, field | Kind | | Term | What it means |\n|---|---|---|---|---|\n", house.Name, house.Means)
		for _, s := range house.Schemas {
			fmt.Fprintf(&page, "| **`%s`** | | %s | | **%s** |\n", s.Type, s.Result, s.Means)
			writeFields(&page, "", s.Fields)
		}
	}
	intent, _ := SchemaOf(SignAuthorised)
	example, err := json.MarshalIndent(intent.Example(), "", "  ")
	if err != nil {
		panic(err)
	}
	fmt.Fprintf(&page, "\n## Example\n\nThe least that a `%s` may say:\n\n```json\n%s\n```\n", SignAuthorised, example)
	return page.Bytes()
}

func writeFields(page *bytes.Buffer, under string, fields []Field) {
	for _, f := range fields {
		fmt.Fprintf(page, "| `%s%s` | %s | %s | %s | %s |\n", under, f.Name, kindWords(f), need(f), f.Term, strings.ReplaceAll(meaning(f), "|", `\|`))
		below := f.Name + "."
		if f.Kind == KindList {
			below = f.Name + "[]."
		}
		writeFields(page, under+below, f.Fields)
	}
}

func kindWords(f Field) string {
	switch {
	case f.Kind != KindList:
		return string(f.Kind)
	case f.Each == "":
		return "list of objects"
	default:
		return "list of " + string(f.Each)
	}
}

func meaning(f Field) string {
	if f.Values == nil {
		return f.Means
	}
	return f.Means + ": `" + strings.Join(f.Values, "`, `") + "`"
}

func need(f Field) string {
	switch {
	case f.Former:
		return "former"
	case f.Optional:
		return "optional"
	default:
		return "required"
	}
}
