package cms

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"math/big"
	"slices"
)

// SignedData is a parsed signature of the accepted shape.
type SignedData struct {
	// Hash is the digest algorithm of the content and of the signed attributes.
	Hash crypto.Hash
	// ContentType is eContentType: id-data, unless a Content asked for another.
	ContentType asn1.ObjectIdentifier
	// Attached says whether the content stands inside; Content is it.
	Attached bool
	Content  []byte
	// Certificates are in the order of DER, which is not that of the chain:
	// SignerCertificate finds the signer's. There may be none.
	Certificates []*x509.Certificate
	// Issuer (DER of the name) and Serial identify the signer's certificate.
	Issuer []byte
	Serial *big.Int
	// SignedAttributes and UnsignedAttributes are DER SETs, tag 0x31;
	// UnsignedAttributes is nil where there are none.
	SignedAttributes   []byte
	UnsignedAttributes []byte
	// Signature is the signature value over SignedAttributes.
	Signature []byte

	attributes         []Attribute // SignedAttributes, as Parse has read them
	digestAlgorithms   []algorithm
	digestAlgorithm    algorithm
	signatureAlgorithm algorithm
}

// Parts are what a signature is assembled from.
type Parts struct {
	SignedAttributes []byte // DER SET, as EncodeAttributes writes it
	Signature        []byte
	Certificate      *x509.Certificate
	Chain            []*x509.Certificate // issuers, without the signer's certificate
	Hash             crypto.Hash
	// Scheme is how the key signed; zero is the key's own.
	Scheme Scheme
	// Content is attached; nil makes a detached signature of id-data.
	Content *Content
	// Bare leaves all certificates out: who asks for a time-stamp may do
	// without them (RFC 3161, 2.4.1, certReq).
	Bare bool
}

// Content is a content with its type.
type Content struct {
	Type asn1.ObjectIdentifier
	DER  []byte // what eContent holds; DER, unless Type is id-data
}

type (
	contentInfo struct {
		ContentType asn1.ObjectIdentifier
		Content     signedData `asn1:"explicit,tag:0"`
	}
	signedData struct {
		Version          int
		DigestAlgorithms []algorithm `asn1:"set"`
		EncapContentInfo encapContentInfo
		Certificates     rawSet       `asn1:"optional,tag:0"`
		SignerInfos      []signerInfo `asn1:"set"`
	}
	encapContentInfo struct {
		ContentType asn1.ObjectIdentifier
		Content     asn1.RawValue `asn1:"explicit,optional,tag:0"`
	}
	signerInfo struct {
		Version            int
		SID                issuerAndSerial
		DigestAlgorithm    algorithm
		SignedAttributes   rawSet `asn1:"optional,tag:0"`
		SignatureAlgorithm algorithm
		Signature          []byte
		UnsignedAttributes rawSet `asn1:"optional,tag:1"`
	}
	issuerAndSerial struct {
		Issuer asn1.RawValue
		Serial *big.Int
	}
	// rawSet is an implicitly tagged SET kept as it stands. (An asn1.RawValue
	// would not look at its field's tag.)
	rawSet struct {
		Raw asn1.RawContent
	}
)

// Both versions are 1 where the content is id-data: the signer is named by
// issuer and serial number. Another content makes that of SignedData 3 (RFC
// 5652, 5.1 and 5.3).
const (
	version             = 1
	versionOtherContent = 3
)

// Assemble puts a SignedData together. It does not verify: Verify and
// VerifyContent do, and nothing may leave without the one or the other.
func Assemble(p Parts) ([]byte, error) {
	if _, err := ParseAttributes(p.SignedAttributes); err != nil {
		return nil, err
	}
	s, err := newSignedData(p)
	if err != nil {
		return nil, err
	}
	return s.Encode()
}

