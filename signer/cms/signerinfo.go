package cms

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"math/big"
	"slices"
	"time"
)

// MultiAttribute is an attribute with the DER of each of its values. Type is nil
// if encoding/asn1 cannot hold it.
type MultiAttribute struct {
	Type   asn1.ObjectIdentifier
	Values [][]byte
}

// SignerInfo is one signature of a Message (RFC 5652, 5.3), or one over another
// signature (11.4).
type SignerInfo struct {
	// Issuer (DER of the name) and Serial name the signer's certificate; or KeyID
	// does, its subject key identifier.
	Issuer []byte
	Serial *big.Int
	KeyID  []byte
	// Hash is the digest algorithm, 0 if it is not known; Scheme is how the value
	// was made, empty if that is not known.
	Hash   crypto.Hash
	Scheme Scheme
	// DigestAlgorithm and SignatureAlgorithm are named by the signer.
	DigestAlgorithm    asn1.ObjectIdentifier
	SignatureAlgorithm asn1.ObjectIdentifier
	// SignedAttributes is what was signed: a SET, identifier 0x31, in the order in
	// which it stands; nil where the content itself was signed. Signed is the same,
	// read.
	SignedAttributes []byte
	Signed           []MultiAttribute
	Signature        []byte
	// Unsigned are the unsigned attributes; AddUnsigned changes them.
	Unsigned []MultiAttribute

	fields      [][]byte // version to signature, as they stand
	unsigned    set      // as they stand
	contentType []byte   // of the Message
	counter     bool     // over another signature
	// Why Hash or Scheme is not known, and what the latter says.
	digestProblem, methodProblem error
	method                       method
}

