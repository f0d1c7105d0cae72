package pades_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"os/exec"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/internal/cmstest"
	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/cms"
	"github.com/rubrica-firma/rubrica/signer/pades"
	"github.com/rubrica-firma/rubrica/signer/pdf"
)

// TestProducers signs documents of several producers with every kind of key and
// hash, and asks pdfsig and qpdf.
func TestProducers(t *testing.T) {
	t.Parallel()
	files := []string{"solicitud.pdf", "cairo.pdf", "ghostscript.pdf", "pdf-lib-form.pdf", "qpdf-linearized-xref-stream.pdf", "qpdf-2.0.pdf"}
	n := 0
	for _, kind := range cmstest.Kinds() {
		s := cmstest.New(t, kind)
		for hash, name := range map[crypto.Hash]string{crypto.SHA256: "SHA-256", crypto.SHA384: "SHA-384", crypto.SHA512: "SHA-512"} {
			file := files[n%len(files)]
			n++
			t.Run(fmt.Sprintf("%s %s %s", kind, name, file), func(t *testing.T) {
				t.Parallel()
				content := testdata(t, file)
				p := mustPrepare(t, content, options())
				out := sign(t, s, content, p, hash)
				wants := append(sound(), "Signing Hash Algorithm: "+name)
				if kind == "pss" {
					// poppler (22.12, by NSS) does not know the scheme, but finds
					// the digest; OpenSSL judges the value.
					wants = wants[1:4]
				}
				judge(t, content).check(t, out, wants...)
				der, err := p.Layout.Extract(p.Update)
				if err != nil {
					t.Fatal(err)
				}
				covered := append(bytes.Clone(out[:p.Layout.HoleStart]), out[p.Layout.HoleEnd:]...)
				if says, err := s.OpenSSL(t, der, covered); err != nil {
					t.Errorf("openssl: %v\n%s", err, says)
				}
			})
		}
	}
}

// house is an authority with time-stamps and a signer below it.
type house struct {
	authority *cmstest.Authority
	signer    *cmstest.Signer
	stamps    *cmstest.TimeStamps
}

func newHouse(t *testing.T) house {
	t.Helper()
	a := cmstest.NewAuthority(t)
	return house{a, a.Signer(t, "p256"), a.TimeStamps(t, nil)}
}

// evidence is what a validator needs about certificates of the house.
func (h house) evidence(t *testing.T, about ...*x509.Certificate) cades.Evidence {
	t.Helper()
	e := cades.Evidence{Certificates: append([]*x509.Certificate{h.authority.Root}, about...), CRLs: [][]byte{h.authority.CRL(t, nil)}}
	for _, c := range about {
		e.OCSPs = append(e.OCSPs, h.authority.OCSP(t, c, nil))
	}
	return e
}

// signStamped signs with a signature time-stamp inside.
func (h house) signStamped(t *testing.T, content []byte) []byte {
	t.Helper()
	p := mustPrepare(t, content, options())
	sign(t, h.signer, content, p, crypto.SHA256)
	der, err := p.Layout.Extract(p.Update)
	if err != nil {
		t.Fatal(err)
	}
	m, err := cms.Open(bytes.NewReader(der), int64(len(der)))
	if err != nil {
		t.Fatal(err)
	}
	token := h.stamps.Stamp(t, crypto.SHA256, cades.SignatureImprint(m.Signers[0], crypto.SHA256))
	if err := cades.AddSignatureTimeStamp(m, 0, token); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := m.Write(&out); err != nil {
		t.Fatal(err)
	}
	if err := p.Layout.Embed(p.Update, out.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := p.Layout.Verify(bytes.NewReader(content), p.Update, h.signer.Certificate); err != nil {
		t.Fatalf("Verify: %v", err)
	}
	return append(bytes.Clone(content), p.Update...)
}

// addEvidence appends validation data.
func addEvidence(t *testing.T, content []byte, vri []pades.VRI, common cades.Evidence) []byte {
	t.Helper()
	update, err := pades.AddEvidence(parse(t, content), vri, common)
	if err != nil {
		t.Fatalf("AddEvidence: %v", err)
	}
	out := append(bytes.Clone(content), update...)
	judgement{}.checkStructure(t, out)
	return out
}

// timeStamp appends a document time-stamp.
func (h house) timeStamp(t *testing.T, content []byte) []byte {
	t.Helper()
	p, err := pades.PrepareTimeStamp(parse(t, content), 0)
	if err != nil {
		t.Fatalf("PrepareTimeStamp: %v", err)
	}
	digest, err := p.Layout.Digest(bytes.NewReader(content), p.Update, crypto.SHA512)
	if err != nil {
		t.Fatal(err)
	}
	token := h.stamps.Stamp(t, crypto.SHA512, digest)
	if err := p.Layout.Embed(p.Update, token); err != nil {
		t.Fatal(err)
	}
	out := append(bytes.Clone(content), p.Update...)
	// poppler (22.12) finds a document time-stamp and what it covers, but does
	// not know the type; OpenSSL judges the token.
	judge(t, content).check(t, out, "Sellado de pruebas", "Total document signed")
	root := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.authority.Root.Raw})
	says, err := exec.CommandContext(t.Context(), "openssl", "ts", "-verify", "-token_in", "-in", save(t, token),
		"-digest", hex.EncodeToString(digest), "-CAfile", save(t, root)).CombinedOutput()
	if err != nil {
		t.Errorf("openssl ts: %v\n%s", err, says)
	}
	return out
}

