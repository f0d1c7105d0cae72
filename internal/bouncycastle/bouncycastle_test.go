package bouncycastle_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"testing"
	"time"

	"github.com/digitorus/timestamp"
	"golang.org/x/crypto/ocsp"

	"github.com/rubrica-firma/rubrica/internal/bouncycastle"
)

const shard = "http://ca.example/ca/issuing-1-2026-1.crl"

// entity is a certificate with its key.
type entity struct {
	*x509.Certificate
	key crypto.Signer
}

// pki is a root, an issuing authority below it, and what that issued.
type pki struct {
	now                                      time.Time
	root, issuing, leaf, responder, tsa, lay entity
}

func newPKI(t *testing.T) *pki {
	t.Helper()
	p := &pki{now: time.Now().UTC().Truncate(time.Second)}
	authority := func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
	}
	p.root = p.certify(t, "Root", nil, authority)
	p.issuing = p.certify(t, "Issuing", &p.root, authority)
	p.leaf = p.certify(t, "Leaf", &p.issuing, func(c *x509.Certificate) {
		c.KeyUsage, c.CRLDistributionPoints = x509.KeyUsageContentCommitment, []string{shard}
	})
	p.responder = p.certify(t, "OCSP", &p.issuing, func(c *x509.Certificate) {
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}, Value: []byte{5, 0}}}
	})
	p.lay = p.certify(t, "OCSP", &p.issuing, func(*x509.Certificate) {})
	p.tsa = p.certify(t, "TSA", &p.issuing, func(c *x509.Certificate) {
		usage, err := asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}})
		if err != nil {
			t.Fatal(err)
		}
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true, Value: usage}}
	})
	return p
}

func (p *pki) certify(t *testing.T, name string, issuer *entity, change func(*x509.Certificate)) entity {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, NotBefore: p.now.Add(-time.Hour), NotAfter: p.now.Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature,
	}
	change(template)
	parent := entity{template, key}
	if issuer != nil {
		parent = *issuer
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent.Certificate, key.Public(), parent.key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return entity{certificate, key}
}

