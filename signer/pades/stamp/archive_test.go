package stamp

import (
	"bytes"
	"encoding/binary"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-text/typesetting/font/opentype"
	"github.com/go-text/typesetting/font/opentype/tables"
	"pgregory.net/rapid"

	"github.com/rubrica-firma/rubrica/signer/pdf"
)

// objects collects what a stamp adds to a PDF.
type objects struct {
	all     []pdf.Object
	streams map[int][]byte
}

func (o *objects) Add(object pdf.Object) pdf.Ref {
	o.all = append(o.all, object)
	return pdf.Ref{Number: len(o.all)}
}

func (o *objects) AddStream(dict pdf.Dict, data []byte) pdf.Ref {
	ref := o.Add(dict)
	if o.streams == nil {
		o.streams = map[int][]byte{}
	}
	o.streams[ref.Number] = data
	return ref
}

// dict follows keys from a dictionary, over references.
func (o *objects) dict(t *testing.T, from pdf.Object, keys ...pdf.Name) pdf.Dict {
	t.Helper()
	for _, key := range append(keys, "") {
		if array, ok := from.(pdf.Array); ok && len(array) == 1 {
			from = array[0]
		}
		if ref, ok := from.(pdf.Ref); ok {
			from = o.all[ref.Number-1]
		}
		dict, ok := from.(pdf.Dict)
		if !ok {
			t.Fatalf("got %v before %q, want a dictionary", from, key)
		}
		if key == "" {
			return dict
		}
		from = dict[key]
	}
	return nil
}

func (o *objects) stream(t *testing.T, object pdf.Object) []byte {
	t.Helper()
	ref, ok := object.(pdf.Ref)
	if !ok || o.streams[ref.Number] == nil {
		t.Fatalf("got %v, want a stream", object)
	}
	return o.streams[ref.Number]
}

// What ISO 19005-1 to -4 ask of fonts, colours and XObjects, on everything that a stamp adds.
func TestFitForArchives(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"ANA NÚÑEZ PÉREZ", "محمد بن عبد الله الأندلسي", "Ἀλέξανδρος", "李 ffi Q\u0304\u0308", ""} {
		o := sample()
		o.Name = name
		a, err := New(o, Box{212, 90})
		if err != nil {
			t.Fatal(err)
		}
		var added objects
		drawn, err := a.AddTo(&added, Placement{Matrix: [6]float64{1, 0, 0, 1, 0, 0}})
		if err != nil {
			t.Fatal(err)
		}
		form := string(drawn.Raw.Bytes)
		all := form
		for _, object := range added.all {
			all += string(pdf.Append(nil, object))
		}
		// 19005-1, 6.4 and 6.2.5, 6.2.4, 6.1.10; 19005-2, 6.2.9: no transparency, no
		// PostScript, no references, no device colours, no filter but those that any part has.
		for _, forbidden := range []string{
			"/Group", "/ExtGState", "/SMask", "/Subtype2", "/PS", "/Ref", "/OPI", "/Device", "/Filter", "/JavaScript",
		} {
			if strings.Contains(all, forbidden) {
				t.Errorf("%s: got %s, want none", name, forbidden)
			}
		}
		head, content, _ := strings.Cut(form, "\nstream\n")
		if !strings.Contains(head, "/CalGray") || regexp.MustCompile(`(?m)\b(g|rg|k|G|RG|K|gs|sh|Do|BI|ri|i)$`).MatchString(content) {
			t.Errorf("%s: got %s, want calibrated grey and no operator that depends on a device", name, head)
		}
		if !strings.HasSuffix(form, string(a.Content)+"\nendstream") || !strings.Contains(head, "/Length "+number(float64(len(a.Content)))) {
			t.Errorf("%s: got another length than the content's", name)
		}

		font := regexp.MustCompile(`/Font ?<</F (\d+) 0 R>>`).FindStringSubmatch(head)
		if font == nil {
			t.Fatalf("%s: got %s, want a font", name, head)
		}
		number, err := strconv.Atoi(font[1])
		if err != nil {
			t.Fatal(err)
		}
		checkFont(t, &added, pdf.Ref{Number: number}, a)
	}
}

