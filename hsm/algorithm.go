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
	Ed25519 = "ed25519" // PureEdDSA, RFC 8032; service keys only
)

// algorithm is what a name stands for: a key type, with the modulus length of
// RSA or the curve of ECDSA.
type algorithm struct {
	name    string
	keyType uint // CKK_…
	bits    int
	curve   elliptic.Curve
}

// parseAlgorithm knows what citizens' keys may be.
func parseAlgorithm(name string) (algorithm, error) {
	switch name {
	case RSA2048:
		return algorithm{name: name, keyType: pkcs11.CKK_RSA, bits: 2048}, nil
	case RSA3072:
		return algorithm{name: name, keyType: pkcs11.CKK_RSA, bits: 3072}, nil
	case RSA4096:
		return algorithm{name: name, keyType: pkcs11.CKK_RSA, bits: 4096}, nil
	case P256:
		return algorithm{name: name, keyType: pkcs11.CKK_EC, curve: elliptic.P256()}, nil
	case P384:
		return algorithm{name: name, keyType: pkcs11.CKK_EC, curve: elliptic.P384()}, nil
	default:
		return algorithm{}, fmt.Errorf("%w: %q", ErrAlgorithm, name)
	}
}

// parseServiceAlgorithm knows what service keys may be: all of that, and what
// the checkpoints of a log are signed with (C2SP signed-note).
func parseServiceAlgorithm(name string) (algorithm, error) {
	if name == Ed25519 {
		return algorithm{name: name, keyType: ckkECEdwards}, nil
	}
	return parseAlgorithm(name)
}

// check refuses a public key of another algorithm.
func (a algorithm) check(public crypto.PublicKey) error {
	switch key := public.(type) {
	case *rsa.PublicKey:
		if a.keyType == pkcs11.CKK_RSA && key.N.BitLen() == a.bits {
			return nil
		}
	case *ecdsa.PublicKey:
		if a.keyType == pkcs11.CKK_EC && key.Curve == a.curve {
			return nil
		}
	}
	return fmt.Errorf("%w: the public key is no %s key", ErrAlgorithm, a.name)
}

// generator is the mechanism that makes a key pair, with the attributes of the
// public key that it wants, in every spelling.
func (a algorithm) generator() (*pkcs11.Mechanism, [][]*pkcs11.Attribute, error) {
	if a.keyType == pkcs11.CKK_RSA {
		return pkcs11.NewMechanism(pkcs11.CKM_RSA_PKCS_KEY_PAIR_GEN, nil), [][]*pkcs11.Attribute{{
			pkcs11.NewAttribute(pkcs11.CKA_MODULUS_BITS, a.bits),
			pkcs11.NewAttribute(pkcs11.CKA_PUBLIC_EXPONENT, []byte{1, 0, 1}),
		}}, nil
	}
	mechanism, params := uint(pkcs11.CKM_EC_KEY_PAIR_GEN), func() ([][]byte, error) {
		der, err := asn1.Marshal(curveOID(a.curve))
		return [][]byte{der}, err
	}
	if a.keyType == ckkECEdwards {
		mechanism, params = ckmECEdwardsKeyPairGen, edwardsParams
	}
	spellings, err := params()
	if err != nil {
		return nil, nil, fmt.Errorf("encoding the curve: %w", err)
	}
	var templates [][]*pkcs11.Attribute
	for _, der := range spellings {
		templates = append(templates, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_EC_PARAMS, der)})
	}
	return pkcs11.NewMechanism(mechanism, nil), templates, nil
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
	mechanism, kinds, err := a.generator()
	if err != nil {
		return 0, 0, err
	}
	public = append(public,
		flag(pkcs11.CKA_PRIVATE, false),
		flag(pkcs11.CKA_VERIFY, true),
		flag(pkcs11.CKA_ENCRYPT, false),
		flag(pkcs11.CKA_WRAP, false),
	)
	t.allow(s, generationTicks)
	defer t.allow(s, hangTicks)
	for _, kind := range kinds {
		publicHandle, privateHandle, err = t.module.GenerateKeyPair(s.handle, []*pkcs11.Mechanism{mechanism}, slices.Concat(kind, public), private)
		if !otherSpelling(err) {
			break
		}
	}
	return publicHandle, privateHandle, missing(err)
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
	switch a.keyType {
	case ckkECEdwards:
		return t.readEdwards(s, handle)
	case pkcs11.CKK_RSA:
		return t.readRSA(s, handle)
	default:
		return t.readEC(s, a.curve, handle)
	}
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
		for _, name := range []string{P256, P384} {
			if a, err := parseAlgorithm(name); err == nil && oid.Equal(curveOID(a.curve)) {
				return a, nil
			}
		}
		return algorithm{}, fmt.Errorf("%w: curve %v", ErrAlgorithm, oid)
	case ckkECEdwards:
		return parseServiceAlgorithm(Ed25519)
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
