package verify

import (
	"bytes"
	"crypto"
	_ "crypto/sha1" //nolint:gosec // RFC 5019, section 2.1.1 has issuers named so; nothing depends on it
	_ "crypto/sha256"
	_ "crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
)

// errOCSP is in every error about octets that are no successful OCSP answer.
var errOCSP = errors.New("no readable OCSP answer")

// What an answer may be at most.
const (
	maxAnswer  = 256 << 10
	maxSingles = 64
)

// answer is an OCSPResponse (RFC 6960, 4.2.1), read and not yet believed.
type answer struct {
	raw, tbs     []byte
	algorithm    x509.SignatureAlgorithm
	signature    []byte
	byName       []byte // responderID: the one or the other
	byKey        []byte
	producedAt   time.Time
	singles      []single
	certificates []*x509.Certificate
}

// single is what an answer says of one certificate.
type single struct {
	hash                   crypto.Hash
	issuerName, issuerKey  []byte
	serial                 *big.Int
	state                  state
	revokedAt              time.Time
	reason                 int
	thisUpdate, nextUpdate time.Time
	cutoff                 time.Time // archiveCutoff (RFC 6960, 4.4.4)
}

type state int

const (
	unknown state = iota
	good
	revoked
)

// readAnswer reads an answer in DER.
func readAnswer(raw []byte) (*answer, error) {
	if len(raw) > maxAnswer {
		return nil, fmt.Errorf("%w: %d octets", errOCSP, len(raw))
	}
	input := cryptobyte.String(raw)
	var outer, wrapped, typed, inner cryptobyte.String
	var status int
	var kind asn1.ObjectIdentifier
	if !input.ReadASN1(&outer, der.SEQUENCE) || !input.Empty() || !outer.ReadASN1Enum(&status) || status != 0 {
		return nil, fmt.Errorf("%w: not successful", errOCSP)
	}
	if !outer.ReadASN1(&wrapped, explicit(0)) || !outer.Empty() || !wrapped.ReadASN1(&typed, der.SEQUENCE) || !wrapped.Empty() ||
		!typed.ReadASN1ObjectIdentifier(&kind) || !kind.Equal(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 1}) ||
		!typed.ReadASN1(&inner, der.OCTET_STRING) || !typed.Empty() {
		return nil, fmt.Errorf("%w: not a basic one", errOCSP)
	}
	a := &answer{raw: raw}
	if err := a.readBasic(inner); err != nil {
		return nil, err
	}
	return a, nil
}

func (a *answer) readBasic(input cryptobyte.String) error {
	var basic, tbs, algorithm, certificates cryptobyte.String
	var bits asn1.BitString
	var present bool
	if !input.ReadASN1(&basic, der.SEQUENCE) || !input.Empty() ||
		!basic.ReadASN1Element(&tbs, der.SEQUENCE) || !basic.ReadASN1Element(&algorithm, der.SEQUENCE) ||
		!basic.ReadASN1BitString(&bits) || !basic.ReadOptionalASN1(&certificates, &present, explicit(0)) || !basic.Empty() {
		return fmt.Errorf("%w: not a BasicOCSPResponse", errOCSP)
	}
	a.tbs, a.signature = tbs, bits.RightAlign()
	var err error
	if a.algorithm, err = signatureAlgorithm(algorithm); err != nil {
		return err
	}
	if present {
		var list cryptobyte.String
		if !certificates.ReadASN1(&list, der.SEQUENCE) || !certificates.Empty() {
			return fmt.Errorf("%w: certificates", errOCSP)
		}
		for !list.Empty() {
			var one cryptobyte.String
			if !list.ReadASN1Element(&one, der.SEQUENCE) || len(a.certificates) == maxPath {
				return fmt.Errorf("%w: certificates", errOCSP)
			}
			c, err := x509.ParseCertificate(one)
			if err != nil {
				return fmt.Errorf("%w: %w", errOCSP, err)
			}
			a.certificates = append(a.certificates, c)
		}
	}
	return a.readData(tbs)
}

