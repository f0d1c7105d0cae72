package inspect

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"

	"github.com/rubrica-firma/rubrica/signer/pdf"
)

// maxMap bounds a font's map to Unicode.
const maxMap = 1 << 20

// shown is the text that an appearance draws. plain is false where that cannot
// be told: a font without a map to Unicode, letters drawn as shapes or images,
// text that is clipped or not painted.
func (r *reader) shown(appearance *pdf.Stream) (text string, plain bool) {
	text, plain, _ = r.written(appearance)
	return text, plain
}

// written is shown that also names the fonts whose word it takes for what their
// letters look like.
func (r *reader) written(appearance *pdf.Stream) (text string, plain bool, fonts []pdf.Object) {
	if appearance == nil {
		return "", true, nil
	}
	w := &writing{reader: r, fonts: map[pdf.Name]*font{}, plain: true}
	w.resources = r.dict(appearance.Dict["Resources"])
	for op := range operations(r.data(appearance, maxContent)) {
		if !r.spend(&r.operations, 1, maxOperations) {
			return "", false, nil
		}
		w.take(op)
	}
	return w.text.String(), w.plain, w.own
}

type writing struct {
	reader    *reader
	resources pdf.Dict
	fonts     map[pdf.Name]*font
	font      *font
	text      strings.Builder
	plain     bool
	own       []pdf.Object // fonts that bring their letters along
}

func (w *writing) take(op operation) {
	switch op.operator {
	case "Tf":
		w.font = w.fontOf(op.name(0))
	case "Tr":
		w.plain = w.plain && op.number(0) < 3
	case "Do", "BI", "sh", "c", "v", "y":
		w.plain = false
	case "Td", "TD", "T*", "Tm":
		w.text.WriteByte(' ')
	case "Tj", "TJ", "'", "\"":
		for _, o := range op.operands {
			w.show(o)
		}
	}
}

func (w *writing) show(o pdf.Object) {
	switch v := o.(type) {
	case pdf.Array:
		for _, member := range v {
			if s, ok := member.(pdf.String); ok {
				w.show(s)
			}
		}
	case pdf.String:
		if w.font == nil {
			w.plain = false
			return
		}
		text, ok := w.font.decode(string(v))
		w.plain = w.plain && ok
		w.text.WriteString(text)
	}
}

// fontOf looks a font up in the appearance's own resources and, as viewers do,
// in those of the form.
func (w *writing) fontOf(name pdf.Name) *font {
	if known, ok := w.fonts[name]; ok {
		return known
	}
	r := w.reader
	_, catalog := r.file.Catalog()
	w.fonts[name] = nil
	for _, resources := range []pdf.Dict{w.resources, r.dict(r.dict(catalog["AcroForm"])["DR"])} {
		o := r.dict(resources["Font"])[name]
		if d := r.dict(o); len(d) > 0 {
			w.fonts[name] = r.font(d)
			if d["FontDescriptor"] != nil || d["ToUnicode"] != nil || r.name(d["Subtype"]) == "Type0" {
				w.own = append(w.own, o)
			}
			break
		}
	}
	return w.fonts[name]
}

// font turns codes into letters.
type font struct {
	wide    bool // two octets a code
	letters map[uint32]string
	latin   bool // other codes are those of PDFDocEncoding, more or less
}

func (r *reader) font(d pdf.Dict) *font {
	f := &font{wide: r.name(d["Subtype"]) == "Type0", letters: map[uint32]string{}}
	if s := r.stream(d["ToUnicode"]); s != nil {
		f.readMap(r.data(s, maxMap))
		return f
	}
	if f.wide || r.name(d["Subtype"]) == "Type3" {
		return f
	}
	encoding := r.get(d["Encoding"])
	if own, ok := encoding.(pdf.Dict); ok {
		f.differences(r, r.array(own["Differences"]))
		encoding = r.get(own["BaseEncoding"])
	}
	base, isName := encoding.(pdf.Name)
	f.latin = !isName || base == "WinAnsiEncoding" || base == "PDFDocEncoding" || base == "StandardEncoding"
	return f
}

