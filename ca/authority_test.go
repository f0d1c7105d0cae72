package ca

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"io"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestIssueIsAcceptedByOpenSSL(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]hierarchy{
		"ECDSA": ecHierarchy(t),
		"RSA":   newHierarchy(t, rsaKey(t, 4096), rsaKey(t, 3072)),
	} {
		for kind, key := range map[string]crypto.Signer{
			"P-256": ecKey(t, elliptic.P256()), "P-384": ecKey(t, elliptic.P384()), "RSA-3072": rsaKey(t, 3072),
		} {
			t.Run(name+" for "+kind, func(t *testing.T) {
				t.Parallel()
				c := h.issue(t, request(key.Public()))
				dir := directory(t.TempDir())
				root := dir.write(t, "root.pem", "CERTIFICATE", h.root.Raw)
				issuing := dir.write(t, "issuing.pem", "CERTIFICATE", h.authority.Certificate.Raw)
				leaf := dir.write(t, "leaf.pem", "CERTIFICATE", c.Raw)
				out := openssl(t, "verify", "-x509_strict", "-check_ss_sig", "-policy_check", "-explicit_policy", "-policy", "0.4.0.2042.1.2",
					"-attime", "1773144000", "-CAfile", root, "-untrusted", issuing, leaf)
				if want := leaf + ": OK\n"; out != want {
					t.Errorf("openssl verify: got %q, want %q", out, want)
				}
				roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
				roots.AddCert(h.root)
				intermediates.AddCert(h.authority.Certificate)
				if _, err := c.Verify(x509.VerifyOptions{
					Roots: roots, Intermediates: intermediates, CurrentTime: now.Add(time.Hour), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
				}); err != nil {
					t.Errorf("crypto/x509: %v", err)
				}
			})
		}
	}
}

// The profile as a foreign reader sees it, whole: an extension more, or
// another criticality, changes the text.
func TestCitizenProfile(t *testing.T) {
	t.Parallel()
	h := ecHierarchy(t)
	c := h.issue(t, request(ecKey(t, elliptic.P256()).Public()))
	leaf := directory(t.TempDir()).write(t, "leaf.pem", "CERTIFICATE", c.Raw)
	got := openssl(t, "x509", "-in", leaf, "-noout", "-text", "-nameopt", "utf8,sep_comma_plus_space,sname,show_type",
		"-certopt", "no_pubkey,no_sigdump,ext_dump")
	for changing, fixed := range map[string]string{
		opensslHex(c.SerialNumber.Bytes(), false):              "SERIAL",
		opensslHex(c.SubjectKeyId, true):                       "SUBJECT-KEY",
		opensslHex(h.authority.Certificate.SubjectKeyId, true): "ISSUER-KEY",
	} {
		got = strings.ReplaceAll(got, changing, fixed)
	}
	want := `Certificate:
    Data:
        Version: 3 (0x2)
        Serial Number:
            SERIAL
        Signature Algorithm: ecdsa-with-SHA256
        Issuer: C=PRINTABLESTRING:ES, O=UTF8STRING:Ayuntamiento de Ejemplo, organizationIdentifier=UTF8STRING:VATES-P0000000A, CN=UTF8STRING:Rúbrica firma 1
        Validity
            Not Before: Mar 10 12:00:00 2026 GMT
            Not After : Mar 10 11:59:59 2030 GMT
        Subject: C=PRINTABLESTRING:ES, serialNumber=PRINTABLESTRING:IDCES-12345678Z, SN=UTF8STRING:Núñez O'Donnell, GN=UTF8STRING:María del Pilar, CN=UTF8STRING:María del Pilar Núñez O'Donnell - 12345678Z
        X509v3 extensions:
            X509v3 Key Usage: critical
                Non Repudiation
            X509v3 Subject Key Identifier: 
                SUBJECT-KEY
            X509v3 Authority Key Identifier: 
                ISSUER-KEY
            Authority Information Access: 
                CA Issuers - URI:http://pki.example.org/issuing.cer
            X509v3 Certificate Policies: 
                Policy: 0.4.0.2042.1.2
                Policy: 2.16.724.1.3.5.99.1
            X509v3 CRL Distribution Points: 
                Full Name:
                  URI:http://pki.example.org/issuing.crl
`
	if diff := cmp.Diff(trimLines(want), trimLines(got)); diff != "" {
		t.Errorf("profile (-want +got):\n%s", diff)
	}
	if got, want := len(c.SerialNumber.Bytes()), 16; got != want || c.SerialNumber.Sign() <= 0 {
		t.Errorf("serial number: got %d octets, want %d and positive", got, want)
	}
}

func opensslHex(b []byte, upper bool) string {
	digits := hex.EncodeToString(b)
	if upper {
		digits = strings.ToUpper(digits)
	}
	var pairs []string
	for i := 0; i < len(digits); i += 2 {
		pairs = append(pairs, digits[i:i+2])
	}
	return strings.Join(pairs, ":")
}

