package augment

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/rubrica-firma/rubrica/ca/ocsp"
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
	list, err := x509.ParseRevocationList(content)
	if err != nil {
		return status{}, fmt.Errorf("%w: %w", errList, err)
	}
	if err := list.CheckSignatureFrom(issuer); err != nil {
		return status{}, fmt.Errorf("%w: %w", errList, err)
	}
	if string(list.RawIssuer) != string(certificate.RawIssuer) {
		return status{}, fmt.Errorf("%w: it is another authority's", errList)
	}
	s := status{State: ocsp.Good, thisUpdate: list.ThisUpdate, nextUpdate: list.NextUpdate}
	for _, e := range list.Extensions {
		switch {
		case e.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 60}): // expiredCertsOnCRL
			s.expired = true
		case e.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 28}):
			if err := checkScope(e.Value, certificate); err != nil {
				return status{}, err
			}
		case e.Critical:
			return status{}, fmt.Errorf("%w: critical extension %v", errList, e.Id)
		}
	}
	return s, s.look(list.RevokedCertificateEntries, certificate.SerialNumber)
}

// look finds the certificate's entry.
func (s *status) look(entries []x509.RevocationListEntry, serial *big.Int) error {
	for _, entry := range entries {
		if slices.ContainsFunc(entry.Extensions, func(e pkix.Extension) bool { return e.Critical }) {
			return fmt.Errorf("%w: critical extension of an entry", errList)
		}
		if entry.SerialNumber.Cmp(serial) == 0 {
			s.Status = ocsp.Status{State: ocsp.Revoked, RevokedAt: entry.RevocationTime, Reason: entry.ReasonCode}
		}
	}
	return nil
}

// checkScope reads issuingDistributionPoint (RFC 5280, section 5.2.5): the list
// has to be the one that the certificate names, for certificates of its kind
// and for all reasons.
func checkScope(value cryptobyte.String, certificate *x509.Certificate) error {
	outside := fmt.Errorf("%w: it does not speak of this certificate", errList)
	var fields, point, full cryptobyte.String
	var named bool
	if !value.ReadASN1(&fields, der.SEQUENCE) || !value.Empty() ||
		!fields.ReadOptionalASN1(&point, &named, der.Tag(0).ContextSpecific().Constructed()) {
		return fmt.Errorf("%w: issuingDistributionPoint", errList)
	}
	if named {
		if !point.ReadASN1(&full, der.Tag(0).ContextSpecific().Constructed()) || !hasName(full, certificate.CRLDistributionPoints) {
			return outside
		}
	}
	for !fields.Empty() {
		var flag cryptobyte.String
		var kind der.Tag
		if !fields.ReadAnyASN1(&flag, &kind) {
			return fmt.Errorf("%w: issuingDistributionPoint", errList)
		}
		users, authorities := der.Tag(1).ContextSpecific(), der.Tag(2).ContextSpecific()
		if kind == users && !certificate.IsCA || kind == authorities && certificate.IsCA {
			continue
		}
		return outside
	}
	return nil
}

// hasName is whether one of the names is one of the addresses.
func hasName(general cryptobyte.String, addresses []string) bool {
	for !general.Empty() {
		var name cryptobyte.String
		var kind der.Tag
		if !general.ReadAnyASN1(&name, &kind) {
			return false
		}
		if kind == der.Tag(6).ContextSpecific() && slices.Contains(addresses, string(name)) {
			return true
		}
	}
	return false
}
