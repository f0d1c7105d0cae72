package ca

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The tables of docs/profiles.md say what the profiles do: the same subject
// and extensions, in their order, with their criticality.
func TestDocumentedProfiles(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/profiles.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range Kinds() {
		_, section, found := strings.Cut(string(text), "\n## "+k.Name+"\n")
		if !found {
			t.Errorf("no section about %s", k.Name)
			continue
		}
		section, _, _ = strings.Cut(section, "\n## ")
		var wantSubject, wantExtensions [][]string
		for _, a := range k.Subject {
			wantSubject = append(wantSubject, []string{a.Name, a.OID})
		}
		for _, e := range k.Extensions {
			wantExtensions = append(wantExtensions, []string{e.Name, e.OID, map[bool]string{true: "yes", false: "no"}[e.Critical]})
		}
		if diff := cmp.Diff(wantSubject, table(section, "Subject", 2)); diff != "" {
			t.Errorf("subject of %s (-profile +documented):\n%s", k.Name, diff)
		}
		if diff := cmp.Diff(wantExtensions, table(section, "Extension", 3)); diff != "" {
			t.Errorf("extensions of %s (-profile +documented):\n%s", k.Name, diff)
		}
	}
}

// table reads the first columns of the table with that heading.
func table(section, heading string, columns int) [][]string {
	_, rows, found := strings.Cut(section, "| "+heading+" |")
	if !found {
		return nil
	}
	var out [][]string
	for i, line := range strings.Split(rows, "\n") {
		if i > 0 && !strings.HasPrefix(line, "|") {
			break
		}
		if i < 2 { // the rest of the heading, and the rule below it
			continue
		}
		var cells []string
		for cell := range strings.SplitSeq(strings.Trim(line, "|"), "|") {
			cells = append(cells, strings.TrimSpace(cell))
		}
		out = append(out, cells[:min(columns, len(cells))])
	}
	return out
}
