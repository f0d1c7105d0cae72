package verify_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/cms"
	"github.com/rubrica-firma/rubrica/signer/pades"
	"github.com/rubrica-firma/rubrica/signer/verify"
)

// TestProvedAfter: who signs what has a time-stamp in it, signs after that. Only so
// a revocation or an end is final (EN 319 102-1, table 6: REVOKED, EXPIRED).
func TestProvedAfter(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := day(20)
	for _, test := range []struct {
		name   string
		signer entity
		known  func(c entity) [][]byte
		want   outcome
	}{
		{"revoked before", w.signer, func(c entity) [][]byte { return [][]byte{w.answer(t, c, at, revokedAt(day(5), 1))} }, outcome{verify.Failed, verify.Revoked, ""}},
		{"revoked after", w.signer, func(c entity) [][]byte { return [][]byte{w.answer(t, c, at, revokedAt(day(15), 1))} }, outcome{verify.Indeterminate, verify.RevokedNoPOE, cades.BB}},
		{"expired before", certify(t, "Expired", &w.issuing, func(c *x509.Certificate) { c.NotAfter = day(5) }), func(c entity) [][]byte { return [][]byte{w.answer(t, c, at, good)} }, outcome{verify.Failed, verify.Expired, ""}},
		{"expired after", certify(t, "Expired", &w.issuing, func(c *x509.Certificate) { c.NotAfter = day(15) }), func(c entity) [][]byte { return [][]byte{w.answer(t, c, at, good)} }, outcome{verify.Indeterminate, verify.OutOfBoundsNotRevoked, cades.BB}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			document := w.signPDF(t, w.stampPDF(t, sample(t), w.unit, day(10)), test.signer, pades.Options{}, time.Time{})
			known := w.evidence(t, at)
			known.OCSPs = test.known(test.signer)
			expect(t, checkPDF(t, w.verifier(at, known), document), test.want)
		})
	}
}

// TestNotYetValid is a signature that existed before its certificate (EN 319
// 102-1, table 6).
func TestNotYetValid(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	early := certify(t, "Early", &w.issuing, func(c *x509.Certificate) { c.NotBefore = day(5) })
	known := w.evidence(t, day(6))
	known.OCSPs = append(known.OCSPs, w.answer(t, early, day(6), good))
	expect(t, check(t, w.verifier(day(6), known), w.toT(t, w.sign(t, early, day(0)), day(0))), outcome{verify.Failed, verify.NotYetValid, ""})
	expect(t, check(t, w.verifier(day(1), known), w.sign(t, early, day(0))), outcome{verify.Indeterminate, verify.OutOfBoundsNoPOE, cades.BB})
}

// TestPaths says which paths are good (RFC 5280, 6.1; EN 319 102-1, 5.2.6).
func TestPaths(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	authority := func(change func(*x509.Certificate)) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			c.IsCA, c.BasicConstraintsValid, c.KeyUsage, c.NotAfter = true, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign, day(3000)
			if change != nil {
				change(c)
			}
		}
	}
	ending := certify(t, "No authority below", &w.root, authority(func(c *x509.Certificate) { c.MaxPathLenZero = true }))
	below := certify(t, "Below", &ending, authority(nil))
	named := certify(t, "For others", &w.root, authority(func(c *x509.Certificate) {
		c.PermittedEmailAddresses, c.PermittedDNSDomainsCritical = []string{"example.org"}, true
	}))
	person := certify(t, "No authority", &w.issuing, nil)
	stranger := certify(t, "Stranger", nil, authority(nil))
	signs := func(issuer *entity, change func(*x509.Certificate)) entity {
		return certify(t, "Persona", issuer, change)
	}
	for _, test := range []struct {
		name   string
		signer entity
		want   verify.SubIndication
	}{
		{"good", signs(&w.issuing, nil), ""},
		{"not for signatures", signs(&w.issuing, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }), verify.ChainConstraintsFailure},
		{"too long", signs(&below, nil), verify.ChainGeneralFailure},
		{"name not permitted", signs(&named, func(c *x509.Certificate) { c.EmailAddresses = []string{"juan@example.com"} }), verify.ChainGeneralFailure},
		{"critical and unknown", signs(&w.issuing, func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: true, Value: asn1.NullBytes}}
		}), verify.ChainGeneralFailure},
		{"issued by a person", signs(&person, nil), verify.ChainGeneralFailure},
		{"of a stranger", signs(&stranger, nil), verify.NoCertificateChainFound},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			known := cades.Evidence{CRLs: [][]byte{w.crl(t, w.root, day(0)), w.crl(t, w.issuing, day(0)), w.crl(t, ending, day(0)), w.crl(t, below, day(0)), w.crl(t, named, day(0))}}
			for c := test.signer.issuer; c != nil; c = c.issuer {
				known.Certificates = append(known.Certificates, c.Certificate)
			}
			want := outcome{verify.Indeterminate, test.want, cades.BB}
			if test.want == "" {
				want.indication = verify.Passed
			}
			expect(t, check(t, w.verifier(day(0), known), w.sign(t, test.signer, day(0))), want)
		})
	}
}