// checkFont checks 19005-1, 6.3 and 19005-2, 6.2.11.
func checkFont(t *testing.T, added *objects, ref pdf.Ref, a *Appearance) {
	t.Helper()
	whole := added.dict(t, ref)
	descendant := added.dict(t, ref, "DescendantFonts")
	descriptor := added.dict(t, ref, "DescendantFonts", "FontDescriptor")
	base, _ := whole["BaseFont"].(pdf.Name)
	if !regexp.MustCompile(`^[A-Z]{6}\+DejaVuSans$`).MatchString(string(base)) || descendant["BaseFont"] != base || descriptor["FontName"] != base {
		t.Errorf("got names %v %v %v, want one with the tag of a subset", base, descendant["BaseFont"], descriptor["FontName"])
	}
	if whole["Encoding"] != pdf.Name("Identity-H") || descendant["CIDToGIDMap"] != pdf.Name("Identity") {
		t.Errorf("got %v, %v, want identities", whole, descendant)
	}

	program := added.stream(t, descriptor["FontFile2"])
	const limit = 40 << 10
	if len(program) > limit {
		t.Errorf("got a program of %d octets, want at most %d", len(program), limit)
	}
	loader, err := opentype.NewLoader(bytes.NewReader(program))
	if err != nil {
		t.Fatalf("opening the program: %v", err)
	}
	parts := map[string][]byte{}
	for _, tag := range []string{"glyf", "head", "hhea", "hmtx", "loca", "maxp"} {
		if parts[tag], err = loader.RawTable(opentype.MustNewTag(tag)); err != nil {
			t.Fatalf("table %s: %v", tag, err)
		}
	}
	if sum := checksum(program); sum != 0xB1B0AFBA {
		t.Errorf("got checksum %x of the program, want the constant", sum)
	}
	glyphs := int(binary.BigEndian.Uint16(parts["maxp"][4:]))
	if len(parts["loca"]) != 4*(glyphs+1) || len(parts["hmtx"]) != 4*glyphs || glyphs != len(a.subset.glyphs) {
		t.Errorf("got tables of different lengths for %d glyphs", glyphs)
	}

	set := added.stream(t, descriptor["CIDSet"])
	w, _ := descendant["W"].(pdf.Array)
	widths, _ := w[1].(pdf.Array)
	if len(widths) != glyphs || len(set) != (glyphs+7)/8 {
		t.Fatalf("got %d widths and %d octets of CIDSet for %d glyphs", len(widths), len(set), glyphs)
	}
	for cid := range 8 * len(set) {
		if got, want := set[cid/8]&(0x80>>(cid%8)) != 0, cid < glyphs; got != want {
			t.Errorf("got %v in CIDSet for CID %d, want %v", got, cid, want)
		}
	}
	toUnicode := string(added.stream(t, whole["ToUnicode"]))
	for cid := 1; cid < glyphs; cid++ {
		width, _ := widths[cid].(int64)
		advance := float64(binary.BigEndian.Uint16(parts["hmtx"][4*cid:])) * 1000 / float64(a.subset.face.upem)
		if d := float64(width) - advance; d < -1 || d > 1 {
			t.Errorf("got width %d of CID %d, want %.1f", width, cid, advance)
		}
		if text := a.subset.text[cid]; text != "" && !strings.Contains(toUnicode, string(appendHex([]byte("<"), cid))+"> <") {
			t.Errorf("got no ToUnicode of CID %d, %q", cid, text)
		}
	}
	for _, bad := range []string{"<0000>\n", "<feff>\n", "<fffe>\n", "<>\n"} { // 19005-2, 6.2.11.7.2
		if strings.Contains(toUnicode, bad) {
			t.Errorf("got %q in ToUnicode, want none", bad)
		}
	}
}

