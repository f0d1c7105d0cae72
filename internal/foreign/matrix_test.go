package foreign_test

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/internal/bouncycastle"
	"github.com/rubrica-firma/rubrica/internal/cmstest"
	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/cms"
	"github.com/rubrica-firma/rubrica/signer/pades"
)

// TestMatrix has every level, with every algorithm, in documents of every producer,
// judged by those who share no code with us. What CAdES has to say of this is in
// signer/cades, TestForeignVerdict.
func TestMatrix(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	paths, err := filepath.Glob(filepath.Join("..", "..", "testdata", "pdf", "*.pdf"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("testdata/pdf has no documents: %v", err)
	}
	for i, path := range paths {
		original := testdata(t, filepath.Base(path))
		for j, by := range h.signers {
			t.Run(filepath.Base(path)+"/"+by.name, func(t *testing.T) {
				t.Parallel()
				d := newDesk(t, h)
				must(t, d.qpdf(original))
				d.judge(h.sign(t, original, by, visible(), cades.BB), by, cades.BB)
				document := h.sign(t, original, by, pades.Options{Reason: "Solicitud"}, cades.BT)
				d.judge(document, by, cades.BT)
				if (i+j)%2 > 0 {
					return // these levels put the same behind every signature: half of the pairs will do
				}
				d.judge(h.lift(t, document, by, cades.BLT), by, cades.BLT)
				d.judge(h.lift(t, document, by, cades.BLTA), by, cades.BLTA)
			})
		}
	}
}

// judge demands of each validator that it accepts a document, and finds in it
// what belongs to its level.
func (d *desk) judge(document []byte, by who, level cades.Level) {
	d.tb.Helper()
	fail := func(judge string, err error) {
		d.tb.Helper()
		if err != nil {
			d.tb.Errorf("%s: %s: %v", level, judge, err)
		}
	}
	fail("our verifier", ours(d.tb, d.verifier(d.tb), document, nil, level))
	fail("qpdf", d.qpdf(document))
	if err := d.pdfsig(document); level != cades.BLT {
		fail("pdfsig", err)
	} else if !errors.Is(err, errNotWhole) { // it takes the validation data for any addition
		d.tb.Errorf("%s: pdfsig: got %v, want a valid signature of a part", level, err)
	}
	got, err := d.pdfBox(document)
	fail("PDFBox and BouncyCastle", err)
	if diff := cmp.Diff(d.expect(by, level), got); err == nil && diff != "" {
		d.tb.Errorf("%s: PDFBox reads otherwise:\n%s", level, diff)
	}
	d.judgeCMS(document, level, fail)
}

// judgeCMS has OpenSSL judge what the validators of PDFs do not ask it about.
func (d *desk) judgeCMS(document []byte, level cades.Level, fail func(string, error)) {
	d.tb.Helper()
	file := open(d.tb, document)
	all, err := pades.Signatures(file)
	must(d.tb, err)
	for _, s := range all {
		covered, err := io.ReadAll(s.Covered(file))
		must(d.tb, err)
		der, err := s.CMS()
		must(d.tb, err)
		switch {
		case s.Type == "DocTimeStamp":
			fail("openssl ts, document", d.openSSLToken(der, digest(crypto.SHA512, covered)))
		case level == cades.BB || level == cades.BT: // above, the signature is the same
			fail("openssl cms", d.openSSL(der, covered))
		}
		if level == cades.BT {
			for _, stamp := range inside(d.tb, der) {
				fail("openssl ts, signature", d.openSSLToken(stamp.Token, stamp.Imprint))
			}
		}
	}
}

func (d *desk) expect(by who, level cades.Level) read {
	want := read{Types: []string{"Sig ETSI.CAdES.detached"}, Signers: []string{by.Certificate.SerialNumber.Text(16)}, Whole: level != cades.BLT}
	if level.AtLeast(cades.BT) {
		want.SignatureTimes = 1
	}
	if level.AtLeast(cades.BLT) {
		want.Store = bouncycastle.Store{Certificates: 3, CRLs: 1, OCSPs: 2, VRI: 1}
	}
	if level == cades.BLTA {
		want.Types = append(want.Types, "DocTimeStamp ETSI.RFC3161")
	}
	return want
}

// inside are the time-stamps in a signature.
func inside(tb testing.TB, der []byte) []*cades.TimeStamp {
	tb.Helper()
	var stamps []*cades.TimeStamp
	changed(tb, der, func(m *cms.Message) (err error) {
		stamps, err = cades.TimeStamps(m, 0)
		return err
	})
	return stamps
}

func digest(hash crypto.Hash, octets []byte) []byte { return cmstest.Digest(hash, octets) }

// TestArchives: what was PDF/A-1 still is when it is signed, visibly, at every
// level. RUBRICA_CORPUS names a folder with more documents, pdfa-1*.pdf.
func TestArchives(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	documents := map[string][]byte{"minimal": minimalArchive()}
	if corpus := os.Getenv("RUBRICA_CORPUS"); corpus != "" {
		paths, err := filepath.Glob(filepath.Join(corpus, "pdfa-1*.pdf"))
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s has no pdfa-1*.pdf: %v", corpus, err)
		}
		for _, path := range paths {
			content, err := os.ReadFile(path)
			must(t, err)
			documents[filepath.Base(path)] = content
		}
	}
	demand := func(t *testing.T, what string, document []byte) {
		t.Helper()
		violations, err := bouncycastle.PDFA(t, document)
		if err != nil || len(violations) > 0 {
			t.Errorf("%s: got %q (%v), want PDF/A-1", what, violations, err)
		}
	}
	for name, document := range documents {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			demand(t, "as it was", document)
			broken := bytes.Replace(document, []byte("pdfaid:part"), []byte("pdfaid:pant"), 1)
			if violations, err := bouncycastle.PDFA(t, broken); err == nil && len(violations) == 0 {
				t.Error("Preflight accepts what does not say that it is PDF/A")
			}
			for _, level := range levels() {
				demand(t, string(level), h.signedPDF(t, document, h.signers[2], visible(), level))
				demand(t, string(level)+", nothing to see", h.signedPDF(t, document, h.signers[2], pades.Options{}, level))
			}
		})
	}
}

