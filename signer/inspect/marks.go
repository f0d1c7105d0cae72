package inspect

import (
	"math"

	"github.com/rubrica-firma/rubrica/signer/pdf"
)

const (
	// maxContent bounds the content that is read of one page.
	maxContent = 16 << 20
	// maxMarks bounds what is remembered of one page.
	maxMarks = 50_000
	// maxForms bounds how deep forms may hold forms.
	maxForms = 8
)

// rectangle is left, bottom, right, top.
type rectangle [4]float64

func (r rectangle) area() float64 {
	return max(0, r[2]-r[0]) * max(0, r[3]-r[1])
}

func (r rectangle) contains(x, y float64) bool {
	return x > r[0] && x < r[2] && y > r[1] && y < r[3]
}

func (r rectangle) meets(o rectangle) bool {
	return r[0] < o[2] && o[0] < r[2] && r[1] < o[3] && o[1] < r[3]
}

// matrix maps (x, y) to (a·x + c·y + e, b·x + d·y + f) (ISO 32000-2, 8.3.3).
type matrix [6]float64

func identity() matrix { return matrix{1, 0, 0, 1, 0, 0} }

// after is the mapping that does m first and then o.
func (m matrix) after(o matrix) matrix {
	return matrix{
		m[0]*o[0] + m[1]*o[2], m[0]*o[1] + m[1]*o[3],
		m[2]*o[0] + m[3]*o[2], m[2]*o[1] + m[3]*o[3],
		m[4]*o[0] + m[5]*o[2] + o[4], m[4]*o[1] + m[5]*o[3] + o[5],
	}
}

func (m matrix) apply(x, y float64) (float64, float64) {
	return m[0]*x + m[2]*y + m[4], m[1]*x + m[3]*y + m[5]
}

// point is somewhere on a page at which a letter or a picture stands.
type point struct{ x, y float64 }

// drawing follows a content stream as far as to know where it says something:
// where each piece of text begins and ends, roughly, and where the middle of
// each image is. It knows no fonts; a letter counts as half its size.
type drawing struct {
	reader *reader
	marks  []point
	paints bool // fills an area, without transparency
	active map[*pdf.Stream]bool
}

// marksOf gives what the content of a page, without annotations, says where.
func (r *reader) marksOf(page pdf.Page) []point {
	d := &drawing{reader: r, active: map[*pdf.Stream]bool{}}
	var content []byte
	for _, s := range r.contents(page.Dict["Contents"]) {
		content = append(content, r.data(s, maxContent)...)
		content = append(content, '\n')
		if len(content) > maxContent {
			break
		}
	}
	d.draw(content, r.dict(page.Resources), identity(), 0)
	return d.marks
}

// contents are the streams of a page's content (ISO 32000-2, table 31).
func (r *reader) contents(o pdf.Object) []*pdf.Stream {
	if s := r.stream(o); s != nil {
		return []*pdf.Stream{s}
	}
	var streams []*pdf.Stream
	for _, member := range r.array(o) {
		if s := r.stream(member); s != nil && len(streams) < maxOperands {
			streams = append(streams, s)
		}
	}
	return streams
}

// opaque says whether an appearance can hide what lies beneath it.
func (r *reader) opaque(appearance *pdf.Stream) bool {
	if appearance == nil {
		return false
	}
	d := &drawing{reader: r, active: map[*pdf.Stream]bool{appearance: true}}
	d.draw(r.data(appearance, maxContent), r.dict(appearance.Dict["Resources"]), identity(), 0)
	return d.paints
}

// covered says how many of the marks lie within a rectangle.
func (r *reader) covered(marks []point, box rectangle) int {
	n := 0
	if !r.spend(&r.operations, len(marks), maxOperations) {
		return n
	}
	for _, mark := range marks {
		if box.contains(mark.x, mark.y) {
			n++
		}
	}
	return n
}

// state is the part of the graphics state that matters here.
type state struct {
	ctm         matrix
	size        float64
	transparent bool
}

