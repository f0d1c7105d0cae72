package ocsp

import (
	"bytes"
	"crypto"
	_ "crypto/sha1"   //nolint:gosec // RFC 5019, section 2.1.1 has clients name issuers so
	_ "crypto/sha256" // linked for CertID
	_ "crypto/sha512" // linked for CertID
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
)

// Issuer is an issuing authority and its responder.
type Issuer struct {
	Name        string // the authority's, as Statuses knows it
	Certificate *x509.Certificate
	// Responder is the certificate of the delegated responder, issued by
	// Certificate itself (RFC 6960, section 4.2.2.2).
	Responder *x509.Certificate
	Signer    crypto.Signer // the responder's key, RSA or ECDSA
}

var (
	errResponder = errors.New("certificate of the responder is not fit to answer")
	errSigner    = errors.New("signing an answer")
)

// check demands of the responder's certificate what clients will (RFC 6960,
// section 4.2.2.2), but for what takes a signature to know: see vouched.
func (i Issuer) check(now time.Time) error {
	if i.Responder == nil || i.Certificate == nil || i.Signer == nil {
		return fmt.Errorf("%w: there is none", errResponder)
	}
	return i.fit(now)
}

// fit is check for whoever has no key: at that time the certificate was valid,
// and one for answers about those of Certificate.
func (i Issuer) fit(at time.Time) error {
	r := i.Responder
	switch {
	case at.Before(r.NotBefore) || !at.Before(r.NotAfter):
		return fmt.Errorf("%w: valid from %s to %s", errResponder, r.NotBefore.Format(time.RFC3339), r.NotAfter.Format(time.RFC3339))
	case !slices.Contains(r.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning) || r.KeyUsage&x509.KeyUsageDigitalSignature == 0:
		return fmt.Errorf("%w: not for the signing of answers", errResponder)
	case !bytes.Equal(r.RawIssuer, i.Certificate.RawSubject):
		return fmt.Errorf("%w: issued by another authority", errResponder)
	}
	return nil
}

// vouched demands that the authority has certified the responder's key. It is
// asked before each signature; an answer that is kept was signed so.
func (i Issuer) vouched() error {
	if err := i.Responder.CheckSignatureFrom(i.Certificate); err != nil {
		return fmt.Errorf("%w: %w", errResponder, err)
	}
	if own, ok := i.Signer.Public().(interface{ Equal(x crypto.PublicKey) bool }); !ok || !own.Equal(i.Responder.PublicKey) {
		return fmt.Errorf("%w: the key is another's", errResponder)
	}
	return nil
}

// issued is whether a CertID names the authority as its certificate's issuer.
func (i Issuer) issued(id CertID) bool {
	if id.Hash == 0 || i.Certificate == nil {
		return false
	}
	name, key, err := i.hashes(id.Hash)
	return err == nil && bytes.Equal(name, id.IssuerName) && bytes.Equal(key, id.IssuerKey)
}

func (i Issuer) hashes(hash crypto.Hash) (name, key []byte, err error) {
	bits, err := publicKeyBits(i.Certificate)
	if err != nil {
		return nil, nil, err
	}
	h := hash.New()
	h.Write(i.Certificate.RawSubject)
	name = h.Sum(nil)
	h.Reset()
	h.Write(bits)
	return name, h.Sum(nil), nil
}

// certID names a certificate as RFC 5019, section 2.1.1 has clients do: by
// SHA-1. With NULL as parameters, as all of them send it.
func (i Issuer) certID(serial *big.Int) (CertID, error) {
	name, key, err := i.hashes(crypto.SHA1)
	if err != nil {
		return CertID{}, err
	}
	var b cryptobyte.Builder
	b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(oidSHA1())
			b.AddASN1NULL()
		})
		b.AddASN1OctetString(name)
		b.AddASN1OctetString(key)
		b.AddASN1BigInt(serial)
	})
	raw, err := b.Bytes()
	if err != nil {
		return CertID{}, fmt.Errorf("encoding a CertID: %w", err)
	}
	return CertID{Hash: crypto.SHA1, IssuerName: name, IssuerKey: key, Serial: serial, raw: raw}, nil
}

// publicKeyBits is the value of the BIT STRING subjectPublicKey (RFC 6960,
// section 4.1.1: without tag, length and number of unused bits).
func publicKeyBits(c *x509.Certificate) ([]byte, error) {
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		PublicKey asn1.BitString
	}
	if _, err := asn1.Unmarshal(c.RawSubjectPublicKeyInfo, &info); err != nil {
		return nil, fmt.Errorf("reading a public key: %w", err)
	}
	return info.PublicKey.RightAlign(), nil
}
