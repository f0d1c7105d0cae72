package inspect

import (
	"slices"

	"github.com/rubrica-firma/rubrica/signer/pdf"
)

const (
	// maxFields bounds the walk over a form.
	maxFields = 100_000
	// maxLevels bounds how deep fields may nest, and maxName what they are called.
	maxLevels = 64
	maxName   = 4096
	// maxFieldText bounds what a field may say.
	maxFieldText = 1 << 20
)

// Flags of fields (ISO 32000-2, tables 227, 229, 231, 233).
const (
	flagReadOnly   = 1 << 0
	flagPassword   = 1 << 13
	flagPushbutton = 1 << 16
	flagCombo      = 1 << 17
	flagRichText   = 1 << 25
)

// Flags of annotations (ISO 32000-2, table 167).
const (
	flagHidden = 1 << 1
	flagPrint  = 1 << 2
	flagNoView = 1 << 5
)

// field is a node of the form's tree: a field, or one of its widgets.
type field struct {
	ref    pdf.Ref // zero if it stands directly in its parent
	name   string  // full name (ISO 32000-2, 12.7.4.2)
	dict   pdf.Dict
	kind   pdf.Name // Tx, Btn, Ch, Sig, inherited
	value  pdf.Object
	flags  int64
	parent *field
	kids   []*field
	level  int
}

// key identifies a node in two revisions of a form.
func (n *field) key() any {
	if n.ref != (pdf.Ref{}) {
		return n.ref
	}
	return n.name
}

// isWidget says that the node is drawn somewhere.
func (n *field) isWidget() bool {
	return n.dict["Subtype"] == pdf.Name("Widget") || n.dict["Rect"] != nil
}

// fields reads the form's tree, parents before kids. A node that comes twice is
// read once.
func (r *reader) fields(form pdf.Dict) []*field {
	var all []*field
	visited := map[pdf.Ref]bool{}
	type item struct {
		object pdf.Object
		parent *field
	}
	var stack []item
	for _, o := range slices.Backward(r.array(form["Fields"])) {
		stack = append(stack, item{o, nil})
	}
	for len(stack) > 0 && len(all) < maxFields {
		top := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		ref, isRef := top.object.(pdf.Ref)
		if isRef && visited[ref] {
			continue
		}
		visited[ref] = isRef
		n := r.field(ref, r.dict(top.object), top.parent)
		all = append(all, n)
		if n.level > maxLevels || len(n.name) > maxName {
			r.short = true
			continue
		}
		for _, kid := range slices.Backward(r.array(n.dict["Kids"])) {
			stack = append(stack, item{kid, n})
		}
	}
	return all
}

func (r *reader) field(ref pdf.Ref, d pdf.Dict, parent *field) *field {
	n := &field{ref: ref, dict: d, parent: parent}
	if parent != nil {
		n.name, n.kind, n.value, n.flags = parent.name, parent.kind, parent.value, parent.flags
		n.level = parent.level + 1
		parent.kids = append(parent.kids, n)
	}
	if d["T"] != nil {
		if n.name != "" {
			n.name += "."
		}
		n.name += r.text(d["T"])
	}
	if d["FT"] != nil {
		n.kind = r.name(d["FT"])
	}
	if d["V"] != nil {
		n.value = d["V"]
	}
	if d["Ff"] != nil {
		n.flags = r.integer(d["Ff"])
	}
	return n
}

// formatted says that a script decides how the value looks.
func (r *reader) formatted(n *field) bool {
	for ; n != nil; n = n.parent {
		if r.dict(n.dict["AA"])["F"] != nil {
			return true
		}
	}
	return false
}

// display is the text that a field with its value shows; known is false where
// that cannot be said.
func (r *reader) display(n *field) (text string, known bool) {
	switch {
	case n.flags&(flagPassword|flagRichText) != 0 && n.kind == "Tx":
		return "", false
	case n.kind == "Tx":
		return r.text(n.value), true
	case n.kind == "Ch" && n.flags&flagCombo != 0:
		return r.option(n, r.text(n.value)), true
	default:
		return "", false
	}
}

// option gives the words that a choice shows for an export value.
func (r *reader) option(n *field, value string) string {
	for at := n; at != nil; at = at.parent {
		for _, o := range r.array(at.dict["Opt"]) {
			if pair := r.array(o); len(pair) == 2 && r.text(pair[0]) == value {
				return r.text(pair[1])
			}
		}
	}
	return value
}

// appearance is the stream that draws a widget in its present state, or nil.
func (r *reader) appearance(d pdf.Dict) *pdf.Stream {
	normal := r.get(r.dict(d["AP"])["N"])
	if states, ok := normal.(pdf.Dict); ok {
		normal = r.get(states[r.name(d["AS"])])
	}
	s, ok := normal.(*pdf.Stream)
	if !ok {
		return nil
	}
	return s
}
