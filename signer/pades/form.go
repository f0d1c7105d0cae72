package pades

import (
	"slices"
	"strings"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/pdf"
)

const (
	// maxFields bounds the walk over the form.
	maxFields = 50_000
	// maxSignatures is more than any procedure has signers.
	maxSignatures = 1000
)

// Bits of Ff, F and SigFlags (ISO 32000-2, tables 227, 167 and 225).
const (
	fieldReadOnly   = 1 << 0
	annotationPrint = 1 << 2
	annotationFixed = 1 << 7             // Locked
	annotationGone  = 1<<0 | 1<<1 | 1<<5 // Invisible, Hidden, NoView
	signaturesExist = 1 << 0
	appendOnly      = 1 << 1
)

// form is a document's interactive form (ISO 32000-2, 12.7).
type form struct {
	file    *pdf.File
	dict    pdf.Dict  // AcroForm
	members pdf.Array // its Fields
	fields  []*field  // those with a type of their own, in the document's order
	names   map[string]bool
	others  bool // it has fields that are no signatures
}

// field is a field of the form, with what it inherits.
type field struct {
	ref     pdf.Ref
	dict    pdf.Dict
	name    string // full, 12.7.4.2
	kind    pdf.Object
	flags   int64
	value   pdf.Object // as it stands: a signature is large
	widgets []pdf.Ref  // where it is shown; ref itself where both are one object
}

// readForm walks the form's fields with a stack of its own, parents first.
func readForm(f *pdf.File) (*form, error) {
	_, catalog := f.Catalog()
	out := &form{file: f, names: map[string]bool{}}
	var err error
	if out.dict, err = f.Dict(catalog["AcroForm"]); err != nil {
		return nil, err
	}
	if out.members, err = f.Array(out.dict["Fields"]); err != nil {
		return nil, err
	}
	type node struct {
		object pdf.Object
		parent *field
	}
	var stack []node
	push := func(members pdf.Array, parent *field) {
		for _, member := range slices.Backward(members) {
			stack = append(stack, node{member, parent})
		}
	}
	push(out.members, &field{})
	visited := map[pdf.Ref]bool{}
	for len(stack) > 0 {
		n := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if n.object == nil {
			continue // as readers do
		}
		id, ok := n.object.(pdf.Ref)
		if !ok || visited[id] {
			return nil, policies.Refuse(policies.DocumentUnsupported, "reason", "the form is not a tree")
		}
		if visited[id] = true; len(visited) > maxFields {
			return nil, policies.Refuse(policies.DocumentTooComplex, "reason", "too many form fields")
		}
		dict, err := f.Dict(id)
		if err != nil {
			return nil, err
		}
		if len(dict) == 0 {
			continue // what a reference to nothing stands for
		}
		kids, err := f.Array(dict["Kids"])
		if err != nil {
			return nil, err
		}
		if dict["T"] == nil && n.parent.ref != (pdf.Ref{}) && len(kids) == 0 {
			n.parent.widgets = append(n.parent.widgets, id)
			continue
		}
		fd, err := out.inherit(n.parent, id, dict)
		if err != nil {
			return nil, err
		}
		if out.fields = append(out.fields, fd); dict["Subtype"] == pdf.Name("Widget") {
			fd.widgets = append(fd.widgets, id)
		}
		push(kids, fd)
	}
	return out, out.tidy()
}

// inherit reads a field below its parent.
func (m *form) inherit(parent *field, id pdf.Ref, dict pdf.Dict) (*field, error) {
	fd := &field{ref: id, dict: dict, name: parent.name, kind: parent.kind, flags: parent.flags, value: parent.value}
	title, err := m.file.Resolve(dict["T"])
	if err != nil {
		return nil, err
	}
	if s, ok := title.(pdf.String); ok {
		if fd.name != "" {
			fd.name += "."
		}
		fd.name += pdf.DecodeText(s)
		m.names[fd.name] = true
	}
	if dict["FT"] != nil {
		if fd.kind, err = m.file.Resolve(dict["FT"]); err != nil {
			return nil, err
		}
	}
	if dict["V"] != nil {
		fd.value = dict["V"]
	}
	flags, err := m.file.Resolve(dict["Ff"])
	if err != nil {
		return nil, err
	}
	if n, ok := flags.(int64); ok {
		fd.flags = n
	}
	return fd, nil
}

// tidy keeps the fields of which something may be asked: signatures, and no
// mere branches of the tree.
func (m *form) tidy() error {
	m.others = slices.ContainsFunc(m.fields, func(fd *field) bool { return fd.kind != nil && fd.kind != pdf.Name("Sig") })
	m.fields = slices.DeleteFunc(m.fields, func(fd *field) bool {
		return fd.kind != pdf.Name("Sig") || len(fd.widgets) == 0 && fd.dict["Kids"] != nil
	})
	signed := 0
	for _, fd := range m.fields {
		if fd.value != nil {
			signed++
		}
	}
	if signed > maxSignatures {
		return policies.Refuse(policies.DocumentTooComplex, "reason", "too many signatures")
	}
	return nil
}

// signature is the dictionary that a field holds; nil where it is empty.
func (m *form) signature(fd *field) (pdf.Dict, error) {
	value, err := m.file.Resolve(fd.value)
	if err != nil {
		return nil, err
	}
	dict, _ := value.(pdf.Dict) // anything else is no signature
	return dict, nil
}

// empty finds a field to fill by its full name. The name of a branch stands for
// the only signature field below it: some producers name field and widget.
func (m *form) empty(name string) (*field, error) {
	var found []*field
	for _, fd := range m.fields {
		if fd.name == name {
			found = []*field{fd}
			break
		}
		if strings.HasPrefix(fd.name, name+".") {
			found = append(found, fd)
		}
	}
	if len(found) != 1 {
		return nil, policies.Refuse(policies.FieldUnknown, "field", name)
	}
	fd := found[0]
	signature, err := m.signature(fd)
	if err != nil {
		return nil, err
	}
	if signature != nil {
		return nil, policies.Refuse(policies.FieldUnknown, "field", name, "reason", "signed already")
	}
	if fd.flags&fieldReadOnly != 0 {
		return nil, refuseCertified("the field is read-only")
	}
	return fd, nil
}

// lock names a set of fields (ISO 32000-2, tables 236 and 259).
type lock struct {
	action pdf.Object
	fields []string
}

// readLock reads a lock dictionary or FieldMDP parameters.
func (m *form) readLock(dict pdf.Dict) (lock, error) {
	l := lock{}
	var err error
	if l.action, err = m.file.Resolve(dict["Action"]); err != nil {
		return l, err
	}
	members, err := m.file.Array(dict["Fields"])
	if err != nil {
		return l, err
	}
	for _, member := range members {
		title, err := m.file.Resolve(member)
		if err != nil {
			return l, err
		}
		if s, ok := title.(pdf.String); ok {
			l.fields = append(l.fields, pdf.DecodeText(s))
		}
	}
	return l, nil
}

// covers says whether the lock holds for a field. A name stands for all below it.
func (l lock) covers(name string) bool {
	named := slices.ContainsFunc(l.fields, func(listed string) bool {
		return name == listed || strings.HasPrefix(name, listed+".")
	})
	switch l.action {
	case pdf.Name("All"):
		return true
	case pdf.Name("Include"):
		return named
	case pdf.Name("Exclude"):
		return !named
	default:
		return false
	}
}
