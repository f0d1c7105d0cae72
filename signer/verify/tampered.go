package verify

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/rubrica-firma/rubrica/ca/ocsp"
)

// tampered names what the document holds and has been changed since it was
// signed: something whose signer is at hand, and whose signature is wrong; or
// something that cannot be read.
func (p *pool) tampered() []string {
	found := slices.Clone(p.damaged)
	for _, raw := range p.odd {
		if p.spoilt(raw) {
			found = append(found, "a certificate that cannot be read")
		}
	}
	for _, list := range p.bySubject {
		for _, c := range list {
			if p.originOf(c.Raw) == inDocument && (p.hasTwin(c) || p.forged(c.AuthorityKeyId, c.RawIssuer, func(i *x509.Certificate) error { return p.check(c, i) })) {
				found = append(found, "the certificate of "+name(c))
			}
		}
	}
	for _, lists := range p.lists {
		for _, l := range lists {
			if p.originOf(l.Raw) == inDocument && p.forged(l.AuthorityKeyId, l.RawIssuer, func(i *x509.Certificate) error { return p.checkList(l, i) }) {
				found = append(found, "the revocation list of "+l.Issuer.String())
			}
		}
	}
	seen := map[*ocsp.Response]bool{}
	for _, answers := range p.answers {
		for _, a := range answers {
			if !seen[a] && p.originOf(a.Raw) == inDocument && p.forgedAnswer(a) {
				found = append(found, "an OCSP answer of "+a.ProducedAt.Format(time.RFC3339))
			}
			seen[a] = true
		}
	}
	slices.Sort(found)
	return found
}

// spoilt tells a certificate that was changed from one that its authority has
// made so that crypto/x509 does not read it: the latter's signature is right.
func (p *pool) spoilt(raw []byte) bool {
	var certificate, tbs, algorithm, fields, issuer cryptobyte.String
	var value asn1.BitString
	input := cryptobyte.String(raw)
	if !input.ReadASN1(&certificate, der.SEQUENCE) || !input.Empty() ||
		!certificate.ReadASN1Element(&tbs, der.SEQUENCE) || !certificate.ReadASN1Element(&algorithm, der.SEQUENCE) ||
		!certificate.ReadASN1BitString(&value) || !certificate.Empty() {
		return true
	}
	inner := tbs
	var again cryptobyte.String
	if !inner.ReadASN1(&fields, der.SEQUENCE) || !fields.SkipOptionalASN1(der.Tag(0).ContextSpecific().Constructed()) || !fields.SkipASN1(der.INTEGER) ||
		!fields.ReadASN1Element(&again, der.SEQUENCE) || !fields.ReadASN1Element(&issuer, der.SEQUENCE) || !bytes.Equal(algorithm, again) {
		return true
	}
	kind := ocsp.SignatureAlgorithm(algorithm)
	return !slices.ContainsFunc(p.bySubject[string(issuer)], func(c *x509.Certificate) bool {
		return c.CheckSignature(kind, tbs, value.RightAlign()) == nil
	})
}

// hasTwin is whether there is another certificate of that issuer and serial
// number, whose signature is right where this one's is wrong: no authority gives
// a number twice (RFC 5280, 4.1.2.2).
func (p *pool) hasTwin(c *x509.Certificate) bool {
	return len(p.issuers(c)) == 0 && slices.ContainsFunc(p.byNumber[number(c)], func(other *x509.Certificate) bool {
		return !other.Equal(c) && len(p.issuers(other)) > 0
	})
}

// forged is whether the key that must have signed something is at hand and has
// not.
func (p *pool) forged(keyID, issuer []byte, check func(*x509.Certificate) error) bool {
	candidates := p.byKey[string(keyID)]
	if len(keyID) == 0 {
		candidates = p.bySubject[string(issuer)]
	}
	return wrong(candidates, check)
}

func (p *pool) forgedAnswer(a *ocsp.Response) bool {
	var candidates []*x509.Certificate
	for _, c := range p.all {
		if a.Names(c) {
			candidates = append(candidates, c)
		}
	}
	return wrong(candidates, func(c *x509.Certificate) error { return p.checkAnswer(a, c) })
}

// wrong is whether there are candidates, and none of them signed. An algorithm
// that crypto/x509 does not know leaves it open, and so does a check too many.
func wrong(candidates []*x509.Certificate, check func(*x509.Certificate) error) bool {
	for _, c := range candidates {
		err := check(c)
		var insecure x509.InsecureAlgorithmError
		if err == nil || errors.Is(err, errTooMany) || errors.As(err, &insecure) || errors.Is(err, x509.ErrUnsupportedAlgorithm) {
			return false
		}
	}
	return len(candidates) > 0
}
