package pades

import (
	"bytes"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/rubrica-firma/rubrica/policies"
)

const (
	// maxPages bounds the walk over the page tree.
	maxPages = 20_000
	// maxFields bounds the walk over the form.
	maxFields = 20_000
	// headerSize is where the header has to be (ISO 32000-1, annex H, note 13).
	headerSize = 1024
)

// version is what ISO 32000 ever gave out.
var version = regexp.MustCompile(`^%PDF-(1\.[0-7]|2\.0)[\x00\s%]`)

// Page is a page's size in points (1/72 inch) as it is shown, rotation applied.
type Page struct {
	Width  float64 `json:"width"`
	Height float64 `json:"height"`
}

// Inspection is what is known of a PDF that may be signed.
type Inspection struct {
	Pages []Page `json:"pages"`
	Title string `json:"title,omitempty"`
	// Signatures is how many signatures it already has.
	Signatures int `json:"signatures,omitempty"`
	// Form says that it has form fields besides.
	Form bool `json:"form,omitempty"`

	file    *file
	root    ref
	catalog dict
	names   map[string]bool // full names of the form's fields
	fields  array           // AcroForm's Fields, as they stand
	form    dict            // AcroForm
}

// Inspect says whether a PDF can be signed, or a *policies.Refusal. It reads
// the structure only, never a page's content, and its time and memory are
// proportional to the input.
func Inspect(content []byte) (*Inspection, error) {
	i, err := inspect(content)
	if refusal := (*policies.Refusal)(nil); err != nil && !errors.As(err, &refusal) {
		return nil, damaged(err.Error())
	}
	return i, err
}

func inspect(content []byte) (*Inspection, error) {
	if err := checkHeader(content); err != nil {
		return nil, err
	}
	f, err := open(content)
	if err != nil {
		return nil, err
	}
	root, ok := f.trailer["Root"].(ref)
	if !ok {
		return nil, damaged("no document catalogue")
	}
	catalog, err := f.dict(root)
	if err != nil {
		return nil, err
	}
	if catalog["Type"] != name("Catalog") {
		return nil, damaged("no document catalogue")
	}
	i := &Inspection{file: f, root: root, catalog: catalog, names: map[string]bool{}}
	if i.Pages, err = f.pages(catalog["Pages"]); err != nil {
		return nil, err
	}
	if err := i.inspectForm(catalog); err != nil {
		return nil, err
	}
	if err := f.checkPermissions(catalog); err != nil {
		return nil, err
	}
	if info, err := f.dict(f.trailer["Info"]); err == nil {
		if title, err := f.resolve(info["Title"]); err == nil {
			i.Title = decodeText(title)
		}
	}
	return i, nil
}

func checkHeader(content []byte) error {
	if len(content) == 0 {
		return policies.Refuse(policies.DocumentEmpty)
	}
	at := bytes.Index(content[:min(len(content), headerSize)], []byte("%PDF-"))
	if at < 0 {
		return policies.Refuse(policies.DocumentNotPDF)
	}
	if at > 0 {
		// Readers differ on what offsets count from.
		return refuse(policies.DocumentUnsupported, "bytes before the header")
	}
	if !version.Match(content) {
		return refuse(policies.DocumentUnsupported, "PDF version")
	}
	return nil
}

// dict resolves an object that has to be a dictionary; nothing is an empty one.
func (f *file) dict(o object) (dict, error) {
	o, err := f.resolve(o)
	if err != nil {
		return nil, err
	}
	switch v := o.(type) {
	case nil:
		return dict{}, nil
	case dict:
		return v, nil
	default:
		return nil, damaged("no dictionary where one should be")
	}
}

func (f *file) array(o object) (array, error) {
	o, err := f.resolve(o)
	if err != nil {
		return nil, err
	}
	switch v := o.(type) {
	case nil:
		return nil, nil
	case array:
		return v, nil
	default:
		return nil, damaged("no array where one should be")
	}
}

