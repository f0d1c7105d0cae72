package verify

import (
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/rubrica-firma/rubrica/ca/ocsp"
	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/cms"
)

// What answers, lists and time-stamps may be at most, each and lists together, in
// octets: read, lists take some five times as much.
const (
	maxAnswer   = 256 << 10
	maxList     = 16 << 20
	maxAllLists = 32 << 20
	maxToken    = 4 << 20 // their unsigned attributes may hold evidence
)

// within reads what is no longer than it may be.
func within[T any](raw []byte, most int, read func([]byte) (T, error)) (T, error) {
	if len(raw) > most {
		var none T
		return none, fmt.Errorf("%d octets are more than are read", len(raw))
	}
	return read(raw)
}

// readAnswer reads an answer in DER.
func readAnswer(raw []byte) (*ocsp.Response, error) {
	a, err := within(raw, maxAnswer, ocsp.Read)
	if err == nil && a.Algorithm == x509.UnknownSignatureAlgorithm {
		return nil, errors.New("signature algorithm of an OCSP answer")
	}
	return a, err
}

func readList(raw []byte) (*cades.List, error) { return within(raw, maxList, cades.ReadList) }

func readToken(raw []byte) (*cms.Token, error) { return within(raw, maxToken, cms.OpenToken) }

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
