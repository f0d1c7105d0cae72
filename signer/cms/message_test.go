package cms_test

import (
	"bytes"
	"crypto"
	"encoding/asn1"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/internal/cmstest"
	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/cms"
)

func params(s *cmstest.Signer, content []byte, hash crypto.Hash) cades.Params {
	return cades.Params{
		ContentDigest: cmstest.Digest(hash, content), Hash: hash, Certificate: s.Certificate, SigningTime: time.Now(),
	}
}

// TestCoSignatures lets keys of all kinds sign one after the other, by different
// hashes, detached and attached.
func TestCoSignatures(t *testing.T) {
	t.Parallel()
	content := []byte("Acuerdo entre varios")
	authority := cmstest.NewAuthority(t)
	var signers []*cmstest.Signer
	for _, kind := range cmstest.Kinds() {
		signers = append(signers, authority.Signer(t, kind))
	}
	hashes := []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512, crypto.SHA256}
	detached := signers[0].Sign(t, content, hashes[0])
	var attached bytes.Buffer
	if err := open(t, detached).WriteAttached(&attached, bytes.NewReader(content), int64(len(content))); err != nil {
		t.Fatal(err)
	}
	for name, der := range map[string][]byte{"detached": detached, "attached": attached.Bytes()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			asked := content
			if name == "attached" {
				asked = nil
			}
			for i, s := range signers[1:] {
				m := open(t, der)
				if err := m.AddSigner(s.Parts(t, params(s, content, hashes[i+1]))); err != nil {
					t.Fatalf("adding signer %d: %v", i+1, err)
				}
				der = written(t, m)
				if m = open(t, der); len(m.Signers) != i+2 || len(m.Certificates) != i+3 {
					t.Errorf("got %d signers and %d certificates, want %d and %d", len(m.Signers), len(m.Certificates), i+2, i+3)
				}
				verified(t, m, content)
				if err := cms.CrossCheck(der, content); err != nil {
					t.Errorf("CrossCheck: %v", err)
				}
				b.accepts(der, asked, authority.Root, "-cades")
			}
			if err := cms.CrossCheck(der, []byte("otro")); !errors.Is(err, cms.ErrInvalid) {
				t.Errorf("CrossCheck of another content: got %v, want %v", err, cms.ErrInvalid)
			}
			if name == "detached" {
				var out bytes.Buffer
				if err := open(t, der).WriteAttached(&out, bytes.NewReader(content), int64(len(content))); err != nil {
					t.Fatal(err)
				}
				b.accepts(out.Bytes(), nil, authority.Root, "-cades")
				err := open(t, der).WriteAttached(&out, bytes.NewReader([]byte("otro")), 4)
				if !errors.Is(err, cms.ErrContentMismatch) {
					t.Errorf("another content: got %v, want %v", err, cms.ErrContentMismatch)
				}
			}
		})
	}
}

