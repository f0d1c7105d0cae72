package verify

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"time"
)

// errList is in every error about a revocation list that says nothing here.
var errList = errors.New("no usable revocation list")

// What lists may be at most, each and together, in octets: read, they take some
// five times as much.
const (
	maxList     = 16 << 20
	maxAllLists = 32 << 20
)

// list is a complete, direct revocation list, read and not yet believed.
type list struct {
	*x509.RevocationList

	scope   scope
	expired time.Time // expiredCertsOnCRL (ISO/IEC 9594-8, 9.5.2.8): from then on; zero: they leave
}

// scope is IssuingDistributionPoint (RFC 5280, 5.2.5).
type scope struct {
	Point struct {
		FullName []asn1.RawValue `asn1:"optional,tag:0"`
		Relative asn1.RawValue   `asn1:"optional,tag:1"`
	} `asn1:"optional,tag:0"`
	Users      bool           `asn1:"optional,tag:1"`
	CAs        bool           `asn1:"optional,tag:2"`
	Reasons    asn1.BitString `asn1:"optional,tag:3"`
	Indirect   bool           `asn1:"optional,tag:4"`
	Attributes bool           `asn1:"optional,tag:5"`
}

// readList reads a list. One with a critical extension that is not understood,
// a delta list among them, is none (RFC 5280, 5.2).
func readList(raw []byte) (*list, error) {
	if len(raw) > maxList {
		return nil, fmt.Errorf("%w: %d octets", errList, len(raw))
	}
	crl, err := x509.ParseRevocationList(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errList, err)
	}
	l := &list{RevocationList: crl}
	for _, e := range crl.Extensions {
		switch {
		case e.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 28}):
			if rest, err := asn1.Unmarshal(e.Value, &l.scope); err != nil || len(rest) > 0 {
				return nil, fmt.Errorf("%w: its scope is not readable", errList)
			}
		case e.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 60}):
			if _, err := asn1.UnmarshalWithParams(e.Value, &l.expired, "generalized"); err != nil {
				return nil, fmt.Errorf("%w: expiredCertsOnCRL", errList)
			}
		case e.Critical:
			return nil, fmt.Errorf("%w: critical extension %v", errList, e.Id)
		}
	}
	return l, nil
}

// speaksOf is whether a certificate is in the scope of the list (RFC 5280,
// 6.3.3, step b).
func (l *list) speaksOf(c *x509.Certificate) bool {
	if !bytes.Equal(l.RawIssuer, c.RawIssuer) || l.scope.Indirect || l.scope.Attributes || len(l.scope.Reasons.Bytes) > 0 ||
		len(l.scope.Point.Relative.FullBytes) > 0 {
		return false
	}
	ca := c.IsCA && c.BasicConstraintsValid
	if l.scope.Users && ca || l.scope.CAs && !ca {
		return false
	}
	if len(l.scope.Point.FullName) == 0 {
		return true
	}
	const uri = 6
	return slices.ContainsFunc(l.scope.Point.FullName, func(n asn1.RawValue) bool {
		return n.Class == asn1.ClassContextSpecific && n.Tag == uri && slices.Contains(c.CRLDistributionPoints, string(n.Bytes))
	})
}

// entry is what the list says of a certificate in its scope. An entry with a
// critical extension, such as certificateIssuer, makes all of it unusable (RFC
// 5280, 5.3): who does not understand it does not know of whom it speaks.
func (l *list) entry(c *x509.Certificate) (found x509.RevocationListEntry, listed bool, err error) {
	for _, e := range l.RevokedCertificateEntries {
		if i := slices.IndexFunc(e.Extensions, func(x pkixExtension) bool { return x.Critical }); i >= 0 {
			return found, false, fmt.Errorf("%w: critical extension %v of an entry", errList, e.Extensions[i].Id)
		}
		if e.SerialNumber.Cmp(c.SerialNumber) == 0 {
			found, listed = e, true
		}
	}
	return found, listed, nil
}
