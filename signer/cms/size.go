package cms

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
)

// Sizes are what the size of a detached signature depends on.
type Sizes struct {
	Certificate *x509.Certificate
	Chain       []*x509.Certificate // as in Parts
	Hash        crypto.Hash
	Scheme      Scheme
	// SignedAttributes is the length of the DER SET that will be signed, its
	// identifier and length among it.
	SignedAttributes int
	// Unsigned is the length of the unsigned attributes that are to be added
	// later, such as a time-stamp; 0 for none.
	Unsigned int
}

// SizeBound is the least upper bound of the size of what Assemble gives, and of
// the same with unsigned attributes. Only the value of an ECDSA signature has no
// fixed length.
func SizeBound(z Sizes) (int, error) {
	value, err := valueBound(z.Certificate.PublicKey)
	if err != nil {
		return 0, err
	}
	s, err := newSignedData(Parts{
		Certificate: z.Certificate, Chain: z.Chain, Hash: z.Hash, Scheme: z.Scheme, Signature: make([]byte, value),
	})
	if err != nil {
		return 0, err
	}
	if z.SignedAttributes < 2 || z.Unsigned < 0 || z.SignedAttributes > maxRest || z.Unsigned > maxRest {
		return 0, fmt.Errorf("%w: attributes of %d and %d octets", ErrMalformed, z.SignedAttributes, z.Unsigned)
	}
	s.SignedAttributes = blank(z.SignedAttributes)
	if z.Unsigned > 0 {
		s.UnsignedAttributes = wrap(tagSet, make([]byte, z.Unsigned))
	}
	der, err := s.Encode()
	return len(der), err
}

// valueBound is the longest value of a key: an ECDSA value is a SEQUENCE of two
// INTEGERs of the order's length, each with an octet for the sign (RFC 5753, 7.2).
func valueBound(key crypto.PublicKey) (int, error) {
	switch pub := key.(type) {
	case *rsa.PublicKey:
		return pub.Size(), nil
	case *ecdsa.PublicKey:
		number := make([]byte, 1+(pub.Params().N.BitLen()+7)/8)
		return len(wrap(tagSequence, wrap(tagInteger, number), wrap(tagInteger, number))), nil
	default:
		return 0, fmt.Errorf("%w: key %T", ErrUnsupported, key)
	}
}

// blank is a SET of n octets, or of the next number that a SET can have.
func blank(n int) []byte {
	body := max(0, n-6)
	for len(header(tagSet, int64(body)))+body < n {
		body++
	}
	return wrap(tagSet, make([]byte, body))
}