// readData reads ResponseData.
func (a *answer) readData(element cryptobyte.String) error {
	var data, version, responder, singles, extensions cryptobyte.String
	var present bool
	if !element.ReadASN1(&data, der.SEQUENCE) || !data.ReadOptionalASN1(&version, &present, explicit(0)) {
		return fmt.Errorf("%w: not a ResponseData", errOCSP)
	}
	switch {
	case data.PeekASN1Tag(explicit(1)):
		var name cryptobyte.String
		if !data.ReadASN1(&responder, explicit(1)) || !responder.ReadASN1Element(&name, der.SEQUENCE) || !responder.Empty() {
			return fmt.Errorf("%w: responder", errOCSP)
		}
		a.byName = name
	default:
		if !data.ReadASN1(&responder, explicit(2)) || !responder.ReadASN1Bytes(&a.byKey, der.OCTET_STRING) || !responder.Empty() {
			return fmt.Errorf("%w: responder", errOCSP)
		}
	}
	if !data.ReadASN1GeneralizedTime(&a.producedAt) || !data.ReadASN1(&singles, der.SEQUENCE) ||
		!data.ReadOptionalASN1(&extensions, &present, explicit(1)) || !data.Empty() {
		return fmt.Errorf("%w: not a ResponseData", errOCSP)
	}
	if present {
		if err := eachExtension(extensions, func(asn1.ObjectIdentifier, []byte) bool { return false }); err != nil {
			return err
		}
	}
	for !singles.Empty() {
		if len(a.singles) == maxSingles {
			return fmt.Errorf("%w: too many certificates in it", errOCSP)
		}
		s, err := readSingle(&singles)
		if err != nil {
			return err
		}
		a.singles = append(a.singles, s)
	}
	return nil
}

func readSingle(list *cryptobyte.String) (single, error) {
	var s single
	var one, id, next, extensions cryptobyte.String
	var present bool
	if !list.ReadASN1(&one, der.SEQUENCE) || !one.ReadASN1(&id, der.SEQUENCE) || !s.readID(id) || !s.readStatus(&one) ||
		!one.ReadASN1GeneralizedTime(&s.thisUpdate) || !one.ReadOptionalASN1(&next, &present, explicit(0)) {
		return s, fmt.Errorf("%w: not a SingleResponse", errOCSP)
	}
	if present && (!next.ReadASN1GeneralizedTime(&s.nextUpdate) || !next.Empty()) {
		return s, fmt.Errorf("%w: nextUpdate", errOCSP)
	}
	if !one.ReadOptionalASN1(&extensions, &present, explicit(1)) || !one.Empty() {
		return s, fmt.Errorf("%w: not a SingleResponse", errOCSP)
	}
	if !present {
		return s, nil
	}
	return s, eachExtension(extensions, func(kind asn1.ObjectIdentifier, value []byte) bool {
		if kind.Equal(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 6}) {
			v := cryptobyte.String(value)
			return v.ReadASN1GeneralizedTime(&s.cutoff)
		}
		return false
	})
}

func (s *single) readID(id cryptobyte.String) bool {
	var algorithm cryptobyte.String
	var kind asn1.ObjectIdentifier
	s.serial = new(big.Int)
	if !id.ReadASN1(&algorithm, der.SEQUENCE) || !algorithm.ReadASN1ObjectIdentifier(&kind) ||
		!id.ReadASN1Bytes(&s.issuerName, der.OCTET_STRING) || !id.ReadASN1Bytes(&s.issuerKey, der.OCTET_STRING) ||
		!id.ReadASN1Integer(s.serial) || !id.Empty() {
		return false
	}
	s.hash = digestOf(kind)
	return true
}

func (s *single) readStatus(one *cryptobyte.String) bool {
	var status, reason cryptobyte.String
	var present bool
	switch {
	case one.PeekASN1Tag(der.Tag(0).ContextSpecific()):
		s.state = good
		return one.ReadASN1(&status, der.Tag(0).ContextSpecific()) && status.Empty()
	case one.PeekASN1Tag(explicit(1)):
		s.state = revoked
		if !one.ReadASN1(&status, explicit(1)) || !status.ReadASN1GeneralizedTime(&s.revokedAt) ||
			!status.ReadOptionalASN1(&reason, &present, explicit(0)) || !status.Empty() {
			return false
		}
		return !present || reason.ReadASN1Enum(&s.reason) && reason.Empty()
	default:
		return one.ReadASN1(&status, der.Tag(2).ContextSpecific()) && status.Empty()
	}
}

// about is whether it is of that certificate (RFC 6960, 3.2, step 1).
func (s *single) about(c, issuer *x509.Certificate) bool {
	if s.hash == 0 || s.serial.Cmp(c.SerialNumber) != 0 {
		return false
	}
	key, err := keyBits(issuer)
	return err == nil && bytes.Equal(s.issuerName, digest(s.hash, issuer.RawSubject)) && bytes.Equal(s.issuerKey, digest(s.hash, key))
}

