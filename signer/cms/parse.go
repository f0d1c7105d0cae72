package cms

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"slices"
)

// maxCertificates bounds the work that somebody else's signature can cause.
const maxCertificates = 32

// Parse reads a SignedData of the accepted shape with content of type id-data.
// Everything else, and everything that is not DER, is an error.
func Parse(der []byte) (*SignedData, error) { return parse(der, idData) }

// parse reads no certificate again that is known.
func parse(der []byte, contentType asn1.ObjectIdentifier, known ...*x509.Certificate) (*SignedData, error) {
	var info contentInfo
	rest, err := asn1.Unmarshal(der, &info)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("%w: bytes after the end", ErrMalformed)
	}
	if !info.Content.EncapContentInfo.ContentType.Equal(contentType) {
		return nil, fmt.Errorf("%w: content type", ErrMalformed)
	}
	s, err := read(&info, known)
	if err != nil {
		return nil, err
	}
	// The comparison refuses in one place every licence that encoding/asn1
	// takes: unsorted sets, unknown trailing members, other versions.
	again, err := s.Encode()
	if err != nil || !bytes.Equal(again, der) {
		return nil, fmt.Errorf("%w: not the DER of the accepted shape", ErrMalformed)
	}
	return s, nil
}

func read(info *contentInfo, known []*x509.Certificate) (*SignedData, error) {
	data := &info.Content
	if !info.ContentType.Equal(idSignedData) {
		return nil, fmt.Errorf("%w: content type", ErrMalformed)
	}
	if len(data.SignerInfos) != 1 {
		return nil, fmt.Errorf("%w: %d signers", ErrMalformed, len(data.SignerInfos))
	}
	signer := &data.SignerInfos[0]
	hash, err := hashOf(signer.DigestAlgorithm)
	if err != nil {
		return nil, err
	}
	s := &SignedData{
		Hash:               hash,
		ContentType:        data.EncapContentInfo.ContentType,
		Issuer:             signer.SID.Issuer.FullBytes,
		Serial:             signer.SID.Serial,
		SignedAttributes:   untag(signer.SignedAttributes),
		UnsignedAttributes: untag(signer.UnsignedAttributes),
		Signature:          signer.Signature,
		digestAlgorithms:   data.DigestAlgorithms,
		digestAlgorithm:    signer.DigestAlgorithm,
		signatureAlgorithm: signer.SignatureAlgorithm,
	}
	if s.attributes, err = ParseAttributes(s.SignedAttributes); err != nil {
		return nil, err
	}
	if content := data.EncapContentInfo.Content; len(content.FullBytes) > 0 {
		s.Attached = true
		if rest, err := asn1.Unmarshal(content.Bytes, &s.Content); err != nil || len(rest) > 0 {
			return nil, fmt.Errorf("%w: content", ErrMalformed)
		}
	}
	s.Certificates, err = readCertificates(data.Certificates, known)
	return s, err
}

func readCertificates(set rawSet, known []*x509.Certificate) ([]*x509.Certificate, error) {
	if len(set.Raw) == 0 {
		return nil, nil
	}
	var outer asn1.RawValue
	if rest, err := asn1.Unmarshal(set.Raw, &outer); err != nil || len(rest) > 0 {
		return nil, fmt.Errorf("%w: certificates", ErrMalformed)
	}
	var certificates []*x509.Certificate
	for rest := outer.Bytes; len(rest) > 0; {
		var der asn1.RawValue
		var err error
		if rest, err = asn1.Unmarshal(rest, &der); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		same := func(c *x509.Certificate) bool { return bytes.Equal(c.Raw, der.FullBytes) }
		if i := slices.IndexFunc(known, same); i >= 0 {
			certificates = append(certificates, known[i])
			continue
		}
		certificate, err := x509.ParseCertificate(der.FullBytes)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		certificates = append(certificates, certificate)
	}
	if len(certificates) == 0 || len(certificates) > maxCertificates {
		return nil, fmt.Errorf("%w: %d certificates", ErrMalformed, len(certificates))
	}
	return certificates, nil
}

// untag gives an implicitly tagged SET its own identifier octet again.
func untag(set rawSet) []byte {
	return retag(set.Raw, tagSet)
}
