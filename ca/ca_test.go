package ca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/ca/lint"
)

var now = time.Date(2026, 3, 10, 12, 0, 0, 500, time.UTC)

// counted counts the uses of a key.
type counted struct {
	crypto.Signer
	uses atomic.Int64
}

func (c *counted) Sign(r io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	c.uses.Add(1)
	return c.Signer.Sign(r, digest, opts)
}

// hierarchy is a root and an authority under it.
type hierarchy struct {
	root      *x509.Certificate
	rootKey   *counted
	authority *Authority
	key       *counted
}

func ecKey(tb testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func rsaKey(tb testing.TB, bits int) *rsa.PrivateKey {
	tb.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func profile() Profile {
	return Profile{
		Policies: []asn1.ObjectIdentifier{{2, 16, 724, 1, 3, 5, 99, 1}},
	}
}

func addresses() Addresses { return Addresses{Issuer: "http://pki.example.org/issuing.cer"} }

func newHierarchy(tb testing.TB, rootKey, key crypto.Signer) hierarchy {
	tb.Helper()
	h := hierarchy{rootKey: &counted{Signer: rootKey}, key: &counted{Signer: key}}
	var err error
	h.root, err = CreateRoot(Root{
		Name:      Name{Country: "ES", Organisation: "Ayuntamiento de Ejemplo", CommonName: "Rúbrica raíz"},
		NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(24, 0, 0),
	}, h.rootKey, lint.Certificate)
	if err != nil {
		tb.Fatal(err)
	}
	issuing, err := CreateIssuing(Issuing{
		Name: Name{
			Country: "ES", Organisation: "Ayuntamiento de Ejemplo", OrganisationIdentifier: "VATES-P0000000A", CommonName: "Rúbrica firma 1",
		},
		PublicKey: key.Public(),
		NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(9, 0, 0),
		Addresses: Addresses{Issuer: "http://pki.example.org/root.cer"}, CRL: "http://pki.example.org/root.crl",
	}, h.root, h.rootKey, lint.Certificate)
	if err != nil {
		tb.Fatal(err)
	}
	h.authority, err = New(Config{Certificate: issuing, Signer: h.key, Profile: profile(), Addresses: addresses(), Lint: lint.Certificate})
	if err != nil {
		tb.Fatal(err)
	}
	return h
}

func ecHierarchy(tb testing.TB) hierarchy {
	tb.Helper()
	return newHierarchy(tb, ecKey(tb, elliptic.P384()), ecKey(tb, elliptic.P256()))
}

func request(public crypto.PublicKey) Request {
	return Request{
		Identifier: "12345678Z", GivenName: "María del Pilar", Surnames: "Núñez O'Donnell",
		PublicKey: public, NotBefore: now, NotAfter: now.AddDate(4, 0, 0).Add(-time.Second),
		CRL: "http://pki.example.org/issuing.crl",
	}
}

func (h hierarchy) issue(tb testing.TB, r Request) *x509.Certificate {
	tb.Helper()
	p, err := h.authority.Prepare(r)
	if err != nil {
		tb.Fatalf("Prepare: %v", err)
	}
	der, err := h.authority.Issue(p)
	if err != nil {
		tb.Fatalf("Issue: %v", err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// directory holds PEM files for openssl.
type directory string

func (d directory) write(tb testing.TB, name, kind string, der []byte) string {
	tb.Helper()
	path := filepath.Join(string(d), name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

func openssl(tb testing.TB, arguments ...string) string {
	tb.Helper()
	out, err := exec.CommandContext(tb.Context(), "openssl", arguments...).CombinedOutput()
	if err != nil {
		tb.Fatalf("openssl %s: %v\n%s", strings.Join(arguments, " "), err, out)
	}
	return string(out)
}

func opensslFails(tb testing.TB, arguments ...string) string {
	tb.Helper()
	out, err := exec.CommandContext(tb.Context(), "openssl", arguments...).CombinedOutput()
	if _, ok := errors.AsType[*exec.ExitError](err); !ok {
		tb.Fatalf("openssl %s: got %v, want it to run and refuse\n%s", strings.Join(arguments, " "), err, out)
	}
	return string(out)
}
