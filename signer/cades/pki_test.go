package cades_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"io"
	"math/big"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/rubrica-firma/rubrica/ca/tsa"
	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/cms"
)

// entity is a certificate with its key.
type entity struct {
	*x509.Certificate
	key crypto.Signer
}

// pki is a small hierarchy with what B-LTA needs of it: a responder, a
// time-stamping authority, and revocation lists.
type pki struct {
	now                           time.Time
	root, issuing, responder, tsa entity
	authority                     *tsa.Authority
}

const point = "http://ca.example/ca/issuing-1-2026-1.crl"

func newPKI(tb testing.TB) *pki {
	tb.Helper()
	p := &pki{now: time.Now().UTC().Truncate(time.Second)}
	authority := func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
	}
	p.root = p.certify(tb, newKey(tb, "p256"), nil, "Raíz de pruebas", authority)
	p.issuing = p.certify(tb, newKey(tb, "p256"), &p.root, "Ciudadanos", authority)
	p.responder = p.certify(tb, newKey(tb, "p256"), &p.issuing, "OCSP", func(c *x509.Certificate) {
		c.KeyUsage, c.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}, Value: []byte{5, 0}}}
	})
	p.tsa = p.certify(tb, newKey(tb, "p256"), &p.issuing, "Sellado de tiempo", func(c *x509.Certificate) {
		c.KeyUsage, c.CRLDistributionPoints = x509.KeyUsageDigitalSignature, []string{point}
		usage, err := asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}})
		must(tb, err)
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true, Value: usage}}
	})
	var err error
	p.authority, err = tsa.New(tsa.Config{
		Certificate: p.tsa.Certificate, Signer: p.tsa.key, Chain: []*x509.Certificate{p.issuing.Certificate},
		Policy: asn1.ObjectIdentifier{0, 4, 0, 2023, 1, 1}, Now: time.Now,
		Trusted: func(context.Context) error { return nil },
	})
	must(tb, err)
	return p
}

func newKey(tb testing.TB, kind string) crypto.Signer {
	tb.Helper()
	var key crypto.Signer
	var err error
	switch kind {
	case "rsa":
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	case "p256":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "p384":
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	}
	must(tb, err)
	return key
}

func (p *pki) certify(tb testing.TB, key crypto.Signer, issuer *entity, name string, change func(*x509.Certificate)) entity {
	tb.Helper()
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	must(tb, err)
	c := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{Country: []string{"ES"}, CommonName: name},
		NotBefore: p.now.Add(-time.Hour), NotAfter: p.now.Add(24 * time.Hour),
	}
	change(c)
	parent := entity{c, key}
	if issuer != nil {
		parent = *issuer
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent.Certificate, key.Public(), parent.key)
	must(tb, err)
	certificate, err := x509.ParseCertificate(der)
	must(tb, err)
	return entity{certificate, key}
}

// citizen has a certificate for signatures and nothing else.
func (p *pki) citizen(tb testing.TB, kind string) entity {
	tb.Helper()
	return p.certify(tb, newKey(tb, kind), &p.issuing, "ESPAÑOL ESPAÑOL JUAN - 00000000T", func(c *x509.Certificate) {
		c.KeyUsage = x509.KeyUsageContentCommitment
	})
}

// suite is how a signature is made.
type suite struct {
	hash   crypto.Hash
	scheme cms.Scheme
}

// parts are a signature of who, without the root.
func (p *pki) parts(tb testing.TB, who entity, content []byte, s suite, change ...func(*cades.Params)) cms.Parts {
	tb.Helper()
	params := cades.Params{ContentDigest: digest(s.hash, content), Hash: s.hash, Certificate: who.Certificate, SigningTime: p.now}
	for _, c := range change {
		c(&params)
	}
	set, err := cades.SignedAttributes(params)
	must(tb, err)
	value, err := who.key.Sign(rand.Reader, cades.DTBSR(set, s.hash), cms.SignerOpts(s.hash, s.scheme, who.key.Public()))
	must(tb, err)
	return cms.Parts{
		SignedAttributes: set, Signature: value, Certificate: who.Certificate, Chain: []*x509.Certificate{p.issuing.Certificate},
		Hash: s.hash, Scheme: s.scheme,
	}
}

