package cms

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	_ "crypto/sha1" //nolint:gosec // read in signatures of others, never written; verify judges its age
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
)

// Scheme is how a key signs. The zero Scheme is the key's own: ECDSA, or PKCS
// #1 v1.5 for RSA.
type Scheme string

// The schemes.
const (
	PKCS1v15 Scheme = "rsassa-pkcs1-v1_5"
	PSS      Scheme = "rsassa-pss"
	ECDSA    Scheme = "ecdsa"
)

// Object identifiers of algorithms by the names that the RFCs give them; never
// written to.
var (
	idSHA1            = asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}
	idSHA224          = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 4}
	idSHA256          = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	idSHA384          = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}
	idSHA512          = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}
	idRSAEncryption   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	idSHA1WithRSA     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 5}
	idSHA224WithRSA   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 14}
	idSHA256WithRSA   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}
	idSHA384WithRSA   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 12}
	idSHA512WithRSA   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 13}
	idRSASSAPSS       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10}
	idMGF1            = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 8}
	idECPublicKey     = asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}
	idECDSAWithSHA1   = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 1}
	idECDSAWithSHA224 = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 1}
	idECDSAWithSHA256 = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}
	idECDSAWithSHA384 = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 3}
	idECDSAWithSHA512 = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 4}
)

// SignerOpts are what a crypto.Signer has to be asked with, so that its value
// is what a Parts of the same Hash and Scheme names.
func SignerOpts(hash crypto.Hash, s Scheme, _ crypto.PublicKey) crypto.SignerOpts {
	if s == PSS {
		return &rsa.PSSOptions{SaltLength: hash.Size(), Hash: hash}
	}
	return hash
}

// algorithm is AlgorithmIdentifier (RFC 5280, 4.1.1.2).
type algorithm struct {
	OID        asn1.ObjectIdentifier
	Parameters asn1.RawValue `asn1:"optional"`
}

// digestAlgorithm leaves the parameters out, as RFC 5754, 2 asks of those who
// write SHA-2 identifiers.
func digestAlgorithm(hash crypto.Hash) (algorithm, error) {
	switch hash {
	case crypto.SHA256:
		return algorithm{OID: idSHA256}, nil
	case crypto.SHA384:
		return algorithm{OID: idSHA384}, nil
	case crypto.SHA512:
		return algorithm{OID: idSHA512}, nil
	default:
		return algorithm{}, fmt.Errorf("%w: hash %v", ErrUnsupported, hash)
	}
}

// hashOf reads a digest identifier of those that are written. Readers have to
// accept both absent and NULL parameters (RFC 5754, 2).
func hashOf(alg algorithm) (crypto.Hash, error) {
	hash, err := foreignHash(alg)
	if err != nil {
		return 0, err
	}
	if _, err := digestAlgorithm(hash); err != nil {
		return 0, err
	}
	return hash, nil
}

// foreignHash reads any digest identifier that others may have written.
func foreignHash(alg algorithm) (crypto.Hash, error) {
	if len(alg.Parameters.FullBytes) != 0 && !isNull(alg.Parameters) {
		return 0, fmt.Errorf("%w: digest parameters", ErrMalformed)
	}
	return DigestOf(alg.OID)
}

// DigestOf is the hash that an identifier names, of those that are read.
func DigestOf(id asn1.ObjectIdentifier) (crypto.Hash, error) {
	for _, d := range digests() {
		if d.oid.Equal(id) {
			return d.hash, nil
		}
	}
	return 0, fmt.Errorf("%w: digest %v", ErrUnsupported, id)
}

// DigestID is the identifier of a hash, of those that are read.
func DigestID(hash crypto.Hash) (asn1.ObjectIdentifier, error) {
	for _, d := range digests() {
		if d.hash == hash {
			return d.oid, nil
		}
	}
	return nil, fmt.Errorf("%w: hash %v", ErrUnsupported, hash)
}

type namedDigest struct {
	oid  asn1.ObjectIdentifier
	hash crypto.Hash
}

func digests() [5]namedDigest {
	return [...]namedDigest{
		{idSHA256, crypto.SHA256},
		{idSHA384, crypto.SHA384},
		{idSHA512, crypto.SHA512},
		{idSHA1, crypto.SHA1},
		{idSHA224, crypto.SHA224},
	}
}

