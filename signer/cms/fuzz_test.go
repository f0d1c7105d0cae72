package cms_test

import (
	"bytes"
	"crypto"
	"encoding/asn1"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/rubrica-firma/rubrica/internal/cmstest"
	"github.com/rubrica-firma/rubrica/signer/cms"
)

// definite is whether an element and all inside it have lengths as DER has them,
// and no string in pieces: what encoding/asn1 reads.
func definite(der []byte) bool {
	var e asn1.RawValue
	rest, err := asn1.Unmarshal(der, &e)
	if err != nil || len(rest) > 0 {
		return false
	}
	if !e.IsCompound {
		return true
	}
	if e.Class == asn1.ClassUniversal && e.Tag == asn1.TagOctetString {
		return false
	}
	for inner := e.Bytes; len(inner) > 0; {
		var child asn1.RawValue
		if inner, err = asn1.Unmarshal(inner, &child); err != nil || !definite(child.FullBytes) {
			return false
		}
	}
	return true
}

// FuzzOpen: whatever is opened can be used; DER is written as it was, and other
// BER as DER that says the same.
func FuzzOpen(f *testing.F) {
	content := []byte("contenido")
	s := cmstest.New(f, "p256")
	der := rich(f, content)
	f.Add(s.Sign(f, content, crypto.SHA256))
	f.Add(der)
	f.Add(loosen(f, der, rand.New(rand.NewPCG(1, 2)).IntN))
	f.Add([]byte{0x30, 0x80})
	f.Fuzz(func(t *testing.T, der []byte) {
		m, err := cms.Open(bytes.NewReader(der), int64(len(der)))
		if err != nil {
			if !errors.Is(err, cms.ErrMalformed) && !errors.Is(err, cms.ErrUnsupported) {
				t.Errorf("untyped error %v", err)
			}
			return
		}
		var first bytes.Buffer
		if err := m.Write(&first); err != nil {
			t.Fatalf("writing: %v", err)
		}
		if definite(der) && !bytes.Equal(first.Bytes(), der) {
			t.Errorf("got  %x\nwant %x", first.Bytes(), der)
		}
		again := open(t, first.Bytes())
		if !bytes.Equal(written(t, again), first.Bytes()) {
			t.Error("writing again gives other octets")
		}
		if len(again.Signers) != len(m.Signers) || again.ContentSize() != m.ContentSize() || again.Attached() != m.Attached() {
			t.Error("what was written is another message")
		}
		if content := m.Content(); content != nil {
			if n, err := io.Copy(io.Discard, content); err != nil || n != m.ContentSize() {
				t.Errorf("content: %d octets, %v; want %d", n, err, m.ContentSize())
			}
		}
		use(t, m, s)
	})
}

// use calls everything that reads or extends a message.
func use(t *testing.T, m *cms.Message, s *cmstest.Signer) {
	t.Helper()
	if problem := m.Conforms(); problem != nil && !errors.Is(problem, cms.ErrMalformed) {
		t.Errorf("untyped error %v", problem)
	}
	for i, signer := range m.Signers {
		err := signer.Verify(s.Certificate, make([]byte, 32))
		if !errors.Is(err, cms.ErrInvalid) && !errors.Is(err, cms.ErrMalformed) && !errors.Is(err, cms.ErrUnsupported) {
			t.Errorf("untyped error %v", err)
		}
		signer.Certificate(m.Certificates)
		signer.SigningTime()
		if _, err := signer.CounterSignatures(); err != nil && !errors.Is(err, cms.ErrMalformed) {
			t.Errorf("untyped error %v", err)
		}
		if err := m.AddUnsigned(i, cms.Attribute{Type: asn1.ObjectIdentifier{1, 2, 3}, Value: []byte{5, 0}}); err != nil {
			t.Errorf("adding an attribute: %v", err)
		}
	}
	if err := m.AddCertificates(s.Certificate); err != nil {
		t.Errorf("adding a certificate: %v", err)
	}
	if err := m.AddRevocations(m.CRLs(), m.OCSPs()); err != nil {
		t.Errorf("adding what is there: %v", err)
	}
	open(t, written(t, m))
}
