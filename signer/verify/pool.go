package verify

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"slices"
	"time"
)

// What a document may make us look at.
const (
	maxCertificates = 2000
	maxAnswers      = 4000
	maxLists        = 200
)

type fingerprint [sha256.Size]byte

// origin is where something comes from.
type origin string

// The origins, in the words of the report.
const (
	inDocument origin = "document"
	given      origin = "given"
	fetched    origin = "fetched"
)

// pool is what there is to judge with. It also remembers since when things are
// proved to exist: at the time of validation everything does, and a time-stamp
// moves what it covers back to its time (EN 319 102-1, 5.6.2.3).
type pool struct {
	now       time.Time
	bySubject map[string][]*x509.Certificate
	byKey     map[string][]*x509.Certificate
	anchors   []*x509.Certificate
	answers   map[string][]*answer // by serial number
	lists     map[string][]*list   // by issuer
	origins   map[fingerprint]origin
	proved    map[fingerprint]time.Time
	count     struct{ certificates, answers, lists int }
	// damaged is what stands in the document and cannot be read.
	damaged []string
	checked map[[2]fingerprint]error
}

func newPool(now time.Time, anchors []*x509.Certificate) *pool {
	p := &pool{
		now: now, bySubject: map[string][]*x509.Certificate{}, byKey: map[string][]*x509.Certificate{},
		answers: map[string][]*answer{}, lists: map[string][]*list{},
		origins: map[fingerprint]origin{}, proved: map[fingerprint]time.Time{}, checked: map[[2]fingerprint]error{},
	}
	for _, a := range anchors {
		p.anchors = append(p.anchors, a)
		p.addCertificate(a, given)
	}
	return p
}

// note says whether something is new. What stands in the document is of the
// document, even if it was given before.
func (p *pool) note(raw []byte, from origin) bool {
	f := sha256.Sum256(raw)
	old, known := p.origins[f]
	if !known || from == inDocument && old != inDocument {
		p.origins[f] = from
	}
	return !known
}

func (p *pool) addCertificate(c *x509.Certificate, from origin) {
	if !p.note(c.Raw, from) || p.count.certificates == maxCertificates {
		return
	}
	p.count.certificates++
	p.bySubject[string(c.RawSubject)] = append(p.bySubject[string(c.RawSubject)], c)
	if len(c.SubjectKeyId) > 0 {
		p.byKey[string(c.SubjectKeyId)] = append(p.byKey[string(c.SubjectKeyId)], c)
	}
}

func (p *pool) addAnswer(raw []byte, from origin) {
	if !p.note(raw, from) || p.count.answers == maxAnswers {
		return
	}
	a, err := readAnswer(raw)
	if err != nil {
		p.damage(from, "an OCSP answer: "+err.Error())
		return
	}
	p.count.answers++
	for _, s := range a.singles {
		p.answers[s.serial.String()] = append(p.answers[s.serial.String()], a)
	}
	for _, c := range a.certificate {
		p.addCertificate(c, from)
	}
}

func (p *pool) addList(raw []byte, from origin) {
	if !p.note(raw, from) || p.count.lists == maxLists {
		return
	}
	l, err := readList(raw)
	if err != nil {
		p.damage(from, "a revocation list: "+err.Error())
		return
	}
	p.count.lists++
	p.lists[string(l.RawIssuer)] = append(p.lists[string(l.RawIssuer)], l)
}

func (p *pool) damage(from origin, what string) {
	if from == inDocument {
		p.damaged = append(p.damaged, what)
	}
}

func (p *pool) originOf(raw []byte) origin { return p.origins[sha256.Sum256(raw)] }

// existed is the earliest time at which something is proved to have existed.
func (p *pool) existed(raw []byte) time.Time {
	if t, ok := p.proved[sha256.Sum256(raw)]; ok {
		return t
	}
	return p.now
}

// prove records that something existed at a time.
func (p *pool) prove(raw []byte, at time.Time) {
	if len(raw) > 0 && at.Before(p.existed(raw)) {
		p.proved[sha256.Sum256(raw)] = at
	}
}

