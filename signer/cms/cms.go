// Package cms builds, reads and verifies the one shape of CMS SignedData
// (RFC 5652) that a CAdES or PAdES signature has: one signer, named by issuer
// and serial number, signed attributes, content of type id-data, attached or
// detached. A time-stamp token has it too, with attached content of a type of
// its own (Content). Everything it writes is DER, and it reads nothing but DER:
// what Parse accepts, Encode writes again byte for byte.
//
// The package holds no key and computes no signature. It puts signature values
// that were made elsewhere in their place, and says whether they are right.
package cms

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
)

// ErrMalformed is in every error about bytes that are not DER of the accepted
// shape.
var ErrMalformed = errors.New("malformed CMS")

// ErrInvalid is in every error about a well-formed signature that is not valid
// for the given content and certificate.
var ErrInvalid = errors.New("invalid signature")

// ErrUnsupported is in every error about an algorithm outside the accepted
// set: SHA-256, SHA-384 and SHA-512 with RSA PKCS #1 v1.5 from 2048 bits on,
// or with ECDSA on P-256 and P-384.
var ErrUnsupported = errors.New("unsupported algorithm")

// minRSABits is the floor of ETSI TS 119 312, 8.2 and RD 311/2022's guide
// CCN-STIC 807 for keys that still may be met; the CA issues longer ones.
const minRSABits = 2048

// Object identifiers by the names that the RFCs give them; never written to.
var (
	idData            = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	idSignedData      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	idContentType     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	idMessageDigest   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	idSigningTime     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 5}
	idSigningCertV2   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 47}
	idMimeType        = asn1.ObjectIdentifier{0, 4, 0, 1733, 2, 1}
	idSHA256          = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	idSHA384          = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}
	idSHA512          = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}
	idRSAEncryption   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	idECDSAWithSHA256 = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}
	idECDSAWithSHA384 = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 3}
	idECDSAWithSHA512 = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 4}
)

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

// hashOf reads a digest identifier. Readers have to accept both absent and
// NULL parameters (RFC 5754, 2).
func hashOf(alg algorithm) (crypto.Hash, error) {
	if len(alg.Parameters.FullBytes) != 0 && !isNull(alg.Parameters) {
		return 0, fmt.Errorf("%w: digest parameters", ErrMalformed)
	}
	for _, hash := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		if known, err := digestAlgorithm(hash); err == nil && known.OID.Equal(alg.OID) {
			return hash, nil
		}
	}
	return 0, fmt.Errorf("%w: digest %v", ErrUnsupported, alg.OID)
}

// signatureAlgorithm names how a key signs: rsaEncryption with NULL for RSA
// PKCS #1 v1.5 (RFC 5754, 3.2), ecdsa-with-SHA2 without parameters for ECDSA
// (RFC 5754, 3.3).
func signatureAlgorithm(key crypto.PublicKey, hash crypto.Hash) (algorithm, error) {
	switch pub := key.(type) {
	case *rsa.PublicKey:
		if pub.N.BitLen() < minRSABits {
			return algorithm{}, fmt.Errorf("%w: RSA of %d bits", ErrUnsupported, pub.N.BitLen())
		}
		return algorithm{OID: idRSAEncryption, Parameters: asn1.NullRawValue}, nil
	case *ecdsa.PublicKey:
		if pub.Curve != elliptic.P256() && pub.Curve != elliptic.P384() {
			return algorithm{}, fmt.Errorf("%w: curve %s", ErrUnsupported, pub.Params().Name)
		}
		switch hash {
		case crypto.SHA256:
			return algorithm{OID: idECDSAWithSHA256}, nil
		case crypto.SHA384:
			return algorithm{OID: idECDSAWithSHA384}, nil
		case crypto.SHA512:
			return algorithm{OID: idECDSAWithSHA512}, nil
		default:
			return algorithm{}, fmt.Errorf("%w: ECDSA with %v", ErrUnsupported, hash)
		}
	default:
		return algorithm{}, fmt.Errorf("%w: key %T", ErrUnsupported, key)
	}
}

func isNull(v asn1.RawValue) bool {
	return v.Class == asn1.ClassUniversal && v.Tag == asn1.TagNull && !v.IsCompound && len(v.Bytes) == 0
}

func sameAlgorithm(a, b algorithm) bool {
	absentA, absentB := len(a.Parameters.FullBytes) == 0 && a.Parameters.Tag != asn1.TagNull,
		len(b.Parameters.FullBytes) == 0 && b.Parameters.Tag != asn1.TagNull
	return a.OID.Equal(b.OID) && absentA == absentB && (absentA || isNull(a.Parameters) == isNull(b.Parameters))
}

// checkValue verifies a signature value over the signed attributes.
func checkValue(cert *x509.Certificate, hash crypto.Hash, signedAttributes, value []byte) error {
	digest := sum(hash, signedAttributes)
	switch pub := cert.PublicKey.(type) {
	case *rsa.PublicKey:
		if err := rsa.VerifyPKCS1v15(pub, hash, digest, value); err != nil {
			return fmt.Errorf("%w: %w", ErrInvalid, err)
		}
	case *ecdsa.PublicKey:
		if !ecdsa.VerifyASN1(pub, digest, value) {
			return fmt.Errorf("%w: ECDSA verification", ErrInvalid)
		}
	default:
		return fmt.Errorf("%w: key %T", ErrUnsupported, cert.PublicKey)
	}
	return nil
}

func sum(hash crypto.Hash, data []byte) []byte {
	h := hash.New()
	h.Write(data)
	return h.Sum(nil)
}