// TestSameNumber is an answer about a certificate of the same serial number and of
// another authority (RFC 6960, 3.2, step 1).
func TestSameNumber(t *testing.T) {
	t.Parallel()
	w, other := newWorld(t), newWorld(t)
	twin := certify(t, "Twin", &other.issuing, func(c *x509.Certificate) { c.SerialNumber = w.signer.SerialNumber })
	known := cades.Evidence{CRLs: [][]byte{w.crl(t, w.root, day(0))}, OCSPs: [][]byte{other.answer(t, twin, day(0), good)}, Certificates: []*x509.Certificate{other.issuing.Certificate}}
	expect(t, check(t, w.verifier(day(0), known), w.sign(t, w.signer, day(0))), outcome{verify.Indeterminate, verify.TryLater, cades.BB})
}

// TestTampered changes evidence that nobody would need.
func TestTampered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	lt := func(e cades.Evidence) []byte { return w.toLT(t, w.toT(t, w.sign(t, w.signer, day(0)), day(0)), e) }
	known := w.evidence(t, day(0))
	last := func(der []byte) []byte { return flip(der, len(der)-1) }
	expect(t, check(t, w.verifier(day(0), known), lt(known)), outcome{verify.Passed, "", cades.BLT})
	answer := known.Merge(cades.Evidence{OCSPs: [][]byte{last(w.answer(t, w.unit, day(0), good))}})
	list := known.Merge(cades.Evidence{CRLs: [][]byte{last(w.crl(t, w.root, day(0)))}})
	for name, e := range map[string]cades.Evidence{"answer": answer, "list": list} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := check(t, w.verifier(day(0), known), lt(e))
			if s := r.Signatures[0]; s.Indication != verify.Indeterminate || s.SubIndication != verify.SigConstraintsFailure {
				t.Errorf("got %v, want SIG_CONSTRAINTS_FAILURE", s.Conclusion)
			}
		})
	}
}

// TestSeveral are signatures side by side and over one another.
func TestSeveral(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	second := certify(t, "Segunda", &w.issuing, nil)
	parts := func(by entity, attributes []byte) cms.Parts {
		value, err := by.key.Sign(nil, sum(attributes), crypto.SHA256)
		must(t, err)
		return cms.Parts{SignedAttributes: attributes, Signature: value, Certificate: by.Certificate, Hash: crypto.SHA256}
	}
	attributes := func(by entity, digest []byte) []byte {
		der, err := cades.SignedAttributes(cades.Params{ContentDigest: digest, Hash: crypto.SHA256, Certificate: by.Certificate, SigningTime: day(0)})
		must(t, err)
		return der
	}
	known := w.evidence(t, day(0))
	known.OCSPs = append(known.OCSPs, w.answer(t, second, day(0), good))
	v := w.verifier(day(0), known)
	both := raise(t, w.sign(t, w.signer, day(0)), func(m *cms.Message) { must(t, m.AddSigner(parts(second, attributes(second, sum(content))))) })
	if r := check(t, v, both); len(r.Signatures) != 2 || r.Indication != verify.Passed {
		t.Errorf("got %d signatures, %v, want two good ones", len(r.Signatures), r.Conclusion)
	}
	if r := checkOf(t, v, both, []byte("otra")); r.Signatures[1].SubIndication != verify.HashFailure || r.Indication != verify.Failed {
		t.Errorf("got %v, want HASH_FAILURE of both", r.Conclusion)
	}
	over := func(right bool) []byte {
		return raise(t, w.sign(t, w.signer, day(0)), func(m *cms.Message) {
			of := sum(m.Signers[0].Signature)
			if !right {
				of = flip(of, 0)
			}
			digest, err := cms.MessageDigest(of)
			must(t, err)
			reference, err := cms.SigningCertificateV2(second.Certificate)
			must(t, err)
			set, err := cms.EncodeAttributes(digest, reference)
			must(t, err)
			counter, err := cms.CounterSignature(parts(second, set))
			must(t, err)
			must(t, m.AddUnsigned(0, counter))
			must(t, m.AddCertificates(second.Certificate))
		})
	}
	r := check(t, v, over(true))
	expect(t, r, outcome{verify.Passed, "", cades.BB})
	if c := r.Signatures[0].CounterSignatures; len(c) != 1 || c[0].Indication != verify.Passed || c[0].Signer.Name != "Segunda" {
		t.Errorf("got counter-signatures %+v, want a good one", c)
	}
	expect(t, check(t, v, over(false)), outcome{verify.Indeterminate, verify.SigConstraintsFailure, cades.BB})
}

