package pdf_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/internal/cputest"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/pdf"
)

// bounded is how much of the processor's time reading any document may take: what is
// not bounded takes hours.
const bounded = 2 * time.Second

// TestDocuments updates every document of testdata/pdf, and every one that
// MANIFEST.tsv calls signable in the directory that RUBRICA_CORPUS names, and
// asks qpdf and poppler. Those that MANIFEST.tsv wants refused for their
// structure have to be.
func TestDocuments(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob(filepath.Join("..", "..", "testdata", "pdf", "*.pdf"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("testdata/pdf has no documents: %v", err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			checkDocument(t, path, true)
		})
	}
	dir := os.Getenv("RUBRICA_CORPUS")
	if dir == "" {
		return
	}
	for name, expected := range manifest(t, filepath.Join(dir, "MANIFEST.tsv")) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// Whether a certified or locked document may be signed is not a question of structure.
			structural := strings.HasPrefix(name, "bad-") || strings.HasPrefix(name, "enc-")
			checkDocument(t, filepath.Join(dir, name), !structural && expected != "")
		})
	}
}

func manifest(t *testing.T, path string) map[string]string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r := csv.NewReader(bytes.NewReader(content))
	r.Comma, r.LazyQuotes, r.FieldsPerRecord = '\t', true, -1
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	expected := map[string]string{}
	for _, row := range rows[1:] {
		expected[row[0]] = row[5]
	}
	return expected
}

func checkDocument(t *testing.T, path string, good bool) {
	t.Helper()
	original, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	spent := cputest.Watch(t)
	err = read(bytes.NewReader(original), int64(len(original)))
	if took := spent(); took > bounded {
		t.Errorf("took %v, want at most %v", took, bounded)
	}
	if err != nil {
		if !refused(err) {
			t.Errorf("got %v, want a refusal", err)
		}
		if good {
			t.Errorf("refused: %v", err)
		}
		t.Logf("%v", err)
		return
	}
	if strings.Contains(path, "bad-") && !strings.Contains(path, "count") || strings.Contains(path, "enc-") {
		t.Error("not refused")
	}
	content := original
	for range 2 {
		content = append(bytes.Clone(content), mark(t, content)...)
	}
	askOthers(t, original, content)
}

func refused(err error) bool {
	refusal := (*policies.Refusal)(nil)
	return errors.As(err, &refusal)
}

// read opens a document and reads everything in it.
func read(r *bytes.Reader, size int64) error {
	f, err := pdf.Open(r, size)
	if err != nil {
		return err
	}
	if _, err := f.Pages(); err != nil {
		return err
	}
	for ref := range f.Objects() {
		// What nothing refers to may be wrong without any harm.
		if _, err := f.Resolve(ref); err != nil && !refused(err) {
			return err
		}
	}
	f.Irregularities()
	if _, err := f.Orphans(); err != nil {
		return err
	}
	for _, revision := range f.Revisions() {
		if _, err := f.At(revision); err != nil {
			return err
		}
		if _, err := f.Changed(revision); err != nil {
			return err
		}
	}
	return nil
}

// mark gives an update that adds an object to the catalogue, and checks that
// the result reads as it should.
func mark(t *testing.T, content []byte) []byte {
	t.Helper()
	f := open(t, content)
	u := f.NewUpdate()
	root, catalog := f.Catalog()
	catalog = catalog.Clone()
	raw := &pdf.Raw{Bytes: []byte("(0000)")}
	added := u.Add(pdf.Dict{"Place": raw})
	catalog["RubricaMark"] = added
	catalog["RubricaStream"] = u.AddStream(pdf.Dict{"Type": pdf.Name("Test")}, []byte("data"))
	u.Set(root, catalog)
	update, err := u.Bytes()
	if err != nil {
		t.Fatalf("updating: %v", err)
	}
	after, err := f.Append(update)
	if err != nil {
		t.Fatalf("reading the result: %v", err)
	}
	if got := string(append(bytes.Clone(content), update...)[raw.At:][:6]); got != "(0000)" {
		t.Errorf("got %q at Raw.At, want the placeholder", got)
	}
	start, end, ok, err := after.Locate(added, "Place")
	if err != nil || !ok || start != raw.At || end != raw.At+6 {
		t.Errorf("Locate: got %d %d %v %v, want %d", start, end, ok, err, raw.At)
	}
	for ref := range f.Objects() {
		if ref == root {
			continue
		}
		old, errOld := f.Resolve(ref)
		now, errNow := after.Resolve(ref)
		if (errOld == nil) != (errNow == nil) || !bytes.Equal(pdf.Append(nil, old), pdf.Append(nil, now)) {
			t.Fatalf("object %v: got %v %v, want %v %v", ref, now, errNow, old, errOld)
		}
	}
	revisions := after.Revisions()
	if got, want := len(revisions), len(f.Revisions())+1; got != want {
		t.Errorf("got %d revisions, want %d", got, want)
	}
	return update
}

func open(tb testing.TB, content []byte) *pdf.File {
	tb.Helper()
	f, err := pdf.Open(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		tb.Fatalf("Open: %v", err)
	}
	return f
}

// askOthers wants qpdf and poppler to think no worse of the result than of the
// original.
func askOthers(t *testing.T, original, result []byte) {
	t.Helper()
	for _, tool := range [][]string{{"qpdf", "--check"}, {"pdfinfo"}} {
		before, outBefore := ask(t, tool, original)
		after, outAfter := ask(t, tool, result)
		if after > before {
			t.Errorf("%s: got status %d for the result, %d for the original\n%s\n%s", tool[0], after, before, outAfter, outBefore)
		}
		if a, b := warnings(outAfter), warnings(outBefore); a > b {
			t.Errorf("%s: got %d complaints about the result, %d about the original\n%s", tool[0], a, b, outAfter)
		}
	}
}

func warnings(out string) int {
	out = strings.ToLower(out)
	return strings.Count(out, "warning") + strings.Count(out, "error")
}

func ask(t *testing.T, tool []string, content []byte) (int, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "document.pdf")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), tool[0], append(slices.Clone(tool[1:]), path)...).CombinedOutput()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return exit.ExitCode(), string(out)
	}
	if err != nil {
		t.Fatalf("%s: %v", tool[0], err)
	}
	return 0, string(out)
}
