package pdf_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/internal/cputest"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/pdf"
)

// classic puts a file together from objects in their own words and a trailer.
func classic(trailer string, objects ...string) string {
	var b, table strings.Builder
	b.WriteString("%PDF-1.7\n")
	fmt.Fprintf(&table, "xref\n0 %d\n0000000000 65535 f \n", len(objects)+1)
	for i, o := range objects {
		fmt.Fprintf(&table, "%010d 00000 n \n", b.Len())
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	start := b.Len()
	fmt.Fprintf(&b, "%strailer\n<</Size %d/Root 1 0 R%s>>\nstartxref\n%d\n%%%%EOF\n", &table, len(objects)+1, trailer, start)
	return b.String()
}

const (
	catalog = "<</Type/Catalog/Pages 2 0 R>>"
	pages   = "<</Type/Pages/Kids[3 0 R]/Count 1>>"
	page    = "<</Type/Page/Parent 2 0 R>>"
)

// TestRefusals opens what cannot be read, and says why.
func TestRefusals(t *testing.T) {
	t.Parallel()
	good := classic("", catalog, pages, page)
	bomb := deflate(t, make([]byte, 30<<20))
	for name, c := range map[string]struct {
		content string
		code    policies.Code
	}{
		"nothing":              {"", policies.DocumentEmpty},
		"zip":                  {"PK\x03\x04 a document.pdf", policies.DocumentNotPDF},
		"text":                 {"hello", policies.DocumentNotPDF},
		"in an HTML page":      {"<html>" + good + "</html>", policies.DocumentUnsupported},
		"version 1.8":          {strings.Replace(good, "1.7", "1.8", 1), policies.DocumentUnsupported},
		"version 10.7":         {strings.Replace(good, "1.7", "10.7", 1), policies.DocumentUnsupported},
		"cut off":              {good[:len(good)-7], policies.DocumentDamaged},
		"long tail":            {good + strings.Repeat("tail ", 300), policies.DocumentDamaged},
		"no startxref":         {strings.Replace(good, "startxref", "startxxxx", 1), policies.DocumentDamaged},
		"shifted":              {strings.Replace(good, "/Catalog", "/Catalog"+strings.Repeat(" ", 9), 1), policies.DocumentDamaged},
		"other startxref":      {strings.Replace(good, "startxref\n", "startxref\n9", 1), policies.DocumentDamaged},
		"no trailer":           {strings.Replace(good, "trailer", "trailxx", 1), policies.DocumentDamaged},
		"no catalogue":         {strings.Replace(good, "/Root 1", "/Root 3", 1), policies.DocumentDamaged},
		"direct catalogue":     {strings.Replace(good, "/Root 1 0 R", "/Root<<>>", 1), policies.DocumentDamaged},
		"encrypted":            {classic("/Encrypt 3 0 R", catalog, pages, page), policies.DocumentEncrypted},
		"/Prev to itself":      {strings.Replace(good, "trailer\n<<", fmt.Sprintf("trailer\n<</Prev %d", strings.Index(good, "xref")), 1), policies.DocumentDamaged},
		"/Prev nowhere":        {classic("/Prev 99999", catalog, pages, page), policies.DocumentDamaged},
		"/Prev below":          {classic("/Prev -1", catalog, pages, page), policies.DocumentDamaged},
		"/Prev of a kind":      {classic("/Prev/A", catalog, pages, page), policies.DocumentDamaged},
		"/Prev into an object": {classic("/Prev 9", catalog, pages, page), policies.DocumentDamaged},
		"/XRefStm nowhere":     {classic("/XRefStm 9", catalog, pages, page), policies.DocumentDamaged},
		"subsection too long":  {strings.Replace(good, "0 4\n", "0 4000000000\n", 1), policies.DocumentDamaged},
		"great number":         {strings.Replace(good, "0 4\n", "4000000 4\n", 1), policies.DocumentTooComplex},
		"negative entry":       {strings.Replace(good, "00000 n", "-0001 n", 1), policies.DocumentDamaged},
		"catalogue twice":      {classic("", "<</Type/Catalog/Type/Catalog>>", pages, page), policies.DocumentDamaged},
		"deep catalogue":       {classic("", "<</Type/Catalog/A"+strings.Repeat("[", 200)+strings.Repeat("]", 200)+">>"), policies.DocumentDamaged},
		"wide catalogue":       {classic("", "<</Type/Catalog/A["+strings.Repeat("<<>>", 400_000)+"]>>"), policies.DocumentTooComplex},
		"long catalogue":       {classic("", "<</Type/Catalog/A("+strings.Repeat("long", 5<<20)+")>>"), policies.DocumentTooComplex},
		"bomb":                 {xrefBomb(bomb), policies.DocumentTooComplex},
		"revisions":            {manyRevisions(good, 1001), policies.DocumentTooComplex},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spent := cputest.Watch(t)
			_, err := pdf.Open(strings.NewReader(c.content), int64(len(c.content)))
			wantRefusal(t, err, c.code)
			if took := spent(); took > bounded {
				t.Errorf("took %v", took)
			}
		})
	}
	open(t, []byte(good))
	open(t, []byte(manyRevisions(good, 900)))
}

