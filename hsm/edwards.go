package hsm

import (
	"crypto"
	"crypto/ed25519"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"

	"github.com/miekg/pkcs11"
)

// What PKCS#11 3.0 added for Edwards curves (mechanisms, 2.3), and the binding
// does not name.
const (
	ckkECEdwards           = 0x40
	ckmECEdwardsKeyPairGen = 0x1055
	ckmEDDSA               = 0x1057
)

// edwardsParams are the spellings of edwards25519 in CKA_EC_PARAMS. PKCS#11 3.0
// (mechanisms, 2.3.5) has the object identifier of RFC 8410 and the name of the
// curve; libraries that are older than it took GnuPG's identifier.
func edwardsParams() ([][]byte, error) {
	var spellings [][]byte
	for _, spelling := range []any{
		asn1.ObjectIdentifier{1, 3, 101, 112},
		asn1.RawValue{Tag: asn1.TagPrintableString, Bytes: []byte("edwards25519")},
		asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11591, 15, 1},
	} {
		der, err := asn1.Marshal(spelling)
		if err != nil {
			return nil, fmt.Errorf("encoding the curve: %w", err)
		}
		spellings = append(spellings, der)
	}
	return spellings, nil
}

// parseEdwardsParams refuses the parameters of other Edwards curves.
func parseEdwardsParams(der []byte) error {
	spellings, err := edwardsParams()
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(spellings, func(s []byte) bool { return slices.Equal(s, der) }) {
		return fmt.Errorf("%w: Edwards curve %x", ErrAlgorithm, der)
	}
	return nil
}

// parseEdwardsPoint reads CKA_EC_POINT: the 32 bytes of RFC 8032, bare as
// PKCS#11 3.0 has them (mechanisms, 2.3.5), or in an OCTET STRING, as it has the
// points of other curves. Lengths tell them apart.
func parseEdwardsPoint(value []byte) (ed25519.PublicKey, error) {
	if len(value) == ed25519.PublicKeySize {
		return value, nil
	}
	var inner []byte
	if rest, err := asn1.Unmarshal(value, &inner); err != nil || len(rest) > 0 || len(inner) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("%w: %x is no point of edwards25519", ErrAlgorithm, value)
	}
	return inner, nil
}

func (t *Token) readEdwards(s *session, handle pkcs11.ObjectHandle) (ed25519.PublicKey, error) {
	values, err := t.attributes(s, handle, pkcs11.CKA_EC_PARAMS, pkcs11.CKA_EC_POINT)
	if err != nil {
		return nil, err
	}
	if err := parseEdwardsParams(values[0]); err != nil {
		return nil, err
	}
	return parseEdwardsPoint(values[1])
}

// encodeEdwards takes the message itself, as crypto/ed25519 does: pure Ed25519
// (RFC 8032, section 5.1), which hashes twice. CKM_EDDSA without a parameter is
// that (PKCS#11 3.0, mechanisms, 2.3.14).
func encodeEdwards(message []byte, opts crypto.SignerOpts) (dtbs, error) {
	if opts.HashFunc() != crypto.Hash(0) {
		return dtbs{}, fmt.Errorf("%w: an Ed25519 key signs messages, not their %v", ErrDigest, opts.HashFunc())
	}
	if o, ok := opts.(*ed25519.Options); ok && o.Context != "" {
		return dtbs{}, fmt.Errorf("%w: Ed25519 with a context", ErrDigest)
	}
	return dtbs{pkcs11.NewMechanism(ckmEDDSA, nil), message}, nil
}

// otherSpelling reports whether a token may have refused no more than how the
// curve was spelled.
func otherSpelling(err error) bool {
	code, ok := codeOf(err)
	if !ok {
		return false
	}
	switch code {
	case pkcs11.CKR_ATTRIBUTE_VALUE_INVALID, pkcs11.CKR_TEMPLATE_INCONSISTENT, pkcs11.CKR_DOMAIN_PARAMS_INVALID,
		pkcs11.CKR_CURVE_NOT_SUPPORTED, pkcs11.CKR_ARGUMENTS_BAD, pkcs11.CKR_GENERAL_ERROR, pkcs11.CKR_FUNCTION_FAILED:
		return true
	default:
		return false
	}
}

// ErrMechanism says that the token does not know what is asked of it. It is an
// errors.ErrUnsupported, for those who see the token through an interface.
var ErrMechanism = fmt.Errorf("not among what this token can do: %w", errors.ErrUnsupported)

// missing classifies the refusals of a token that lacks a mechanism or a curve.
func missing(err error) error {
	code, ok := codeOf(err)
	if !ok {
		return err
	}
	switch code {
	case pkcs11.CKR_MECHANISM_INVALID, pkcs11.CKR_FUNCTION_NOT_SUPPORTED, pkcs11.CKR_CURVE_NOT_SUPPORTED:
		return fmt.Errorf("%w: %w", ErrMechanism, err)
	default:
		return err
	}
}
