package inspect

import (
	"fmt"
	"slices"

	"github.com/rubrica-firma/rubrica/signer/pdf"
)

// pageTree compares the inner nodes: pages inherit from them.
func (d *differ) pageTree(older, newer pdf.Object) {
	type nodes struct{ a, b pdf.Ref }
	first, isOld := older.(pdf.Ref)
	other, isNew := newer.(pdf.Ref)
	if !isOld || !isNew || first != other {
		d.forbid(PagesChanged, "/Pages")
		return
	}
	inner := d.nodes()
	visited := map[pdf.Ref]bool{}
	for stack := []nodes{{first, other}}; len(stack) > 0; {
		n := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if visited[n.a] {
			continue
		}
		visited[n.a] = true
		a, b := d.old.dict(n.a), d.new.dict(n.b)
		for _, key := range []pdf.Name{"Type", "Parent", "Count", "Resources", "MediaBox", "CropBox", "Rotate"} {
			if d.differs(a[key], b[key]) {
				d.forbid(PagesChanged, "page tree, /"+string(key))
			}
		}
		was, is := d.old.array(a["Kids"]), d.new.array(b["Kids"])
		if !slices.Equal(was, is) {
			d.forbid(PagesChanged, "page tree, /Kids")
			return
		}
		for i := range was {
			kid, isRef := was[i].(pdf.Ref)
			if isRef && inner[kid] {
				stack = append(stack, nodes{kid, kid})
			}
		}
	}
}

// pages compares page by page.
func (d *differ) pages() {
	if len(d.oldPages) != len(d.newPages) {
		d.forbid(PagesChanged, fmt.Sprintf("%d pages instead of %d", len(d.newPages), len(d.oldPages)))
		return
	}
	widgets := map[pdf.Ref]*field{}
	for _, n := range d.newFields {
		widgets[n.ref] = n
	}
	known := map[pdf.Ref]bool{}
	for _, n := range d.oldFields {
		known[n.ref] = true
	}
	for i, older := range d.oldPages {
		newer := d.newPages[i]
		if older.Ref != newer.Ref {
			d.forbid(PagesChanged, fmt.Sprintf("page %d is another", i+1))
			continue
		}
		d.page(older.Dict, newer.Dict, fmt.Sprintf("page %d", i+1))
		d.annotations(i, widgets, known)
	}
}

func (d *differ) page(older, newer pdf.Dict, where string) {
	for _, key := range keys(older, newer) {
		switch key {
		case "Annots":
		case "LastModified", "PieceInfo", "Metadata":
			if d.probe(older[key], newer[key]) {
				d.tell(MetadataChanged, Permitted, where+", /"+string(key))
			}
		case "Tabs", "StructParents":
			// New fields bring these along; what was there has to stay.
			if older[key] != nil && d.differs(older[key], newer[key]) {
				d.forbid(PageChanged, where+", /"+string(key))
			}
		default:
			if d.differs(older[key], newer[key]) {
				d.forbid(PageChanged, where+", /"+string(key))
			}
		}
	}
}

// annotations compares a page's list and those of its members that are no fields.
func (d *differ) annotations(index int, widgets map[pdf.Ref]*field, known map[pdf.Ref]bool) {
	where := fmt.Sprintf("page %d", index+1)
	older, newer := d.old.array(d.oldPages[index].Dict["Annots"]), d.new.array(d.newPages[index].Dict["Annots"])
	kept := map[pdf.Ref]bool{}
	for _, o := range newer {
		if ref, ok := o.(pdf.Ref); ok {
			kept[ref] = true
		}
	}
	var order []pdf.Object
	before := map[pdf.Ref]bool{}
	for i, o := range older {
		ref, ok := o.(pdf.Ref)
		switch {
		case !ok: // a direct one has no name: it stays in its place
			if i >= len(newer) || d.differs(o, newer[i]) {
				d.forbid(AnnotationChanged, where)
			}
		case !kept[ref]:
			d.removed(ref, where)
		default:
			order = append(order, o)
			before[ref] = true
			if !known[ref] {
				d.annotation(ref, where)
			}
		}
	}
	var now []pdf.Object
	for i, o := range newer {
		ref, ok := o.(pdf.Ref)
		switch {
		case !ok:
			if i >= len(older) || isRef(older[i]) {
				d.newAnnotation(index, d.new.dict(o), where)
			}
		case before[ref]:
			now = append(now, o)
		case widgets[ref] != nil:
			d.newWidget(widgets[ref], known[ref], where)
		default:
			d.newAnnotation(index, d.new.dict(ref), where)
		}
	}
	if !slices.Equal(order, now) {
		d.forbid(AnnotationChanged, where+", /Annots in another order")
	}
}

