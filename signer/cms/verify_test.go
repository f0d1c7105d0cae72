package cms_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"testing"

	"github.com/rubrica-firma/rubrica/internal/cmstest"
	"github.com/rubrica-firma/rubrica/signer/cms"
)

// TestSignerRefuses takes one property after the other away from a good
// signature, and reads it as others' are read.
func TestSignerRefuses(t *testing.T) {
	t.Parallel()
	authority := cmstest.NewAuthority(t)
	content := []byte("contenido")
	digest := cmstest.Digest(crypto.SHA256, content)
	must := func(a cms.Attribute, err error) cms.Attribute {
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	for _, kind := range cmstest.Kinds() {
		s, other := authority.Signer(t, kind), authority.Signer(t, "p256")
		contentType, messageDigest, ess := must(cms.ContentType()), must(cms.MessageDigest(digest)), must(cms.SigningCertificateV2(s.Certificate))
		twin := authority.Certify(t, other.Key.Public(), func(c *x509.Certificate) { c.SerialNumber = s.Certificate.SerialNumber })
		for name, tc := range map[string]struct {
			attributes []cms.Attribute
			cert       *x509.Certificate
			want       error
		}{
			"good":              {[]cms.Attribute{contentType, messageDigest, ess}, s.Certificate, nil},
			"no ESS":            {[]cms.Attribute{contentType, messageDigest}, s.Certificate, nil},
			"no content-type":   {[]cms.Attribute{messageDigest, ess}, s.Certificate, cms.ErrMalformed},
			"another type":      {[]cms.Attribute{must(cms.ContentTypeOf(asn1.ObjectIdentifier{1, 2, 3})), messageDigest, ess}, s.Certificate, cms.ErrInvalid},
			"no message-digest": {[]cms.Attribute{contentType, ess}, s.Certificate, cms.ErrMalformed},
			"digest of another": {[]cms.Attribute{contentType, must(cms.MessageDigest(make([]byte, 32))), ess}, s.Certificate, cms.ErrDigest},
			"ESS of another":    {[]cms.Attribute{contentType, messageDigest, must(cms.SigningCertificateV2(other.Certificate))}, s.Certificate, cms.ErrCertificate},
			"ESS malformed":     {[]cms.Attribute{contentType, messageDigest, {Type: ess.Type, Value: []byte{0x30, 0}}}, s.Certificate, cms.ErrMalformed},
			"another signer":    {[]cms.Attribute{contentType, messageDigest, ess}, other.Certificate, cms.ErrInvalid},
			"same name, ESS":    {[]cms.Attribute{contentType, messageDigest, ess}, twin, cms.ErrCertificate},
			"same name":         {[]cms.Attribute{contentType, messageDigest}, twin, cms.ErrInvalid},
		} {
			set, err := cms.EncodeAttributes(tc.attributes...)
			if err != nil {
				t.Fatal(err)
			}
			parts := s.SignAttributes(t, set, crypto.SHA256)
			der, err := cms.Assemble(parts)
			if err != nil {
				t.Fatal(err)
			}
			signer := open(t, der).Signers[0]
			if err := signer.Verify(tc.cert, digest); !errors.Is(err, tc.want) {
				t.Errorf("%s, %s: got %v, want %v", kind, name, err, tc.want)
			}
			if found := signer.Certificate([]*x509.Certificate{other.Certificate, s.Certificate}); found != s.Certificate {
				t.Errorf("%s, %s: found another certificate", kind, name)
			}
			parts.Signature[len(parts.Signature)-1] ^= 1
			if der, err = cms.Assemble(parts); err != nil {
				t.Fatal(err)
			}
			if err := open(t, der).Signers[0].Verify(s.Certificate, digest); err == nil {
				t.Errorf("%s, %s: a changed value verifies", kind, name)
			}
		}
		signer := open(t, s.Sign(t, content, crypto.SHA256)).Signers[0]
		if found := signer.Certificate([]*x509.Certificate{twin, s.Certificate}); found != s.Certificate {
			t.Errorf("%s: of two certificates of the name, the one that was not signed with", kind)
		}
		if found := signer.Certificate([]*x509.Certificate{other.Certificate}); found != nil {
			t.Errorf("%s: a certificate of another", kind)
		}
	}
}

// TestNoSchemeForAnother: a value is never read under another algorithm than the
// one it was made by.
func TestNoSchemeForAnother(t *testing.T) {
	t.Parallel()
	content := []byte("contenido")
	digest := cmstest.Digest(crypto.SHA256, content)
	rsa, pss := cmstest.New(t, "rsa"), cmstest.New(t, "pss")
	for name, tc := range map[string]struct {
		signer *cmstest.Signer
		said   cms.Scheme
	}{"PSS called PKCS #1": {pss, cms.PKCS1v15}, "PKCS #1 called PSS": {rsa, cms.PSS}} {
		parts := tc.signer.Parts(t, params(tc.signer, content, crypto.SHA256))
		parts.Scheme = tc.said
		der, err := cms.Assemble(parts)
		if err != nil {
			t.Fatal(err)
		}
		if err := cms.Verify(der, digest, tc.signer.Certificate); !errors.Is(err, cms.ErrValue) {
			t.Errorf("%s: Verify: got %v, want %v", name, err, cms.ErrValue)
		}
		if err := open(t, der).Signers[0].Verify(tc.signer.Certificate, digest); !errors.Is(err, cms.ErrValue) {
			t.Errorf("%s: got %v, want %v", name, err, cms.ErrValue)
		}
		if err := cms.CrossCheck(der, content); !errors.Is(err, cms.ErrInvalid) {
			t.Errorf("%s: CrossCheck: got %v, want %v", name, err, cms.ErrInvalid)
		}
	}
	// A digest algorithm that is not the one of the signature algorithm.
	p256 := cmstest.New(t, "p256")
	der := p256.Sign(t, content, crypto.SHA256)
	signer := bytes.LastIndex(der, []byte{0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1})
	der[signer+8] = 2
	if err := open(t, der).Signers[0].Verify(p256.Certificate, digest); !errors.Is(err, cms.ErrInvalid) {
		t.Errorf("two hashes: got %v, want %v", err, cms.ErrInvalid)
	}
	der[signer+8] = 0x7f
	m := open(t, der)
	if err := m.Signers[0].Verify(p256.Certificate, digest); !errors.Is(err, cms.ErrUnsupported) || m.Signers[0].Hash != 0 {
		t.Errorf("an unknown hash: got %v, want %v", err, cms.ErrUnsupported)
	}
	if got := written(t, m); !bytes.Equal(got, der) {
		t.Error("a message with an unknown hash is not written as it was")
	}
}

// TestEveryBitIsSeen flips bits of each octet of a message: what can still be opened,
// conforms and verifies has changed in a certificate that is not the signer's,
// or in the parameters of an algorithm, absent or NULL.
func TestEveryBitIsSeen(t *testing.T) {
	t.Parallel()
	s := cmstest.New(t, "p256")
	content := []byte("contenido")
	digest := cmstest.Digest(crypto.SHA256, content)
	der := s.Sign(t, content, crypto.SHA256)
	root := bytes.Index(der, s.Root.Raw)
	for i := range der {
		if i >= root && i < root+len(s.Root.Raw) {
			continue
		}
		for _, bit := range []int{i % 8, (i + 3) % 8} {
			mutant := bytes.Clone(der)
			mutant[i] ^= 1 << bit
			m, err := cms.Open(bytes.NewReader(mutant), int64(len(mutant)))
			if err != nil || m.Conforms() != nil || len(m.Signers) != 1 {
				continue
			}
			if c := m.Signers[0].Certificate(m.Certificates); c != nil && c.Equal(s.Certificate) &&
				m.ContentType.Equal(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}) && m.Signers[0].Verify(c, digest) == nil {
				t.Errorf("octet %d (%#x), bit %d: a changed signature verifies", i, der[i], bit)
			}
		}
	}
}
