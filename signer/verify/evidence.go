package verify

import (
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/rubrica-firma/rubrica/ca/ocsp"
	"github.com/rubrica-firma/rubrica/signer/cades"
)

var (
	errOCSP = errors.New("no readable OCSP answer")
	errList = errors.New("no usable revocation list")
)

// What answers and lists may be at most, each and lists together, in octets:
// read, lists take some five times as much.
const (
	maxAnswer   = 256 << 10
	maxList     = 16 << 20
	maxAllLists = 32 << 20
)

// readAnswer reads an answer in DER.
func readAnswer(raw []byte) (*ocsp.Response, error) {
	if len(raw) > maxAnswer {
		return nil, fmt.Errorf("%w: %d octets", errOCSP, len(raw))
	}
	a, err := ocsp.Read(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errOCSP, err)
	}
	if a.Algorithm == x509.UnknownSignatureAlgorithm {
		return nil, fmt.Errorf("%w: signature algorithm", errOCSP)
	}
	return a, nil
}

// readList reads a complete list in DER.
func readList(raw []byte) (*cades.List, error) {
	if len(raw) > maxList {
		return nil, fmt.Errorf("%w: %d octets", errList, len(raw))
	}
	l, err := cades.ReadList(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errList, err)
	}
	return l, nil
}

// signerOf finds the answer's certificate among its own, the authority's and
// others.
func (p *pool) signerOf(a *ocsp.Response, issuer *x509.Certificate) *x509.Certificate {
	for _, list := range [][]*x509.Certificate{{issuer}, a.Certificates, p.bySubject[string(a.ResponderName)]} {
		for _, c := range list {
			if a.Names(c) && p.checkAnswer(a, c) == nil {
				return c
			}
		}
	}
	return nil
}