// sign makes a B-B signature over content, which is attached or not.
func (p *pki) sign(tb testing.TB, who entity, content []byte, s suite, attached bool) *cms.Message {
	tb.Helper()
	der, err := cms.Assemble(p.parts(tb, who, content, s))
	must(tb, err)
	if attached {
		var out bytes.Buffer
		must(tb, cms.Attach(&out, der, bytes.NewReader(content), int64(len(content))))
		der = out.Bytes()
	}
	return open(tb, der)
}

func open(tb testing.TB, der []byte) *cms.Message {
	tb.Helper()
	m, err := cms.Open(bytes.NewReader(der), int64(len(der)))
	must(tb, err)
	return m
}

func encode(tb testing.TB, m *cms.Message) []byte {
	tb.Helper()
	var out bytes.Buffer
	must(tb, m.Write(&out))
	return out.Bytes()
}

// stamp asks the authority.
func (p *pki) stamp(tb testing.TB, hash crypto.Hash, imprint []byte) []byte {
	tb.Helper()
	query, err := tsa.NewRequest(hash, imprint).Marshal()
	must(tb, err)
	answer, err := p.authority.Answer(tb.Context(), query)
	must(tb, err)
	token, err := tsa.Token(answer)
	must(tb, err)
	return token
}

func (p *pki) answer(tb testing.TB, about entity) []byte {
	tb.Helper()
	der, err := ocsp.CreateResponse(p.issuing.Certificate, p.responder.Certificate, ocsp.Response{
		Status: ocsp.Good, SerialNumber: about.SerialNumber, Certificate: p.responder.Certificate,
		ThisUpdate: p.now.Add(-time.Minute), NextUpdate: p.now.Add(time.Hour),
	}, p.responder.key)
	must(tb, err)
	return der
}

// list makes a CRL of issuer, partitioned if at says where it is found.
func (p *pki) list(tb testing.TB, issuer entity, at string) []byte {
	tb.Helper()
	template := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: p.now.Add(-time.Minute), NextUpdate: p.now.Add(time.Hour)}
	if at != "" {
		type fullName struct {
			Names []asn1.RawValue `asn1:"tag:0"`
		}
		uri := asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 6, Bytes: []byte(at)}
		value, err := asn1.Marshal(struct {
			Point    fullName `asn1:"tag:0"`
			OnlyUser bool     `asn1:"tag:1"`
		}{fullName{[]asn1.RawValue{uri}}, true})
		must(tb, err)
		template.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 28}, Critical: true, Value: value}}
	}
	der, err := x509.CreateRevocationList(rand.Reader, template, issuer.Certificate, issuer.key)
	must(tb, err)
	return der
}

// evidence is all that B-LT asks for.
func (p *pki) evidence(tb testing.TB, who ...entity) cades.Evidence {
	tb.Helper()
	e := cades.Evidence{
		Certificates: []*x509.Certificate{p.issuing.Certificate, p.root.Certificate, p.tsa.Certificate},
		CRLs:         [][]byte{p.list(tb, p.root, ""), p.list(tb, p.issuing, point)},
	}
	for _, w := range who {
		e.OCSPs = append(e.OCSPs, p.answer(tb, w))
	}
	return e
}

// lift takes a signature up to a level, from the one below it.
func (p *pki) lift(tb testing.TB, m *cms.Message, signer int, who entity, content []byte, hash crypto.Hash, to cades.Level) {
	tb.Helper()
	switch to {
	case cades.BB: // it is that already
	case cades.BT:
		must(tb, cades.AddSignatureTimeStamp(m, signer, p.stamp(tb, hash, cades.SignatureImprint(m.Signers[signer], hash))))
	case cades.BLT:
		must(tb, cades.AddEvidence(m, signer, p.evidence(tb, who)))
	case cades.BLTA:
		imprint, index, err := cades.ArchiveImprint(m, signer, reader(m, content), hash)
		must(tb, err)
		must(tb, cades.AddArchiveTimeStamp(m, signer, p.stamp(tb, hash, imprint), index))
	}
}

// reader is the content of a detached signature.
func reader(m *cms.Message, content []byte) io.Reader {
	if m.Attached() {
		return nil
	}
	return bytes.NewReader(content)
}

func digest(hash crypto.Hash, data []byte) []byte {
	h := hash.New()
	h.Write(data)
	return h.Sum(nil)
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
