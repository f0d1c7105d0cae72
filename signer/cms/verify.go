package cms

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"slices"
)

// Verify says whether der is a signature of cert over the content with the
// given digest, made the way CAdES and PAdES ask: signed by cert, which stands
// inside; content-type, message-digest and signing-certificate-v2 present and
// right (RFC 5652, 5.6; EN 319 122-1, 5.2.2); digest and signature algorithm
// as Assemble writes them. It does not build or judge the certificate's path.
func Verify(der, contentDigest []byte, cert *x509.Certificate) error {
	s, err := parse(der, idData, cert)
	if err != nil {
		return err
	}
	if signer := s.SignerCertificate(); signer == nil || !signer.Equal(cert) {
		return fmt.Errorf("%w: another signer", ErrInvalid)
	}
	if s.Attached && !bytes.Equal(sum(s.Hash, s.Content), contentDigest) {
		return fmt.Errorf("%w: the attached content is another", ErrInvalid)
	}
	return s.check(contentDigest, cert)
}

// VerifyContent says whether der is a signature of cert with exactly this content
// attached, made as Verify demands but for one thing: there may be no
// certificates inside. Those of the chain, if given, are not read again.
func VerifyContent(der []byte, content Content, cert *x509.Certificate, chain ...*x509.Certificate) error {
	s, err := parse(der, content.Type, append(slices.Clip(chain), cert)...)
	if err != nil {
		return err
	}
	if !bytes.Equal(s.Issuer, cert.RawIssuer) || s.Serial.Cmp(cert.SerialNumber) != 0 {
		return fmt.Errorf("%w: another signer", ErrInvalid)
	}
	if signer := s.SignerCertificate(); len(s.Certificates) > 0 && (signer == nil || !signer.Equal(cert)) {
		return fmt.Errorf("%w: the signer's certificate is not among those inside", ErrInvalid)
	}
	if !s.Attached || !bytes.Equal(s.Content, content.DER) {
		return fmt.Errorf("%w: the attached content is another", ErrInvalid)
	}
	return s.check(sum(s.Hash, content.DER), cert)
}

// check is what both have in common: everything but who signed and what.
func (s *SignedData) check(contentDigest []byte, cert *x509.Certificate) error {
	if err := s.checkAlgorithms(cert); err != nil {
		return err
	}
	if err := s.checkAttributes(contentDigest, cert); err != nil {
		return err
	}
	how, err := methodOf(s.signatureAlgorithm)
	if err != nil {
		return err
	}
	return how.check(cert.PublicKey, s.Hash, sum(s.Hash, s.SignedAttributes), s.Signature)
}

// MessageDigest is the digest of the content that the signed attributes hold, as
// Parse read them.
func (s *SignedData) MessageDigest() ([]byte, error) {
	var digest []byte
	value := find(s.attributes, idMessageDigest)
	if rest, err := asn1.Unmarshal(value, &digest); err != nil || len(rest) > 0 || len(digest) != s.Hash.Size() {
		return nil, fmt.Errorf("%w: message-digest", ErrMalformed)
	}
	return digest, nil
}

// checkAlgorithms ties the digest, its one listing and the signature algorithm
// together, so that no signature is read under an algorithm it was not made for.
func (s *SignedData) checkAlgorithms(cert *x509.Certificate) error {
	how, err := methodOf(s.signatureAlgorithm)
	if err != nil {
		return err
	}
	want, err := signatureAlgorithm(cert.PublicKey, s.Hash, how.scheme)
	if err != nil {
		return err
	}
	if !sameAlgorithm(s.signatureAlgorithm, want) {
		return fmt.Errorf("%w: signature algorithm %v", ErrUnsupported, s.signatureAlgorithm.OID)
	}
	if len(s.digestAlgorithms) != 1 || !s.digestAlgorithms[0].OID.Equal(s.digestAlgorithm.OID) {
		return fmt.Errorf("%w: digest algorithms differ", ErrInvalid)
	}
	return nil
}

func (s *SignedData) checkAttributes(contentDigest []byte, cert *x509.Certificate) error {
	var contentType asn1.ObjectIdentifier
	rest, err := asn1.Unmarshal(find(s.attributes, idContentType), &contentType)
	if err != nil || len(rest) > 0 || !contentType.Equal(s.ContentType) {
		return fmt.Errorf("%w: content-type", ErrInvalid)
	}
	digest, err := s.MessageDigest()
	if err != nil {
		return err
	}
	if !bytes.Equal(digest, contentDigest) {
		return ErrDigest
	}
	return checkSigningCertificateV2(find(s.attributes, idSigningCertV2), cert, hashOf)
}

func find(attributes []Attribute, oid asn1.ObjectIdentifier) []byte {
	for _, a := range attributes {
		if a.Type.Equal(oid) {
			return a.Value
		}
	}
	return nil
}
