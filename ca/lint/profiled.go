package lint

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"slices"
	"strings"
	"time"
)

// Object identifiers that crypto/x509 has no name for.
const (
	oidKeyPeriod    = "2.5.29.16"
	oidBasic        = "2.5.29.19"
	oidKeyUsage     = "2.5.29.15"
	oidExtended     = "2.5.29.37"
	oidQcStatements = "1.3.6.1.5.5.7.1.3"
	oidNoCheck      = "1.3.6.1.5.5.7.48.1.5"
	oidQcPDS        = "0.4.0.1862.1.5"
)

// subject is a parsed certificate and what the rules ask of it again and again.
type subject struct {
	*x509.Certificate
	responder, stamper bool
}

// rule is one that zlint does not have.
type rule struct {
	name   string
	broken func(subject) bool
}

// profiled names the rules that a certificate breaks.
func profiled(der []byte) ([]string, error) {
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	s := subject{
		Certificate: c,
		responder:   slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning),
		stamper:     slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageTimeStamping),
	}
	var broken []string
	for _, r := range ownRules() {
		if r.broken(s) {
			broken = append(broken, r.name)
		}
	}
	return broken, nil
}

// ownRules cite the requirement that each holds.
func ownRules() []rule {
	return []rule{
		{"EN 319 412-2 GEN-4.1-2: a critical extension that need not be", subject.overCritical},
		{"EN 319 412-2 NAT-4.2.4-1, EN 319 412-3 LEG-4.2.1-2: the subject is no whole name of a person", subject.misnamed},
		{"EN 319 412-2 NAT-4.2.4-3, EN 319 412-3 LEG-4.2.1-3: an attribute of the subject is there twice", subject.twice},
		{"EN 319 412-2 NAT-4.3.2-3: contentCommitment is mixed with other uses of the key", subject.mixedUse},
		{"EN 319 412-2 GEN-4.3.3-2: no certificate policies", subject.withoutPolicies},
		{"EN 319 412-2 GEN-4.3.4-1, -4.3.8-1, -4.3.9-1, -4.3.12-1: an extension of authorities", subject.authoritysExtension},
		{"EN 319 412-2 GEN-4.3.11-2: neither a revocation list nor a responder", subject.withoutStatus},
		{"EN 319 412-2 GEN-4.3.11-4, -4.4.1-4: an address that is not http", subject.unreachable},
		{"EN 319 412-2 GEN-4.4.1-3: no address of the issuer's certificate", subject.withoutIssuer},
		{"EN 319 412-5, section 5: QcStatements without a disclosure statement", subject.withoutDisclosure},
		{"RFC 6960, section 4.2.2.2: OCSPSigning must stand alone, with digitalSignature", subject.mixedResponder},
		{"RFC 6960, section 4.2.2.2.1: nocheck belongs to responders, and is NULL", subject.wrongNoCheck},
		{"RFC 3161, section 2.3: timeStamping must be critical and stand alone, with digitalSignature", subject.mixedStamper},
		{"EN 319 421 TIS-7.6.7-04: the key is not used for less time than the certificate is valid", subject.endlessKey},
	}
}

func (s subject) extension(oid string) (value []byte, critical, found bool) {
	for _, e := range s.Extensions {
		if e.Id.String() == oid {
			return e.Value, e.Critical, true
		}
	}
	return nil, false, false
}

func (s subject) selfSigned() bool { return bytes.Equal(s.RawIssuer, s.RawSubject) }

func (s subject) overCritical() bool {
	for _, e := range s.Extensions {
		if e.Critical && !slices.Contains([]string{oidBasic, oidKeyUsage}, e.Id.String()) && (e.Id.String() != oidExtended || !s.stamper) {
			return true
		}
	}
	return false
}

// attributes of the subject by their number under 2.5.4.
func (s subject) attributes() map[int]int {
	count := map[int]int{}
	for _, a := range s.Subject.Names {
		if len(a.Type) == 4 && a.Type[:3].Equal(asn1.ObjectIdentifier{2, 5, 4}) {
			count[a.Type[3]]++
		}
	}
	return count
}

func (s subject) misnamed() bool {
	count := s.attributes()
	country, common, organisation, surname, given := count[6], count[3], count[10], count[4], count[42]
	return country == 0 || common == 0 || organisation == 0 && surname+given == 0
}

func (s subject) twice() bool {
	for _, n := range s.attributes() {
		if n > 1 {
			return true
		}
	}
	return false
}

func (s subject) mixedUse() bool {
	return s.KeyUsage&x509.KeyUsageContentCommitment != 0 && s.KeyUsage != x509.KeyUsageContentCommitment
}

// withoutPolicies spares responders, whose certificates prove nothing to a
// person, and trust anchors.
func (s subject) withoutPolicies() bool {
	return len(s.PolicyIdentifiers) == 0 && !s.responder && !s.selfSigned()
}

func (s subject) authoritysExtension() bool {
	if s.IsCA {
		return false
	}
	return slices.ContainsFunc([]string{"2.5.29.33", "2.5.29.30", "2.5.29.36", "2.5.29.54"}, func(oid string) bool {
		_, _, found := s.extension(oid)
		return found
	})
}

// withoutStatus spares what GEN-4.3.11-1A does, and trust anchors.
func (s subject) withoutStatus() bool {
	return len(s.CRLDistributionPoints)+len(s.OCSPServer) == 0 && !s.responder && !s.selfSigned()
}

func (s subject) unreachable() bool {
	return slices.ContainsFunc(slices.Concat(s.CRLDistributionPoints, s.OCSPServer, s.IssuingCertificateURL), func(address string) bool {
		return !strings.HasPrefix(address, "http://")
	})
}

func (s subject) withoutIssuer() bool {
	return len(s.IssuingCertificateURL) == 0 && !s.responder && !s.selfSigned()
}

// withoutDisclosure finds none in the extension; what one must be, zlint knows.
func (s subject) withoutDisclosure() bool {
	value, _, found := s.extension(oidQcStatements)
	if !found {
		return false
	}
	var statements []struct {
		ID   asn1.ObjectIdentifier
		Info asn1.RawValue `asn1:"optional"`
	}
	if _, err := asn1.Unmarshal(value, &statements); err != nil {
		return true
	}
	for _, statement := range statements {
		if statement.ID.String() == oidQcPDS {
			return false
		}
	}
	return true
}

func (s subject) mixedResponder() bool {
	return s.responder && (s.purposes() != 1 || s.KeyUsage != x509.KeyUsageDigitalSignature || s.IsCA)
}

func (s subject) wrongNoCheck() bool {
	value, _, found := s.extension(oidNoCheck)
	return found != s.responder || found && !bytes.Equal(value, asn1.NullBytes)
}

func (s subject) mixedStamper() bool {
	_, critical, _ := s.extension(oidExtended)
	return s.stamper && (s.purposes() != 1 || !critical || s.KeyUsage != x509.KeyUsageDigitalSignature || s.IsCA)
}

func (s subject) purposes() int { return len(s.ExtKeyUsage) + len(s.UnknownExtKeyUsage) }

func (s subject) endlessKey() bool {
	value, _, found := s.extension(oidKeyPeriod)
	if !found {
		return s.stamper
	}
	var period struct {
		NotBefore time.Time `asn1:"tag:0,generalized,optional"`
		NotAfter  time.Time `asn1:"tag:1,generalized,optional"`
	}
	rest, err := asn1.Unmarshal(value, &period)
	return err != nil || len(rest) > 0 || period.NotBefore.Before(s.NotBefore) ||
		!period.NotBefore.Before(period.NotAfter) || !period.NotAfter.Before(s.NotAfter)
}
