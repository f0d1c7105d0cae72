package documents_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/api/documents"
	"github.com/rubrica-firma/rubrica/internal/cmstest"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/pades"
	"github.com/rubrica-firma/rubrica/signer/verify"
)

// A signature whose certificate's status is not known yet is asked about, and
// judged when the answer is given.
func TestVerify(t *testing.T) {
	t.Parallel()
	w := newWorker(t, "document-worker", nil)
	s := cmstest.New(t, "p256")
	content := []byte("Solicito la ayuda.")
	p := cades.Params{ContentDigest: cmstest.Digest(crypto.SHA256, content), Hash: crypto.SHA256, Certificate: s.Certificate, SigningTime: time.Now()}
	signature := file(t, s.SignParams(t, p))
	v := documents.Verification{Name: "ayuda.csig", Content: file(t, content), Trust: []*x509.Certificate{s.Root}, Time: time.Now()}

	got, err := w.Verify(t.Context(), signature, v)
	if err != nil {
		t.Fatal(err)
	}
	if got.Report.Name != "ayuda.csig" || got.Report.Indication != verify.Indeterminate || got.Report.SubIndication != verify.TryLater {
		t.Errorf("got %q %s %s, want INDETERMINATE TRY_LATER", got.Report.Name, got.Report.Indication, got.Report.SubIndication)
	}
	if len(got.Open) != 1 || !got.Open[0].Certificate.Equal(s.Certificate) || !got.Open[0].Issuer.Equal(s.Root) {
		t.Fatalf("got %d open questions, want that about the signer's certificate", len(got.Open))
	}

	v.Evidence = cades.Evidence{OCSPs: [][]byte{s.Authority.OCSP(t, s.Certificate, nil)}}
	v.Time = time.Now().Add(2 * time.Second)
	if got, err = w.Verify(t.Context(), signature, v); err != nil {
		t.Fatal(err)
	}
	if got.Report.Indication != verify.Passed || len(got.Open) != 0 {
		t.Errorf("with an answer: got %s %s %q, want TOTAL-PASSED", got.Report.Indication, got.Report.SubIndication, got.Report.Reason)
	}

	v.Content = file(t, []byte("Solicito la ayuda!"))
	if got, err = w.Verify(t.Context(), signature, v); err != nil {
		t.Fatal(err)
	}
	if got.Report.SubIndication != verify.HashFailure {
		t.Errorf("another content: got %s %s, want HASH_FAILURE", got.Report.Indication, got.Report.SubIndication)
	}
	v.Content = nil
	if got, err = w.Verify(t.Context(), signature, v); err != nil {
		t.Fatal(err)
	}
	if got.Report.SubIndication != verify.SignedDataNotFound {
		t.Errorf("no content: got %s %s, want SIGNED_DATA_NOT_FOUND", got.Report.Indication, got.Report.SubIndication)
	}
}

func TestVerifyPDF(t *testing.T) {
	t.Parallel()
	w := newWorker(t, "document-worker", nil)
	content := solicitud(t)
	prepared, err := w.Prepare(t.Context(), file(t, content), pades.Options{Time: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	s := cmstest.New(t, "p384")
	digest, err := prepared.Layout.Digest(bytes.NewReader(content), prepared.Update, crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	der := s.SignParams(t, cades.Params{ContentDigest: digest, Hash: crypto.SHA256, Certificate: s.Certificate, PAdES: true})
	if err := prepared.Layout.Embed(prepared.Update, der); err != nil {
		t.Fatal(err)
	}
	signed := slices.Concat(content, prepared.Update)
	v := documents.Verification{
		Trust: []*x509.Certificate{s.Root}, Time: time.Now().Add(2 * time.Second),
		Evidence: cades.Evidence{OCSPs: [][]byte{s.Authority.OCSP(t, s.Certificate, nil)}},
	}
	altered := bytes.Clone(signed)
	altered[len(content)/2] ^= 1
	for name, c := range map[string]struct {
		document []byte
		want     verify.Indication
	}{
		"as it was signed":    {document: signed, want: verify.Passed},
		"an octet is another": {document: altered, want: verify.Failed},
		"not signed":          {document: content, want: verify.Indeterminate},
	} {
		got, err := w.Verify(t.Context(), file(t, c.document), v)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got.Report.Indication != c.want {
			t.Errorf("%s: got %s %s %q, want %s", name, got.Report.Indication, got.Report.SubIndication, got.Report.Reason, c.want)
		}
	}
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	w := newWorker(t, "document-worker", nil)
	for name, c := range map[string]struct {
		document []byte
		want     policies.Code
	}{
		"nothing":                 {want: policies.DocumentEmpty},
		"a text":                  {document: []byte("hola"), want: policies.VerificationFormat},
		"DER that is no CMS":      {document: []byte{0x30, 3, 2, 1, 1}, want: policies.VerificationFormat},
		"a CMS that breaks off":   {document: cmstest.New(t, "p256").Sign(t, []byte("x"), crypto.SHA256)[:200], want: policies.VerificationFormat},
		"a PDF with nothing else": {document: []byte("%PDF-1.7\n"), want: policies.DocumentDamaged},
	} {
		_, err := w.Verify(t.Context(), file(t, c.document), documents.Verification{Time: time.Now()})
		if !errors.Is(err, policies.Refuse(c.want)) {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
	}
}
