package stamp

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/go-text/typesetting/segmenter"
	"golang.org/x/text/unicode/norm"
)

// maxText is how long one text of a stamp may be, in characters: far more than
// stays legible, and few enough to be laid out in milliseconds.
const maxText = 500

// substitute is drawn in place of characters that the typeface lacks.
const substitute = unicode.ReplacementChar

const (
	zeroWidthNonJoiner = '\u200c' // meaningful in Persian words
	zeroWidthJoiner    = '\u200d'
)

// paragraph is one text, cleaned and analysed, before it is cut into lines.
type paragraph struct {
	// runes are what is drawn, meant is what they stand for: the two differ
	// where the typeface lacks a character.
	runes, meant []rune
	levels       []int
	// words and graphemes are where a line may end, as positions behind it,
	// the end of the text included.
	words, graphemes []int
	// widths[i] is the width of runes[:i] on one line, in logical order.
	widths []int
	shaped map[[2]int]run
}

// clean makes one line of a text: composed (NFC), blanks folded, without
// controls. Directional controls go too: they could show a name as another one
// (Unicode Technical Report 36, 3.1).
func clean(s string) string {
	s = norm.NFC.String(strings.ToValidUTF8(s, string(substitute)))
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r) || unicode.IsControl(r):
			return ' '
		case r == zeroWidthJoiner || r == zeroWidthNonJoiner:
			return r
		case unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Variation_Selector, r):
			return -1
		}
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}

// paragraph cleans and analyses a text. Characters that the typeface lacks are
// added to missing.
func (s *shaper) paragraph(text string, missing map[rune]bool) (*paragraph, error) {
	meant := []rune(clean(text))
	if len(meant) > maxText {
		return nil, fmt.Errorf("%w: %d characters, at most %d", ErrTooLong, len(meant), maxText)
	}
	p := &paragraph{meant: meant, runes: slices.Clone(meant), shaped: map[[2]int]run{}}
	for i, r := range meant {
		if !s.draws(r) {
			p.runes[i] = substitute
			missing[r] = true
		}
	}
	if len(meant) == 0 {
		return p, nil
	}
	p.levels = levels(p.runes)
	var seg segmenter.Segmenter
	seg.Init(p.runes)
	for lines := seg.LineIterator(); lines.Next(); {
		p.words = append(p.words, lines.Line().Offset+len(lines.Line().Text))
	}
	for graphemes := seg.GraphemeIterator(); graphemes.Next(); {
		p.graphemes = append(p.graphemes, graphemes.Grapheme().Offset+len(graphemes.Grapheme().Text))
	}
	p.widths = make([]int, len(p.runes)+1)
	for _, g := range s.shape(p, 0, len(p.runes)).glyphs {
		p.widths[g.cluster+1] += g.advance
	}
	for i := range p.runes {
		p.widths[i+1] += p.widths[i]
	}
	return p, nil
}

// draws says whether the typeface has a character, whole or in parts.
func (s *shaper) draws(r rune) bool {
	if s.has(r) || r == zeroWidthJoiner || r == zeroWidthNonJoiner {
		return true
	}
	parts := []rune(norm.NFD.String(string(r)))
	if len(parts) < 2 {
		return false
	}
	return !slices.ContainsFunc(parts, func(part rune) bool { return !s.has(part) })
}

// cut is where a line that starts at from may end so that it is not wider
// than room: behind a word, else, if anywhere is set, behind any character.
// The line's text ends at end, the next one starts at next; next is from where nothing fits.
func (s *shaper) cut(p *paragraph, from, room int, anywhere bool) (end, next int) {
	for _, ends := range [][]int{p.words, p.graphemes} {
		for _, next := range slices.Backward(ends) {
			if next <= from {
				break
			}
			end := next
			for end > from+1 && p.runes[end-1] == ' ' {
				end--
			}
			if p.widths[end]-p.widths[from] <= room && s.shape(p, from, end).width() <= room {
				return end, next
			}
		}
		if !anywhere {
			break
		}
	}
	return from, from
}
