package inspect_test

import (
	"bytes"
	"compress/zlib"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/inspect"
	"github.com/rubrica-firma/rubrica/signer/pdf"
)

// with gives the contract with keys of some objects changed.
func with(tb testing.TB, number int, values pdf.Dict) objects {
	tb.Helper()
	all := contract()
	change(tb, all, number, values)
	return all
}

func change(tb testing.TB, all objects, number int, values pdf.Dict) {
	tb.Helper()
	d, ok := all[number].(pdf.Dict)
	if !ok {
		tb.Fatalf("object %d: got %T, want a dictionary", number, all[number])
	}
	d = d.Clone()
	maps.Copy(d, values)
	all[number] = d
}

func deflated(tb testing.TB, d pdf.Dict, data string) *pdf.Stream {
	tb.Helper()
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	if _, err := w.Write([]byte(data)); err != nil {
		tb.Fatalf("deflating: %v", err)
	}
	if err := w.Close(); err != nil {
		tb.Fatalf("deflating: %v", err)
	}
	d = d.Clone()
	d["Filter"] = pdf.Name("FlateDecode")
	return content(d, b.String())
}

func action(kind pdf.Name, keys pdf.Dict) pdf.Dict {
	d := keys.Clone()
	d["S"] = kind
	return d
}

func TestFindings(t *testing.T) {
	t.Parallel()
	js := pdf.Dict{"JS": pdf.String("this.print(true);")}
	script := action("JavaScript", js)
	xobject := pdf.Dict{"Type": pdf.Name("XObject"), "Subtype": pdf.Name("Form"), "BBox": numbers(0, 0, 9, 9)}
	onClick := func(a pdf.Dict) objects { return with(t, remark, pdf.Dict{"Subtype": pdf.Name("Link"), "A": a}) }
	annotated := func(keys pdf.Dict) objects { return with(t, remark, keys) }
	layered := func(group, configuration, membership pdf.Dict) objects {
		all := with(t, catalog, pdf.Dict{"OCProperties": pdf.Dict{"OCGs": pdf.Array{ref(40)}, "D": configuration}})
		all[40] = group
		all[41] = membership
		change(t, all, firstPage, pdf.Dict{"Resources": pdf.Dict{
			"Font": pdf.Dict{"F1": ref(helv)}, "XObject": pdf.Dict{"Im": ref(overlay)}, "Properties": pdf.Dict{"MC0": ref(41)},
		}})
		return all
	}
	group := pdf.Dict{"Type": pdf.Name("OCG"), "Name": pdf.String("capa")}
	membership := pdf.Dict{"Type": pdf.Name("OCMD"), "OCGs": ref(40)}
	printed := group.Clone()
	printed["Usage"] = pdf.Dict{"Print": pdf.Dict{"PrintState": pdf.Name("OFF")}}
	unless := membership.Clone()
	unless["P"] = pdf.Name("AllOff")
	expressed := pdf.Dict{"Type": pdf.Name("OCMD"), "VE": pdf.Array{pdf.Name("Not"), ref(40)}}
	automatic := pdf.Dict{"AS": pdf.Array{pdf.Dict{
		"Event": pdf.Name("Print"), "Category": pdf.Array{pdf.Name("Print")}, "OCGs": pdf.Array{ref(40)},
	}}}
	for _, test := range []struct {
		name string
		all  objects
		want []policies.FindingCode
	}{
		{"an ordinary contract", contract(), nil},
		{"XFA", with(t, form, pdf.Dict{"XFA": pdf.Array{pdf.String("template"), ref(40)}}), codes(policies.FindingXFA)},
		{"dynamic XFA", with(t, catalog, pdf.Dict{"NeedsRendering": true}), codes(policies.FindingXFADynamic)},
		{"dynamic XFA by its configuration", func() objects {
			all := with(t, form, pdf.Dict{"XFA": pdf.Array{pdf.String("config"), ref(40)}})
			all[40] = content(pdf.Dict{}, "<config><dynamicRender>required</dynamicRender></config>")
			return all
		}(), codes(policies.FindingXFADynamic)},
		{"a script when it opens", with(t, catalog, pdf.Dict{"OpenAction": script}), codes(policies.FindingJavaScriptOpen)},
		{"a script behind a destination", with(t, catalog, pdf.Dict{
			"OpenAction": action("GoTo", pdf.Dict{"D": pdf.Array{ref(firstPage), pdf.Name("Fit")}, "Next": pdf.Array{script}}),
		}), codes(policies.FindingJavaScriptOpen)},
		{"a script when a page opens", with(t, lastPage, pdf.Dict{"AA": pdf.Dict{"O": script}}), codes(policies.FindingJavaScriptOpen)},
		{"a script when it is printed", with(t, catalog, pdf.Dict{"AA": pdf.Dict{"WP": script}}), codes(policies.FindingJavaScriptOpen)},
		{"functions of a form", with(t, catalog, pdf.Dict{"Names": pdf.Dict{"JavaScript": pdf.Dict{"Names": pdf.Array{pdf.String("a"), script}}}}), codes(policies.FindingJavaScriptForm)},
		{"scripts without a form", func() objects {
			all := with(t, catalog, pdf.Dict{"AcroForm": nil, "Names": pdf.Dict{"JavaScript": pdf.Dict{"Names": pdf.Array{pdf.String("a"), script}}}})
			change(t, all, firstPage, pdf.Dict{"Annots": nil})
			return all
		}(), codes(policies.FindingJavaScriptOpen)},
		{"a field that adds up", with(t, amount, pdf.Dict{"AA": pdf.Dict{"C": script}}), codes(policies.FindingJavaScriptForm)},
		{"a script when a field is seen", with(t, amount, pdf.Dict{"AA": pdf.Dict{"PV": script}}), codes(policies.FindingJavaScriptOpen)},
		{"a destination when it opens", with(t, catalog, pdf.Dict{"OpenAction": pdf.Array{ref(firstPage), pdf.Name("Fit")}}), nil},
		{"a link when it opens", with(t, catalog, pdf.Dict{"OpenAction": action("URI", pdf.Dict{"URI": pdf.String("https://a.example/")})}), codes(policies.FindingActionOpen)},
		{"a program", onClick(action("Launch", pdf.Dict{"F": pdf.String("calc.exe")})), codes(policies.FindingActionLaunch)},
		{"a form that is sent", onClick(action("SubmitForm", pdf.Dict{"F": pdf.String("https://a.example/")})), codes(policies.FindingActionSubmit)},
		{"data from elsewhere", onClick(action("ImportData", pdf.Dict{"F": pdf.String("a.fdf")})), codes(policies.FindingActionImport)},
		{"a button that hides", onClick(action("Hide", pdf.Dict{"T": ref(amount)})), codes(policies.FindingActionHide)},
		{"an unknown action", onClick(action("Teleport", nil)), codes(policies.FindingActionOther)},
		{"a web link", onClick(action("URI", pdf.Dict{"URI": pdf.String("https://a.example/x:y")})), nil},
		{"a relative link", onClick(action("URI", pdf.Dict{"URI": pdf.String("anexo/uno.html")})), nil},
		{"a link to a file", onClick(action("URI", pdf.Dict{"URI": pdf.String("file:///etc/passwd")})), codes(policies.FindingActionURI)},
		{"a link to a script", onClick(action("URI", pdf.Dict{"URI": pdf.String(" JavaScript:alert(1)")})), codes(policies.FindingActionURI)},
		{"a film", annotated(pdf.Dict{"Subtype": pdf.Name("RichMedia")}), codes(policies.FindingMedia)},
		{"a sound", onClick(action("Sound", nil)), codes(policies.FindingMedia)},
		{"a portfolio", with(t, catalog, pdf.Dict{"Collection": pdf.Dict{}}), codes(policies.FindingCollection)},
		{"an attachment", with(t, catalog, pdf.Dict{"AF": pdf.Array{pdf.Dict{"Type": pdf.Name("Filespec"), "EF": pdf.Dict{"F": ref(40)}}}}), codes(policies.FindingAttachments)},
		{"data outside", func() objects {
			all := contract()
			outside := xobject.Clone()
			outside["F"] = pdf.String("otro.pdf")
			all[overlay] = content(outside, "")
			return all
		}(), codes(policies.FindingExternalContent)},
		{"a page of another file", func() objects {
			all := contract()
			outside := xobject.Clone()
			outside["Ref"] = pdf.Dict{"F": pdf.String("otro.pdf"), "Page": int64(0)}
			all[overlay] = content(outside, "")
			return all
		}(), codes(policies.FindingExternalContent)},
		{"another image for printing", func() objects {
			all := contract()
			all[overlay] = content(pdf.Dict{
				"Subtype": pdf.Name("Image"), "Width": int64(1), "Height": int64(1), "BitsPerComponent": int64(8), "ColorSpace": pdf.Name("DeviceGray"),
				"Alternates": pdf.Array{pdf.Dict{"Image": ref(overlay), "DefaultForPrinting": true}},
			}, "x")
			return all
		}(), codes(policies.FindingAlternateContent)},
		{"a layer that is shown", layered(group, pdf.Dict{}, membership), codes(policies.FindingLayers)},
		{"a hidden layer", layered(group, pdf.Dict{"OFF": pdf.Array{ref(40)}}, membership), codes(policies.FindingLayersHidden, policies.FindingLayers)},
		{"layers hidden by default", layered(group, pdf.Dict{"BaseState": pdf.Name("OFF")}, membership), codes(policies.FindingLayersHidden, policies.FindingLayers)},
		{"shown unless the layer is", layered(group, pdf.Dict{}, unless), codes(policies.FindingLayersHidden, policies.FindingLayers)},
		{"shown by an expression", layered(group, pdf.Dict{}, expressed), codes(policies.FindingLayersHidden, policies.FindingLayers)},
		{"a layer that is not printed", layered(printed, automatic, membership), codes(policies.FindingLayersAutomatic, policies.FindingLayers)},
		{"several configurations", func() objects {
			all := layered(group, pdf.Dict{}, membership)
			change(t, all, catalog, pdf.Dict{"OCProperties": pdf.Dict{"OCGs": pdf.Array{ref(40)}, "D": pdf.Dict{}, "Configs": pdf.Array{pdf.Dict{}}}})
			return all
		}(), codes(policies.FindingLayers, policies.FindingLayersAlternate)},
		{"pages that nothing shows", func() objects {
			all := contract()
			shadowTree(all)
			return all
		}(), codes(policies.FindingObjectsSpare)},
		{"a field that shows something else", with(t, amount, pdf.Dict{"V": pdf.String("9000")}), codes(policies.FindingFieldDiffers)},
		{"a field that a script formats", with(t, amount, pdf.Dict{"V": pdf.String("9000"), "AA": pdf.Dict{"F": script}}), codes(policies.FindingJavaScriptForm, policies.FindingFieldFormatted)},
		{"a field that is not drawn", with(t, amount, pdf.Dict{"AP": nil}), codes(policies.FindingFieldUndrawn)},
		{"a box that shows another state", with(t, agree, pdf.Dict{"V": pdf.Name("Yes")}), codes(policies.FindingFieldDiffers)},
		{"viewers draw the fields", with(t, form, pdf.Dict{"NeedAppearances": true}), codes(policies.FindingNeedAppearances)},
		{"a note over the text", annotated(pdf.Dict{
			"Subtype": pdf.Name("Square"), "Rect": numbers(60, 700, 300, 740), "AP": pdf.Dict{"N": ref(overlay)},
		}), codes(policies.FindingAnnotationCovers)},
		{"a note beside the text", annotated(pdf.Dict{
			"Subtype": pdf.Name("Square"), "Rect": numbers(60, 300, 300, 340), "AP": pdf.Dict{"N": ref(overlay)},
		}), nil},
		{"a note for the screen", annotated(pdf.Dict{
			"Subtype": pdf.Name("Square"), "F": int64(0), "Rect": numbers(60, 300, 300, 340), "AP": pdf.Dict{"N": ref(overlay)},
		}), codes(policies.FindingAnnotationHidden)},
		{"a note for paper", annotated(pdf.Dict{
			"Subtype": pdf.Name("Stamp"), "F": int64(4 | 32), "Rect": numbers(60, 300, 300, 340), "AP": pdf.Dict{"N": ref(overlay)},
		}), codes(policies.FindingAnnotationHidden)},
		{"a redaction to come", annotated(pdf.Dict{"Subtype": pdf.Name("Redact")}), codes(policies.FindingRedactionPending)},
		{"an invisible signature field", with(t, empty, pdf.Dict{"Rect": numbers(0, 0, 0, 0)}), codes(policies.FindingSignatureInvisible)},
		{"a signature field beyond the page", with(t, empty, pdf.Dict{"Rect": numbers(900, 0, 990, 50)}), codes(policies.FindingSignatureOffPage)},
		{"usage rights", with(t, catalog, pdf.Dict{"Perms": pdf.Dict{"UR3": pdf.Dict{}}}), codes(policies.FindingUsageRights)},
		{"a bomb", func() objects {
			all := contract()
			all[overlay] = deflated(t, xobject, strings.Repeat(" ", 6<<20))
			return all
		}(), codes(policies.FindingInflation)},
		{"an image larger than memory", func() objects {
			all := contract()
			all[overlay] = content(pdf.Dict{"Subtype": pdf.Name("Image"), "Width": int64(100000), "Height": int64(100000)}, "")
			return all
		}(), codes(policies.FindingInflation)},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			found := report(t, write(test.all))
			var got []policies.FindingCode
			for _, finding := range found.Findings {
				got = append(got, finding.Code)
			}
			want := slices.Clone(test.want)
			slices.Sort(got)
			slices.Sort(want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("findings (-want +got):\n%s\n%+v", diff, found)
			}
		})
	}
}

