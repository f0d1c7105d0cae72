package cms

import (
	"bytes"
	"crypto"
	_ "crypto/sha256" // the hashes that a Parts or Verify may name
	_ "crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"math/big"
	"time"
	"unicode/utf8"
)

// Attribute is one signed or unsigned attribute with the DER of its only value.
// (Attributes of several values exist in CMS; none that we write or accept
// among the signed ones has more than one.)
type Attribute struct {
	Type  asn1.ObjectIdentifier
	Value []byte
}

type attributeDER struct {
	Type   asn1.ObjectIdentifier
	Values []asn1.RawValue `asn1:"set"`
}

// EncodeAttributes writes attributes as the DER SET OF that is hashed and
// signed (RFC 5652, 5.4): tag 0x31, elements in DER order. Inside SignerInfo the
// same bytes stand under the tag [0].
func EncodeAttributes(attributes ...Attribute) ([]byte, error) {
	set := make([]attributeDER, 0, len(attributes))
	for _, a := range attributes {
		set = append(set, attributeDER{Type: a.Type, Values: []asn1.RawValue{{FullBytes: a.Value}}})
	}
	der, err := asn1.MarshalWithParams(set, "set")
	if err != nil {
		return nil, fmt.Errorf("encoding attributes: %w", err)
	}
	return der, nil
}

// ParseAttributes reads a DER SET OF Attribute. It refuses a type that occurs
// twice (RFC 5652, 11 forbids it for those that matter) and any other order or
// encoding than DER's.
func ParseAttributes(der []byte) ([]Attribute, error) {
	var set []attributeDER
	rest, err := asn1.UnmarshalWithParams(der, &set, "set")
	if err != nil || len(rest) > 0 {
		return nil, fmt.Errorf("%w: attributes", ErrMalformed)
	}
	attributes := make([]Attribute, 0, len(set))
	for _, a := range set {
		if len(a.Values) != 1 || find(attributes, a.Type) != nil {
			return nil, fmt.Errorf("%w: attribute %v", ErrMalformed, a.Type)
		}
		attributes = append(attributes, Attribute{Type: a.Type, Value: a.Values[0].FullBytes})
	}
	again, err := EncodeAttributes(attributes...)
	if err != nil || !bytes.Equal(again, der) {
		return nil, fmt.Errorf("%w: attributes are not DER", ErrMalformed)
	}
	return attributes, nil
}

// ContentType is the content-type attribute (RFC 5652, 11.1) of id-data.
func ContentType() (Attribute, error) { return ContentTypeOf(idData) }

// ContentTypeOf is the content-type attribute of another type.
func ContentTypeOf(contentType asn1.ObjectIdentifier) (Attribute, error) {
	return attribute(idContentType, contentType)
}

// MessageDigest is the message-digest attribute (RFC 5652, 11.2).
func MessageDigest(digest []byte) (Attribute, error) {
	return attribute(idMessageDigest, digest)
}

// SigningTime is the signing-time attribute (RFC 5652, 11.3): to the second,
// UTCTime until 2049 and GeneralizedTime after.
func SigningTime(t time.Time) (Attribute, error) {
	return attribute(idSigningTime, t.UTC().Truncate(time.Second))
}

// MimeType is the mime-type attribute (EN 319 122-1 V1.3.1, 5.2.5).
func MimeType(mime string) (Attribute, error) {
	if !utf8.ValidString(mime) {
		return Attribute{}, fmt.Errorf("%w: mime type", ErrMalformed)
	}
	value, err := asn1.MarshalWithParams(mime, "utf8")
	if err != nil {
		return Attribute{}, fmt.Errorf("encoding mime type: %w", err)
	}
	return Attribute{Type: idMimeType, Value: value}, nil
}

