package augment

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/rubrica-firma/rubrica/internal/cmstest"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/cms"
	pades "github.com/rubrica-firma/rubrica/signer/pades"
	"github.com/rubrica-firma/rubrica/signer/pdf"
	"github.com/rubrica-firma/rubrica/signer/verify"
)

func content() []byte { return []byte("Solicitud de ayuda al alquiler\r\n") }

func reading(data []byte) func() (io.Reader, error) {
	return func() (io.Reader, error) { return bytes.NewReader(data), nil }
}

func open(tb testing.TB, der []byte) *cms.Message {
	tb.Helper()
	m, err := cms.Open(bytes.NewReader(der), int64(len(der)))
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

func written(tb testing.TB, m *cms.Message) []byte {
	tb.Helper()
	var out bytes.Buffer
	if err := m.Write(&out); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

// TestCMS brings signatures to each level at once, and step by step.
func TestCMS(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	for _, want := range []cades.Level{cades.BB, cades.BT, cades.BLT, cades.BLTA} {
		m := open(t, h.signer.Sign(t, content(), crypto.SHA256))
		got, err := h.CMS(t.Context(), m, 0, reading(content()), want)
		if err != nil || got != want {
			t.Errorf("got %s, %v, want %s", got, err, want)
		}
		h.judge(t, written(t, m), want)
	}
	m := open(t, h.signer.Sign(t, content(), crypto.SHA256))
	for _, want := range []cades.Level{cades.BT, cades.BLT, cades.BLTA} {
		if got, err := h.CMS(t.Context(), m, 0, reading(content()), want); err != nil || got != want {
			t.Fatalf("got %s, %v, want %s", got, err, want)
		}
		der := written(t, m)
		h.judge(t, der, want)
		m = open(t, der)
	}
	before, asked := written(t, m), h.asked.Load()
	for _, want := range []cades.Level{cades.BB, cades.BT, cades.BLT, cades.BLTA} {
		if got, err := h.CMS(t.Context(), m, 0, reading(content()), want); err != nil || got != cades.BLTA {
			t.Errorf("got %s, %v, want %s", got, err, cades.BLTA)
		}
	}
	if !bytes.Equal(written(t, m), before) || h.asked.Load() != asked {
		t.Error("an archive that is good for long was changed, or somebody was asked for it")
	}
}

// judge has OpenSSL verify the signature and each of its time-stamps.
func (h *house) judge(t *testing.T, der []byte, level cades.Level) {
	t.Helper()
	if out, err := h.signer.OpenSSL(t, der, content()); err != nil {
		t.Errorf("%s: openssl cms -verify: %v\n%s", level, err, out)
	}
	m := open(t, der)
	stamps, err := cades.TimeStamps(m, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range stamps {
		if s.Kind != cades.SignatureTimeStamp {
			if err := s.Check(bytes.NewReader(content())); err != nil {
				t.Error(err)
			}
			continue
		}
		if out, err := opensslStamp(t, s.Token, m.Signers[0].Signature, h.Root); err != nil {
			t.Errorf("%s: openssl ts -verify: %v\n%s", level, err, out)
		}
	}
}

// TestCMSAttached needs no content.
func TestCMSAttached(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	var attached bytes.Buffer
	if err := cms.Attach(&attached, h.signer.Sign(t, content(), crypto.SHA256), bytes.NewReader(content()), int64(len(content()))); err != nil {
		t.Fatal(err)
	}
	m := open(t, attached.Bytes())
	if got, err := h.CMS(t.Context(), m, 0, nil, cades.BLTA); err != nil || got != cades.BLTA {
		t.Errorf("got %s, %v, want %s", got, err, cades.BLTA)
	}
	if out, err := h.signer.OpenSSL(t, written(t, m), nil); err != nil {
		t.Errorf("openssl cms -verify: %v\n%s", err, out)
	}
}

// TestCMSFailures: the level below is kept, and said, and another try goes on
// from there.
func TestCMSFailures(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fail func(*house)
		want error
		kept cades.Level
	}{
		"no time-stamps":    {func(h *house) { h.silent.Store(true) }, policies.Refuse(policies.TimeStampUnavailable), cades.BB},
		"no revocation":     {func(h *house) { h.fail("/ca/root.crl"); h.answers(func(a *ocsp.Response) { a.Status = ocsp.Unknown }) }, policies.Refuse(policies.EvidenceUnavailable), cades.BT},
		"nothing reached":   {func(h *house) { h.silent.Store(true); h.fail("/") }, policies.Refuse(policies.TimeStampUnavailable), cades.BB},
		"archive unstamped": {func(h *house) { h.stampsLeft(1) }, policies.Refuse(policies.TimeStampUnavailable), cades.BLT},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, nil)
			m := open(t, h.signer.Sign(t, content(), crypto.SHA256))
			stamper := h.Stamper
			tc.fail(h)
			got, err := h.CMS(t.Context(), m, 0, reading(content()), cades.BLTA)
			if got != tc.kept || !errors.Is(err, tc.want) {
				t.Errorf("got %s, %v, want %s and %v", got, err, tc.kept, tc.want)
			}
			h.judge(t, written(t, m), got)
			h.silent.Store(false)
			h.fail("")
			h.answer.Store(nil)
			h.Stamper = stamper
			if got, err = h.CMS(t.Context(), m, 0, reading(content()), cades.BLTA); err != nil || got != cades.BLTA {
				t.Errorf("got %s, %v at the second try, want %s", got, err, cades.BLTA)
			}
			h.judge(t, written(t, m), got)
		})
	}
}

