package hsm

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/miekg/pkcs11"
)

// The names of the key algorithms, as configuration and database spell them.
const (
	RSA2048 = "rsa-2048"
	RSA3072 = "rsa-3072"
	RSA4096 = "rsa-4096"
	P256    = "ec-p256"
	P384    = "ec-p384"
)

// algorithm is what a name stands for: RSA with a modulus length, or ECDSA
// with a curve.
type algorithm struct {
	name  string
	bits  int
	curve elliptic.Curve // nil: RSA
}

func parseAlgorithm(name string) (algorithm, error) {
	switch name {
	case RSA2048:
		return algorithm{name: name, bits: 2048}, nil
	case RSA3072:
		return algorithm{name: name, bits: 3072}, nil
	case RSA4096:
		return algorithm{name: name, bits: 4096}, nil
	case P256:
		return algorithm{name: name, curve: elliptic.P256()}, nil
	case P384:
		return algorithm{name: name, curve: elliptic.P384()}, nil
	default:
		return algorithm{}, fmt.Errorf("%w: %q", ErrAlgorithm, name)
	}
}

// check refuses a public key of another algorithm.
func (a algorithm) check(public crypto.PublicKey) error {
	switch key := public.(type) {
	case *rsa.PublicKey:
		if a.curve == nil && key.N.BitLen() == a.bits {
			return nil
		}
	case *ecdsa.PublicKey:
		if a.curve != nil && key.Curve == a.curve {
			return nil
		}
	}
	return fmt.Errorf("%w: the public key is no %s key", ErrAlgorithm, a.name)
}

func (a algorithm) keyType() uint {
	if a.curve == nil {
		return pkcs11.CKK_RSA
	}
	return pkcs11.CKK_EC
}

// generator is the mechanism that makes a key pair, with the attributes of the
// public key that it wants.
func (a algorithm) generator() (*pkcs11.Mechanism, []*pkcs11.Attribute, error) {
	if a.curve == nil {
		return pkcs11.NewMechanism(pkcs11.CKM_RSA_PKCS_KEY_PAIR_GEN, nil), []*pkcs11.Attribute{
			pkcs11.NewAttribute(pkcs11.CKA_MODULUS_BITS, a.bits),
			pkcs11.NewAttribute(pkcs11.CKA_PUBLIC_EXPONENT, []byte{1, 0, 1}),
		}, nil
	}
	params, err := asn1.Marshal(curveOID(a.curve))
	if err != nil {
		return nil, nil, fmt.Errorf("encoding the curve: %w", err)
	}
	return pkcs11.NewMechanism(pkcs11.CKM_EC_KEY_PAIR_GEN, nil), []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_EC_PARAMS, params),
	}, nil
}

// curveOID is the curve's name in RFC 5480, section 2.1.1.1.
func curveOID(curve elliptic.Curve) asn1.ObjectIdentifier {
	if curve == elliptic.P384() {
		return asn1.ObjectIdentifier{1, 3, 132, 0, 34}
	}
	return asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 7}
}

// generatePair makes a key pair. Its public half can verify and nothing else.
func (t *Token) generatePair(s *session, a algorithm, public, private []*pkcs11.Attribute) (publicHandle, privateHandle pkcs11.ObjectHandle, err error) {
	mechanism, kind, err := a.generator()
	if err != nil {
		return 0, 0, err
	}
	public = slices.Concat(kind, public, []*pkcs11.Attribute{
		flag(pkcs11.CKA_PRIVATE, false),
		flag(pkcs11.CKA_VERIFY, true),
		flag(pkcs11.CKA_ENCRYPT, false),
		flag(pkcs11.CKA_WRAP, false),
	})
	t.allow(s, generationTicks)
	defer t.allow(s, hangTicks)
	return t.module.GenerateKeyPair(s.handle, []*pkcs11.Mechanism{mechanism}, public, private)
}

// signOnly are the attributes of every private key in use, at rest or for a
// moment: it signs, and shows itself to nobody.
func signOnly() []*pkcs11.Attribute {
	return []*pkcs11.Attribute{
		flag(pkcs11.CKA_PRIVATE, true),
		flag(pkcs11.CKA_SENSITIVE, true),
		flag(pkcs11.CKA_EXTRACTABLE, false),
		flag(pkcs11.CKA_SIGN, true),
		flag(pkcs11.CKA_SIGN_RECOVER, false),
		flag(pkcs11.CKA_DECRYPT, false),
		flag(pkcs11.CKA_UNWRAP, false),
		flag(pkcs11.CKA_DERIVE, false),
	}
}

