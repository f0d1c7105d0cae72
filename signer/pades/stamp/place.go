package stamp

import (
	"errors"
	"fmt"
	"math"

	"github.com/rubrica-firma/rubrica/signer/pdf"
)

// Place says where on a page a stamp goes.
type Place string

// The places. A reader's view of the page counts, whatever its /Rotate.
const (
	TopLeft     Place = "corner-top-left"
	TopRight    Place = "corner-top-right"
	BottomLeft  Place = "corner-bottom-left"
	BottomRight Place = "corner-bottom-right"
	// LeftMargin and RightMargin are read upwards.
	LeftMargin   Place = "margin-left"
	RightMargin  Place = "margin-right"
	TopMargin    Place = "margin-top"
	BottomMargin Place = "margin-bottom"
	// FreeRect is Options.Rect.
	FreeRect Place = "rect"
	// InField is the rectangle of the signature field that is filled.
	InField Place = "field"
)

// Known says whether it is one of the places.
func (p Place) Known() bool {
	switch p {
	case TopLeft, TopRight, BottomLeft, BottomRight, LeftMargin, RightMargin, TopMargin, BottomMargin, FreeRect, InField:
		return true
	default:
		return false
	}
}

// ErrPlace is about a place that does not exist on the page.
var ErrPlace = errors.New("the page has no such place for a stamp")

// Page is what of a page matters for placing.
type Page struct {
	// Box is what is shown of the page: its CropBox within its MediaBox, in default user space,
	// lower left and upper right corner.
	Box [4]float64
	// Rotate is the page's, clockwise: 0, 90, 180 or 270.
	Rotate int
	// UserUnit is the size of a unit in points; zero means one (ISO 32000-2, 14.11.2).
	UserUnit float64
	// Taken are rectangles in default user space that a stamp in a corner or margin keeps
	// clear of as long as there is room: those of other signatures.
	Taken [][4]float64
	// Field is the rectangle of the field that is filled, for InField.
	Field [4]float64
}

// PageOf is what matters of a page of a PDF.
func PageOf(p pdf.Page) Page {
	box := [4]float64{
		max(p.MediaBox[0], p.CropBox[0]), max(p.MediaBox[1], p.CropBox[1]),
		min(p.MediaBox[2], p.CropBox[2]), min(p.MediaBox[3], p.CropBox[3]),
	}
	if !(box[0] < box[2] && box[1] < box[3]) {
		box = p.MediaBox // a CropBox beside the page crops nothing
	}
	return Page{Box: box, Rotate: p.Rotate, UserUnit: p.UserUnit}
}

// Placement is a stamp's place on a page.
type Placement struct {
	// Rect is the widget's /Rect, in default user space.
	Rect [4]float64
	// Box is what the appearance is laid out in.
	Box Box
	// Matrix is the appearance's /Matrix, which turns it so that it stands
	// upright for the reader, or along a margin (ISO 32000-2, 12.5.5).
	Matrix [6]float64
}

// RectArray is Rect for the widget's dictionary.
func (p Placement) RectArray() pdf.Array { return reals(p.Rect[:]...) }

// Box is the size of a stamp in points, as its reader holds it.
type Box struct{ Width, Height float64 }

// Measures of places, in points.
const (
	cornerWidth  = 212.0
	cornerSize   = 7.5 // size of the plain text in a corner
	cornerInset  = 20.0
	marginInset  = 9.0 // of a margin's stamp from the edge of the page
	marginDepth  = 42.0
	marginLength = 640.0
	spacing      = 4.0 // between stamps
)

// rect is a rectangle in the reader's view, in points from the lower left corner.
type rect struct{ x, y, width, height float64 }

func (r rect) overlaps(other rect) bool {
	return r.x < other.x+other.width-eps && other.x < r.x+r.width-eps &&
		r.y < other.y+other.height-eps && other.y < r.y+r.height-eps
}

// Locate places a stamp on a page. Options.Rect is in the reader's view of the page:
// points from its lower left corner as shown.
func Locate(o Options, page Page) (Placement, error) {
	v, err := page.view()
	if err != nil {
		return Placement{}, err
	}
	switch o.Place {
	case FreeRect:
		r := rect{o.Rect[0], o.Rect[1], o.Rect[2] - o.Rect[0], o.Rect[3] - o.Rect[1]}
		inside := r.x >= -eps && r.y >= -eps && r.x+r.width <= v.width+eps && r.y+r.height <= v.height+eps
		if !inside || !(r.width > 0 && r.height > 0) { // written so that NaN fails
			return Placement{}, fmt.Errorf("%w: rectangle %v on a page of %.0f × %.0f points", ErrPlace, o.Rect, v.width, v.height)
		}
		return v.place(r, false), nil
	case InField:
		r := v.toView(page.Field)
		if !(r.width > 0 && r.height > 0) || math.IsInf(r.width+r.height, 0) {
			return Placement{}, fmt.Errorf("%w: the field has no extent", ErrPlace)
		}
		return v.place(r, false), nil
	case LeftMargin, RightMargin, TopMargin, BottomMargin:
		return v.margin(o.Place, page.Taken)
	case TopLeft, TopRight, BottomLeft, BottomRight:
		width := min(cornerWidth, v.width-2*min(cornerInset, v.width/20))
		height, err := naturalHeight(o, width)
		if err != nil {
			return Placement{}, err
		}
		return v.corner(o.Place, Box{width, height}, page.Taken)
	default:
		return Placement{}, fmt.Errorf("%w: %q", ErrPlace, o.Place)
	}
}

// view is a page as its reader sees it, in points.
type view struct {
	page          Page
	unit          float64
	width, height float64
}

