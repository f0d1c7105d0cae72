package cades

import (
	"crypto"
	"encoding/asn1"
	"errors"
	"fmt"

	"github.com/rubrica-firma/rubrica/signer/cms"
)

// ErrUnsupported is in every error about an algorithm that is not one of those
// that signatures may be made or read with.
var ErrUnsupported = errors.New("unsupported algorithm")

// hashIdentifier is for what we write: SHA-2 as ETSI TS 119 312 has it.
func hashIdentifier(hash crypto.Hash) (asn1.ObjectIdentifier, error) {
	switch hash {
	case crypto.SHA256, crypto.SHA384, crypto.SHA512:
		return cms.DigestID(hash)
	default:
		return nil, fmt.Errorf("%w: hash %v", ErrUnsupported, hash)
	}
}

func sum(hash crypto.Hash, parts ...[]byte) []byte {
	h := hash.New()
	for _, part := range parts {
		h.Write(part)
	}
	return h.Sum(nil)
}
