package cades

import (
	"bytes"
	"crypto"
	_ "crypto/sha1" // #nosec G505 -- the hash by which most OCSP responses name certificates (RFC 6960, 4.1.1)
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/rubrica-firma/rubrica/signer/cms"
)

// ErrEvidence is in every error about a certificate, CRL or OCSP response that
// cannot be read.
var ErrEvidence = errors.New("malformed validation data")

// certID is CertID (RFC 6960, 4.1.1).
type certID struct {
	Algorithm         pkix.AlgorithmIdentifier
	NameHash, KeyHash []byte
	Serial            *big.Int
}

// answers is what an OCSP response is about, and the certificates inside.
type answers struct {
	about        []certID
	certificates []*x509.Certificate
}

// readOCSP reads an OCSPResponse (RFC 6960, 4.2.1) as far as coverage goes: whether
// it is signed, and what it says, is for who validates.
func readOCSP(der []byte) (*answers, error) {
	var response struct {
		Status asn1.Enumerated
		Bytes  struct {
			Type     asn1.ObjectIdentifier
			Response []byte
		} `asn1:"explicit,tag:0,optional"`
	}
	var basic struct {
		Data struct {
			Version     int `asn1:"optional,default:0,explicit,tag:0"`
			ResponderID asn1.RawValue
			ProducedAt  asn1.RawValue
			Responses   []struct{ ID certID }
		}
		Algorithm    pkix.AlgorithmIdentifier
		Signature    asn1.BitString
		Certificates []asn1.RawValue `asn1:"explicit,tag:0,optional"`
	}
	if rest, err := asn1.Unmarshal(der, &response); err != nil || len(rest) > 0 || response.Status != 0 {
		return nil, fmt.Errorf("%w: OCSPResponse of status %d: %w", ErrEvidence, response.Status, errors.Join(err))
	}
	if rest, err := asn1.Unmarshal(response.Bytes.Response, &basic); err != nil || len(rest) > 0 {
		return nil, fmt.Errorf("%w: BasicOCSPResponse: %w", ErrEvidence, errors.Join(err))
	}
	a := &answers{}
	for _, single := range basic.Data.Responses {
		a.about = append(a.about, single.ID)
	}
	for _, raw := range basic.Certificates {
		certificate, err := x509.ParseCertificate(raw.FullBytes)
		if err != nil {
			return nil, fmt.Errorf("%w: responder's certificate: %w", ErrEvidence, err)
		}
		a.certificates = append(a.certificates, certificate)
	}
	return a, nil
}

func (a *answers) covers(c, issuer *x509.Certificate) bool {
	return slices.ContainsFunc(a.about, func(id certID) bool {
		hash, err := cms.DigestOf(id.Algorithm.Algorithm)
		if err != nil || id.Serial == nil || id.Serial.Cmp(c.SerialNumber) != 0 {
			return false
		}
		key, err := publicKeyHash(issuer, hash)
		return err == nil && bytes.Equal(id.KeyHash, key) && bytes.Equal(id.NameHash, sum(hash, issuer.RawSubject))
	})
}

// publicKeyHash is of the key's bits, without tag, length and unused bits.
func publicKeyHash(c *x509.Certificate, hash crypto.Hash) ([]byte, error) {
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(c.RawSubjectPublicKeyInfo, &info); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEvidence, err)
	}
	return sum(hash, info.Key.RightAlign()), nil
}
