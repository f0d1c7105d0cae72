package cades_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/internal/bouncycastle"
	"github.com/rubrica-firma/rubrica/internal/pkijs"
	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/cms"
)

// TestForeignVerdict has every algorithm at every level, attached and detached,
// judged by who shares no code with us.
func TestForeignVerdict(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	content := bytes.Repeat([]byte("Solicitud de ayuda al alquiler\r\n"), 100)
	for _, kind := range []struct {
		name, key string
		scheme    cms.Scheme
	}{{"PKCS1", "rsa", cms.PKCS1v15}, {"PSS", "rsa", cms.PSS}, {"P-256", "p256", cms.ECDSA}, {"P-384", "p384", cms.ECDSA}} {
		citizen := p.citizen(t, kind.key)
		for _, hash := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
			for _, attached := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%v/%v", kind.name, hash, attached), func(t *testing.T) {
					t.Parallel()
					m := p.sign(t, citizen, content, suite{hash, kind.scheme}, attached)
					for _, l := range levels() {
						p.lift(t, m, 0, citizen, content, hash, l)
						der := encode(t, m)
						m = open(t, der)
						if got := cades.LevelOf(m, 0); got != l {
							t.Fatalf("got %q, want %q", got, l)
						}
						detached := content
						if attached {
							detached = nil
						}
						p.judge(t, der, detached)
					}
				})
			}
		}
	}
}

// judge has a message judged by OpenSSL, BouncyCastle and pkijs, and checks that the
// latter two read in it what we read.
func (p *pki) judge(t *testing.T, der, detached []byte) []bouncycastle.Signer {
	t.Helper()
	dir := t.TempDir()
	p.openSSL(t, dir, der, detached)
	signers, err := bouncycastle.Signatures(t, bouncycastle.Signature{
		CMS: der, Content: detached, Root: p.root.Certificate, Intermediates: []*x509.Certificate{p.issuing.Certificate},
	})
	if err != nil {
		t.Error(err)
		return nil
	}
	m := open(t, der)
	if len(signers) != len(m.Signers) {
		t.Fatalf("BouncyCastle reads %d signers, want %d", len(signers), len(m.Signers))
	}
	for i, s := range m.Signers {
		stamps, err := cades.TimeStamps(m, i)
		must(t, err)
		j := slices.IndexFunc(signers, func(b bouncycastle.Signer) bool { return b.Serial == s.Serial.Text(16) })
		if j < 0 {
			t.Fatalf("BouncyCastle reads %+v, want signer %x", signers, s.Serial)
		}
		p.same(t, dir, stamps, signers[j])
	}
	if l := cades.LevelOf(m, 0); l == cades.BT || l == cades.BLT {
		return signers // pkijs is slow, and meets all that they have at B-LTA
	}
	javascript, err := pkijs.Signatures(t, der, detached, p.root.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	for i, j := range javascript { // both read the SETs in their order
		var archives []time.Time
		for _, a := range signers[i].Archives {
			archives = append(archives, a.Time)
		}
		if diff := cmp.Diff(pkijs.Signer{Signature: signers[i].SignatureTimes, Archive: archives}, j); diff != "" {
			t.Error(diff)
		}
	}
	return signers
}

// same compares the time-stamps that both read, and asks OpenSSL about the newest.
func (p *pki) same(t *testing.T, dir string, stamps []*cades.TimeStamp, read bouncycastle.Signer) {
	t.Helper()
	var signature, archive []time.Time
	for _, s := range stamps {
		if s == stamps[len(stamps)-1] {
			p.openSSLToken(t, dir, s)
		}
		if s.Kind == cades.ArchiveTimeStamp {
			archive = append(archive, s.Time)
		} else {
			signature = append(signature, s.Time)
		}
	}
	if diff := cmp.Diff(signature, read.SignatureTimes); diff != "" {
		t.Error(diff)
	}
	var archives []time.Time
	for _, a := range read.Archives {
		archives = append(archives, a.Time)
	}
	slices.SortFunc(archives, time.Time.Compare)
	if diff := cmp.Diff(archive, archives); diff != "" {
		t.Error(diff)
	}
}

func (p *pki) roots(t *testing.T, dir string) string {
	t.Helper()
	return write(t, dir, "root.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.root.Raw}))
}

func (p *pki) openSSL(t *testing.T, dir string, der, detached []byte) {
	t.Helper()
	args := []string{
		"cms", "-verify", "-cades", "-binary", "-inform", "DER", "-purpose", "any", "-in", write(t, dir, "signature", der),
		"-out", filepath.Join(dir, "out"), "-CAfile", p.roots(t, dir),
	}
	if detached != nil {
		args = append(args, "-content", write(t, dir, "content", detached))
	}
	if out, err := exec.CommandContext(t.Context(), "openssl", args...).CombinedOutput(); err != nil {
		t.Errorf("openssl cms -verify -cades: %v\n%s", err, out)
	}
}

func (p *pki) openSSLToken(t *testing.T, dir string, s *cades.TimeStamp) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "openssl", "ts", "-verify", "-token_in", "-in", write(t, dir, "token", s.Token),
		"-digest", fmt.Sprintf("%x", s.Imprint), "-CAfile", p.roots(t, dir)).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Verification: OK") {
		t.Errorf("openssl ts -verify of the %s: %v\n%s", s.Kind, err, out)
	}
}