// differences reads what an encoding changes. Names of glyphs that mean one
// letter are few in forms; others make the text unknown.
func (f *font) differences(r *reader, list pdf.Array) {
	code := uint32(0)
	for _, member := range list[:min(len(list), maxOperands)] {
		switch v := r.get(member).(type) {
		case int64:
			code = uint32(v & 0xff)
		case pdf.Name:
			f.letters[code] = letterOf(string(v), code)
			code++
		}
	}
}

// letterOf reads a glyph's name: a letter's own, uniXXXX, or one that
// PDFDocEncoding has at the same code. "?" stands for what is not known.
func letterOf(glyph string, code uint32) string {
	if len(glyph) == 1 {
		return glyph
	}
	if rest, ok := strings.CutPrefix(glyph, "uni"); ok && len(rest) == 4 {
		if n, err := strconv.ParseUint(rest, 16, 16); err == nil {
			return string(rune(n))
		}
	}
	return pdf.DecodeText(pdf.String([]byte{byte(code)})) //nolint:gosec // one octet
}

func (f *font) decode(codes string) (string, bool) {
	width := 1
	if f.wide {
		width = 2
	}
	var out strings.Builder
	known := true
	for ; len(codes) >= width; codes = codes[width:] {
		code := uint32(codes[0])
		if f.wide {
			code = code<<8 | uint32(codes[1])
		}
		switch letter, ok := f.letters[code]; {
		case ok:
			out.WriteString(letter)
		case f.latin:
			out.WriteString(pdf.DecodeText(pdf.String(codes[:1])))
		default:
			known = false
		}
	}
	return out.String(), known
}

// readMap reads bfchar and bfrange of a ToUnicode map (ISO 32000-2, 9.10.3).
func (f *font) readMap(data []byte) {
	for op := range operations(data) {
		switch op.operator {
		case "endbfchar":
			for list := op.operands; len(list) >= 2 && len(f.letters) < 1<<16; list = list[2:] {
				f.letters[codeOf(list[0])] = unicodeOf(list[1])
			}
		case "endbfrange":
			for list := op.operands; len(list) >= 3; list = list[3:] {
				f.addRange(codeOf(list[0]), codeOf(list[1]), list[2])
			}
		}
	}
}

func (f *font) addRange(first, last uint32, to pdf.Object) {
	for code := first; code <= last && code-first < 1<<8 && len(f.letters) < 1<<16; code++ {
		switch v := to.(type) {
		case pdf.String:
			letters := []rune(unicodeOf(v))
			if len(letters) == 0 {
				return
			}
			letters[len(letters)-1] += rune(code - first) //nolint:gosec // at most 255
			f.letters[code] = string(letters)
		case pdf.Array:
			if i := int(code - first); i < len(v) {
				f.letters[code] = unicodeOf(v[i])
			}
		}
	}
}

func codeOf(o pdf.Object) uint32 {
	s, ok := o.(pdf.String)
	if !ok {
		return 0
	}
	code := uint32(0)
	for _, c := range []byte(s) {
		code = code<<8 | uint32(c)
	}
	return code
}

func unicodeOf(o pdf.Object) string {
	s, ok := o.(pdf.String)
	if !ok {
		return ""
	}
	units := make([]uint16, 0, len(s)/2)
	for i := 0; i+1 < len(s); i += 2 {
		units = append(units, uint16(s[i])<<8|uint16(s[i+1]))
	}
	return string(utf16.Decode(units))
}

// bare leaves out what does not count when two texts are compared: spaces and
// line ends, which appearances replace by positions, and control characters.
func bare(text string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsSpace(c) || unicode.IsControl(c) || c == '\u00ad' || c == '\ufeff' {
			return -1
		}
		return c
	}, text)
}
