package pades_test

import (
	"bytes"
	"crypto"
	"errors"
	"io"
	"runtime"
	"testing"

	"pgregory.net/rapid"

	"github.com/rubrica-firma/rubrica/internal/cmstest"
	"github.com/rubrica-firma/rubrica/internal/cputest"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/pades"
	"github.com/rubrica-firma/rubrica/signer/pades/stamp"
	"github.com/rubrica-firma/rubrica/signer/pdf"
)

// FuzzPrepare: any octets give an update or a refusal, in bounded time; what is
// updated reads as it did, with one signature more.
func FuzzPrepare(f *testing.F) {
	const widget = "/FT/Sig /Type/Annot /Subtype/Widget /Rect[10 10 300 90] /P 3 0 R"
	f.Add(build("", catalog, pages, page), "", true)
	f.Add(withForm("/Fields[4 0 R]", "<</T(b) "+widget+">>"), "b", true)
	f.Add(withForm("/Fields[4 0 R]", "<</T(a) /Kids[5 0 R]>>", "<</T(b) /Lock<</Action/All>> "+widget+">>"), "a.b", false)
	f.Add(testdata(f, "pdf-lib.pdf"), "", true)
	f.Fuzz(func(t *testing.T, content []byte, field string, visible bool) {
		spent := cputest.Watch(t)
		o := pades.Options{Field: field, Time: prepared, Hole: 512}
		if visible {
			o.Stamp = stamped(stamp.TopLeft)
		}
		if visible && field != "" {
			o.Stamp.Place = stamp.InField
		}
		p, err := prepare(content, o)
		if took := spent(); took > bounded {
			t.Errorf("took %v", took)
		}
		var refusal *policies.Refusal
		if err != nil {
			if !errors.As(err, &refusal) && !errors.Is(err, pades.ErrOptions) {
				t.Errorf("untyped error %v", err)
			}
			return
		}
		whole := append(bytes.Clone(content), p.Update...)
		after, err := pdf.Open(bytes.NewReader(whole), int64(len(whole)))
		if err != nil {
			t.Fatalf("the result cannot be read: %v", err)
		}
		signatures, err := pades.Signatures(after)
		if err != nil {
			t.Fatalf("the signatures of the result cannot be read: %v", err)
		}
		for _, s := range signatures {
			if s.Field == p.Field && s.ByteRange == p.Layout.ByteRange() && s.Whole {
				return
			}
		}
		t.Errorf("no whole signature in %s", p.Field)
	})
}

// FuzzSignatures: whatever a document says, it is read in bounded time.
func FuzzSignatures(f *testing.F) {
	p, err := prepare(build("", catalog, pages, page), pades.Options{Hole: 64, Time: prepared})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(append(build("", catalog, pages, page), p.Update...))
	f.Add(build("", "<</Type/Catalog /Pages 2 0 R /DSS<</Certs[4 0 R] /VRI<</A<</Cert[4 0 R]>>>>>>>>", pages, page,
		"<</Length 2>>stream\n0\x00\nendstream"))
	f.Fuzz(func(t *testing.T, content []byte) {
		spent := cputest.Watch(t)
		file, err := pdf.Open(bytes.NewReader(content), int64(len(content)))
		if err != nil {
			return
		}
		var refusal *policies.Refusal
		all, err := pades.Signatures(file)
		if err != nil && !errors.As(err, &refusal) {
			t.Errorf("untyped error %v", err)
		}
		for _, s := range all {
			if _, err := pades.LevelOf(file, s, all); err != nil && !errors.As(err, &refusal) {
				t.Errorf("untyped error %v", err)
			}
		}
		if _, err := pades.DSS(file); err != nil && !errors.As(err, &refusal) {
			t.Errorf("untyped error %v", err)
		}
		if took := spent(); took > bounded {
			t.Errorf("took %v", took)
		}
	})
}