// TestAddSignerRefuses what was signed over something else.
func TestAddSignerRefuses(t *testing.T) {
	t.Parallel()
	a, b := cmstest.New(t, "p256"), cmstest.New(t, "p256")
	content := []byte("contenido")
	var attached bytes.Buffer
	if err := cms.Attach(&attached, a.Sign(t, content, crypto.SHA256), bytes.NewReader(content), int64(len(content))); err != nil {
		t.Fatal(err)
	}
	stamped := cms.Content{Type: asn1.ObjectIdentifier{1, 2, 3}, DER: []byte{5, 0}}
	good := b.Parts(t, params(b, content, crypto.SHA384))
	withContent := good
	withContent.Content = &stamped
	wrongScheme := good
	wrongScheme.Scheme = cms.PSS
	for name, tc := range map[string]struct {
		der   []byte
		parts cms.Parts
		want  error
	}{
		"good":                    {attached.Bytes(), good, nil},
		"same hash":               {attached.Bytes(), b.Parts(t, params(b, []byte("otro"), crypto.SHA256)), cms.ErrContentMismatch},
		"other hash, attached":    {attached.Bytes(), b.Parts(t, params(b, []byte("otro"), crypto.SHA384)), cms.ErrContentMismatch},
		"another type":            {sealed(t, a, stamped, false), good, cms.ErrContentMismatch},
		"content of its own":      {attached.Bytes(), withContent, cms.ErrMalformed},
		"PSS of an ECDSA key":     {attached.Bytes(), wrongScheme, cms.ErrUnsupported},
		"attributes that are not": {attached.Bytes(), cms.Parts{SignedAttributes: []byte{0x31, 0x80}, Certificate: b.Certificate, Hash: crypto.SHA256}, cms.ErrMalformed},
	} {
		m := open(t, tc.der)
		before := written(t, m)
		if err := m.AddSigner(tc.parts); !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v, want %v", name, err, tc.want)
		}
		if tc.want != nil && !bytes.Equal(written(t, m), before) {
			t.Errorf("%s: a refused signer has changed the message", name)
		}
	}
}

// counter countersigns.
func counter(t *testing.T, s *cmstest.Signer, over *cms.SignerInfo, attributes ...cms.Attribute) cms.Attribute {
	t.Helper()
	add := func(a cms.Attribute, err error) {
		if err != nil {
			t.Fatal(err)
		}
		attributes = append(attributes, a)
	}
	add(cms.MessageDigest(cmstest.Digest(crypto.SHA256, over.Signature)))
	add(cms.SigningCertificateV2(s.Certificate))
	set, err := cms.EncodeAttributes(attributes...)
	if err != nil {
		t.Fatal(err)
	}
	a, err := cms.CounterSignature(s.SignAttributes(t, set, crypto.SHA256))
	if err != nil {
		t.Fatalf("countersigning: %v", err)
	}
	return a
}

func TestCounterSignature(t *testing.T) {
	t.Parallel()
	authority := cmstest.NewAuthority(t)
	s, notary := authority.Signer(t, "p256"), authority.Signer(t, "pss")
	content := []byte("contenido")
	m := open(t, s.Sign(t, content, crypto.SHA256))
	if err := m.AddUnsigned(0, counter(t, notary, m.Signers[0])); err != nil {
		t.Fatal(err)
	}
	if err := m.AddUnsigned(0, counter(t, s, m.Signers[0])); err != nil {
		t.Fatal(err)
	}
	if err := m.AddCertificates(notary.Certificate, authority.Root); err != nil {
		t.Fatal(err)
	}
	der := written(t, m)
	newBench(t).accepts(der, content, authority.Root, "-cades")
	if err := cms.CrossCheck(der, content); err != nil {
		t.Errorf("CrossCheck: %v", err)
	}
	m = open(t, der)
	verified(t, m, content)
	counters, err := m.Signers[0].CounterSignatures()
	if err != nil || len(counters) != 2 {
		t.Fatalf("got %d countersignatures (%v), want 2", len(counters), err)
	}
	for _, c := range counters {
		certificate := c.Certificate(m.Certificates)
		if err := c.Verify(certificate, c.HashOf(m.Signers[0].Signature)); err != nil {
			t.Errorf("countersignature: %v", err)
		}
		if err := c.Verify(certificate, c.HashOf(content)); !errors.Is(err, cms.ErrDigest) {
			t.Errorf("over something else: got %v, want %v", err, cms.ErrDigest)
		}
	}
	parts := notary.Parts(t, params(notary, content, crypto.SHA256))
	if _, err := cms.CounterSignature(parts); !errors.Is(err, cms.ErrMalformed) {
		t.Errorf("a countersignature with content-type: got %v, want %v", err, cms.ErrMalformed)
	}
}

