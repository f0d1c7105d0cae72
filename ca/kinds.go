package ca

import (
	"crypto/x509"
	"encoding/asn1"
)

// Kind is a profile: all that a certificate of its kind has. What is not
// listed must not be there. docs/profiles.md gives each line's norm.
type Kind struct {
	Name    string
	Subject []Attribute // in this order, one a set
	// Authority, with the longest path below it; -1 is no limit.
	Authority  bool
	PathLength int
	KeyUsage   x509.KeyUsage
	Purposes   []string // extended key usage, the whole of it
	Policies   Policies
	Extensions []Extension // in this order
	// Years and Days together are the longest validity.
	Years, Days int
	// KeyYears is how long the private key is used, where the certificate
	// says so; zero is as long as the certificate.
	KeyYears int
	// RSA is the shortest modulus; the curves are P-256 and P-384 (ETSI TS 119
	// 312, both for use beyond six years).
	RSA int
}

// Attribute is one of a subject's.
type Attribute struct {
	Name     string // as X.520 spells it
	OID      string
	Tag      int // of the string: PrintableString or UTF8String
	Max      int // in characters
	Optional bool
}

// Extension is one that a certificate has.
type Extension struct {
	Name     string // as its norm spells it
	OID      string
	Critical bool
	// Optional is there only where the deployment or the request has
	// something to put into it.
	Optional bool
}

// Policies says which certificate policies are asserted.
type Policies int

// The choices of policies.
const (
	NoPolicies  Policies = iota
	AnyPolicy            // an authority's: it restricts none below it
	OwnPolicies          // NCP+ and the deployment's
)

// Attribute types of X.520.
const (
	oidCommonName             = "2.5.4.3"
	oidSurname                = "2.5.4.4"
	oidSerialNumber           = "2.5.4.5"
	oidCountry                = "2.5.4.6"
	oidOrganisation           = "2.5.4.10"
	oidGivenName              = "2.5.4.42"
	oidOrganisationIdentifier = "2.5.4.97"
)

// Extensions.
const (
	oidSubjectKey     = "2.5.29.14"
	oidKeyUsage       = "2.5.29.15"
	oidKeyPeriod      = "2.5.29.16"
	oidBasic          = "2.5.29.19"
	oidCRLPoints      = "2.5.29.31"
	oidPolicies       = "2.5.29.32"
	oidAuthorityKey   = "2.5.29.35"
	oidExtendedUsage  = "2.5.29.37"
	oidAuthorityInfo  = "1.3.6.1.5.5.7.1.1"
	oidQcStatements   = "1.3.6.1.5.5.7.1.3"
	oidOCSPNoCheck    = "1.3.6.1.5.5.7.48.1.5"
	oidMethodOCSP     = "1.3.6.1.5.5.7.48.1"
	oidMethodIssuers  = "1.3.6.1.5.5.7.48.2"
	oidTimeStamping   = "1.3.6.1.5.5.7.3.8"
	oidOCSPSigning    = "1.3.6.1.5.5.7.3.9"
	oidAnyPolicy      = "2.5.29.32.0"
	oidNCPPlus        = "0.4.0.2042.1.2" // a key in a secure device (ETSI EN 319 411-1, section 5.3)
	oidQcCompliance   = "0.4.0.1862.1.1"
	oidQcSSCD         = "0.4.0.1862.1.4"
	oidQcPDS          = "0.4.0.1862.1.5"
	oidQcType         = "0.4.0.1862.1.6"
	oidQcTypeESign    = "0.4.0.1862.1.6.1"
	maxCommonName     = 64  // ub-common-name (RFC 5280, appendix A.1)
	maxOrganisation   = 64  // ub-organization-name
	maxIdentifier     = 64  // ub-serial-number
	maxNamePart       = 100 // of ub-name, 32,768: see checkName
	minRSA            = 3072
	minRSARoot        = 4096
	commitment        = x509.KeyUsageContentCommitment
	authoritysUsage   = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	serialBytes       = 16 // see newSerial
	keyIdentifierSize = 20
)

// legalPerson is the subject of an authority and of its services (ETSI EN 319
// 412-3, section 4.2.1; as issuer EN 319 412-2, section 4.2.3.1).
func legalPerson() []Attribute {
	return []Attribute{
		{Name: "countryName", OID: oidCountry, Tag: asn1.TagPrintableString, Max: 2},
		{Name: "organizationName", OID: oidOrganisation, Tag: asn1.TagUTF8String, Max: maxOrganisation},
		{Name: "organizationIdentifier", OID: oidOrganisationIdentifier, Tag: asn1.TagUTF8String, Max: maxIdentifier, Optional: true},
		{Name: "commonName", OID: oidCommonName, Tag: asn1.TagUTF8String, Max: maxCommonName},
	}
}

// Kinds are all that there are.
func Kinds() []Kind {
	return []Kind{rootKind(), issuingKind(), citizenKind(), responderKind(), timeStampKind()}
}

