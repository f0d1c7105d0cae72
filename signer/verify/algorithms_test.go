package verify_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"testing"

	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/verify"
)

// TestAlgorithmsEnd is a key of 2048 bits, on which one may rely until the end of
// 2025 (TS 119 312 V2.1.1, table D.2): what proves that the signature is older,
// keeps it valid (EN 319 102-1, 5.5.4 and 5.6.2.4).
func TestAlgorithmsEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	old := func(c *x509.Certificate) { c.NotBefore = day(-200) }
	signer := certifyKey(t, key, "RSA-2048", &w.issuing, old)
	before, at := day(-100), day(0)
	for _, c := range []*entity{&w.root, &w.issuing} {
		c.Certificate = certifyKey(t, c.key, c.Subject.CommonName, c.issuer, func(n *x509.Certificate) {
			old(n)
			n.IsCA, n.BasicConstraintsValid, n.KeyUsage, n.NotAfter, n.SubjectKeyId = true, true, c.KeyUsage, c.NotAfter, c.SubjectKeyId
		}).Certificate
	}
	w.unit = certify(t, "Stamps", &w.issuing, func(c *x509.Certificate) {
		stamping(day(3000))(c)
		old(c)
	})
	bb := w.sign(t, signer, before)
	known := w.evidence(t, at)
	known.OCSPs = append(known.OCSPs, w.answer(t, signer, at, good))
	expect(t, check(t, w.verifier(at, known), bb), outcome{verify.Indeterminate, verify.CryptoConstraintsNoPOE, cades.BB})
	expect(t, check(t, w.verifier(at, known), w.toT(t, bb, before)), outcome{verify.Passed, "", cades.BT})
	expect(t, check(t, w.verifier(at, known), w.toT(t, bb, day(-1))), outcome{verify.Indeterminate, verify.CryptoConstraintsNoPOE, cades.BT})
	own := w.verifier(at, known)
	own.Algorithms = verify.Algorithms{Source: "own", Digests: []verify.DigestRule{{Name: crypto.SHA256.String()}}, Keys: []verify.KeyRule{{Kind: "RSA", Bits: 2048}, {Kind: "ECDSA", Bits: 256}}}
	expect(t, check(t, own, bb), outcome{verify.Passed, "", cades.BB})
}

// TestAlgorithmTable: what the norm lists is accepted from the size that it names
// until the day that it names, and nothing else at all.
func TestAlgorithmTable(t *testing.T) {
	t.Parallel()
	table := verify.TS119312()
	for _, h := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512, crypto.SHA3_256} {
		if why := table.Digest(h, day(10000)); why != "" {
			t.Errorf("got %q, want no end of %v", why, h)
		}
	}
	for h, until := range map[crypto.Hash]int{crypto.SHA1: 2012, crypto.SHA224: 2026} {
		end := day0.AddDate(until-2026, -2, -10) // about the first of January
		if h == crypto.SHA1 {
			end = end.AddDate(0, 7, 0)
		}
		if table.Digest(h, end.AddDate(0, 0, -20)) != "" || table.Digest(h, end.AddDate(0, 0, 20)) == "" {
			t.Errorf("%v does not end about %v", h, end)
		}
	}
	if table.Digest(crypto.MD5, day0.AddDate(-40, 0, 0)) == "" {
		t.Error("MD5 is relied on")
	}
}