// TestCMSRefused: nothing is added to what is no signature of that content.
func TestCMSRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	good := h.signer.Sign(t, content(), crypto.SHA256)
	stranger := cmstest.New(t, "p256")
	for name, tc := range map[string]struct {
		der     []byte
		content func() (io.Reader, error)
		want    error
		level   cades.Level
	}{
		"another content":   {good, reading([]byte("otra cosa")), ErrInvalid, cades.BB},
		"no content":        {good, nil, ErrInvalid, cades.BB},
		"unreadable":        {good, func() (io.Reader, error) { return nil, errTest }, errTest, cades.BB},
		"another authority": {stranger.Sign(t, content(), crypto.SHA256), reading(content()), ErrUntrusted, cades.BT},
	} {
		m := open(t, tc.der)
		if got, err := h.CMS(t.Context(), m, 0, tc.content, cades.BLTA); got != tc.level || !errors.Is(err, tc.want) {
			t.Errorf("%s: got %s, %v, want %s, %v", name, got, err, tc.level, tc.want)
		}
	}
	if _, err := h.CMS(t.Context(), open(t, good), 0, reading(content()), "B-X"); !errors.Is(err, ErrLevel) {
		t.Errorf("got %v, want %v", err, ErrLevel)
	}
}

// TestRenewCMS: an archive whose time-stamp ends soon gets another.
func TestRenewCMS(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	m := open(t, h.signer.Sign(t, content(), crypto.SHA256))
	if _, err := h.CMS(t.Context(), m, 0, reading(content()), cades.BLTA); err != nil {
		t.Fatal(err)
	}
	due, err := h.RenewCMS(m, 0)
	if err != nil || !due.Equal(h.unit.Certificate.NotAfter.Add(-time.Hour)) {
		t.Errorf("due at %v, %v, want an hour before %v", due, err, h.unit.Certificate.NotAfter)
	}
	h.Renew = 30 * time.Hour // longer than anything lasts
	h.unit = newUnit(t, h.Authority, h.now, h.places)
	if got, err := h.CMS(t.Context(), m, 0, reading(content()), cades.BLTA); err != nil || got != cades.BLTA {
		t.Fatalf("got %s, %v, want %s", got, err, cades.BLTA)
	}
	stamps, err := cades.TimeStamps(m, 0)
	if err != nil || len(stamps) != 3 {
		t.Errorf("got %d time-stamps, %v, want 3", len(stamps), err)
	}
	h.judge(t, written(t, m), cades.BLTA)
}

