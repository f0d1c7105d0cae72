package pades_test

import (
	"bytes"
	"crypto"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rubrica-firma/rubrica/internal/cmstest"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/pades"
)

func testdata(tb testing.TB, file string) []byte {
	tb.Helper()
	content, err := os.ReadFile(filepath.Join("..", "..", "testdata", "pdf", file))
	if err != nil {
		tb.Fatal(err)
	}
	return content
}

// build writes a PDF of the given objects, numbered from 1, with a right
// cross-reference table; extra goes into the trailer.
func build(extra string, objects ...string) []byte {
	var b bytes.Buffer
	b.WriteString("%PDF-1.7\n")
	offsets := make([]int, len(objects))
	for i, o := range objects {
		offsets[i] = b.Len()
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	start := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(objects)+1)
	for _, at := range offsets {
		fmt.Fprintf(&b, "%010d 00000 n \n", at)
	}
	fmt.Fprintf(&b, "trailer\n<</Size %d /Root 1 0 R %s>>\nstartxref\n%d\n%%%%EOF\n", len(objects)+1, extra, start)
	return b.Bytes()
}

const (
	catalog = "<</Type/Catalog /Pages 2 0 R>>"
	pages   = "<</Type/Pages /Kids[3 0 R] /Count 1>>"
	page    = "<</Type/Page /Parent 2 0 R /MediaBox[0 0 200 100] /Rotate 90>>"
)

func TestInspectRefuses(t *testing.T) {
	t.Parallel()
	solicitud := testdata(t, "solicitud.pdf")
	signature := func(p string) string {
		return "<</Type/Sig /Reference[<</TransformMethod/DocMDP /TransformParams<<" + p + "/V/1.2>>>>]>>"
	}
	certified := "<</Type/Catalog /Pages 2 0 R /Perms<</DocMDP 4 0 R>>>>"
	withField := "<</Type/Catalog /Pages 2 0 R /AcroForm<</Fields[4 0 R]>>>>"
	for name, tc := range map[string]struct {
		content []byte
		want    policies.Code // empty: signable
	}{
		"minimal":              {build("", catalog, pages, page), ""},
		"empty":                {nil, policies.DocumentEmpty},
		"a zip":                {[]byte("PK\x03\x04"), policies.DocumentNotPDF},
		"header alone":         {[]byte("%PDF-1.4\n"), policies.DocumentDamaged},
		"header too late":      {append(bytes.Repeat([]byte("x"), 2000), solicitud...), policies.DocumentNotPDF},
		"bytes before header":  {append([]byte("\n"), solicitud...), policies.DocumentUnsupported},
		"version 3":            {bytes.Replace(build("", catalog, pages, page), []byte("1.7"), []byte("3.0"), 1), policies.DocumentUnsupported},
		"truncated":            {solicitud[:len(solicitud)*2/3], policies.DocumentDamaged},
		"without the last EOF": {bytes.TrimSuffix(bytes.TrimSpace(solicitud), []byte("%%EOF")), policies.DocumentDamaged},
		"little garbage":       {append(bytes.Clone(solicitud), "basura\x00\xff basura"...), ""},
		"much garbage":         {append(bytes.Clone(solicitud), bytes.Repeat([]byte("basura "), 300)...), policies.DocumentDamaged},
		"startxref in garbage": {append(bytes.Clone(solicitud), "startxref\n99\n%%EOF\n"...), policies.DocumentDamaged},
		"encrypted":            {build("/Encrypt 4 0 R", catalog, pages, page, "<</Filter/Standard>>"), policies.DocumentEncrypted},
		"hybrid":               {build("/XRefStm 9", catalog, pages, page), policies.DocumentUnsupported},
		"certified P=1":        {build("", certified, pages, page, signature("/P 1")), policies.DocumentCertified},
		"certified P=2":        {build("", certified, pages, page, signature("/P 2")), ""},
		"certified, P default": {build("", certified, pages, page, signature("")), ""},
		"certified field":      {build("", withField, pages, page, "<</FT/Sig /T(a) /V 5 0 R>>", signature("/P 1")), policies.DocumentCertified},
		"locked field":         {build("", withField, pages, page, "<</FT/Sig /T(a) /V<<>> /Lock<</Action/All /P 1>>>>"), policies.DocumentCertified},
		"XFA":                  {build("", "<</Type/Catalog /Pages 2 0 R /AcroForm<</Fields[] /XFA()>>>>", pages, page), policies.DocumentUnsupported},
		"field loop":           {build("", withField, pages, page, "<</T(a) /Kids[4 0 R]>>"), policies.DocumentUnsupported},
		"page tree loop":       {build("", catalog, "<</Type/Pages /Kids[2 0 R]>>"), policies.DocumentDamaged},
		"page twice":           {build("", catalog, "<</Type/Pages /Kids[3 0 R 3 0 R]>>", page), policies.DocumentDamaged},
		"no pages":             {build("", catalog, "<</Type/Pages /Kids[]>>"), policies.DocumentDamaged},
		"no catalogue":         {build("", "<<>>", pages, page), policies.DocumentDamaged},
		"duplicate key":        {build("", "<</Type/Catalog /Pages 2 0 R /Pages 2 0 R>>", pages, page), policies.DocumentDamaged},
		"deep nesting":         {build("", "<</Type/Catalog /Pages 2 0 R /X "+strings.Repeat("[", 100_000)+">>", pages, page), policies.DocumentDamaged},
		"length of itself":     {build("", catalog, "<</Type/Pages /Kids[3 0 R] /Length 2 0 R>> stream\nendstream", page), policies.DocumentDamaged},
		"xref loop":            {build("/Prev 190", catalog, pages, page), policies.DocumentDamaged},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begin := time.Now()
			_, err := pades.Prepare(tc.content, pades.Options{})
			if took := time.Since(begin); took > bounded {
				t.Errorf("took %v", took)
			}
			var refusal *policies.Refusal
			switch {
			case tc.want == "" && err != nil:
				t.Errorf("got %v, want it signable", err)
			case tc.want != "" && (!errors.As(err, &refusal) || refusal.Code != tc.want):
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
}

func TestInspect(t *testing.T) {
	t.Parallel()
	got, err := pades.Inspect(build("/Info<</Title<FEFF00D1>>>", catalog, pages, page))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]pades.Page{{Width: 100, Height: 200}}, got.Pages); diff != "" || got.Title != "Ñ" {
		t.Errorf("got title %q; pages: %s", got.Title, diff)
	}
}