// readPublic reads a public key object.
func (t *Token) readPublic(s *session, a algorithm, handle pkcs11.ObjectHandle) (crypto.PublicKey, error) {
	if a.curve == nil {
		return t.readRSA(s, handle)
	}
	return t.readEC(s, a.curve, handle)
}

// readAlgorithm tells which algorithm a public key object is for.
func (t *Token) readAlgorithm(s *session, handle pkcs11.ObjectHandle) (algorithm, error) {
	values, err := t.attributes(s, handle, pkcs11.CKA_KEY_TYPE)
	if err != nil {
		return algorithm{}, err
	}
	switch keyType := ulong(values[0]); keyType {
	case pkcs11.CKK_RSA:
		public, err := t.readRSA(s, handle)
		if err != nil {
			return algorithm{}, err
		}
		return parseAlgorithm(fmt.Sprintf("rsa-%d", public.N.BitLen()))
	case pkcs11.CKK_EC:
		values, err := t.attributes(s, handle, pkcs11.CKA_EC_PARAMS)
		if err != nil {
			return algorithm{}, err
		}
		var oid asn1.ObjectIdentifier
		if _, err := asn1.Unmarshal(values[0], &oid); err != nil {
			return algorithm{}, fmt.Errorf("%w: unnamed curve: %w", ErrAlgorithm, err)
		}
		for _, a := range []algorithm{{name: P256, curve: elliptic.P256()}, {name: P384, curve: elliptic.P384()}} {
			if oid.Equal(curveOID(a.curve)) {
				return a, nil
			}
		}
		return algorithm{}, fmt.Errorf("%w: curve %v", ErrAlgorithm, oid)
	default:
		return algorithm{}, fmt.Errorf("%w: key type %#x", ErrAlgorithm, keyType)
	}
}

func (t *Token) readRSA(s *session, handle pkcs11.ObjectHandle) (*rsa.PublicKey, error) {
	values, err := t.attributes(s, handle, pkcs11.CKA_MODULUS, pkcs11.CKA_PUBLIC_EXPONENT)
	if err != nil {
		return nil, err
	}
	exponent := new(big.Int).SetBytes(values[1])
	if !exponent.IsInt64() || exponent.Int64() != 65537 {
		return nil, fmt.Errorf("%w: RSA exponent other than 65537", ErrAlgorithm)
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(values[0]), E: 65537}, nil
}

func (t *Token) readEC(s *session, curve elliptic.Curve, handle pkcs11.ObjectHandle) (*ecdsa.PublicKey, error) {
	values, err := t.attributes(s, handle, pkcs11.CKA_EC_POINT)
	if err != nil {
		return nil, err
	}
	// PKCS#11 2.40, mechanisms, 2.3.3: the DER of an OCTET STRING; some tokens
	// give its bare content.
	point := values[0]
	var inner []byte
	if rest, err := asn1.Unmarshal(point, &inner); err == nil && len(rest) == 0 {
		point = inner
	}
	public, err := ecdsa.ParseUncompressedPublicKey(curve, point)
	if err != nil {
		return nil, fmt.Errorf("reading the public key: %w", err)
	}
	return public, nil
}

// attributes reads the values of an object's attributes, in the order asked.
func (t *Token) attributes(s *session, handle pkcs11.ObjectHandle, kinds ...uint) ([][]byte, error) {
	template := make([]*pkcs11.Attribute, len(kinds))
	for i, kind := range kinds {
		template[i] = pkcs11.NewAttribute(kind, nil)
	}
	got, err := t.module.GetAttributeValue(s.handle, handle, template)
	if err != nil {
		return nil, fmt.Errorf("reading attributes: %w", err)
	}
	if len(got) != len(kinds) {
		return nil, errors.New("reading attributes: some are missing")
	}
	values := make([][]byte, len(got))
	for i := range got {
		values[i] = got[i].Value
	}
	return values, nil
}
