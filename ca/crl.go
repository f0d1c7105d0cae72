package ca

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
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

// listed is whether a list may give the reason: 7 is none, and 8 belongs to
// delta lists.
func (r Reason) listed() bool { return r >= 0 && r <= 10 && r != 7 && r != 8 }

// compareSerials orders by number. Serials have no leading zero octets.
func compareSerials(a, b Revocation) int {
	return cmp.Or(cmp.Compare(len(a.Serial), len(b.Serial)), bytes.Compare(a.Serial, b.Serial))
}

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
	// DistributionPoint is the address at which the list is published, if it
	// speaks of none but the citizens and services whose certificates name it.
	// A list without one speaks of all certificates of its authority: the
	// root's, who are few.
	DistributionPoint string
}

// LastNextUpdate is the nextUpdate of a list after which there will be no
// other: 99991231235959Z (ETSI EN 319 411-1, requirement CSS-6.3.9-06).
func LastNextUpdate() time.Time { return time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC) }

func oidIssuingDistributionPoint() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{2, 5, 29, 28} }

// CRL signs and verifies a certificate revocation list of the authority, the
// issuing one or the root, after RFC 5280, section 5:
//
//	version               v2                                          5.1.2.1
//	signature             that of the authority's key                 5.1.2.2
//	thisUpdate            whole seconds                               5.1.2.4
//	nextUpdate            always there                                5.1.2.5
//	revokedCertificates   ordered by serial: equal lists, equal bytes 5.1.2.6
//	reasonCode            not critical, absent if unspecified         5.3.1
//	authorityKeyId        not critical                                5.2.1
//	cRLNumber             not critical                                5.2.3
//	issuingDistPoint      critical, with DistributionPoint only:      5.2.5
//	                      its address, and onlyContainsUserCerts
//	expiredCertsOnCRL     absent: expired certificates leave the list EN 319 411-2 CSS-6.3.10-06
func CRL(l List, issuer *x509.Certificate, signer crypto.Signer) ([]byte, error) {
	entries, err := l.entries()
	if err != nil {
		return nil, err
	}
	scope, err := l.scope()
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number:                    big.NewInt(l.Number),
		ThisUpdate:                l.ThisUpdate.UTC().Truncate(time.Second),
		NextUpdate:                l.NextUpdate.UTC().Truncate(time.Second),
		RevokedCertificateEntries: entries,
		ExtraExtensions:           scope,
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

// entries are in the order of their serial numbers, which are positive and
// stand once.
func (l List) entries() ([]x509.RevocationListEntry, error) {
	if l.Number <= 0 || !l.ThisUpdate.Before(l.NextUpdate) {
		return nil, fmt.Errorf("%w: a list needs a positive number and an update after its issue", ErrRequest)
	}
	entries := make([]x509.RevocationListEntry, len(l.Revoked))
	for i, r := range l.Revoked {
		if !r.Reason.listed() {
			return nil, fmt.Errorf("%w: reason %d is not one for a list", ErrRequest, r.Reason)
		}
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
	return entries, nil
}

// scope is the extension issuingDistributionPoint. The address in it is the one
// in the certificates, octet for octet: a validator compares them (RFC 5280,
// section 6.3.3, step b 2 i), and so finds out a list of another shard.
func (l List) scope() ([]pkix.Extension, error) {
	if l.DistributionPoint == "" {
		return nil, nil
	}
	if !isHTTP(l.DistributionPoint) {
		return nil, fmt.Errorf("%w: the address %q of a list is no http address", ErrRequest, l.DistributionPoint)
	}
	value, err := asn1.Marshal(issuingDistributionPoint{
		Name:                  distributionPointName{FullName: []asn1.RawValue{uri(l.DistributionPoint)}},
		OnlyContainsUserCerts: true,
	})
	if err != nil {
		return nil, fmt.Errorf("encoding the scope of a list: %w", err)
	}
	return []pkix.Extension{{Id: oidIssuingDistributionPoint(), Critical: true, Value: value}}, nil
}

// issuingDistributionPoint is what we use of the extension (RFC 5280, section
// 5.2.5).
type issuingDistributionPoint struct {
	Name                  distributionPointName `asn1:"tag:0"`
	OnlyContainsUserCerts bool                  `asn1:"tag:1"`
}

// readList reads what a list of ours says.
func readList(der []byte) (List, error) {
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		return List{}, fmt.Errorf("reading a revocation list: %w", err)
	}
	l := List{Number: list.Number.Int64(), ThisUpdate: list.ThisUpdate, NextUpdate: list.NextUpdate}
	for _, e := range list.RevokedCertificateEntries {
		l.Revoked = append(l.Revoked, Revocation{Serial: e.SerialNumber.Bytes(), At: e.RevocationTime, Reason: Reason(e.ReasonCode)})
	}
	for _, e := range list.Extensions {
		if !e.Id.Equal(oidIssuingDistributionPoint()) {
			continue
		}
		var scope issuingDistributionPoint
		if _, err := asn1.Unmarshal(e.Value, &scope); err != nil || len(scope.Name.FullName) != 1 {
			return List{}, errors.New("reading the scope of a revocation list: not one of ours")
		}
		l.DistributionPoint = string(scope.Name.FullName[0].Bytes)
	}
	return l, nil
}
