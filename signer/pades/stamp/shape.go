package stamp

import (
	"slices"

	"github.com/go-text/typesetting/font"
	"github.com/go-text/typesetting/harfbuzz"
	"github.com/go-text/typesetting/language"
)

// glyph is a shaped glyph; measures are thousandths of the font size.
type glyph struct {
	id font.GID
	// text is what the glyph stands for.
	text string
	// cluster is the first character that the glyph was made of.
	cluster int
	// x and y shift the glyph, advance is the way to the next one.
	x, y, advance int
}

// run is a piece of text, shaped and in visual order, left to right.
type run struct {
	glyphs []glyph
	// left and right are where the first pen position and the ink end, whichever is further
	// out; top and bottom are the ink's. All are relative to the first pen position.
	left, right, top, bottom int
}

// width is from the leftmost to the rightmost of ink and advance.
func (r run) width() int { return r.right - r.left }

// shape shapes p.runes[from:to] as a line of its own. The characters around it
// decide, as they do in one line, which form an Arabic letter takes.
func (s *shaper) shape(p *paragraph, from, to int) run {
	if r, ok := p.shaped[[2]int{from, to}]; ok {
		return r
	}
	var r run
	for _, part := range visual(p.levels, from, to) {
		scripts := split(p.runes, part)
		if part.level%2 == 1 {
			slices.Reverse(scripts)
		}
		for _, stretch := range scripts {
			r.glyphs = append(r.glyphs, s.glyphs(p, stretch)...)
		}
	}
	r = s.measured(r.glyphs)
	p.shaped[[2]int{from, to}] = r
	return r
}

// measured is a run with its bounds; a unit is added for what rounding hides.
func (s *shaper) measured(glyphs []glyph) run {
	r := run{glyphs: glyphs}
	pen := 0
	for _, g := range glyphs {
		if box, ok := s.face.GlyphExtents(g.id); ok && box.Width != 0 {
			left := pen + g.x + s.thousandths(float64(box.XBearing)) - 1
			top := g.y + s.thousandths(float64(box.YBearing)) + 1
			r.left = min(r.left, left)
			r.right = max(r.right, left+s.thousandths(float64(box.Width))+3)
			r.top = max(r.top, top)
			r.bottom = min(r.bottom, top+s.thousandths(float64(box.Height))-3)
		}
		pen += g.advance
		r.left, r.right = min(r.left, pen), max(r.right, pen)
	}
	return r
}

// plain is a text that is shown character by character, without shaping, as
// one that is overwritten has to be.
func (s *shaper) plain(text string) *paragraph {
	var glyphs []glyph
	for i, r := range text {
		g, _ := s.face.NominalGlyph(r)
		glyphs = append(glyphs, glyph{id: g, text: string(r), cluster: i, advance: s.advance(g)})
	}
	runes := []rune(text)
	return &paragraph{
		runes: runes, meant: runes, words: []int{len(runes)},
		shaped: map[[2]int]run{{0, len(runes)}: s.measured(glyphs)},
	}
}

// stretch is a part of a text with one direction and, once split, one script.
type stretch struct {
	from, to int
	level    int
	script   language.Script
}

// split cuts a stretch where the script changes; characters common to all scripts
// go with the ones before them, or at the start with the ones behind (UAX 24, 5.1).
func split(runes []rune, whole stretch) []stretch {
	whole.script = language.Common
	parts := []stretch{whole}
	for i := whole.from; i < whole.to; i++ {
		script := language.LookupScript(runes[i])
		current := &parts[len(parts)-1]
		switch {
		case !script.Strong() || script == current.script:
		case current.script == language.Common:
			current.script = script
		default:
			current.to = i
			parts = append(parts, stretch{from: i, to: whole.to, level: whole.level, script: script})
		}
	}
	return parts
}

// glyphs shapes a stretch. Each glyph gets the text that it stands for: its
// character's, all of a ligature's, or nothing but a zero-width space for what
// belongs to the glyph beside it.
func (s *shaper) glyphs(p *paragraph, part stretch) []glyph {
	b := s.buffer
	b.Clear()
	b.ClusterLevel = harfbuzz.MonotoneCharacters
	b.AddRunes(p.runes, part.from, part.to-part.from)
	b.Props = harfbuzz.SegmentProperties{Direction: harfbuzz.LeftToRight, Script: part.script, Language: language.NewLanguage("es")}
	if part.level%2 == 1 {
		b.Props.Direction = harfbuzz.RightToLeft
	}
	b.Shape(s.font, nil)

	shaped := make([]glyph, 0, len(b.Info))
	for i, info := range b.Info {
		pos := b.Pos[i]
		shaped = append(shaped, glyph{
			id:      info.Glyph,
			cluster: info.Cluster,
			x:       s.thousandths(float64(pos.XOffset)),
			y:       s.thousandths(float64(pos.YOffset)),
			// Kerning is rounded, not the sum: digits stay as wide as /W says.
			advance: s.advance(info.Glyph) + s.thousandths(float64(int(pos.XAdvance))-s.fontAdvance(info.Glyph)),
		})
	}
	return s.attribute(p, part, shaped)
}

func (s *shaper) fontAdvance(g font.GID) float64 {
	advance, _ := s.metrics(g)
	return float64(advance)
}

// attribute tells the glyphs of a stretch which characters they stand for.
func (s *shaper) attribute(p *paragraph, part stretch, glyphs []glyph) []glyph {
	starts := []int{part.to}
	for _, g := range glyphs {
		starts = append(starts, g.cluster)
	}
	slices.Sort(starts)
	starts = slices.Compact(starts)

	told := make([]glyph, 0, len(glyphs))
	for i := 0; i < len(glyphs); {
		n := 1
		for i+n < len(glyphs) && glyphs[i+n].cluster == glyphs[i].cluster {
			n++
		}
		at, _ := slices.BinarySearch(starts, glyphs[i].cluster)
		meant := p.meant[starts[at]:starts[at+1]]
		if part.level%2 == 1 {
			told = append(told, s.leftwards(glyphs[i:i+n], meant)...)
		} else {
			told = append(told, rightwards(glyphs[i:i+n], meant)...)
		}
		i += n
	}
	return told
}

// nothing is what a glyph stands for that only completes another one.
const nothing = '\u200b' // zero width space

// rightwards gives the text of a cluster to its first glyph.
func rightwards(glyphs []glyph, meant []rune) []glyph {
	for i := range glyphs {
		glyphs[i].text = string(nothing)
	}
	glyphs[0].text = string(meant)
	return glyphs
}

// leftwards spreads the text of a cluster over its glyphs from right to left.
// Readers turn what they extract around, some of them also the text of a single glyph:
// so each glyph of a ligature stands for one character, and blanks without width for the others.
func (s *shaper) leftwards(glyphs []glyph, meant []rune) []glyph {
	blank, _ := s.face.NominalGlyph(nothing)
	for len(glyphs) < len(meant) {
		glyphs = append(slices.Clip(glyphs), glyph{id: blank, cluster: glyphs[0].cluster, advance: s.advance(blank)})
	}
	for i := range glyphs {
		glyphs[i].text = string(nothing)
		if fromRight := len(glyphs) - 1 - i; fromRight < len(meant) {
			glyphs[i].text = string(meant[fromRight])
		}
	}
	return glyphs
}
