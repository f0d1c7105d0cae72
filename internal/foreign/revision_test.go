package foreign_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/rubrica-firma/rubrica/signer/pades"
	"github.com/rubrica-firma/rubrica/signer/pdf"
)

// revision is what somebody puts behind a signed document so that it is, or says,
// something else.
type revision struct {
	tb   testing.TB
	r    *rand.Rand
	file *pdf.File
	*pdf.Update

	page      pdf.Page
	signature *pades.Signature
}

// addRevision puts one of many behind a document.
func addRevision(tb testing.TB, r *rand.Rand, document []byte) (string, []byte) {
	tb.Helper()
	file := open(tb, document)
	pages, err := file.Pages()
	must(tb, err)
	all, err := pades.Signatures(file)
	must(tb, err)
	v := revision{tb, r, file, file.NewUpdate(), pages[r.IntN(len(pages))], all[0]}
	kinds := []struct {
		name  string
		write func(revision)
	}{
		{"another content", revision.replaceContent},
		{"more content", revision.addContent},
		{"content overwritten", revision.overwriteContent},
		{"other resources", revision.replaceResources},
		{"a page moved", revision.moveBox},
		{"a page turned", revision.turn},
		{"pages added", revision.addPage},
		{"other pages", revision.replacePages},
		{"an annotation over a page", revision.cover},
		{"an action on opening", revision.act},
		{"the signature shown otherwise", revision.showOtherwise},
		{"the signature saying otherwise", revision.sayOtherwise},
		{"the signature taken away", revision.remove},
		{"the signature taken from its field", revision.empty},
		{"the signature over all", revision.widen},
		{"the signature over nothing", revision.unrange},
		{"an optional layer", revision.layer},
	}
	kind := kinds[r.IntN(len(kinds))]
	kind.write(v)
	update, err := v.Bytes()
	must(tb, err)
	return kind.name, join(document, update)
}

// drawing writes something anywhere.
func (v revision) drawing() pdf.Ref {
	text := fmt.Sprintf("q 1 g %[1]d %[2]d 200 30 re f 0 g BT /F1 %[3]d Tf %[1]d %[2]d Td (%[4]d euros) Tj ET Q",
		v.r.IntN(400), v.r.IntN(700), 8+v.r.IntN(16), v.r.IntN(100_000))
	return v.AddStream(pdf.Dict{}, []byte(text))
}

func (v revision) change(ref pdf.Ref, key pdf.Name, value pdf.Object) {
	v.tb.Helper()
	o, err := v.Get(ref)
	must(v.tb, err)
	d, ok := o.(pdf.Dict)
	if !ok {
		v.tb.Fatalf("object %v is a %T", ref, o)
	}
	d = d.Clone()
	d[key] = value
	if value == nil {
		delete(d, key)
	}
	v.Set(ref, d)
}

func (v revision) catalog(key pdf.Name, value pdf.Object) {
	v.tb.Helper()
	ref, _ := v.file.Catalog()
	v.change(ref, key, value)
}

func (v revision) replaceContent() { v.change(v.page.Ref, "Contents", v.drawing()) }

func (v revision) addContent() {
	contents, err := v.file.Resolve(v.page.Dict["Contents"])
	must(v.tb, err)
	list, ok := contents.(pdf.Array)
	if !ok {
		list = pdf.Array{v.page.Dict["Contents"]}
	}
	v.change(v.page.Ref, "Contents", slices.Insert(slices.Clone(list), v.r.IntN(len(list)+1), pdf.Object(v.drawing())))
}

// overwriteContent leaves the page as it is and changes what it refers to.
func (v revision) overwriteContent() {
	ref, ok := v.page.Dict["Contents"].(pdf.Ref)
	if list, err := v.file.Array(v.page.Dict["Contents"]); err == nil && len(list) > 0 {
		ref, ok = list[v.r.IntN(len(list))].(pdf.Ref)
	}
	if !ok {
		v.tb.Fatalf("Contents is %v", v.page.Dict["Contents"])
	}
	v.Set(ref, pdf.NewStream(pdf.Dict{}, fmt.Appendf(nil, "%d 0 0 %d re f", v.r.IntN(500), v.r.IntN(500))))
}

func (v revision) replaceResources() {
	font := pdf.Dict{"Type": pdf.Name("Font"), "Subtype": pdf.Name("Type1"), "BaseFont": pdf.Name("ZapfDingbats")}
	v.change(v.page.Ref, "Resources", pdf.Dict{"Font": pdf.Dict{"F1": v.Add(font)}})
}

func (v revision) moveBox() {
	left, bottom := int64(1+v.r.IntN(300)), int64(1+v.r.IntN(300))
	v.change(v.page.Ref, []pdf.Name{"MediaBox", "CropBox"}[v.r.IntN(2)], pdf.Array{left, bottom, left + 200, bottom + 200})
}

func (v revision) turn() { v.change(v.page.Ref, "Rotate", int64(v.page.Rotate+90)%360) }