func wantRefusal(t *testing.T, err error, code policies.Code) {
	t.Helper()
	refusal := (*policies.Refusal)(nil)
	if !errors.As(err, &refusal) || refusal.Code != code {
		t.Errorf("got %v, want %s", err, code)
	}
}

func manyRevisions(content string, count int) string {
	b := []byte(content)
	for range count {
		previous := bytes.LastIndex(b, []byte("startxref"))
		start := len(b)
		b = fmt.Appendf(b, "xref\n0 0\ntrailer\n<</Size 4/Root 1 0 R/Prev %s>>\nstartxref\n%d\n%%%%EOF\n",
			bytes.Fields(b[previous:])[1], start)
	}
	return string(b)
}

// xrefBomb is a cross-reference stream of four million entries.
func xrefBomb(deflated []byte) string {
	head := "%PDF-1.7\n"
	return head + fmt.Sprintf("1 0 obj\n<</Type/XRef/W[1 4 2]/Size 40000000/Root 1 0 R/Filter/FlateDecode/Length %d>>\nstream\n%s\nendstream\nendobj\n"+
		"startxref\n%d\n%%%%EOF\n", len(deflated), deflated, len(head))
}

// TestTolerated opens what ISO 32000 does not allow, and every viewer does.
func TestTolerated(t *testing.T) {
	t.Parallel()
	good := classic("", catalog, pages, page)
	for name, content := range map[string]string{
		"as it should be":      good,
		"garbage behind":       good + "\x00\x00 tail",
		"no last end of line":  strings.TrimSpace(good),
		"entries of 19 octets": strings.ReplaceAll(good, "n \n", "n\n"),
		"entries of 21 octets": strings.ReplaceAll(good, "n \n", "n \r\n"),
		"/Prev 0":              classic("/Prev 0", catalog, pages, page),
		"odd free generations": strings.Replace(good, "0000000000 65535 f", "0000000077 70000 f", 1),
		"counts from 1":        strings.Replace(good, "0 4\n", "1 4\n", 1),
		"blank before xref":    strings.Replace(strings.Replace(good, "xref\n0", " \nxref\n0", 1), "trailer", "trailer ", 1),
		"an entry at 0":        strings.Replace(good, "0000000000 65535 f", "0000000000 00000 n", 1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := open(t, []byte(content))
			if list, err := f.Pages(); err != nil || len(list) != 1 {
				t.Errorf("got %v %v, want one page", list, err)
			}
			update, err := markOf(f)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.Append(update); err != nil {
				t.Errorf("updated: %v", err)
			}
		})
	}
}

func markOf(f *pdf.File) ([]byte, error) {
	u := f.NewUpdate()
	root, catalog := f.Catalog()
	catalog = catalog.Clone()
	catalog["Mark"] = u.Add(pdf.String("mark"))
	u.Set(root, catalog)
	return u.Bytes()
}

// TestObjects resolves what is not as it should be.
func TestObjects(t *testing.T) {
	t.Parallel()
	f := open(t, []byte(classic("", catalog, pages, page,
		"5 0 R", "4 0 R", // 4, 5: a circle
		"<</Length 7 0 R>>\nstream\nabc\nendstream",              // 6
		"<</Length 6 0 R>>\nstream\nabc\nendstream",              // 7: lengths that need each other
		"<</Length 99>>\nstream\nabc\nendstream",                 // 8
		"<</Length 2>>\nstream\nabc\nendstream",                  // 9
		"<</Length 3>>\nstream\nabc\nendstream",                  // 10
		"<</Length 3/Filter/DCTDecode>>\nstream\nabc\nendstream", // 11
		"<</Length 3/F(x)>>\nstream\nabc\nendstream",             // 12
		"[1.5 0 -2 8]", // 13
	)))
	for _, number := range []int{4, 5, 6, 7, 8, 9} {
		if o, err := f.Resolve(pdf.Ref{Number: number}); err == nil {
			t.Errorf("object %d: got %v, want a refusal", number, o)
		} else {
			wantRefusal(t, err, policies.DocumentDamaged)
		}
	}
	_, err := f.Resolve(pdf.Ref{Number: 3, Generation: 1})
	wantRefusal(t, err, policies.DocumentDamaged)
	if o, err := f.Resolve(pdf.Ref{Number: 99}); o != nil || err != nil {
		t.Errorf("got %v %v, want null", o, err)
	}
	for number, code := range map[int]policies.Code{11: policies.DocumentUnsupported, 12: policies.DocumentUnsupported} {
		s, err := f.Stream(pdf.Ref{Number: number})
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.Data(s, 100)
		wantRefusal(t, err, code)
	}
	s, err := f.Stream(pdf.Ref{Number: 10})
	if err != nil {
		t.Fatal(err)
	}
	if raw, err := io.ReadAll(f.Raw(s)); err != nil || string(raw) != "abc" {
		t.Errorf("got %q %v, want abc", raw, err)
	}
	if _, err := f.Data(s, 2); err == nil {
		t.Error("got more than the limit")
	}
	if r, err := f.Rect(pdf.Ref{Number: 13}); err != nil || r != [4]float64{-2, 0, 1.5, 8} {
		t.Errorf("got %v %v, want the rectangle in order", r, err)
	}
	if _, err := f.Int(pdf.Ref{Number: 1}, 0); err == nil {
		t.Error("a dictionary passed for an integer")
	}
}