func trimLines(s string) []string {
	var lines []string
	for line := range strings.Lines(s) {
		if line = strings.TrimRight(line, " \n"); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

func TestOCSPOnlyWhenConfigured(t *testing.T) {
	t.Parallel()
	h := ecHierarchy(t)
	if c := h.issue(t, request(ecKey(t, elliptic.P256()).Public())); len(c.OCSPServer) != 0 {
		t.Errorf("OCSP: got %v, want none", c.OCSPServer)
	}
	at := addresses()
	at.OCSP = "http://ocsp.example.org/"
	with, err := New(Config{Certificate: h.authority.Certificate, Signer: h.key, Profile: profile(), Addresses: at, Lint: h.authority.Lint})
	if err != nil {
		t.Fatal(err)
	}
	h.authority = with
	c := h.issue(t, request(ecKey(t, elliptic.P256()).Public()))
	if diff := cmp.Diff([]string{"http://ocsp.example.org/"}, c.OCSPServer); diff != "" {
		t.Errorf("OCSP (-want +got):\n%s", diff)
	}
}

// An internal CA asserts nothing of a qualified one's.
func TestNoQcStatements(t *testing.T) {
	t.Parallel()
	h := ecHierarchy(t)
	c := h.issue(t, request(ecKey(t, elliptic.P256()).Public()))
	for _, der := range [][]byte{c.Raw, h.authority.Certificate.Raw, h.root.Raw} {
		for name, oid := range map[string]asn1.ObjectIdentifier{
			"qcStatements": {1, 3, 6, 1, 5, 5, 7, 1, 3}, "QcCompliance": {0, 4, 0, 1862, 1, 1}, "QcSSCD": {0, 4, 0, 1862, 1, 4},
		} {
			encoded, err := asn1.Marshal(oid)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(der, encoded) {
				t.Errorf("the certificate asserts %s", name)
			}
		}
	}
}

func TestIssueOnce(t *testing.T) {
	t.Parallel()
	h := ecHierarchy(t)
	p, err := h.authority.Prepare(request(ecKey(t, elliptic.P256()).Public()))
	if err != nil {
		t.Fatal(err)
	}
	if got := h.key.uses.Load(); got != 0 {
		t.Errorf("uses of the issuing key after Prepare: got %d, want 0", got)
	}
	var issued, refused sync.Map
	var wait sync.WaitGroup
	for i := range 50 {
		wait.Go(func() {
			der, err := h.authority.Issue(p)
			switch {
			case err == nil:
				issued.Store(i, der)
			case errors.Is(err, ErrRedeemed) && err.Error() == "issuance token already redeemed":
				refused.Store(i, true)
			default:
				t.Errorf("Issue: %v", err)
			}
		})
	}
	wait.Wait()
	if count(&issued) != 1 || count(&refused) != 49 || h.key.uses.Load() != 1 {
		t.Errorf("issued %d, refused %d, key used %d times, want 1, 49 and 1", count(&issued), count(&refused), h.key.uses.Load())
	}
	issued.Range(func(_, value any) bool {
		der, ok := value.([]byte)
		c, err := x509.ParseCertificate(der)
		if !ok || err != nil {
			t.Fatalf("reading the certificate: %v", err)
		}
		sum := sha256.Sum256(c.RawTBSCertificate)
		if !bytes.Equal(sum[:], p.Fingerprint()) || !bytes.Equal(c.SerialNumber.Bytes(), p.Serial()) ||
			!c.NotBefore.Equal(p.NotBefore()) || !c.NotAfter.Equal(p.NotAfter()) {
			t.Error("the certificate is not what its intent says")
		}
		return true
	})
}

func count(m *sync.Map) int {
	n := 0
	m.Range(func(any, any) bool { n++; return true })
	return n
}

var errToken = errors.New("token removed")

// unwell is a key whose token fails or lies.
type unwell struct {
	crypto.Signer
	err  error
	flip bool
}

func (u *unwell) Sign(r io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if u.err != nil {
		return nil, u.err
	}
	signature, err := u.Signer.Sign(r, digest, opts)
	if u.flip {
		signature[len(signature)-1] ^= 1
	}
	return signature, err
}

func TestIssueWithAnUnwellToken(t *testing.T) {
	t.Parallel()
	for name, sick := range map[string]*unwell{"fails": {err: errToken}, "lies": {flip: true}} {
		h := ecHierarchy(t)
		sick.Signer = h.key
		a, err := New(Config{Certificate: h.authority.Certificate, Signer: sick, Profile: profile(), Addresses: addresses(), Lint: h.authority.Lint})
		if err != nil {
			t.Fatal(err)
		}
		p, err := a.Prepare(request(ecKey(t, elliptic.P256()).Public()))
		if err != nil {
			t.Fatal(err)
		}
		if der, err := a.Issue(p); err == nil || der != nil || sick.err != nil && !errors.Is(err, errToken) {
			t.Errorf("%s: got %x, %v, want an error", name, der, err)
		}
		sick.err, sick.flip = nil, false
		if _, err := a.Issue(p); !errors.Is(err, ErrRedeemed) {
			t.Errorf("%s, then again: got %v, want ErrRedeemed", name, err)
		}
	}
}

func TestIssueRefusesWhatAnotherPrepared(t *testing.T) {
	t.Parallel()
	h, other := ecHierarchy(t), ecHierarchy(t)
	p, err := h.authority.Prepare(request(ecKey(t, elliptic.P256()).Public()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.authority.Issue(p); !errors.Is(err, ErrMismatch) || other.key.uses.Load() != 0 {
		t.Errorf("got %v after %d uses, want ErrMismatch and none", err, other.key.uses.Load())
	}
	p.template.NotAfter = p.template.NotAfter.Add(time.Second)
	if _, err := h.authority.Issue(p); !errors.Is(err, ErrMismatch) {
		t.Errorf("changed after it was prepared: got %v, want ErrMismatch", err)
	}
}

func TestPrepareRefuses(t *testing.T) {
	t.Parallel()
	h := ecHierarchy(t)
	good := request(ecKey(t, elliptic.P256()).Public())
	short := rsaKey(t, 2048).Public()
	edwards, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Request){
		"no identifier":       func(r *Request) { r.Identifier = "" },
		"identifier as typed": func(r *Request) { r.Identifier = "12345678-Z" },
		"identifier, lower":   func(r *Request) { r.Identifier = "12345678z" },
		"no given name":       func(r *Request) { r.GivenName = "" },
		"no surnames":         func(r *Request) { r.Surnames = "" },
		"control character":   func(r *Request) { r.GivenName = "Ma\nría" },
		"zero":                func(r *Request) { r.Surnames = "Pérez\x00" },
		"override":            func(r *Request) { r.Surnames = "Pérez\u202e" },
		"no UTF-8":            func(r *Request) { r.Surnames = "P\xe9rez" },
		"empty validity":      func(r *Request) { r.NotAfter = r.NotBefore },
		"inverted validity":   func(r *Request) { r.NotAfter = r.NotBefore.Add(-time.Hour) },
		"outlives the issuer": func(r *Request) { r.NotAfter = now.AddDate(10, 0, 0) },
		"precedes the issuer": func(r *Request) { r.NotBefore = now.AddDate(-2, 0, 0) },
		"no list":             func(r *Request) { r.CRL = "" },
		"list over https":     func(r *Request) { r.CRL = "https://pki.example.org/issuing.crl" },
		"no key":              func(r *Request) { r.PublicKey = nil },
		"RSA of 2048 bits":    func(r *Request) { r.PublicKey = short },
		"RSA with exponent 3": func(r *Request) { r.PublicKey = &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 3072), E: 3} },
		"P-224":               func(r *Request) { r.PublicKey = ecKey(t, elliptic.P224()).Public() },
		"P-521":               func(r *Request) { r.PublicKey = ecKey(t, elliptic.P521()).Public() },
		"Ed25519":             func(r *Request) { r.PublicKey = edwards },
	} {
		r := good
		change(&r)
		if _, err := h.authority.Prepare(r); !errors.Is(err, ErrRequest) {
			t.Errorf("%s: got %v, want ErrRequest", name, err)
		}
	}
}

var errLinted = errors.New("linted")

func TestPrepareStopsAtTheLint(t *testing.T) {
	t.Parallel()
	h := ecHierarchy(t)
	var seen []byte
	a, err := New(Config{Certificate: h.authority.Certificate, Signer: h.key, Profile: profile(), Addresses: addresses(), Lint: func(der []byte) error {
		seen = der
		return errLinted
	}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Prepare(request(ecKey(t, elliptic.P256()).Public())); !errors.Is(err, errLinted) {
		t.Errorf("got %v, want %v", err, errLinted)
	}
	rehearsed, err := x509.ParseCertificate(seen)
	if err != nil {
		t.Fatal(err)
	}
	if err := rehearsed.CheckSignatureFrom(h.authority.Certificate); err == nil {
		t.Error("what is linted is signed by the issuing key")
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	h := ecHierarchy(t)
	leaf := h.issue(t, request(h.key.Public()))
	for name, change := range map[string]func(*Config){
		"no lint":             func(c *Config) { c.Lint = nil },
		"another's key":       func(c *Config) { c.Signer = ecKey(t, elliptic.P256()) },
		"no authority's":      func(c *Config) { c.Certificate = leaf },
		"no issuer address":   func(c *Config) { c.Addresses.Issuer = "" },
		"issuer over https":   func(c *Config) { c.Addresses.Issuer = "https://pki.example.org/issuing.cer" },
		"OCSP without a host": func(c *Config) { c.Addresses.OCSP = "http:///ocsp" },
	} {
		c := h.authority.Config
		change(&c)
		if _, err := New(c); err == nil {
			t.Errorf("%s: got an authority, want an error", name)
		}
	}
}

func TestSerialsDiffer(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 10_000 {
		serial := newSerial()
		if len(serial.Bytes()) != 16 || serial.Sign() <= 0 || seen[serial.String()] {
			t.Fatalf("serial: got %x again, or not of 16 octets", serial)
		}
		seen[serial.String()] = true
	}
}
