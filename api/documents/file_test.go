package documents_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"io"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/rubrica-firma/rubrica/api/documents"
)

// TestFile: whichever way a document was put together, its octets and its hash
// are the same, and a hash that somebody goes on with is not the document's.
func TestFile(t *testing.T) {
	t.Parallel()
	content := make([]byte, 300_000)
	rand.Read(content)
	original, err := documents.NewFile(iotest.HalfReader(bytes.NewReader(content)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(original.Close)
	write := func(f *documents.File) error {
		if _, err := f.Write([]byte("before")); err != nil {
			return err
		}
		if err := f.Append(original); err != nil {
			return err
		}
		_, err := f.Write([]byte("behind"))
		return err
	}
	want := append(append([]byte("before"), content...), "behind"...)
	for name, take := range map[string]func(func(*documents.File) error) (*documents.File, error){
		"spooled": documents.Spool, "assembled": documents.Assemble,
	} {
		f, err := take(write)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		t.Cleanup(f.Close)
		got, err := io.ReadAll(f.Reader())
		if err != nil || !bytes.Equal(got, want) || f.Size() != int64(len(want)) {
			t.Errorf("%s: got %d other octets, %v, want %d", name, len(got), err, len(want))
		}
		for range 2 { // from the beginning, each time
			var sent bytes.Buffer
			if n, err := f.WriteTo(&sent); err != nil || n != f.Size() || !bytes.Equal(sent.Bytes(), want) {
				t.Errorf("%s: got %d octets sent, %v, want %d", name, n, err, len(want))
			}
		}
		hashed, err := f.Hashed()
		if err != nil {
			t.Fatal(err)
		}
		hashed.Write([]byte("more"))
		if sum := sha256.Sum256(append(slices.Clip(want), "more"...)); !bytes.Equal(hashed.Sum(nil), sum[:]) {
			t.Errorf("%s, gone on: got %x, want %x", name, hashed.Sum(nil), sum)
		}
		sum, err := f.SHA256()
		if whole := sha256.Sum256(want); err != nil || !bytes.Equal(sum, whole[:]) {
			t.Errorf("%s: got %x, %v, want %x", name, sum, err, whole)
		}
	}
}