// stampOther appends a document time-stamp of something else.
func (h house) stampOther(t *testing.T, content []byte) []byte {
	t.Helper()
	p, err := pades.PrepareTimeStamp(parse(t, content), 0)
	if err != nil {
		t.Fatalf("PrepareTimeStamp: %v", err)
	}
	if err := p.Layout.Embed(p.Update, h.stamps.Stamp(t, crypto.SHA256, make([]byte, 32))); err != nil {
		t.Fatal(err)
	}
	return append(bytes.Clone(content), p.Update...)
}

func signatures(t *testing.T, content []byte) (*pdf.File, []*pades.Signature) {
	t.Helper()
	f := parse(t, content)
	all, err := pades.Signatures(f)
	if err != nil {
		t.Fatalf("Signatures: %v", err)
	}
	return f, all
}

// checkLevel demands a level of the first signature, and a sound shape of all.
func checkLevel(t *testing.T, what string, content []byte, want cades.Level) {
	t.Helper()
	f, all := signatures(t, content)
	for _, s := range all {
		if !s.Whole {
			t.Errorf("%s: the signature in %s does not cover its revision", what, s.Field)
		}
	}
	got, err := pades.LevelOf(f, all[0], all)
	if err != nil || got != want {
		t.Errorf("%s: got level %q (%v), want %q", what, got, err, want)
	}
}

// TestLevels lifts a signature from B-B to B-LTA, and renews it.
func TestLevels(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"solicitud.pdf", "qpdf-xref-stream.pdf", "pdf-lib-form.pdf"} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			original := testdata(t, file)
			p := mustPrepare(t, original, options())
			plain := sign(t, h.signer, original, p, crypto.SHA256)
			checkLevel(t, "signed", plain, cades.BB)
			checkLevel(t, "a document time-stamp behind it", h.timeStamp(t, plain), cades.BT)

			signed := h.signStamped(t, original)
			checkLevel(t, "with a time-stamp", signed, cades.BT)

			about := h.evidence(t, h.signer.Certificate, h.stamps.Certificate)
			_, all := signatures(t, signed)
			vri := []pades.VRI{{Contents: all[0].Contents, Evidence: about}}
			half := about
			half.OCSPs, half.CRLs = half.OCSPs[1:], nil
			checkLevel(t, "evidence of the authority alone", addEvidence(t, signed, nil, half), cades.BT)
			lasting := addEvidence(t, signed, vri, cades.Evidence{})
			checkLevel(t, "with evidence", lasting, cades.BLT)
			checkLevel(t, "with common evidence", addEvidence(t, signed, nil, about), cades.BLT)

			checkLevel(t, "evidence behind the document time-stamp",
				addEvidence(t, h.timeStamp(t, signed), vri, cades.Evidence{}), cades.BLT)
			archived := h.timeStamp(t, lasting)
			checkLevel(t, "with a document time-stamp", archived, cades.BLTA)

			checkLevel(t, "with a time-stamp of something else", h.stampOther(t, lasting), cades.BLT)

			_, all = signatures(t, archived)
			stamp := all[len(all)-1]
			renewed := h.timeStamp(t, addEvidence(t, archived, []pades.VRI{{
				Contents: stamp.Contents, Evidence: h.evidence(t, h.stamps.Certificate),
			}}, cades.Evidence{}))
			checkLevel(t, "renewed", renewed, cades.BLTA)
			sign(t, h.signer, renewed, mustPrepare(t, renewed, options()), crypto.SHA256)
		})
	}
}

