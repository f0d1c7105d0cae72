package augment

import (
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/rubrica-firma/rubrica/ca/ocsp"
	"github.com/rubrica-firma/rubrica/signer/cades"
)

// errList is in every error about a revocation list that proves nothing about a
// certificate.
var errList = errors.New("not a revocation list to rely on")

// status is what an answer or a list proves about a certificate.
type status struct {
	ocsp.Status

	thisUpdate, nextUpdate time.Time
	// expired is whether certificates that have expired are spoken of, too.
	expired bool
}

// readList says what a complete list of the certificate's issuer proves about it
// (RFC 5280, section 6.3.3). Lists of others' certificates, of some reasons and
// of changes are none.
func readList(content []byte, certificate, issuer *x509.Certificate) (status, error) {
	list, err := cades.ReadList(content)
	if err != nil {
		return status{}, fmt.Errorf("%w: %w", errList, err)
	}
	if err := list.CheckSignatureFrom(issuer); err != nil {
		return status{}, fmt.Errorf("%w: %w", errList, err)
	}
	if !list.Covers(certificate) {
		return status{}, fmt.Errorf("%w: it does not speak of this certificate", errList)
	}
	entry, listed, err := list.Entry(certificate)
	if err != nil {
		return status{}, fmt.Errorf("%w: %w", errList, err)
	}
	s := status{State: ocsp.Good, thisUpdate: list.ThisUpdate, nextUpdate: list.NextUpdate, expired: list.KeepsExpired(certificate)}
	if listed {
		s.Status = ocsp.Status{State: ocsp.Revoked, RevokedAt: entry.RevocationTime, Reason: entry.ReasonCode}
	}
	return s, nil
}