// TestHijack: a document that contains pdfsign's own placeholders keeps its octets.
func TestHijack(t *testing.T) {
	t.Parallel()
	for _, bait := range []string{
		"/ByteRange[0 ********** ********** **********]",
		"/Contents<" + strings.Repeat("0", 2*pades.DefaultHole+4096) + ">",
	} {
		content := build("", catalog, pages, page, "("+bait+")")
		p, err := pades.Prepare(content, options())
		if err != nil {
			if !errors.Is(err, policies.Refuse(policies.DocumentUnsupported)) {
				t.Errorf("got %v, want a refusal or a clean document", err)
			}
			continue
		}
		if !bytes.HasPrefix(p.Content, content) {
			t.Error("the document's octets changed")
		}
	}
}

// TestFormSurvives: the form keeps what viewers need to draw its fields.
func TestFormSurvives(t *testing.T) {
	t.Parallel()
	p, err := pades.Prepare(build("", "<</Type/Catalog /Pages 2 0 R /Lang(es\\)) /AcroForm<</Fields[4 0 R] "+
		"/DA(/Helv 0 Tf) /DR<</Font<</A#20B 3 0 R>>>> /NeedAppearances true>>>>", pages, page, "<</FT/Tx /T(Rubrica-001)>>"), options())
	if err != nil {
		t.Fatal(err)
	}
	update := p.Content[p.Layout.Original:]
	for _, want := range []string{
		"/DA <2f48656c762030205466>", "/DR <</Font <</A#20B 3 0 R>>>>", "/NeedAppearances true", "/Lang <657329>", "(Rubrica-002)",
	} {
		if !bytes.Contains(update, []byte(want)) {
			t.Errorf("the update has no %s:\n%s", want, update[len(update)-900:])
		}
	}
}

