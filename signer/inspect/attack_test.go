package inspect_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/inspect"
	"github.com/rubrica-firma/rubrica/signer/pdf"
)

// attack is a published way to change what a signed document shows.
type attack struct {
	name string
	// prepare changes the document before its victim signs it.
	prepare func(all objects)
	signed  mark
	level   int
	locks   []inspect.Lock
	// after changes the document that the victim has signed.
	after func(t *testing.T, doc []byte) []byte
	// suspect is enough where the norm permits what the attack does.
	suspect bool
}

// words are another text for the pages.
func words(said string) *pdf.Stream {
	return content(pdf.Dict{}, "BT /F1 12 Tf 72 720 Td ("+said+") Tj ET")
}

func replacing(all objects) func(*testing.T, []byte) []byte {
	return func(_ *testing.T, doc []byte) []byte {
		return appendRevision(doc, all, pdf.Dict{"Root": ref(catalog)})
	}
}

func editing(change func(d draft)) func(*testing.T, []byte) []byte {
	return func(t *testing.T, doc []byte) []byte {
		t.Helper()
		return update(t, doc, change)
	}
}

// offsetOf finds the first object of a number in a file.
func offsetOf(doc []byte, number int) int {
	return 1 + bytes.Index(doc, fmt.Appendf(nil, "\n%d 0 obj\n", number))
}

// shadowTree is a second document inside the first, to which nothing refers.
func shadowTree(all objects) {
	page, ok := all[firstPage].(pdf.Dict)
	if !ok {
		panic("no page")
	}
	page = page.Clone()
	page["Contents"], page["Parent"] = ref(spareText), ref(spareTree)
	all[spareTree] = pdf.Dict{"Type": pdf.Name("Pages"), "Count": int64(1), "Kids": pdf.Array{ref(sparePage)}}
	all[sparePage], all[spareText] = page, words("Pagaremos nueve mil.")
}

// shadow attacks: Mainka, Mladenov, Rohlmann, NDSS 2021.
func shadowAttacks() []attack {
	return []attack{
		{name: "hide: the picture over the text is freed", after: replacing(objects{overlay: nil})},
		{name: "hide: the picture becomes another", after: replacing(objects{overlay: content(pdf.Dict{
			"Type": pdf.Name("XObject"), "Subtype": pdf.Name("Form"), "BBox": numbers(0, 0, 1, 1),
		}, "")})},
		{name: "replace: a field shows another value", after: editing(func(d draft) {
			d.set(amount, pdf.Dict{"AP": pdf.Dict{"N": d.filled("9000")}})
		})},
		{name: "replace: the appearance itself is replaced", after: editing(func(d draft) {
			d.Set(ref(amountAP), content(pdf.Dict{
				"Type": pdf.Name("XObject"), "Subtype": pdf.Name("Form"), "BBox": numbers(0, 0, 100, 20),
				"Resources": pdf.Dict{"Font": pdf.Dict{"Helv": ref(helv)}},
			}, shows("9000")))
		})},
		{name: "replace: a font that reads otherwise", after: editing(func(d draft) {
			d.set(helv, pdf.Dict{"Encoding": pdf.Dict{"Differences": pdf.Array{int64('m'), pdf.Name("c")}}})
		})},
		{name: "hide and replace: the page tree is another", prepare: shadowTree, after: func(_ *testing.T, doc []byte) []byte {
			return appendRevision(doc, objects{pageTree: pdf.Dict{
				"Type": pdf.Name("Pages"), "Count": int64(1), "Kids": pdf.Array{ref(sparePage)},
			}}, pdf.Dict{"Root": ref(catalog)})
		}},
		{name: "hide and replace: the catalogue leads to another tree", prepare: shadowTree, after: editing(func(d draft) {
			d.set(catalog, pdf.Dict{"Pages": ref(spareTree)})
		})},
		{name: "hide and replace: another catalogue", prepare: func(all objects) {
			shadowTree(all)
			all[30] = pdf.Dict{"Type": pdf.Name("Catalog"), "Pages": ref(spareTree), "AcroForm": ref(form)}
		}, after: func(_ *testing.T, doc []byte) []byte {
			return appendTable(doc, map[int]string{}, pdf.Dict{"Root": ref(30)})
		}},
		{name: "hide and replace: only the cross-reference changes", prepare: shadowTree, after: func(_ *testing.T, doc []byte) []byte {
			// The spare text is called the text from now on: its head says so too.
			at := offsetOf(doc, spareText)
			doc = slices.Clone(doc)
			return appendTable(doc, map[int]string{text: fmt.Sprintf("%010d 00000 n \n", at)}, pdf.Dict{"Root": ref(catalog)})
		}},
		{name: "hide and replace: an older object of the same number", after: func(_ *testing.T, doc []byte) []byte {
			return appendTable(doc, map[int]string{
				firstPage: fmt.Sprintf("%010d 00000 n \n", offsetOf(doc, firstPage)),
				form:      fmt.Sprintf("%010d 00000 n \n", offsetOf(doc, form)),
			}, pdf.Dict{"Root": ref(catalog)})
		}},
	}
}

