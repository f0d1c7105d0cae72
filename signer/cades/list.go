package cades

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Scope is which certificates a revocation list speaks of, by its issuer and its
// extensions (RFC 5280, 5.2).
type Scope struct {
	// Expired is expiredCertsOnCRL (ISO/IEC 9594-8, 9.5.2.8): the list speaks of
	// certificates that expired since then, too; zero: of none.
	Expired time.Time

	issuer []byte
	point  *distributionPoint // nil: all that the issuer issued
	// other makes the list one that is not used here: deltaCRLIndicator, or a
	// critical extension that is not understood.
	other asn1.ObjectIdentifier
}

// distributionPoint is IssuingDistributionPoint (RFC 5280, 5.2.5).
type distributionPoint struct {
	Name struct {
		Raw  asn1.RawContent // empty: there is none
		Full []asn1.RawValue `asn1:"optional,tag:0"`
	} `asn1:"optional,tag:0"`
	OnlyUser   bool          `asn1:"optional,tag:1"`
	OnlyCA     bool          `asn1:"optional,tag:2"`
	Reasons    asn1.RawValue `asn1:"optional,tag:3"`
	Indirect   bool          `asn1:"optional,tag:4"`
	OnlyAttrib bool          `asn1:"optional,tag:5"`
}

func readScope(issuer []byte, extensions []pkix.Extension) (Scope, error) {
	s := Scope{issuer: issuer}
	for _, e := range extensions {
		switch {
		case e.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 28}): // issuingDistributionPoint
			s.point = &distributionPoint{}
			if rest, err := asn1.Unmarshal(e.Value, s.point); err != nil || len(rest) > 0 {
				return s, fmt.Errorf("%w: issuingDistributionPoint: %w", ErrEvidence, errors.Join(err))
			}
		case e.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 60}):
			if rest, err := asn1.UnmarshalWithParams(e.Value, &s.Expired, "generalized"); err != nil || len(rest) > 0 {
				return s, fmt.Errorf("%w: expiredCertsOnCRL: %w", ErrEvidence, errors.Join(err))
			}
		case e.Critical || e.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 27}): // deltaCRLIndicator
			s.other = e.Id
		}
	}
	return s, nil
}

// Covers says whether the list would name c if it were revoked (RFC 5280, 6.3.3,
// b). Indirect lists, those of changes, and those of some reasons only are not
// counted.
func (s Scope) Covers(c *x509.Certificate) bool {
	if len(s.other) > 0 || !bytes.Equal(s.issuer, c.RawIssuer) {
		return false
	}
	p := s.point
	if p == nil {
		return true
	}
	if p.Indirect || p.OnlyAttrib || len(p.Reasons.FullBytes) > 0 || p.OnlyUser && c.IsCA || p.OnlyCA && !c.IsCA {
		return false
	}
	const uri = 6 // GeneralName, uniformResourceIdentifier
	return len(p.Name.Raw) == 0 || slices.ContainsFunc(p.Name.Full, func(name asn1.RawValue) bool {
		return name.Class == asn1.ClassContextSpecific && name.Tag == uri && slices.Contains(c.CRLDistributionPoints, string(name.Bytes))
	})
}

// KeepsExpired says whether c is spoken of after it has expired.
func (s Scope) KeepsExpired(c *x509.Certificate) bool {
	return !s.Expired.IsZero() && !s.Expired.After(c.NotAfter)
}

// List is a complete, direct revocation list that was read and is not yet
// believed.
type List struct {
	*x509.RevocationList
	Scope
}

// ReadList reads a list with its entries. One with a critical extension that is
// not understood, a delta list among them, is none (RFC 5280, 5.2).
func ReadList(der []byte) (*List, error) {
	crl, err := x509.ParseRevocationList(der)
	if err != nil {
		return nil, fmt.Errorf("%w: CRL: %w", ErrEvidence, err)
	}
	scope, err := readScope(crl.RawIssuer, crl.Extensions)
	if err != nil {
		return nil, err
	}
	if len(scope.other) > 0 {
		return nil, fmt.Errorf("%w: CRL with extension %v", ErrEvidence, scope.other)
	}
	return &List{crl, scope}, nil
}

// Entry is what the list says of a certificate in its scope. An entry with a
// critical extension, such as certificateIssuer, makes all of it unusable (RFC
// 5280, 5.3): who does not understand it does not know of whom it speaks.
func (l *List) Entry(c *x509.Certificate) (found x509.RevocationListEntry, listed bool, err error) {
	for _, e := range l.RevokedCertificateEntries {
		if i := slices.IndexFunc(e.Extensions, func(x pkix.Extension) bool { return x.Critical }); i >= 0 {
			return found, false, fmt.Errorf("%w: CRL with critical extension %v of an entry", ErrEvidence, e.Extensions[i].Id)
		}
		if e.SerialNumber.Cmp(c.SerialNumber) == 0 {
			found, listed = e, true
		}
	}
	return found, listed, nil
}

// readCRL reads the scope of a CertificateList without its entries, of which
// there may be very many.
func readCRL(der []byte) (*Scope, error) {
	malformed := func(err error) (*Scope, error) { return nil, fmt.Errorf("%w: CRL: %w", ErrEvidence, errors.Join(err)) }
	var outer struct {
		TBS       asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}
	if rest, err := asn1.Unmarshal(der, &outer); err != nil || len(rest) > 0 {
		return malformed(err)
	}
	var members []asn1.RawValue
	for rest := outer.TBS.Bytes; len(rest) > 0; {
		var member asn1.RawValue
		var err error
		if rest, err = asn1.Unmarshal(rest, &member); err != nil {
			return malformed(err)
		}
		members = append(members, member)
	}
	if len(members) > 0 && members[0].Tag == asn1.TagInteger && members[0].Class == asn1.ClassUniversal {
		members = members[1:] // version
	}
	if len(members) < 3 || members[0].Tag != asn1.TagSequence || members[1].Tag != asn1.TagSequence ||
		members[2].Tag != asn1.TagUTCTime && members[2].Tag != asn1.TagGeneralizedTime { // signature, issuer, thisUpdate
		return malformed(errors.New("another structure"))
	}
	var extensions []pkix.Extension
	if last := members[len(members)-1]; last.Class == asn1.ClassContextSpecific && last.Tag == 0 {
		if rest, err := asn1.Unmarshal(last.Bytes, &extensions); err != nil || len(rest) > 0 {
			return malformed(err)
		}
	}
	scope, err := readScope(members[1].FullBytes, extensions)
	return &scope, err
}
