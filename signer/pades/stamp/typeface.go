package stamp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/go-fonts/dejavu/dejavusans"
	"github.com/go-text/typesetting/font"
	"github.com/go-text/typesetting/font/opentype"
	"github.com/go-text/typesetting/font/opentype/tables"
	"github.com/go-text/typesetting/harfbuzz"
)

// em is what all glyph measures are in: thousandths of the font size, as PDF
// has them (ISO 32000-2, 9.2.4).
const em = 1000

// errTypeface is about the built-in font and never about what one asks for.
var errTypeface = errors.New("the built-in font cannot be used")

// typeface is DejaVu Sans: the tables for shaping, and those that a subset is
// cut from. It is read once and only read after that.
type typeface struct {
	font   *font.Font
	upem   int
	glyf   []byte
	loca   []uint32
	hmtx   []byte
	head   []byte
	hhea   []byte
	maxp   []byte
	longs  int // how many entries of hmtx hold an advance
	glyphs int
}

// loadTypeface reads DejaVu Sans at its first call.
var loadTypeface = sync.OnceValues(func() (*typeface, error) { return newTypeface(dejavusans.TTF) })

func newTypeface(ttf []byte) (*typeface, error) {
	loader, err := opentype.NewLoader(bytes.NewReader(ttf))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errTypeface, err)
	}
	f, err := font.NewFont(loader)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errTypeface, err)
	}
	t := &typeface{font: f, upem: int(f.Upem())}
	var loca []byte
	for name, table := range map[string]*[]byte{
		"glyf": &t.glyf, "loca": &loca, "hmtx": &t.hmtx, "head": &t.head, "hhea": &t.hhea, "maxp": &t.maxp,
	} {
		if *table, err = loader.RawTable(opentype.MustNewTag(name)); err != nil {
			return nil, fmt.Errorf("%w: table %s: %w", errTypeface, name, err)
		}
	}
	if len(t.head) < 54 || len(t.hhea) < 36 || len(t.maxp) < 32 || t.upem == 0 {
		return nil, fmt.Errorf("%w: short tables", errTypeface)
	}
	t.glyphs = int(binary.BigEndian.Uint16(t.maxp[4:]))
	t.longs = int(binary.BigEndian.Uint16(t.hhea[34:]))
	if t.longs == 0 || len(t.hmtx) < 4*t.longs+2*(t.glyphs-t.longs) {
		return nil, fmt.Errorf("%w: short hmtx", errTypeface)
	}
	if t.loca, err = tables.ParseLoca(loca, t.glyphs, binary.BigEndian.Uint16(t.head[50:]) == 1); err != nil {
		return nil, fmt.Errorf("%w: table loca: %w", errTypeface, err)
	}
	return t, nil
}

// shaper is a view of the typeface for one stamp: its caches are not shared.
type shaper struct {
	*typeface
	face   *font.Face
	buffer *harfbuzz.Buffer
	font   *harfbuzz.Font
}

func (t *typeface) shaper() *shaper {
	face := font.NewFace(t.font)
	return &shaper{typeface: t, face: face, buffer: harfbuzz.NewBuffer(), font: harfbuzz.NewFont(face)}
}

// has says whether a character has a glyph.
func (s *shaper) has(r rune) bool {
	_, ok := s.face.NominalGlyph(r)
	return ok
}

// thousandths turns font units into thousandths of the font size.
func (t *typeface) thousandths(units float64) int {
	return int(math.Round(units * em / float64(t.upem)))
}

// advance is the width of a glyph as the subset's hmtx and /W will have it.
func (t *typeface) advance(g font.GID) int {
	advance, _ := t.metrics(g)
	return t.thousandths(float64(advance))
}

// metrics are the advance width and the left side bearing in font units.
func (t *typeface) metrics(g font.GID) (advance, bearing uint16) {
	i := int(g)
	if i < t.longs {
		return binary.BigEndian.Uint16(t.hmtx[4*i:]), binary.BigEndian.Uint16(t.hmtx[4*i+2:])
	}
	return binary.BigEndian.Uint16(t.hmtx[4*(t.longs-1):]), binary.BigEndian.Uint16(t.hmtx[4*t.longs+2*(i-t.longs):])
}

// outline is a glyph's record in glyf; a space has none.
func (t *typeface) outline(g font.GID) ([]byte, error) {
	if int(g) >= t.glyphs || int(g)+1 >= len(t.loca) {
		return nil, fmt.Errorf("%w: glyph %d", errTypeface, g)
	}
	from, to := int(t.loca[g]), int(t.loca[g+1])
	if from > to || to > len(t.glyf) {
		return nil, fmt.Errorf("%w: glyph %d", errTypeface, g)
	}
	return t.glyf[from:to], nil
}
