package cms

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"fmt"

	"go.mozilla.org/pkcs7"
)

// CrossCheck asks go.mozilla.org/pkcs7, which shares no code with this package,
// whether der is a valid signature over content, of all its signers. It knows
// nothing of ESS or content-type: it is a second opinion on encoding and
// mathematics, not a replacement for Verify.
//
// It knows nothing of RSASSA-PSS either. Where a signer uses that, it still reads
// the message, and crypto/x509 judges the value over the attributes that it read.
func CrossCheck(der, content []byte) error {
	p7, err := pkcs7.Parse(der)
	if err != nil {
		return fmt.Errorf("%w: cross-check: %w", ErrMalformed, err)
	}
	if len(p7.Content) == 0 {
		p7.Content = content
	}
	if !bytes.Equal(p7.Content, content) {
		return fmt.Errorf("%w: cross-check: another content", ErrInvalid)
	}
	for i := range p7.Signers {
		if p7.Signers[i].DigestEncryptionAlgorithm.Algorithm.Equal(idRSASSAPSS) {
			return crossCheckPSS(p7)
		}
	}
	if err := p7.Verify(); err != nil {
		return fmt.Errorf("%w: cross-check: %w", ErrInvalid, err)
	}
	return nil
}

// crossCheckPSS takes each signer in turn: those with PSS here, the others as
// ever.
func crossCheckPSS(p7 *pkcs7.PKCS7) error {
	for i := range p7.Signers {
		signer := p7.Signers[i]
		alone := *p7
		alone.Signers = p7.Signers[i : i+1]
		if !signer.DigestEncryptionAlgorithm.Algorithm.Equal(idRSASSAPSS) {
			if err := alone.Verify(); err != nil {
				return fmt.Errorf("%w: cross-check: %w", ErrInvalid, err)
			}
			continue
		}
		var digest []byte
		for _, a := range signer.AuthenticatedAttributes {
			if !a.Type.Equal(idMessageDigest) {
				continue
			}
			if _, err := asn1.Unmarshal(a.Value.Bytes, &digest); err != nil {
				return fmt.Errorf("%w: cross-check: %w", ErrMalformed, err)
			}
		}
		attributes, err := asn1.MarshalWithParams(signer.AuthenticatedAttributes, "set")
		if err != nil {
			return fmt.Errorf("%w: cross-check: %w", ErrMalformed, err)
		}
		algorithm, hash := pssOfX509(signer.DigestAlgorithm.Algorithm)
		certificate := alone.GetOnlySigner()
		if certificate == nil || hash == 0 || !bytes.Equal(digest, sum(hash, p7.Content)) {
			return fmt.Errorf("%w: cross-check: message-digest", ErrInvalid)
		}
		if err := certificate.CheckSignature(algorithm, attributes, signer.EncryptedDigest); err != nil {
			return fmt.Errorf("%w: cross-check: %w", ErrInvalid, err)
		}
	}
	return nil
}

func pssOfX509(digest asn1.ObjectIdentifier) (x509.SignatureAlgorithm, crypto.Hash) {
	switch {
	case digest.Equal(idSHA256):
		return x509.SHA256WithRSAPSS, crypto.SHA256
	case digest.Equal(idSHA384):
		return x509.SHA384WithRSAPSS, crypto.SHA384
	case digest.Equal(idSHA512):
		return x509.SHA512WithRSAPSS, crypto.SHA512
	default:
		return x509.UnknownSignatureAlgorithm, 0
	}
}