// TestMutatedDocuments prepares documents with a few octets changed: like the
// fuzz test, on every run.
func TestMutatedDocuments(t *testing.T) {
	t.Parallel()
	content := testdata(t, "pdf-lib-form.pdf")
	signable := 0
	rapid.Check(t, func(t *rapid.T) {
		mutant := bytes.Clone(content)
		for range rapid.IntRange(1, 4).Draw(t, "changes") {
			mutant[rapid.IntRange(0, len(mutant)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "octet")
		}
		p, err := prepare(mutant, options())
		if err != nil {
			if _, ok := errors.AsType[*policies.Refusal](err); !ok {
				t.Errorf("untyped error %v", err)
			}
			return
		}
		signable++
		if _, err := p.Layout.Digest(bytes.NewReader(mutant), p.Update, crypto.SHA256); err != nil {
			t.Errorf("Digest: %v", err)
		}
		if _, err := p.Layout.Digest(bytes.NewReader(content), p.Update, crypto.SHA256); !bytes.Equal(mutant, content) && !errors.Is(err, pades.ErrChanged) {
			t.Errorf("got %v of the document before its change, want %v", err, pades.ErrChanged)
		}
	})
	if signable == 0 {
		t.Error("none was signable")
	}
}

// large is a document of any size that exists nowhere: zeros between its parts.
func large(size int64) (io.ReaderAt, int64) {
	head := []byte("%PDF-1.7\n1 0 obj\n" + catalog + "\nendobj\n2 0 obj\n" + pages + "\nendobj\n3 0 obj\n" + page + "\nendobj\n")
	offset := func(mark string) int { return bytes.Index(head, []byte(mark)) }
	tail := []byte("\nxref\n0 4\n0000000000 65535 f \n")
	for _, mark := range []string{"1 0 obj", "2 0 obj", "3 0 obj"} {
		tail = append(tail, []byte("0000000000 00000 n \n")...)
		at := len(tail) - 20
		copy(tail[at:], []byte{'0', '0', '0', '0', '0', '0', '0'})
		digits := []byte{byte('0' + offset(mark)/100), byte('0' + offset(mark)/10%10), byte('0' + offset(mark)%10)}
		copy(tail[at+7:], digits)
	}
	middle := size - int64(len(head)) - int64(len(tail))
	start := int64(len(head)) + middle + 1
	tail = append(tail, []byte("trailer\n<</Size 4 /Root 1 0 R>>\nstartxref\n")...)
	tail = pdf.Append(tail, start)
	tail = append(tail, []byte("\n%%EOF\n")...)
	whole := pdf.Join(pdf.Octets(head), pdf.Part{Reader: zeros{}, Size: middle}, pdf.Octets(tail))
	return whole, whole.Size()
}

type zeros struct{}

func (zeros) ReadAt(b []byte, _ int64) (int, error) {
	clear(b)
	return len(b), nil
}

// TestMemory: what preparing and hashing cost does not depend on the size. It
// runs alone, since it counts what everybody allocates.
func TestMemory(t *testing.T) { //nolint:paralleltest // see above
	const size = 64 << 20
	r, n := large(size)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f, err := pdf.Open(r, n)
	if err != nil {
		t.Fatal(err)
	}
	p, err := pades.Prepare(f, options())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Layout.Digest(io.NewSectionReader(r, 0, n), p.Update, crypto.SHA256); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 8<<20 {
		t.Errorf("got %d octets allocated for a document of %d, want at most 8 MiB", got, n)
	}
}

func BenchmarkSign(b *testing.B) {
	s := cmstest.New(b, "p256")
	content := testdata(b, "pdf-lib.pdf")
	for b.Loop() {
		sign(b, s, content, mustPrepare(b, content, pades.Options{Time: prepared}), crypto.SHA256)
	}
}

func BenchmarkPrepare(b *testing.B) {
	content := testdata(b, "solicitud.pdf")
	b.Run("invisible", func(b *testing.B) {
		for b.Loop() {
			mustPrepare(b, content, options())
		}
	})
	b.Run("visible", func(b *testing.B) {
		o := options()
		o.Stamp = stamped(stamp.BottomRight)
		for b.Loop() {
			mustPrepare(b, content, o)
		}
	})
}
