// Package cmstest gives tests of signature formats a signer with a certificate
// of its own CA, and the judgement of OpenSSL, which shares no code with ours.
package cmstest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/cms"
)

// Signer is a key with its certificate and the CA above it.
type Signer struct {
	Key         crypto.Signer
	Certificate *x509.Certificate
	Root        *x509.Certificate
}

// New makes a signer with a fresh key of the kind "rsa", "p256" or "p384".
func New(tb testing.TB, kind string) *Signer {
	tb.Helper()
	rootKey := newKey(tb, "p256")
	root := issue(tb, template("Raíz de pruebas", true), nil, rootKey, rootKey)
	key := newKey(tb, kind)
	cert := issue(tb, template("ESPAÑOL ESPAÑOL JUAN - 00000000T", false), root, key, rootKey)
	return &Signer{Key: key, Certificate: cert, Root: root}
}

// Sign makes a detached signature over content.
func (s *Signer) Sign(tb testing.TB, content []byte, hash crypto.Hash) []byte {
	tb.Helper()
	return s.SignParams(tb, cades.Params{
		ContentDigest: Digest(hash, content), Hash: hash, Certificate: s.Certificate, SigningTime: time.Now(),
	})
}

// SignParams makes a detached signature with the given signed attributes.
func (s *Signer) SignParams(tb testing.TB, p cades.Params) []byte {
	tb.Helper()
	attributes, err := cades.SignedAttributes(p)
	if err != nil {
		tb.Fatalf("building signed attributes: %v", err)
	}
	value, err := s.Key.Sign(rand.Reader, cades.DTBSR(attributes, p.Hash), p.Hash)
	if err != nil {
		tb.Fatalf("signing: %v", err)
	}
	der, err := cms.Assemble(cms.Parts{
		SignedAttributes: attributes, Signature: value, Certificate: s.Certificate,
		Chain: []*x509.Certificate{s.Root}, Hash: p.Hash,
	})
	if err != nil {
		tb.Fatalf("assembling: %v", err)
	}
	return der
}

// Digest hashes data.
func Digest(hash crypto.Hash, data []byte) []byte {
	h := hash.New()
	h.Write(data)
	return h.Sum(nil)
}

// OpenSSL asks `openssl cms -verify -cades` about a signature; content is nil
// for an attached one. The answer is its error and what it printed.
func (s *Signer) OpenSSL(tb testing.TB, der, content []byte) (string, error) {
	tb.Helper()
	dir := tb.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			tb.Fatal(err)
		}
		return path
	}
	args := []string{
		"cms", "-verify", "-cades", "-binary", "-inform", "DER", "-purpose", "any",
		"-in", write("signature.der", der), "-out", filepath.Join(dir, "out"),
		"-CAfile", write("root.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Root.Raw})),
	}
	if content != nil {
		args = append(args, "-content", write("content", content))
	}
	out, err := exec.CommandContext(tb.Context(), "openssl", args...).CombinedOutput()
	return string(out), err
}

func newKey(tb testing.TB, kind string) crypto.Signer {
	tb.Helper()
	var key crypto.Signer
	var err error
	switch kind {
	case "rsa":
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	case "p256":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "p384":
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	default:
		tb.Fatalf("no key of kind %q", kind)
	}
	if err != nil {
		tb.Fatalf("generating a key: %v", err)
	}
	return key
}

func template(name string, ca bool) *x509.Certificate {
	c := &x509.Certificate{
		Subject:               pkix.Name{Country: []string{"ES"}, CommonName: name},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		BasicConstraintsValid: true,
		IsCA:                  ca,
		KeyUsage:              x509.KeyUsageContentCommitment,
	}
	if ca {
		c.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	}
	return c
}

func issue(tb testing.TB, c, parent *x509.Certificate, key, issuer crypto.Signer) *x509.Certificate {
	tb.Helper()
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		tb.Fatal(err)
	}
	c.SerialNumber = serial
	if parent == nil {
		parent = c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), issuer)
	if err != nil {
		tb.Fatalf("issuing a certificate: %v", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatalf("parsing the certificate: %v", err)
	}
	return cert
}
