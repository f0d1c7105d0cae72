package pdf

import (
	"slices"

	"github.com/rubrica-firma/rubrica/policies"
)

// maxPages bounds the walk over the page tree.
const maxPages = 20_000

// Page is a page with what it inherits (ISO 32000-2, 7.7.3).
type Page struct {
	Ref  Ref
	Dict Dict // the page's own
	// MediaBox and CropBox are left, bottom, right, top, in user space; A4 where
	// the page does not say or says nonsense. CropBox is cut to MediaBox.
	MediaBox, CropBox [4]float64
	// Rotate is 0, 90, 180 or 270 degrees, clockwise.
	Rotate int
	// UserUnit is the size of a unit in 1/72 inch.
	UserUnit float64
	// Resources is as it stands, maybe a reference; nil if there are none.
	Resources Object
}

// Size is width and height of the page as it is shown, in units of user space,
// rotation applied.
func (p Page) Size() (width, height float64) {
	width, height = p.CropBox[2]-p.CropBox[0], p.CropBox[3]-p.CropBox[1]
	if p.Rotate%180 != 0 {
		return height, width
	}
	return width, height
}

// Pages walks the page tree. /Count is not trusted.
func (f *File) Pages() ([]Page, error) {
	var pages []Page
	err := f.walk(false, func(p Page) bool {
		pages = append(pages, p)
		return true
	})
	if err == nil && len(pages) == 0 {
		err = f.src.damaged("no pages")
	}
	if err != nil {
		return nil, err
	}
	return pages, nil
}

// Page gives the page of a number: 1 is the first, -1 the last. It walks no
// further than it must, and says false if there is no such page.
func (f *File) Page(number int) (Page, bool, error) {
	var page Page
	left := max(number, -number)
	err := f.walk(number < 0, func(p Page) bool {
		left--
		page = p
		return left > 0
	})
	return page, number != 0 && left == 0, err
}

// node is a node of the page tree with what it inherits.
type node struct {
	object    Object
	inherited Dict
}

// walk goes through the page tree with a stack of its own: the tree may be
// deep, and a node that comes twice is a loop or a page shown twice under one
// identity.
func (f *File) walk(backwards bool, visit func(Page) bool) error {
	visited := map[Ref]bool{}
	for stack := []node{{f.catalog["Pages"], Dict{}}}; len(stack) > 0; {
		n := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		id, ok := n.object.(Ref)
		if !ok || visited[id] {
			return f.src.damaged("the page tree is not a tree")
		}
		visited[id] = true
		d, err := f.Dict(id)
		if err != nil {
			return err
		}
		attributes := inherit(n.inherited, d)
		leaf, err := f.isPage(d)
		if err != nil {
			return err
		}
		if leaf {
			if !visit(f.page(id, d, attributes)) {
				return nil
			}
			continue
		}
		kids, err := f.Array(d["Kids"])
		if err != nil {
			return err
		}
		if len(visited)+len(stack)+len(kids) > 2*maxPages {
			return refuse(policies.DocumentTooComplex, "too many pages")
		}
		if !backwards {
			kids = slices.Clone(kids)
			slices.Reverse(kids)
		}
		for _, kid := range kids {
			stack = append(stack, node{kid, attributes})
		}
	}
	return nil
}

// isPage tells pages from nodes. Where /Type is missing, viewers go by /Kids.
func (f *File) isPage(d Dict) (bool, error) {
	kind, err := f.Name(d["Type"])
	if err != nil {
		return false, err
	}
	switch {
	case kind == "Page" && d["Kids"] == nil, kind == "" && d["Kids"] == nil && len(d) > 0:
		return true, nil
	case kind == "Pages", kind == "" && d["Kids"] != nil:
		return false, nil
	default:
		return false, f.src.damaged("page tree")
	}
}

// inherit gives the attributes that kids of a node inherit.
func inherit(from, d Dict) Dict {
	out := from
	for _, key := range []Name{"MediaBox", "CropBox", "Rotate", "Resources"} {
		if d[key] == nil {
			continue
		}
		if out = out.Clone(); d[key] != nil {
			out[key] = d[key]
		}
	}
	return out
}

func (f *File) page(id Ref, d, attributes Dict) Page {
	p := Page{Ref: id, Dict: d, MediaBox: [4]float64{0, 0, 595, 842}, UserUnit: 1, Resources: attributes["Resources"]}
	if box, err := f.Rect(attributes["MediaBox"]); err == nil && !empty(box) {
		p.MediaBox = box
	}
	p.CropBox = p.MediaBox
	if box, err := f.Rect(attributes["CropBox"]); err == nil {
		if box = intersect(box, p.MediaBox); !empty(box) {
			p.CropBox = box
		}
	}
	if rotate, err := f.Int(attributes["Rotate"], 0); err == nil && rotate%90 == 0 {
		p.Rotate = int((rotate%360 + 360) % 360)
	}
	if unit, err := f.Float(d["UserUnit"], 1); err == nil && unit > 0 {
		p.UserUnit = unit
	}
	return p
}

func empty(box [4]float64) bool { return !(box[2] > box[0] && box[3] > box[1]) }

func intersect(a, b [4]float64) [4]float64 {
	return [4]float64{max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])}
}
