package ca

import (
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"
)

// Profile is what a deployment chooses about the certificates of citizens.
// The rest of a profile is fixed; docs of citizenTemplate, rootTemplate and
// issuingTemplate go through it field by field.
type Profile struct {
	// Policies are the deployment's own certificate policies, named beside
	// NCP+ (ETSI EN 319 411-1, section 5.3).
	Policies []asn1.ObjectIdentifier
}

// policyNCPPlus is NCP+: a certificate whose key is held in a secure device
// (ETSI EN 319 411-1, section 5.3).
func policyNCPPlus() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{0, 4, 0, 2042, 1, 2} }

func (a Addresses) check() error {
	if !isHTTP(a.Issuer) {
		return fmt.Errorf("issuer address %q is no http address", a.Issuer)
	}
	if a.OCSP != "" && !isHTTP(a.OCSP) {
		return fmt.Errorf("OCSP address %q is no http address", a.OCSP)
	}
	return nil
}

func isHTTP(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Scheme == "http" && u.Host != ""
}

// Name is the name of an authority (ETSI EN 319 412-2, section 4.2.3.1).
type Name struct {
	Country      string // two letters
	Organisation string
	// OrganisationIdentifier is optional, in the form of ETSI EN 319 412-1,
	// section 5.1.4, such as VATES-Q2826000H.
	OrganisationIdentifier string
	CommonName             string
}

// Attribute types of X.520.
func oidCommonName() asn1.ObjectIdentifier             { return asn1.ObjectIdentifier{2, 5, 4, 3} }
func oidSurname() asn1.ObjectIdentifier                { return asn1.ObjectIdentifier{2, 5, 4, 4} }
func oidSerialNumber() asn1.ObjectIdentifier           { return asn1.ObjectIdentifier{2, 5, 4, 5} }
func oidCountry() asn1.ObjectIdentifier                { return asn1.ObjectIdentifier{2, 5, 4, 6} }
func oidOrganisation() asn1.ObjectIdentifier           { return asn1.ObjectIdentifier{2, 5, 4, 10} }
func oidGivenName() asn1.ObjectIdentifier              { return asn1.ObjectIdentifier{2, 5, 4, 42} }
func oidOrganisationIdentifier() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{2, 5, 4, 97} }

// maxCommonName is ub-common-name of RFC 5280, appendix A.1, in characters.
const maxCommonName = 64

func (n Name) raw() ([]byte, error) {
	if len(n.Country) != 2 || n.Organisation == "" || n.CommonName == "" || utf8.RuneCountInString(n.CommonName) > maxCommonName {
		return nil, errors.New("name of an authority needs country, organisation and a common name of at most 64 characters")
	}
	attributes := []pkix.AttributeTypeAndValue{printable(oidCountry(), n.Country), text(oidOrganisation(), n.Organisation)}
	if n.OrganisationIdentifier != "" {
		attributes = append(attributes, text(oidOrganisationIdentifier(), n.OrganisationIdentifier))
	}
	return rawName(append(attributes, text(oidCommonName(), n.CommonName)))
}

// subject is a citizen's name (ETSI EN 319 412-2, section 4.2.4): country,
// the identifier with the semantics of a natural person (EN 319 412-1, section
// 5.1.3), surnames and given names as the identity document has them, and a
// common name for people to read.
func subject(r Request) ([]byte, error) {
	return rawName([]pkix.AttributeTypeAndValue{
		printable(oidCountry(), country),
		printable(oidSerialNumber(), semanticsPrefix+r.Identifier),
		text(oidSurname(), r.Surnames),
		text(oidGivenName(), r.GivenName),
		text(oidCommonName(), commonName(r)),
	})
}

// country and semanticsPrefix say that the number is of a Spanish identity
// document.
const (
	country         = "ES"
	semanticsPrefix = "IDCES-"
)

// commonName is "GIVEN SURNAMES - 12345678Z". Names that do not fit are cut,
// the number never: GN and SN hold them whole.
func commonName(r Request) string {
	tail := " - " + r.Identifier
	name := []rune(strings.TrimSpace(r.GivenName + " " + r.Surnames))
	if room := maxCommonName - utf8.RuneCountInString(tail); len(name) > room {
		name = name[:room]
	}
	return strings.TrimSpace(string(name)) + tail
}

// rawName encodes one attribute a set, in this order. pkix.Name cannot: it
// falls back to PrintableString and knows no GN.
func rawName(attributes []pkix.AttributeTypeAndValue) ([]byte, error) {
	sequence := make(pkix.RDNSequence, len(attributes))
	for i, a := range attributes {
		sequence[i] = pkix.RelativeDistinguishedNameSET{a}
	}
	der, err := asn1.Marshal(sequence)
	if err != nil {
		return nil, fmt.Errorf("encoding a name: %w", err)
	}
	return der, nil
}

// text is a DirectoryString in UTF8String, the only choice that all names fit.
func text(kind asn1.ObjectIdentifier, s string) pkix.AttributeTypeAndValue {
	return pkix.AttributeTypeAndValue{Type: kind, Value: asn1.RawValue{Tag: asn1.TagUTF8String, Bytes: []byte(s)}}
}

// printable is for country and serialNumber, which are PrintableString by
// definition (RFC 5280, appendix A.1).
func printable(kind asn1.ObjectIdentifier, s string) pkix.AttributeTypeAndValue {
	return pkix.AttributeTypeAndValue{Type: kind, Value: asn1.RawValue{Tag: asn1.TagPrintableString, Bytes: []byte(s)}}
}

// keyIdentifier is method 1 of RFC 7093, section 2: the leftmost 160 bits of
// the SHA-256 of the public key.
func keyIdentifier(public any) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("encoding a public key: %w", err)
	}
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		PublicKey asn1.BitString
	}
	if _, err := asn1.Unmarshal(der, &info); err != nil {
		return nil, fmt.Errorf("reading a public key: %w", err)
	}
	sum := sha256.Sum256(info.PublicKey.RightAlign())
	return sum[:20], nil
}
