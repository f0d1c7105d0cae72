package tsa

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"math/big"
	"strings"
	"time"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
)

// Stamp is what a token says, of any authority.
type Stamp struct {
	Policy   asn1.ObjectIdentifier
	Hash     crypto.Hash
	Digest   []byte
	Serial   *big.Int
	Time     time.Time
	Accuracy time.Duration // zero: none is given
	Nonce    *big.Int      // nil: none
	// SignedBy is the hash of the token's own signature.
	SignedBy crypto.Hash
	// Signer's is the key that signed, and its certificate is named among the
	// signed attributes. Certificates are those inside.
	Signer       *x509.Certificate
	Certificates []*x509.Certificate
}

// readInfo reads a TSTInfo (RFC 3161, 2.4.2).
func readInfo(tst []byte) (*Stamp, error) {
	s := &Stamp{Serial: new(big.Int)}
	input := cryptobyte.String(tst)
	var fields, imprint, at, span, name, extensions cryptobyte.String
	var version int
	var spanned, ordering, named, extended bool
	if !input.ReadASN1(&fields, der.SEQUENCE) || !input.Empty() || !fields.ReadASN1Integer(&version) || version != 1 ||
		!fields.ReadASN1ObjectIdentifier(&s.Policy) || !fields.ReadASN1(&imprint, der.SEQUENCE) ||
		!fields.ReadASN1Integer(s.Serial) || !fields.ReadASN1(&at, der.GeneralizedTime) ||
		!fields.ReadOptionalASN1(&span, &spanned, der.SEQUENCE) || !readFlag(&fields, &ordering) {
		return nil, unreliable("not a TSTInfo")
	}
	if fields.PeekASN1Tag(der.INTEGER) {
		if s.Nonce = new(big.Int); !fields.ReadASN1Integer(s.Nonce) {
			return nil, unreliable("not a TSTInfo")
		}
	}
	if !fields.ReadOptionalASN1(&name, &named, der.Tag(0).ContextSpecific().Constructed()) ||
		!fields.ReadOptionalASN1(&extensions, &extended, der.Tag(1).ContextSpecific().Constructed()) || !fields.Empty() {
		return nil, unreliable("not a TSTInfo")
	}
	if err := s.readImprint(imprint); err != nil {
		return nil, err
	}
	if err := s.readTime(string(at)); err != nil {
		return nil, err
	}
	if spanned && !s.readAccuracy(span) {
		return nil, unreliable("accuracy")
	}
	return s, checkExtensions(extensions)
}

func (s *Stamp) readImprint(imprint cryptobyte.String) error {
	var algorithm cryptobyte.String
	var kind asn1.ObjectIdentifier
	if !imprint.ReadASN1(&algorithm, der.SEQUENCE) || !algorithm.ReadASN1ObjectIdentifier(&kind) ||
		!algorithm.Empty() && !bytes.Equal(algorithm, asn1.NullBytes) ||
		!imprint.ReadASN1Bytes(&s.Digest, der.OCTET_STRING) || !imprint.Empty() {
		return unreliable("imprint")
	}
	for hash, oid := range hashNames() {
		if oid.Equal(kind) && len(s.Digest) == hash.Size() {
			s.Hash = hash
			return nil
		}
	}
	return unreliable("its hash is " + kind.String())
}

// readTime reads a GeneralizedTime with a fraction, which neither encoding/asn1
// nor cryptobyte does.
func (s *Stamp) readTime(text string) error {
	at, err := time.Parse("20060102150405Z", text)
	if err != nil || strings.Contains(text, ",") {
		return unreliable("genTime")
	}
	s.Time = at.UTC()
	return nil
}

func (s *Stamp) readAccuracy(fields cryptobyte.String) bool {
	var parts [3]int64 // seconds, millis, micros
	if fields.PeekASN1Tag(der.INTEGER) && !fields.ReadASN1Integer(&parts[0]) {
		return false
	}
	for i := range uint8(2) {
		tag := der.Tag(i).ContextSpecific()
		if fields.PeekASN1Tag(tag) && !fields.ReadASN1Int64WithTag(&parts[i+1], tag) {
			return false
		}
	}
	const hour = int64(time.Hour / time.Second)
	if !fields.Empty() || parts[0] < 0 || parts[0] > hour || parts[1] < 0 || parts[1] > 999 || parts[2] < 0 || parts[2] > 999 {
		return false
	}
	s.Accuracy = time.Duration(parts[0])*time.Second + time.Duration(parts[1])*time.Millisecond + time.Duration(parts[2])*time.Microsecond
	return true
}

// readFlag reads a BOOLEAN DEFAULT FALSE.
func readFlag(fields *cryptobyte.String, flag *bool) bool {
	return !fields.PeekASN1Tag(der.BOOLEAN) || fields.ReadASN1Boolean(flag)
}

// checkExtensions refuses what is critical: none is known.
func checkExtensions(list cryptobyte.String) error {
	for !list.Empty() {
		var one cryptobyte.String
		var kind asn1.ObjectIdentifier
		var critical bool
		if !list.ReadASN1(&one, der.SEQUENCE) || !one.ReadASN1ObjectIdentifier(&kind) ||
			!readFlag(&one, &critical) || critical {
			return unreliable("extension " + kind.String())
		}
	}
	return nil
}