// signer finds the answer's certificate among its own, the authority's and
// others.
func (p *pool) signerOf(a *answer, issuer *x509.Certificate) *x509.Certificate {
	for _, list := range [][]*x509.Certificate{{issuer}, a.certificates, p.bySubject[string(a.byName)]} {
		for _, c := range list {
			if a.named(c) && p.checkAnswer(a, c) == nil {
				return c
			}
		}
	}
	return nil
}

func (a *answer) named(c *x509.Certificate) bool {
	if a.byName != nil {
		return bytes.Equal(a.byName, c.RawSubject)
	}
	key, err := keyBits(c)
	return err == nil && bytes.Equal(a.byKey, digest(crypto.SHA1, key))
}

// eachExtension hands out extensions. One that is critical and not understood
// makes the whole unusable (RFC 6960, 4.4).
func eachExtension(wrapped cryptobyte.String, understood func(kind asn1.ObjectIdentifier, value []byte) bool) error {
	var list cryptobyte.String
	if !wrapped.ReadASN1(&list, der.SEQUENCE) || !wrapped.Empty() {
		return fmt.Errorf("%w: extensions", errOCSP)
	}
	for !list.Empty() {
		var one, value cryptobyte.String
		var kind asn1.ObjectIdentifier
		var critical bool
		if !list.ReadASN1(&one, der.SEQUENCE) || !one.ReadASN1ObjectIdentifier(&kind) ||
			!one.ReadOptionalASN1Boolean(&critical, der.BOOLEAN, false) || !one.ReadASN1(&value, der.OCTET_STRING) || !one.Empty() {
			return fmt.Errorf("%w: extension", errOCSP)
		}
		if !understood(kind, value) && critical {
			return fmt.Errorf("%w: critical extension %v", errOCSP, kind)
		}
	}
	return nil
}

func explicit(n uint8) der.Tag { return der.Tag(n).ContextSpecific().Constructed() }

func digest(h crypto.Hash, data []byte) []byte {
	w := h.New()
	w.Write(data)
	return w.Sum(nil)
}

// digestOf is the hash function of an object identifier, 0 if it is not known.
func digestOf(oid asn1.ObjectIdentifier) crypto.Hash {
	switch oid.String() {
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

// keyBits is the value of subjectPublicKey, without the number of unused bits.
func keyBits(c *x509.Certificate) ([]byte, error) {
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(c.RawSubjectPublicKeyInfo, &info); err != nil {
		return nil, fmt.Errorf("reading a public key: %w", err)
	}
	return info.Key.RightAlign(), nil
}

// signatureAlgorithm reads an AlgorithmIdentifier.
func signatureAlgorithm(element []byte) (x509.SignatureAlgorithm, error) {
	var id pkix.AlgorithmIdentifier
	if rest, err := asn1.Unmarshal(element, &id); err != nil || len(rest) > 0 {
		return 0, fmt.Errorf("%w: signature algorithm", errOCSP)
	}
	known := map[string]x509.SignatureAlgorithm{
		"1.2.840.113549.1.1.5": x509.SHA1WithRSA, "1.2.840.113549.1.1.11": x509.SHA256WithRSA,
		"1.2.840.113549.1.1.12": x509.SHA384WithRSA, "1.2.840.113549.1.1.13": x509.SHA512WithRSA,
		"1.2.840.10045.4.1": x509.ECDSAWithSHA1, "1.2.840.10045.4.3.2": x509.ECDSAWithSHA256,
		"1.2.840.10045.4.3.3": x509.ECDSAWithSHA384, "1.2.840.10045.4.3.4": x509.ECDSAWithSHA512,
	}
	if a, ok := known[id.Algorithm.String()]; ok {
		return a, nil
	}
	if id.Algorithm.String() != "1.2.840.113549.1.1.10" {
		return 0, fmt.Errorf("%w: signature algorithm %v", errOCSP, id.Algorithm)
	}
	var pss struct {
		Hash pkix.AlgorithmIdentifier `asn1:"explicit,tag:0"`
		MGF  pkix.AlgorithmIdentifier `asn1:"explicit,tag:1"`
		Salt int                      `asn1:"explicit,tag:2"`
	}
	if _, err := asn1.Unmarshal(id.Parameters.FullBytes, &pss); err != nil {
		return 0, fmt.Errorf("%w: parameters of RSASSA-PSS", errOCSP)
	}
	switch digestOf(pss.Hash.Algorithm) {
	case crypto.SHA256:
		return x509.SHA256WithRSAPSS, nil
	case crypto.SHA384:
		return x509.SHA384WithRSAPSS, nil
	case crypto.SHA512:
		return x509.SHA512WithRSAPSS, nil
	default:
		return 0, fmt.Errorf("%w: hash of RSASSA-PSS", errOCSP)
	}
}