// pages walks the page tree with a stack of its own: the tree may be deep, and
// a node that comes twice is a loop or a page shown twice under one identity.
func (f *file) pages(root object) ([]Page, error) {
	type node struct {
		object    object
		inherited dict
	}
	var pages []Page
	visited := map[object]bool{}
	for stack := []node{{root, dict{}}}; len(stack) > 0; {
		n := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		id, ok := n.object.(ref)
		if !ok || visited[id] {
			return nil, damaged("the page tree is not a tree")
		}
		visited[id] = true
		d, err := f.dict(id)
		if err != nil {
			return nil, err
		}
		attributes := dict{}
		for _, key := range []name{"MediaBox", "CropBox", "Rotate"} {
			if attributes[key] = n.inherited[key]; d[key] != nil {
				attributes[key] = d[key]
			}
		}
		switch d["Type"] {
		case name("Pages"):
			kids, err := f.array(d["Kids"])
			if err != nil {
				return nil, err
			}
			if len(stack)+len(kids) > maxPages {
				return nil, refuse(policies.DocumentTooComplex, "too many pages")
			}
			for _, kid := range slices.Backward(kids) {
				stack = append(stack, node{kid, attributes})
			}
		case name("Page"):
			if pages = append(pages, f.pageSize(attributes)); len(pages) > maxPages {
				return nil, refuse(policies.DocumentTooComplex, "too many pages")
			}
		default:
			return nil, damaged("page tree")
		}
	}
	if len(pages) == 0 {
		return nil, damaged("no pages")
	}
	return pages, nil
}

// pageSize gives A4 where a page does not say: sizes serve the view only.
func (f *file) pageSize(attributes dict) Page {
	box := [4]float64{0, 0, 595, 842}
	for _, key := range []name{"CropBox", "MediaBox"} {
		list, err := f.array(attributes[key])
		if err == nil && len(list) == 4 {
			for i, member := range list {
				if value, err := f.resolve(member); err == nil {
					box[i] = float(value)
				}
			}
			break
		}
	}
	page := Page{Width: abs(box[2] - box[0]), Height: abs(box[3] - box[1])}
	if rotate, err := f.resolve(attributes["Rotate"]); err == nil {
		if degrees, ok := rotate.(int64); ok && degrees%180 != 0 {
			page.Width, page.Height = page.Height, page.Width
		}
	}
	return page
}

func float(o object) float64 {
	switch v := o.(type) {
	case int64:
		return float64(v)
	case real:
		value, err := strconv.ParseFloat(string(v), 64)
		if err != nil {
			return 0
		}
		return value
	default:
		return 0
	}
}

func abs(v float64) float64 { return max(v, -v) }

// decodeText reads a text string (ISO 32000-2, 7.9.2.2): UTF-16BE or UTF-8 by
// their marks, otherwise taken as Latin-1, with which PDFDocEncoding agrees
// on every letter of Spain's languages.
func decodeText(o object) string {
	v, ok := o.(text)
	if !ok {
		return ""
	}
	s := string(v)
	switch {
	case strings.HasPrefix(s, "\xfe\xff"):
		units := make([]uint16, 0, len(s)/2)
		for i := 2; i+1 < len(s); i += 2 {
			units = append(units, uint16(s[i])<<8|uint16(s[i+1]))
		}
		return string(utf16.Decode(units))
	case strings.HasPrefix(s, "\xef\xbb\xbf") && utf8.ValidString(s):
		return s[3:]
	default:
		runes := make([]rune, 0, len(s))
		for _, c := range []byte(s) {
			runes = append(runes, rune(c))
		}
		return string(runes)
	}
}

func damaged(reason string) error { return refuse(policies.DocumentDamaged, reason) }

// refuse tells operators a reason beside the code; citizens read the catalogue.
func refuse(code policies.Code, reason string) error {
	if reason == "" {
		return policies.Refuse(code)
	}
	return policies.Refuse(code, "reason", reason)
}
