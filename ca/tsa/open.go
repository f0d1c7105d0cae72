package tsa

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"io"
	"slices"

	"github.com/rubrica-firma/rubrica/signer/cms"
)

// Read reads a token and verifies its signature, by a certificate inside or
// among others. Whether the signer may stamp, and is trusted, Fit and Chain say.
func Read(token []byte, others ...*x509.Certificate) (*Stamp, error) {
	m, err := cms.Open(bytes.NewReader(token), int64(len(token)))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrToken, err)
	}
	if !m.ContentType.Equal(idTSTInfo()) || !m.Attached() || m.ContentSize() > MaxResponse || len(m.Signers) != 1 {
		return nil, unreliable("not a TimeStampToken")
	}
	tst, err := io.ReadAll(m.Content())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrToken, err)
	}
	s, err := readInfo(tst)
	if err != nil {
		return nil, err
	}
	signer := m.Signers[0]
	s.Certificates, s.SignedBy = m.Certificates, signer.Hash
	if s.Signer = signer.Certificate(slices.Concat(m.Certificates, others)); s.Signer == nil {
		return nil, unreliable("the certificate of its signer is missing")
	}
	if signer.Attribute(idSigningCertificate()) == nil && signer.Attribute(idSigningCertificateV2()) == nil {
		return nil, unreliable("it does not name its signer's certificate")
	}
	if err := signer.Verify(s.Signer, signer.HashOf(tst)); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrToken, err)
	}
	return s, nil
}

// The ESS attributes of RFC 2634, 5.4 and RFC 5035, 3.
func idSigningCertificate() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 12}
}

func idSigningCertificateV2() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 47}
}