// TestFacts makes files of which readers may make different things.
func TestFacts(t *testing.T) {
	t.Parallel()
	good := classic("", catalog, pages, page, "(old)")
	at := func(content, what string) int { return strings.Index(content, what) }
	update := func(content, object, table, more string) string {
		start := len(content) + len(object)
		return content + object + fmt.Sprintf("xref\n%strailer\n<</Size 5/Root 1 0 R/Prev %d%s>>\nstartxref\n%d\n%%%%EOF\n",
			table, at(content, "xref"), more, start)
	}
	entry := func(at int) string { return fmt.Sprintf("%010d 00000 n \n", at) }
	for name, c := range map[string]struct {
		content string
		want    []pdf.IrregularityKind
		orphans int
	}{
		"none":                          {good, nil, 0},
		"updated":                       {update(good, "4 0 obj\n(new)\nendobj\n", "4 1\n"+entry(len(good)), ""), nil, 0},
		"duplicate":                     {update(good, "4 0 obj\n(new)\nendobj\n", "4 1\n"+entry(len(good))+"4 1\n"+entry(at(good, "4 0 obj")), ""), []pdf.IrregularityKind{pdf.IrregularDuplicate}, 0},
		"shared":                        {update(good, "", "4 1\n"+entry(at(good, "3 0 obj")), ""), []pdf.IrregularityKind{pdf.IrregularShared}, 0},
		"size":                          {update(good, "7 0 obj\n(new)\nendobj\n", "7 1\n"+entry(len(good)), ""), []pdf.IrregularityKind{pdf.IrregularSize}, 0},
		"tail":                          {good + "tail", []pdf.IrregularityKind{pdf.IrregularTail}, 0},
		"orphan":                        {update(good, "4 0 obj\n(new)\nendobj\n", "0 0\n", ""), nil, 1},
		"orphan in a comment of a tail": {good + "% 9 0 obj", []pdf.IrregularityKind{pdf.IrregularTail}, 1},
		"forward":                       {update(strings.Replace(good, entry(at(good, "4 0 obj")), entry(len(good)), 1), "4 0 obj\n(new)\nendobj\n", "0 0\n", ""), []pdf.IrregularityKind{pdf.IrregularForward}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := open(t, []byte(c.content))
			var got []pdf.IrregularityKind
			for _, i := range f.Irregularities() {
				got = append(got, i.Kind)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			if orphans, err := f.Orphans(); err != nil || len(orphans) != c.orphans {
				t.Errorf("got orphans %v %v, want %d", orphans, err, c.orphans)
			}
		})
	}
}

// TestReaderFails keeps apart what is the document's fault and what is not.
func TestReaderFails(t *testing.T) {
	t.Parallel()
	content := []byte(classic("", catalog, pages, page))
	want := errors.New("the disk")
	for after := range 2 {
		_, err := pdf.Open(&failing{r: bytes.NewReader(content), after: after, err: want}, int64(len(content)))
		if after == 0 && !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
		if after == 1 && err != nil {
			t.Errorf("got %v; one block holds it all", err)
		}
	}
	if _, err := pdf.Open(bytes.NewReader(content), int64(len(content)+100)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v, want %v", err, io.ErrUnexpectedEOF)
	}
}

type failing struct {
	r     io.ReaderAt
	after int
	err   error
}

func (f *failing) ReadAt(b []byte, at int64) (int, error) {
	if f.after--; f.after < 0 {
		return 0, f.err
	}
	return f.r.ReadAt(b, at)
}

