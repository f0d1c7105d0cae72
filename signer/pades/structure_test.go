package pades_test

import (
	"bytes"
	"crypto"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/internal/cmstest"
	pades "github.com/rubrica-firma/rubrica/signer/pades"
	"github.com/rubrica-firma/rubrica/signer/pades/stamp"
	"github.com/rubrica-firma/rubrica/signer/pdf"
)

// objects are those that an update brings, as they stand there.
func objects(t *testing.T, update []byte) []string {
	t.Helper()
	var out []string
	empty := regexp.MustCompile(`<0{100,}>`)
	for part := range strings.SplitSeq(empty.ReplaceAllString(string(update), "<0…>"), "endobj\n") {
		if _, object, ok := strings.Cut(part, " obj\n"); ok {
			number, _, _ := strings.Cut(strings.TrimSpace(part), "\n")
			out = append(out, strings.TrimSuffix(number, " obj")+" "+strings.TrimSpace(object))
		}
	}
	return out
}

// TestGolden: the whole of an update, to the octet.
func TestGolden(t *testing.T) {
	t.Parallel()
	content := build("/ID[<00><01>]", catalog, pages, page)
	for name, tc := range map[string]struct {
		prepare func(*pdf.File) (*pades.Prepared, error)
		want    string
	}{
		"signature": {func(f *pdf.File) (*pades.Prepared, error) {
			return pades.Prepare(f, pades.Options{Name: "Begoña", Reason: "Conforme", Hole: 8, Time: prepared})
		}, `4 0 obj
<</ByteRange [0 403 421 786]                           /Contents <0000000000000000>/Filter /Adobe.PPKLite/M (D:20260304050607+00'00')/Name <feff004200650067006f00f10061>/Reason <436f6e666f726d65>/SubFilter /ETSI.CAdES.detached/Type /Sig>>
endobj
5 0 obj
<</BBox [0 0 0 0]/Length 0/Resources <<>>/Subtype /Form/Type /XObject>>
stream

endstream
endobj
6 0 obj
<</AP <</N 5 0 R>>/F 132/FT /Sig/P 3 0 R/Rect [0 0 0 0]/Subtype /Widget/T <527562726963612d31>/Type /Annot/V 4 0 R>>
endobj
3 0 obj
<</Annots [6 0 R]/MediaBox [0 0 600 800]/Parent 2 0 R/Type /Page>>
endobj
1 0 obj
<</AcroForm <</Fields [6 0 R]/SigFlags 3>>/Pages 2 0 R/Type /Catalog>>
endobj
`},
		"certification": {func(f *pdf.File) (*pades.Prepared, error) {
			return pades.Prepare(f, pades.Options{Certify: pades.FillAndSign, Hole: 8, Time: prepared})
		}, `4 0 obj
<</ByteRange [0 403 421 857]                           /Contents <0000000000000000>/Filter /Adobe.PPKLite/M (D:20260304050607+00'00')/Reference [<</TransformMethod /DocMDP/TransformParams <</P 2/Type /TransformParams/V /1.2>>/Type /SigRef>>]/SubFilter /ETSI.CAdES.detached/Type /Sig>>
endobj
5 0 obj
<</BBox [0 0 0 0]/Length 0/Resources <<>>/Subtype /Form/Type /XObject>>
stream

endstream
endobj
6 0 obj
<</AP <</N 5 0 R>>/F 132/FT /Sig/P 3 0 R/Rect [0 0 0 0]/Subtype /Widget/T <527562726963612d31>/Type /Annot/V 4 0 R>>
endobj
3 0 obj
<</Annots [6 0 R]/MediaBox [0 0 600 800]/Parent 2 0 R/Type /Page>>
endobj
1 0 obj
<</AcroForm <</Fields [6 0 R]/SigFlags 3>>/Pages 2 0 R/Perms <</DocMDP 4 0 R>>/Type /Catalog>>
endobj
`},
		"document time-stamp": {func(f *pdf.File) (*pades.Prepared, error) {
			return pades.PrepareTimeStamp(f, 8)
		}, `4 0 obj
<</ByteRange [0 403 421 698]                           /Contents <0000000000000000>/Filter /Adobe.PPKLite/SubFilter /ETSI.RFC3161/Type /DocTimeStamp>>
endobj
5 0 obj
<</BBox [0 0 0 0]/Length 0/Resources <<>>/Subtype /Form/Type /XObject>>
stream

endstream
endobj
6 0 obj
<</AP <</N 5 0 R>>/F 132/FT /Sig/P 3 0 R/Rect [0 0 0 0]/Subtype /Widget/T <527562726963612d31>/Type /Annot/V 4 0 R>>
endobj
3 0 obj
<</Annots [6 0 R]/MediaBox [0 0 600 800]/Parent 2 0 R/Type /Page>>
endobj
1 0 obj
<</AcroForm <</Fields [6 0 R]/SigFlags 3>>/Pages 2 0 R/Type /Catalog>>
endobj
`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := tc.prepare(parse(t, content))
			if err != nil {
				t.Fatal(err)
			}
			got, _, _ := strings.Cut(string(p.Update), "xref\n")
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
			if r := p.Layout.ByteRange(); r[2]+r[3] != int64(len(content)+len(p.Update)) {
				t.Errorf("got ByteRange %v of %d octets", r, len(content)+len(p.Update))
			}
		})
	}
}