// minimalArchive is a PDF/A-1b document of one page (ISO 19005-1, 6).
func minimalArchive() []byte {
	const metadata = `<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">` +
		`<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" ` +
		`xmlns:pdfaid="http://www.aiim.org/pdfa/ns/id/"><pdfaid:part>1</pdfaid:part><pdfaid:conformance>B</pdfaid:conformance>` +
		`</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>`
	const drawing = "/Cs CS 0 SC 100 100 m 300 300 l S" // in no colour of a device (6.2.3.3)
	objects := []string{
		"<</Type/Catalog/Pages 2 0 R/Metadata 4 0 R>>", "<</Type/Pages/Kids[3 0 R]/Count 1>>",
		"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 5 0 R" +
			"/Resources<</ColorSpace<</Cs[/CalGray<</WhitePoint[0.95 1 1.09]>>]>>>>>>",
		fmt.Sprintf("<</Type/Metadata/Subtype/XML/Length %d>>\nstream\n%s\nendstream", len(metadata), metadata),
		fmt.Sprintf("<</Length %d>>\nstream\n%s\nendstream", len(drawing), drawing),
	}
	b := bytes.NewBufferString("%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
	table := fmt.Sprintf("xref\n0 %d\n0000000000 65535 f\r\n", len(objects)+1)
	for i, o := range objects {
		table += fmt.Sprintf("%010d 00000 n\r\n", b.Len())
		fmt.Fprintf(b, "%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	fmt.Fprintf(b, "%strailer\n<</Size %d/Root 1 0 R/ID[<01><01>]>>\nstartxref\n%d\n%%%%EOF\n", table, len(objects)+1, b.Len())
	return b.Bytes()
}