// TestAttached is a signature with its content inside.
func TestAttached(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var attached bytes.Buffer
	must(t, cms.Attach(&attached, w.sign(t, w.signer, day(0)), bytes.NewReader(content), int64(len(content))))
	v := w.verifier(day(0), w.evidence(t, day(0)))
	expect(t, checkOf(t, v, attached.Bytes(), nil), outcome{verify.Passed, "", cades.BB})
	changed := bytes.Replace(attached.Bytes(), []byte("convocatoria"), []byte("Convocatoria"), 1)
	expect(t, checkOf(t, v, changed, nil), outcome{verify.Failed, verify.HashFailure, ""})
}

// fetcher knows what it is told, and counts the questions.
type fetcher struct {
	known cades.Evidence
	asked []string
}

func (f *fetcher) Revocation(_ context.Context, c, _ *x509.Certificate) (cades.Evidence, error) {
	f.asked = append(f.asked, c.Subject.CommonName)
	return f.known, nil
}

// TestFetch asks only for what is not known, and says from where it came.
func TestFetch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	known := w.evidence(t, day(0))
	f := &fetcher{known: cades.Evidence{OCSPs: known.OCSPs}}
	v := w.verifier(day(0), cades.Evidence{CRLs: known.CRLs})
	v.Fetch = f
	r := check(t, v, w.sign(t, w.signer, day(0)))
	expect(t, r, outcome{verify.Passed, "", cades.BB})
	if len(f.asked) != 1 || r.Signatures[0].Chain[0].Revocation.Origin != "fetched" || r.Signatures[0].Chain[1].Revocation.Origin != "given" {
		t.Errorf("got %v asked, chain %+v", f.asked, r.Signatures[0].Chain)
	}
}

// TestOddCertificate is one that an authority has made, and crypto/x509 does not
// read: it spoils nothing, unless it was changed.
func TestOddCertificate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	odd := certify(t, "Odd", &w.issuing, nil)
	// Not before the year 0, which is none; the signature is made anew.
	tbs := bytes.Replace(bytes.Clone(odd.RawTBSCertificate), []byte(odd.NotBefore.Format("060102150405Z")), []byte("ABCDEFGHIJKLZ"), 1)
	value, err := w.issuing.key.Sign(nil, sum(tbs), crypto.SHA256)
	must(t, err)
	var parts struct{ TBS, Algorithm, Value asn1.RawValue }
	_, err = asn1.Unmarshal(odd.Raw, &parts)
	must(t, err)
	raw := func(value []byte) []byte {
		der, err := asn1.Marshal(struct {
			TBS, Algorithm asn1.RawValue
			Value          asn1.BitString
		}{asn1.RawValue{FullBytes: tbs}, parts.Algorithm, asn1.BitString{Bytes: value, BitLength: 8 * len(value)}})
		must(t, err)
		return der
	}
	known := w.evidence(t, day(0))
	for _, test := range []struct {
		name string
		raw  []byte
		want outcome
	}{
		{"made so", raw(value), outcome{verify.Passed, "", cades.BB}},
		{"changed", raw(flip(value, len(value)-1)), outcome{verify.Indeterminate, verify.SigConstraintsFailure, cades.BB}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			der := raise(t, w.sign(t, w.signer, day(0)), func(m *cms.Message) { must(t, m.AddCertificates(&x509.Certificate{Raw: test.raw})) })
			expect(t, check(t, w.verifier(day(0), known), der), test.want)
		})
	}
}
