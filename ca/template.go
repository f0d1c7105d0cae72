package ca

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"math/big"
	"time"
)

// serialBytes is the length of a serial number: 128 random bits, twice what
// RFC 5280 asks the randomness of and under its 20 octets (section 4.1.2.2).
const serialBytes = 16

// newSerial draws a positive serial number. Its highest bit is clear, so that
// it takes 16 octets in DER, and the next one set, so that all have the same
// length.
func newSerial() *big.Int {
	var b [serialBytes]byte
	rand.Read(b[:])
	b[0] = b[0]&0x7f | 0x40
	return new(big.Int).SetBytes(b[:])
}

// citizenTemplate is the profile of a citizen's signature certificate, after
// ETSI EN 319 412-2 and RFC 5280:
//
//	version              v3                                RFC 5280 4.1.2.1
//	serialNumber         16 random octets                  RFC 5280 4.1.2.2
//	signature            that of the issuing key           EN 319 412-2 4.2.2, TS 119 312
//	issuer               the issuing CA's subject, bytes   RFC 5280 4.1.2.4
//	validity             as granted by policies            RFC 5280 4.1.2.5
//	subject              see subject                       EN 319 412-2 4.2.4
//	subjectPublicKey     RSA ≥ 3072, P-256 or P-384        TS 119 312
//	authorityKeyId       not critical                      EN 319 412-2 4.3.1
//	subjectKeyId         not critical                      RFC 5280 4.2.1.2
//	keyUsage             critical, contentCommitment only  EN 319 412-2 4.3.2, type A
//	certificatePolicies  not critical, NCP+ and own        EN 319 412-2 4.3.3, EN 319 411-1 5.3
//	cRLDistributionPts   not critical, http                EN 319 412-2 4.3.11
//	authorityInfoAccess  caIssuers, OCSP if there is one   EN 319 412-2 4.4.1
//	basicConstraints     absent                            RFC 5280 4.2.1.9: an authority's
//	extKeyUsage          absent                            EN 319 412-2 4.3.10: none is needed
//	qcStatements         absent                            EN 319 412-5: not a qualified certificate
func (a *Authority) citizenTemplate(r Request) (*x509.Certificate, error) {
	name, err := subject(r)
	if err != nil {
		return nil, err
	}
	keyID, err := keyIdentifier(r.PublicKey)
	if err != nil {
		return nil, err
	}
	policies, err := policyOIDs(append([]asn1.ObjectIdentifier{policyNCPPlus()}, a.Profile.Policies...))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          newSerial(),
		RawSubject:            name,
		NotBefore:             r.NotBefore.UTC().Truncate(time.Second),
		NotAfter:              r.NotAfter.UTC().Truncate(time.Second),
		KeyUsage:              x509.KeyUsageContentCommitment,
		SubjectKeyId:          keyID,
		Policies:              policies,
		CRLDistributionPoints: []string{r.CRL},
		IssuingCertificateURL: []string{a.Addresses.Issuer},
	}
	if a.Addresses.OCSP != "" {
		template.OCSPServer = []string{a.Addresses.OCSP}
	}
	return template, nil
}

// Root is what is asked of a root certificate.
type Root struct {
	Name      Name
	NotBefore time.Time
	NotAfter  time.Time
}

// rootTemplate is the profile of the root, after RFC 5280 and ETSI EN 319
// 412-2, which refers to it for authorities:
//
//	subject, issuer      the same bytes                    RFC 5280 4.1.2.4
//	basicConstraints     critical, CA, no path length      RFC 5280 4.2.1.9
//	keyUsage             critical, keyCertSign, cRLSign    RFC 5280 4.2.1.3
//	subjectKeyId         not critical                      RFC 5280 4.2.1.2
//	all others           absent: a trust anchor is trusted for itself
func rootTemplate(r Root, public any) (*x509.Certificate, error) {
	name, err := r.Name.raw()
	if err != nil {
		return nil, err
	}
	keyID, err := keyIdentifier(public)
	if err != nil {
		return nil, err
	}
	return &x509.Certificate{
		SerialNumber:          newSerial(),
		RawSubject:            name,
		NotBefore:             r.NotBefore.UTC().Truncate(time.Second),
		NotAfter:              r.NotAfter.UTC().Truncate(time.Second),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		SubjectKeyId:          keyID,
	}, nil
}

// Issuing is what is asked of an issuing authority's certificate.
type Issuing struct {
	Name      Name
	PublicKey any
	NotBefore time.Time
	NotAfter  time.Time
	// Addresses are the root's: its certificate, and a responder if it has one.
	Addresses Addresses
	CRL       string // address of the root's list, http
}

// issuingTemplate is the profile of an issuing authority, as the root's with
// these differences:
//
//	basicConstraints     critical, CA, path length 0       RFC 5280 4.2.1.9: it certifies people only
//	authorityKeyId       not critical                      RFC 5280 4.2.1.1
//	certificatePolicies  not critical, anyPolicy           RFC 5280 4.2.1.4
//	cRLDistributionPts   not critical, the root's CRL      RFC 5280 4.2.1.13
//	authorityInfoAccess  caIssuers, the root               RFC 5280 4.2.2.1
func issuingTemplate(i Issuing) (*x509.Certificate, error) {
	template, err := rootTemplate(Root{Name: i.Name, NotBefore: i.NotBefore, NotAfter: i.NotAfter}, i.PublicKey)
	if err != nil {
		return nil, err
	}
	anyPolicy, err := policyOIDs([]asn1.ObjectIdentifier{{2, 5, 29, 32, 0}})
	if err != nil {
		return nil, err
	}
	template.MaxPathLenZero = true
	template.Policies = anyPolicy
	template.IssuingCertificateURL = []string{i.Addresses.Issuer}
	template.CRLDistributionPoints = []string{i.CRL}
	return template, nil
}

func policyOIDs(oids []asn1.ObjectIdentifier) ([]x509.OID, error) {
	policies := make([]x509.OID, len(oids))
	for i, oid := range oids {
		var err error
		if policies[i], err = x509.ParseOID(oid.String()); err != nil {
			return nil, fmt.Errorf("reading policy %s: %w", oid, err)
		}
	}
	return policies, nil
}