func (p Page) view() (view, error) {
	v := view{page: p, unit: p.UserUnit, width: p.Box[2] - p.Box[0], height: p.Box[3] - p.Box[1]}
	if v.unit == 0 {
		v.unit = 1
	}
	v.width, v.height = v.width*v.unit, v.height*v.unit
	area := v.width * v.height
	if !(v.width > 0 && v.height > 0 && v.unit > 0 && area <= math.MaxFloat32) {
		return view{}, fmt.Errorf("%w: the page has no extent", ErrPlace)
	}
	switch p.Rotate {
	case 0, 180:
	case 90, 270:
		v.width, v.height = v.height, v.width
	default:
		return view{}, fmt.Errorf("%w: the page is turned by %d degrees", ErrPlace, p.Rotate)
	}
	return v, nil
}

// toPage maps a point of the view to default user space.
func (v view) toPage(x, y float64) (float64, float64) {
	x, y = x/v.unit, y/v.unit
	b := v.page.Box
	switch v.page.Rotate {
	case 90:
		return b[2] - y, b[1] + x
	case 180:
		return b[2] - x, b[3] - y
	case 270:
		return b[0] + y, b[3] - x
	default:
		return b[0] + x, b[1] + y
	}
}

// toView maps a rectangle of default user space to the view.
func (v view) toView(r [4]float64) rect {
	b := v.page.Box
	corner := func(x, y float64) (float64, float64) {
		switch v.page.Rotate {
		case 90:
			return y - b[1], b[2] - x
		case 180:
			return b[2] - x, b[3] - y
		case 270:
			return b[3] - y, x - b[0]
		default:
			return x - b[0], y - b[1]
		}
	}
	x0, y0 := corner(r[0], r[1])
	x1, y1 := corner(r[2], r[3])
	return rect{
		min(x0, x1) * v.unit, min(y0, y1) * v.unit,
		math.Abs(x1-x0) * v.unit, math.Abs(y1-y0) * v.unit,
	}
}

// place is the placement of a rectangle of the view; upwards turns the text so
// that it runs from bottom to top.
func (v view) place(r rect, upwards bool) Placement {
	x0, y0 := v.toPage(r.x, r.y)
	x1, y1 := v.toPage(r.x+r.width, r.y+r.height)
	p := Placement{Box: Box{r.width, r.height}}
	p.Rect = [4]float64{min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)}
	turn := v.page.Rotate
	if upwards {
		turn = (turn + 90) % 360
		p.Box = Box{r.height, r.width}
	}
	// Counterclockwise, and moved so that the box stays in the first quadrant.
	switch turn {
	case 90:
		p.Matrix = [6]float64{0, 1, -1, 0, p.Box.Height, 0}
	case 180:
		p.Matrix = [6]float64{-1, 0, 0, -1, p.Box.Width, p.Box.Height}
	case 270:
		p.Matrix = [6]float64{0, -1, 1, 0, 0, p.Box.Width}
	default:
		p.Matrix = [6]float64{1, 0, 0, 1, 0, 0}
	}
	return p
}

// corner finds the free place nearest to a corner: above or below, then beside.
func (v view) corner(place Place, box Box, taken [][4]float64) (Placement, error) {
	insetX, insetY := min(cornerInset, v.width/20), min(cornerInset, v.height/20)
	box.Height = min(box.Height, v.height-2*insetY)
	right, top := place == TopRight || place == BottomRight, place == TopLeft || place == TopRight
	at := func(column, level int) (rect, bool) {
		r := rect{insetX + float64(column)*(box.Width+spacing), insetY + float64(level)*(box.Height+spacing), box.Width, box.Height}
		inside := r.x+r.width <= v.width-insetX+eps && r.y+r.height <= v.height-insetY+eps
		if right {
			r.x = v.width - r.x - r.width
		}
		if top {
			r.y = v.height - r.y - r.height
		}
		return r, inside
	}
	for column := 0; ; column++ {
		if _, inside := at(column, 0); !inside {
			break
		}
		for level := 0; ; level++ {
			r, inside := at(column, level)
			if !inside {
				break
			}
			if v.free(r, taken) {
				return v.place(r, false), nil
			}
		}
	}
	r, _ := at(0, 0) // a full page: the corner it is
	return v.place(r, false), nil
}

// margin finds the free strip nearest to an edge.
func (v view) margin(place Place, taken [][4]float64) (Placement, error) {
	upwards := place == LeftMargin || place == RightMargin
	along, across := v.width, v.height
	if upwards {
		along, across = across, along
	}
	depth := min(marginDepth, across/5)
	inset := min(marginInset, across/50)
	length := min(marginLength, along-2*min(cornerInset, along/20))
	strip := func(level int) (rect, bool) {
		far := inset + float64(level)*(depth+spacing)
		inside := far+depth <= across/2
		start := (along - length) / 2
		switch place {
		case LeftMargin:
			return rect{far, start, depth, length}, inside
		case RightMargin:
			return rect{v.width - far - depth, start, depth, length}, inside
		case TopMargin:
			return rect{start, v.height - far - depth, length, depth}, inside
		default:
			return rect{start, far, length, depth}, inside
		}
	}
	for level := 0; ; level++ {
		r, inside := strip(level)
		if !inside {
			break
		}
		if v.free(r, taken) {
			return v.place(r, upwards), nil
		}
	}
	r, _ := strip(0)
	return v.place(r, upwards), nil
}

func (v view) free(r rect, taken [][4]float64) bool {
	for _, t := range taken {
		if r.overlaps(v.toView(t)) {
			return false
		}
	}
	return true
}
