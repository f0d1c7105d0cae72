package pades_test

import (
	"crypto"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"

	"github.com/rubrica-firma/rubrica/internal/cmstest"
	"github.com/rubrica-firma/rubrica/internal/cputest"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/pades"
	"github.com/rubrica-firma/rubrica/signer/pades/stamp"
	"github.com/rubrica-firma/rubrica/signer/pdf"
)

// expectation is what a corpus says of a document.
type expectation struct{ sign, refuse bool }

// expect reads the words of a MANIFEST.tsv.
func expect(words string) (expectation, bool) {
	either := []string{"or refused", "or signed", "or repaired", "else signable"}
	switch {
	case slices.ContainsFunc(either, func(s string) bool { return strings.Contains(words, s) }):
		return expectation{sign: true, refuse: true}, true
	case strings.HasPrefix(words, "signable"):
		return expectation{sign: true}, true
	case strings.HasPrefix(words, "must be refused"):
		return expectation{refuse: true}, true
	default:
		return expectation{}, false
	}
}

// documents lists a folder with what is expected of each: by its MANIFEST.tsv,
// or that all can be signed where it has none.
func documents(t *testing.T, dir string) map[string]string {
	t.Helper()
	expected := map[string]string{}
	manifest, err := os.ReadFile(filepath.Join(dir, "MANIFEST.tsv"))
	if errors.Is(err, os.ErrNotExist) {
		paths, err := filepath.Glob(filepath.Join(dir, "*.pdf"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			expected[filepath.Base(path)] = "signable"
		}
		return expected
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := slices.Collect(strings.Lines(string(manifest)))
	column := slices.Index(strings.Split(strings.TrimSpace(lines[0]), "\t"), "expected")
	if column < 0 {
		t.Fatal("the manifest has no column \"expected\"")
	}
	for _, line := range lines[1:] {
		cells := strings.Split(strings.TrimRight(line, "\r\n"), "\t")
		if len(cells) <= column {
			t.Fatalf("short line in the manifest: %q", line)
		}
		expected[cells[0]] = cells[column]
	}
	return expected
}

// TestCorpus signs every document of a folder in every way that suits it, and
// asks pdfsig and qpdf. RUBRICA_CORPUS names the folder; testdata/pdf is the
// project's own.
func TestCorpus(t *testing.T) {
	t.Parallel()
	dir := os.Getenv("RUBRICA_CORPUS")
	if dir == "" {
		dir = filepath.Join("..", "..", "testdata", "pdf")
	}
	expected := documents(t, dir)
	if len(expected) == 0 {
		t.Fatalf("%s has no documents", dir)
	}
	s := cmstest.New(t, "p256")
	var mu sync.Mutex
	outcomes := map[string]string{}
	t.Cleanup(func() { t.Logf("%s\n%s", dir, tabulate(t, expected, outcomes)) })
	for file, words := range expected {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			outcome := try(t, s, filepath.Join(dir, file), words)
			mu.Lock()
			defer mu.Unlock()
			outcomes[file] = outcome
		})
	}
}

func tabulate(t *testing.T, expected, outcomes map[string]string) string {
	t.Helper()
	table := "document\texpected\toutcome\n"
	for _, file := range slices.Sorted(maps.Keys(outcomes)) {
		table += file + "\t" + expected[file] + "\t" + outcomes[file] + "\n"
	}
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	if _, err := io.WriteString(w, table); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// try signs a document in every way and says what came of it.
func try(t *testing.T, s *cmstest.Signer, path, words string) string {
	t.Helper()
	want, known := expect(words)
	if !known {
		t.Fatalf("the manifest expects %q, which means nothing here", words)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	done := []string{}
	refused := ""
	var before judgement // of the base
	attempt := func(name string, base []byte, o pades.Options, may expectation) []byte {
		spent := cputest.Watch(t)
		p, err := prepare(base, o)
		if took := spent(); took > bounded {
			t.Errorf("%s took %v, want at most %v", name, took, bounded)
		}
		var refusal *policies.Refusal
		switch {
		case errors.As(err, &refusal):
			if !may.refuse {
				t.Errorf("%s: got %v, want it signed", name, err)
			}
			refused = strings.TrimPrefix(refusal.Error(), "refused: ")
			return nil
		case err != nil:
			t.Errorf("%s: got %v, want a refusal", name, err)
			return nil
		case !may.sign:
			t.Errorf("%s: got it signed, want it refused", name)
			return nil
		}
		if before.verdicts == nil {
			before = judge(t, base)
		}
		out := sign(t, s, base, p, crypto.SHA256)
		before.check(t, out, sound()...)
		done = append(done, name)
		return out
	}
	first := attempt("new field", content, options(), want)
	if first == nil {
		return "refused: " + refused
	}
	either := expectation{sign: true, refuse: true}
	for name, place := range map[string]stamp.Place{"corner": stamp.BottomRight, "margin": stamp.LeftMargin} {
		o := options()
		o.Stamp = stamped(place)
		attempt(name, content, o, either)
	}
	facts, err := pades.Describe(parse(t, content))
	if err != nil {
		t.Fatal(err)
	}
	certify := expectation{sign: facts.Signatures == 0, refuse: facts.Signatures > 0 || facts.Permission < pades.Any}
	o := options()
	o.Certify = pades.FillAndSign
	attempt("certified", content, o, certify)
	for _, field := range facts.Fields {
		o := options()
		o.Field = field.Name
		if attempt("field "+field.Name, content, o, expectation{sign: true}) == nil {
			continue
		}
		if field.Page > 0 {
			o.Stamp = stamped(stamp.InField)
			attempt("stamp in "+field.Name, content, o, either)
		}
	}
	if strings.Contains(words, "into") && len(facts.Fields) == 0 {
		t.Error("no empty field was found")
	}
	unchanged(t, content, first)
	before = judgement{}
	attempt("again", first, options(), expectation{sign: true})
	slices.Sort(done)
	return "signed: " + strings.Join(done, ", ")
}

// unchanged checks that a signature leaves alone what PDF/A and forms need.
func unchanged(t *testing.T, before, after []byte) {
	t.Helper()
	was, is := parse(t, before), parse(t, after)
	_, old := was.Catalog()
	_, now := is.Catalog()
	for _, key := range old.Keys() {
		if key == "AcroForm" {
			continue
		}
		if string(pdf.Append(nil, old[key])) != string(pdf.Append(nil, now[key])) {
			t.Errorf("the catalogue's %s changed", key)
		}
	}
	oldForm, err := was.Dict(old["AcroForm"])
	if err != nil {
		t.Fatal(err)
	}
	form, err := is.Dict(now["AcroForm"])
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range oldForm.Keys() {
		if key != "Fields" && key != "SigFlags" && string(pdf.Append(nil, oldForm[key])) != string(pdf.Append(nil, form[key])) {
			t.Errorf("the form's %s changed", key)
		}
	}
	if form["NeedAppearances"] != oldForm["NeedAppearances"] {
		t.Error("NeedAppearances changed")
	}
	for _, key := range []pdf.Name{"Info", "Root"} {
		if was.Trailer()[key] != is.Trailer()[key] {
			t.Errorf("the trailer's %s changed", key)
		}
	}
}
