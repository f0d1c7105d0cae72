package cades

import (
	"crypto"
	"encoding/asn1"
	"errors"
	"fmt"
)

// ErrUnsupported is in every error about an algorithm that is not one of those
// that signatures may be made or read with.
var ErrUnsupported = errors.New("unsupported algorithm")

// hashIdentifier is for what we write: SHA-2 as ETSI TS 119 312 has it.
func hashIdentifier(hash crypto.Hash) (asn1.ObjectIdentifier, error) {
	switch hash {
	case crypto.SHA256:
		return asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}, nil
	case crypto.SHA384:
		return asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}, nil
	case crypto.SHA512:
		return asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}, nil
	default:
		return nil, fmt.Errorf("%w: hash %v", ErrUnsupported, hash)
	}
}

// sha1Identifier is read in what is old, and written only for AGE19.
func sha1Identifier() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26} }

// hashOf reads an identifier.
func hashOf(oid asn1.ObjectIdentifier) (crypto.Hash, error) {
	if oid.Equal(sha1Identifier()) {
		return crypto.SHA1, nil
	}
	for _, hash := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		if known, err := hashIdentifier(hash); err == nil && known.Equal(oid) {
			return hash, nil
		}
	}
	return 0, fmt.Errorf("%w: hash %v", ErrUnsupported, oid)
}

func sum(hash crypto.Hash, parts ...[]byte) []byte {
	h := hash.New()
	for _, part := range parts {
		h.Write(part)
	}
	return h.Sum(nil)
}
