package pades_test

import (
	"bytes"
	"crypto"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/internal/cmstest"
	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/pades"
	"github.com/rubrica-firma/rubrica/signer/pades/stamp"
	"github.com/rubrica-firma/rubrica/signer/pdf"
)

// claimed is the signing time of the tests; it is fixed an hour after prepared.
var (
	prepared = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	claimed  = prepared.Add(time.Hour)
)

// bounded is how much of the processor's time any document may take, signed or refused.
const bounded = 2 * time.Second

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
	page    = "<</Type/Page /Parent 2 0 R /MediaBox[0 0 600 800]>>"
)

// withForm is a document of one page with fields, which begin at object 4.
func withForm(form string, objects ...string) []byte {
	return build("", append([]string{
		"<</Type/Catalog /Pages 2 0 R /AcroForm<<" + form + ">>>>", pages, page,
	}, objects...)...)
}

func parse(tb testing.TB, content []byte) *pdf.File {
	tb.Helper()
	f, err := pdf.Open(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		tb.Fatalf("opening: %v", err)
	}
	return f
}

func options() pades.Options {
	return pades.Options{
		Name: `Begoña Núñez (\ "Ĩ⠩")`, Reason: "Solicitud de ayuda) /M (D:1", Location: "A Coruña", Time: prepared,
	}
}

func stamped(place stamp.Place) *stamp.Options {
	return &stamp.Options{
		Page: -1, Place: place, Name: "Begoña Núñez Ibáñez", Identifier: "***4567**", Reason: "Solicitud",
		Organisation: "Ayuntamiento de Peñaflor", CSV: "ABCD-1234", URL: "https://sede.example/csv/ABCD-1234",
	}
}

// prepare prepares a document from its octets.
func prepare(content []byte, o pades.Options) (*pades.Prepared, error) {
	f, err := pdf.Open(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		return nil, err
	}
	return pades.Prepare(f, o)
}

// mustPrepare fails the test where prepare does not.
func mustPrepare(tb testing.TB, content []byte, o pades.Options) *pades.Prepared {
	tb.Helper()
	p, err := prepare(content, o)
	if err != nil {
		tb.Fatalf("Prepare: %v", err)
	}
	return p
}

// sign does what the ceremony does with a prepared document, and gives the result.
func sign(tb testing.TB, s *cmstest.Signer, content []byte, p *pades.Prepared, hash crypto.Hash) []byte {
	tb.Helper()
	if err := p.Layout.FixTime(p.Update, claimed); err != nil {
		tb.Fatalf("fixing the time: %v", err)
	}
	digest, err := p.Layout.Digest(bytes.NewReader(content), p.Update, hash)
	if err != nil {
		tb.Fatalf("hashing: %v", err)
	}
	der := s.SignParams(tb, cades.Params{ContentDigest: digest, Hash: hash, Certificate: s.Certificate, PAdES: true})
	if err := p.Layout.Embed(p.Update, der); err != nil {
		tb.Fatalf("embedding: %v", err)
	}
	if err := p.Layout.Verify(bytes.NewReader(content), p.Update, s.Certificate); err != nil {
		tb.Fatalf("Verify: %v", err)
	}
	return append(bytes.Clone(content), p.Update...)
}

// verdict is what pdfsig says of a signature.
type verdict struct{ text, validation string }

// askPdfsig gives poppler's verdicts by signed ranges: it shares no code with us.
func askPdfsig(tb testing.TB, content []byte) map[string]verdict {
	tb.Helper()
	path := save(tb, content)
	out, err := exec.CommandContext(tb.Context(), "env", "TZ=UTC", "pdfsig", "-nocert", path).CombinedOutput()
	if err != nil && !strings.Contains(string(out), "does not contain any signatures") {
		tb.Fatalf("pdfsig: %v\n%s", err, out)
	}
	verdicts := map[string]verdict{}
	for _, section := range strings.Split(string(out), "Signature #")[1:] {
		v, ranges := verdict{text: section}, ""
		for line := range strings.Lines(section) {
			if after, ok := strings.CutPrefix(strings.TrimSpace(line), "- Signed Ranges: "); ok {
				ranges = after
			}
			if after, ok := strings.CutPrefix(strings.TrimSpace(line), "- Signature Validation: "); ok {
				v.validation = after
			}
		}
		if ranges != "" {
			verdicts[ranges] = v
		}
	}
	return verdicts
}

// judgement is what pdfsig and qpdf say of a document.
type judgement struct {
	verdicts map[string]verdict
	status   int
}

func judge(tb testing.TB, content []byte) judgement {
	tb.Helper()
	status, _ := qpdfStatus(tb, content)
	return judgement{askPdfsig(tb, content), status}
}

// check demands a verdict on the one signature that was added, the same verdicts
// as before on all others, and that qpdf finds no more wrong than it did.
func (j judgement) check(tb testing.TB, after []byte, wants ...string) {
	tb.Helper()
	now := askPdfsig(tb, after)
	for ranges, v := range j.verdicts {
		if now[ranges].validation != v.validation {
			tb.Errorf("the signature over %s was %q and is %q", ranges, v.validation, now[ranges].validation)
		}
		delete(now, ranges)
	}
	if len(now) != 1 {
		tb.Fatalf("pdfsig finds %d new signatures, want 1: %v", len(now), now)
	}
	for _, v := range now {
		for _, want := range wants {
			if !strings.Contains(v.text, want) {
				tb.Errorf("pdfsig does not say %q:\n%s", want, v.text)
			}
		}
	}
	j.checkStructure(tb, after)
}

func (j judgement) checkStructure(tb testing.TB, after []byte) {
	tb.Helper()
	if is, out := qpdfStatus(tb, after); is != 0 && is != j.status {
		tb.Errorf("qpdf --check: got status %d, before it was %d:\n%s", is, j.status, out)
	}
}

// sound is what pdfsig has to say of a signature of ours that is the newest.
func sound() []string {
	return []string{
		"Signature Validation: Signature is Valid.", "Total document signed", "ETSI.CAdES.detached",
		"Signing Time: Mar 04 2026 06:06:07",
	}
}

// qpdfStatus is 0 for a file that qpdf finds nothing wrong with, 3 for warnings, 2 for errors.
func qpdfStatus(tb testing.TB, content []byte) (int, string) {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), "qpdf", "--check", save(tb, content))
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		tb.Fatalf("qpdf: %v", err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

func save(tb testing.TB, content []byte) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "document.pdf")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}
