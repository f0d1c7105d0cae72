package stamp

import (
	"math"
	"slices"
)

// The measures of a stamp's look, in points where not said otherwise.
const (
	padding = 4.0 // between the border of the box and what is in it
	bar     = 1.5 // width of the rule on the left of a block
	gutter  = 6.0 // between columns: rule, text, check code

	largest  = 11.0 // size of the plain text of a block in a roomy box
	discreet = 8.5  // and of a strip
	smallest = 2.5  // below, nobody could read it in print
	step     = 0.96 // from a size that is too large to the next one

	squeeze = 0.8 // how far a row shrinks rather than wrap

	ascent  = 790 // what a line takes above and below its base at least, in thousandths
	descent = 240 // of its size; taller ink takes more
	leading = 0.08

	eps = 1e-6
)

// Shades of grey, from black to white. The lightest is still 4.5 to 1 on white
// (WCAG 2.2, 1.4.3).
const (
	black = 0.0
	grey  = 0.38
	light = 0.44
)

// cell is a text in a row.
type cell struct {
	text  *paragraph
	scale float64 // of the plain size
	grey  float64
	gap   float64 // distance from the cell before it, in ems
	// together says not to break a text that fits on a line of its own, fixed
	// not to break it at all, label not to leave it at the end of a line.
	together, fixed, label bool
}

// row is a line of cells, or several where one is not wide enough.
type row struct {
	cells []cell
	above float64 // distance from the row above, in ems
}

// piece is a text where it stands: x and y of its first pen position, measured
// rightwards and downwards from the upper left corner of the text area.
type piece struct {
	x, y, size, grey float64
	run              run
	fixed            bool
}

// area is text laid out.
type area struct {
	pieces []piece
	height float64
	size   float64 // of the plain text
}

// fit lays rows out as large as the room allows: first each row shrinks a
// little, then it wraps, then all becomes smaller. It says false if that would
// be too small to read.
func (s *shaper) fit(rows []row, width, height, size float64) (area, bool) {
	for ; size >= smallest; size *= step {
		if s.surface(rows)*size*size > width*height {
			continue
		}
		if a, ok := s.arrange(rows, width, size); ok && a.height <= height+eps {
			return a, true
		}
	}
	return area{}, false
}

// surface is less than rows take at size one, however they are laid out: it
// saves trying sizes that are out of the question.
func (s *shaper) surface(rows []row) float64 {
	const sure = 0.5 * (ascent + descent) / em // blanks at the ends of lines take no room
	total := 0.0
	for _, r := range rows {
		for _, c := range r.cells {
			total += s.width(c) * c.scale * sure
		}
	}
	return total * squeeze
}

// arrange lays rows out at one size. It says false if a character or a fixed
// text is wider than the room.
func (s *shaper) arrange(rows []row, width, size float64) (area, bool) {
	a := area{size: size}
	for i, r := range rows {
		if i > 0 {
			a.height += r.above * size
		}
		if !s.flow(&a, r, width, size) {
			return area{}, false
		}
	}
	return a, true
}

// flow adds a row to an area.
func (s *shaper) flow(a *area, r row, width, size float64) bool {
	natural := 0.0
	for i, c := range r.cells {
		if i > 0 {
			natural += c.gap * size
		}
		natural += size * s.width(c)
	}
	shrink := 1.0
	if natural > width && width >= squeeze*natural {
		shrink = width / natural
	}
	cells := slices.Clone(r.cells)
	for i := range cells {
		// Two decimals are what the content stream will have.
		cells[i].scale = math.Floor(cells[i].scale*size*shrink*100) / 100
		cells[i].gap *= size * shrink
		if cells[i].scale <= 0 {
			return false
		}
	}
	l := line{area: a, start: len(a.pieces)}
	for i, c := range cells {
		if c.label && l.x > 0 && i+1 < len(cells) && l.x+c.gap+s.width(c)+cells[i+1].gap+s.least(cells[i+1], width) > width+eps {
			l.end()
		}
		if !s.pour(&l, c, width) {
			return false
		}
	}
	l.end()
	return true
}

// least is how much of a cell has to stand beside its label.
func (s *shaper) least(c cell, width float64) float64 {
	if whole := s.width(c); c.fixed || c.together && whole <= width {
		return whole
	}
	return float64(s.shape(c.text, 0, c.text.words[0]).width()) * c.scale / em
}

// pour adds a cell, whose scale is its size by now, to the lines of a row.
func (s *shaper) pour(l *line, c cell, width float64) bool {
	all := len(c.text.runes)
	for from := 0; from < all; {
		room := width - l.x
		if l.x > 0 {
			room -= c.gap
		}
		whole := from == 0 && (c.fixed || c.together && s.width(c) <= width+eps)
		end, next := from, from
		switch {
		case whole && s.width(c) <= room+eps:
			end, next = all, all
		case !whole && room > 0:
			end, next = s.cut(c.text, from, int(room*em/c.scale), l.x == 0)
		}
		if next == from {
			if l.x == 0 {
				return false
			}
			l.end()
			continue
		}
		l.add(s.shape(c.text, from, end), c)
		if from = next; from < all {
			l.end()
		}
	}
	return true
}

// width is a cell's on one line; its scale is its size by now.
func (s *shaper) width(c cell) float64 {
	return float64(s.shape(c.text, 0, len(c.text.runes)).width()) * c.scale / em
}

// line is the line of an area that is being filled.
type line struct {
	area  *area
	start int // the line's first piece
	x     float64
}

func (l *line) add(r run, c cell) {
	if l.x > 0 {
		l.x += c.gap
	}
	l.area.pieces = append(l.area.pieces, piece{
		x: l.x - float64(r.left)*c.scale/em, size: c.scale, grey: c.grey, run: r, fixed: c.fixed,
	})
	l.x += float64(r.width()) * c.scale / em
}

// end puts the line's pieces on one base line, below the lines before it.
func (l *line) end() {
	above, below := 0.0, 0.0
	pieces := l.area.pieces[l.start:]
	for _, p := range pieces {
		above = max(above, p.size*float64(max(ascent, p.run.top))/em)
		below = max(below, p.size*float64(max(descent, -p.run.bottom))/em)
	}
	for i := range pieces {
		pieces[i].y = l.area.height + above
	}
	l.area.height += above + below + leading*above
	l.start, l.x = len(l.area.pieces), 0
}
