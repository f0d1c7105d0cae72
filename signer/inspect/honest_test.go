package inspect_test

import (
	"testing"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/inspect"
	"github.com/rubrica-firma/rubrica/signer/pdf"
)

// TestHonestUpdates: what signers, validators and forms do is not held against
// anybody.
func TestHonestUpdates(t *testing.T) {
	t.Parallel()
	evidence := func(d draft) {
		certs := pdf.Array{d.AddStream(pdf.Dict{}, []byte("a certificate"))}
		d.set(catalog, pdf.Dict{
			"DSS":        pdf.Dict{"Type": pdf.Name("DSS"), "Certs": certs},
			"Extensions": pdf.Dict{"ESIC": pdf.Dict{"BaseVersion": pdf.Name("1.7"), "ExtensionLevel": int64(5)}},
		})
	}
	stamp := pdf.Dict{"Type": pdf.Name("DocTimeStamp"), "SubFilter": pdf.Name("ETSI.RFC3161")}
	fill := func(d draft) {
		d.set(amount, pdf.Dict{"V": pdf.String("2500"), "AP": pdf.Dict{"N": d.filled("2500")}})
		d.set(agree, pdf.Dict{"V": pdf.Name("Yes"), "AS": pdf.Name("Yes")})
	}
	for _, test := range []struct {
		name   string
		levels []int64 // of certification; 0: an approval signature
		want   inspect.Kind
		update func(t *testing.T, doc []byte) []byte
	}{
		{"nothing", []int64{0, 1, 2, 3}, "", func(_ *testing.T, doc []byte) []byte { return doc }},
		{"evidence", []int64{0, 1, 2, 3}, inspect.EvidenceAdded, func(t *testing.T, doc []byte) []byte {
			t.Helper()
			return update(t, doc, evidence)
		}},
		{"a document time-stamp with evidence", []int64{0, 1, 2, 3}, inspect.TimeStampAdded, func(t *testing.T, doc []byte) []byte {
			t.Helper()
			return sign(t, doc, mark{keys: stamp, also: evidence})
		}},
		{"metadata", []int64{0, 1, 2, 3}, inspect.MetadataChanged, func(t *testing.T, doc []byte) []byte {
			t.Helper()
			return update(t, doc, func(d draft) {
				d.set(catalog, pdf.Dict{"Metadata": d.AddStream(pdf.Dict{"Type": pdf.Name("Metadata")}, []byte("<x/>"))})
			})
		}},
		{"a signature that is not seen", []int64{0, 2, 3}, inspect.SignatureAdded, func(t *testing.T, doc []byte) []byte {
			t.Helper()
			return sign(t, doc, mark{})
		}},
		{"a signature with a mark in a corner", []int64{0, 2, 3}, inspect.SignatureAdded, func(t *testing.T, doc []byte) []byte {
			t.Helper()
			return sign(t, doc, mark{rect: numbers(380, 20, 580, 70), drawing: "1 g 0 0 200 50 re f"})
		}},
		{"the empty field signed", []int64{0, 2, 3}, inspect.SignatureAdded, func(t *testing.T, doc []byte) []byte {
			t.Helper()
			return sign(t, doc, mark{field: empty, drawing: "1 g 0 0 200 50 re f"})
		}},
		{"three signatures", []int64{0, 2, 3}, inspect.SignatureAdded, func(t *testing.T, doc []byte) []byte {
			t.Helper()
			for range 3 {
				doc = sign(t, doc, mark{})
			}
			return doc
		}},
		{"a field for the next signer", []int64{0, 2, 3}, inspect.SignatureFieldAdded, func(t *testing.T, doc []byte) []byte {
			t.Helper()
			return update(t, doc, func(d draft) {
				field := d.Add(pdf.Dict{
					"Type": pdf.Name("Annot"), "Subtype": pdf.Name("Widget"), "FT": pdf.Name("Sig"), "T": pdf.String("Otra"),
					"Rect": numbers(72, 100, 200, 150), "P": ref(firstPage),
				})
				d.insert(firstPage, "Annots", field)
				d.insert(form, "Fields", field)
			})
		}},
		{"the form filled in", []int64{0, 2, 3}, inspect.FormFilled, func(t *testing.T, doc []byte) []byte {
			t.Helper()
			return update(t, doc, fill)
		}},
		{"filled in and signed", []int64{0, 2, 3}, inspect.FormFilled, func(t *testing.T, doc []byte) []byte {
			t.Helper()
			return sign(t, doc, mark{also: fill})
		}},
		{"a font for the form", []int64{0, 2, 3}, inspect.SignatureAdded, func(t *testing.T, doc []byte) []byte {
			t.Helper()
			return sign(t, doc, mark{also: func(d draft) {
				d.set(form, pdf.Dict{"DR": pdf.Dict{"Font": pdf.Dict{"Helv": ref(helv), "Otra": ref(helv)}}})
			}})
		}},
		{"fields locked after signing", []int64{0, 2, 3}, inspect.FormFilled, func(t *testing.T, doc []byte) []byte {
			t.Helper()
			return sign(t, doc, mark{also: func(d draft) { d.set(amount, pdf.Dict{"Ff": int64(1)}) }})
		}},
		{"a remark", []int64{0, 3}, inspect.AnnotationAdded, func(t *testing.T, doc []byte) []byte {
			t.Helper()
			return update(t, doc, func(d draft) {
				d.insert(firstPage, "Annots", d.Add(pdf.Dict{
					"Type": pdf.Name("Annot"), "Subtype": pdf.Name("Highlight"), "Rect": numbers(72, 715, 200, 735),
					"QuadPoints": numbers(72, 735, 200, 735, 72, 715, 200, 715),
				}))
			})
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for _, level := range test.levels {
				m := mark{}
				if level > 0 {
					m.reference = certify(level)
				}
				signed := sign(t, write(contract()), m)
				newer := test.update(t, signed)
				list := changes(t, signed, newer, inspect.Permission{Level: int(level)})
				if n := count(list, inspect.Permitted); n != len(list) {
					t.Errorf("level %d: got %+v, want permitted changes only", level, list)
				}
				if test.want != "" && !has(list, test.want) {
					t.Errorf("level %d: got %+v, want %s", level, list, test.want)
				}
				found := report(t, newer)
				if _, refusal := policies.JudgeDocument(found.Findings, policies.DefaultDocumentRules()); refusal != nil {
					t.Errorf("level %d: got %v, want a document that can be signed", level, refusal)
				}
			}
		})
	}
}

func has(list []inspect.Change, kind inspect.Kind) bool {
	for _, change := range list {
		if change.Kind == kind {
			return true
		}
	}
	return false
}

// filled is the appearance of the text field with a value.
func (d draft) filled(value string) pdf.Ref {
	return d.Add(content(pdf.Dict{
		"Type": pdf.Name("XObject"), "Subtype": pdf.Name("Form"), "BBox": numbers(0, 0, 100, 20),
		"Resources": pdf.Dict{"Font": pdf.Dict{"Helv": ref(helv)}},
	}, shows(value)))
}
