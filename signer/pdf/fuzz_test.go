package pdf_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/rubrica-firma/rubrica/internal/cputest"
	"github.com/rubrica-firma/rubrica/signer/pdf"
)

// FuzzOpen reads whatever it is given: without panics, in bounded time; and
// what it can update keeps its octets and reads as before.
func FuzzOpen(f *testing.F) {
	paths, err := filepath.Glob(filepath.Join("..", "..", "testdata", "pdf", "*.pdf"))
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		if len(content) < 32<<10 {
			f.Add(content)
		}
	}
	for _, s := range []style{
		plainStyle,
		{xref: "stream", eol: "\r\n", packed: true, deflated: true, predictor: true},
		{xref: "stream", eol: "\n", packed: true},
		{xref: "hybrid", eol: "\n", entryEnd: "\r\n", packed: true},
	} {
		f.Add(onePage(f, s))
	}
	f.Add([]byte(classic("/Prev 0", catalog, pages, page, "<</Length 5 0 R/Filter/LZWDecode>>\nstream\n\x80\x0b\x60\x50\x22\x0c\x0c\x85\x01\nendstream", "9")))
	f.Fuzz(func(t *testing.T, content []byte) {
		spent := cputest.Watch(t)
		checkAny(t, content)
		if took := spent(); took > bounded {
			t.Errorf("took %v, want at most %v", took, bounded)
		}
	})
}

func checkAny(t *testing.T, content []byte) {
	t.Helper()
	f, err := pdf.Open(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		if !refused(err) {
			t.Errorf("got %v, want a refusal", err)
		}
		return
	}
	for _, err := range []error{walk(f), rest(f)} {
		if err != nil && !refused(err) {
			t.Errorf("got %v, want a refusal", err)
		}
	}
	update, err := markOf(f)
	if err != nil {
		if !refused(err) {
			t.Errorf("updating: got %v, want a refusal", err)
		}
		return
	}
	after, err := f.Append(update)
	if err != nil {
		t.Fatalf("reading the result: %v", err)
	}
	_, catalog := f.Catalog()
	for ref := range f.Objects() {
		// The catalogue is what changed, whatever leads to it.
		old, errOld := f.Resolve(ref)
		now, errNow := after.Resolve(ref)
		if errOld != nil || errNow != nil || bytes.Equal(pdf.Append(nil, old), pdf.Append(nil, catalog)) {
			continue
		}
		if !bytes.Equal(pdf.Append(nil, old), pdf.Append(nil, now)) {
			t.Fatalf("object %v: got %v, want %v", ref, now, old)
		}
	}
	prefix := make([]byte, len(content))
	if _, err := after.Reader().ReadAt(prefix, 0); err != nil || !bytes.Equal(prefix, content) {
		t.Fatalf("the original octets changed: %v", err)
	}
}

// walk resolves everything and undoes every filter.
func walk(f *pdf.File) error {
	var last error
	for ref := range f.Objects() {
		o, err := f.Resolve(ref)
		if err != nil {
			last = err
			continue
		}
		s, ok := o.(*pdf.Stream)
		if !ok {
			continue
		}
		data, err := f.Data(s, 1<<20)
		if err != nil {
			last = err
		}
		for range pdf.Operators(data) {
			continue
		}
	}
	return last
}

func rest(f *pdf.File) error {
	f.Irregularities()
	f.Linearized()
	f.Hybrid()
	f.Version()
	var last error
	keep := func(err error) {
		if err != nil {
			last = err
		}
	}
	_, err := f.Pages()
	keep(err)
	_, _, err = f.Page(-1)
	keep(err)
	_, err = f.Orphans()
	keep(err)
	root, _ := f.Catalog()
	_, _, _, err = f.Locate(root, "Type")
	keep(err)
	for _, revision := range f.Revisions() {
		_, err := f.At(revision)
		keep(err)
		_, err = f.Changed(revision)
		keep(err)
	}
	return last
}

// FuzzParse reads whatever it is given; what it reads, it writes and reads
// again the same.
func FuzzParse(f *testing.F) {
	f.Add([]byte("<</A[1 0 R(x\\n)<41>/N#20 true null -1.50]>>"))
	f.Add([]byte("q BI/W 1 ID x EI [(a)]TJ"))
	f.Fuzz(func(t *testing.T, text []byte) {
		for range pdf.Operators(text) {
			continue
		}
		o, n, err := pdf.Parse(text)
		if err != nil {
			return
		}
		written := pdf.Append(nil, o)
		again, _, err := pdf.Parse(written)
		if err != nil || n > len(text) || !bytes.Equal(pdf.Append(nil, again), written) {
			t.Errorf("%q: got %v %v, want %v", text, again, err, o)
		}
	})
}