func newSignedData(p Parts) (*SignedData, error) {
	digest, err := digestAlgorithm(p.Hash)
	if err != nil {
		return nil, err
	}
	signature, err := signatureAlgorithm(p.Certificate.PublicKey, p.Hash, p.Scheme)
	if err != nil {
		return nil, err
	}
	s := &SignedData{
		Hash:               p.Hash,
		ContentType:        idData,
		Issuer:             p.Certificate.RawIssuer,
		Serial:             p.Certificate.SerialNumber,
		SignedAttributes:   p.SignedAttributes,
		Signature:          p.Signature,
		digestAlgorithms:   []algorithm{digest},
		digestAlgorithm:    digest,
		signatureAlgorithm: signature,
	}
	if p.Content != nil {
		s.ContentType, s.Attached, s.Content = p.Content.Type, true, p.Content.DER
	}
	if !p.Bare {
		s.Certificates = append([]*x509.Certificate{p.Certificate}, p.Chain...)
	}
	return s, nil
}

// encodeSigner gives the SignerInfo alone.
func encodeSigner(p Parts) ([]byte, error) {
	if _, err := ParseAttributes(p.SignedAttributes); err != nil {
		return nil, err
	}
	s, err := newSignedData(p)
	if err != nil {
		return nil, err
	}
	der, err := asn1.Marshal(s.signerInfo())
	if err != nil {
		return nil, fmt.Errorf("encoding SignerInfo: %w", err)
	}
	return der, nil
}

// signerInfo is the one signer.
func (s *SignedData) signerInfo() signerInfo {
	return signerInfo{
		Version:            version,
		SID:                issuerAndSerial{Issuer: asn1.RawValue{FullBytes: s.Issuer}, Serial: s.Serial},
		DigestAlgorithm:    s.digestAlgorithm,
		SignedAttributes:   rawSet{retag(s.SignedAttributes, context0Set)},
		SignatureAlgorithm: s.signatureAlgorithm,
		Signature:          s.Signature,
		UnsignedAttributes: rawSet{retag(s.UnsignedAttributes, context1Set)},
	}
}

// Encode writes the signature as DER.
func (s *SignedData) Encode() ([]byte, error) {
	encap := encapContentInfo{ContentType: s.ContentType}
	outer := versionOtherContent
	if s.ContentType.Equal(idData) {
		outer = version
	}
	if s.Attached {
		octets, err := asn1.Marshal(s.Content)
		if err != nil {
			return nil, fmt.Errorf("encoding content: %w", err)
		}
		encap.Content = asn1.RawValue{Class: asn1.ClassContextSpecific, IsCompound: true, Bytes: octets}
	}
	certificates, err := encodeCertificates(s.Certificates)
	if err != nil {
		return nil, err
	}
	der, err := asn1.Marshal(contentInfo{ContentType: idSignedData, Content: signedData{
		Version:          outer,
		DigestAlgorithms: s.digestAlgorithms,
		EncapContentInfo: encap,
		Certificates:     certificates,
		SignerInfos:      []signerInfo{s.signerInfo()},
	}})
	if err != nil {
		return nil, fmt.Errorf("encoding SignedData: %w", err)
	}
	return der, nil
}

// SignerCertificate is the certificate that the signer identifier names, nil
// if it is not among them.
func (s *SignedData) SignerCertificate() *x509.Certificate {
	for _, cert := range s.Certificates {
		if bytes.Equal(cert.RawIssuer, s.Issuer) && cert.SerialNumber.Cmp(s.Serial) == 0 {
			return cert
		}
	}
	return nil
}

// encodeCertificates writes a CertificateSet in DER order (X.690, 11.6): the
// Contents of a PDF signature have to be DER (ISO 32000-2, 12.8.3.3.1), and
// verifiers find certificates by name, not by place.
func encodeCertificates(certificates []*x509.Certificate) (rawSet, error) {
	if len(certificates) == 0 {
		return rawSet{}, nil
	}
	raw := make([][]byte, 0, len(certificates))
	for _, cert := range certificates {
		raw = append(raw, cert.Raw)
	}
	slices.SortFunc(raw, bytes.Compare)
	der, err := asn1.Marshal(asn1.RawValue{
		Class: asn1.ClassContextSpecific, IsCompound: true, Bytes: bytes.Join(slices.CompactFunc(raw, bytes.Equal), nil),
	})
	if err != nil {
		return rawSet{}, fmt.Errorf("encoding certificates: %w", err)
	}
	return rawSet{Raw: der}, nil
}
