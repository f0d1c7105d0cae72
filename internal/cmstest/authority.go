package cmstest

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/rubrica-firma/rubrica/ca/tsa"
)

// Authority is a root that certifies whatever a signature needs: signers,
// time-stamping units, and an OCSP responder. It is good for a day.
type Authority struct {
	Key  crypto.Signer
	Root *x509.Certificate
	// Responder answers for all that the root has certified.
	Responder *Signer
}

// NewAuthority makes a root with a responder.
func NewAuthority(tb testing.TB) *Authority {
	tb.Helper()
	a := &Authority{Key: newKey(tb, "p256")}
	a.Root = issue(tb, template("Raíz de pruebas", true), nil, a.Key.Public(), a.Key)
	key := newKey(tb, "p256")
	a.Responder = &Signer{Key: key, Root: a.Root, Authority: a, Certificate: a.Certify(tb, key.Public(), func(c *x509.Certificate) {
		c.Subject.CommonName = "OCSP de pruebas"
		c.KeyUsage, c.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}
		c.ExtraExtensions = []pkix.Extension{{ // RFC 6960, 4.2.2.2.1
			Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}, Value: asn1.NullBytes,
		}}
	})}
	return a
}

// Certify issues a certificate of a citizen, changed before it is signed.
func (a *Authority) Certify(tb testing.TB, public crypto.PublicKey, change func(*x509.Certificate)) *x509.Certificate {
	tb.Helper()
	c := template("ESPAÑOL ESPAÑOL JUAN - 00000000T", false)
	if change != nil {
		change(c)
	}
	return issue(tb, c, a.Root, public, a.Key)
}

// Signer makes a signer with a fresh key of a kind that New knows.
func (a *Authority) Signer(tb testing.TB, kind string) *Signer {
	tb.Helper()
	key := newKey(tb, kind)
	return &Signer{
		Key: key, Scheme: schemeOf(kind), Root: a.Root, Authority: a,
		Certificate: a.Certify(tb, key.Public(), nil),
	}
}

// TimeStamps makes a time-stamping unit, whose certificate is changed before it
// is signed.
func (a *Authority) TimeStamps(tb testing.TB, change func(*x509.Certificate)) *TimeStamps {
	tb.Helper()
	key := newKey(tb, "p256")
	certificate := a.Certify(tb, key.Public(), func(c *x509.Certificate) {
		c.Subject.CommonName = "Sellado de pruebas"
		c.KeyUsage = x509.KeyUsageDigitalSignature
		c.ExtraExtensions = []pkix.Extension{{ // RFC 3161, 2.3: critical
			Id:    asn1.ObjectIdentifier{2, 5, 29, 37},
			Value: marshal(tb, []asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}}), Critical: true,
		}}
		if change != nil {
			change(c)
		}
	})
	return &TimeStamps{Signer: &Signer{Key: key, Certificate: certificate, Root: a.Root, Authority: a}, Now: time.Now}
}

// TimeStamps is a time-stamping unit.
type TimeStamps struct {
	*Signer
	// Now is the time that it stamps; the clock's, unless a test sets it.
	Now func() time.Time
}

// Stamp gives the TimeStampToken of a digest, with the unit's certificate inside.
func (t *TimeStamps) Stamp(tb testing.TB, hash crypto.Hash, digest []byte) []byte {
	tb.Helper()
	authority, err := tsa.New(tsa.Config{
		Certificate: t.Certificate, Signer: t.Key, Policy: asn1.ObjectIdentifier{0, 4, 0, 2023, 1, 1},
		Now: t.Now, Trusted: func(context.Context) error { return nil },
	})
	if err != nil {
		tb.Fatalf("making a time-stamping unit: %v", err)
	}
	names := map[crypto.Hash]int{crypto.SHA256: 1, crypto.SHA384: 2, crypto.SHA512: 3}
	answer, err := authority.Answer(tb.Context(), marshal(tb, struct {
		Version int
		Imprint struct {
			Algorithm pkix.AlgorithmIdentifier
			Digest    []byte
		}
		CertReq bool
	}{1, struct {
		Algorithm pkix.AlgorithmIdentifier
		Digest    []byte
	}{pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, names[hash]}}, digest}, true}))
	if err != nil {
		tb.Fatalf("stamping: %v", err)
	}
	var response struct {
		Status asn1.RawValue
		Token  asn1.RawValue
	}
	if _, err := asn1.Unmarshal(answer, &response); err != nil {
		tb.Fatalf("reading the time-stamping unit's answer: %v", err)
	}
	return response.Token.FullBytes
}

// OCSP gives the OCSPResponse about a certificate: good since now and for an
// hour, changed before it is signed.
func (a *Authority) OCSP(tb testing.TB, about *x509.Certificate, change func(*ocsp.Response)) []byte {
	tb.Helper()
	now := time.Now().UTC().Truncate(time.Second)
	answer := ocsp.Response{
		Status: ocsp.Good, SerialNumber: about.SerialNumber, Certificate: a.Responder.Certificate,
		ThisUpdate: now, NextUpdate: now.Add(time.Hour), IssuerHash: crypto.SHA1,
	}
	if change != nil {
		change(&answer)
	}
	der, err := ocsp.CreateResponse(a.Root, a.Responder.Certificate, answer, a.Responder.Key)
	if err != nil {
		tb.Fatalf("answering about a certificate: %v", err)
	}
	return der
}

// CRL gives a revocation list, as of now and for an hour, changed before it is
// signed.
func (a *Authority) CRL(tb testing.TB, change func(*x509.RevocationList)) []byte {
	tb.Helper()
	now := time.Now().UTC().Truncate(time.Second)
	list := &x509.RevocationList{Number: big.NewInt(now.Unix()), ThisUpdate: now, NextUpdate: now.Add(time.Hour)}
	if change != nil {
		change(list)
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, a.Root, a.Key)
	if err != nil {
		tb.Fatalf("signing a revocation list: %v", err)
	}
	return der
}

// Revoked is a CRL's change: those certificates are on it, since then.
func Revoked(at time.Time, certificates ...*x509.Certificate) func(*x509.RevocationList) {
	return func(l *x509.RevocationList) {
		for _, c := range certificates {
			l.RevokedCertificateEntries = append(l.RevokedCertificateEntries, x509.RevocationListEntry{
				SerialNumber: c.SerialNumber, RevocationTime: at.UTC().Truncate(time.Second), ReasonCode: 1,
			})
		}
	}
}

func marshal(tb testing.TB, value any) []byte {
	tb.Helper()
	der, err := asn1.Marshal(value)
	if err != nil {
		tb.Fatalf("encoding: %v", err)
	}
	return der
}
