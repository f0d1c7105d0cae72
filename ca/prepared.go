package ca

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"sync/atomic"
	"time"
)

// Prepared is a certificate that is fixed to the last byte of what will be
// signed, and was found good. It can be issued once.
type Prepared struct {
	authority *Authority // nil in a ceremony
	template  *x509.Certificate
	public    crypto.PublicKey
	tbs       []byte
	redeemed  atomic.Bool
}

// Serial is the serial number, big-endian, without sign.
func (p *Prepared) Serial() []byte { return p.template.SerialNumber.Bytes() }

// NotBefore is the first moment of validity.
func (p *Prepared) NotBefore() time.Time { return p.template.NotBefore }

// NotAfter is the last moment of validity.
func (p *Prepared) NotAfter() time.Time { return p.template.NotAfter }

// Fingerprint is the SHA-256 of the TBSCertificate, for the record of intent.
func (p *Prepared) Fingerprint() []byte {
	sum := sha256.Sum256(p.tbs)
	return sum[:]
}

// Issue is Authority.Issue by the authority that prepared it, whichever is the
// current one by now.
func (p *Prepared) Issue() ([]byte, error) { return p.authority.Issue(p) }

// prepare is the same for all kinds: build, sign with a throw-away key, lint,
// check.
func prepare(f *facts, rehearsal crypto.Signer, lint Lint) (*Prepared, error) {
	template, err := f.template()
	if err != nil {
		return nil, fmt.Errorf("preparing a certificate: %w", err)
	}
	// The same issuer in every field but the key, which must match the one
	// that signs.
	issuer := &x509.Certificate{RawSubject: template.RawSubject}
	if f.issuer != nil {
		issuer.RawSubject = f.issuer.RawSubject
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, f.public, rehearsal)
	if err != nil {
		return nil, fmt.Errorf("rehearsing a certificate: %w", err)
	}
	if err := lint(der); err != nil {
		return nil, fmt.Errorf("linting a certificate: %w", err)
	}
	rehearsed, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("reading a rehearsed certificate: %w", err)
	}
	if err := f.verify(rehearsed); err != nil {
		return nil, fmt.Errorf("comparing a certificate with its request: %w", err)
	}
	return &Prepared{template: template, public: f.public, tbs: rehearsed.RawTBSCertificate}, nil
}

// sign spends p. The issuer is nil if the certificate is its own.
func (p *Prepared) sign(issuer *x509.Certificate, signer crypto.Signer) (*x509.Certificate, error) {
	if !p.redeemed.CompareAndSwap(false, true) {
		return nil, ErrRedeemed
	}
	parent := issuer
	if parent == nil {
		parent = &x509.Certificate{RawSubject: p.template.RawSubject}
	}
	der, err := x509.CreateCertificate(rand.Reader, p.template, parent, p.public, signer)
	if err != nil {
		return nil, fmt.Errorf("signing a certificate: %w", err)
	}
	issued, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("reading an issued certificate: %w", err)
	}
	if !bytes.Equal(issued.RawTBSCertificate, p.tbs) {
		return nil, ErrMismatch
	}
	if issuer == nil {
		issuer = issued
	}
	if err := issued.CheckSignatureFrom(issuer); err != nil {
		return nil, fmt.Errorf("verifying an issued certificate: %w", err)
	}
	return issued, nil
}

// KeyEnd is when the private key of a certificate is used for the last time:
// the end of its usage period if it names one, or of its validity.
func KeyEnd(c *x509.Certificate) (time.Time, error) {
	for _, e := range c.Extensions {
		if e.Id.String() != oidKeyPeriod {
			continue
		}
		var period keyPeriod
		if rest, err := asn1.Unmarshal(e.Value, &period); err != nil || len(rest) > 0 {
			return time.Time{}, fmt.Errorf("%w: usage period of the key", ErrMismatch)
		}
		return period.NotAfter, nil
	}
	return c.NotAfter, nil
}

func samePublic(a, b crypto.PublicKey) bool {
	comparable, ok := a.(interface{ Equal(x crypto.PublicKey) bool })
	return ok && comparable.Equal(b)
}

// likeKey makes a key that signs with the same algorithm. An RSA key may be
// shorter: its length does not enter what is signed.
func likeKey(public crypto.PublicKey) (crypto.Signer, error) {
	switch key := public.(type) {
	case *rsa.PublicKey:
		made, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return nil, fmt.Errorf("making a rehearsal key: %w", err)
		}
		return made, nil
	case *ecdsa.PublicKey:
		made, err := ecdsa.GenerateKey(key.Curve, rand.Reader)
		if err != nil {
			return nil, fmt.Errorf("making a rehearsal key: %w", err)
		}
		return made, nil
	default:
		return nil, fmt.Errorf("authority with a key of type %T", key)
	}
}