// readSigner reads the octets of a SignerInfo.
func readSigner(raw []byte) (*SignerInfo, error) {
	members, err := elements(raw)
	if err != nil {
		return nil, err
	}
	s := &SignerInfo{}
	take := func(identifier byte) []byte {
		if len(members) == 0 || members[0][0] != identifier {
			return nil
		}
		first := members[0]
		members = members[1:]
		return first
	}
	version := take(tagInteger)
	sid := take(tagSequence)
	if sid == nil {
		sid = take(context0)
	}
	digest := take(tagSequence)
	signed := take(context0Set)
	algorithm, value := take(tagSequence), take(tagOctets)
	unsigned := take(context1Set)
	if raw[0] != tagSequence || version == nil || sid == nil || digest == nil || algorithm == nil || value == nil || len(members) > 0 {
		return nil, fmt.Errorf("%w: SignerInfo", ErrMalformed)
	}
	s.fields = [][]byte{version, sid, digest, signed, algorithm, value}
	s.Signature = contents(value)
	if err := s.readIdentifier(sid); err != nil {
		return nil, err
	}
	if err := s.readAlgorithms(digest, algorithm); err != nil {
		return nil, err
	}
	if signed != nil {
		s.SignedAttributes = retag(signed, tagSet)
		if _, s.Signed, err = readAttributes(signed); err != nil {
			return nil, err
		}
	}
	if unsigned != nil {
		if s.unsigned, s.Unsigned, err = readAttributes(unsigned); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *SignerInfo) readIdentifier(sid []byte) error {
	if sid[0] == context0 {
		s.KeyID = contents(sid)
		return nil
	}
	var name issuerAndSerial
	if rest, err := asn1.Unmarshal(sid, &name); err != nil || len(rest) > 0 {
		return fmt.Errorf("%w: signer identifier", ErrMalformed)
	}
	s.Issuer, s.Serial = name.Issuer.FullBytes, name.Serial
	return nil
}

func (s *SignerInfo) readAlgorithms(digest, value []byte) error {
	var digestAlgorithm, valueAlgorithm algorithm
	for _, a := range []struct {
		der  []byte
		into *algorithm
	}{{digest, &digestAlgorithm}, {value, &valueAlgorithm}} {
		if rest, err := asn1.Unmarshal(a.der, a.into); err != nil || len(rest) > 0 {
			return fmt.Errorf("%w: algorithm identifier", ErrMalformed)
		}
	}
	s.DigestAlgorithm, s.SignatureAlgorithm = digestAlgorithm.OID, valueAlgorithm.OID
	s.Hash, s.digestProblem = foreignHash(digestAlgorithm)
	s.method, s.methodProblem = methodOf(valueAlgorithm)
	s.Scheme = s.method.scheme
	return nil
}

// readAttributes reads a SET OF Attribute under any identifier.
func readAttributes(element []byte) (set, []MultiAttribute, error) {
	raw, err := readSet(element)
	if err != nil {
		return set{}, nil, err
	}
	attributes := make([]MultiAttribute, 0, len(raw.elements))
	for _, a := range raw.elements {
		members, err := elements(a)
		if err != nil || a[0] != tagSequence || len(members) != 2 || members[0][0] != tagOID || members[1][0] != tagSet {
			return set{}, nil, fmt.Errorf("%w: attribute", ErrMalformed)
		}
		values, err := elements(members[1])
		if err != nil {
			return set{}, nil, err
		}
		attributes = append(attributes, MultiAttribute{Type: oidOf(members[0]), Values: values})
	}
	return raw, attributes, nil
}

// encode writes the SignerInfo.
func (s *SignerInfo) encode() []byte {
	return wrap(tagSequence, append(slices.Clone(s.fields), s.unsigned.encode(context1Set))...)
}

// NamesCertificate says whether the signed attributes name the signer's
// certificate by its digest (RFC 5035, or RFC 2634 by SHA-1): without it, the
// signature is no baseline one, and a time-stamp none of RFC 3161, 2.4.2.
func (s *SignerInfo) NamesCertificate() bool {
	return s.Attribute(idSigningCertV2) != nil || s.Attribute(idSigningCert) != nil
}

// ImprintFields are the DER of version, sid, digestAlgorithm, signedAttrs (under
// its [0]), signatureAlgorithm and signature as they stand, which is what an
// archive-time-stamp-v3 covers of a SignerInfo (EN 319 122-1, 5.5.3).
func (s *SignerInfo) ImprintFields() [][]byte {
	return slices.DeleteFunc(slices.Clone(s.fields), func(f []byte) bool { return f == nil })
}

// Attribute is the DER of the only value of the only signed attribute of that
// type. Where there is none, or another number, it is nil.
func (s *SignerInfo) Attribute(oid asn1.ObjectIdentifier) []byte {
	values := valuesOf(s.Signed, oid)
	if len(values) != 1 {
		return nil
	}
	return values[0]
}

// UnsignedValues are the values of all unsigned attributes of that type, in the
// order in which they stand.
func (s *SignerInfo) UnsignedValues(oid asn1.ObjectIdentifier) [][]byte {
	return valuesOf(s.Unsigned, oid)
}

func valuesOf(attributes []MultiAttribute, oid asn1.ObjectIdentifier) [][]byte {
	var values [][]byte
	for _, a := range attributes {
		if len(oid) > 0 && a.Type.Equal(oid) {
			values = append(values, a.Values...)
		}
	}
	return values
}

// MessageDigest is the digest of the content that was signed; nil where there
// is none.
func (s *SignerInfo) MessageDigest() []byte {
	value := s.Attribute(idMessageDigest)
	if len(value) == 0 || value[0] != tagOctets {
		return nil
	}
	return contents(value)
}

// SigningTime is the time that the signer claims, if any.
func (s *SignerInfo) SigningTime() (time.Time, bool) {
	var t time.Time
	rest, err := asn1.Unmarshal(s.Attribute(idSigningTime), &t)
	return t, err == nil && len(rest) == 0
}

// SignedContentType is the content-type attribute; nil where there is none.
func (s *SignerInfo) SignedContentType() asn1.ObjectIdentifier {
	return oidOf(s.Attribute(idContentType))
}

// HashOf is the digest of data by the signer's Hash; nil if that is not known.
func (s *SignerInfo) HashOf(data []byte) []byte {
	if s.Hash == 0 {
		return nil
	}
	return sum(s.Hash, data)
}

// Certificate is the one that the signer identifier names. Where it fits several,
// it is the one that the signed reference names, or else the first; where it
// fits none, nil.
func (s *SignerInfo) Certificate(among []*x509.Certificate) *x509.Certificate {
	var first *x509.Certificate
	for _, c := range among {
		if !s.names(c) {
			continue
		}
		if first == nil {
			first = c
		}
		if referenced, err := s.references(c); referenced && err == nil {
			return c
		}
	}
	return first
}

func (s *SignerInfo) names(c *x509.Certificate) bool {
	if s.Serial == nil {
		return len(s.KeyID) > 0 && bytes.Equal(c.SubjectKeyId, s.KeyID)
	}
	return bytes.Equal(c.RawIssuer, s.Issuer) && c.SerialNumber.Cmp(s.Serial) == 0
}
