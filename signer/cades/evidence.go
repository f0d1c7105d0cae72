package cades

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"slices"

	"github.com/rubrica-firma/rubrica/signer/cms"
)

// Evidence is validation data: what a validator needs to judge a signature when
// its certificates have expired and their authorities are gone.
type Evidence struct {
	Certificates []*x509.Certificate
	// OCSPs are complete OCSPResponses, CRLs CertificateLists; DER.
	OCSPs, CRLs [][]byte
}

// Empty says that there is none.
func (e Evidence) Empty() bool { return len(e.Certificates)+len(e.OCSPs)+len(e.CRLs) == 0 }

// Merge gives the evidence of both, nothing twice.
func (e Evidence) Merge(other Evidence) Evidence {
	merged := Evidence{OCSPs: union(e.OCSPs, other.OCSPs), CRLs: union(e.CRLs, other.CRLs)}
	seen := map[string]bool{}
	for _, c := range slices.Concat(e.Certificates, other.Certificates) {
		if !seen[string(c.Raw)] {
			seen[string(c.Raw)] = true
			merged.Certificates = append(merged.Certificates, c)
		}
	}
	return merged
}

func union(a, b [][]byte) [][]byte {
	var all [][]byte
	seen := map[string]bool{}
	for _, der := range slices.Concat(a, b) {
		if !seen[string(der)] {
			seen[string(der)] = true
			all = append(all, der)
		}
	}
	return all
}

// EvidenceOf is what a message carries for all its signers.
func EvidenceOf(m *cms.Message) Evidence {
	return Evidence{Certificates: m.Certificates, OCSPs: m.OCSPs(), CRLs: m.CRLs()}
}

// AddEvidence puts validation data where EN 319 122-1, 6.3 wants them for B-LT:
// into SignedData.certificates and SignedData.crls. What stands there already is
// not added again. One message has one such place, for all its signers.
func AddEvidence(m *cms.Message, signer int, e Evidence) error {
	if _, err := signerOf(m, signer); err != nil {
		return err
	}
	if slices.ContainsFunc(m.Signers, oldArchive) {
		return ErrOldArchive
	}
	for _, der := range e.OCSPs {
		if _, err := readOCSP(der); err != nil {
			return err
		}
	}
	for _, der := range e.CRLs {
		if _, err := readCRL(der); err != nil {
			return err
		}
	}
	if err := m.AddCertificates(e.Certificates...); err != nil {
		return fmt.Errorf("adding certificates: %w", err)
	}
	if err := m.AddRevocations(e.CRLs, e.OCSPs); err != nil {
		return fmt.Errorf("adding revocation values: %w", err)
	}
	return nil
}

// Missing names the certificates, from the given ones up to self-signed ones, that
// the evidence leaves open: their issuer is not there, or no revocation value is
// about them. Those responders count that the OCSP responses bring with them.
// Anchors need neither. It looks at what there is, not at whether it is true.
func Missing(ends []*x509.Certificate, e Evidence, anchors ...*x509.Certificate) []*x509.Certificate {
	return readEvidence(e).missing(ends, anchors)
}

// known is evidence that has been read.
type known struct {
	certificates []*x509.Certificate
	responses    []*answers
	lists        []*Scope
}

// readEvidence leaves out what cannot be read.
func readEvidence(e Evidence) known {
	k := known{certificates: slices.Clone(e.Certificates)}
	for _, der := range e.OCSPs {
		if a, err := readOCSP(der); err == nil {
			k.responses, k.certificates = append(k.responses, a), append(k.certificates, a.certificates...)
		}
	}
	for _, der := range e.CRLs {
		if l, err := readCRL(der); err == nil {
			k.lists = append(k.lists, l)
		}
	}
	return k
}

func (k known) and(other known) known {
	return known{
		certificates: slices.Concat(k.certificates, other.certificates),
		responses:    slices.Concat(k.responses, other.responses),
		lists:        slices.Concat(k.lists, other.lists),
	}
}

func (k known) missing(ends, anchors []*x509.Certificate) []*x509.Certificate {
	issuers := slices.Concat(anchors, ends, k.certificates)
	var missing []*x509.Certificate
	done := map[string]bool{}
	for todo := slices.Clone(ends); len(todo) > 0; todo = todo[1:] {
		c := todo[0]
		if done[string(c.Raw)] || selfIssued(c) || slices.ContainsFunc(anchors, c.Equal) {
			continue
		}
		done[string(c.Raw)] = true
		issuer := issuerOf(c, issuers)
		if issuer == nil {
			missing = append(missing, c)
			continue
		}
		responders, covered := k.covers(c, issuer)
		if !covered {
			missing = append(missing, c)
		}
		todo = append(append(todo, issuer), responders...)
	}
	return missing
}

// covers says whether there is a revocation value about c, or need not be, and
// whose certificates it brings.
func (k known) covers(c, issuer *x509.Certificate) (responders []*x509.Certificate, covered bool) {
	if unchecked(c) || slices.ContainsFunc(k.lists, func(l *Scope) bool { return l.Covers(c) }) {
		return nil, true
	}
	i := slices.IndexFunc(k.responses, func(a *answers) bool { return a.covers(c, issuer) })
	if i < 0 {
		return nil, false
	}
	return k.responses[i].certificates, true
}

func selfIssued(c *x509.Certificate) bool { return bytes.Equal(c.RawSubject, c.RawIssuer) }

func issuerOf(c *x509.Certificate, known []*x509.Certificate) *x509.Certificate {
	i := slices.IndexFunc(known, func(k *x509.Certificate) bool {
		ids := len(k.SubjectKeyId) > 0 && len(c.AuthorityKeyId) > 0
		return bytes.Equal(k.RawSubject, c.RawIssuer) && (!ids || bytes.Equal(k.SubjectKeyId, c.AuthorityKeyId))
	})
	if i < 0 {
		return nil
	}
	return known[i]
}

// unchecked says that nobody asks whether c was revoked: it is a responder's with
// id-pkix-ocsp-nocheck (RFC 6960, 4.2.2.2.1), or one of short life.
func unchecked(c *x509.Certificate) bool {
	return has(c, asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}) || ShortLived(c)
}

// ShortLived is validity-assured-short-term (EN 319 412-1, 5.2): the certificate
// is so short-lived that nobody would hear of its revocation in time.
func ShortLived(c *x509.Certificate) bool {
	return has(c, asn1.ObjectIdentifier{0, 4, 0, 194121, 2, 1})
}

func has(c *x509.Certificate, kind asn1.ObjectIdentifier) bool {
	return slices.ContainsFunc(c.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(kind) })
}
