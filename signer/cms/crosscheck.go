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
	p7, err := crossRead(der)
	if err != nil {
		return err
	}
	if len(p7.Content) == 0 {
		p7.Content = content
	}
	if !bytes.Equal(p7.Content, content) {
		return fmt.Errorf("%w: cross-check: another content", ErrInvalid)
	}
	if len(p7.Signers) == 0 {
		return fmt.Errorf("%w: cross-check: no signer", ErrInvalid)
	}
	for i := range p7.Signers {
		alone := *p7
		alone.Signers = p7.Signers[i : i+1]
		if alone.Signers[0].DigestEncryptionAlgorithm.Algorithm.Equal(idRSASSAPSS) {
			hash := hashNamed(alone.Signers[0].DigestAlgorithm.Algorithm)
			if hash == 0 {
				return fmt.Errorf("%w: cross-check: digest algorithm", ErrUnsupported)
			}
			if err := crossCheckValue(&alone, sum(hash, content)); err != nil {
				return err
			}
			continue
		}
		if err := alone.Verify(); err != nil {
			return fmt.Errorf("%w: cross-check: %w", ErrInvalid, err)
		}
	}
	return nil
}

// CrossCheckDigest is CrossCheck for a detached content that is too large to be
// held: pkcs7 reads the message, crypto/x509 judges its one value.
func CrossCheckDigest(der, digest []byte) error {
	p7, err := crossRead(der)
	if err != nil {
		return err
	}
	if len(p7.Signers) != 1 || len(p7.Content) > 0 {
		return fmt.Errorf("%w: cross-check: %d signers, %d octets attached", ErrInvalid, len(p7.Signers), len(p7.Content))
	}
	return crossCheckValue(p7, digest)
}

// crossRead takes crls away first where OCSP answers are among them: pkcs7 knows
// nothing but lists there, and would not find the signers behind them.
func crossRead(der []byte) (*pkcs7.PKCS7, error) {
	m, err := Open(bytes.NewReader(der), int64(len(der)))
	if err != nil {
		return nil, err
	}
	if len(m.CRLs()) < len(m.revocations.elements) {
		var without bytes.Buffer
		m.revocations = set{}
		if err := m.Write(&without); err != nil {
			return nil, err
		}
		der = without.Bytes()
	}
	p7, err := pkcs7.Parse(der)
	if err != nil {
		return nil, fmt.Errorf("%w: cross-check: %w", ErrMalformed, err)
	}
	return p7, nil
}

// crossCheckValue judges the only signer of a message.
func crossCheckValue(p7 *pkcs7.PKCS7, digest []byte) error {
	signer := &p7.Signers[0]
	var signed []byte
	for _, a := range signer.AuthenticatedAttributes {
		if !a.Type.Equal(idMessageDigest) {
			continue
		}
		if _, err := asn1.Unmarshal(a.Value.Bytes, &signed); err != nil {
			return fmt.Errorf("%w: cross-check: %w", ErrMalformed, err)
		}
	}
	attributes, err := asn1.MarshalWithParams(signer.AuthenticatedAttributes, "set")
	if err != nil {
		return fmt.Errorf("%w: cross-check: %w", ErrMalformed, err)
	}
	certificate := p7.GetOnlySigner()
	if certificate == nil || !bytes.Equal(signed, digest) {
		return fmt.Errorf("%w: cross-check: message-digest or signer", ErrInvalid)
	}
	algorithm := crossAlgorithm(certificate, signer.DigestEncryptionAlgorithm.Algorithm, hashNamed(signer.DigestAlgorithm.Algorithm))
	if err := certificate.CheckSignature(algorithm, attributes, signer.EncryptedDigest); err != nil {
		return fmt.Errorf("%w: cross-check: %w", ErrInvalid, err)
	}
	return nil
}

// hashNamed is 0 for all but the hashes that this package writes.
func hashNamed(oid asn1.ObjectIdentifier) crypto.Hash {
	switch {
	case oid.Equal(idSHA256):
		return crypto.SHA256
	case oid.Equal(idSHA384):
		return crypto.SHA384
	case oid.Equal(idSHA512):
		return crypto.SHA512
	default:
		return 0
	}
}

// crossAlgorithm says it in the words of crypto/x509, which refuses what it does
// not know.
func crossAlgorithm(certificate *x509.Certificate, oid asn1.ObjectIdentifier, hash crypto.Hash) x509.SignatureAlgorithm {
	for _, row := range []struct {
		hash            crypto.Hash
		pkcs, pss, ecds x509.SignatureAlgorithm
	}{
		{crypto.SHA256, x509.SHA256WithRSA, x509.SHA256WithRSAPSS, x509.ECDSAWithSHA256},
		{crypto.SHA384, x509.SHA384WithRSA, x509.SHA384WithRSAPSS, x509.ECDSAWithSHA384},
		{crypto.SHA512, x509.SHA512WithRSA, x509.SHA512WithRSAPSS, x509.ECDSAWithSHA512},
	} {
		switch {
		case row.hash != hash:
		case oid.Equal(idRSASSAPSS):
			return row.pss
		case certificate.PublicKeyAlgorithm == x509.ECDSA:
			return row.ecds
		default:
			return row.pkcs
		}
	}
	return x509.UnknownSignatureAlgorithm
}
