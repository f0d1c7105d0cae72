package ca

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"slices"
	"time"
)

// compare checks a certificate against the request, field by field, from its
// bytes: it shares nothing with the code that built them but the names of
// things. What a profile does not list must not be there.
func (a *Authority) compare(c *x509.Certificate, r Request) error {
	for _, check := range []struct {
		what string
		ok   bool
	}{
		{"version", c.Version == 3},
		{"serial number", c.SerialNumber.Sign() > 0 && len(c.SerialNumber.Bytes()) == serialBytes},
		{"issuer", bytes.Equal(c.RawIssuer, a.Certificate.RawSubject)},
		{"start of validity", c.NotBefore.Equal(r.NotBefore.Truncate(time.Second))},
		{"end of validity", c.NotAfter.Equal(r.NotAfter.Truncate(time.Second)) && !c.NotAfter.After(a.Certificate.NotAfter)},
		{"public key", samePublic(c.PublicKey, r.PublicKey)},
		{"key usage", c.KeyUsage == x509.KeyUsageContentCommitment},
		{"extended key usage", len(c.ExtKeyUsage) == 0 && len(c.UnknownExtKeyUsage) == 0},
		{"authority", !c.IsCA && !c.BasicConstraintsValid},
		{"authority key id", bytes.Equal(c.AuthorityKeyId, a.Certificate.SubjectKeyId)},
		{"subject key id", len(c.SubjectKeyId) == 20},
		{"policies", samePolicies(c.PolicyIdentifiers, a.Profile.Policies)},
		{"CRL", slices.Equal(c.CRLDistributionPoints, []string{r.CRL})},
		{"issuer address", slices.Equal(c.IssuingCertificateURL, []string{a.Addresses.Issuer})},
		{"OCSP", slices.Equal(c.OCSPServer, optional(a.Addresses.OCSP))},
		{"alternative names", len(c.DNSNames)+len(c.EmailAddresses)+len(c.IPAddresses)+len(c.URIs) == 0},
		{"extensions", onlyProfiled(c)},
	} {
		if !check.ok {
			return fmt.Errorf("%w: %s", ErrMismatch, check.what)
		}
	}
	return compareSubject(c.RawSubject, r)
}

// extensionsOfCitizen are the extensions of the profile, and whether each is
// critical.
func extensionsOfCitizen() map[string]bool {
	return map[string]bool{
		"2.5.29.15":         true,  // keyUsage
		"2.5.29.14":         false, // subjectKeyIdentifier
		"2.5.29.35":         false, // authorityKeyIdentifier
		"2.5.29.32":         false, // certificatePolicies
		"2.5.29.31":         false, // cRLDistributionPoints
		"1.3.6.1.5.5.7.1.1": false, // authorityInfoAccess
	}
}

// onlyProfiled is whether the certificate has these extensions and no other;
// so neither QcStatements.
func onlyProfiled(c *x509.Certificate) bool {
	profiled := extensionsOfCitizen()
	for _, e := range c.Extensions {
		critical, ok := profiled[e.Id.String()]
		if !ok || critical != e.Critical {
			return false
		}
		delete(profiled, e.Id.String())
	}
	return len(profiled) == 0
}

func samePolicies(got, own []asn1.ObjectIdentifier) bool {
	return slices.EqualFunc(got, append([]asn1.ObjectIdentifier{policyNCPPlus()}, own...), asn1.ObjectIdentifier.Equal)
}

func optional(address string) []string {
	if address == "" {
		return nil
	}
	return []string{address}
}

// compareSubject demands these attributes, in these string types, in this
// order, one a set.
func compareSubject(raw []byte, r Request) error {
	var sets []asn1.RawValue
	if rest, err := asn1.Unmarshal(raw, &sets); err != nil || len(rest) > 0 {
		return fmt.Errorf("%w: subject", ErrMismatch)
	}
	want := []struct {
		name, oid string
		tag       int
		value     string
	}{
		{"country", "2.5.4.6", asn1.TagPrintableString, country},
		{"serialNumber", "2.5.4.5", asn1.TagPrintableString, semanticsPrefix + r.Identifier},
		{"surname", "2.5.4.4", asn1.TagUTF8String, r.Surnames},
		{"given name", "2.5.4.42", asn1.TagUTF8String, r.GivenName},
		{"common name", "2.5.4.3", asn1.TagUTF8String, commonName(r)},
	}
	if len(sets) != len(want) {
		return fmt.Errorf("%w: subject of %d attributes", ErrMismatch, len(sets))
	}
	for i, w := range want {
		var attribute struct {
			Type  asn1.ObjectIdentifier
			Value asn1.RawValue
		}
		rest, err := asn1.Unmarshal(sets[i].Bytes, &attribute)
		if err != nil || len(rest) > 0 || attribute.Type.String() != w.oid ||
			attribute.Value.Tag != w.tag || string(attribute.Value.Bytes) != w.value {
			return fmt.Errorf("%w: %s", ErrMismatch, w.name)
		}
	}
	return nil
}