// TestEvidence adds what B-T and B-LT add: a time-stamp, certificates, and
// revocation data, of which nothing stands there twice.
func TestEvidence(t *testing.T) {
	t.Parallel()
	authority := cmstest.NewAuthority(t)
	s, stamps := authority.Signer(t, "p256"), authority.TimeStamps(t, nil)
	content := []byte("contenido")
	original := s.Sign(t, content, crypto.SHA256)
	m := open(t, original)
	idStamp := asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 14}
	token := stamps.Stamp(t, crypto.SHA256, cmstest.Digest(crypto.SHA256, m.Signers[0].Signature))
	answer, list := authority.OCSP(t, s.Certificate, nil), authority.CRL(t, cmstest.Revoked(time.Now(), stamps.Certificate))
	fields := m.Signers[0].ImprintFields()
	for range 2 {
		for _, err := range []error{
			m.AddUnsigned(0, cms.Attribute{Type: idStamp, Value: token}),
			m.AddCertificates(stamps.Certificate, authority.Responder.Certificate, authority.Root),
			m.AddRevocations([][]byte{list}, [][]byte{answer}),
			m.AddDigestAlgorithm(crypto.SHA512),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	der := written(t, m)
	newBench(t).accepts(der, content, authority.Root, "-cades")
	if err := cms.CrossCheck(der, content); err != nil {
		t.Errorf("CrossCheck: %v", err)
	}
	if err := cms.CrossCheck(der, []byte("otro")); !errors.Is(err, cms.ErrInvalid) {
		t.Errorf("CrossCheck of another content: got %v, want %v", err, cms.ErrInvalid)
	}
	m = open(t, der)
	verified(t, m, content)
	if diff := cmp.Diff([][]byte{token}, m.Signers[0].UnsignedValues(idStamp)); diff != "" {
		t.Errorf("time-stamps: %s", diff)
	}
	if diff := cmp.Diff([][]byte{list}, m.CRLs()); diff != "" {
		t.Errorf("CRLs: %s", diff)
	}
	if diff := cmp.Diff([][]byte{answer}, m.OCSPs()); diff != "" {
		t.Errorf("OCSP: %s", diff)
	}
	if got := len(m.Certificates); got != 4 {
		t.Errorf("got %d certificates, want 4", got)
	}
	if diff := cmp.Diff(fields, m.Signers[0].ImprintFields()); diff != "" {
		t.Errorf("fields of the signer: %s", diff)
	}
	if err := m.Conforms(); err != nil {
		t.Errorf("Conforms: %v", err)
	}
	stamp := open(t, token)
	verified(t, stamp, stampInfo(t, stamp))

	if err := m.RemoveUnsigned(0, idStamp); err != nil {
		t.Fatal(err)
	}
	if len(m.Signers[0].Unsigned) != 0 || bytes.Contains(written(t, m), token) {
		t.Error("a removed attribute is still there")
	}
	for name, err := range map[string]error{
		"no signer":        m.AddUnsigned(1, cms.Attribute{Type: idStamp, Value: token}),
		"two values":       m.AddUnsigned(0, cms.Attribute{Type: idStamp, Value: append(token, token...)}),
		"no value":         m.AddUnsigned(0, cms.Attribute{Type: idStamp}),
		"no certificate":   m.AddCertificates(nil),
		"no list":          m.AddRevocations([][]byte{{1, 2}}, nil),
		"no answer":        m.AddRevocations(nil, [][]byte{{0x30, 0x80, 0, 0}}),
		"answer with more": m.AddRevocations(nil, [][]byte{append(answer, 0)}),
	} {
		if !errors.Is(err, cms.ErrMalformed) {
			t.Errorf("%s: got %v, want %v", name, err, cms.ErrMalformed)
		}
	}
}

func stampInfo(t *testing.T, m *cms.Message) []byte {
	t.Helper()
	var info bytes.Buffer
	if _, err := info.ReadFrom(m.Content()); err != nil {
		t.Fatal(err)
	}
	return info.Bytes()
}