// incremental saving: Mladenov et al., CCS 2019.
func incrementalAttacks() []attack {
	changed := objects{text: words("Pagaremos nueve mil.")}
	return []attack{
		{name: "incremental saving", after: replacing(changed)},
		{name: "incremental saving with a copy of the signature", after: func(t *testing.T, doc []byte) []byte {
			t.Helper()
			at := bytes.LastIndex(doc, []byte("/Type /Sig"))
			start := bytes.LastIndex(doc[:at], []byte(" obj"))
			start = bytes.LastIndexByte(doc[:start-2], '\n') + 1
			end := at + bytes.Index(doc[at:], []byte("endobj")) + len("endobj\n")
			number := 0
			if _, err := fmt.Sscan(string(doc[start:]), &number); err != nil {
				t.Fatalf("reading the signature's number: %v", err)
			}
			out := slices.Concat(doc, doc[start:end])
			entries := map[int]string{number: fmt.Sprintf("%010d 00000 n \n", len(doc)), text: fmt.Sprintf("%010d 00000 n \n", len(out))}
			return appendTable(appendObject(out, text, changed[text]), entries, pdf.Dict{"Root": ref(catalog)})
		}},
		{name: "objects without a cross-reference", after: func(_ *testing.T, doc []byte) []byte {
			return appendObject(slices.Clone(doc), text, changed[text])
		}},
		{name: "objects without a cross-reference, and an end", after: func(_ *testing.T, doc []byte) []byte {
			return append(appendObject(slices.Clone(doc), text, changed[text]), "%%EOF\n"...)
		}},
		{name: "objects with a trailer alone", after: func(_ *testing.T, doc []byte) []byte {
			doc = appendObject(slices.Clone(doc), text, changed[text])
			return fmt.Appendf(doc, "trailer\n<</Root 1 0 R /Size 64>>\n%%%%EOF\n")
		}},
		{name: "a cross-reference that forgets its predecessor", suspect: true, after: func(_ *testing.T, doc []byte) []byte {
			all := contract()
			all[text] = changed[text]
			forged := appendRevision(doc, all, pdf.Dict{"Root": ref(catalog)})
			at := bytes.LastIndex(forged, []byte("/Prev"))
			copy(forged[at:], "/Vorh")
			return forged
		}},
		{name: "the length of the text", after: replacing(objects{length: int64(5)})},
		{name: "an object listed twice", after: func(_ *testing.T, doc []byte) []byte {
			at := offsetOf(doc, text)
			doc = appendObject(slices.Clone(doc), text, changed[text])
			start := len(doc)
			doc = fmt.Appendf(doc, "xref\n%d 1\n%010d 00000 n \n%d 1\n%010d 00000 n \n", text, at, text, start-1)
			previous := bytes.LastIndex(doc, []byte("startxref\n"))
			number, _, _ := strings.Cut(string(doc[previous+len("startxref\n"):]), "\n")
			return fmt.Appendf(doc, "trailer\n<</Root 1 0 R /Size 64 /Prev %s>>\nstartxref\n%d\n%%%%EOF\n", number, start)
		}},
	}
}