// signatureAlgorithm names how a key signs: rsaEncryption with NULL for RSA
// PKCS #1 v1.5 (RFC 5754, 3.2), id-RSASSA-PSS with its parameters (RFC 4056, 3),
// ecdsa-with-SHA2 without parameters for ECDSA (RFC 5754, 3.3).
func signatureAlgorithm(key crypto.PublicKey, hash crypto.Hash, s Scheme) (algorithm, error) {
	switch pub := key.(type) {
	case *rsa.PublicKey:
		if pub.N.BitLen() < minRSABits {
			return algorithm{}, fmt.Errorf("%w: RSA of %d bits", ErrUnsupported, pub.N.BitLen())
		}
		switch s {
		case "", PKCS1v15:
			return algorithm{OID: idRSAEncryption, Parameters: asn1.NullRawValue}, nil
		case PSS:
			return pssAlgorithm(hash)
		default:
		}
	case *ecdsa.PublicKey:
		if pub.Curve != elliptic.P256() && pub.Curve != elliptic.P384() {
			return algorithm{}, fmt.Errorf("%w: curve %s", ErrUnsupported, pub.Params().Name)
		}
		if s != "" && s != ECDSA {
			break
		}
		switch hash {
		case crypto.SHA256:
			return algorithm{OID: idECDSAWithSHA256}, nil
		case crypto.SHA384:
			return algorithm{OID: idECDSAWithSHA384}, nil
		case crypto.SHA512:
			return algorithm{OID: idECDSAWithSHA512}, nil
		default:
		}
	}
	return algorithm{}, fmt.Errorf("%w: key %T with %v, %q", ErrUnsupported, key, hash, s)
}

// pssParameters are RSASSA-PSS-params (RFC 8017, A.2.3). The defaults are of
// SHA-1's time.
type pssParameters struct {
	Hash         algorithm `asn1:"optional,explicit,tag:0"`
	MGF          algorithm `asn1:"optional,explicit,tag:1"`
	SaltLength   int       `asn1:"optional,explicit,tag:2,default:20"`
	TrailerField int       `asn1:"optional,explicit,tag:3,default:1"`
}

// pssAlgorithm says everything but the trailer field, whose default is its only
// value: the same hash twice, and a salt as long as it (RFC 4056, 2.2; TS 119
// 312, 8.2). Inside, NULL parameters stand behind the hash (RFC 4055, 2.1).
func pssAlgorithm(hash crypto.Hash) (algorithm, error) {
	digest, err := digestAlgorithm(hash)
	if err != nil {
		return algorithm{}, err
	}
	digest.Parameters = asn1.NullRawValue
	inner, err := asn1.Marshal(digest)
	if err != nil {
		return algorithm{}, fmt.Errorf("encoding a digest algorithm: %w", err)
	}
	der, err := asn1.Marshal(pssParameters{
		Hash: digest, MGF: algorithm{OID: idMGF1, Parameters: asn1.RawValue{FullBytes: inner}},
		SaltLength: hash.Size(), TrailerField: 1,
	})
	if err != nil {
		return algorithm{}, fmt.Errorf("encoding RSASSA-PSS-params: %w", err)
	}
	return algorithm{OID: idRSASSAPSS, Parameters: asn1.RawValue{
		Tag: asn1.TagSequence, IsCompound: true, FullBytes: der,
	}}, nil
}

// method is what a signatureAlgorithm says of how the value was made.
type method struct {
	scheme Scheme
	hash   crypto.Hash // 0: it names none
	salt   int         // PSS
}

// methodOf reads a signatureAlgorithm of any producer.
func methodOf(alg algorithm) (method, error) {
	if alg.OID.Equal(idRSASSAPSS) {
		return pssMethod(alg.Parameters.FullBytes)
	}
	for _, known := range []struct {
		oid asn1.ObjectIdentifier
		method
	}{
		{idRSAEncryption, method{scheme: PKCS1v15}},
		{idSHA1WithRSA, method{scheme: PKCS1v15, hash: crypto.SHA1}},
		{idSHA224WithRSA, method{scheme: PKCS1v15, hash: crypto.SHA224}},
		{idSHA256WithRSA, method{scheme: PKCS1v15, hash: crypto.SHA256}},
		{idSHA384WithRSA, method{scheme: PKCS1v15, hash: crypto.SHA384}},
		{idSHA512WithRSA, method{scheme: PKCS1v15, hash: crypto.SHA512}},
		{idECPublicKey, method{scheme: ECDSA}}, // not RFC 5753, but met
		{idECDSAWithSHA1, method{scheme: ECDSA, hash: crypto.SHA1}},
		{idECDSAWithSHA224, method{scheme: ECDSA, hash: crypto.SHA224}},
		{idECDSAWithSHA256, method{scheme: ECDSA, hash: crypto.SHA256}},
		{idECDSAWithSHA384, method{scheme: ECDSA, hash: crypto.SHA384}},
		{idECDSAWithSHA512, method{scheme: ECDSA, hash: crypto.SHA512}},
	} {
		if known.oid.Equal(alg.OID) {
			return known.method, nil
		}
	}
	return method{}, fmt.Errorf("%w: signature algorithm %v", ErrUnsupported, alg.OID)
}