func (p *pool) isAnchor(c *x509.Certificate) bool {
	return slices.ContainsFunc(p.anchors, func(a *x509.Certificate) bool {
		return a.Equal(c) || bytes.Equal(a.RawSubject, c.RawSubject) && bytes.Equal(a.RawSubjectPublicKeyInfo, c.RawSubjectPublicKeyInfo)
	})
}

// issuers are the certificates whose key signed a certificate, anchors first.
func (p *pool) issuers(c *x509.Certificate) []*x509.Certificate {
	var found []*x509.Certificate
	for _, i := range p.bySubject[string(c.RawIssuer)] {
		if len(c.AuthorityKeyId) > 0 && len(i.SubjectKeyId) > 0 && !bytes.Equal(c.AuthorityKeyId, i.SubjectKeyId) {
			continue
		}
		if p.check(c, i) == nil {
			found = append(found, i)
		}
	}
	slices.SortStableFunc(found, func(a, b *x509.Certificate) int {
		switch x, y := p.isAnchor(a), p.isAnchor(b); {
		case x == y:
			return 0
		case x:
			return -1
		default:
			return 1
		}
	})
	return found
}

func (p *pool) check(c, issuer *x509.Certificate) error {
	pair := [2]fingerprint{sha256.Sum256(c.Raw), sha256.Sum256(issuer.Raw)}
	err, known := p.checked[pair]
	if !known {
		err = issuer.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature)
		p.checked[pair] = err
	}
	return err
}

// tampered names what the document holds and has been changed since it was
// signed: something whose signer is at hand, and whose signature is wrong.
func (p *pool) tampered() []string {
	found := slices.Clone(p.damaged)
	for _, list := range p.bySubject {
		for _, c := range list {
			if p.originOf(c.Raw) == inDocument && p.forged(c.AuthorityKeyId, c.RawIssuer, func(i *x509.Certificate) error { return p.check(c, i) }) {
				found = append(found, "the certificate of "+c.Subject.String())
			}
		}
	}
	for _, lists := range p.lists {
		for _, l := range lists {
			if p.originOf(l.Raw) == inDocument && p.forged(l.AuthorityKeyId, l.RawIssuer, func(i *x509.Certificate) error {
				return i.CheckSignature(l.SignatureAlgorithm, l.RawTBSRevocationList, l.Signature)
			}) {
				found = append(found, "the revocation list of "+l.Issuer.String())
			}
		}
	}
	seen := map[*answer]bool{}
	for _, answers := range p.answers {
		for _, a := range answers {
			if !seen[a] && p.originOf(a.raw) == inDocument && p.forgedAnswer(a) {
				found = append(found, "an OCSP answer of "+a.producedAt.Format(time.RFC3339))
			}
			seen[a] = true
		}
	}
	slices.Sort(found)
	return found
}

// forged is whether the key that must have signed something is at hand and has
// not.
func (p *pool) forged(keyID, issuer []byte, check func(*x509.Certificate) error) bool {
	candidates := p.byKey[string(keyID)]
	if len(keyID) == 0 {
		candidates = p.bySubject[string(issuer)]
	}
	wrong := false
	for _, i := range candidates {
		err := check(i)
		var insecure x509.InsecureAlgorithmError
		if err == nil || errors.As(err, &insecure) || errors.Is(err, x509.ErrUnsupportedAlgorithm) {
			return false
		}
		wrong = true
	}
	return wrong
}

func (p *pool) forgedAnswer(a *answer) bool {
	wrong := false
	for _, list := range p.bySubject {
		for _, c := range list {
			if !a.named(c) {
				continue
			}
			err := c.CheckSignature(a.algorithm, a.tbs, a.signature)
			var insecure x509.InsecureAlgorithmError
			if err == nil || errors.As(err, &insecure) {
				return false
			}
			wrong = true
		}
	}
	return wrong
}