// crl makes a list of issuer; partition is its address, if any.
func (p *pki) crl(t *testing.T, issuer entity, partition string, revoked ...x509.RevocationListEntry) []byte {
	t.Helper()
	template := &x509.RevocationList{
		Number: big.NewInt(0x1234), ThisUpdate: p.now.Add(-time.Minute), NextUpdate: p.now.Add(time.Hour),
		RevokedCertificateEntries: revoked,
	}
	if partition != "" {
		uri := asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 6, Bytes: []byte(partition)}
		type fullName struct {
			Names []asn1.RawValue `asn1:"tag:0"`
		}
		idp, err := asn1.Marshal(struct {
			Point    fullName `asn1:"tag:0"`
			OnlyUser bool     `asn1:"tag:1"`
		}{fullName{[]asn1.RawValue{uri}}, true})
		if err != nil {
			t.Fatal(err)
		}
		template.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 28}, Critical: true, Value: idp}}
	}
	der, err := x509.CreateRevocationList(rand.Reader, template, issuer.Certificate, issuer.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// judge compares a verdict with the one wanted.
func judge(t *testing.T, err error, accept bool) {
	t.Helper()
	if rejection := new(bouncycastle.RejectedError); err != nil && !errors.As(err, &rejection) {
		t.Fatalf("got %v, want a RejectedError", err)
	}
	if (err == nil) != accept {
		t.Errorf("got %v, want accepted = %v", err, accept)
	}
}

func TestPath(t *testing.T) {
	t.Parallel()
	p, other := newPKI(t), newPKI(t)
	rootCRL, full, part := p.crl(t, p.root, ""), p.crl(t, p.issuing, ""), p.crl(t, p.issuing, shard)
	elsewhere := p.crl(t, p.issuing, "http://ca.example/ca/issuing-1-2025-1.crl")
	entry := x509.RevocationListEntry{SerialNumber: p.leaf.SerialNumber, RevocationTime: p.now.Add(-time.Minute), ReasonCode: 1}
	revoked := p.crl(t, p.issuing, shard, entry)
	for name, tc := range map[string]struct {
		root   *x509.Certificate
		crls   [][]byte
		at     time.Time
		accept bool
	}{
		"no revocation":       {accept: true},
		"another root":        {root: other.root.Certificate},
		"expired":             {at: p.now.Add(48 * time.Hour)},
		"full list":           {crls: [][]byte{rootCRL, full}, accept: true},
		"partition":           {crls: [][]byte{rootCRL, part}, accept: true},
		"among partitions":    {crls: [][]byte{elsewhere, part, rootCRL}, accept: true},
		"another partition":   {crls: [][]byte{rootCRL, elsewhere}},
		"revoked":             {crls: [][]byte{rootCRL, revoked}},
		"revoked, partitions": {crls: [][]byte{elsewhere, revoked, rootCRL}},
		"no list":             {crls: [][]byte{}},
		"no list of the root": {crls: [][]byte{part}},
		"list too old":        {crls: [][]byte{rootCRL, part}, at: p.now.Add(2 * time.Hour)},
		"list of another key": {crls: [][]byte{rootCRL, other.crl(t, other.issuing, shard)}},
		"garbage for a list":  {crls: [][]byte{{0x30, 0x80}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := p.root.Certificate
			if tc.root != nil {
				root = tc.root
			}
			judge(t, bouncycastle.Path(t, bouncycastle.Chain{
				Root: root, Intermediates: []*x509.Certificate{p.issuing.Certificate},
				Leaf: p.leaf.Certificate, CRLs: tc.crls, At: tc.at,
			}), tc.accept)
		})
	}
}

func TestCRL(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	at := p.now.Add(-time.Minute)
	der := p.crl(t, p.issuing, shard,
		x509.RevocationListEntry{SerialNumber: big.NewInt(0xbeef), RevocationTime: at, ReasonCode: 6},
		x509.RevocationListEntry{SerialNumber: big.NewInt(0xcafe), RevocationTime: at})
	list, err := bouncycastle.CRL(t, der, p.issuing.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	if list.Number.Int64() != 0x1234 || !list.NextUpdate.Equal(p.now.Add(time.Hour)) || !list.ThisUpdate.Equal(at) ||
		list.Partition != shard || !list.PartitionCritical || !list.OnlyUser || list.OnlyCA {
		t.Errorf("got %+v, want the list that was made", list)
	}
	if len(list.Entries) != 2 || list.Entries["beef"].Reason != 6 || !list.Entries["cafe"].At.Equal(at) {
		t.Errorf("got entries %v, want beef on hold and cafe without a reason", list.Entries)
	}
	_, err = bouncycastle.CRL(t, der, p.root.Certificate)
	judge(t, err, false)
	der[len(der)-1] ^= 1
	_, err = bouncycastle.CRL(t, der, p.issuing.Certificate)
	judge(t, err, false)
}

func TestOCSP(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	revoked := ocsp.Response{Status: ocsp.Revoked, RevokedAt: p.now.Add(-time.Minute), RevocationReason: ocsp.KeyCompromise}
	for name, tc := range map[string]struct {
		responder entity
		inside    bool
		template  ocsp.Response
		at        time.Time
		status    string // empty: rejected
	}{
		"good":           {responder: p.responder, inside: true, status: "good"},
		"revoked":        {responder: p.responder, inside: true, template: revoked, status: "revoked"},
		"unknown":        {responder: p.responder, inside: true, template: ocsp.Response{Status: ocsp.Unknown}, status: "unknown"},
		"issuer itself":  {responder: p.issuing, status: "good"},
		"not delegated":  {responder: p.lay, inside: true},
		"nobody inside":  {responder: p.responder},
		"another serial": {responder: p.responder, inside: true, template: ocsp.Response{SerialNumber: big.NewInt(9)}},
		"too old":        {responder: p.responder, inside: true, at: p.now.Add(2 * time.Hour)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			template := tc.template
			template.ThisUpdate, template.NextUpdate = p.now.Add(-time.Minute), p.now.Add(time.Hour)
			if template.SerialNumber == nil {
				template.SerialNumber = p.leaf.SerialNumber
			}
			if tc.inside {
				template.Certificate = tc.responder.Certificate
			}
			der, err := ocsp.CreateResponse(p.issuing.Certificate, tc.responder.Certificate, template, tc.responder.key)
			if err != nil {
				t.Fatal(err)
			}
			answer, err := bouncycastle.OCSP(t, bouncycastle.OCSPQuestion{
				Response: der, Serial: p.leaf.SerialNumber, Issuer: p.issuing.Certificate, Root: p.root.Certificate, At: tc.at,
			})
			judge(t, err, tc.status != "")
			if err == nil && (answer.Status != tc.status || answer.Reason != template.RevocationReason ||
				!answer.NextUpdate.Equal(template.NextUpdate) || (answer.Responder != nil) != tc.inside) {
				t.Errorf("got %+v, want %s as made", answer, tc.status)
			}
		})
	}
	answer, err := bouncycastle.OCSP(t, bouncycastle.OCSPQuestion{
		Response: ocsp.TryLaterErrorResponse, Serial: big.NewInt(1), Issuer: p.issuing.Certificate, Root: p.root.Certificate,
	})
	if err != nil || answer.ResponseStatus != int(ocsp.TryLater) {
		t.Errorf("got %+v, %v, want tryLater", answer, err)
	}
}

func TestTimeStamp(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	digest := sha256.Sum256([]byte("contenido"))
	query, err := (&timestamp.Request{
		HashAlgorithm: crypto.SHA256, HashedMessage: digest[:], Certificates: true, Nonce: big.NewInt(0x77),
	}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	stamp := func(nonce int64, authority entity) []byte {
		response, err := (&timestamp.Timestamp{
			HashAlgorithm: crypto.SHA256, HashedMessage: digest[:], Time: p.now, Nonce: big.NewInt(nonce),
			Policy: asn1.ObjectIdentifier{1, 2, 3}, Accuracy: time.Second, AddTSACertificate: true,
		}).CreateResponseWithOpts(authority.Certificate, authority.key, crypto.SHA256)
		if err != nil {
			t.Fatal(err)
		}
		return response
	}
	question := bouncycastle.Stamp{
		Response: stamp(0x77, p.tsa), Query: query, Digest: digest[:],
		Intermediates: []*x509.Certificate{p.issuing.Certificate}, Root: p.root.Certificate,
	}
	info, err := bouncycastle.TimeStamp(t, question)
	if err != nil {
		t.Fatal(err)
	}
	if !info.GenTime.Equal(p.now) || info.Nonce.Int64() != 0x77 || info.Accuracy != time.Second || info.Certificates != 1 ||
		!info.Policy.Equal(asn1.ObjectIdentifier{1, 2, 3}) {
		t.Errorf("got %+v, want the stamp that was made", info)
	}
	for name, change := range map[string]func(q *bouncycastle.Stamp){
		"another nonce":  func(q *bouncycastle.Stamp) { q.Response = stamp(0x78, p.tsa) },
		"no authority":   func(q *bouncycastle.Stamp) { q.Response = stamp(0x77, p.leaf) },
		"another digest": func(q *bouncycastle.Stamp) { q.Digest = make([]byte, 32) },
		"another root":   func(q *bouncycastle.Stamp) { q.Root = p.issuing.Certificate },
		"a changed bit": func(q *bouncycastle.Stamp) {
			q.Response = bytes.Clone(q.Response)
			q.Response[len(q.Response)-1] ^= 1
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := question
			change(&q)
			_, err := bouncycastle.TimeStamp(t, q)
			judge(t, err, false)
		})
	}
}