func write(t *testing.T, dir, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	must(t, os.WriteFile(path, data, 0o600))
	return path
}

// TestForeignRejects: what is wrong here is wrong for the others, too, so that
// their yes means something.
func TestForeignRejects(t *testing.T) {
	t.Parallel()
	p, stranger := newPKI(t), newPKI(t)
	citizen := p.citizen(t, "p256")
	content := []byte("contenido")
	other := lta(t, p, citizen, content)
	unsigned := func(m *cms.Message, oid asn1.ObjectIdentifier) []byte {
		return m.Signers[0].UnsignedValues(oid)[0]
	}
	// swap puts an attribute of another signature of the same content in.
	swap := func(oid asn1.ObjectIdentifier) func(*cms.Message) []byte {
		return func(m *cms.Message) []byte {
			must(t, m.ReplaceUnsigned(0, cms.Attribute{Type: oid, Value: unsigned(other, oid)}))
			return encode(t, m)
		}
	}
	flip := func(what func(m *cms.Message) []byte) func(*cms.Message) []byte {
		return func(m *cms.Message) []byte {
			old := what(m)
			changed := bytes.Clone(old)
			changed[len(changed)-1] ^= 1
			return bytes.ReplaceAll(encode(t, m), old, changed)
		}
	}
	for name, tc := range map[string]struct {
		change  func(m *cms.Message) []byte
		content []byte
		root    *x509.Certificate
	}{
		"another content":      {func(m *cms.Message) []byte { return encode(t, m) }, []byte("otro"), p.root.Certificate},
		"another root":         {func(m *cms.Message) []byte { return encode(t, m) }, content, stranger.root.Certificate},
		"signature value":      {flip(func(m *cms.Message) []byte { return m.Signers[0].Signature }), content, p.root.Certificate},
		"signed attribute":     {flip(func(m *cms.Message) []byte { return m.Signers[0].SignedAttributes[2:] }), content, p.root.Certificate},
		"revocation value":     {flip(func(m *cms.Message) []byte { return m.CRLs()[0] }), content, p.root.Certificate},
		"OCSP response":        {flip(func(m *cms.Message) []byte { return m.OCSPs()[0] }), content, p.root.Certificate},
		"signature-time-stamp": {swap(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 14}), content, p.root.Certificate},
		"archive time-stamp":   {swap(asn1.ObjectIdentifier{0, 4, 0, 1733, 2, 4}), content, p.root.Certificate},
		"time-stamp, a bit": {flip(func(m *cms.Message) []byte {
			return unsigned(m, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 14})
		}), content, p.root.Certificate},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			der := tc.change(lta(t, p, citizen, content))
			_, err := bouncycastle.Signatures(t, bouncycastle.Signature{
				CMS: der, Content: tc.content, Root: tc.root, Intermediates: []*x509.Certificate{p.issuing.Certificate},
			})
			if rejected := new(bouncycastle.RejectedError); !errors.As(err, &rejected) {
				t.Errorf("BouncyCastle: got %v, want a rejection", err)
			}
			_, err = pkijs.Signatures(t, der, tc.content, tc.root)
			if rejected := new(pkijs.RejectedError); !errors.As(err, &rejected) {
				t.Errorf("pkijs: got %v, want a rejection", err)
			}
			if tc.root == p.root.Certificate && accepted(t, der, tc.content) {
				t.Error("got a sound signature")
			}
		})
	}
}

// accepted says whether value, content and all time-stamps are sound for us.
func accepted(t *testing.T, der, content []byte) bool {
	t.Helper()
	m := open(t, der)
	s := m.Signers[0]
	if s.Verify(s.Certificate(m.Certificates), digest(s.Hash, content)) != nil {
		return false
	}
	stamps, err := cades.TimeStamps(m, 0)
	must(t, err)
	return !slices.ContainsFunc(stamps, func(s *cades.TimeStamp) bool { return s.Check(bytes.NewReader(content)) != nil })
}

// writePEM is for OpenSSL to sign with.
func (e entity) writePEM(t *testing.T, path string) {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(e.key)
	must(t, err)
	must(t, os.WriteFile(path, slices.Concat(
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: e.Raw}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
	), 0o600))
}
