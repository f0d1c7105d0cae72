package inspect_test

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/rubrica-firma/rubrica/signer/inspect"
	"github.com/rubrica-firma/rubrica/signer/pdf"
)

// The documents of these tests are made here, from nothing.

type objects map[int]pdf.Object

// content makes a stream without filters.
func content(d pdf.Dict, data string) *pdf.Stream {
	d = d.Clone()
	d["Length"] = int64(len(data))
	return pdf.NewStream(d, []byte(data))
}

func ref(number int) pdf.Ref { return pdf.Ref{Number: number} }

func numbers(values ...int64) pdf.Array {
	var a pdf.Array
	for _, v := range values {
		a = append(a, v)
	}
	return a
}

// Object numbers of the form that most tests start from.
const (
	catalog   = 1
	pageTree  = 2
	firstPage = 3
	text      = 4
	helv      = 5
	lastPage  = 6
	form      = 8
	amount    = 9
	amountAP  = 10
	agree     = 11
	crossed   = 12
	blank     = 13
	overlay   = 14
	remark    = 15
	empty     = 16
	length    = 17
	spareTree = 20
	sparePage = 21
	spareText = 22
)

// contract is a form of two pages with a text field, a check box, an empty
// signature field, a remark, and a picture beside the text.
func contract() objects {
	resources := pdf.Dict{"Font": pdf.Dict{"F1": ref(helv)}, "XObject": pdf.Dict{"Im": ref(overlay)}}
	pageDict := pdf.Dict{
		"Type": pdf.Name("Page"), "Parent": ref(pageTree), "Resources": resources, "MediaBox": numbers(0, 0, 595, 842),
	}
	first, last := pageDict.Clone(), pageDict.Clone()
	first["Contents"], first["Annots"] = ref(text), pdf.Array{ref(amount), ref(agree), ref(remark), ref(empty)}
	last["Contents"] = ref(text)
	words := "BT /F1 12 Tf 72 720 Td (Pagaremos mil euros.) Tj ET q 50 0 0 50 400 700 cm /Im Do Q"
	box := pdf.Dict{"Type": pdf.Name("XObject"), "Subtype": pdf.Name("Form"), "BBox": numbers(0, 0, 100, 20)}
	inField := box.Clone()
	inField["Resources"] = pdf.Dict{"Font": pdf.Dict{"Helv": ref(helv)}}
	widget := pdf.Dict{"Type": pdf.Name("Annot"), "Subtype": pdf.Name("Widget"), "F": int64(4), "P": ref(firstPage)}
	field, check, hole := widget.Clone(), widget.Clone(), widget.Clone()
	field["FT"], field["T"], field["V"] = pdf.Name("Tx"), pdf.String("Importe"), pdf.String("1000")
	field["Rect"], field["AP"] = numbers(72, 600, 172, 620), pdf.Dict{"N": ref(amountAP)}
	check["FT"], check["T"], check["AS"] = pdf.Name("Btn"), pdf.String("Conforme"), pdf.Name("Off")
	check["Rect"] = numbers(72, 560, 92, 580)
	check["AP"] = pdf.Dict{"N": pdf.Dict{"Yes": ref(crossed), "Off": ref(blank)}}
	hole["FT"], hole["T"], hole["Rect"] = pdf.Name("Sig"), pdf.String("Firma"), numbers(300, 100, 500, 150)
	return objects{
		catalog:  pdf.Dict{"Type": pdf.Name("Catalog"), "Pages": ref(pageTree), "AcroForm": ref(form)},
		pageTree: pdf.Dict{"Type": pdf.Name("Pages"), "Count": int64(2), "Kids": pdf.Array{ref(firstPage), ref(lastPage)}},
		// The length stands in an object of its own: to change it changes the text.
		firstPage: first, lastPage: last, text: lengthElsewhere(content(pdf.Dict{}, words)), length: int64(len(words)),
		helv: pdf.Dict{"Type": pdf.Name("Font"), "Subtype": pdf.Name("Type1"), "BaseFont": pdf.Name("Helvetica"), "Encoding": pdf.Name("WinAnsiEncoding")},
		form: pdf.Dict{
			"Fields": pdf.Array{ref(amount), ref(agree), ref(empty)}, "DA": pdf.String("/Helv 0 Tf 0 g"),
			"DR": pdf.Dict{"Font": pdf.Dict{"Helv": ref(helv)}},
		},
		amount: field, amountAP: content(inField, shows("1000")),
		agree: check, crossed: content(box, "0 0 m 20 20 l S"), blank: content(box, ""),
		overlay: content(box, "0 0 100 100 re f"),
		remark: pdf.Dict{
			"Type": pdf.Name("Annot"), "Subtype": pdf.Name("Text"), "Rect": numbers(500, 800, 520, 820),
			"Contents": pdf.String("visto"), "F": int64(4),
		},
		empty: hole,
	}
}