// certification attacks: Rohlmann et al., S&P 2021, and their kin.
func certifiedAttacks() []attack {
	annotation := func(subtype pdf.Name, keys pdf.Dict) func(*testing.T, []byte) []byte {
		return editing(func(d draft) {
			a := pdf.Dict{
				"Type": pdf.Name("Annot"), "Subtype": subtype, "Rect": numbers(60, 700, 300, 740), "F": int64(4),
				"AP": pdf.Dict{"N": d.Add(content(pdf.Dict{
					"Type": pdf.Name("XObject"), "Subtype": pdf.Name("Form"), "BBox": numbers(0, 0, 240, 40),
				}, "1 g 0 0 240 40 re f"))},
			}
			maps.Copy(a, keys)
			d.insert(firstPage, "Annots", d.Add(a))
		})
	}
	sneaky := func(m mark) func(*testing.T, []byte) []byte {
		return func(t *testing.T, doc []byte) []byte {
			t.Helper()
			return sign(t, doc, m)
		}
	}
	p1, p2, p3 := mark{reference: certify(1)}, mark{reference: certify(2)}, mark{reference: certify(3)}
	white := "1 g 0 0 240 40 re f"
	return []attack{
		{name: "evil annotation: free text", signed: p3, level: 3, after: annotation("FreeText", nil), suspect: true},
		{name: "evil annotation: stamp", signed: p3, level: 3, after: annotation("Stamp", nil), suspect: true},
		{name: "evil annotation: a square over the text", signed: p3, level: 3, after: annotation("Square", nil), suspect: true},
		{name: "evil annotation: redaction", signed: p3, level: 3, after: annotation("Redact", nil)},
		{name: "evil annotation: one that starts something", signed: p3, level: 3, after: annotation("Text", pdf.Dict{
			"A": pdf.Dict{"S": pdf.Name("Launch"), "F": pdf.String("calc.exe")},
		})},
		{name: "evil annotation: a film", signed: p3, level: 3, after: annotation("Screen", nil)},
		{name: "evil annotation: a link", signed: p3, level: 3, after: annotation("Link", nil)},
		{name: "evil annotation: a field of no form", signed: p3, level: 3, after: annotation("Widget", nil)},
		{name: "evil annotation where none is permitted", signed: p2, level: 2, after: annotation("Text", nil)},
		{name: "evil annotation: the remark says something else", signed: p2, level: 2, after: editing(func(d draft) {
			d.set(remark, pdf.Dict{"Contents": pdf.String("rechazado")})
		})},
		{name: "evil annotation: the remark is gone", signed: p2, level: 2, after: editing(func(d draft) {
			d.set(firstPage, pdf.Dict{"Annots": pdf.Array{ref(amount), ref(agree), ref(empty)}})
		})},
		{name: "sneaky signature over the text", signed: p2, level: 2, suspect: true, after: sneaky(mark{rect: numbers(60, 700, 300, 740), drawing: white})},
		{name: "sneaky signature as large as the page", signed: p2, level: 2, suspect: true, after: sneaky(mark{rect: numbers(0, 0, 595, 842), drawing: "BT ET"})},
		{name: "sneaky time-stamp over the text", signed: p2, level: 2, suspect: true, after: sneaky(mark{
			rect: numbers(60, 700, 300, 740), drawing: white, keys: pdf.Dict{"SubFilter": pdf.Name("ETSI.RFC3161")},
		})},
		{name: "sneaky signature that nobody made", signed: p2, level: 2, suspect: true, after: editing(func(d draft) {
			field := d.Add(pdf.Dict{
				"Type": pdf.Name("Annot"), "Subtype": pdf.Name("Widget"), "FT": pdf.Name("Sig"), "T": pdf.String("Otra"), "F": int64(4),
				"Rect": numbers(72, 100, 200, 150), "P": ref(firstPage), "AP": pdf.Dict{"N": d.filled("nada")},
			})
			d.insert(firstPage, "Annots", field)
			d.insert(form, "Fields", field)
		})},
		{name: "sneaky signature without a range", signed: p2, level: 2, after: sneaky(mark{
			rect: numbers(60, 700, 300, 740), drawing: white, keys: pdf.Dict{"ByteRange": nil},
		})},
		{name: "a signature after P 1", signed: p1, level: 1, after: sneaky(mark{})},
		{name: "a drawn time-stamp after P 1", signed: p1, level: 1, after: sneaky(mark{
			rect: numbers(72, 100, 200, 150), drawing: white, keys: pdf.Dict{"SubFilter": pdf.Name("ETSI.RFC3161")},
		})},
		{name: "the form filled after P 1", signed: p1, level: 1, after: editing(func(d draft) {
			d.set(amount, pdf.Dict{"V": pdf.String("2500"), "AP": pdf.Dict{"N": d.filled("2500")}})
		})},
		{name: "certified once more", signed: p2, level: 2, after: sneaky(mark{reference: certify(3)})},
		{name: "certified after a signature", after: sneaky(mark{reference: certify(3)})},
	}
}

