package lint_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/ca/lint"
)

// person is a certificate that breaks no rule.
func person() *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(1 << 62),
		Subject: pkix.Name{
			Country: []string{"ES"}, CommonName: "Ada",
			ExtraNames: []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{2, 5, 4, 42}, Value: "Ada"}},
		},
		NotBefore: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC),
		KeyUsage:     x509.KeyUsageContentCommitment,
		SubjectKeyId: []byte{1, 2, 3, 4}, AuthorityKeyId: []byte{5, 6, 7, 8},
		Policies:              []x509.OID{oid(0, 4, 0, 2042, 1, 2)},
		CRLDistributionPoints: []string{"http://ca.example/a.crl"},
		IssuingCertificateURL: []string{"http://ca.example/a.cer"},
	}
}

func oid(arcs ...uint64) x509.OID {
	id, err := x509.OIDFromInts(arcs)
	if err != nil {
		panic(err)
	}
	return id
}

func responder() *x509.Certificate {
	c := person()
	c.Subject = pkix.Name{Country: []string{"ES"}, Organization: []string{"Ejemplo"}, CommonName: "OCSP"}
	c.KeyUsage, c.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}
	c.Policies, c.CRLDistributionPoints = nil, nil
	add(c, asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}, false, asn1.NullBytes)
	return c
}

func stamper() *x509.Certificate {
	c := person()
	c.Subject = pkix.Name{Country: []string{"ES"}, Organization: []string{"Ejemplo"}, CommonName: "TSA"}
	c.KeyUsage = x509.KeyUsageDigitalSignature
	add(c, asn1.ObjectIdentifier{2, 5, 29, 37}, true, []byte("\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x08"))
	add(c, asn1.ObjectIdentifier{2, 5, 29, 16}, false, []byte("\x30\x22\x80\x0f20260101000000Z\x81\x0f20260601000000Z"))
	return c
}

func add(c *x509.Certificate, id asn1.ObjectIdentifier, critical bool, value []byte) {
	c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: id, Critical: critical, Value: value})
}

// The lint finds what it is there for; that it passes good certificates, ca
// tests with each that it issues.
func TestCertificate(t *testing.T) {
	t.Parallel()
	type certificate = x509.Certificate
	qcStatements := asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 3}
	for name, tc := range map[string]struct {
		template *certificate
		change   func(*certificate)
		want     string // part of the complaint; empty if there is none
	}{
		"person":    {person(), func(*certificate) {}, ""},
		"responder": {responder(), func(*certificate) {}, ""},
		"stamper":   {stamper(), func(*certificate) {}, ""},

		"common name too long":  {person(), func(c *certificate) { c.Subject.CommonName = strings.Repeat("a", 65) }, "e_subject_common_name_max_length"},
		"no subject key id":     {person(), func(c *certificate) { c.SubjectKeyId = nil }, "subject_key_identifier"},
		"serial of 21 octets":   {person(), func(c *certificate) { c.SerialNumber = new(big.Int).Lsh(big.NewInt(1), 160) }, "serial"},
		"usage of an authority": {person(), func(c *certificate) { c.KeyUsage = x509.KeyUsageCertSign }, "key_usage"},

		"critical policies": {person(), func(c *certificate) {
			c.Policies = nil
			add(c, asn1.ObjectIdentifier{2, 5, 29, 32}, true, []byte("\x30\x0a\x30\x08\x06\x06\x04\x00\x8f\x7a\x01\x02"))
		}, "GEN-4.1-2"},
		"no country":      {person(), func(c *certificate) { c.Subject.Country = nil }, "NAT-4.2.4-1"},
		"no name":         {person(), func(c *certificate) { c.Subject.ExtraNames = nil }, "NAT-4.2.4-1"},
		"two countries":   {person(), func(c *certificate) { c.Subject.Country = []string{"ES", "PT"} }, "NAT-4.2.4-3"},
		"mixed use":       {person(), func(c *certificate) { c.KeyUsage |= x509.KeyUsageDigitalSignature }, "NAT-4.3.2-3"},
		"no policies":     {person(), func(c *certificate) { c.Policies = nil }, "GEN-4.3.3-2"},
		"inhibit":         {person(), func(c *certificate) { add(c, asn1.ObjectIdentifier{2, 5, 29, 54}, false, []byte{0x02, 0x01, 0x00}) }, "-4.3.12-1"},
		"no status":       {person(), func(c *certificate) { c.CRLDistributionPoints = nil }, "GEN-4.3.11-2"},
		"list over https": {person(), func(c *certificate) { c.CRLDistributionPoints = []string{"https://ca.example/a.crl"} }, "GEN-4.3.11-4"},
		"no issuer":       {person(), func(c *certificate) { c.IssuingCertificateURL = nil }, "GEN-4.4.1-3"},
		"compliance without disclosure": {person(), func(c *certificate) {
			add(c, qcStatements, false, []byte("\x30\x0a\x30\x08\x06\x06\x04\x00\x8e\x46\x01\x01"))
		}, "EN 319 412-5, section 5"},

		"responder with another purpose": {responder(), func(c *certificate) { c.ExtKeyUsage = append(c.ExtKeyUsage, x509.ExtKeyUsageEmailProtection) }, "section 4.2.2.2:"},
		"responder that commits":         {responder(), func(c *certificate) { c.KeyUsage = x509.KeyUsageContentCommitment }, "section 4.2.2.2:"},
		"responder to be checked":        {responder(), func(c *certificate) { c.ExtraExtensions = nil }, "4.2.2.2.1"},
		"nocheck that is no NULL":        {responder(), func(c *certificate) { c.ExtraExtensions[0].Value = []byte{0x30, 0x00} }, "4.2.2.2.1"},
		"person not to be checked":       {person(), func(c *certificate) { c.ExtraExtensions = responder().ExtraExtensions }, "4.2.2.2.1"},

		"stamper, not critical": {stamper(), func(c *certificate) { c.ExtraExtensions[0].Critical = false }, "RFC 3161"},
		"stamper with another purpose": {stamper(), func(c *certificate) {
			c.ExtraExtensions[0].Value = []byte("\x30\x14\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x08\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x04")
		}, "RFC 3161"},
		"stamper of endless use": {stamper(), func(c *certificate) { c.ExtraExtensions = c.ExtraExtensions[:1] }, "TIS-7.6.7-04"},
		"stamper used to the end": {stamper(), func(c *certificate) {
			c.ExtraExtensions[1].Value = []byte("\x30\x22\x80\x0f20260101000000Z\x81\x0f20270101000000Z")
		}, "TIS-7.6.7-04"},
	} {
		tc.change(tc.template)
		err := lint.Certificate(signed(t, tc.template))
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

func signed(tb testing.TB, template *x509.Certificate) []byte {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	parent := &x509.Certificate{Subject: pkix.Name{Country: []string{"ES"}, CommonName: "Issuer"}, SubjectKeyId: []byte{5, 6, 7, 8}}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), key)
	if err != nil {
		tb.Fatal(err)
	}
	return der
}

func BenchmarkCertificate(b *testing.B) {
	der := signed(b, person())
	for b.Loop() {
		if err := lint.Certificate(der); err != nil {
			b.Fatal(err)
		}
	}
}
