package ca

import (
	"bytes"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/ca/lint"
)

// specimen is a certificate with the facts that it was made of.
type specimen struct {
	facts facts
	tbs   []byte
}

// specimens are one of each kind, with all that a kind can have.
func specimens(tb testing.TB) map[string]specimen {
	tb.Helper()
	h := ecHierarchy(tb).with(tb, func(c *Config) {
		c.Addresses.OCSP = "http://pki.example.org/ocsp"
		c.Profile.QcStatements = qualified()
	})
	key := ecKey(tb, elliptic.P256())
	name := serviceRequest(nil).Name
	all := map[string]facts{
		"Root": {kind: rootKind(), subject: name.subject(), public: key.Public(), notBefore: now, notAfter: now.AddDate(25, 0, 0)},
		"Issuing": {
			kind: issuingKind(), issuer: h.root, subject: name.subject(), public: key.Public(), notBefore: now, notAfter: now.AddDate(10, 0, 0),
			addresses: Addresses{Issuer: "http://pki.example.org/root.cer", OCSP: "http://pki.example.org/ocsp"}, crl: "http://pki.example.org/root.crl",
		},
	}
	for name, make := range map[string]func() (facts, error){
		"Citizen":       func() (facts, error) { return h.authority.citizen(request(key.Public())) },
		"OCSPResponder": func() (facts, error) { return h.authority.service(responderKind(), serviceRequest(key.Public())) },
		"TimeStamping":  func() (facts, error) { return h.authority.service(timeStampKind(), stampRequest(key.Public())) },
	} {
		f, err := make()
		if err != nil {
			tb.Fatal(err)
		}
		all[name] = f
	}
	out := map[string]specimen{}
	for name, f := range all {
		if err := f.check(); err != nil {
			tb.Fatalf("%s: %v", name, err)
		}
		rehearsal := ecKey(tb, elliptic.P256())
		if name == "Issuing" {
			rehearsal = ecKey(tb, elliptic.P384())
		}
		p, err := prepare(&f, rehearsal, lint.Certificate)
		if err != nil {
			tb.Fatalf("%s: %v", name, err)
		}
		out[name] = specimen{f, p.tbs}
	}
	return out
}

// parse makes a certificate of a TBSCertificate that nobody signed.
func parse(tbs []byte) (*x509.Certificate, error) {
	fields, err := elements(tbs)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(tlv(0x30, tbs, fields[2], tlv(0x03, []byte{0, 1, 2, 3})))
}

// No bit of what is signed can be another: what still reads as a certificate
// is refused by the check. Only the serial number is free.
func TestNoBitIsFree(t *testing.T) {
	t.Parallel()
	for name, s := range specimens(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			original, err := parse(s.tbs)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.facts.verify(original); err != nil {
				t.Fatalf("unchanged: %v", err)
			}
			serial := bytes.Index(s.tbs, original.SerialNumber.Bytes())
			read := 0
			for i := range s.tbs {
				for _, bit := range []int{0, 5, 7} { // a neighbour, the case of a letter, a sign
					changed := bytes.Clone(s.tbs)
					changed[i] ^= 1 << bit
					c, err := parse(changed)
					if err != nil {
						continue
					}
					read++
					err = s.facts.verify(c)
					if free := i >= serial && i < serial+serialBytes; free {
						continue
					}
					if !errors.Is(err, ErrMismatch) {
						t.Errorf("bit %d of octet %d (%q): got %v, want ErrMismatch", bit, i, changed[max(0, i-8):min(i+8, len(changed))], err)
					}
				}
			}
			if read < 400 {
				t.Errorf("changed certificates that could be read: got %d, want many", read)
			}
		})
	}
}

