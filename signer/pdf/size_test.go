package pdf_test

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"testing"

	"github.com/rubrica-firma/rubrica/internal/cputest"
	"github.com/rubrica-firma/rubrica/signer/pdf"
)

// generated is content without end that nobody holds.
type generated struct{ read *int64 }

func (g generated) ReadAt(b []byte, at int64) (int, error) {
	*g.read += int64(len(b))
	for i := range b {
		b[i] = "0 1 obj (x) endobj\n"[(at+int64(i))%19]
	}
	return len(b), nil
}

// large is a document with a stream of a size, and how much of it was read.
func large(size int64) (file *io.SectionReader, read *int64) {
	head := "%PDF-1.7\n1 0 obj\n" + catalog + "\nendobj\n2 0 obj\n" + pages + "\nendobj\n3 0 obj\n" +
		"<</Type/Page/Parent 2 0 R/Contents 4 0 R>>\nendobj\n"
	object := len(head)
	head += fmt.Sprintf("4 0 obj\n<</Length %d>>\nstream\n", size)
	tail := "\nendstream\nendobj\n"
	start := int64(len(head)+len(tail)) + size
	tail += fmt.Sprintf("xref\n0 5\n0000000000 65535 f \n%010d 00000 n \n%010d 00000 n \n%010d 00000 n \n%010d 00000 n \n"+
		"trailer\n<</Size 5/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n",
		bytes.Index([]byte(head), []byte("1 0 obj")), bytes.Index([]byte(head), []byte("2 0 obj")),
		bytes.Index([]byte(head), []byte("3 0 obj")), object, start)
	read = new(int64)
	return pdf.Join(pdf.Octets([]byte(head)), pdf.Part{Reader: generated{read}, Size: size}, pdf.Octets([]byte(tail))), read
}

// TestLarge reads and updates a document of 150 MB, which is never held.
func TestLarge(t *testing.T) { // not parallel: it measures memory
	const size = 150 << 20
	file, read := large(size)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	spent := cputest.Watch(t)
	f, err := pdf.Open(file, file.Size())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Pages(); err != nil {
		t.Fatal(err)
	}
	update, err := markOf(f)
	if err != nil {
		t.Fatal(err)
	}
	if f, err = f.Append(update); err != nil {
		t.Fatal(err)
	}
	if got := len(f.Revisions()); got != 2 {
		t.Errorf("got %d revisions, want 2", got)
	}
	if *read > 1<<20 {
		t.Errorf("read %d octets of the stream, want next to none", *read)
	}
	if orphans, err := f.Orphans(); err != nil || len(orphans) > 0 {
		t.Errorf("got orphans %v %v, want none", orphans, err)
	}
	s, err := f.Stream(pdf.Ref{Number: 4})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, f.Raw(s)); err != nil || n != size {
		t.Errorf("got %d octets %v, want %d", n, err, size)
	}
	runtime.ReadMemStats(&after)
	// All that was ever allocated, freed or not.
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 16<<20 {
		t.Errorf("allocated %d octets", grown)
	}
	if took := spent(); took > bounded {
		t.Errorf("took %v", took)
	}
}

// TestSparse opens a cross-reference that spreads its entries over all numbers.
func TestSparse(t *testing.T) { // not parallel: it measures memory
	b := newBuilder("1.7")
	objects := map[int]pdf.Object{1: pdf.Dict{"Type": pdf.Name("Catalog")}}
	b.revision(t, plainStyle, objects)
	places := map[int]place{}
	for number := 100; number < 4_000_000; number += 64 {
		places[number] = place{1, 99, 0}
	}
	b.xrefStream(t, style{xref: "stream", eol: "\n", deflated: true}, places, b.trailer(pdf.Dict{}))
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	f := open(t, b.buf.Bytes())
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 160<<20 {
		t.Errorf("holds %d octets", grown)
	}
	count := 0
	for range f.Objects() {
		count++
	}
	if want := len(places) + 1; count != want {
		t.Errorf("got %d objects, want %d", count, want)
	}
}

// manyPages is a document of pages in object streams.
func manyPages(tb testing.TB, count int) []byte {
	tb.Helper()
	b := newBuilder("1.7")
	kids := pdf.Array{}
	objects := map[int]pdf.Object{1: pdf.Dict{"Type": pdf.Name("Catalog"), "Pages": pdf.Ref{Number: 2}}}
	for i := range count {
		kids = append(kids, pdf.Ref{Number: 3 + 2*i})
		objects[3+2*i] = pdf.Dict{"Type": pdf.Name("Page"), "Parent": pdf.Ref{Number: 2}, "Contents": pdf.Ref{Number: 4 + 2*i}}
		objects[4+2*i] = flow{pdf.Dict{}, []byte("0 0 m 9 9 l S")}
	}
	objects[2] = pdf.Dict{"Type": pdf.Name("Pages"), "Kids": kids, "Count": int64(count)}
	b.revision(tb, style{xref: "stream", eol: "\n", packed: true, deflated: true}, objects)
	return b.buf.Bytes()
}

// BenchmarkOpen opens documents of few and of many pages, which should cost no
// more than their cross-references do, and walks them.
func BenchmarkOpen(b *testing.B) {
	for _, count := range []int{1, 352, 1000} {
		content := manyPages(b, count)
		b.Run(fmt.Sprintf("%d pages", count), func(b *testing.B) {
			for b.Loop() {
				f := open(b, content)
				if _, err := markOf(f); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("%d pages, walked", count), func(b *testing.B) {
			for b.Loop() {
				if list, err := open(b, content).Pages(); err != nil || len(list) != count {
					b.Fatal(err)
				}
			}
		})
	}
}
