package cms_test

import (
	"bytes"
	"crypto"
	"errors"
	"testing"

	"github.com/rubrica-firma/rubrica/internal/cmstest"
	"github.com/rubrica-firma/rubrica/signer/cms"
)

// The second opinion agrees over digest and content alike, and on no other.
func TestCrossCheck(t *testing.T) {
	t.Parallel()
	content := []byte("contenido")
	for _, kind := range cmstest.Kinds() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			der := cmstest.New(t, kind).Sign(t, content, crypto.SHA256)
			digest := cmstest.Digest(crypto.SHA256, content)
			if err := cms.CrossCheck(der, content); err != nil {
				t.Errorf("over the content: %v", err)
			}
			if err := cms.CrossCheckDigest(der, digest); err != nil {
				t.Errorf("over the digest: %v", err)
			}
			if err := cms.CrossCheck(der, []byte("otro")); !errors.Is(err, cms.ErrInvalid) {
				t.Errorf("another content: got %v, want %v", err, cms.ErrInvalid)
			}
			if err := cms.CrossCheckDigest(der, cmstest.Digest(crypto.SHA256, []byte("otro"))); !errors.Is(err, cms.ErrInvalid) {
				t.Errorf("another digest: got %v, want %v", err, cms.ErrInvalid)
			}
			parsed, err := cms.Parse(der)
			if err != nil {
				t.Fatal(err)
			}
			forged := bytes.Clone(der)
			at := bytes.LastIndex(forged, parsed.Signature)
			forged[at+len(parsed.Signature)-1] ^= 1
			if err := cms.CrossCheckDigest(forged, digest); !errors.Is(err, cms.ErrInvalid) {
				t.Errorf("another value: got %v, want %v", err, cms.ErrInvalid)
			}
		})
	}
}