func lengthElsewhere(s *pdf.Stream) *pdf.Stream {
	s.Dict["Length"] = ref(length)
	return s
}

func shows(value string) string { return "/Tx BMC BT /Helv 12 Tf 2 5 Td (" + value + ") Tj ET EMC" }

// write makes a file with a cross-reference table.
func write(all objects) []byte {
	b := []byte("%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
	return appendRevision(b, all, pdf.Dict{"Root": ref(catalog)})
}

// appendRevision writes objects behind a file, nil ones as free, with a table
// and the keys of a trailer: as attackers do, without asking a library.
func appendRevision(b []byte, all objects, trailer pdf.Dict) []byte {
	offsets := map[int]int{}
	for _, number := range slices.Sorted(maps.Keys(all)) {
		if all[number] != nil {
			offsets[number] = len(b)
			b = appendObject(b, number, all[number])
		}
	}
	entries := map[int]string{}
	for number := range all {
		entries[number] = "0000000000 65535 f \n"
		if at := offsets[number]; at > 0 {
			entries[number] = fmt.Sprintf("%010d 00000 n \n", at)
		}
	}
	return appendTable(b, entries, trailer)
}

func appendObject(b []byte, number int, o pdf.Object) []byte {
	b = fmt.Appendf(b, "%d 0 obj\n", number)
	if s, ok := o.(*pdf.Stream); ok {
		b = pdf.Append(b, s.Dict)
		b = append(b, "\nstream\n"...)
		b = append(b, streamData(s)...)
		b = append(b, "\nendstream"...)
	} else {
		b = pdf.Append(b, o)
	}
	return append(b, "\nendobj\n"...)
}

// streamData reads what content put in.
func streamData(s *pdf.Stream) []byte {
	var b bytes.Buffer
	if _, err := b.ReadFrom((&pdf.File{}).Raw(s)); err != nil {
		panic(err) // it is in memory
	}
	return b.Bytes()
}

func appendTable(b []byte, entries map[int]string, trailer pdf.Dict) []byte {
	at := len(b)
	trailer = trailer.Clone()
	trailer["Size"] = int64(4000)
	if previous := bytes.LastIndex(b, []byte("startxref\n")); previous >= 0 {
		var offset int64
		if _, err := fmt.Sscan(string(b[previous+len("startxref\n"):]), &offset); err != nil {
			panic(err) // written below
		}
		trailer["Prev"] = offset
	} else {
		entries[0] = "0000000000 65535 f \n"
	}
	b = append(b, "xref\n"...)
	for _, number := range slices.Sorted(maps.Keys(entries)) {
		b = fmt.Appendf(b, "%d 1\n%s", number, entries[number])
	}
	b = append(b, "trailer\n"...)
	b = pdf.Append(b, trailer)
	return fmt.Appendf(b, "\nstartxref\n%d\n%%%%EOF\n", at)
}

func open(tb testing.TB, doc []byte) *pdf.File {
	tb.Helper()
	f, err := pdf.Open(bytes.NewReader(doc), int64(len(doc)))
	if err != nil {
		tb.Fatalf("opening: %v", err)
	}
	return f
}

// draft is an update in the making.
type draft struct {
	tb testing.TB
	*pdf.Update
}

// update appends one, written by the project's own writer.
func update(tb testing.TB, doc []byte, change func(d draft)) []byte {
	tb.Helper()
	u := open(tb, doc).NewUpdate()
	change(draft{tb, u})
	b, err := u.Bytes()
	if err != nil {
		tb.Fatalf("writing the update: %v", err)
	}
	return slices.Concat(doc, b)
}

// dict gives a copy of a dictionary, to be changed and set again.
func (d draft) dict(number int) pdf.Dict {
	d.tb.Helper()
	o, err := d.Get(ref(number))
	if err != nil {
		d.tb.Fatalf("reading object %d: %v", number, err)
	}
	v, ok := o.(pdf.Dict)
	if !ok {
		d.tb.Fatalf("object %d: got %T, want a dictionary", number, o)
	}
	return v.Clone()
}

// set changes keys of a dictionary.
func (d draft) set(number int, values pdf.Dict) {
	d.tb.Helper()
	changed := d.dict(number)
	for key, value := range values {
		if changed[key] = value; value == nil {
			delete(changed, key)
		}
	}
	d.Set(ref(number), changed)
}

// insert appends to an array in a dictionary.
func (d draft) insert(number int, key pdf.Name, member pdf.Object) {
	d.tb.Helper()
	list, _ := d.dict(number)[key].(pdf.Array)
	d.set(number, pdf.Dict{key: append(slices.Clone(list), member)})
}

// mark is how a signature is made.
type mark struct {
	field     int // an empty field to fill; 0 makes one
	keys      pdf.Dict
	rect      pdf.Array // nil: invisible
	drawing   string
	reference pdf.Dict // DocMDP, certified
	lock      pdf.Dict // of the new field
	also      func(d draft)
}

// sign appends a signature whose value is not one: inspection does not verify.
func sign(tb testing.TB, doc []byte, m mark) []byte {
	tb.Helper()
	const digits = 64
	u := open(tb, doc).NewUpdate()
	d := draft{tb, u}
	byteRange := &pdf.Raw{Bytes: []byte("[0 " + strings.Repeat(" ", 40) + "]")}
	hole := &pdf.Raw{Bytes: []byte("<300302010a" + strings.Repeat("0", digits-10) + ">")}
	signature := pdf.Dict{
		"Type": pdf.Name("Sig"), "Filter": pdf.Name("Adobe.PPKLite"), "SubFilter": pdf.Name("ETSI.CAdES.detached"),
		"ByteRange": byteRange, "Contents": hole,
	}
	maps.Copy(signature, m.keys)
	if m.reference != nil {
		signature["Reference"] = pdf.Array{m.reference}
	}
	value := u.Add(signature)
	if m.reference != nil && m.reference["TransformMethod"] == pdf.Name("DocMDP") {
		d.set(catalog, pdf.Dict{"Perms": pdf.Dict{"DocMDP": value}})
	}
	keys := pdf.Dict{"V": value, "F": int64(132)}
	if m.drawing != "" {
		keys["AP"] = pdf.Dict{"N": u.Add(content(pdf.Dict{
			"Type": pdf.Name("XObject"), "Subtype": pdf.Name("Form"), "BBox": numbers(0, 0, 200, 50),
		}, m.drawing))}
	}
	if m.field > 0 {
		d.set(m.field, keys)
	} else {
		if keys["Rect"] = m.rect; m.rect == nil {
			keys["Rect"] = numbers(0, 0, 0, 0)
		}
		maps.Copy(keys, pdf.Dict{
			"Type": pdf.Name("Annot"), "Subtype": pdf.Name("Widget"), "FT": pdf.Name("Sig"), "P": ref(firstPage),
			"T": pdf.String(fmt.Sprintf("Firma%d", value.Number)),
		})
		if m.lock != nil {
			keys["Lock"] = m.lock
		}
		widget := u.Add(keys)
		d.insert(firstPage, "Annots", widget)
		d.insert(form, "Fields", widget)
	}
	d.set(form, pdf.Dict{"SigFlags": int64(3)})
	if m.also != nil {
		m.also(d)
	}
	b, err := u.Bytes()
	if err != nil {
		tb.Fatalf("writing the signature: %v", err)
	}
	doc = slices.Concat(doc, b)
	if byteRange.At == 0 {
		return doc
	}
	end := hole.At + int64(len(hole.Bytes))
	copy(doc[byteRange.At+3:], fmt.Sprintf("%d %d %d", hole.At, end, int64(len(doc))-end))
	return doc
}

// certify makes the DocMDP reference of a level.
func certify(level int64) pdf.Dict {
	return pdf.Dict{
		"Type": pdf.Name("SigRef"), "TransformMethod": pdf.Name("DocMDP"),
		"TransformParams": pdf.Dict{"Type": pdf.Name("TransformParams"), "P": level, "V": pdf.Name("1.2")},
	}
}

// changes compares a document with what was signed.
func changes(tb testing.TB, signed, newer []byte, permitted inspect.Permission) []inspect.Change {
	tb.Helper()
	list, err := inspect.Changes(open(tb, signed), open(tb, newer), permitted)
	if err != nil {
		tb.Fatalf("Changes: %v", err)
	}
	return list
}

func count(list []inspect.Change, judgement inspect.Judgement) int {
	n := 0
	for _, change := range list {
		if change.Judgement == judgement {
			n++
		}
	}
	return n
}

func report(tb testing.TB, doc []byte) inspect.Report {
	tb.Helper()
	r, err := inspect.File(open(tb, doc))
	if err != nil {
		tb.Fatalf("File: %v", err)
	}
	return r
}