// formAttacks change a form by more than filling it in.
func formAttacks() []attack {
	lock := pdf.Dict{"Type": pdf.Name("SigFieldLock"), "Action": pdf.Name("Include"), "Fields": pdf.Array{pdf.String("Importe"), pdf.String("Firma")}}
	locks := []inspect.Lock{{Action: "Include", Fields: []string{"Importe", "Firma"}}}
	fill := func(d draft) { d.set(amount, pdf.Dict{"V": pdf.String("2500"), "AP": pdf.Dict{"N": d.filled("2500")}}) }
	return []attack{
		{name: "value and appearance differ", after: editing(func(d draft) {
			d.set(amount, pdf.Dict{"V": pdf.String("2500"), "AP": pdf.Dict{"N": d.filled("9999")}})
		})},
		{name: "value without its appearance", after: editing(func(d draft) { d.set(amount, pdf.Dict{"V": pdf.String("2500")}) })},
		{name: "a value drawn as shapes", suspect: true, after: editing(func(d draft) {
			d.set(amount, pdf.Dict{"V": pdf.String("2500"), "AP": pdf.Dict{"N": d.Add(content(pdf.Dict{
				"Type": pdf.Name("XObject"), "Subtype": pdf.Name("Form"), "BBox": numbers(0, 0, 100, 20),
			}, "0 0 m 5 5 9 9 7 7 c f"))}})
		})},
		{name: "a value in a font that lies", suspect: true, after: editing(func(d draft) {
			lying := pdf.Dict{
				"Type": pdf.Name("Font"), "Subtype": pdf.Name("Type1"), "Encoding": pdf.Name("WinAnsiEncoding"),
				"FontDescriptor": d.Add(pdf.Dict{"FontFile": d.AddStream(pdf.Dict{}, []byte("nines that look like ones"))}),
			}
			d.set(amount, pdf.Dict{"V": pdf.String("1111"), "AP": pdf.Dict{"N": d.Add(content(pdf.Dict{
				"Type": pdf.Name("XObject"), "Subtype": pdf.Name("Form"), "BBox": numbers(0, 0, 100, 20),
				"Resources": pdf.Dict{"Font": pdf.Dict{"Helv": d.Add(lying)}},
			}, shows("1111")))}})
		})},
		{name: "a box crossed in what it looks like", after: editing(func(d draft) {
			d.set(agree, pdf.Dict{"AP": pdf.Dict{"N": pdf.Dict{"Yes": ref(blank), "Off": ref(crossed)}}})
		})},
		{name: "a box that shows another state", after: editing(func(d draft) { d.set(agree, pdf.Dict{"AS": pdf.Name("Yes")}) })},
		{name: "a field moved", after: editing(func(d draft) { d.set(amount, pdf.Dict{"Rect": numbers(60, 700, 300, 740)}) })},
		{name: "a field hidden", after: editing(func(d draft) { d.set(amount, pdf.Dict{"F": int64(2)}) })},
		{name: "a field renamed", after: editing(func(d draft) { d.set(amount, pdf.Dict{"T": pdf.String("Descuento")}) })},
		{name: "a script in a field", after: editing(func(d draft) {
			d.set(amount, pdf.Dict{"AA": pdf.Dict{"F": pdf.Dict{"S": pdf.Name("JavaScript"), "JS": pdf.String("event.value=9000")}}})
		})},
		{name: "a field removed", after: editing(func(d draft) {
			d.set(form, pdf.Dict{"Fields": pdf.Array{ref(agree), ref(empty)}})
		})},
		{name: "a field added", after: editing(func(d draft) {
			field := d.Add(pdf.Dict{
				"Type": pdf.Name("Annot"), "Subtype": pdf.Name("Widget"), "FT": pdf.Name("Tx"), "T": pdf.String("Nota"),
				"Rect": numbers(72, 680, 300, 740), "V": pdf.String("nulo"), "AP": pdf.Dict{"N": d.filled("nulo")},
			})
			d.insert(firstPage, "Annots", field)
			d.insert(form, "Fields", field)
		})},
		{name: "viewers draw the fields anew", after: editing(func(d draft) { d.set(form, pdf.Dict{"NeedAppearances": true}) })},
		{name: "another font under the same name", after: editing(func(d draft) {
			d.set(form, pdf.Dict{"DR": pdf.Dict{"Font": pdf.Dict{"Helv": d.Add(pdf.Dict{"Type": pdf.Name("Font"), "Subtype": pdf.Name("Type3")})}}})
		})},
		{name: "an XFA form", after: editing(func(d draft) {
			d.set(form, pdf.Dict{"XFA": d.AddStream(pdf.Dict{}, []byte("<xdp/>"))})
		})},
		{name: "a locked field filled in", signed: mark{lock: lock}, locks: locks, after: editing(fill)},
		{name: "a locked signature field signed", signed: mark{lock: lock}, locks: locks, after: func(t *testing.T, doc []byte) []byte {
			t.Helper()
			return sign(t, doc, mark{field: empty})
		}},
		{name: "a locked field filled in by the next signer", signed: mark{lock: lock}, locks: locks, after: func(t *testing.T, doc []byte) []byte {
			t.Helper()
			return sign(t, doc, mark{also: fill})
		}},
		{name: "the signature taken away", signed: mark{field: empty}, after: editing(func(d draft) { d.set(empty, pdf.Dict{"V": nil}) })},
	}
}

