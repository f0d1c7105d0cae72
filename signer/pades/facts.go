package pades

import (
	"slices"

	"github.com/rubrica-firma/rubrica/signer/pdf"
)

// Facts are what a document is known to be before it is signed.
type Facts struct {
	Version string `json:"version"`
	Title   string `json:"title,omitempty"`
	Pages   []Page `json:"pages"`
	// Signatures is how many signatures and document time-stamps it has.
	Signatures int `json:"signatures,omitempty"`
	// Form says that it has form fields besides.
	Form bool `json:"form,omitempty"`
	// Fields are the empty signature fields, in the document's order.
	Fields []EmptyField `json:"fields,omitempty"`
	// Permission is what those who signed before let be changed.
	Permission Permission `json:"permission"`
}

// Page is a page's size in points (1/72 inch) as it is shown, rotation applied.
type Page struct {
	Width  float64 `json:"width"`
	Height float64 `json:"height"`
}

// EmptyField is a signature field that waits for its signature.
type EmptyField struct {
	Name string `json:"name"`
	// Page counts from 1; 0 is a field of which nothing is shown.
	Page int `json:"page,omitempty"`
	// Rect is in default user space: left, lower, right, upper.
	Rect [4]float64 `json:"rect,omitzero"`
}

// Describe gives the facts of a document, or a *policies.Refusal.
func Describe(f *pdf.File) (Facts, error) {
	m, err := readForm(f)
	if err != nil {
		return Facts{}, err
	}
	pages, err := f.Pages()
	if err != nil {
		return Facts{}, err
	}
	permitted, err := m.permissions()
	if err != nil {
		return Facts{}, err
	}
	return describe(m, pages, permitted)
}

func describe(m *form, pages []pdf.Page, permitted permissions) (Facts, error) {
	facts := Facts{
		Version: m.file.Version(), Signatures: permitted.signed, Form: m.others, Permission: permitted.level,
		Pages: make([]Page, len(pages)),
	}
	for i, p := range pages {
		width, height := p.Size()
		facts.Pages[i] = Page{Width: width * p.UserUnit, Height: height * p.UserUnit}
	}
	// A title that cannot be read is none: nothing is decided by it.
	if info, err := m.file.Dict(m.file.Trailer()["Info"]); err == nil {
		if title, err := m.file.String(info["Title"]); err == nil {
			facts.Title = pdf.DecodeText(title)
		}
	}
	for _, fd := range m.fields {
		signature, err := m.signature(fd)
		if err != nil {
			return facts, err
		}
		if signature != nil || fd.flags&fieldReadOnly != 0 {
			continue
		}
		empty := EmptyField{Name: fd.name}
		if empty.Page, empty.Rect, err = m.place(fd, pages); err != nil {
			return facts, err
		}
		facts.Fields = append(facts.Fields, empty)
	}
	return facts, nil
}

// place is where there is something to see of a field first; page 0 is nowhere.
func (m *form) place(fd *field, pages []pdf.Page) (page int, rect [4]float64, err error) {
	for _, id := range fd.widgets {
		w, err := m.widget(id)
		if err != nil {
			return 0, rect, err
		}
		if !w.shown {
			continue
		}
		if page, err = m.pageOf(id, w.dict, pages); err != nil || page > 0 {
			return page, w.rect, err
		}
	}
	return 0, rect, nil
}

// widget is an annotation of a field; shown, if there is something to see of it.
type widget struct {
	dict  pdf.Dict
	rect  [4]float64
	shown bool
}

func (m *form) widget(id pdf.Ref) (widget, error) {
	dict, err := m.file.Dict(id)
	if err != nil {
		return widget{}, err
	}
	rect, err := m.file.Rect(dict["Rect"])
	if err != nil {
		return widget{}, err
	}
	flags, err := m.file.Int(dict["F"], 0)
	return widget{dict, rect, flags&annotationGone == 0 && rect[2] > rect[0] && rect[3] > rect[1]}, err
}

// pageOf finds a widget's page, counted from 1: the one that it names, or else
// that has it among its annotations.
func (m *form) pageOf(id pdf.Ref, widget pdf.Dict, pages []pdf.Page) (int, error) {
	for i, p := range pages {
		if widget["P"] == pdf.Object(p.Ref) {
			return i + 1, nil
		}
	}
	for i, p := range pages {
		members, err := m.file.Array(p.Dict["Annots"])
		if err != nil {
			return 0, err
		}
		if slices.Contains(members, pdf.Object(id)) {
			return i + 1, nil
		}
	}
	return 0, nil
}
