package signer_test

import (
	"bytes"
	"testing"

	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/signer/cms"
)

// A deployment may have its RSA keys sign with RSASSA-PSS: the token does, and
// the signature says so.
func TestPSS(t *testing.T) {
	t.Parallel()
	s := newSpine(t, signer.SealedKeeper)
	config := s.module.Config
	config.KeyAlgorithm, config.RSAScheme = "rsa-3072", cms.PSS
	s.module = signer.New(config)
	s.activate(ana, anaPhone)
	request, session := s.ready(ana, "uno", "dos")
	if err := s.sign(session); err != nil {
		t.Fatalf("signing: %v", err)
	}
	s.invariants() // which verifies it
	for _, d := range must[signer.Request](t)(s.public.Request(t.Context(), request)).Documents {
		m, err := cms.Open(bytes.NewReader(d.CMS), int64(len(d.CMS)))
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Signers[0].Scheme; got != cms.PSS {
			t.Errorf("document %d: signed with %s, want %s", d.Ordinal, got, cms.PSS)
		}
	}
}