// Each fact is held by the check, which says what is amiss.
func TestEachFactIsChecked(t *testing.T) {
	t.Parallel()
	all := specimens(t)
	other := ecKey(t, elliptic.P256()).Public()
	issuer := ecHierarchy(t).authority.Certificate
	set := func(attribute, value string) func(*facts) { return func(f *facts) { f.subject[attribute] = value } }
	for _, tc := range []struct {
		kind, want string
		change     func(*facts)
	}{
		{"Citizen", "subjectKeyIdentifier", func(f *facts) { f.public = other }},
		{"Citizen", "validity", func(f *facts) { f.notBefore = f.notBefore.Add(-time.Second) }},
		{"Citizen", "validity", func(f *facts) { f.notAfter = f.notAfter.Add(time.Second) }},
		{"Citizen", "common name", set(oidSurname, "Núñez O'Donnel")},
		{"Citizen", "common name", set(oidGivenName, "María del Pila")},
		{"Citizen", "common name", set(oidSerialNumber, "IDCES-12345678A")},
		{"Citizen", "subject", set(oidCountry, "PT")},
		{"Citizen", "authorityKeyIdentifier", func(f *facts) { f.issuer = issuer }},
		{"Citizen", "certificatePolicies", func(f *facts) { f.policies = nil }},
		{"Citizen", "authorityInfoAccess", func(f *facts) { f.addresses.OCSP = "" }},
		{"Citizen", "authorityInfoAccess", func(f *facts) { f.addresses.Issuer = "http://pki.example.org/other.cer" }},
		{"Citizen", "cRLDistributionPoints", func(f *facts) { f.crl = "http://pki.example.org/other.crl" }},
		{"Citizen", "qcStatements", func(f *facts) { f.qc = &QcStatements{Disclosures: f.qc.Disclosures} }},
		{"Citizen", "1.3.6.1.5.5.7.1.3 is not of the profile", func(f *facts) { f.qc = nil }},
		{"Citizen", "keyUsage", func(f *facts) { f.kind.KeyUsage |= x509.KeyUsageDigitalSignature }},
		{"TimeStamping", "extKeyUsage", func(f *facts) { f.kind.Purposes = []string{oidOCSPSigning} }},
		{"TimeStamping", "extKeyUsage", func(f *facts) { f.kind.Extensions[1].Critical = false }},
		{"TimeStamping", "privateKeyUsagePeriod", func(f *facts) { f.kind.KeyYears = 2 }},
		{"TimeStamping", "subject", set(oidCommonName, "Servicio 2")},
		{"OCSPResponder", "authorityInfoAccess", func(f *facts) { f.kind.Name = "Citizen" }},
		{"OCSPResponder", "is not of the profile", func(f *facts) { f.kind.Extensions = f.kind.Extensions[:5] }},
		{"Issuing", "basicConstraints", func(f *facts) { f.kind.PathLength = 1 }},
		{"Issuing", "certificatePolicies", func(f *facts) { f.kind.Policies = OwnPolicies }},
		{"Root", "basicConstraints", func(f *facts) { f.kind.PathLength = 0 }},
		{"Root", "no cRLDistributionPoints", func(f *facts) { f.kind.Extensions = append(f.kind.Extensions, issuingKind().Extensions[6]) }},
	} {
		s := all[tc.kind]
		f := s.facts
		f.subject = maps.Clone(s.facts.subject)
		f.kind.Extensions = slices.Clone(f.kind.Extensions)
		tc.change(&f)
		c, err := parse(s.tbs)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.verify(c); !errors.Is(err, ErrMismatch) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s, other %s: got %v", tc.kind, tc.want, err)
		}
	}
}

// What a builder might do wrong beside: more, less, or in another order.
func TestNothingBesideTheProfile(t *testing.T) {
	t.Parallel()
	h := ecHierarchy(t)
	key := ecKey(t, elliptic.P256())
	f, err := h.authority.citizen(request(key.Public()))
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*x509.Certificate){
		"an extension more": func(c *x509.Certificate) {
			c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3}, Value: []byte{5, 0}})
		},
		"basicConstraints":   func(c *x509.Certificate) { c.BasicConstraintsValid = true },
		"an alternative":     func(c *x509.Certificate) { c.EmailAddresses = []string{"a@example.org"} },
		"one less":           func(c *x509.Certificate) { c.ExtraExtensions = c.ExtraExtensions[:5] },
		"another order":      func(c *x509.Certificate) { slices.Reverse(c.ExtraExtensions) },
		"a short serial":     func(c *x509.Certificate) { c.SerialNumber.SetInt64(1) },
		"a serial with sign": func(c *x509.Certificate) { c.SerialNumber.SetBit(c.SerialNumber, 127, 1) },
		"SHA-512":            func(c *x509.Certificate) { c.SignatureAlgorithm = x509.ECDSAWithSHA512 },
		"a subject by crypto/x509": func(c *x509.Certificate) {
			c.RawSubject = nil
			c.Subject = pkix.Name{Country: []string{"ES"}, CommonName: "María del Pilar Núñez O'Donnell - 12345678Z"}
		},
	} {
		template, err := f.template()
		if err != nil {
			t.Fatal(err)
		}
		change(template)
		der, err := x509.CreateCertificate(rand.Reader, template, &x509.Certificate{RawSubject: f.issuer.RawSubject}, f.public, key)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := f.verify(c); !errors.Is(err, ErrMismatch) {
			t.Errorf("%s: got %v, want ErrMismatch", name, err)
		}
	}
}
