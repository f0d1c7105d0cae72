package inspect_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/internal/cputest"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/inspect"
	"github.com/rubrica-firma/rubrica/signer/pdf"
)

// hybrid completes a table by a stream in which an object stands elsewhere.
func hybrid(number int, other pdf.Object) []byte {
	b := appendObject([]byte("%PDF-1.7\n"), number, other)
	at := len("%PDF-1.7\n")
	stream := len(b)
	row := string([]byte{1, byte(at >> 8), byte(at), 0})
	b = appendObject(b, 50, content(pdf.Dict{
		"Type": pdf.Name("XRef"), "W": numbers(1, 2, 1), "Index": numbers(int64(number), 1), "Size": int64(4000), "Root": ref(catalog),
	}, row))
	return appendRevision(b, contract(), pdf.Dict{"Root": ref(catalog), "XRefStm": int64(stream)})
}

// TestStructure: what only the cross-references make ambiguous.
func TestStructure(t *testing.T) {
	t.Parallel()
	plain := write(contract())
	end := bytes.LastIndex(plain, []byte("xref\n0 1\n"))
	before := func(o []byte) []byte { // in front of the cross-reference, which moves
		moved := slices.Concat(plain[:end], o, plain[end:])
		return bytes.Replace(moved, fmt.Appendf(nil, "startxref\n%d\n", end), fmt.Appendf(nil, "startxref\n%d\n", end+len(o)), 1)
	}
	for _, test := range []struct {
		name string
		doc  []byte
		want policies.FindingCode
	}{
		{"hybrid, and old readers see another text", hybrid(text, words("Otra cosa.")), policies.FindingHybridDiffers},
		{"hybrid, with an object that old readers do not see", hybrid(45, words("Otra cosa.")), policies.FindingHybrid},
		{"a newer text that is not listed", before(appendObject(nil, text, words("Otra cosa."))), policies.FindingObjectsDuplicate},
		{"an object that is not listed", before(appendObject(nil, 45, words("Otra cosa."))), policies.FindingObjectsUnlisted},
		{"an object behind the end", appendObject(slices.Clone(plain), text, words("Otra cosa.")), policies.FindingObjectsDuplicate},
		{"an earlier revision that showed something else", appendRevision(slices.Clone(plain), objects{text: words("Otra cosa.")}, pdf.Dict{"Root": ref(catalog)}), policies.FindingRevisionsChanged},
		{"an earlier revision that showed the same", update(t, plain, func(d draft) {
			d.set(catalog, pdf.Dict{"Metadata": d.AddStream(pdf.Dict{"Type": pdf.Name("Metadata")}, []byte("<x/>"))})
		}), policies.FindingRevisions},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if found := report(t, test.doc); !found.Has(test.want) {
				t.Errorf("got %+v, want %s", found, test.want)
			}
		})
	}
}

// TestReplacedContainer: an entry may stay the same, and what it leads to not.
func TestReplacedContainer(t *testing.T) {
	t.Parallel()
	packed := func(said string) *pdf.Stream {
		value := "(" + said + ")"
		head := "9 0 "
		return content(pdf.Dict{"Type": pdf.Name("ObjStm"), "N": int64(1), "First": int64(len(head))}, head+
			"<</Type/Annot/Subtype/Widget/F 4/FT/Tx/T(Importe)/V"+value+"/Rect[72 600 172 620]/P 3 0 R/AP<</N 10 0 R>>>>")
	}
	all := contract()
	delete(all, amount)
	all[30] = packed("1000")
	b := []byte("%PDF-1.7\n")
	var rows strings.Builder
	index := pdf.Array{}
	row := func(number int, kind, second, third byte, offset int) {
		index = append(index, int64(number), int64(1))
		if kind == 1 {
			second, third = byte(offset>>8), byte(offset)
		}
		rows.Write([]byte{kind, second, third, 0})
	}
	for number := range 60 {
		if all[number] != nil {
			row(number, 1, 0, 0, len(b))
			b = appendObject(b, number, all[number])
		}
	}
	row(amount, 2, 0, 30, 0)
	at := len(b)
	row(51, 1, 0, 0, at)
	b = appendObject(b, 51, content(pdf.Dict{
		"Type": pdf.Name("XRef"), "W": numbers(1, 2, 1), "Index": index, "Size": int64(4000), "Root": ref(catalog),
	}, rows.String()))
	b = fmt.Appendf(b, "startxref\n%d\n%%%%EOF\n", at)
	signed := sign(t, b, mark{})
	if found := report(t, signed); found.Has(policies.FindingFieldDiffers) {
		t.Fatalf("before: got %+v", found)
	}
	forged := update(t, signed, func(d draft) { d.Set(ref(30), packed("9000")) })
	if list := changes(t, signed, forged, inspect.Permission{}); count(list, inspect.Forbidden) == 0 {
		t.Errorf("got %+v, want a forbidden change", list)
	}
}

