package cms_test

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"testing"

	"github.com/rubrica-firma/rubrica/internal/cmstest"
	"github.com/rubrica-firma/rubrica/signer/cms"
)

// sealed signs a content of a type of its own.
func sealed(t *testing.T, s *cmstest.Signer, content cms.Content, bare bool) []byte {
	t.Helper()
	var attributes []cms.Attribute
	add := func(a cms.Attribute, err error) {
		if err != nil {
			t.Fatal(err)
		}
		attributes = append(attributes, a)
	}
	add(cms.ContentTypeOf(content.Type))
	add(cms.MessageDigest(cmstest.Digest(crypto.SHA256, content.DER)))
	add(cms.SigningCertificateV2(s.Certificate))
	set, err := cms.EncodeAttributes(attributes...)
	if err != nil {
		t.Fatal(err)
	}
	value, err := s.Key.Sign(rand.Reader, cmstest.Digest(crypto.SHA256, set), crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	der, err := cms.Assemble(cms.Parts{
		SignedAttributes: set, Signature: value, Certificate: s.Certificate, Chain: []*x509.Certificate{s.Root},
		Hash: crypto.SHA256, Content: &content, Bare: bare,
	})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// TestContent makes what a time-stamp is made of: attached content of another
// type, with certificates and without.
func TestContent(t *testing.T) {
	t.Parallel()
	s, other := cmstest.New(t, "p256"), cmstest.New(t, "p256")
	content := cms.Content{Type: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 4}, DER: []byte{0x30, 0x03, 0x02, 0x01, 0x01}}
	for name, bare := range map[string]bool{"with certificates": false, "bare": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			der := sealed(t, s, content, bare)
			if err := cms.VerifyContent(der, content, s.Certificate, s.Root); err != nil {
				t.Errorf("VerifyContent: %v", err)
			}
			if err := cms.VerifyContent(der, content, other.Certificate); !errors.Is(err, cms.ErrInvalid) {
				t.Errorf("another signer: got %v, want ErrInvalid", err)
			}
			changed := cms.Content{Type: content.Type, DER: []byte{0x30, 0x03, 0x02, 0x01, 0x02}}
			if err := cms.VerifyContent(der, changed, s.Certificate); !errors.Is(err, cms.ErrInvalid) {
				t.Errorf("another content: got %v, want ErrInvalid", err)
			}
			changed = cms.Content{Type: asn1.ObjectIdentifier{1, 2, 3}, DER: content.DER}
			if err := cms.VerifyContent(der, changed, s.Certificate); !errors.Is(err, cms.ErrMalformed) {
				t.Errorf("another type: got %v, want ErrMalformed", err)
			}
			// Nobody can pass a time-stamp for a signature of a document.
			if _, err := cms.Parse(der); !errors.Is(err, cms.ErrMalformed) {
				t.Errorf("Parse: got %v, want ErrMalformed", err)
			}
			if err := cms.Verify(der, cmstest.Digest(crypto.SHA256, content.DER), s.Certificate); !errors.Is(err, cms.ErrMalformed) {
				t.Errorf("Verify: got %v, want ErrMalformed", err)
			}
			if bare {
				return
			}
			if out, err := s.OpenSSL(t, der, nil); err != nil {
				t.Errorf("openssl: %v\n%s", err, out)
			}
		})
	}
	detached := s.Sign(t, content.DER, crypto.SHA256)
	plain := cms.Content{Type: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}, DER: content.DER}
	if err := cms.VerifyContent(detached, plain, s.Certificate); !errors.Is(err, cms.ErrInvalid) {
		t.Errorf("a detached signature: got %v, want ErrInvalid", err)
	}
}
