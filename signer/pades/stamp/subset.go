package stamp

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"github.com/go-text/typesetting/font"
)

// subset is a font program with only the glyphs that a stamp shows (ISO
// 32000-2, 9.9.2): glyphs are numbered anew, so that a CID is its glyph's
// number, and the program has no more tables than a PDF asks for.
type subset struct {
	face *typeface
	// glyphs[cid] is the glyph's number in the typeface; 0 is .notdef.
	glyphs []font.GID
	// text[cid] is what the glyph stands for; parts of other glyphs stand for nothing.
	text []string
	cids map[glyphKey]int
}

// glyphKey keeps glyphs apart that look alike but stand for different text, so
// that each CID means one text (ISO 32000-2, 9.10.3).
type glyphKey struct {
	glyph font.GID
	text  string
}

func newSubset(face *typeface) *subset {
	return &subset{face: face, glyphs: []font.GID{0}, text: []string{""}, cids: map[glyphKey]int{}}
}

// cid is the glyph's number in the subset, which it joins at first use.
func (s *subset) cid(g font.GID, text string) (int, error) {
	key := glyphKey{g, text}
	if cid, ok := s.cids[key]; ok {
		return cid, nil
	}
	if len(s.glyphs) > math.MaxInt16 {
		return 0, fmt.Errorf("%w: more glyphs than a subset holds", errTypeface)
	}
	cid := len(s.glyphs)
	s.glyphs, s.text = append(s.glyphs, g), append(s.text, text)
	s.cids[key] = cid
	return cid, nil
}

// component is the number of a glyph that another one is composed of.
func (s *subset) component(g font.GID) (int, error) {
	if cid := slices.Index(s.glyphs, g); cid >= 0 {
		return cid, nil
	}
	return s.cid(g, "")
}

// program is the TrueType file. Composite glyphs bring their components along.
func (s *subset) program() ([]byte, error) {
	var glyf, loca, hmtx []byte
	for i := 0; i < len(s.glyphs); i++ { // cid may append while this runs
		loca = append32(loca, len(glyf))
		outline, err := s.face.outline(s.glyphs[i])
		if err != nil {
			return nil, err
		}
		if glyf, err = s.appendOutline(glyf, outline); err != nil {
			return nil, err
		}
		for len(glyf)%4 != 0 {
			glyf = append(glyf, 0)
		}
		advance, bearing := s.face.metrics(s.glyphs[i])
		hmtx = binary.BigEndian.AppendUint16(hmtx, advance)
		hmtx = binary.BigEndian.AppendUint16(hmtx, bearing)
	}
	loca = append32(loca, len(glyf))

	count := append16(nil, len(s.glyphs))
	head, hhea, maxp := slices.Clone(s.face.head[:54]), slices.Clone(s.face.hhea[:36]), slices.Clone(s.face.maxp[:32])
	binary.BigEndian.PutUint32(head[8:], 0)  // checkSumAdjustment, filled in by appendTables
	binary.BigEndian.PutUint16(head[50:], 1) // indexToLocFormat: long
	copy(hhea[34:], count)
	copy(maxp[4:], count)
	clear(maxp[14:28]) // no program, no storage, no function: hints are left out
	binary.BigEndian.PutUint16(maxp[14:], 1)
	return sfnt([]table{
		{"glyf", glyf}, {"head", head}, {"hhea", hhea}, {"hmtx", hmtx}, {"loca", loca}, {"maxp", maxp},
	}), nil
}

// Flags of a component (OpenType 1.9.1, glyf, component glyph description).
const (
	argsAreWords    = 0x0001
	haveScale       = 0x0008
	moreComponents  = 0x0020
	haveScaleXY     = 0x0040
	haveTwoByTwo    = 0x0080
	haveInstruction = 0x0100
)

// appendOutline copies a glyph without its hints, components renumbered.
func (s *subset) appendOutline(glyf, outline []byte) ([]byte, error) {
	const header = 10
	if len(outline) == 0 {
		return glyf, nil
	}
	short := fmt.Errorf("%w: short glyph", errTypeface)
	if len(outline) < header {
		return nil, short
	}
	if contours := int(int16(binary.BigEndian.Uint16(outline))); contours >= 0 { //nolint:gosec // the field is signed
		ends := header + 2*contours
		if len(outline) < ends+2 {
			return nil, short
		}
		points := ends + 2 + int(binary.BigEndian.Uint16(outline[ends:]))
		if len(outline) < points {
			return nil, short
		}
		glyf = append(glyf, outline[:ends]...)
		glyf = append(glyf, 0, 0)
		return append(glyf, outline[points:]...), nil
	}
	glyf = append(glyf, outline[:header]...)
	for at := header; ; {
		if len(outline) < at+4 {
			return nil, short
		}
		flags := binary.BigEndian.Uint16(outline[at:])
		size := componentSize(flags)
		if len(outline) < at+size {
			return nil, short
		}
		part, err := s.component(font.GID(binary.BigEndian.Uint16(outline[at+2:])))
		if err != nil {
			return nil, err
		}
		glyf = binary.BigEndian.AppendUint16(glyf, flags&^haveInstruction)
		glyf = append16(glyf, part)
		glyf = append(glyf, outline[at+4:at+size]...)
		at += size
		if flags&moreComponents == 0 {
			return glyf, nil
		}
	}
}

func componentSize(flags uint16) int {
	size := 6
	if flags&argsAreWords != 0 {
		size += 2
	}
	switch {
	case flags&haveScale != 0:
		size += 2
	case flags&haveScaleXY != 0:
		size += 4
	case flags&haveTwoByTwo != 0:
		size += 8
	}
	return size
}

type table struct {
	tag  string
	data []byte
}

// sfnt writes a font file: a directory of tables in alphabetical order, each on a boundary
// of four octets, with checksums (OpenType 1.9.1, "Organization of an OpenType font").
func sfnt(tables []table) []byte {
	const magic = 0xB1B0AFBA
	n := len(tables)
	selector := bits.Len(uint(n)) - 1
	search := 16 << selector

	file := binary.BigEndian.AppendUint32(nil, 0x00010000)
	for _, v := range []int{n, search, selector, n*16 - search} {
		file = append16(file, v)
	}
	body, adjustment := []byte(nil), 0
	directory := 12 + 16*len(tables)
	for _, t := range tables {
		if t.tag == "head" {
			adjustment = directory + len(body) + 8
		}
		file = append(file, t.tag...)
		file = binary.BigEndian.AppendUint32(file, checksum(t.data))
		file = append32(file, directory+len(body))
		file = append32(file, len(t.data))
		body = append(body, t.data...)
		for len(body)%4 != 0 {
			body = append(body, 0)
		}
	}
	file = append(file, body...)
	binary.BigEndian.PutUint32(file[adjustment:], magic-checksum(file))
	return file
}

func append16(b []byte, v int) []byte {
	return binary.BigEndian.AppendUint16(b, uint16(v)) //nolint:gosec // a subset has fewer glyphs than 2¹⁵
}

func append32(b []byte, v int) []byte {
	return binary.BigEndian.AppendUint32(b, uint32(v)) //nolint:gosec // as large as the typeface at most
}

// checksum adds up big-endian words, the last one padded with zeros.
func checksum(data []byte) (sum uint32) {
	for len(data) >= 4 {
		sum += binary.BigEndian.Uint32(data)
		data = data[4:]
	}
	var rest [4]byte
	copy(rest[:], data)
	return sum + binary.BigEndian.Uint32(rest[:])
}
