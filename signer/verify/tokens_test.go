package verify_test

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/ca"
	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/cms"
	"github.com/rubrica-firma/rubrica/signer/verify"
)

// idSignatureTimeStamp is of EN 319 122-1, 5.3.
var idSignatureTimeStamp = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 14}

// TestTimeStamps says which time-stamps prove something (EN 319 102-1, 5.4; RFC
// 3161, 2.3 and 2.4.2), and what others do to the signature: a token that is
// wrong in itself spoils it, one that only cannot be relied on proves nothing.
func TestTimeStamps(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bb := w.sign(t, w.signer, day(0))
	with := func(unit entity, at time.Time, imprint func(*cms.SignerInfo) []byte) []byte {
		return raise(t, bb, func(m *cms.Message) {
			must(t, m.AddUnsigned(0, cms.Attribute{Type: idSignatureTimeStamp, Value: w.token(t, unit, at, imprint(m.Signers[0]))}))
		})
	}
	right := func(s *cms.SignerInfo) []byte { return cades.SignatureImprint(s, crypto.SHA256) }
	stranger := certify(t, "Stranger's root", nil, func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
	})
	at := day(2)
	for _, test := range []struct {
		name      string
		signature []byte
		stamp     verify.Conclusion
		want      outcome
	}{
		{"right", with(w.unit, day(0), right), verify.Conclusion{Indication: verify.Passed}, outcome{verify.Passed, "", cades.BT}},
		{"of something else", with(w.unit, day(0), func(*cms.SignerInfo) []byte { return sum([]byte("otra")) }), verify.Conclusion{Indication: verify.Failed, SubIndication: verify.HashFailure}, outcome{verify.Indeterminate, verify.SigConstraintsFailure, cades.BB}},
		{"of a stranger", with(certify(t, "Stranger", &stranger, stamping(day(900))), day(0), right), verify.Conclusion{Indication: verify.Indeterminate, SubIndication: verify.NoCertificateChainFound}, outcome{verify.Passed, "", cades.BB}},
		{"of a unit that expired", with(certify(t, "Expired", &w.issuing, stamping(day(1))), day(0), right), verify.Conclusion{Indication: verify.Indeterminate, SubIndication: verify.OutOfBoundsNotRevoked}, outcome{verify.Passed, "", cades.BB}},
		{"from the future", with(w.unit, day(9), right), verify.Conclusion{Indication: verify.Indeterminate, SubIndication: verify.TimestampOrderFailure}, outcome{verify.Indeterminate, verify.TimestampOrderFailure, cades.BB}},
		{"no token", raise(t, bb, func(m *cms.Message) {
			must(t, m.AddUnsigned(0, cms.Attribute{Type: idSignatureTimeStamp, Value: []byte{0x30, 0}}))
		}), verify.Conclusion{Indication: verify.Failed, SubIndication: verify.FormatFailure}, outcome{verify.Indeterminate, verify.SigConstraintsFailure, cades.BB}},
		{"signed by who is no unit", raise(t, bb, func(m *cms.Message) {
			must(t, m.AddUnsigned(0, cms.Attribute{Type: idSignatureTimeStamp, Value: w.falseToken(t, w.signer, right(m.Signers[0]))}))
		}), verify.Conclusion{Indication: verify.Indeterminate, SubIndication: verify.ChainConstraintsFailure}, outcome{verify.Passed, "", cades.BB}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			known := w.evidence(t, at)
			known.CRLs = append(known.CRLs, w.services(t, day(1).Add(-time.Minute)))
			r := check(t, w.verifier(at, known), test.signature)
			expect(t, r, test.want)
			got := r.Signatures[0].TimeStamps[0].Conclusion
			got.Reason = ""
			if got != test.stamp {
				t.Errorf("got time-stamp %v (%s), want %v", got, r.Signatures[0].TimeStamps[0].Reason, test.stamp)
			}
		})
	}
}

// falseToken is a token that somebody signs who may not.
func (w *world) falseToken(tb testing.TB, by entity, imprint []byte) []byte {
	tb.Helper()
	real, err := openMessage(w.token(tb, w.unit, day(0), imprint))
	must(tb, err)
	info := make([]byte, real.ContentSize())
	_, err = real.Content().Read(info)
	must(tb, err)
	contentType, err := cms.ContentTypeOf(real.ContentType)
	must(tb, err)
	digest, err := cms.MessageDigest(sum(info))
	must(tb, err)
	reference, err := cms.SigningCertificateV2(by.Certificate)
	must(tb, err)
	attributes, err := cms.EncodeAttributes(contentType, digest, reference)
	must(tb, err)
	value, err := by.key.Sign(nil, sum(attributes), crypto.SHA256)
	must(tb, err)
	der, err := cms.Assemble(cms.Parts{
		SignedAttributes: attributes, Signature: value, Certificate: by.Certificate, Hash: crypto.SHA256,
		Content: &cms.Content{Type: real.ContentType, DER: info},
	})
	must(tb, err)
	return der
}

// TestResponders says whom OCSP is believed (RFC 6960, 4.2.2.2).
func TestResponders(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bb := w.sign(t, w.signer, day(0))
	answering := func(change func(*x509.Certificate)) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}
			if change != nil {
				change(c)
			}
		}
	}
	noCheck := func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}, Value: asn1.NullBytes}}
	}
	checked := certify(t, "Checked", &w.issuing, answering(func(c *x509.Certificate) { c.CRLDistributionPoints = []string{servicesList} }))
	for _, test := range []struct {
		name      string
		responder entity
		lists     [][]byte
		want      outcome
	}{
		{"delegated", certify(t, "Delegated", &w.issuing, answering(noCheck)), nil, outcome{verify.Passed, "", cades.BB}},
		{"nobody knows whether it is revoked", checked, nil, outcome{verify.Indeterminate, verify.TryLater, cades.BB}},
		{"not revoked", checked, [][]byte{w.services(t, day(0))}, outcome{verify.Passed, "", cades.BB}},
		{"revoked", checked, [][]byte{w.services(t, day(0), ca.Revocation{Serial: checked.SerialNumber.Bytes(), At: day(-1), Reason: ca.KeyCompromise})}, outcome{verify.Indeterminate, verify.TryLater, cades.BB}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			known := cades.Evidence{
				OCSPs: [][]byte{w.answerBy(t, test.responder, w.signer, day(0), good)},
				CRLs:  append([][]byte{w.crl(t, w.root, day(0))}, test.lists...),
			}
			expect(t, check(t, w.verifier(day(0), known), bb), test.want)
		})
	}
}