// documentAttacks change the rest.
func documentAttacks() []attack {
	inCatalog := func(key pdf.Name, value pdf.Object) func(*testing.T, []byte) []byte {
		return editing(func(d draft) { d.set(catalog, pdf.Dict{key: value}) })
	}
	onPage := func(key pdf.Name, value pdf.Object) func(*testing.T, []byte) []byte {
		return editing(func(d draft) { d.set(firstPage, pdf.Dict{key: value}) })
	}
	script := pdf.Dict{"S": pdf.Name("JavaScript"), "JS": pdf.String("app.alert(1)")}
	return []attack{
		{name: "an action when it opens", after: inCatalog("OpenAction", script)},
		{name: "actions of the document", after: inCatalog("AA", pdf.Dict{"WP": script})},
		{name: "a script by name", after: inCatalog("Names", pdf.Dict{"JavaScript": pdf.Dict{"Names": pdf.Array{pdf.String("a"), script}}})},
		{name: "a portfolio", after: inCatalog("Collection", pdf.Dict{"View": pdf.Name("D")})},
		{name: "layers", after: inCatalog("OCProperties", pdf.Dict{"OCGs": pdf.Array{}, "D": pdf.Dict{}})},
		{name: "an outline", after: inCatalog("Outlines", pdf.Dict{"Type": pdf.Name("Outlines")})},
		{name: "labels of pages", after: inCatalog("PageLabels", pdf.Dict{"Nums": pdf.Array{int64(0), pdf.Dict{"S": pdf.Name("r")}}})},
		{name: "actions of a page", after: onPage("AA", pdf.Dict{"O": script})},
		{name: "a page turned", after: onPage("Rotate", int64(180))},
		{name: "a page cut", after: onPage("CropBox", numbers(0, 0, 595, 700))},
		{name: "another text", after: onPage("Contents", ref(overlay))},
		{name: "more text", after: editing(func(d draft) {
			d.set(firstPage, pdf.Dict{"Contents": pdf.Array{ref(text), d.AddStream(pdf.Dict{}, []byte("0 0 595 842 re f"))}})
		})},
		{name: "other resources", after: onPage("Resources", pdf.Dict{})},
		{name: "a page less", after: editing(func(d draft) {
			d.set(pageTree, pdf.Dict{"Kids": pdf.Array{ref(firstPage)}, "Count": int64(1)})
		})},
		{name: "pages in another order", after: editing(func(d draft) {
			d.set(pageTree, pdf.Dict{"Kids": pdf.Array{ref(lastPage), ref(firstPage)}})
		})},
		{name: "a page more", after: editing(func(d draft) {
			page := d.dict(lastPage)
			d.set(pageTree, pdf.Dict{"Kids": pdf.Array{ref(firstPage), ref(lastPage), d.Add(page)}, "Count": int64(3)})
		})},
		{name: "inherited boxes", after: editing(func(d draft) {
			d.set(pageTree, pdf.Dict{"Rotate": int64(90)})
		})},
		{name: "annotations in another order", after: editing(func(d draft) {
			list, ok := d.dict(firstPage)["Annots"].(pdf.Array)
			if !ok {
				d.tb.Fatal("no annotations")
			}
			list = slices.Clone(list)
			list[0], list[2] = list[2], list[0]
			d.set(firstPage, pdf.Dict{"Annots": list})
		})},
	}
}

