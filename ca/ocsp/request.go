package ocsp

import (
	"bytes"
	"crypto"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
)

// What a request may be at most. A request for one certificate takes about 80
// octets with SHA-1 and 110 with SHA-256.
const (
	MaxRequest      = 16 << 10 // octets
	MaxCertificates = 50
	maxNonce        = 128 // octets, RFC 9654, section 2.1
)

// ErrMalformed is a request that is none, or not one that is answered.
var ErrMalformed = errors.New("malformed OCSP request")

// Request is a question about certificates.
type Request struct {
	Certificates []CertID
	// Nonce is empty if the request has none.
	Nonce []byte
	// plain is whether nothing was passed over in reading the request.
	plain bool
}

// CertID names a certificate (RFC 6960, section 4.1.1).
type CertID struct {
	// Hash is 0 if the algorithm is not one of SHA-1, SHA-256, SHA-384 and
	// SHA-512; such a CertID names no certificate of ours.
	Hash       crypto.Hash
	IssuerName []byte // hash of the issuer's name
	IssuerKey  []byte // hash of the issuer's public key
	Serial     *big.Int
	// raw is the CertID as it was sent. The answer repeats it, because clients
	// compare: with or without NULL as the algorithm's parameters.
	raw []byte
}

// hashOf is a CertID's algorithm, or 0.
func hashOf(algorithm oid) crypto.Hash {
	switch algorithm.String() {
	case "1.3.14.3.2.26":
		return crypto.SHA1
	case "2.16.840.1.101.3.4.2.1":
		return crypto.SHA256
	case "2.16.840.1.101.3.4.2.2":
		return crypto.SHA384
	case "2.16.840.1.101.3.4.2.3":
		return crypto.SHA512
	default:
		return 0
	}
}

func malformed(what string) error { return fmt.Errorf("%w: %s", ErrMalformed, what) }

// Parse reads a request in DER, or says ErrMalformed. The requestor's name, the
// signature, and extensions that are neither critical nor understood are passed
// over.
func Parse(request []byte) (*Request, error) {
	if len(request) > MaxRequest {
		return nil, malformed("too long")
	}
	input := cryptobyte.String(request)
	var outer, tbs cryptobyte.String
	if !input.ReadASN1(&outer, der.SEQUENCE) || !input.Empty() || !outer.ReadASN1(&tbs, der.SEQUENCE) {
		return nil, malformed("not an OCSPRequest")
	}
	r := &Request{plain: true}
	if err := r.skip(&outer, 0); err != nil {
		return nil, err
	}
	if !outer.Empty() {
		return nil, malformed("something after the signature")
	}
	if err := r.readTBS(tbs); err != nil {
		return nil, err
	}
	return r, nil
}

// readTBS reads a TBSRequest.
func (r *Request) readTBS(tbs cryptobyte.String) error {
	var version cryptobyte.String
	var given bool
	if !tbs.ReadOptionalASN1(&version, &given, tag(0)) {
		return malformed("version")
	}
	if given { // DER leaves a default out; some clients do not
		r.plain = false
		var number int
		if !version.ReadASN1Integer(&number) || !version.Empty() || number != 0 {
			return malformed("version is not 1")
		}
	}
	if err := r.skip(&tbs, 1); err != nil {
		return err
	}
	var list, extensions cryptobyte.String
	var present bool
	if !tbs.ReadASN1(&list, der.SEQUENCE) || !tbs.ReadOptionalASN1(&extensions, &present, tag(2)) || !tbs.Empty() {
		return malformed("not a TBSRequest")
	}
	for !list.Empty() {
		if len(r.Certificates) == MaxCertificates {
			return malformed("too many certificates")
		}
		if err := r.readCertificate(&list); err != nil {
			return err
		}
	}
	if len(r.Certificates) == 0 {
		return malformed("no certificate")
	}
	if !present {
		return nil
	}
	return r.readExtensions(extensions, true)
}

