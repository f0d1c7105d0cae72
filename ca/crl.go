package ca

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"math/big"
	"slices"
	"time"
)

// Reason is why a certificate was revoked (RFC 5280, section 5.3.1). Zero says
// nothing about it.
type Reason int

// The reasons that the profile uses.
const (
	Unspecified          Reason = 0
	KeyCompromise        Reason = 1
	AffiliationChanged   Reason = 3
	Superseded           Reason = 4
	CessationOfOperation Reason = 5
	CertificateHold      Reason = 6
)

// Revocation is one revoked certificate.
type Revocation struct {
	Serial []byte // big-endian, as Prepared.Serial gives it
	At     time.Time
	Reason Reason
}

// List is what a certificate revocation list is to say.
type List struct {
	Number     int64 // greater than that of any list before
	ThisUpdate time.Time
	NextUpdate time.Time
	Revoked    []Revocation
}

// CRL signs and verifies a certificate revocation list of the authority, the
// issuing one or the root (RFC 5280, section 5: version 2, with the list's
// number and the authority's key identifier; one entry per certificate,
// ordered by serial number so that equal lists are equal bytes).
func CRL(l List, issuer *x509.Certificate, signer crypto.Signer) ([]byte, error) {
	if l.Number <= 0 || !l.ThisUpdate.Before(l.NextUpdate) {
		return nil, fmt.Errorf("%w: a list needs a positive number and an update after its issue", ErrRequest)
	}
	entries := make([]x509.RevocationListEntry, len(l.Revoked))
	for i, r := range l.Revoked {
		entries[i] = x509.RevocationListEntry{
			SerialNumber:   new(big.Int).SetBytes(r.Serial),
			RevocationTime: r.At.UTC().Truncate(time.Second),
			ReasonCode:     int(r.Reason),
		}
	}
	slices.SortFunc(entries, func(a, b x509.RevocationListEntry) int { return a.SerialNumber.Cmp(b.SerialNumber) })
	for i := range entries {
		if entries[i].SerialNumber.Sign() == 0 || i > 0 && entries[i].SerialNumber.Cmp(entries[i-1].SerialNumber) == 0 {
			return nil, fmt.Errorf("%w: serial %x stands twice in the list, or is none", ErrRequest, entries[i].SerialNumber)
		}
	}
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number:                    big.NewInt(l.Number),
		ThisUpdate:                l.ThisUpdate.UTC().Truncate(time.Second),
		NextUpdate:                l.NextUpdate.UTC().Truncate(time.Second),
		RevokedCertificateEntries: entries,
	}, issuer, signer)
	if err != nil {
		return nil, fmt.Errorf("signing a revocation list: %w", err)
	}
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		return nil, fmt.Errorf("reading a revocation list: %w", err)
	}
	if err := list.CheckSignatureFrom(issuer); err != nil {
		return nil, fmt.Errorf("verifying a revocation list: %w", err)
	}
	return der, nil
}

// CRL signs a list of this authority.
func (a *Authority) CRL(l List) ([]byte, error) { return CRL(l, a.Certificate, a.Signer) }