func TestLocate(t *testing.T) {
	t.Parallel()
	const object = "<</A 1 /V <</B[1 2] /Contents   <00 ff>/C 3>>>>"
	content := classic("", catalog, pages, page, object)
	f := open(t, []byte(content))
	for _, c := range []struct {
		path []pdf.Name
		want string
	}{
		{nil, object},
		{[]pdf.Name{"A"}, "1"},
		{[]pdf.Name{"V", "Contents"}, "<00 ff>"},
		{[]pdf.Name{"V", "B"}, "[1 2]"},
		{[]pdf.Name{"X"}, ""},
		{[]pdf.Name{"A", "X"}, ""},
		{[]pdf.Name{"V", "X"}, ""},
	} {
		start, end, ok, err := f.Locate(pdf.Ref{Number: 4}, c.path...)
		if err != nil || ok != (c.want != "") || ok && content[start:end] != c.want {
			t.Errorf("%v: got %d %d %v %v, want %q", c.path, start, end, ok, err, c.want)
		}
	}
	if _, _, ok, err := f.Locate(pdf.Ref{Number: 99}); ok || err != nil {
		t.Errorf("got %v %v for an object that is none", ok, err)
	}
}

// TestBridge reads a file whose newest revision denies its predecessors, one of
// which was written when something stood before it that is gone.
func TestBridge(t *testing.T) {
	t.Parallel()
	good := classic("", catalog, pages, page, "(old)")
	update := func(content, object string, number, previous int) string {
		start := len(content) + len(object)
		return content + object + fmt.Sprintf("xref\n%d 1\n%010d 00000 n \ntrailer\n<</Size 5/Root 1 0 R/Prev %d>>\nstartxref\n%d\n%%%%EOF\n",
			number, len(content), previous, start)
	}
	gone := "%" + strings.Repeat(" gone", 100) + "\n"
	second := strings.Replace(update(good+gone, "4 0 obj\n(new)\nendobj\n", 4, strings.Index(good, "xref")), gone, "", 1)
	f := open(t, []byte(update(second, "1 0 obj\n"+catalog+"\nendobj\n", 1, 0)))
	if list, err := f.Pages(); err != nil || len(list) != 1 {
		t.Errorf("got pages %v %v, want one", list, err)
	}
	if o, err := f.Resolve(pdf.Ref{Number: 4}); err != nil || o != pdf.String("new") {
		t.Errorf("got %v %v, want the second revision's", o, err)
	}
	if odd := f.Irregularities(); len(odd) != 1 || odd[0].Kind != pdf.IrregularPrevious {
		t.Errorf("got %v, want it said", odd)
	}
	if orphans, err := f.Orphans(); err != nil || len(orphans) > 0 {
		t.Errorf("got orphans %v %v, want none", orphans, err)
	}
	if revisions := f.Revisions(); len(revisions) != 2 || revisions[0].End != int64(len(good)) {
		t.Errorf("got %v, want the first and the last", revisions)
	}
	encrypted := classic("/Encrypt 4 0 R", catalog, pages, page, "<<>>")
	content := update(encrypted, "1 0 obj\n"+catalog+"\nendobj\n", 1, 0)
	_, err := pdf.Open(strings.NewReader(content), int64(len(content)))
	wantRefusal(t, err, policies.DocumentEncrypted)
}

// TestOverlap resolves objects each of which begins inside the one before: read
// as often as they are named, they would take hours.
func TestOverlap(t *testing.T) {
	t.Parallel()
	const count = 50_000
	var b, table strings.Builder
	b.WriteString("%PDF-1.7\n")
	fmt.Fprintf(&table, "10 %d\n", count)
	for i := range count {
		fmt.Fprintf(&table, "%010d 00000 n \n", b.Len())
		fmt.Fprintf(&b, "%d 0 obj(", i+10)
	}
	root := b.Len()
	fmt.Fprintf(&b, "1 0 obj\n%s\nendobj\n%s\n", catalog, strings.Repeat(")", count))
	start := b.Len()
	fmt.Fprintf(&b, "xref\n1 1\n%010d 00000 n \n%strailer\n<</Root 1 0 R/Size %d>>\nstartxref\n%d\n%%%%EOF\n", root, &table, count+10, start)
	f := open(t, []byte(b.String()))
	spent := cputest.Watch(t)
	var last error
	for ref := range f.Objects() {
		if _, err := f.Resolve(ref); err != nil {
			last = err
		}
	}
	wantRefusal(t, last, policies.DocumentTooComplex)
	if took := spent(); took > bounded {
		t.Errorf("took %v", took)
	}
}
