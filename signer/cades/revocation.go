package cades

import (
	"bytes"
	"crypto"
	_ "crypto/sha1" // #nosec G505 -- the hash by which most OCSP responses name certificates (RFC 6960, 4.1.1)
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"slices"
)

// ErrEvidence is in every error about a certificate, CRL or OCSP response that
// cannot be read.
var ErrEvidence = errors.New("malformed validation data")

// certID is CertID (RFC 6960, 4.1.1).
type certID struct {
	Algorithm         pkix.AlgorithmIdentifier
	NameHash, KeyHash []byte
	Serial            *big.Int
}

// answers is what an OCSP response is about, and the certificates inside.
type answers struct {
	about        []certID
	certificates []*x509.Certificate
}

// readOCSP reads an OCSPResponse (RFC 6960, 4.2.1) as far as coverage goes: whether
// it is signed, and what it says, is for who validates.
func readOCSP(der []byte) (*answers, error) {
	var response struct {
		Status asn1.Enumerated
		Bytes  struct {
			Type     asn1.ObjectIdentifier
			Response []byte
		} `asn1:"explicit,tag:0,optional"`
	}
	var basic struct {
		Data struct {
			Version     int `asn1:"optional,default:0,explicit,tag:0"`
			ResponderID asn1.RawValue
			ProducedAt  asn1.RawValue
			Responses   []struct{ ID certID }
		}
		Algorithm    pkix.AlgorithmIdentifier
		Signature    asn1.BitString
		Certificates []asn1.RawValue `asn1:"explicit,tag:0,optional"`
	}
	if rest, err := asn1.Unmarshal(der, &response); err != nil || len(rest) > 0 || response.Status != 0 {
		return nil, fmt.Errorf("%w: OCSPResponse of status %d: %w", ErrEvidence, response.Status, errors.Join(err))
	}
	if rest, err := asn1.Unmarshal(response.Bytes.Response, &basic); err != nil || len(rest) > 0 {
		return nil, fmt.Errorf("%w: BasicOCSPResponse: %w", ErrEvidence, errors.Join(err))
	}
	a := &answers{}
	for _, single := range basic.Data.Responses {
		a.about = append(a.about, single.ID)
	}
	for _, raw := range basic.Certificates {
		certificate, err := x509.ParseCertificate(raw.FullBytes)
		if err != nil {
			return nil, fmt.Errorf("%w: responder's certificate: %w", ErrEvidence, err)
		}
		a.certificates = append(a.certificates, certificate)
	}
	return a, nil
}

func (a *answers) covers(c, issuer *x509.Certificate) bool {
	return slices.ContainsFunc(a.about, func(id certID) bool {
		hash, err := hashOf(id.Algorithm.Algorithm)
		if err != nil || id.Serial == nil || id.Serial.Cmp(c.SerialNumber) != 0 {
			return false
		}
		key, err := publicKeyHash(issuer, hash)
		return err == nil && bytes.Equal(id.KeyHash, key) && bytes.Equal(id.NameHash, sum(hash, issuer.RawSubject))
	})
}

// publicKeyHash is of the key's bits, without tag, length and unused bits.
func publicKeyHash(c *x509.Certificate, hash crypto.Hash) ([]byte, error) {
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(c.RawSubjectPublicKeyInfo, &info); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEvidence, err)
	}
	return sum(hash, info.Key.RightAlign()), nil
}

// list is what a CRL is about.
type list struct {
	issuer []byte
	delta  bool
	point  *distributionPoint // nil: all that the issuer issued
}

// distributionPoint is IssuingDistributionPoint (RFC 5280, 5.2.5).
type distributionPoint struct {
	Name struct {
		Full []asn1.RawValue `asn1:"optional,tag:0"`
	} `asn1:"optional,tag:0"`
	OnlyUser   bool           `asn1:"optional,tag:1"`
	OnlyCA     bool           `asn1:"optional,tag:2"`
	Reasons    asn1.BitString `asn1:"optional,tag:3"`
	Indirect   bool           `asn1:"optional,tag:4"`
	OnlyAttrib bool           `asn1:"optional,tag:5"`
}

// readCRL reads a CertificateList without its entries, of which there may be
// very many.
func readCRL(der []byte) (*list, error) {
	malformed := func(err error) (*list, error) { return nil, fmt.Errorf("%w: CRL: %w", ErrEvidence, errors.Join(err)) }
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
	l := &list{issuer: members[1].FullBytes}
	last := members[len(members)-1]
	if last.Class != asn1.ClassContextSpecific || last.Tag != 0 {
		return l, nil
	}
	var extensions []pkix.Extension
	if rest, err := asn1.Unmarshal(last.Bytes, &extensions); err != nil || len(rest) > 0 {
		return malformed(err)
	}
	return l, l.read(extensions)
}

func (l *list) read(extensions []pkix.Extension) error {
	for _, e := range extensions {
		switch {
		case e.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 27}): // deltaCRLIndicator
			l.delta = true
		case e.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 28}): // issuingDistributionPoint
			l.point = &distributionPoint{}
			if rest, err := asn1.Unmarshal(e.Value, l.point); err != nil || len(rest) > 0 {
				return fmt.Errorf("%w: issuingDistributionPoint: %w", ErrEvidence, errors.Join(err))
			}
		}
	}
	return nil
}

// covers says whether the list would name c if it were revoked (RFC 5280, 6.3.3,
// b). Indirect lists, and those of some reasons only, are not counted.
func (l *list) covers(c *x509.Certificate) bool {
	if l.delta || !bytes.Equal(l.issuer, c.RawIssuer) {
		return false
	}
	p := l.point
	if p == nil {
		return true
	}
	if p.Indirect || p.OnlyAttrib || p.Reasons.BitLength > 0 || p.OnlyUser && c.IsCA || p.OnlyCA && !c.IsCA {
		return false
	}
	const uri = 6 // GeneralName, uniformResourceIdentifier
	return len(p.Name.Full) == 0 || slices.ContainsFunc(p.Name.Full, func(name asn1.RawValue) bool {
		return name.Class == asn1.ClassContextSpecific && name.Tag == uri && slices.Contains(c.CRLDistributionPoints, string(name.Bytes))
	})
}