func TestPermissionOf(t *testing.T) {
	t.Parallel()
	fieldMDP := pdf.Dict{
		"TransformMethod": pdf.Name("FieldMDP"),
		"TransformParams": pdf.Dict{"Action": pdf.Name("Include"), "Fields": pdf.Array{pdf.String("A")}},
	}
	all := pdf.Dict{"Lock": pdf.Dict{"Action": pdf.Name("All"), "P": int64(1)}}
	for _, test := range []struct {
		name             string
		signature, field pdf.Dict
		certified        pdf.Dict // in the catalogue
		want             inspect.Permission
	}{
		{name: "an approval", want: inspect.Permission{}},
		{name: "certified", signature: pdf.Dict{"Reference": pdf.Array{certify(3)}}, want: inspect.Permission{Level: 3}},
		{name: "certified without a level", signature: pdf.Dict{"Reference": pdf.Array{pdf.Dict{"TransformMethod": pdf.Name("DocMDP")}}}, want: inspect.Permission{Level: 2}},
		{name: "a level that ISO does not know", signature: pdf.Dict{"Reference": pdf.Array{certify(7)}}, want: inspect.Permission{Level: 1}},
		{name: "an approval of what was certified", certified: pdf.Dict{"Reference": pdf.Array{certify(2)}}, want: inspect.Permission{Level: 2}},
		{name: "fields", signature: pdf.Dict{"Reference": pdf.Array{fieldMDP}}, want: inspect.Permission{Locks: []inspect.Lock{{Action: "Include", Fields: []string{"A"}}}}},
		{
			name: "a lock with a level", field: all, certified: pdf.Dict{"Reference": pdf.Array{certify(3)}},
			want: inspect.Permission{Level: 1, Locks: []inspect.Lock{{Action: "All"}}},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			perms := pdf.Dict{}
			if test.certified != nil {
				perms["DocMDP"] = test.certified
			}
			f := open(t, write(with(t, catalog, pdf.Dict{"Perms": perms})))
			if diff := cmp.Diff(test.want, inspect.PermissionOf(f, test.signature, test.field)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestBudgets: what refers to the same things again and again costs no more
// than it may, and what was not looked at is told.
func TestBudgets(t *testing.T) {
	t.Parallel()
	many := pdf.Array{}
	for range 20_000 {
		many = append(many, ref(remark))
	}
	shared := pages(1000)
	for number, o := range shared {
		if d, ok := o.(pdf.Dict); ok && d["Type"] == pdf.Name("Page") {
			d = d.Clone()
			d["Annots"] = ref(40)
			shared[number] = d
		}
	}
	shared[40] = many
	deep := contract()
	for level := range 500 {
		deep[100+level] = pdf.Dict{"T": pdf.String(strings.Repeat("a", 100)), "Kids": pdf.Array{ref(101 + level)}}
	}
	deep[600] = pdf.Dict{"T": pdf.String("fin"), "FT": pdf.Name("Tx")}
	change(t, deep, form, pdf.Dict{"Fields": pdf.Array{ref(100)}})
	loop := contract()
	box := pdf.Dict{"Subtype": pdf.Name("Form"), "BBox": numbers(0, 0, 1, 1)}
	box["Resources"] = pdf.Dict{"XObject": pdf.Dict{"Im": ref(overlay), "Im2": ref(60)}}
	again := strings.Repeat("/Im Do /Im2 Do ", 2000) + "f"
	loop[overlay], loop[60] = content(box, again), content(box, again)
	change(t, loop, remark, pdf.Dict{"Subtype": pdf.Name("Square"), "Rect": numbers(60, 700, 300, 740), "AP": pdf.Dict{"N": ref(60)}})
	expression := contract()
	for level := range 40 {
		expression[100+level] = pdf.Array{pdf.Name("And"), ref(101 + level), ref(101 + level)}
	}
	expression[140] = pdf.Array{pdf.Name("Or")}
	change(t, expression, catalog, pdf.Dict{"OCProperties": pdf.Dict{"OCGs": pdf.Array{}, "D": pdf.Dict{}}})
	change(t, expression, remark, pdf.Dict{"OC": pdf.Dict{"Type": pdf.Name("OCMD"), "VE": ref(100)}})
	for name, test := range map[string]struct {
		all  objects
		want policies.FindingCode
	}{
		"annotations of every page":  {shared, policies.FindingIncomplete},
		"fields in fields":           {deep, policies.FindingIncomplete},
		"forms that draw each other": {loop, policies.FindingIncomplete},
		"expressions in expressions": {expression, policies.FindingLayersHidden},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spent := cputest.Watch(t)
			found := report(t, write(test.all))
			if !found.Has(test.want) {
				t.Errorf("got %+v, want %s", found, test.want)
			}
			// One second here; a slow processor is no fault, what has no budget takes hours.
			if took := spent(); took > 10*time.Second {
				t.Errorf("took %v of the processor", took)
			}
		})
	}
}
