package cades_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
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

// judge has a message judged by OpenSSL and BouncyCastle, and checks that the latter
// reads in it what we read.
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
	return signers
}

// same compares the time-stamps that both read, and asks OpenSSL about each token.
func (p *pki) same(t *testing.T, dir string, stamps []*cades.TimeStamp, read bouncycastle.Signer) {
	t.Helper()
	var signature, archive []time.Time
	for _, s := range stamps {
		p.openSSLToken(t, dir, s)
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