func TestAttacks(t *testing.T) {
	t.Parallel()
	all := slices.Concat(shadowAttacks(), incrementalAttacks(), certifiedAttacks(), formAttacks(), documentAttacks())
	for _, a := range all {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			document := contract()
			if a.prepare != nil {
				a.prepare(document)
			}
			signed := sign(t, write(document), a.signed)
			if found := report(t, signed); found.Has(policies.FindingSignatureMalformed) || found.Has(policies.FindingSignatureBroken) {
				t.Fatalf("before the attack: got %+v", found)
			}
			forged := a.after(t, signed)
			if !bytes.HasPrefix(forged, signed) {
				t.Fatal("the attack changed what was signed")
			}
			flagged(t, a, signed, forged)
			found, err := inspect.File(open(t, forged))
			if err != nil {
				if !errors.As(err, new(*policies.Refusal)) {
					t.Errorf("File: got %v, want a refusal", err)
				}
				return
			}
			warnings, refusal := policies.JudgeDocument(found.Findings, policies.DefaultDocumentRules())
			if refusal == nil && !(a.suspect && slices.ContainsFunc(warnings, func(w policies.Finding) bool {
				return w.Code == policies.FindingSignatureExtended || w.Code == policies.FindingObjectsUnlisted
			})) {
				t.Errorf("File: got %+v, want what refuses it", found)
			}
		})
	}
}

// flagged wants a forbidden change, or an error, which permits nothing either.
func flagged(t *testing.T, a attack, signed, forged []byte) {
	t.Helper()
	list, err := inspect.Changes(open(t, signed), open(t, forged), inspect.Permission{Level: a.level, Locks: a.locks})
	if err != nil {
		if !errors.As(err, new(*policies.Refusal)) {
			t.Errorf("Changes: got %v, want a refusal", err)
		}
		return
	}
	if count(list, inspect.Forbidden) == 0 && (!a.suspect || count(list, inspect.Suspect) == 0) {
		t.Errorf("Changes: got %+v, want a forbidden one", list)
	}
}
