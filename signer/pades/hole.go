package pades

import (
	"crypto/x509"
	"fmt"

	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/cms"
)

const (
	// DefaultHole has room for an RSA-4096 signature, a chain of three
	// certificates and, later, a signature time-stamp with its own chain.
	DefaultHole = 16 << 10
	// TokenRoom has room for a time-stamp token with RSA-4096 signatures and a
	// chain of three certificates.
	TokenRoom = 8 << 10
)

// HoleSize is what decides how large a signature can get.
type HoleSize struct {
	// Params are those of the signed attributes; the digest is not needed.
	Params cades.Params
	Chain  []*x509.Certificate
	Scheme cms.Scheme
	// Token is the room for a signature time-stamp, 0 for none.
	Token int
}

// attributeRoom is what an unsigned attribute has around its value.
const attributeRoom = 32

// HoleFor is the least hole that such a signature fits into, whatever its value.
func HoleFor(z HoleSize) (int, error) {
	z.Params.ContentDigest = make([]byte, z.Params.Hash.Size())
	attributes, err := cades.SignedAttributes(z.Params)
	if err != nil {
		return 0, fmt.Errorf("sizing a signature: %w", err)
	}
	unsigned := 0
	if z.Token > 0 {
		unsigned = z.Token + attributeRoom
	}
	hole, err := cms.SizeBound(cms.Sizes{
		Certificate: z.Params.Certificate, Chain: z.Chain, Hash: z.Params.Hash, Scheme: z.Scheme,
		SignedAttributes: len(attributes), Unsigned: unsigned,
	})
	if err != nil {
		return 0, fmt.Errorf("sizing a signature: %w", err)
	}
	return hole, nil
}