func pssMethod(der []byte) (method, error) {
	p := pssParameters{Hash: algorithm{OID: idSHA1}, MGF: algorithm{OID: idMGF1}}
	if rest, err := asn1.Unmarshal(der, &p); err != nil || len(rest) > 0 || p.SaltLength < 0 || p.TrailerField != 1 {
		return method{}, fmt.Errorf("%w: RSASSA-PSS-params", ErrMalformed)
	}
	hash, err := foreignHash(p.Hash)
	if err != nil {
		return method{}, err
	}
	inner := algorithm{OID: idSHA1}
	if len(p.MGF.Parameters.FullBytes) > 0 {
		inner = algorithm{}
		if rest, err := asn1.Unmarshal(p.MGF.Parameters.FullBytes, &inner); err != nil || len(rest) > 0 {
			return method{}, fmt.Errorf("%w: mask generation function", ErrMalformed)
		}
	}
	mask, err := foreignHash(inner)
	if err != nil {
		return method{}, err
	}
	// crypto/rsa has one hash for both, as RFC 4056, 2.2 recommends.
	if !p.MGF.OID.Equal(idMGF1) || mask != hash {
		return method{}, fmt.Errorf("%w: mask generation function", ErrUnsupported)
	}
	return method{scheme: PSS, hash: hash, salt: p.SaltLength}, nil
}

func isNull(v asn1.RawValue) bool {
	return v.Class == asn1.ClassUniversal && v.Tag == asn1.TagNull && !v.IsCompound && len(v.Bytes) == 0
}

// sameAlgorithm compares octets.
func sameAlgorithm(a, b algorithm) bool {
	derA, errA := asn1.Marshal(a)
	derB, errB := asn1.Marshal(b)
	return errA == nil && errB == nil && bytes.Equal(derA, derB)
}

// publicKey is the certificate's, also where its key is named as one for PSS
// only (RFC 4055, 1.2), which crypto/x509 does not read. The restrictions that
// such a key may carry are not looked at.
func publicKey(cert *x509.Certificate) crypto.PublicKey {
	if cert.PublicKey != nil {
		return cert.PublicKey
	}
	var info struct {
		Algorithm algorithm
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(cert.RawSubjectPublicKeyInfo, &info); err != nil || !info.Algorithm.OID.Equal(idRSASSAPSS) {
		return nil
	}
	key, err := x509.ParsePKCS1PublicKey(info.Key.RightAlign())
	if err != nil {
		return nil
	}
	return key
}

// check verifies a value over a digest.
func (m method) check(key crypto.PublicKey, hash crypto.Hash, digest, value []byte) error {
	var err error
	switch pub := key.(type) {
	case *rsa.PublicKey:
		if pub.N.BitLen() > maxRSABits {
			return fmt.Errorf("%w: RSA of %d bits", ErrUnsupported, pub.N.BitLen())
		}
		switch m.scheme {
		case PKCS1v15:
			err = rsa.VerifyPKCS1v15(pub, hash, digest, value)
		case PSS:
			err = rsa.VerifyPSS(pub, hash, digest, value, &rsa.PSSOptions{SaltLength: m.salt, Hash: hash})
		default:
			return fmt.Errorf("%w: RSA key, %s", ErrInvalid, m.scheme)
		}
	case *ecdsa.PublicKey:
		if m.scheme != ECDSA {
			return fmt.Errorf("%w: ECDSA key, %s", ErrInvalid, m.scheme)
		}
		if !ecdsa.VerifyASN1(pub, digest, value) {
			err = rsa.ErrVerification
		}
	default:
		return fmt.Errorf("%w: key %T", ErrUnsupported, key)
	}
	switch {
	case errors.Is(err, rsa.ErrVerification):
		return ErrValue
	case err != nil: // a key too short for crypto/rsa
		return fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	return nil
}

func sum(hash crypto.Hash, data []byte) []byte {
	h := hash.New()
	h.Write(data)
	return h.Sum(nil)
}