func TestDeterministic(t *testing.T) {
	t.Parallel()
	content := testdata(t, "qpdf-xref-stream.pdf")
	first, err := pades.Prepare(content, options())
	if err != nil {
		t.Fatal(err)
	}
	second, err := pades.Prepare(content, options())
	if err != nil {
		t.Fatal(err)
	}
	if first.Layout != second.Layout || !bytes.Equal(first.Content, second.Content) {
		t.Error("the same input gives different outputs")
	}
	stored, err := json.Marshal(first.Layout)
	if err != nil {
		t.Fatal(err)
	}
	var again pades.Layout
	if err := json.Unmarshal(stored, &again); err != nil || again != first.Layout {
		t.Errorf("got layout %v (%v) after storing, want %v", again, err, first.Layout)
	}
}

func TestEmbedTooLarge(t *testing.T) {
	t.Parallel()
	p, err := pades.Prepare(testdata(t, "cairo.pdf"), pades.Options{Hole: 100})
	if err != nil {
		t.Fatal(err)
	}
	if p.Layout.Hole() < 100 {
		t.Errorf("got a hole of %d, want at least 100", p.Layout.Hole())
	}
	if err := p.Layout.Embed(p.Content, make([]byte, p.Layout.Hole())); err != nil {
		t.Errorf("filling the hole: %v", err)
	}
	if err := p.Layout.Embed(p.Content, make([]byte, p.Layout.Hole()+1)); !errors.Is(err, pades.ErrTooLarge) {
		t.Errorf("got %v, want %v", err, pades.ErrTooLarge)
	}
}

// TestMutations changes a thousand octets of a signed document, one at a time:
// none may verify, whether in what is covered or in the signature itself. (The
// issuer's certificate travels along in the signature and is judged by the path.)
func TestMutations(t *testing.T) {
	t.Parallel()
	s := cmstest.New(t, "p256")
	p, err := pades.Prepare(testdata(t, "pdf-lib-form.pdf"), options())
	if err != nil {
		t.Fatal(err)
	}
	sign(t, s, p)
	issuer := hex.AppendEncode(nil, s.Root.Raw)
	from := bytes.Index(p.Content, issuer)
	random := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		at := random.IntN(len(p.Content))
		if at >= from && at < from+len(issuer) {
			continue
		}
		mutant := bytes.Clone(p.Content)
		mutant[at] ^= 1 << random.IntN(8)
		if err := p.Layout.Verify(mutant, s.Certificate); err == nil {
			t.Errorf("octet %d: a changed document verifies", at)
		}
	}
	other := cmstest.New(t, "p256")
	if err := p.Layout.Verify(p.Content, other.Certificate); err == nil {
		t.Error("verifies for somebody else")
	}
}

// TestLayoutCheck: no other layout passes for a prepared document.
func TestLayoutCheck(t *testing.T) {
	t.Parallel()
	p, err := pades.Prepare(testdata(t, "pdf-lib.pdf"), options())
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		l := p.Layout
		field := rapid.SampledFrom([]*int{&l.ByteRangeAt, &l.HoleStart, &l.HoleEnd, &l.TimeAt, &l.Size}).Draw(t, "field")
		*field += rapid.IntRange(-len(p.Content), len(p.Content)).Filter(func(n int) bool { return n != 0 }).Draw(t, "shift")
		if err := l.Check(p.Content); !errors.Is(err, pades.ErrLayout) {
			t.Errorf("%+v passes", l)
		}
		if _, err := l.Digest(p.Content, crypto.SHA256); !errors.Is(err, pades.ErrLayout) {
			t.Errorf("%+v is hashed", l)
		}
	})
}

// FuzzInspect: any octets give an inspection or a refusal, in bounded time.
func FuzzInspect(f *testing.F) {
	f.Add(build("", catalog, pages, page))
	f.Add(build("/Prev 9", catalog, pages, page))
	f.Add(testdata(f, "pdf-lib.pdf"))
	f.Add(testdata(f, "pdf-lib-form.pdf"))
	f.Fuzz(func(t *testing.T, content []byte) {
		begin := time.Now()
		i, err := pades.Inspect(content)
		var refusal *policies.Refusal
		if err != nil && !errors.As(err, &refusal) {
			t.Errorf("untyped error %v", err)
		}
		if err == nil && len(i.Pages) == 0 {
			t.Error("signable without pages")
		}
		if took := time.Since(begin); took > bounded {
			t.Errorf("took %v", took)
		}
	})
}
