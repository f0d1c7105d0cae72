// Package cms builds, reads and verifies CMS SignedData (RFC 5652), the syntax of
// CAdES and PAdES signatures and of time-stamp tokens. It has two readers.
//
// Parse reads the one shape that Assemble writes, and nothing else: one signer,
// named by issuer and serial number, signed attributes, content of type id-data,
// attached or detached. What it accepts, Encode writes again byte for byte. It
// is for signatures that we have just made and that have not left yet.
//
// Open reads any SignedData of any producer, DER or BER, with any number of
// signers: to judge it, or to add signers, certificates, revocation data and
// unsigned attributes. It keeps the octets of every element that it does not
// change, and never holds the attached content.
//
// The package holds no key and computes no signature. It puts signature values
// that were made elsewhere in their place, and says whether they are right.
package cms

import (
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
// set. Written are SHA-256, SHA-384 and SHA-512 with RSA from 2048 bits on, PKCS
// #1 v1.5 or PSS, or with ECDSA on P-256 and P-384. What others have made may
// also have SHA-1 and SHA-224, shorter RSA keys and the other NIST curves: whether
// that is still to be relied on is not said here.
var ErrUnsupported = errors.New("unsupported algorithm")

// Why a well-formed signature is not valid; ErrInvalid is in each.
var (
	// ErrDigest: the content is not the one that was signed.
	ErrDigest = fmt.Errorf("%w: message-digest is of another content", ErrInvalid)
	// ErrValue: the signature value is not the key's over the signed attributes.
	ErrValue = fmt.Errorf("%w: signature value", ErrInvalid)
	// ErrCertificate: the signed reference to the signer's certificate names
	// another one.
	ErrCertificate = fmt.Errorf("%w: another certificate was signed with", ErrInvalid)
)

// minRSABits is the floor of ETSI TS 119 312, 8.2 and RD 311/2022's guide
// CCN-STIC 807 for keys that still may be met; the CA issues longer ones.
const minRSABits = 2048

// maxRSABits bounds what it costs to verify with a key that somebody made for
// that purpose.
const maxRSABits = 16 << 10

// Object identifiers by the names that the RFCs give them; never written to.
var (
	idData               = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	idSignedData         = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	idContentType        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	idMessageDigest      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	idSigningTime        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 5}
	idSigningCertV2      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 47}
	idSigningCert        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 12}
	idCounterSignature   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 6}
	idArchiveTimeStamp   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 27}
	idArchiveTimeStampV2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 48}
	idOCSPBasic          = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 1}
	idOCSPResponse       = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 16, 2}
	idMimeType           = asn1.ObjectIdentifier{0, 4, 0, 1733, 2, 1}
)
