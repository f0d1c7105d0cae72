package verify_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/rubrica-firma/rubrica/ca"
	responder "github.com/rubrica-firma/rubrica/ca/ocsp"
	"github.com/rubrica-firma/rubrica/ca/tsa"
	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/cms"
	"github.com/rubrica-firma/rubrica/signer/verify"
)

// day0 is when the world of the tests begins.
var day0 = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)

func day(n int) time.Time { return day0.AddDate(0, 0, n) }

// entity is a certificate with its key.
type entity struct {
	*x509.Certificate

	key    crypto.Signer
	issuer *entity
}

// world is a hierarchy with keys in memory: nothing here depends on the
// authority that the service has, but for the time-stamps, which that makes.
type world struct {
	root, issuing, responder, later, signer, unit entity
	number                                        int64
}

func newWorld(tb testing.TB) *world {
	tb.Helper()
	w := &world{}
	authority := func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
		c.NotAfter = day(3650)
	}
	w.root = certify(tb, "Root", nil, authority)
	w.issuing = certify(tb, "Issuing", &w.root, authority)
	w.responder = certify(tb, "Responder", &w.issuing, func(c *x509.Certificate) {
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}, Value: asn1.NullBytes}}
		c.NotAfter = day(90)
	})
	w.later = certify(tb, "Later responder", &w.issuing, func(c *x509.Certificate) {
		c.ExtKeyUsage, c.NotAfter = []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}, day(3000)
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}, Value: asn1.NullBytes}}
	})
	w.signer = certify(tb, "ESPAÑOL ESPAÑOL JUAN", &w.issuing, func(c *x509.Certificate) {
		c.KeyUsage = x509.KeyUsageContentCommitment
		c.Subject.SerialNumber = "IDCES-00000000T"
	})
	w.unit = certify(tb, "Stamps", &w.issuing, stamping(day(3000)))
	return w
}

// stamping makes a certificate a time-stamping unit's.
func stamping(until time.Time) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		usage, _ := asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}})
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true, Value: usage}}
		c.NotAfter, c.CRLDistributionPoints = until, []string{servicesList}
	}
}

// certify issues a certificate: valid for a year, unless it is changed.
func certify(tb testing.TB, common string, issuer *entity, change func(*x509.Certificate)) entity {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(tb, err)
	return certifyKey(tb, key, common, issuer, change)
}

func certifyKey(tb testing.TB, key crypto.Signer, common string, issuer *entity, change func(*x509.Certificate)) entity {
	tb.Helper()
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	must(tb, err)
	id := sha256.Sum256([]byte(serial.String()))
	c := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{Country: []string{"ES"}, CommonName: common}, SubjectKeyId: id[:20],
		NotBefore: day(-30), NotAfter: day(365), KeyUsage: x509.KeyUsageDigitalSignature,
	}
	if change != nil {
		change(c)
	}
	parent, by := c, key
	if issuer != nil {
		parent, by = issuer.Certificate, issuer.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), by)
	must(tb, err)
	cert, err := x509.ParseCertificate(der)
	must(tb, err)
	return entity{cert, key, issuer}
}

// answer is an OCSP answer of the service's own responder, good for two days.
func (w *world) answer(tb testing.TB, c entity, at time.Time, status responder.Status) []byte {
	tb.Helper()
	if at.After(w.responder.NotAfter) {
		return w.answerBy(tb, w.later, c, at, status)
	}
	return w.answerBy(tb, w.responder, c, at, status)
}

func (w *world) answerBy(tb testing.TB, by, c entity, at time.Time, status responder.Status) []byte {
	tb.Helper()
	r, err := responder.New(responder.Config{
		Issuers: func() []responder.Issuer {
			return []responder.Issuer{{Name: "issuing", Certificate: c.issuer.Certificate, Responder: by.Certificate, Signer: by.key}}
		},
		Statuses: told{responder.Serial(c.SerialNumber): status}, Life: 48 * time.Hour, Now: func() time.Time { return at },
		Trusted: func(context.Context) error { return nil },
	})
	must(tb, err)
	request, err := ocsp.CreateRequest(c.Certificate, c.issuer.Certificate, nil)
	must(tb, err)
	answer, err := r.Answer(tb.Context(), request)
	must(tb, err)
	return answer.DER
}

// told are statuses that a test knows.
type told map[string]responder.Status

func (t told) Status(context.Context, string, []string) (map[string]responder.Status, error) {
	return t, nil
}
func (told) Kept(context.Context, string) (responder.Kept, error) { return responder.Kept{}, nil }
func (told) Keep(context.Context, responder.Kept) error           { return nil }

var good = responder.Status{State: responder.Good}

func revokedAt(at time.Time, reason int) responder.Status {
	return responder.Status{State: responder.Revoked, RevokedAt: at, Reason: reason}
}

// crl is a list of one week.
func (w *world) crl(tb testing.TB, issuer entity, at time.Time, entries ...x509.RevocationListEntry) []byte {
	tb.Helper()
	return w.crlWith(tb, issuer, at, nil, entries...)
}

func (w *world) crlWith(tb testing.TB, issuer entity, at time.Time, extensions []pkix.Extension, entries ...x509.RevocationListEntry) []byte {
	tb.Helper()
	w.number++
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(w.number), ThisUpdate: at, NextUpdate: at.AddDate(0, 0, 7), RevokedCertificateEntries: entries, ExtraExtensions: extensions,
	}, issuer.Certificate, issuer.key)
	must(tb, err)
	return der
}

