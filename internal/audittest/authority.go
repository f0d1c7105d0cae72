package audittest

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
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/ca/tsa"
)

// Authority is a time-stamping authority below a root of its own.
type Authority struct {
	Root *x509.Certificate

	authority *tsa.Authority
}

// NewAuthority stamps by that clock.
func NewAuthority(tb testing.TB, now func() time.Time) *Authority {
	tb.Helper()
	rootKey, unitKey := newECKey(tb), newECKey(tb)
	template := func(name string) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(1 + int64(len(name))), Subject: pkix.Name{Country: []string{"ES"}, CommonName: name},
			NotBefore: now().Add(-time.Hour), NotAfter: now().Add(24 * time.Hour),
		}
	}
	root := template("Raíz")
	root.IsCA, root.BasicConstraintsValid, root.KeyUsage = true, true, x509.KeyUsageCertSign
	a := &Authority{Root: certify(tb, root, root, rootKey.Public(), rootKey)}
	unit := template("Sellado de tiempo")
	unit.KeyUsage = x509.KeyUsageDigitalSignature
	timeStamping, err := asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}})
	if err != nil {
		tb.Fatal(err)
	}
	unit.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true, Value: timeStamping}}
	a.authority, err = tsa.New(tsa.Config{
		Certificate: certify(tb, unit, a.Root, unitKey.Public(), rootKey), Signer: unitKey,
		Policy: asn1.ObjectIdentifier{0, 4, 0, 2023, 1, 1}, Now: now, Trusted: func(context.Context) error { return nil },
	})
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

func newECKey(tb testing.TB) crypto.Signer {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func certify(tb testing.TB, template, issuer *x509.Certificate, public any, key crypto.Signer) *x509.Certificate {
	tb.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, public, key)
	if err != nil {
		tb.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// Response is the TimeStampResp for a message, and Token the token in it.
func (a *Authority) Response(tb testing.TB, message []byte) []byte {
	tb.Helper()
	digest := sha256.Sum256(message)
	query, err := tsa.NewRequest(crypto.SHA256, digest[:]).Marshal()
	if err != nil {
		tb.Fatal(err)
	}
	response, err := a.authority.Answer(tb.Context(), query)
	if err != nil {
		tb.Fatal(err)
	}
	return response
}

// Token is the time-stamp of a message.
func (a *Authority) Token(tb testing.TB, message []byte) []byte {
	tb.Helper()
	token, err := tsa.Token(a.Response(tb, message))
	if err != nil {
		tb.Fatal(err)
	}
	return token
}

// PEM is the root.
func (a *Authority) PEM(tb testing.TB) []byte {
	tb.Helper()
	var out bytes.Buffer
	if err := pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: a.Root.Raw}); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}
