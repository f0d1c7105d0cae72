// Package cades makes CAdES signatures, and those that PAdES puts into a PDF, of
// all four baseline levels (EN 319 122-1 V1.3.1, 6; EN 319 142-1 V1.2.1, 6).
//
// SignedAttributes says what a B-B signature signs. Its output is what a
// citizen's key signs, so it runs where the key is used: the same parameters
// always give the same bytes. AddSignatureTimeStamp, AddEvidence and
// AddArchiveTimeStamp lift a signature to B-T, B-LT and B-LTA, at once or years
// later, whoever made it; LevelOf and TimeStamps read what a signature has.
//
// The package does no I/O: time-stamp tokens and revocation values arrive as
// bytes. It does not judge whose they are; that is for who validates.
package cades

import (
	"crypto"
	_ "crypto/sha256" // the hashes that Params may name
	_ "crypto/sha512"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/rubrica-firma/rubrica/signer/cms"
)

// ErrParams is in every error about parameters that cannot be signed.
var ErrParams = errors.New("cannot build signed attributes")

// Params are what the signed attributes are made of. Those that are optional
// say nothing when they are zero.
type Params struct {
	// ContentDigest is the digest of the document (of its ByteRange, in a
	// PDF) by Hash, which also hashes the attributes themselves.
	ContentDigest []byte
	Hash          crypto.Hash
	// Certificate is the signer's.
	Certificate *x509.Certificate
	// SigningTime is the claimed time, to the second. It is written for CAdES
	// only: EN 319 142-1, 6.3 forbids the attribute in a PDF, whose signature
	// dictionary claims the time in /M.
	SigningTime time.Time
	// MimeType describes a CAdES content (EN 319 122-1, 5.2.4.2).
	MimeType string
	// ContentHints describes the innermost content of a CAdES signature.
	ContentHints *ContentHints
	// Commitment is what the signer commits to, Policy the signature policy
	// that was followed. A PDF signature may have both, but then its
	// dictionary may have no /Reason (EN 319 142-1, 6.3, d and m).
	Commitment Commitment
	Policy     *Policy
	// Location is where a CAdES signer signs. A PDF says it in /Location.
	Location *Location
	// PAdES says that the signature goes into a PDF.
	PAdES bool
}

// SignedAttributes gives the DER SET OF Attribute that is hashed and signed.
func SignedAttributes(p Params) ([]byte, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	var attributes []cms.Attribute
	var problem error
	add := func(a cms.Attribute, err error) {
		attributes, problem = append(attributes, a), errors.Join(problem, err)
	}
	add(cms.ContentType())
	add(cms.MessageDigest(p.ContentDigest))
	add(cms.SigningCertificateV2(p.Certificate))
	if !p.PAdES {
		add(cms.SigningTime(p.SigningTime))
	}
	if p.MimeType != "" {
		add(cms.MimeType(p.MimeType))
	}
	if p.ContentHints != nil {
		add(p.ContentHints.attribute())
	}
	if p.Commitment != "" {
		add(p.Commitment.attribute())
	}
	if p.Policy != nil {
		add(p.Policy.attribute())
	}
	if p.Location != nil {
		add(p.Location.attribute())
	}
	if problem != nil {
		return nil, fmt.Errorf("%w: %w", ErrParams, problem)
	}
	der, err := cms.EncodeAttributes(attributes...)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrParams, err)
	}
	return der, nil
}

// DTBSR is the data to be signed, represented (EN 419 241-1): the hash of the
// signed attributes. It is what the key signs and what an authorisation names.
func DTBSR(signedAttributes []byte, hash crypto.Hash) []byte {
	return sum(hash, signedAttributes)
}

func (p Params) check() error {
	switch p.Hash {
	case crypto.SHA256, crypto.SHA384, crypto.SHA512:
	default:
		return fmt.Errorf("%w: hash %v", ErrParams, p.Hash)
	}
	if len(p.ContentDigest) != p.Hash.Size() {
		return fmt.Errorf("%w: a digest of %d octets for %v", ErrParams, len(p.ContentDigest), p.Hash)
	}
	if p.Certificate == nil || len(p.Certificate.Raw) == 0 {
		return fmt.Errorf("%w: no certificate", ErrParams)
	}
	if !p.PAdES && p.SigningTime.IsZero() {
		return fmt.Errorf("%w: no signing time", ErrParams)
	}
	// EN 319 142-1, 6.3, table 1 lists none of the three.
	if p.PAdES && (p.MimeType != "" || p.ContentHints != nil || p.Location != nil) {
		return fmt.Errorf("%w: a PDF signature has no mime-type, content-hints or signer-location", ErrParams)
	}
	return nil
}
