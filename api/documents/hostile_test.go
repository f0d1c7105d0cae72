package documents_test

import (
	"archive/zip"
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/api/documents"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/pades"
)

// objects are a document to be, by number; 1 is its catalogue.
type objects map[int]string

const font = "<</Font<</F<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>"

// onePage is a document that says «Contrato», with what is added to its
// catalogue and to its page.
func onePage(catalog, page string, more objects) objects {
	all := objects{
		1: "<</Type/Catalog/Pages 2 0 R" + catalog + ">>",
		2: "<</Type/Pages/Kids[3 0 R]/Count 1>>",
		3: "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources" + font + page + ">>",
		4: stream("", "BT /F 24 Tf 72 700 Td (Contrato) Tj ET"),
	}
	maps.Copy(all, more)
	return all
}

func stream(entries, data string) string {
	return fmt.Sprintf("<<%s/Length %d>>\nstream\n%s\nendstream", entries, len(data), data)
}

func deflated(tb testing.TB, data string) string {
	tb.Helper()
	var out bytes.Buffer
	w := zlib.NewWriter(&out)
	if _, err := w.Write([]byte(data)); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return out.String()
}

// write makes the file.
func (o objects) write() []byte {
	var out bytes.Buffer
	out.WriteString("%PDF-1.7\n")
	numbers := slices.Sorted(maps.Keys(o))
	size := numbers[len(numbers)-1] + 1
	entries := slices.Repeat([]string{"0000000000 65535 f \n"}, size)
	for _, number := range numbers {
		entries[number] = fmt.Sprintf("%010d 00000 n \n", out.Len())
		fmt.Fprintf(&out, "%d 0 obj\n%s\nendobj\n", number, o[number])
	}
	at := out.Len()
	fmt.Fprintf(&out, "xref\n0 %d\n%strailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n", size, strings.Join(entries, ""), size, at)
	return out.Bytes()
}

// revise appends as many revisions, each with another object.
func revise(document []byte, times int) []byte {
	out := bytes.NewBuffer(bytes.Clone(document))
	before := bytes.LastIndex(document, []byte("xref\n0"))
	for i := range times {
		object := out.Len()
		fmt.Fprintf(out, "9 0 obj\n(%d)\nendobj\n", i)
		at := out.Len()
		fmt.Fprintf(out, "xref\n9 1\n%010d 00000 n \ntrailer\n<</Size 10/Root 1 0 R/Prev %d>>\nstartxref\n%d\n%%%%EOF\n", object, before, at)
		before = at
	}
	return out.Bytes()
}