func rootKind() Kind {
	return Kind{
		Name: "Root", Subject: legalPerson(),
		Authority: true, PathLength: -1, KeyUsage: authoritysUsage,
		Extensions: []Extension{
			{Name: "basicConstraints", OID: oidBasic, Critical: true},
			{Name: "keyUsage", OID: oidKeyUsage, Critical: true},
			{Name: "subjectKeyIdentifier", OID: oidSubjectKey},
			{Name: "authorityKeyIdentifier", OID: oidAuthorityKey},
		},
		Years: 25, RSA: minRSARoot,
	}
}

func issuingKind() Kind {
	return Kind{
		Name: "Issuing", Subject: legalPerson(),
		Authority: true, PathLength: 0, KeyUsage: authoritysUsage, Policies: AnyPolicy,
		Extensions: []Extension{
			{Name: "basicConstraints", OID: oidBasic, Critical: true},
			{Name: "keyUsage", OID: oidKeyUsage, Critical: true},
			{Name: "subjectKeyIdentifier", OID: oidSubjectKey},
			{Name: "authorityKeyIdentifier", OID: oidAuthorityKey},
			{Name: "authorityInfoAccess", OID: oidAuthorityInfo},
			{Name: "certificatePolicies", OID: oidPolicies},
			{Name: "cRLDistributionPoints", OID: oidCRLPoints},
		},
		Years: 10, RSA: minRSA,
	}
}

func citizenKind() Kind {
	return Kind{
		Name: "Citizen",
		Subject: []Attribute{
			{Name: "countryName", OID: oidCountry, Tag: asn1.TagPrintableString, Max: 2},
			{Name: "serialNumber", OID: oidSerialNumber, Tag: asn1.TagPrintableString, Max: maxIdentifier},
			{Name: "surname", OID: oidSurname, Tag: asn1.TagUTF8String, Max: maxNamePart},
			{Name: "givenName", OID: oidGivenName, Tag: asn1.TagUTF8String, Max: maxNamePart},
			{Name: "commonName", OID: oidCommonName, Tag: asn1.TagUTF8String, Max: maxCommonName},
		},
		KeyUsage: commitment, Policies: OwnPolicies,
		Extensions: []Extension{
			{Name: "keyUsage", OID: oidKeyUsage, Critical: true},
			{Name: "subjectKeyIdentifier", OID: oidSubjectKey},
			{Name: "authorityKeyIdentifier", OID: oidAuthorityKey},
			{Name: "authorityInfoAccess", OID: oidAuthorityInfo},
			{Name: "certificatePolicies", OID: oidPolicies},
			{Name: "cRLDistributionPoints", OID: oidCRLPoints},
			{Name: "qcStatements", OID: oidQcStatements, Optional: true},
		},
		// Ley 6/2020, art. 4: five years at most. They are counted in legal time by
		// whoever grants them, which in UTC may be an hour more.
		Years: 5, Days: 1, RSA: minRSA,
	}
}

func responderKind() Kind {
	return Kind{
		Name: "OCSPResponder", Subject: legalPerson(),
		KeyUsage: x509.KeyUsageDigitalSignature, Purposes: []string{oidOCSPSigning},
		Extensions: []Extension{
			{Name: "keyUsage", OID: oidKeyUsage, Critical: true},
			{Name: "extKeyUsage", OID: oidExtendedUsage},
			{Name: "subjectKeyIdentifier", OID: oidSubjectKey},
			{Name: "authorityKeyIdentifier", OID: oidAuthorityKey},
			{Name: "authorityInfoAccess", OID: oidAuthorityInfo},
			{Name: "id-pkix-ocsp-nocheck", OID: oidOCSPNoCheck},
		},
		Days: 90, RSA: minRSA,
	}
}

func timeStampKind() Kind {
	return Kind{
		Name: "TimeStamping", Subject: legalPerson(),
		KeyUsage: x509.KeyUsageDigitalSignature, Purposes: []string{oidTimeStamping}, Policies: OwnPolicies,
		Extensions: []Extension{
			{Name: "keyUsage", OID: oidKeyUsage, Critical: true},
			{Name: "extKeyUsage", OID: oidExtendedUsage, Critical: true},
			{Name: "subjectKeyIdentifier", OID: oidSubjectKey},
			{Name: "authorityKeyIdentifier", OID: oidAuthorityKey},
			{Name: "privateKeyUsagePeriod", OID: oidKeyPeriod},
			{Name: "authorityInfoAccess", OID: oidAuthorityInfo},
			{Name: "certificatePolicies", OID: oidPolicies},
			{Name: "cRLDistributionPoints", OID: oidCRLPoints},
		},
		Years: 8, KeyYears: 3, RSA: minRSA,
	}
}

// has is whether certificates of the kind may have an extension.
func (k Kind) has(oid string) bool {
	for _, e := range k.Extensions {
		if e.OID == oid {
			return true
		}
	}
	return false
}