// services is the list that time-stamping units' certificates name, and the
// signer's does not.
func (w *world) services(tb testing.TB, at time.Time, revoked ...ca.Revocation) []byte {
	tb.Helper()
	der, err := ca.CRL(ca.List{Number: 1, ThisUpdate: at, NextUpdate: at.AddDate(0, 0, 7), DistributionPoint: servicesList, Revoked: revoked}, w.issuing.Certificate, w.issuing.key)
	must(tb, err)
	return der
}

const servicesList = "http://ca.example/ca/services.crl"

// evidence is all that is known of everybody at a time: good news.
func (w *world) evidence(tb testing.TB, at time.Time) cades.Evidence {
	tb.Helper()
	return cades.Evidence{
		Certificates: []*x509.Certificate{w.issuing.Certificate, w.root.Certificate, w.unit.Certificate},
		OCSPs:        [][]byte{w.answer(tb, w.signer, at, good)},
		CRLs:         [][]byte{w.crl(tb, w.root, at), w.services(tb, at)},
	}
}

// token is a time-stamp of the service's own authority.
func (w *world) token(tb testing.TB, unit entity, at time.Time, imprint []byte) []byte {
	tb.Helper()
	authority, err := tsa.New(tsa.Config{
		Certificate: unit.Certificate, Signer: unit.key, Chain: []*x509.Certificate{w.issuing.Certificate},
		Policy: asn1.ObjectIdentifier{0, 4, 0, 2023, 1, 1}, Now: func() time.Time { return at },
		Trusted: func(context.Context) error { return nil },
	})
	must(tb, err)
	oid := asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	query, err := asn1.Marshal(struct {
		Version int
		Imprint struct {
			Algorithm pkix.AlgorithmIdentifier
			Digest    []byte
		}
		CertReq bool
	}{1, struct {
		Algorithm pkix.AlgorithmIdentifier
		Digest    []byte
	}{pkix.AlgorithmIdentifier{Algorithm: oid}, imprint}, true})
	must(tb, err)
	answer, err := authority.Answer(tb.Context(), query)
	must(tb, err)
	var response struct {
		Status asn1.RawValue
		Token  asn1.RawValue
	}
	_, err = asn1.Unmarshal(answer, &response)
	must(tb, err)
	return response.Token.FullBytes
}

var content = []byte("Resolución de la convocatoria\n")

// sign makes a detached B-B signature over content.
func (w *world) sign(tb testing.TB, by entity, at time.Time) []byte {
	tb.Helper()
	return w.signParams(tb, by, cades.Params{ContentDigest: sum(content), Hash: crypto.SHA256, Certificate: by.Certificate, SigningTime: at})
}

func (w *world) signParams(tb testing.TB, by entity, p cades.Params) []byte {
	tb.Helper()
	attributes, err := cades.SignedAttributes(p)
	must(tb, err)
	value, err := by.key.Sign(rand.Reader, cades.DTBSR(attributes, p.Hash), p.Hash)
	must(tb, err)
	der, err := cms.Assemble(cms.Parts{SignedAttributes: attributes, Signature: value, Certificate: by.Certificate, Chain: []*x509.Certificate{w.issuing.Certificate}, Hash: p.Hash})
	must(tb, err)
	return der
}

// raise opens a signature, changes it and writes it again.
func raise(tb testing.TB, der []byte, change func(m *cms.Message)) []byte {
	tb.Helper()
	m, err := openMessage(der)
	must(tb, err)
	change(m)
	var out bytes.Buffer
	must(tb, m.Write(&out))
	return out.Bytes()
}

func openMessage(der []byte) (*cms.Message, error) {
	return cms.Open(bytes.NewReader(der), int64(len(der)))
}

// toT, toLT and toLTA raise a detached signature's level.
func (w *world) toT(tb testing.TB, der []byte, at time.Time) []byte {
	tb.Helper()
	return raise(tb, der, func(m *cms.Message) {
		must(tb, cades.AddSignatureTimeStamp(m, 0, w.token(tb, w.unit, at, cades.SignatureImprint(m.Signers[0], crypto.SHA256))))
	})
}

func (w *world) toLT(tb testing.TB, der []byte, e cades.Evidence) []byte {
	tb.Helper()
	return raise(tb, der, func(m *cms.Message) { must(tb, cades.AddEvidence(m, 0, e)) })
}

func (w *world) toLTA(tb testing.TB, der []byte, unit entity, at time.Time) []byte {
	tb.Helper()
	return raise(tb, der, func(m *cms.Message) {
		imprint, index, err := cades.ArchiveImprint(m, 0, bytes.NewReader(content), crypto.SHA256)
		must(tb, err)
		must(tb, cades.AddArchiveTimeStamp(m, 0, w.token(tb, unit, at, imprint), index))
	})
}

// verifier trusts the root.
func (w *world) verifier(at time.Time, e ...cades.Evidence) *verify.Verifier {
	v := &verify.Verifier{Trust: []*x509.Certificate{w.root.Certificate}, Now: func() time.Time { return at }}
	for _, one := range e {
		v.Evidence = v.Evidence.Merge(one)
	}
	return v
}

// check verifies a detached signature over content.
func check(tb testing.TB, v *verify.Verifier, der []byte) *verify.Report {
	tb.Helper()
	return checkOf(tb, v, der, content)
}

func checkOf(tb testing.TB, v *verify.Verifier, der, of []byte) *verify.Report {
	tb.Helper()
	in := verify.Input{Document: bytes.NewReader(der), Size: int64(len(der))}
	if of != nil {
		in.Content, in.ContentSize = bytes.NewReader(of), int64(len(of))
	}
	r, err := v.File(tb.Context(), in)
	must(tb, err)
	return r
}

func sum(data []byte) []byte {
	s := sha256.Sum256(data)
	return s[:]
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
