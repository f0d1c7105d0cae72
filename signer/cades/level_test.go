package cades_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/cms"
)

func levels() []cades.Level { return []cades.Level{cades.BB, cades.BT, cades.BLT, cades.BLTA} }

func TestLevel(t *testing.T) {
	t.Parallel()
	all := slices.Concat([]cades.Level{""}, levels())
	for i, l := range all {
		if l.Known() != (i > 0) {
			t.Errorf("%q: got known = %v", l, l.Known())
		}
		for j, other := range all {
			if l.AtLeast(other) != (i >= j) {
				t.Errorf("%q at least %q: got %v", l, other, l.AtLeast(other))
			}
		}
	}
	if cades.Level("B-LTV").Known() {
		t.Error("got a level that is none")
	}
}

// TestLevelOf takes one thing at a time away from a B-LTA signature.
func TestLevelOf(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	citizen := p.citizen(t, "p256")
	content := []byte("Solicitud de ayuda al alquiler\r\n")
	full := p.evidence(t, citizen)
	without := func(change func(e *cades.Evidence)) cades.Evidence {
		e := cades.Evidence{
			Certificates: slices.Clone(full.Certificates), OCSPs: slices.Clone(full.OCSPs), CRLs: slices.Clone(full.CRLs),
		}
		change(&e)
		return e
	}
	for name, tc := range map[string]struct {
		stamp, archive bool
		evidence       cades.Evidence
		late           cades.Evidence // after the archive time-stamp
		anchors        []*x509.Certificate
		want           cades.Level
	}{
		"nothing":                       {want: cades.BB},
		"time-stamp":                    {stamp: true, want: cades.BT},
		"evidence":                      {stamp: true, evidence: full, want: cades.BLT},
		"archive":                       {stamp: true, evidence: full, archive: true, want: cades.BLTA},
		"evidence, no time-stamp":       {evidence: full, want: cades.BB},
		"archive, no time-stamp":        {evidence: full, archive: true, want: cades.BB},
		"archive, no evidence":          {stamp: true, archive: true, want: cades.BT},
		"evidence after the archive":    {stamp: true, archive: true, late: full, want: cades.BLT},
		"no root":                       {stamp: true, evidence: without(func(e *cades.Evidence) { e.Certificates = e.Certificates[:1] }), archive: true, want: cades.BT},
		"no root, but an anchor":        {stamp: true, evidence: without(func(e *cades.Evidence) { e.Certificates = e.Certificates[:1] }), archive: true, anchors: []*x509.Certificate{p.root.Certificate}, want: cades.BLTA},
		"no OCSP response":              {stamp: true, evidence: without(func(e *cades.Evidence) { e.OCSPs = nil }), want: cades.BT},
		"OCSP response about another":   {stamp: true, evidence: without(func(e *cades.Evidence) { e.OCSPs = [][]byte{p.answer(t, p.tsa)} }), want: cades.BT},
		"CRL instead of OCSP":           {stamp: true, evidence: without(func(e *cades.Evidence) { e.OCSPs, e.CRLs[1] = nil, p.list(t, p.issuing, "") }), want: cades.BLT},
		"no CRL of the root":            {stamp: true, evidence: without(func(e *cades.Evidence) { e.CRLs = e.CRLs[1:] }), want: cades.BT},
		"no CRL of the root, an anchor": {stamp: true, evidence: without(func(e *cades.Evidence) { e.CRLs = e.CRLs[1:] }), anchors: []*x509.Certificate{p.issuing.Certificate}, want: cades.BLT},
		"nothing about the authority":   {stamp: true, evidence: without(func(e *cades.Evidence) { e.CRLs = e.CRLs[:1] }), want: cades.BT},
		"another partition":             {stamp: true, evidence: without(func(e *cades.Evidence) { e.CRLs[1] = p.list(t, p.issuing, point+"x") }), want: cades.BT},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := p.sign(t, citizen, content, suite{hash: crypto.SHA256}, false)
			if tc.stamp {
				p.lift(t, m, 0, citizen, content, crypto.SHA256, cades.BT)
			}
			must(t, cades.AddEvidence(m, 0, tc.evidence))
			if tc.archive {
				p.lift(t, m, 0, citizen, content, crypto.SHA256, cades.BLTA)
			}
			must(t, cades.AddEvidence(m, 0, tc.late))
			m = open(t, encode(t, m))
			if got := cades.LevelOf(m, 0, tc.anchors...); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
			if got := cades.LevelOf(m, 1); got != "" {
				t.Errorf("a signer that is not there: got %q", got)
			}
		})
	}
}

// TestForgedArchive: an archive time-stamp of another signature does not lift this
// one, even with an index that fits.
func TestForgedArchive(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	citizen := p.citizen(t, "p256")
	content := []byte("contenido")
	archive := asn1.ObjectIdentifier{0, 4, 0, 1733, 2, 4}
	m := lta(t, p, citizen, content)
	must(t, m.RemoveUnsigned(0, archive))
	if got := cades.LevelOf(m, 0); got != cades.BLT {
		t.Fatalf("got %q, want %q", got, cades.BLT)
	}
	_, index, err := cades.ArchiveImprint(m, 0, bytes.NewReader(content), crypto.SHA256)
	must(t, err)
	token := open(t, p.stamp(t, crypto.SHA256, make([]byte, 32)))
	must(t, token.AddUnsigned(0, cms.Attribute{Type: asn1.ObjectIdentifier{0, 4, 0, 19122, 1, 5}, Value: index}))
	must(t, m.AddUnsigned(0, cms.Attribute{Type: archive, Value: encode(t, token)}))
	if got := cades.LevelOf(m, 0); got != cades.BLT {
		t.Errorf("got %q, want %q", got, cades.BLT)
	}
}