func codes(list ...policies.FindingCode) []policies.FindingCode { return list }

// TestSignaturesOfOthers: forged signature dictionaries (universal signature
// forgery and signature wrapping, CCS 2019) are no signatures.
func TestSignaturesOfOthers(t *testing.T) {
	t.Parallel()
	signed := sign(t, write(contract()), mark{})
	rangeAt := bytes.LastIndex(signed, []byte("/ByteRange [")) + len("/ByteRange [")
	rangeEnd := rangeAt + bytes.IndexByte(signed[rangeAt:], ']')
	contentsAt := bytes.LastIndex(signed, []byte("/Contents <")) + len("/Contents <")
	contentsEnd := contentsAt + bytes.IndexByte(signed[contentsAt:], '>')
	numbers := strings.Fields(string(signed[rangeAt:rangeEnd]))
	ranged := func(value string) func([]byte) []byte {
		return func(doc []byte) []byte {
			copy(doc[rangeAt:rangeEnd], value+strings.Repeat(" ", rangeEnd-rangeAt-len(value)))
			return doc
		}
	}
	renamed := func(at int, key string) func([]byte) []byte {
		return func(doc []byte) []byte {
			copy(doc[at-len(key)-len(" <"):], key)
			return doc
		}
	}
	for _, test := range []struct {
		name  string
		forge func(doc []byte) []byte
	}{
		{"no range", renamed(rangeAt, "/ByteRanke")},
		{"no contents", renamed(contentsAt, "/Contends")},
		{"an empty range", ranged("")},
		{"a range of nulls", ranged("null null null null")},
		{"a range of zeros", ranged("0 0 0 0")},
		{"a negative range", ranged("0 -1 -1 -1")},
		{"a range too long", ranged("0 " + numbers[1] + " " + numbers[2] + " 99999999")},
		{"a range that begins late", ranged("1 " + numbers[1] + " " + numbers[2] + " " + numbers[3])},
		{"a range that ends early", ranged("0 " + numbers[1] + " " + numbers[2] + " 10")},
		{"a range of two", ranged("0 " + numbers[1])},
		{"a range of six", ranged("0 9 9 9 9 9")},
		{"ranges that overlap", ranged("0 " + numbers[2] + " " + numbers[1] + " 10")},
		{"contents of zeros", func(doc []byte) []byte {
			copy(doc[contentsAt:contentsEnd], strings.Repeat("0", contentsEnd-contentsAt))
			return doc
		}},
		{"contents that end before the hole does", func(doc []byte) []byte {
			doc[contentsAt+20] = '>'
			doc[contentsAt+21] = '/'
			copy(doc[contentsAt+22:contentsEnd+1], "Neu"+strings.Repeat(" ", contentsEnd-contentsAt-24)+"1 ")
			return doc
		}},
		{"wrapping: something else in the hole", func(doc []byte) []byte {
			// What was signed behind the hole moves to the end, and ByteRange with it.
			second := slices.Clone(doc[contentsEnd+1:])
			doc = append(doc[:contentsEnd+1:contentsEnd+1], second...)
			at := len(doc)
			doc = append(doc, second...)
			value := "0 " + numbers[1] + " " + strconv.Itoa(at) + " " + strconv.Itoa(len(second))
			copy(doc[rangeAt:rangeEnd], value+strings.Repeat(" ", rangeEnd-rangeAt-len(value)))
			return doc
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			forged := test.forge(slices.Clone(signed))
			f, err := pdf.Open(bytes.NewReader(forged), int64(len(forged)))
			if err != nil {
				t.Fatalf("opening: %v", err)
			}
			found, err := inspect.File(f)
			if err != nil {
				t.Fatalf("File: %v", err)
			}
			if !found.Has(policies.FindingSignatureMalformed) {
				t.Errorf("got %+v, want signature_malformed", found)
			}
		})
	}
	if found := report(t, signed); found.Has(policies.FindingSignatureMalformed) {
		t.Errorf("the true one: got %+v", found)
	}
}

// TestPlaceholders: what signing libraries search for may not stand in a
// document that they sign.
func TestPlaceholders(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"/ByteRange[0 ********** ********** **********]":           true,
		"/ByteRange [0 /********** /********** /**********]":       true,
		"/ByteRange [0 1000000000 1000000000 1000000000]":          true,
		"/ByteRange [0 9999999999 9999999999 9999999999]":          true,
		"/ByteRange [0 0000000000 0000000000 0000000000]":          true,
		"/ByteRange [                                    ]":        true,
		"/ByteRange [0 1234 5678 90]":                              false,
		"/ByteRange [0 0000001234 0000005678 0000000090]":          false,
		"El atributo ByteRange [0, 1000] se explica en el anexo 3": false,
	} {
		all := contract()
		all[40] = content(pdf.Dict{}, strings.Repeat(" ", 1<<20-600)+text)
		if got := report(t, write(all)).Has(policies.FindingPlaceholder); got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}