// essCertIDv2 and signingCertificateV2 are of RFC 5035, 4. The hash algorithm
// has SHA-256 as DEFAULT, which DER leaves out, and it is the only one written.
type essCertIDv2 struct {
	HashAlgorithm algorithm `asn1:"optional"`
	CertHash      []byte
	IssuerSerial  issuerSerial `asn1:"optional"`
}

// issuerSerial is not CMS's IssuerAndSerialNumber: the issuer is wrapped in
// GeneralNames.
type issuerSerial struct {
	Issuer []asn1.RawValue
	Serial *big.Int
}

type signingCertificateV2 struct {
	Certs []essCertIDv2
}

// SigningCertificateV2 is the ESS signing-certificate-v2 attribute (RFC 5035,
// 3; EN 319 122-1, 5.2.2.3) that binds the signature to one certificate.
func SigningCertificateV2(cert *x509.Certificate) (Attribute, error) {
	directoryName := asn1.RawValue{
		Class: asn1.ClassContextSpecific, Tag: 4, IsCompound: true, Bytes: cert.RawIssuer,
	}
	// The structure for writing has no HashAlgorithm: a zero one would not
	// be left out by encoding/asn1.
	type certID struct {
		CertHash     []byte
		IssuerSerial issuerSerial
	}
	return attribute(idSigningCertV2, struct{ Certs []certID }{[]certID{{
		CertHash:     sum(crypto.SHA256, cert.Raw),
		IssuerSerial: issuerSerial{Issuer: []asn1.RawValue{directoryName}, Serial: cert.SerialNumber},
	}}})
}

// checkSigningCertificateV2 says whether the attribute's first entry, which
// must name the signer's certificate (RFC 5035, 4), is cert, by a hash that read
// knows.
func checkSigningCertificateV2(value []byte, cert *x509.Certificate, read func(algorithm) (crypto.Hash, error)) error {
	var ess signingCertificateV2
	if rest, err := asn1.Unmarshal(value, &ess); err != nil || len(rest) > 0 || len(ess.Certs) == 0 {
		return fmt.Errorf("%w: signing-certificate-v2", ErrMalformed)
	}
	id, hash := ess.Certs[0], crypto.SHA256
	if len(id.HashAlgorithm.OID) > 0 {
		var err error
		if hash, err = read(id.HashAlgorithm); err != nil {
			return err
		}
	}
	if !bytes.Equal(id.CertHash, sum(hash, cert.Raw)) {
		return ErrCertificate
	}
	return id.IssuerSerial.check(cert)
}

// checkSigningCertificate is the same for the attribute's first version (RFC
// 2634, 5.4), whose hash is SHA-1. It is read only.
func checkSigningCertificate(value []byte, cert *x509.Certificate) error {
	var ess struct {
		Certs []struct {
			CertHash     []byte
			IssuerSerial issuerSerial `asn1:"optional"`
		}
	}
	if rest, err := asn1.Unmarshal(value, &ess); err != nil || len(rest) > 0 || len(ess.Certs) == 0 {
		return fmt.Errorf("%w: signing-certificate", ErrMalformed)
	}
	if !bytes.Equal(ess.Certs[0].CertHash, sum(crypto.SHA1, cert.Raw)) {
		return ErrCertificate
	}
	return ess.Certs[0].IssuerSerial.check(cert)
}

func (i issuerSerial) check(cert *x509.Certificate) error {
	if i.Serial == nil {
		return nil
	}
	if len(i.Issuer) != 1 || !bytes.Equal(i.Issuer[0].Bytes, cert.RawIssuer) || i.Serial.Cmp(cert.SerialNumber) != 0 {
		return fmt.Errorf("%w: issuer or serial number", ErrCertificate)
	}
	return nil
}

func attribute(oid asn1.ObjectIdentifier, value any) (Attribute, error) {
	der, err := asn1.Marshal(value)
	if err != nil {
		return Attribute{}, fmt.Errorf("encoding attribute %v: %w", oid, err)
	}
	return Attribute{Type: oid, Value: der}, nil
}