// zipped is an archive that holds a document as it is.
func zipped(tb testing.TB, document []byte) []byte {
	tb.Helper()
	var out bytes.Buffer
	archive := zip.NewWriter(&out)
	w, err := archive.CreateHeader(&zip.FileHeader{Name: "contrato.pdf", Method: zip.Store})
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := w.Write(document); err != nil {
		tb.Fatal(err)
	}
	if err := archive.Close(); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

// signatures are that many signed fields.
func signatures(number int) objects {
	more, list := objects{}, make([]string, number)
	for i := range list {
		list[i] = fmt.Sprintf("%d 0 R", i+5)
		more[i+5] = fmt.Sprintf("<</Type/Annot/Subtype/Widget/FT/Sig/T(s%d)/Rect[0 0 0 0]/P 3 0 R"+
			"/V<</Type/Sig/Filter/Adobe.PPKLite/SubFilter/adbe.pkcs7.detached/ByteRange[0 10 20 10]/Contents<00>>>>>", i)
	}
	all := strings.Join(list, " ")
	return onePage("/AcroForm<</SigFlags 3/Fields["+all+"]>>", "/Annots["+all+"]", more)
}

// nested is a page at the end of a long chain.
func nested(depth int) objects {
	o := objects{1: "<</Type/Catalog/Pages 2 0 R>>", depth: "<</Type/Page/MediaBox[0 0 595 842]>>"}
	for number := 2; number < depth; number++ {
		o[number] = fmt.Sprintf("<</Type/Pages/Kids[%d 0 R]/Count 1>>", number+1)
	}
	return o
}

// bomb is a page whose content grows to that many megabytes, deflated so often.
func bomb(tb testing.TB, megabytes, times int) objects {
	tb.Helper()
	data := strings.Repeat("\x00", megabytes<<20)
	for range times {
		data = deflated(tb, data)
	}
	filters := strings.Repeat("/FlateDecode", times)
	return onePage("", "", objects{4: stream("/Filter["+filters+"]", data)})
}

// Whatever a document is made to do, the worker says no before its processor time
// is used up (a fifth of what it has outside tests), and goes on.
func TestHostileDocuments(t *testing.T) {
	t.Parallel()
	w := newWorker(t, "document-worker", func(c *documents.Config) {
		c.Wait, c.Limits = time.Minute, documents.Limits{CPU: 2 * time.Second, Wall: time.Minute}
	})
	plain := onePage("", "", nil).write()
	const (
		damaged     = policies.DocumentDamaged
		unsafe      = policies.DocumentUnsafe
		complicated = policies.DocumentTooComplex
	)
	script := "<</S/JavaScript/JS(app.alert)>>"
	for name, tt := range map[string]struct {
		content []byte
		code    policies.Code
		reason  policies.FindingCode // of document_unsafe
	}{
		"a plain document":            {plain, "", ""},
		"an archive of it":            {zipped(t, plain), policies.DocumentUnsupported, ""},
		"a page of HTML around it":    {append([]byte("<!DOCTYPE html><script>alert(1)</script>"), plain...), policies.DocumentUnsupported, ""},
		"a long page of HTML":         {append([]byte("<!DOCTYPE html>"+strings.Repeat(" ", 4<<10)), plain...), policies.DocumentNotPDF, ""},
		"octets of zero":              {make([]byte, 1<<10), policies.DocumentNotPDF, ""},
		"encrypted":                   {bytes.Replace(plain, []byte("/Root"), []byte("/Encrypt<</Filter/Standard/V 4>>/Root"), 1), policies.DocumentEncrypted, ""},
		"a script on opening":         {onePage("/OpenAction"+script, "", nil).write(), unsafe, policies.FindingJavaScriptOpen},
		"a script of the document":    {onePage("/Names<</JavaScript<</Names[(a)"+script+"]>>>>", "", nil).write(), unsafe, policies.FindingJavaScriptOpen},
		"a script of a page":          {onePage("", "/AA<</O"+script+">>", nil).write(), unsafe, policies.FindingJavaScriptOpen},
		"a program that starts":       {onePage("/OpenAction<</S/Launch/F(cmd.exe)>>", "", nil).write(), unsafe, policies.FindingActionLaunch},
		"a dynamic form":              {onePage("/NeedsRendering true/AcroForm<</Fields[]/XFA 5 0 R>>", "", objects{5: stream("", "<xdp/>")}).write(), unsafe, policies.FindingXFADynamic},
		"a film":                      {onePage("", "/Annots[<</Subtype/RichMedia/Rect[0 0 9 9]>>]", nil).write(), unsafe, policies.FindingMedia},
		"a bomb":                      {bomb(t, 64, 1).write(), unsafe, policies.FindingInflation},
		"a bomb in a bomb":            {bomb(t, 64, 2).write(), unsafe, policies.FindingInflation},
		"10,000 signatures":           {signatures(10_000).write(), complicated, ""},
		"10,000 revisions":            {revise(plain, 10_000), complicated, ""},
		"many revisions":              {revise(plain, 900), unsafe, policies.FindingIncomplete},
		"100,000 pages":               {objects{1: "<</Type/Catalog/Pages 2 0 R>>", 2: "<</Type/Pages/Count 100000/Kids[" + strings.Repeat("3 0 R ", 100_000) + "]>>", 3: "<</Type/Page/MediaBox[0 0 9 9]>>"}.write(), complicated, ""},
		"pages in a circle":           {objects{1: "<</Type/Catalog/Pages 2 0 R>>", 2: "<</Type/Pages/Kids[3 0 R]/Count 1>>", 3: "<</Type/Pages/Kids[2 0 R]/Count 1>>"}.write(), damaged, ""},
		"no pages":                    {objects{1: "<</Type/Catalog/Pages 2 0 R>>", 2: "<</Type/Pages/Kids[]/Count 0>>"}.write(), damaged, ""},
		"more pages than there are":   {onePage("", "", objects{2: "<</Type/Pages/Kids[3 0 R]/Count 9999999999>>"}).write(), damaged, ""},
		"fewer pages than there are":  {onePage("", "", objects{2: "<</Type/Pages/Kids[3 0 R 3 0 R]/Count 1>>"}).write(), damaged, ""},
		"pages that are not counted":  {onePage("", "", objects{2: "<</Type/Pages/Kids[3 0 R]>>"}).write(), damaged, ""},
		"a page at the end of chains": {nested(20_000).write(), "", ""},
		"references in a circle":      {onePage("/AcroForm 5 0 R", "", objects{5: "6 0 R", 6: "5 0 R"}).write(), damaged, ""},
		"fields in a circle":          {onePage("/AcroForm<</Fields[5 0 R]>>", "", objects{5: "<</T(a)/Kids[6 0 R]>>", 6: "<</T(b)/Kids[5 0 R]>>"}).write(), policies.DocumentUnsupported, ""},
		"revisions in a circle":       {bytes.Replace(plain, []byte("/Root"), fmt.Appendf(nil, "/Prev %d/Root", bytes.LastIndex(plain, []byte("xref\n0"))), 1), damaged, ""},
		"arrays without end":          {onePage("/X"+strings.Repeat("[", 100_000), "", nil).write(), damaged, ""},
		"a hole that is not one": {onePage("", "", objects{
			5: stream("", "/ByteRange [0 /********** /********** /**********] /Contents <"+strings.Repeat("0", 16<<10)+">"),
		}).write(), unsafe, policies.FindingPlaceholder},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := w.Prepare(t.Context(), file(t, tt.content), pades.Options{})
			if err == nil {
				if _, refusal := policies.JudgeDocument(p.Findings, policies.DefaultDocumentRules()); refusal != nil {
					err = refusal
				}
			}
			refusal, refused := errors.AsType[*policies.Refusal](err)
			switch {
			case tt.code == "" && err != nil, tt.code != "" && (!refused || refusal.Code != tt.code):
				t.Errorf("got %v, want %q", err, tt.code)
			case tt.reason != "" && refusal.Params["reason"] != string(tt.reason):
				t.Errorf("got %v, want %s for a reason", refusal.Params, tt.reason)
			case tt.code == complicated && !strings.HasPrefix(refusal.Params["reason"], "too many"):
				t.Errorf("it was stopped: %v; want it counted", refusal.Params)
			}
		})
	}
}
