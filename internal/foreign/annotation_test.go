package foreign_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/pades"
	"github.com/rubrica-firma/rubrica/signer/pdf"
)

// TestOpaqueAnnotations lays every kind of remark, opaque, over the page and over the
// stamp: what a signer saw must not be hidden afterwards, whatever hides it.
func TestOpaqueAnnotations(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	signed := h.signedPDF(t, testdata(t, "pdf-lib.pdf"), h.signers[2], visible(), cades.BT)
	v := h.verifier(t)
	all, err := pades.Signatures(open(t, signed))
	must(t, err)
	for where, r := range map[string][4]float64{"the page": {0, 0, 595, 842}, "the stamp": all[0].Rect} {
		for _, kind := range []pdf.Name{
			"Text", "FreeText", "Line", "Square", "Circle", "Polygon", "PolyLine", "Highlight", "Underline",
			"Squiggly", "StrikeOut", "Caret", "Stamp", "Ink", "Popup", "FileAttachment",
		} {
			t.Run(string(kind)+" over "+where, func(t *testing.T) {
				t.Parallel()
				f := open(t, signed)
				u := f.NewUpdate()
				p, _, err := f.Page(1)
				must(t, err)
				rect := pdf.Array{}
				for _, x := range r {
					rect = append(rect, pdf.Real(fmt.Sprintf("%.2f", x)))
				}
				box := pdf.Array{int64(0), int64(0), int64(600), int64(850)}
				form := u.AddStream(pdf.Dict{"Type": pdf.Name("XObject"), "Subtype": pdf.Name("Form"), "BBox": box}, []byte("1 g 0 0 600 850 re f"))
				over := u.Add(pdf.Dict{"Type": pdf.Name("Annot"), "Subtype": kind, "Rect": rect, "F": int64(4), "AP": pdf.Dict{"N": form}})
				annots, err := f.Array(p.Dict["Annots"])
				must(t, err)
				d := p.Dict.Clone()
				d["Annots"] = append(slices.Clone(annots), over)
				u.Set(p.Ref, d)
				update, err := u.Bytes()
				must(t, err)
				if err := ours(t, v, join(signed, update), nil, cades.BT); err == nil {
					t.Error("our verifier accepts it")
				}
			})
		}
	}
}