func (r *Request) readCertificate(list *cryptobyte.String) error {
	var one, extensions, raw cryptobyte.String
	var present bool
	if !list.ReadASN1(&one, der.SEQUENCE) || !one.ReadASN1Element(&raw, der.SEQUENCE) ||
		!one.ReadOptionalASN1(&extensions, &present, tag(0)) || !one.Empty() {
		return malformed("not a Request")
	}
	id, err := parseCertID(raw)
	if err != nil {
		return err
	}
	r.Certificates = append(r.Certificates, id)
	if !present {
		return nil
	}
	return r.readExtensions(extensions, false)
}

func parseCertID(raw cryptobyte.String) (CertID, error) {
	id := CertID{raw: bytes.Clone(raw), Serial: new(big.Int)}
	var fields, algorithm cryptobyte.String
	var kind oid
	if !raw.ReadASN1(&fields, der.SEQUENCE) || !fields.ReadASN1(&algorithm, der.SEQUENCE) ||
		!algorithm.ReadASN1ObjectIdentifier(&kind) ||
		!fields.ReadASN1Bytes(&id.IssuerName, der.OCTET_STRING) || !fields.ReadASN1Bytes(&id.IssuerKey, der.OCTET_STRING) ||
		!fields.ReadASN1Integer(id.Serial) || !fields.Empty() {
		return CertID{}, malformed("not a CertID")
	}
	id.Hash = hashOf(kind)
	if id.Hash == 0 {
		return id, nil
	}
	if !algorithm.Empty() && !bytes.Equal(algorithm, asn1.NullBytes) {
		return CertID{}, malformed("parameters of a hash algorithm")
	}
	if size := id.Hash.Size(); len(id.IssuerName) != size || len(id.IssuerKey) != size {
		return CertID{}, malformed("length of a hash")
	}
	return id, nil
}

// readExtensions reads those of the request, which may have a nonce, or of one
// certificate in it.
func (r *Request) readExtensions(wrapped cryptobyte.String, nonce bool) error {
	all, read := readExtensions(wrapped)
	if !read || len(all) == 0 {
		return malformed("extensions")
	}
	for _, e := range all {
		r.plain = r.plain && !e.flagged
		switch {
		case nonce && e.kind.Equal(oidNonce()):
			if !e.value.ReadASN1Bytes(&r.Nonce, der.OCTET_STRING) || !e.value.Empty() || len(r.Nonce) == 0 || len(r.Nonce) > maxNonce {
				return malformed("nonce")
			}
			r.Nonce = bytes.Clone(r.Nonce)
		case e.critical:
			return malformed("critical extension " + e.kind.String())
		default:
			r.plain = false
		}
	}
	return nil
}

// skip passes over an optional element.
func (r *Request) skip(s *cryptobyte.String, number uint8) error {
	var present bool
	var element, inner cryptobyte.String
	var kind der.Tag
	if !s.ReadOptionalASN1(&element, &present, tag(number)) {
		return malformed("optional element")
	}
	if !present {
		return nil
	}
	r.plain = false
	if !element.ReadAnyASN1(&inner, &kind) || !element.Empty() {
		return malformed("optional element")
	}
	return nil
}

// Marshal writes the request in DER, without what was passed over in reading.
func (r *Request) Marshal() ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
				for _, id := range r.Certificates {
					b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(id.raw) })
				}
			})
			if len(r.Nonce) > 0 {
				b.AddASN1(tag(2), func(b *cryptobyte.Builder) { addNonce(b, r.Nonce) })
			}
		})
	})
	return b.Bytes()
}

// addNonce adds Extensions with a nonce alone.
func addNonce(b *cryptobyte.Builder, nonce []byte) {
	addExtension(b, oidNonce(), func(b *cryptobyte.Builder) { b.AddASN1OctetString(nonce) })
}

// addExtension adds Extensions of one, which is not critical.
func addExtension(b *cryptobyte.Builder, kind oid, value cryptobyte.BuilderContinuation) {
	b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(kind)
			b.AddASN1(der.OCTET_STRING, value)
		})
	})
}

// tag is an explicit context-specific tag.
func tag(n uint8) der.Tag { return der.Tag(n).ContextSpecific().Constructed() }
