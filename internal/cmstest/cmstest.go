// Package cmstest gives tests of signature formats signers, time-stamps and
// revocation data of a CA of their own, and the judgement of OpenSSL, which
// shares no code with ours.
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
	Scheme      cms.Scheme // empty: the key's own
	Certificate *x509.Certificate
	Root        *x509.Certificate
	Authority   *Authority
}

// New makes a signer with a fresh key of the kind "rsa" (2048 bits), "rsa3072",
// "rsa4096" (both slow to make), "pss" (RSA of 2048 bits, signing by RSASSA-PSS),
// "p256", "p384" or "p521" (which we do not sign with), below a fresh root.
func New(tb testing.TB, kind string) *Signer {
	tb.Helper()
	return NewAuthority(tb).Signer(tb, kind)
}

// Kinds are those that our signatures are made with.
func Kinds() []string { return []string{"rsa", "pss", "p256", "p384"} }

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
	der, err := cms.Assemble(s.Parts(tb, p))
	if err != nil {
		tb.Fatalf("assembling: %v", err)
	}
	return der
}

// Parts are those of a signature with the given signed attributes.
func (s *Signer) Parts(tb testing.TB, p cades.Params) cms.Parts {
	tb.Helper()
	attributes, err := cades.SignedAttributes(p)
	if err != nil {
		tb.Fatalf("building signed attributes: %v", err)
	}
	return s.SignAttributes(tb, attributes, p.Hash)
}

// SignAttributes signs a DER SET of attributes.
func (s *Signer) SignAttributes(tb testing.TB, attributes []byte, hash crypto.Hash) cms.Parts {
	tb.Helper()
	value, err := s.Key.Sign(rand.Reader, Digest(hash, attributes), cms.SignerOpts(hash, s.Scheme, s.Key.Public()))
	if err != nil {
		tb.Fatalf("signing: %v", err)
	}
	return cms.Parts{
		SignedAttributes: attributes, Signature: value, Scheme: s.Scheme, Hash: hash,
		Certificate: s.Certificate, Chain: []*x509.Certificate{s.Root},
	}
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
	case "rsa", "pss":
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	case "rsa3072":
		key, err = rsa.GenerateKey(rand.Reader, 3072)
	case "rsa4096":
		key, err = rsa.GenerateKey(rand.Reader, 4096)
	case "p256":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "p384":
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "p521":
		key, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	default:
		tb.Fatalf("no key of kind %q", kind)
	}
	if err != nil {
		tb.Fatalf("generating a key: %v", err)
	}
	return key
}

func schemeOf(kind string) cms.Scheme {
	if kind == "pss" {
		return cms.PSS
	}
	return ""
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

func issue(tb testing.TB, c, parent *x509.Certificate, public crypto.PublicKey, issuer crypto.Signer) *x509.Certificate {
	tb.Helper()
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		tb.Fatal(err)
	}
	if c.SerialNumber == nil {
		c.SerialNumber = serial
	}
	spki, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		tb.Fatal(err)
	}
	c.SubjectKeyId = Digest(crypto.SHA256, spki)[:20] // RFC 7093, 2, 4
	if parent == nil {
		parent = c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, public, issuer)
	if err != nil {
		tb.Fatalf("issuing a certificate: %v", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatalf("parsing the certificate: %v", err)
	}
	return cert
}