func (d *drawing) draw(content []byte, resources pdf.Dict, ctm matrix, depth int) {
	now := state{ctm: ctm}
	var saved []state
	text, line := identity(), identity()
	leading := 0.0
	newLine := func(x, y float64) {
		line = matrix{1, 0, 0, 1, x, y}.after(line)
		text = line
	}
	show := func(width float64) {
		x, y := text.after(now.ctm).apply(0, now.size/3)
		d.mark(x, y)
		text = matrix{1, 0, 0, 1, width * now.size / 2, 0}.after(text)
		x, y = text.after(now.ctm).apply(-now.size/4, now.size/3)
		d.mark(x, y)
	}
	for op := range operations(content) {
		if !d.reader.spend(&d.reader.operations, 1, maxOperations) {
			return
		}
		switch op.operator {
		case "q":
			if len(saved) < 256 {
				saved = append(saved, now)
			}
		case "Q":
			if len(saved) > 0 {
				now, saved = saved[len(saved)-1], saved[:len(saved)-1]
			}
		case "cm":
			now.ctm = matrix(op.numbers()).after(now.ctm)
		case "gs":
			now.transparent = now.transparent || d.transparent(resources, op.name(0))
		case "BT":
			text, line = identity(), identity()
		case "Tf":
			now.size = op.number(1)
		case "TL":
			leading = op.number(0)
		case "Td":
			newLine(op.number(0), op.number(1))
		case "TD":
			leading = -op.number(1)
			newLine(op.number(0), op.number(1))
		case "Tm":
			line = matrix(op.numbers())
			text = line
		case "T*":
			newLine(0, -leading)
		case "'", "\"":
			newLine(0, -leading)
			show(shownLength(op.operands))
		case "Tj", "TJ":
			show(shownLength(op.operands))
		case "f", "F", "f*", "B", "B*", "b", "b*", "sh":
			d.paints = d.paints || !now.transparent
		case "BI":
			d.paints = d.paints || !now.transparent
			d.mark(now.ctm.apply(0.5, 0.5))
		case "Do":
			d.object(op.name(0), resources, now, depth)
		}
	}
}

// shownLength counts octets that are shown: letters, or twice that.
func shownLength(operands []pdf.Object) float64 {
	n := 0
	for _, o := range operands {
		switch v := o.(type) {
		case pdf.String:
			n += len(v)
		case pdf.Array:
			for _, member := range v {
				if s, ok := member.(pdf.String); ok {
					n += len(s)
				}
			}
		}
	}
	return float64(n)
}

func (d *drawing) mark(x, y float64) {
	if len(d.marks) < maxMarks && !math.IsNaN(x) && !math.IsNaN(y) {
		d.marks = append(d.marks, point{x, y})
	}
}

// object draws an image or a form.
func (d *drawing) object(name pdf.Name, resources pdf.Dict, now state, depth int) {
	r := d.reader
	s := r.stream(r.dict(resources["XObject"])[name])
	if s == nil {
		return
	}
	switch r.name(s.Dict["Subtype"]) {
	case "Image":
		// A mask or soft mask may leave everything visible, or nothing.
		d.paints = d.paints || !now.transparent
		d.mark(now.ctm.apply(0.5, 0.5))
	case "Form":
		if depth >= maxForms || d.active[s] {
			return
		}
		d.active[s] = true
		ctm := now.ctm
		if n := r.numbers(s.Dict["Matrix"]); len(n) == 6 {
			ctm = matrix(n).after(ctm)
		}
		inner := resources
		if own := r.dict(s.Dict["Resources"]); len(own) > 0 {
			inner = own
		}
		painted := d.paints
		d.draw(r.data(s, maxContent), inner, ctm, depth+1)
		d.paints = painted || d.paints && !now.transparent
		delete(d.active, s)
	}
}

// transparent says whether a graphics state lets shine through what lies beneath.
func (d *drawing) transparent(resources pdf.Dict, name pdf.Name) bool {
	r := d.reader
	gs := r.dict(r.dict(resources["ExtGState"])[name])
	if alpha := r.get(gs["ca"]); alpha != nil && float(alpha) < 0.9 {
		return true
	}
	mode := r.name(gs["BM"])
	return mode == "Multiply" || mode == "Darken"
}
