package hsm

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"fmt"
	"slices"

	"github.com/miekg/pkcs11"
)

// hash ties together what must never come apart: a hash function, its length,
// its DigestInfo (RFC 8017, section 9.2, note 1) and its PKCS#11 names. SHA3-256
// and SHA-512/256 have 32 bytes as well, so a length alone says nothing.
type hash struct {
	size       int
	digestInfo []byte
	mechanism  uint
	mgf        uint
}

// parseHash knows the three hashes of the signature profiles and no other.
func parseHash(h crypto.Hash) (hash, error) {
	// SEQUENCE { SEQUENCE { OID 2.16.840.1.101.3.4.2.n, NULL }, OCTET STRING }
	info := func(n, size byte) []byte {
		return []byte{0x30, 0x11 + size, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, n, 0x05, 0x00, 0x04, size}
	}
	switch h {
	case crypto.SHA256:
		return hash{32, info(1, 32), pkcs11.CKM_SHA256, pkcs11.CKG_MGF1_SHA256}, nil
	case crypto.SHA384:
		return hash{48, info(2, 48), pkcs11.CKM_SHA384, pkcs11.CKG_MGF1_SHA384}, nil
	case crypto.SHA512:
		return hash{64, info(3, 64), pkcs11.CKM_SHA512, pkcs11.CKG_MGF1_SHA512}, nil
	default:
		return hash{}, fmt.Errorf("%w: hash function %v", ErrDigest, h)
	}
}

// dtbs is what one C_Sign is given: data already in the form of its mechanism.
type dtbs struct {
	mechanism *pkcs11.Mechanism
	data      []byte
}

// encode turns a digest (of an Ed25519 key: a message) into what the key signs,
// or refuses it.
func encode(public crypto.PublicKey, digest []byte, opts crypto.SignerOpts) (dtbs, error) {
	if opts == nil {
		return dtbs{}, fmt.Errorf("%w: no hash function named", ErrDigest)
	}
	if _, isEdwards := public.(ed25519.PublicKey); isEdwards {
		return encodeEdwards(digest, opts)
	}
	h, err := parseHash(opts.HashFunc())
	if err != nil {
		return dtbs{}, err
	}
	if len(digest) != h.size {
		return dtbs{}, fmt.Errorf("%w: %d bytes for %v", ErrDigest, len(digest), opts.HashFunc())
	}
	pss, isPSS := opts.(*rsa.PSSOptions)
	switch key := public.(type) {
	case *rsa.PublicKey:
		if isPSS {
			return encodePSS(h, digest, pss.SaltLength)
		}
		return dtbs{pkcs11.NewMechanism(pkcs11.CKM_RSA_PKCS, nil), slices.Concat(h.digestInfo, digest)}, nil
	case *ecdsa.PublicKey:
		if isPSS {
			return dtbs{}, fmt.Errorf("%w: RSA-PSS asked of an EC key", ErrDigest)
		}
		// FIPS 186-5, section 6.4.1: the leftmost bits, as many as the order has.
		order := (key.Params().N.BitLen() + 7) / 8
		return dtbs{pkcs11.NewMechanism(pkcs11.CKM_ECDSA, nil), digest[:min(order, len(digest))]}, nil
	default:
		return dtbs{}, fmt.Errorf("%w: %T", ErrAlgorithm, public)
	}
}

// encodePSS takes the salt as long as the hash, the usual length (RFC 8017,
// section 9.1, note 4), and refuses to be told otherwise.
func encodePSS(h hash, digest []byte, salt int) (dtbs, error) {
	if salt != rsa.PSSSaltLengthEqualsHash && salt != rsa.PSSSaltLengthAuto && salt != h.size {
		return dtbs{}, fmt.Errorf("%w: a PSS salt of %d bytes", ErrDigest, salt)
	}
	params := pkcs11.NewPSSParams(h.mechanism, h.mgf, uint(h.size))
	return dtbs{pkcs11.NewMechanism(pkcs11.CKM_RSA_PKCS_PSS, params), digest}, nil
}

// sign runs one C_Sign.
func (t *Token) sign(s *session, key pkcs11.ObjectHandle, d dtbs) ([]byte, error) {
	if err := t.module.SignInit(s.handle, []*pkcs11.Mechanism{d.mechanism}, key); err != nil {
		return nil, fmt.Errorf("starting to sign: %w", err)
	}
	signature, err := t.module.Sign(s.handle, d.data)
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	return signature, nil
}

// decode gives a signature the form that crypto.Signer promises: for ECDSA the
// DER of RFC 3279, section 2.2.3, where PKCS#11 has r‖s.
func decode(public crypto.PublicKey, raw []byte) []byte {
	if _, isEC := public.(*ecdsa.PublicKey); !isEC {
		return raw
	}
	half := len(raw) / 2
	body := append(derInteger(raw[:half]), derInteger(raw[half:])...)
	return append([]byte{0x30, byte(len(body))}, body...) //nolint:gosec // 102 at most, with P-384: the short form
}

// derInteger encodes a positive number, given big-endian.
func derInteger(number []byte) []byte {
	number = bytes.TrimLeft(number, "\x00")
	if len(number) == 0 || number[0]&0x80 != 0 {
		number = append([]byte{0}, number...)
	}
	return append([]byte{0x02, byte(len(number))}, number...) //nolint:gosec // 49 at most, with P-384
}