// TestEvidenceMerges: what is there stays where it is, and nothing comes twice.
func TestEvidenceMerges(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	content := testdata(t, "solicitud.pdf")
	signed := sign(t, h.signer, content, mustPrepare(t, content, options()), crypto.SHA256)
	_, all := signatures(t, signed)
	own := pades.VRI{Contents: all[0].Contents, Evidence: h.evidence(t, h.signer.Certificate)}
	other := pades.VRI{Contents: []byte("another"), Evidence: h.evidence(t, h.stamps.Certificate)}

	once := addEvidence(t, signed, []pades.VRI{own}, cades.Evidence{})
	update, err := pades.AddEvidence(parse(t, once), []pades.VRI{own}, own.Evidence)
	if err != nil || update != nil {
		t.Errorf("got %d octets (%v) for what is there already", len(update), err)
	}
	twice := addEvidence(t, once, []pades.VRI{own, other}, cades.Evidence{})
	got, err := pades.DSS(parse(t, twice))
	if err != nil {
		t.Fatal(err)
	}
	want := pades.Store{
		Evidence: own.Merge(other.Evidence),
		VRI:      map[string]cades.Evidence{own.Key(): own.Evidence, other.Key(): other.Evidence},
	}
	same := cmp.Comparer(func(a, b *x509.Certificate) bool { return a.Equal(b) })
	if diff := cmp.Diff(want, got, same); diff != "" {
		t.Error(diff)
	}
	if n := bytes.Count(twice, h.authority.Root.Raw); n != 1 {
		t.Errorf("the root stands there %d times, want once", n)
	}
	if again := addEvidence(t, signed, []pades.VRI{own}, cades.Evidence{}); !bytes.Equal(again, once) {
		t.Error("the same evidence gives different updates")
	}
	if diff := cmp.Diff(want.Evidence, got.For(own.Contents), same); diff != "" {
		t.Error(diff)
	}
}

// TestSignatures: what stands in a document is read as it is.
func TestSignatures(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	content := testdata(t, "pdf-lib-form.pdf")
	o := options()
	o.Certify = pades.Annotate
	certified := sign(t, h.signer, content, mustPrepare(t, content, o), crypto.SHA256)
	twice := sign(t, h.signer, certified, mustPrepare(t, certified, options()), crypto.SHA256)
	_, all := signatures(t, h.timeStamp(t, twice))
	if len(all) != 3 {
		t.Fatalf("got %d signatures, want 3", len(all))
	}
	type row struct {
		Type, SubFilter, Name, Reason string
		Permission                    pades.Permission
		Certification, Whole          bool
		Revision                      int
	}
	var got []row
	for _, s := range all {
		got = append(got, row{s.Type, s.SubFilter, s.Name, s.Reason, s.Permission, s.Certification, s.Whole, s.Revision})
	}
	want := []row{
		{"Sig", "ETSI.CAdES.detached", o.Name, o.Reason, pades.Annotate, true, true, 1},
		{"Sig", "ETSI.CAdES.detached", o.Name, o.Reason, 0, false, true, 2},
		{"DocTimeStamp", "ETSI.RFC3161", "", "", 0, false, true, 3},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if !all[0].M.Equal(claimed) || !all[2].M.IsZero() {
		t.Errorf("got times %v and %v", all[0].M, all[2].M)
	}
	if _, err := all[1].CMS(); err != nil {
		t.Error(err)
	}
}

// TestNotWhole: a ByteRange with a gap that is not its Contents covers nothing whole.
func TestNotWhole(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	content := build("", catalog, pages, page)
	p := mustPrepare(t, content, options())
	signed := sign(t, h.signer, content, p, crypto.SHA256)
	right := p.Layout.ByteRange()
	start := bytes.LastIndex(signed, []byte("/ByteRange ["))
	for name, r := range map[string][4]int64{
		"right":                {right[0], right[1], right[2], right[3]},
		"does not begin":       {1, right[1] - 1, right[2], right[3]},
		"gap begins early":     {0, right[1] - 12, right[2], right[3]},
		"gap ends late":        {0, right[1], right[2] + 2, right[3] - 2},
		"ends early":           {0, right[1], right[2], right[3] - 10},
		"ends with the digits": {0, right[1] + 1, right[2] - 1, right[3] + 1},
		"past the end":         {0, right[1], right[2], right[3] + 1},
		"no gap":               {0, right[1], right[1], right[3] + right[2] - right[1]},
		"gap before":           {0, 50, 60, right[2] + right[3] - 60},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			list := fmt.Sprintf("/ByteRange [%d %d %d %d]", r[0], r[1], r[2], r[3])
			mutant := bytes.Clone(signed)
			copy(mutant[start:], fmt.Sprintf("%-44s", list))
			_, all := signatures(t, mutant)
			if len(all) != 1 || all[0].Whole != (name == "right") {
				t.Errorf("got %d signatures, whole %v", len(all), all[0].Whole)
			}
		})
	}
}