func isRef(o pdf.Object) bool {
	_, ok := o.(pdf.Ref)
	return ok
}

// annotation compares one that was there before.
func (d *differ) annotation(ref pdf.Ref, where string) {
	a, b := d.old.get(ref), d.new.get(ref)
	if !d.differs(a, b) {
		return
	}
	judgement := Suspect
	if !d.mayAnnotate() || !markup(d.old.name(d.old.dict(a)["Subtype"])) || !markup(d.new.name(d.new.dict(b)["Subtype"])) ||
		acts(d.new.dict(b)) {
		judgement = Forbidden
	}
	d.tell(AnnotationChanged, judgement, where)
}

func (d *differ) removed(ref pdf.Ref, where string) {
	judgement := Suspect
	if !d.mayAnnotate() || !markup(d.old.name(d.old.dict(ref)["Subtype"])) {
		judgement = Forbidden
	}
	d.tell(AnnotationRemoved, judgement, where)
}

// newWidget: those of new fields are judged with their fields; one of a field
// that was there before is shown only now, when the field is signed.
func (d *differ) newWidget(n *field, known bool, where string) {
	if known && n.kind != "Sig" {
		d.forbid(FieldChanged, where+", field "+n.name+" is shown again")
	}
}

// newAnnotation judges an annotation that is no field. Comments are what
// annotations are for; one that writes on the page, or hides what it says, is
// a change that the signer did not see (evil annotations).
func (d *differ) newAnnotation(index int, annotation pdf.Dict, where string) {
	subtype := d.new.name(annotation["Subtype"])
	where += ", " + string(subtype)
	switch {
	case !d.mayAnnotate(), !markup(subtype), acts(annotation):
		d.forbid(AnnotationAdded, where)
	case subtype == "FreeText", subtype == "Stamp", d.new.hidesContent(annotation, slices.Concat(d.marks(index), d.annotated(index))):
		d.tell(AnnotationAdded, Suspect, where)
	default:
		d.tell(AnnotationAdded, Permitted, where)
	}
}

// annotated are points of what lay over the page when it was signed: stamps of
// signatures, fields, remarks.
func (d *differ) annotated(index int) []point {
	if index >= len(d.oldPages) {
		return nil
	}
	var points []point
	for _, member := range d.old.array(d.oldPages[index].Dict["Annots"]) {
		box := d.old.box(d.old.dict(member)["Rect"])
		if box.area() == 0 {
			continue
		}
		width, height := box[2]-box[0], box[3]-box[1]
		for _, at := range [][2]float64{{0.5, 0.5}, {0.1, 0.1}, {0.1, 0.9}, {0.9, 0.1}, {0.9, 0.9}} {
			points = append(points, point{box[0] + at[0]*width, box[1] + at[1]*height})
		}
	}
	return points
}

func (d *differ) mayAnnotate() bool { return d.permitted.Level == 0 || d.permitted.Level == 3 }

// markup says whether a kind of annotation is a remark on the document
// (ISO 32000-2, table 171) and can do nothing.
func markup(subtype pdf.Name) bool {
	switch subtype {
	case "Text", "FreeText", "Line", "Square", "Circle", "Polygon", "PolyLine", "Highlight", "Underline", "Squiggly",
		"StrikeOut", "Caret", "Stamp", "Ink", "Popup", "FileAttachment":
		return true
	default:
		return false
	}
}

// acts says that an annotation starts something.
func acts(annotation pdf.Dict) bool { return annotation["A"] != nil || annotation["AA"] != nil }