// signedPDF is a PDF with a signature that has so much room.
func (h *house) signedPDF(t *testing.T, hole int) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "testdata", "pdf", "solicitud.pdf"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := pdf.Open(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	p, err := pades.Prepare(f, pades.Options{Hole: hole, Time: time.Now(), Name: "JUAN ESPAÑOL"})
	if err != nil {
		t.Fatal(err)
	}
	digest, err := p.Layout.Digest(bytes.NewReader(raw), p.Update, crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	der := h.signer.SignParams(t, cades.Params{ContentDigest: digest, Hash: crypto.SHA256, Certificate: h.signer.Certificate, PAdES: true})
	if err := p.Layout.Embed(p.Update, der); err != nil {
		t.Fatal(err)
	}
	return append(raw, p.Update...)
}

func (h *house) local(t *testing.T, raw []byte) *Local {
	t.Helper()
	doc, err := OpenLocal(bytes.NewReader(raw), int64(len(raw)), h.Root)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func octets(tb testing.TB, doc *Local) []byte {
	tb.Helper()
	all, err := io.ReadAll(doc.Reader())
	if err != nil {
		tb.Fatal(err)
	}
	return all
}

// TestPDF brings a document to each level; what there was stays.
func TestPDF(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	raw := h.signedPDF(t, 16<<10)
	for _, want := range []cades.Level{cades.BB, cades.BT, cades.BLT, cades.BLTA} {
		doc := h.local(t, raw)
		if got, err := h.PDF(t.Context(), doc, want); err != nil || got != want {
			t.Errorf("got %s, %v, want %s", got, err, want)
		}
		all := octets(t, doc)
		if !bytes.HasPrefix(all, raw) {
			t.Errorf("%s: the document is another one", want)
		}
		h.judgePDF(t, all, want)
	}
	doc := h.local(t, raw)
	for _, want := range []cades.Level{cades.BT, cades.BLT, cades.BLTA} {
		if got, err := h.PDF(t.Context(), doc, want); err != nil || got != want {
			t.Fatalf("got %s, %v, want %s", got, err, want)
		}
		before := octets(t, doc)
		doc = h.local(t, before)
		if got, err := h.PDF(t.Context(), doc, want); err != nil || got != want || !bytes.Equal(octets(t, doc), before) {
			t.Errorf("got %s, %v at the second time, want %s and no change", got, err, want)
		}
	}
	size := len(octets(t, doc))
	h.Renew = 30 * time.Hour
	if got, err := h.PDF(t.Context(), doc, cades.BLTA); err != nil || got != cades.BLTA || len(octets(t, doc)) <= size {
		t.Errorf("got %s, %v, want it renewed", got, err)
	}
	h.judgePDF(t, octets(t, doc), cades.BLTA)
}

// TestPDFFailures: the level below is kept, and said.
func TestPDFFailures(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fail func(*house)
		want error
		kept cades.Level
	}{
		"no time-stamps":    {func(h *house) { h.silent.Store(true) }, policies.Refuse(policies.TimeStampUnavailable), cades.BB},
		"no revocation":     {func(h *house) { h.fail("/ca/root.crl"); h.answers(func(a *ocsp.Response) { a.Status = ocsp.Unknown }) }, policies.Refuse(policies.EvidenceUnavailable), cades.BT},
		"archive unstamped": {func(h *house) { h.stampsLeft(1) }, policies.Refuse(policies.TimeStampUnavailable), cades.BLT},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, nil)
			doc := h.local(t, h.signedPDF(t, 16<<10))
			tc.fail(h)
			if got, err := h.PDF(t.Context(), doc, cades.BLTA); got != tc.kept || !errors.Is(err, tc.want) {
				t.Errorf("got %s, %v, want %s and %v", got, err, tc.kept, tc.want)
			}
			h.judgePDF(t, octets(t, doc), tc.kept)
		})
	}
	h := newHouse(t, nil)
	raw := h.signedPDF(t, 16<<10)
	i := bytes.Index(raw, []byte("/MediaBox"))
	raw[i+1] = 'm'
	if got, err := h.PDF(t.Context(), h.local(t, raw), cades.BLTA); !errors.Is(err, ErrInvalid) {
		t.Errorf("a document that was changed: got %s, %v, want %v", got, err, ErrInvalid)
	}
}

// limited gives so many stamps.
type limited struct {
	Stamper
	left int
}

func (l *limited) TimeStamp(ctx context.Context, hash crypto.Hash, digest []byte) ([]byte, error) {
	if l.left--; l.left < 0 {
		return nil, policies.Refuse(policies.TimeStampUnavailable)
	}
	return l.Stamper.TimeStamp(ctx, hash, digest)
}

func (h *house) stampsLeft(n int) { h.Stamper = &limited{Stamper: h.Stamper, left: n} }
func (h *house) fail(path string) { h.down.Store(&path) }

func (h *house) answers(bend func(*ocsp.Response)) { h.answer.Store(&bend) }

// judgePDF has foreign readers look at the document, and OpenSSL at each
// document time-stamp.
func (h *house) judgePDF(t *testing.T, all []byte, level cades.Level) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f.pdf")
	if err := os.WriteFile(path, all, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "qpdf", "--check", path).CombinedOutput(); err != nil {
		t.Errorf("qpdf --check: %v\n%s", err, out)
	}
	if level.AtLeast(cades.BLT) { // with less, nothing is known about revocation
		v := &verify.Verifier{Trust: []*x509.Certificate{h.Root}, Now: time.Now}
		report, err := v.File(t.Context(), verify.Input{Name: "f.pdf", Document: bytes.NewReader(all), Size: int64(len(all))})
		if err != nil || report.Indication != verify.Passed {
			t.Errorf("%s: our verifier: %+v, %v", level, report, err)
		}
	}
	out, err := exec.CommandContext(t.Context(), "pdfsig", "-nocert", path).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Signature is Valid.") || strings.Contains(string(out), "Invalid") {
		t.Errorf("pdfsig: %v\n%s", err, out)
	}
	doc := h.local(t, all)
	held, err := doc.Signatures(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, one := range held {
		if !one.TimeStamp {
			continue
		}
		r := doc.held[i].ByteRange
		covered := slices.Concat(all[r[0]:r[0]+r[1]], all[r[2]:r[2]+r[3]])
		if out, err := opensslStamp(t, one.CMS, covered, h.Root); err != nil {
			t.Errorf("openssl ts -verify: %v\n%s", err, out)
		}
	}
}