// TestFields: a field is filled where it stands, in whatever way its form is
// written down, and nothing else is replaced.
func TestFields(t *testing.T) {
	t.Parallel()
	s := cmstest.New(t, "p256")
	const widget = "/Type/Annot /Subtype/Widget /Rect[10 10 200 60] /P 3 0 R"
	annotated := "<</Type/Page /Parent 2 0 R /MediaBox[0 0 600 800] /Annots[4 0 R]>>"
	for name, tc := range map[string]struct {
		content []byte
		field   string
		want    []string // parts of the objects of the update, one each
	}{
		"merged": {
			build("", "<</Type/Catalog /Pages 2 0 R /AcroForm<</Fields[4 0 R] /SigFlags 3>>>>", pages, annotated,
				"<</FT/Sig /T(b) "+widget+">>"),
			"b",
			[]string{"/V 5 0 R", "/XObject", "/SubFilter"},
		},
		"indirect form, flags in an object": {
			build("", "<</Type/Catalog /Pages 2 0 R /AcroForm 5 0 R>>", pages, annotated,
				"<</FT/Sig /T(b) "+widget+">>", "<</Fields[4 0 R] /SigFlags 6 0 R /DA(/F 0 Tf)>>", "1"),
			"b",
			[]string{"/DA <2f462030205466>/Fields [4 0 R]/SigFlags 3", "/V 7 0 R", "/XObject", "/SubFilter"},
		},
		"nested, type inherited": {
			withForm("/Fields[4 0 R] /SigFlags 3", "<</FT/Sig /T(a) /Kids[5 0 R]>>", "<</Parent 4 0 R /T(b) /AP<</N 6 0 R>> "+widget+">>"),
			"a.b",
			[]string{"3 0 <</Annots [5 0 R]", "5 0 <<", "/SubFilter"},
		},
		"nested, by its branch": {
			withForm("/Fields[4 0 R] /SigFlags 3", "<</FT/Sig /T(a) /Kids[5 0 R]>>", "<</Parent 4 0 R /T(b) /AP<</N 6 0 R>> "+widget+">>"),
			"a",
			[]string{"3 0 <</Annots [5 0 R]", "5 0 <<", "/SubFilter"},
		},
		"not merged, nor among the annotations": {
			withForm("/Fields[4 0 R] /SigFlags 3", "<</FT/Sig /T(b) /Kids[5 0 R]>>", "<</Parent 4 0 R "+widget+">>"),
			"b",
			[]string{"3 0 <</Annots [5 0 R]", "5 0 <</AP <</N", "4 0 <</FT /Sig/Kids [5 0 R]", "/XObject", "/SubFilter"},
		},
		"without a widget": {
			withForm("/Fields[4 0 R] /SigFlags 3", "<</FT/Sig /T(b)>>"), "b", []string{"4 0 <<", "/SubFilter"},
		},
		"with a lock": {
			withForm("/Fields[4 0 R] /SigFlags 3", "<</FT/Sig /T(b) /Lock<</Action/Include /Fields[(x)]>>>>"),
			"b",
			[]string{"4 0 <<", "/Reference [<</Data 1 0 R/TransformMethod /FieldMDP/TransformParams <</Action /Include/Fields [<78>]/Type"},
		},
		"unicode": {
			withForm("/Fields[4 0 R] /SigFlags 3", "<</FT/Sig /T<feff00d1>>>"), "Ñ", []string{"4 0 <<", "/SubFilter"},
		},
		"new, with an indirect list of fields and of annotations": {
			build("", "<</Type/Catalog /Pages 2 0 R /AcroForm<</Fields 4 0 R /SigFlags 3>>>>", pages,
				"<</Type/Page /Parent 2 0 R /Annots 5 0 R>>", "[6 0 R]", "[6 0 R]", "<</FT/Tx /T(x) /Subtype/Widget>>"),
			"",
			[]string{"4 0 [6 0 R 9 0 R]", "5 0 [6 0 R 9 0 R]", "9 0 <<", "/XObject", "/SubFilter"},
		},
		"new, with annotations that two pages share": {
			build("", catalog, "<</Type/Pages /Kids[3 0 R 4 0 R] /Count 2>>", "<</Type/Page /Parent 2 0 R /Annots 5 0 R>>",
				"<</Type/Page /Parent 2 0 R /Annots 5 0 R>>", "[]"),
			"",
			[]string{"3 0 <</Annots [8 0 R]", "8 0 <<", "1 0 <<", "/XObject", "/SubFilter"},
		},
		"new, its name is taken": {
			withForm("/Fields[4 0 R] /SigFlags 3", "<</FT/Tx /T(Rubrica-1)>>"),
			"",
			[]string{"/T <527562726963612d32>", "3 0 <<", "1 0 <<", "/XObject", "/SubFilter"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options()
			o.Field = tc.field
			p := mustPrepare(t, tc.content, o)
			got := objects(t, p.Update)
			for _, want := range tc.want {
				found := false
				for i, object := range got {
					if strings.Contains(object, want) {
						got, found = append(got[:i:i], got[i+1:]...), true
						break
					}
				}
				if !found {
					t.Errorf("no object has %s:\n%s", want, strings.Join(got, "\n"))
				}
			}
			if len(got) > 0 {
				t.Errorf("got besides:\n%s", strings.Join(got, "\n"))
			}
			out := sign(t, s, tc.content, p, crypto.SHA256)
			judge(t, tc.content).check(t, out, sound()...)
		})
	}
}

