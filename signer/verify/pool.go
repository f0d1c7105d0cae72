package verify

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"slices"
	"time"

	"github.com/rubrica-firma/rubrica/ca/ocsp"
	"github.com/rubrica-firma/rubrica/signer/cades"
)

// What a document may make us look at.
const (
	maxCertificates = 2000
	maxAnswers      = 4000
	maxLists        = 200
	// maxChecks bounds signatures of certificates, answers and lists.
	maxChecks = 4000
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
	byNumber  map[string][]*x509.Certificate // by issuer and serial number
	anchors   []*x509.Certificate
	all       []*x509.Certificate         // in the order in which they came
	answers   map[string][]*ocsp.Response // by serial number
	lists     map[string][]*cades.List    // by issuer
	origins   map[fingerprint]origin
	seen      map[fingerprint]bool
	proved    map[fingerprint]time.Time
	count     struct{ certificates, answers, lists, octets int }
	// damaged is what stands in the document and cannot be read.
	damaged []string
	// odd are certificates in the document that crypto/x509 does not read.
	odd     [][]byte
	checked map[[2]any]error // what was signed, and the certificate of who did
}

func newPool(now time.Time, anchors []*x509.Certificate) *pool {
	p := &pool{
		now: now, bySubject: map[string][]*x509.Certificate{}, byKey: map[string][]*x509.Certificate{}, byNumber: map[string][]*x509.Certificate{},
		answers: map[string][]*ocsp.Response{}, lists: map[string][]*cades.List{},
		origins: map[fingerprint]origin{}, seen: map[fingerprint]bool{}, proved: map[fingerprint]time.Time{}, checked: map[[2]any]error{},
	}
	for _, a := range anchors {
		p.anchors = append(p.anchors, a)
		p.addCertificate(a, given)
	}
	return p
}

// note says whether something is new as what it is taken for. What stands in the
// document is of the document, even if it was given before.
func (p *pool) note(kind byte, raw []byte, from origin) bool {
	f := fingerprint(sha256.Sum256(raw))
	if old, known := p.origins[f]; !known || from == inDocument && old != inDocument {
		p.origins[f] = from
	}
	seen := fingerprint(sha256.Sum256(append([]byte{kind}, f[:]...)))
	known := p.seen[seen]
	p.seen[seen] = true
	return !known
}

func (p *pool) addCertificate(c *x509.Certificate, from origin) {
	if !p.note('c', c.Raw, from) || p.count.certificates == maxCertificates {
		return
	}
	p.count.certificates++
	p.all = append(p.all, c)
	p.bySubject[string(c.RawSubject)] = append(p.bySubject[string(c.RawSubject)], c)
	p.byNumber[number(c)] = append(p.byNumber[number(c)], c)
	if len(c.SubjectKeyId) > 0 {
		p.byKey[string(c.SubjectKeyId)] = append(p.byKey[string(c.SubjectKeyId)], c)
	}
}

func number(c *x509.Certificate) string { return string(c.RawIssuer) + c.SerialNumber.String() }

func (p *pool) addAnswer(raw []byte, from origin) {
	if !p.note('a', raw, from) || p.count.answers == maxAnswers {
		return
	}
	a, err := readAnswer(raw)
	if err != nil {
		p.damage(from, "an OCSP answer: "+err.Error())
		return
	}
	p.count.answers++
	for _, s := range a.Singles {
		p.answers[s.ID.Serial.String()] = append(p.answers[s.ID.Serial.String()], a)
	}
	for _, c := range a.Certificates {
		p.addCertificate(c, from)
	}
}

func (p *pool) addList(raw []byte, from origin) {
	if !p.note('l', raw, from) || p.count.lists == maxLists || p.count.octets+len(raw) > maxAllLists {
		return
	}
	l, err := readList(raw)
	if err != nil {
		p.damage(from, "a revocation list: "+err.Error())
		return
	}
	p.count.lists++
	p.count.octets += len(raw)
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
	return p.once(c, issuer, func() error { return issuer.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) })
}

func (p *pool) checkList(l *cades.List, issuer *x509.Certificate) error {
	return p.once(l, issuer, func() error { return issuer.CheckSignature(l.SignatureAlgorithm, l.RawTBSRevocationList, l.Signature) })
}

func (p *pool) checkAnswer(a *ocsp.Response, signer *x509.Certificate) error {
	return p.once(a, signer, func() error { return a.CheckSignature(signer) })
}

// errTooMany is what a signature that was not looked at comes to.
var errTooMany = errors.New("too many signatures to check")

func (p *pool) once(what any, signer *x509.Certificate, check func() error) error {
	pair := [2]any{what, signer}
	err, known := p.checked[pair]
	if !known {
		if len(p.checked) >= maxChecks {
			return errTooMany
		}
		err = check()
		p.checked[pair] = err
	}
	return err
}
