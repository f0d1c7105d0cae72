package lint_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/ca/lint"
)

// The lint finds what it is there for; that it passes good certificates, ca
// tests with each that it issues.
func TestCertificate(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*x509.Certificate)
		want   string // part of the complaint; empty if there is none
	}{
		"good":                  {func(*x509.Certificate) {}, ""},
		"common name too long":  {func(c *x509.Certificate) { c.Subject.CommonName = strings.Repeat("a", 65) }, "e_subject_common_name_max_length"},
		"no subject key id":     {func(c *x509.Certificate) { c.SubjectKeyId = nil }, "subject_key_identifier"},
		"serial of 21 octets":   {func(c *x509.Certificate) { c.SerialNumber = new(big.Int).Lsh(big.NewInt(1), 160) }, "serial"},
		"usage of an authority": {func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCertSign }, "key_usage"},
	} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		template := &x509.Certificate{
			SerialNumber: big.NewInt(1 << 62),
			Subject:      pkix.Name{Country: []string{"ES"}, CommonName: "Ada"},
			NotBefore:    time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC),
			KeyUsage:     x509.KeyUsageContentCommitment,
			SubjectKeyId: []byte{1, 2, 3, 4}, AuthorityKeyId: []byte{5, 6, 7, 8},
		}
		tc.change(template)
		parent := &x509.Certificate{Subject: pkix.Name{Country: []string{"ES"}, CommonName: "Issuer"}, SubjectKeyId: []byte{5, 6, 7, 8}}
		der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), key)
		if err != nil {
			// crypto/x509 itself refuses some of them.
			t.Fatalf("%s: %v", name, err)
		}
		err = lint.Certificate(der)
		if tc.want == "" {
			if err != nil {
				t.Errorf("%s: got %v, want none", name, err)
			}
			continue
		}
		if !errors.Is(err, lint.ErrLint) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		}
	}
	if err := lint.Certificate([]byte("no certificate")); !errors.Is(err, lint.ErrLint) {
		t.Errorf("no certificate: got %v, want ErrLint", err)
	}
}