// TestStampTime: the stamp shows the claimed time of the signature, which is
// fixed after everything else, in legal time.
func TestStampTime(t *testing.T) {
	t.Parallel()
	content := testdata(t, "solicitud.pdf")
	o := options()
	o.Stamp = stamped(stamp.BottomRight)
	p := mustPrepare(t, content, o)
	if len(p.Layout.Shown) != 1 {
		t.Fatalf("got %d places of the time, want 1", len(p.Layout.Shown))
	}
	if err := p.Layout.FixTime(p.Update, claimed); err != nil {
		t.Fatal(err)
	}
	slot := p.Layout.Shown[0]
	from := slot.Offset - p.Layout.Original
	got, err := slot.Decode(p.Update[from : from+int64(slot.Size())])
	if err != nil || !got.Equal(claimed) {
		t.Errorf("got %v (%v), want %v", got, err, claimed)
	}
	f := parse(t, append(bytes.Clone(content), p.Update...))
	signatures, err := pades.Signatures(f)
	if err != nil {
		t.Fatal(err)
	}
	s := signatures[0]
	if !s.M.Equal(claimed) || s.Page != 2 || s.Rect[2] <= s.Rect[0] {
		t.Errorf("got M %v on page %d at %v", s.M, s.Page, s.Rect)
	}
	again := mustPrepare(t, append(bytes.Clone(content), p.Update...), o)
	if fmt.Sprint(again.Facts.Pages[1]) != fmt.Sprint(p.Facts.Pages[1]) {
		t.Error("the page changed its size")
	}
}

// TestMissingCharacters: what the typeface lacks is reported.
func TestMissingCharacters(t *testing.T) {
	t.Parallel()
	o := options()
	o.Stamp = stamped(stamp.TopLeft)
	o.Stamp.Name = "L·L Ñ ŀ 漢"
	if p := mustPrepare(t, build("", catalog, pages, page), o); string(p.Missing) != "漢" {
		t.Errorf("got %q missing, want %q", string(p.Missing), "漢")
	}
}