// Every glyph of the subset draws what it draws in the typeface, hints aside.
func TestSubsetDrawsTheSame(t *testing.T) {
	t.Parallel()
	o := sample()
	o.Name, o.Reason = "ÁÉÍÓÚÜÑÇǺŀ½ɵ", "ἄᾧΰ لأإآ בּ Ệặ ẍ"
	a, err := New(o, Box{300, 100})
	if err != nil {
		t.Fatal(err)
	}
	program, err := a.subset.program()
	if err != nil {
		t.Fatal(err)
	}
	loader, err := opentype.NewLoader(bytes.NewReader(program))
	if err != nil {
		t.Fatal(err)
	}
	raw := func(tag string) []byte {
		data, err := loader.RawTable(opentype.MustNewTag(tag))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	loca, err := tables.ParseLoca(raw("loca"), len(a.subset.glyphs), true)
	if err != nil {
		t.Fatal(err)
	}
	got, err := tables.ParseGlyf(raw("glyf"), loca)
	if err != nil {
		t.Fatal(err)
	}
	want, err := tables.ParseGlyf(a.subset.face.glyf, a.subset.face.loca)
	if err != nil {
		t.Fatal(err)
	}
	composites := 0
	for cid, g := range a.subset.glyphs {
		gotGlyph, wantGlyph := got[cid], want[g]
		switch data := wantGlyph.Data.(type) {
		case tables.SimpleGlyph:
			data.Instructions = nil
			if simple, ok := gotGlyph.Data.(tables.SimpleGlyph); ok && len(simple.Instructions) == 0 {
				simple.Instructions = nil
				gotGlyph.Data = simple
			}
			wantGlyph.Data = data
		case tables.CompositeGlyph:
			composites++
			parts, ok := gotGlyph.Data.(tables.CompositeGlyph)
			if !ok || len(parts.Instructions) != 0 || len(parts.Glyphs) != len(data.Glyphs) {
				t.Errorf("got %v of CID %d, want %d parts without hints", gotGlyph.Data, cid, len(data.Glyphs))
				continue
			}
			data.Instructions, parts.Instructions = nil, nil
			for i := range parts.Glyphs {
				parts.Glyphs[i].GlyphIndex = tables.GlyphID(a.subset.glyphs[parts.Glyphs[i].GlyphIndex])
				data.Glyphs[i].Flags &^= haveInstruction
			}
			wantGlyph.Data, gotGlyph.Data = data, parts
		}
		if !reflect.DeepEqual(gotGlyph, wantGlyph) {
			t.Errorf("got another outline of CID %d than the typeface's glyph %d", cid, g)
		}
	}
	if composites == 0 {
		t.Error("got no composite glyph, want some to compare")
	}
}

func appendHex(b []byte, cid int) []byte {
	const digits = "0123456789abcdef"
	return append(b, digits[cid>>12&15], digits[cid>>8&15], digits[cid>>4&15], digits[cid&15])
}

// The same options give the same objects, and not only the same content.
func TestSameObjectsEachTime(t *testing.T) {
	t.Parallel()
	var first []byte
	for range 5 {
		o := sample()
		o.Name = "محمد ANA Ἀλέξανδρος ǺÉ"
		a, err := New(o, Box{212, 90})
		if err != nil {
			t.Fatal(err)
		}
		var added objects
		if _, err := a.AddTo(&added, Placement{}); err != nil {
			t.Fatal(err)
		}
		var all []byte
		for _, object := range added.all {
			all = pdf.Append(all, object)
		}
		for _, n := range slices.Sorted(maps.Keys(added.streams)) {
			all = append(all, added.streams[n]...)
		}
		if first == nil {
			first = all
		}
		if !bytes.Equal(all, first) {
			t.Error("got other octets, want the same each time")
		}
	}
}

func TestSlot(t *testing.T) {
	t.Parallel()
	slot := Slot{Layout: timeLayout, Alphabet: timeAlphabet}
	rapid.Check(t, func(r *rapid.T) {
		want := time.Unix(rapid.Int64Range(-2e9, 4e9).Draw(r, "time"), 0)
		code, err := slot.Encode(want)
		if err != nil || len(code) != slot.Size() {
			r.Fatalf("got %s, %v, want %d octets", code, err, slot.Size())
		}
		if got, err := slot.Decode(code); err != nil || !got.Equal(want) {
			r.Errorf("got %v, %v, want %v", got, err, want)
		}
	})
}

func TestSlotRefuses(t *testing.T) {
	t.Parallel()
	a, err := New(sample(), Box{212, 76})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	good := a.Slots[0]
	for name, slot := range map[string]Slot{
		"elsewhere":       {Offset: good.Offset + 1, Layout: good.Layout, Alphabet: good.Alphabet},
		"before":          {Offset: -1, Layout: good.Layout, Alphabet: good.Alphabet},
		"behind":          {Offset: int64(len(a.Content)) - 4, Layout: good.Layout, Alphabet: good.Alphabet},
		"other layout":    {Offset: good.Offset, Layout: "January", Alphabet: good.Alphabet},
		"short alphabet":  {Offset: good.Offset, Layout: good.Layout, Alphabet: "0123"},
		"another's place": {Offset: good.Offset - 8, Layout: good.Layout, Alphabet: good.Alphabet},
	} {
		content := bytes.Clone(a.Content)
		if err := slot.Fix(content, now); err == nil || !bytes.Equal(content, a.Content) {
			t.Errorf("%s: got %v, want an error and nothing written", name, err)
		}
	}
	for name, at := range map[string]time.Time{"five digits": now.AddDate(9000, 0, 0), "before Christ": now.AddDate(-3000, 0, 0)} {
		if _, err := good.Encode(at); err == nil {
			t.Errorf("%s: got no error, want one", name)
		}
	}
}
