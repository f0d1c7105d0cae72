package verify_test

import (
	"crypto"
	"crypto/x509"
	"testing"
	"time"

	responder "github.com/rubrica-firma/rubrica/ca/ocsp"
	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/cms"
	"github.com/rubrica-firma/rubrica/signer/verify"
)

// outcome is what a test wants.
type outcome struct {
	indication verify.Indication
	sub        verify.SubIndication
	level      cades.Level
}

func expect(tb testing.TB, r *verify.Report, want outcome) {
	tb.Helper()
	if len(r.Signatures) == 0 {
		tb.Fatalf("got no signature, want %v", want)
	}
	s := r.Signatures[0]
	if got := (outcome{s.Indication, s.SubIndication, s.Level}); got != want {
		tb.Errorf("got %v (%s), want %v", got, s.Reason, want)
		for _, t := range s.TimeStamps {
			tb.Logf("%s: %v", t.Kind, t.Conclusion)
		}
		for _, t := range r.TimeStamps {
			tb.Logf("%s: %v", t.Kind, t.Conclusion)
		}
	}
	if want.indication == verify.Passed && r.Indication != verify.Passed {
		tb.Errorf("got %v for all, want TOTAL-PASSED", r.Conclusion)
	}
}

// TestLevels says what each level is worth, with nothing known but the root, as
// time goes by: EN 319 102-1, 5.3, 5.5 and 5.6.
func TestLevels(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bb := w.sign(t, w.signer, day(0))
	bt := w.toT(t, bb, day(0))
	blt := w.toLT(t, bt, w.evidence(t, day(0).Add(time.Minute)))
	blta := w.toLTA(t, blt, w.unit, day(1))
	fresh := w.evidence
	lists := func(at time.Time) cades.Evidence { return cades.Evidence{CRLs: fresh(t, at).CRLs} }
	for _, test := range []struct {
		name      string
		signature []byte
		at        time.Time
		known     []cades.Evidence
		want      outcome
	}{
		{"B-B", bb, day(0), []cades.Evidence{fresh(t, day(0))}, outcome{verify.Passed, "", cades.BB}},
		{"B-B without evidence", bb, day(0), nil, outcome{verify.Indeterminate, verify.TryLater, cades.BB}},
		{"B-B, certificate expired", bb, day(400), []cades.Evidence{lists(day(400))}, outcome{verify.Indeterminate, verify.OutOfBoundsNoPOE, cades.BB}},
		{"B-B, expired and the responder remembers", bb, day(400), []cades.Evidence{fresh(t, day(400))}, outcome{verify.Indeterminate, verify.OutOfBoundsNotRevoked, cades.BB}},
		{"B-B, expired but known not to be revoked", bb, day(366), []cades.Evidence{{CRLs: [][]byte{w.crl(t, w.root, day(364)), w.crl(t, w.issuing, day(364))}}}, outcome{verify.Indeterminate, verify.OutOfBoundsNotRevoked, cades.BB}},
		{"B-T", bt, day(0).Add(time.Hour), []cades.Evidence{fresh(t, day(0).Add(time.Hour))}, outcome{verify.Passed, "", cades.BT}},
		{"B-T, certificate expired", bt, day(400), []cades.Evidence{fresh(t, day(0).Add(time.Hour)), lists(day(400))}, outcome{verify.Indeterminate, verify.RevocationOutOfBoundsNoPOE, cades.BT}},
		{"B-LT", blt, day(1), nil, outcome{verify.Passed, "", cades.BLT}},
		{"B-LT, evidence no longer fresh", blt, day(30), []cades.Evidence{fresh(t, day(30))}, outcome{verify.Passed, "", cades.BLT}},
		{"B-LT, responder expired, its successor remembers", blt, day(400), []cades.Evidence{fresh(t, day(400))}, outcome{verify.Passed, "", cades.BT}},
		{"B-LT, responder expired", blt, day(400), []cades.Evidence{lists(day(400))}, outcome{verify.Indeterminate, verify.RevocationOutOfBoundsNoPOE, cades.BT}},
		{"B-LTA", blta, day(2), nil, outcome{verify.Passed, "", cades.BLTA}},
		{"B-LTA, signer and responder expired", blta, day(400), []cades.Evidence{lists(day(400))}, outcome{verify.Passed, "", cades.BLTA}},
		{"B-LTA, TSA not known about any more", blta, day(400), nil, outcome{verify.Indeterminate, verify.TryLater, cades.BB}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			expect(t, check(t, w.verifier(test.at, test.known...), test.signature), test.want)
		})
	}
}

// TestRenewed is a signature whose first archive time-stamp's unit has expired,
// too: the second one was made before (EN 319 102-1, 5.6.3.4).
func TestRenewed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	short := certify(t, "Stamps of one year", &w.issuing, stamping(day(300)))
	blta := w.toLTA(t, w.toLT(t, w.toT(t, w.sign(t, w.signer, day(0)), day(0)), w.evidence(t, day(0))), short, day(1))
	at := day(400)
	lists := cades.Evidence{CRLs: w.evidence(t, at).CRLs}
	expect(t, check(t, w.verifier(at, lists), blta), outcome{verify.Indeterminate, verify.RevocationOutOfBoundsNoPOE, cades.BT})
	renewed := w.toLTA(t, w.toLT(t, blta, w.evidence(t, day(250))), w.unit, day(250))
	expect(t, check(t, w.verifier(at, lists), renewed), outcome{verify.Passed, "", cades.BLTA})
}