// TestManyTimeStamps: their number is bounded.
func TestManyTimeStamps(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	citizen := p.citizen(t, "p256")
	m := p.sign(t, citizen, []byte("contenido"), suite{hash: crypto.SHA256}, false)
	for i := range 300 {
		must(t, m.AddUnsigned(0, cms.Attribute{
			Type: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 14}, Value: tlv(0x30, []byte{0x04, 2, byte(i >> 8), byte(i)}),
		}))
	}
	if _, err := cades.TimeStamps(m, 0); !errors.Is(err, cades.ErrTimeStamp) {
		t.Errorf("got %v, want %v", err, cades.ErrTimeStamp)
	}
	if got := cades.LevelOf(m, 0); got != cades.BB {
		t.Errorf("got %q, want %q", got, cades.BB)
	}
}

// TestRefuses: what does not belong into a signature does not get in.
func TestRefuses(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	citizen := p.citizen(t, "p256")
	content := []byte("contenido")
	prepare := func() *cms.Message { return p.sign(t, citizen, content, suite{hash: crypto.SHA256}, false) }
	other := prepare()
	archive := func(m *cms.Message, hash crypto.Hash) (token, index []byte) {
		imprint, index, err := cades.ArchiveImprint(m, 0, bytes.NewReader(content), hash)
		must(t, err)
		return p.stamp(t, hash, imprint), index
	}
	old := cms.Attribute{Type: []int{1, 2, 840, 113549, 1, 9, 16, 2, 48}, Value: []byte{5, 0}}
	for name, tc := range map[string]struct {
		do   func(m *cms.Message) error
		want error
	}{
		"time-stamp of another signature": {func(m *cms.Message) error {
			return cades.AddSignatureTimeStamp(m, 0, p.stamp(t, crypto.SHA256, cades.SignatureImprint(other.Signers[0], crypto.SHA256)))
		}, cades.ErrTimeStamp},
		"no token": {func(m *cms.Message) error { return cades.AddSignatureTimeStamp(m, 0, encode(t, other)) }, cades.ErrTimeStamp},
		"garbage":  {func(m *cms.Message) error { return cades.AddSignatureTimeStamp(m, 0, []byte{0x30, 0}) }, cades.ErrTimeStamp},
		"too long": {func(m *cms.Message) error { return cades.AddSignatureTimeStamp(m, 0, make([]byte, 2<<20)) }, cades.ErrTimeStamp},
		"no such signer": {func(m *cms.Message) error {
			return cades.AddSignatureTimeStamp(m, 1, p.stamp(t, crypto.SHA256, cades.SignatureImprint(m.Signers[0], crypto.SHA256)))
		}, cades.ErrNoSigner},
		"another content": {func(m *cms.Message) error {
			_, _, err := cades.ArchiveImprint(m, 0, bytes.NewReader([]byte("otro")), crypto.SHA512)
			return err
		}, cades.ErrContent},
		"no content": {func(m *cms.Message) error {
			_, _, err := cades.ArchiveImprint(m, 0, nil, crypto.SHA256)
			return err
		}, cades.ErrContent},
		"unreadable content": {func(m *cms.Message) error {
			_, _, err := cades.ArchiveImprint(m, 0, io.MultiReader(bytes.NewReader(content), failing{}), crypto.SHA256)
			return err
		}, errBroken},
		"SHA-1 for an archive": {func(m *cms.Message) error {
			_, _, err := cades.ArchiveImprint(m, 0, bytes.NewReader(content), crypto.SHA1)
			return err
		}, cades.ErrUnsupported},
		"archive of another signature": {func(m *cms.Message) error {
			token, _ := archive(other, crypto.SHA256)
			_, index := archive(m, crypto.SHA256)
			return cades.AddArchiveTimeStamp(m, 0, token, index)
		}, cades.ErrTimeStamp},
		"changed in between": {func(m *cms.Message) error {
			token, index := archive(m, crypto.SHA256)
			must(t, cades.AddEvidence(m, 0, p.evidence(t, citizen)))
			return cades.AddArchiveTimeStamp(m, 0, token, index)
		}, cades.ErrChanged},
		"index of another hash": {func(m *cms.Message) error {
			token, _ := archive(m, crypto.SHA256)
			_, index := archive(m, crypto.SHA512)
			return cades.AddArchiveTimeStamp(m, 0, token, index)
		}, cades.ErrChanged},
		"evidence under an old archive": {func(m *cms.Message) error {
			must(t, m.AddUnsigned(0, old))
			return cades.AddEvidence(m, 0, p.evidence(t, citizen))
		}, cades.ErrOldArchive},
		"time-stamp after an old archive": {func(m *cms.Message) error {
			must(t, m.AddUnsigned(0, old))
			return cades.AddSignatureTimeStamp(m, 0, p.stamp(t, crypto.SHA256, cades.SignatureImprint(m.Signers[0], crypto.SHA256)))
		}, cades.ErrOldArchive},
		"OCSP response tryLater": {func(m *cms.Message) error {
			return cades.AddEvidence(m, 0, cades.Evidence{OCSPs: [][]byte{{0x30, 3, 0x0a, 1, 3}}})
		}, cades.ErrEvidence},
		"a CRL that is none": {func(m *cms.Message) error {
			return cades.AddEvidence(m, 0, cades.Evidence{CRLs: [][]byte{citizen.Raw}})
		}, cades.ErrEvidence},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := prepare()
			before := cades.LevelOf(m, 0)
			if err := tc.do(m); !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
			if got := cades.LevelOf(m, 0); got != before {
				t.Errorf("got level %q, want %q", got, before)
			}
		})
	}
}

var errBroken = errors.New("broken")

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errBroken }