func (v revision) addPage() {
	root := v.pagesRoot()
	kids, err := v.file.Array(root["Kids"])
	must(v.tb, err)
	count, err := v.file.Int(root["Count"], 1)
	must(v.tb, err)
	_, catalog := v.file.Catalog()
	parent, _ := catalog["Pages"].(pdf.Ref)
	added := v.Add(v.newPage(parent))
	v.change(parent, "Kids", slices.Insert(slices.Clone(kids), v.r.IntN(len(kids)+1), pdf.Object(added)))
	v.change(parent, "Count", count+1)
}

func (v revision) pagesRoot() pdf.Dict {
	v.tb.Helper()
	_, catalog := v.file.Catalog()
	root, err := v.file.Dict(catalog["Pages"])
	must(v.tb, err)
	return root
}

func (v revision) newPage(parent pdf.Ref) pdf.Dict {
	return pdf.Dict{
		"Type": pdf.Name("Page"), "Parent": parent, "Contents": v.drawing(),
		"MediaBox": pdf.Array{int64(0), int64(0), int64(595), int64(842)},
	}
}

func (v revision) replacePages() {
	parent := v.Reserve()
	v.Set(parent, pdf.Dict{"Type": pdf.Name("Pages"), "Kids": pdf.Array{v.Add(v.newPage(parent))}, "Count": int64(1)})
	v.catalog("Pages", parent)
}

// cover lays something over a page that looks like its content.
func (v revision) cover() {
	annotations, err := v.file.Array(v.page.Dict["Annots"])
	must(v.tb, err)
	sheet := pdf.Array{int64(0), int64(0), int64(600), int64(850)}
	form := v.AddStream(pdf.Dict{"Type": pdf.Name("XObject"), "Subtype": pdf.Name("Form"), "BBox": sheet},
		fmt.Appendf(nil, "1 g 0 0 600 850 re f 0 g 60 %d 200 20 re f", v.r.IntN(800)))
	over := v.Add(pdf.Dict{
		"Type": pdf.Name("Annot"), "Subtype": pdf.Name([]string{"FreeText", "Stamp", "Square", "Text", "Widget"}[v.r.IntN(5)]),
		"Rect": sheet, "F": int64(4), "AP": pdf.Dict{"N": form},
	})
	v.change(v.page.Ref, "Annots", append(slices.Clone(annotations), over))
}

func (v revision) act() {
	script := fmt.Sprintf("this.getField('x').value = %d", v.r.IntN(1000))
	v.catalog("OpenAction", pdf.Dict{"S": pdf.Name("JavaScript"), "JS": pdf.TextString(script)})
}

func (v revision) layer() {
	group := v.Add(pdf.Dict{"Type": pdf.Name("OCG"), "Name": pdf.TextString("Capa")})
	v.catalog("OCProperties", pdf.Dict{"OCGs": pdf.Array{group}, "D": pdf.Dict{"OFF": pdf.Array{group}}})
}

// showOtherwise changes what is seen of a signature.
func (v revision) showOtherwise() {
	form := v.AddStream(pdf.Dict{"Type": pdf.Name("XObject"), "Subtype": pdf.Name("Form"), "BBox": pdf.Array{int64(0), int64(0), int64(90), int64(90)}},
		fmt.Appendf(nil, "0 g 0 0 %d 90 re f", 1+v.r.IntN(90)))
	v.change(v.signature.FieldRef, "AP", pdf.Dict{"N": form})
	v.change(v.signature.FieldRef, "Rect", pdf.Array{int64(10), int64(10), int64(100), int64(100)})
}

// sayOtherwise leaves what is signed as it is, and has another dictionary tell of it.
func (v revision) sayOtherwise() {
	v.change(v.signature.Ref, []pdf.Name{"Name", "Reason", "Location", "M"}[v.r.IntN(4)], pdf.TextString(fmt.Sprintf("D:20%02d", v.r.IntN(100))))
}

func (v revision) remove() {
	ref, catalog := v.file.Catalog()
	form, err := v.file.Dict(catalog["AcroForm"])
	must(v.tb, err)
	fields, err := v.file.Array(form["Fields"])
	must(v.tb, err)
	form = form.Clone()
	form["Fields"] = slices.DeleteFunc(slices.Clone(fields), func(o pdf.Object) bool { return o == pdf.Object(v.signature.FieldRef) })
	if indirect, ok := catalog["AcroForm"].(pdf.Ref); ok {
		v.Set(indirect, form)
		return
	}
	v.change(ref, "AcroForm", form)
}

func (v revision) empty() { v.change(v.signature.FieldRef, "V", nil) }

// widen has the signature claim octets that came later.
func (v revision) widen() {
	r := v.signature.ByteRange
	end := v.file.Size() + int64(v.r.IntN(300))
	v.change(v.signature.Ref, "ByteRange", pdf.Array{r[0], r[1], r[2], end - r[2]})
	v.change(v.page.Ref, "Contents", v.drawing())
}

// unrange has the signature claim none.
func (v revision) unrange() {
	v.change(v.signature.Ref, "ByteRange", []pdf.Object{
		nil, pdf.Array{int64(0), int64(0), int64(0), int64(0)}, pdf.Array{int64(0), v.signature.ByteRange[1]},
	}[v.r.IntN(3)])
	v.change(v.page.Ref, "Contents", v.drawing())
}