// TestRevoked says what a revocation does to a signature, by its time and the
// time-stamp's.
func TestRevoked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bb := w.sign(t, w.signer, day(0))
	bt := w.toT(t, bb, day(0))
	at := day(5)
	base := cades.Evidence{CRLs: [][]byte{w.crl(t, w.root, at), w.crl(t, w.issuing, at)}}
	unitRevoked := cades.Evidence{CRLs: [][]byte{w.crl(t, w.root, at), w.crl(t, w.issuing, at, entry(w.unit, day(3), 1))}, OCSPs: [][]byte{w.answer(t, w.signer, at, good)}}
	said := func(status responder.Status) []cades.Evidence {
		return []cades.Evidence{{CRLs: base.CRLs[:1], OCSPs: [][]byte{w.answer(t, w.signer, at, status), w.answer(t, w.unit, at, good)}}}
	}
	for _, test := range []struct {
		name      string
		signature []byte
		known     []cades.Evidence
		want      outcome
	}{
		{"never", bt, said(good), outcome{verify.Passed, "", cades.BT}},
		{"without a time-stamp", bb, said(revokedAt(day(3), 1)), outcome{verify.Indeterminate, verify.RevokedNoPOE, cades.BB}},
		{"after the time-stamp", bt, said(revokedAt(day(3), 1)), outcome{verify.Passed, "", cades.BT}},
		{"before the time-stamp", bt, said(revokedAt(day(-1), 4)), outcome{verify.Indeterminate, verify.RevokedNoPOE, cades.BT}},
		{"suspended before", bt, said(revokedAt(day(-1), 6)), outcome{verify.Indeterminate, verify.TryLater, cades.BT}},
		{"suspended after", bt, said(revokedAt(day(1), 6)), outcome{verify.Passed, "", cades.BT}},
		{"by the list", bb, []cades.Evidence{{CRLs: [][]byte{base.CRLs[0], w.crl(t, w.issuing, at, entry(w.signer, day(2), 1))}}}, outcome{verify.Indeterminate, verify.RevokedNoPOE, cades.BB}},
		{"one says so, the other does not", bb, []cades.Evidence{{CRLs: base.CRLs, OCSPs: [][]byte{w.answer(t, w.signer, day(4), revokedAt(day(3), 1))}}}, outcome{verify.Indeterminate, verify.RevokedNoPOE, cades.BB}},
		{"the issuing authority", bb, []cades.Evidence{{CRLs: [][]byte{w.crl(t, w.root, at, entry(w.issuing, day(2), 2))}, OCSPs: [][]byte{w.answer(t, w.signer, at, good)}}}, outcome{verify.Indeterminate, verify.RevokedCANoPOE, cades.BB}},
		{"the time-stamping unit", bt, []cades.Evidence{unitRevoked}, outcome{verify.Passed, "", cades.BB}},
		{"unknown to the responder", bb, []cades.Evidence{{CRLs: base.CRLs[:1], OCSPs: [][]byte{w.answer(t, w.signer, at, responder.Status{})}}}, outcome{verify.Indeterminate, verify.TryLater, cades.BB}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			expect(t, check(t, w.verifier(at, test.known...), test.signature), test.want)
		})
	}
}

func entry(c entity, at time.Time, reason int) x509.RevocationListEntry {
	return x509.RevocationListEntry{SerialNumber: c.SerialNumber, RevocationTime: at, ReasonCode: reason}
}

// TestAuthorityRevokedLater is an issuing authority that was revoked after the
// signature: what it says of the signer counts only if it is proved to be older
// (EN 319 102-1, 5.6.2.2).
func TestAuthorityRevokedLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	root := certify(t, "Root of stamps", nil, func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage, c.NotAfter = true, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign, day(3000)
	})
	unit := certify(t, "Stamps of another", &root, stamping(day(3000)))
	signature := raise(t, w.sign(t, w.signer, day(0)), func(m *cms.Message) {
		must(t, cades.AddSignatureTimeStamp(m, 0, w.token(t, unit, day(0), cades.SignatureImprint(m.Signers[0], crypto.SHA256))))
	})
	blt := w.toLT(t, signature, cades.Evidence{
		Certificates: []*x509.Certificate{w.issuing.Certificate}, OCSPs: [][]byte{w.answer(t, w.signer, day(0), good)}, CRLs: [][]byte{w.crl(t, w.root, day(0)), w.crl(t, root, day(0))},
	})
	blta := w.toLTA(t, blt, unit, day(1))
	at := day(20)
	known := cades.Evidence{CRLs: [][]byte{w.crl(t, w.root, at, entry(w.issuing, day(10), 2)), w.crl(t, root, at)}, OCSPs: [][]byte{w.answer(t, w.signer, at, good)}}
	v := w.verifier(at, known)
	v.Trust = append(v.Trust, root.Certificate)
	expect(t, check(t, v, signature), outcome{verify.Indeterminate, verify.RevokedCANoPOE, cades.BT})
	expect(t, check(t, v, blta), outcome{verify.Passed, "", cades.BLTA})
}

// TestContentTimeStamp: what was signed after it had been stamped was signed
// after the stamp, and then a revocation or an end before it is final.
func TestOfAnotherContent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	known := w.evidence(t, day(0))
	signature := w.toT(t, w.sign(t, w.signer, day(0)), day(0))
	expect(t, checkOf(t, w.verifier(day(0), known), signature, []byte("otra")), outcome{verify.Failed, verify.HashFailure, ""})
	expect(t, checkOf(t, w.verifier(day(0), known), signature, nil), outcome{verify.Indeterminate, verify.SignedDataNotFound, cades.BT})
}
