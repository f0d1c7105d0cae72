package cades

import (
	"fmt"

	"github.com/rubrica-firma/rubrica/signer/cms"
)

// maxToken bounds a TimeStampToken: far above those that hold a chain and its
// revocation values, and an index of all that a signature holds.
const maxToken = 1 << 20

func readToken(der []byte) (*cms.Token, error) {
	if len(der) > maxToken {
		return nil, fmt.Errorf("%w: a token of %d octets", ErrTimeStamp, len(der))
	}
	t, err := cms.OpenToken(der)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTimeStamp, err)
	}
	return t, nil
}
