package stamp

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"unicode/utf16"

	"github.com/rubrica-firma/rubrica/signer/pdf"
)

// Adder takes new objects of a PDF and says by what they are referred to.
type Adder interface {
	Add(o pdf.Object) pdf.Ref
	AddStream(dict pdf.Dict, data []byte) pdf.Ref
}

// Drawn is an appearance that stands in a PDF.
type Drawn struct {
	// Form is the form XObject, for the widget's /AP /N.
	Form pdf.Ref
	// Raw is the form as it is written; once it is, Raw.At is where it stands.
	Raw   *pdf.Raw
	slots []Slot // with offsets from Raw.At
}

// Slots are the appearance's with their offsets in the whole file. They are known once the
// PDF was written.
func (d Drawn) Slots() []Slot {
	slots := slices.Clone(d.slots)
	for i := range slots {
		slots[i].Offset += d.Raw.At
	}
	return slots
}

// AddTo adds the stamp and its font to a PDF. Streams are not compressed: they
// are small, and another compressor's octets would change what is signed between preparing and
// completing.
func (a *Appearance) AddTo(u Adder, p Placement) (Drawn, error) {
	font, err := a.subset.addTo(u)
	if err != nil {
		return Drawn{}, err
	}
	// Device-independent grey needs no output intent in any part of ISO 19005
	// (19005-1, 6.2.3.2; 19005-2, 6.2.4.2).
	space := pdf.Array{pdf.Name("CalGray"), pdf.Dict{
		"WhitePoint": pdf.Array{int64(1), int64(1), int64(1)}, "Gamma": pdf.Real("2.2"), // other whites tint grey in some viewers
	}}
	head := pdf.Append(nil, pdf.Dict{
		"Type":     pdf.Name("XObject"),
		"Subtype":  pdf.Name("Form"),
		"FormType": int64(1),
		"BBox":     pdf.Array{int64(0), int64(0), pdf.Real(number(a.Box.Width)), pdf.Real(number(a.Box.Height))},
		"Matrix":   reals(p.Matrix[:]...),
		"Length":   int64(len(a.Content)),
		"Resources": pdf.Dict{
			"Font":       pdf.Dict{fontName: font},
			"ColorSpace": pdf.Dict{spaceName: space},
		},
	})
	head = append(head, "\nstream\n"...)
	d := Drawn{slots: slices.Clone(a.Slots)}
	for i := range d.slots {
		d.slots[i].Offset += int64(len(head))
	}
	d.Raw = &pdf.Raw{Bytes: append(append(head, a.Content...), "\nendstream"...)}
	d.Form = u.Add(d.Raw)
	return d, nil
}

func reals(values ...float64) pdf.Array {
	a := make(pdf.Array, 0, len(values))
	for _, v := range values {
		a = append(a, pdf.Real(precise(v)))
	}
	return a
}

// addTo adds the font: Type 0 over a CIDFontType2 whose CIDs are the glyphs'
// numbers in the embedded program (ISO 32000-2, 9.7.4).
func (s *subset) addTo(u Adder) (pdf.Ref, error) {
	program, err := s.program() // first of all: it may add glyphs
	if err != nil {
		return pdf.Ref{}, err
	}
	name := pdf.Name(tag(program) + "+DejaVuSans")
	widths := make(pdf.Array, 0, len(s.glyphs))
	set := make([]byte, (len(s.glyphs)+7)/8)
	for cid, g := range s.glyphs {
		widths = append(widths, int64(s.face.advance(g)))
		set[cid/8] |= 0x80 >> (cid % 8)
	}
	metric := func(table []byte, at int) int64 {
		return int64(s.face.thousandths(float64(int16(binary.BigEndian.Uint16(table[at:]))))) //nolint:gosec // the field is signed
	}
	const symbolic = 4 // glyphs beyond the standard Latin set (ISO 32000-2, table 121)
	descriptor := u.Add(pdf.Dict{
		"Type":        pdf.Name("FontDescriptor"),
		"FontName":    name,
		"Flags":       int64(symbolic),
		"FontBBox":    pdf.Array{metric(s.face.head, 36), metric(s.face.head, 38), metric(s.face.head, 40), metric(s.face.head, 42)},
		"ItalicAngle": int64(0),
		"Ascent":      metric(s.face.hhea, 4),
		"Descent":     metric(s.face.hhea, 6),
		"CapHeight":   int64(729),
		"StemV":       int64(88),
		"FontFile2":   u.AddStream(pdf.Dict{"Length1": int64(len(program))}, program),
		"CIDSet":      u.AddStream(pdf.Dict{}, set), // PDF/A-1 asks for it; it names every glyph, as the later parts do
	})
	descendant := u.Add(pdf.Dict{
		"Type":           pdf.Name("Font"),
		"Subtype":        pdf.Name("CIDFontType2"),
		"BaseFont":       name,
		"CIDSystemInfo":  pdf.Dict{"Registry": pdf.String("Adobe"), "Ordering": pdf.String("Identity"), "Supplement": int64(0)},
		"FontDescriptor": descriptor,
		"CIDToGIDMap":    pdf.Name("Identity"),
		"DW":             int64(s.face.advance(0)),
		"W":              pdf.Array{int64(0), widths},
	})
	return u.Add(pdf.Dict{
		"Type":            pdf.Name("Font"),
		"Subtype":         pdf.Name("Type0"),
		"BaseFont":        name,
		"Encoding":        pdf.Name("Identity-H"),
		"DescendantFonts": pdf.Array{descendant},
		"ToUnicode":       u.AddStream(pdf.Dict{}, s.toUnicode()),
	}), nil
}

// tag is the six letters that tell subsets of a font apart (ISO 32000-2, 9.9.2).
func tag(program []byte) string {
	digest := sha256.Sum256(program)
	n := binary.BigEndian.Uint64(digest[:])
	letters := make([]byte, 6)
	for i := range letters {
		letters[i] = 'A' + byte(n%26)
		n /= 26
	}
	return string(letters)
}

// toUnicode is the CMap from CIDs to text (ISO 32000-2, 9.10.3).
func (s *subset) toUnicode() []byte {
	const most = 100 // entries of one bfchar operator
	var entries []string
	for cid, text := range s.text {
		if text == "" {
			continue // .notdef and parts of other glyphs are never shown
		}
		entry := fmt.Appendf(nil, "<%04x> <", cid)
		for _, unit := range utf16.Encode([]rune(text)) {
			entry = fmt.Appendf(entry, "%04x", unit)
		}
		entries = append(entries, string(entry)+">\n")
	}
	cmap := []byte("/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n" +
		"/CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def\n" +
		"/CMapName /Adobe-Identity-UCS def\n/CMapType 2 def\n" +
		"1 begincodespacerange\n<0000> <ffff>\nendcodespacerange\n")
	for len(entries) > 0 {
		n := min(most, len(entries))
		cmap = fmt.Appendf(cmap, "%d beginbfchar\n", n)
		for _, entry := range entries[:n] {
			cmap = append(cmap, entry...)
		}
		cmap = append(cmap, "endbfchar\n"...)
		entries = entries[n:]
	}
	return append(cmap, "endcmap\nCMapName currentdict /CMap defineresource pop\nend\nend\n"...)
}
