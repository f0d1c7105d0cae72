package ocsp

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // RFC 6960, section 4.2.1 defines KeyHash so; it protects nothing
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
)

// MaxAnswer is the longest answer that is read. An ordinary one takes less than
// 2,000 octets with the responder's certificate.
const MaxAnswer = 64 << 10

// maxCarried is how many certificates are read of an answer.
const maxCarried = 8

// ErrAnswer is in every error about an answer that proves nothing about the
// certificate that was asked for.
var ErrAnswer = errors.New("not an answer to rely on")

// ProtocolError is an answer that has no more than OCSPResponseStatus (RFC
// 6960, section 4.2.1).
type ProtocolError struct{ Status int }

func (e *ProtocolError) Error() string {
	names := map[int]string{1: "malformedRequest", 2: "internalError", 3: "tryLater", 5: "sigRequired", 6: "unauthorized"}
	return fmt.Sprintf("responder answers %d %s", e.Status, names[e.Status])
}

// Question is what a client asks: the status of one certificate.
type Question struct {
	Certificate, Issuer *x509.Certificate
	// Nonce has an answer made afresh, where the responder knows nonces.
	Nonce []byte
}

// Marshal writes the request (RFC 5019, section 2.1.1: one certificate, SHA-1).
func (q Question) Marshal() ([]byte, error) {
	id, err := Issuer{Certificate: q.Issuer}.certID(q.Certificate.SerialNumber)
	if err != nil {
		return nil, err
	}
	return (&Request{Certificates: []CertID{id}, Nonce: q.Nonce}).Marshal()
}

// Verdict is what an answer proves about the certificate.
type Verdict struct {
	Status // but for Version
	// ProducedAt is when the answer was signed. NextUpdate is zero if there may
	// be news at any time.
	ProducedAt, ThisUpdate, NextUpdate time.Time
	// Responder is who signed: the question's Issuer, or its delegate, who may
	// stand in the answer alone. NoCheck spares looking for the delegate's own
	// revocation (RFC 6960, section 4.2.2.2.1).
	Responder *x509.Certificate
	NoCheck   bool
	// ArchiveCutoff is since when certificates are spoken of that have expired
	// (section 4.4.4); zero: of none.
	ArchiveCutoff time.Time
	// Echoed is whether the answer has the question's nonce. One with another
	// nonce is no answer; one without may have been made before.
	Echoed bool
}

// Check reads an answer (an OCSPResponse in DER) and says what it proves: that
// it names the certificate, that its issuer or a delegate of the issuer signed
// it (section 4.2.2.2), and that the delegate was valid then. Whether it is
// fresh enough, the caller knows.
func Check(answer []byte, q Question) (Verdict, error) {
	b, err := open(answer)
	if err != nil {
		return Verdict{}, err
	}
	v, named, err := b.data(q)
	if err != nil {
		return Verdict{}, err
	}
	if v.Responder, err = b.responder(q.Issuer, named, v.ProducedAt); err != nil {
		return Verdict{}, err
	}
	if err := v.Responder.CheckSignature(b.algorithm, b.tbs, b.signature); err != nil {
		return Verdict{}, fmt.Errorf("%w: signature: %w", ErrAnswer, err)
	}
	v.NoCheck = v.Responder.Equal(q.Issuer) || slices.ContainsFunc(v.Responder.Extensions, func(e pkix.Extension) bool {
		return e.Id.Equal(oidNoCheck())
	})
	return v, nil
}

func oidNoCheck() oid { return oid{1, 3, 6, 1, 5, 5, 7, 48, 1, 5} }

func unreliable(what string) error { return fmt.Errorf("%w: %s", ErrAnswer, what) }

// basic is a BasicOCSPResponse.
type basic struct {
	tbs          cryptobyte.String // ResponseData, the element
	algorithm    x509.SignatureAlgorithm
	signature    []byte
	certificates []*x509.Certificate
}

func open(answer []byte) (*basic, error) {
	if len(answer) > MaxAnswer {
		return nil, unreliable("too long")
	}
	input := cryptobyte.String(answer)
	var outer, wrapped, typed, inner, body cryptobyte.String
	var status int
	var kind oid
	if !input.ReadASN1(&outer, der.SEQUENCE) || !input.Empty() || !outer.ReadASN1Enum(&status) {
		return nil, unreliable("not an OCSPResponse")
	}
	if status != successful {
		return nil, fmt.Errorf("%w: %w", ErrAnswer, &ProtocolError{Status: status})
	}
	if !outer.ReadASN1(&wrapped, tag(0)) || !outer.Empty() || !wrapped.ReadASN1(&typed, der.SEQUENCE) || !wrapped.Empty() ||
		!typed.ReadASN1ObjectIdentifier(&kind) || !kind.Equal(oidBasic()) ||
		!typed.ReadASN1(&inner, der.OCTET_STRING) || !typed.Empty() || !inner.ReadASN1(&body, der.SEQUENCE) || !inner.Empty() {
		return nil, unreliable("not a basic response")
	}
	return readBasic(body)
}

func readBasic(body cryptobyte.String) (*basic, error) {
	var b basic
	var algorithm, carried cryptobyte.String
	var present bool
	if !body.ReadASN1Element(&b.tbs, der.SEQUENCE) || !body.ReadASN1Element(&algorithm, der.SEQUENCE) ||
		!body.ReadASN1BitStringAsBytes(&b.signature) || !body.ReadOptionalASN1(&carried, &present, tag(0)) || !body.Empty() {
		return nil, unreliable("not a BasicOCSPResponse")
	}
	b.algorithm = signatureAlgorithm(algorithm)
	if !present {
		return &b, nil
	}
	var list cryptobyte.String
	if !carried.ReadASN1(&list, der.SEQUENCE) || !carried.Empty() {
		return nil, unreliable("certificates")
	}
	for !list.Empty() {
		var one cryptobyte.String
		if !list.ReadASN1Element(&one, der.SEQUENCE) || len(b.certificates) == maxCarried {
			return nil, unreliable("certificates")
		}
		certificate, err := x509.ParseCertificate(one)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrAnswer, err)
		}
		b.certificates = append(b.certificates, certificate)
	}
	return &b, nil
}

// signatureAlgorithm reads an AlgorithmIdentifier; one that is not known, or has
// parameters that do not belong to it, is none. RSASSA-PSS with parameters of
// RFC 8017 is met in certificates, hardly in answers.
func signatureAlgorithm(element cryptobyte.String) x509.SignatureAlgorithm {
	var fields cryptobyte.String
	var kind oid
	if !element.ReadASN1(&fields, der.SEQUENCE) || !fields.ReadASN1ObjectIdentifier(&kind) ||
		!fields.Empty() && !bytes.Equal(fields, []byte{5, 0}) {
		return x509.UnknownSignatureAlgorithm
	}
	switch kind.String() {
	case "1.2.840.113549.1.1.11":
		return x509.SHA256WithRSA
	case "1.2.840.113549.1.1.12":
		return x509.SHA384WithRSA
	case "1.2.840.113549.1.1.13":
		return x509.SHA512WithRSA
	case "1.2.840.10045.4.3.2":
		return x509.ECDSAWithSHA256
	case "1.2.840.10045.4.3.3":
		return x509.ECDSAWithSHA384
	case "1.2.840.10045.4.3.4":
		return x509.ECDSAWithSHA512
	case "1.3.101.112":
		return x509.PureEd25519
	default:
		return x509.UnknownSignatureAlgorithm
	}
}

// data reads ResponseData: what it says of the certificate, and whom it names as
// responder.
func (b *basic) data(q Question) (v Verdict, named func(*x509.Certificate) bool, err error) {
	element := b.tbs
	var fields, version, responses, extensions cryptobyte.String
	var given, extended bool
	if !element.ReadASN1(&fields, der.SEQUENCE) || !fields.ReadOptionalASN1(&version, &given, tag(0)) {
		return Verdict{}, nil, unreliable("not ResponseData")
	}
	if named, err = readResponder(&fields); err != nil {
		return Verdict{}, nil, err
	}
	var produced time.Time
	if !fields.ReadASN1GeneralizedTime(&produced) || !fields.ReadASN1(&responses, der.SEQUENCE) ||
		!fields.ReadOptionalASN1(&extensions, &extended, tag(1)) || !fields.Empty() {
		return Verdict{}, nil, unreliable("not ResponseData")
	}
	if v, err = find(responses, q); err != nil {
		return Verdict{}, nil, err
	}
	v.ProducedAt = produced
	if !extended {
		return v, named, nil
	}
	r := &Request{} // the extensions of both have one form
	if err := r.readExtensions(extensions, true); err != nil {
		return Verdict{}, nil, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	if len(r.Nonce) > 0 && len(q.Nonce) > 0 && !bytes.Equal(r.Nonce, q.Nonce) {
		return Verdict{}, nil, unreliable("the nonce is another's")
	}
	v.Echoed = len(r.Nonce) > 0 && len(q.Nonce) > 0
	return v, named, nil
}

// readResponder reads ResponderID.
func readResponder(fields *cryptobyte.String) (func(*x509.Certificate) bool, error) {
	var by, name, hash cryptobyte.String
	switch {
	case fields.PeekASN1Tag(tag(1)):
		if !fields.ReadASN1(&by, tag(1)) || !by.ReadASN1Element(&name, der.SEQUENCE) || !by.Empty() {
			return nil, unreliable("name of the responder")
		}
		return func(c *x509.Certificate) bool { return bytes.Equal(c.RawSubject, name) }, nil
	case fields.PeekASN1Tag(tag(2)):
		if !fields.ReadASN1(&by, tag(2)) || !by.ReadASN1(&hash, der.OCTET_STRING) || !by.Empty() {
			return nil, unreliable("key of the responder")
		}
		return func(c *x509.Certificate) bool {
			bits, err := publicKeyBits(c)
			sum := sha1.Sum(bits) //nolint:gosec // see the import
			return err == nil && bytes.Equal(sum[:], hash)
		}, nil
	default:
		return nil, unreliable("no responder")
	}
}

// find reads the SingleResponse of the certificate.
func find(responses cryptobyte.String, q Question) (Verdict, error) {
	issuer := Issuer{Certificate: q.Issuer}
	for !responses.Empty() {
		var one, raw cryptobyte.String
		if !responses.ReadASN1(&one, der.SEQUENCE) || !one.ReadASN1Element(&raw, der.SEQUENCE) {
			return Verdict{}, unreliable("not a SingleResponse")
		}
		id, err := parseCertID(raw)
		if err != nil {
			return Verdict{}, fmt.Errorf("%w: %w", ErrAnswer, err)
		}
		if id.Serial.Cmp(q.Certificate.SerialNumber) != 0 || !issuer.issued(id) {
			continue
		}
		return readSingle(one)
	}
	return Verdict{}, unreliable("it is about another certificate")
}

func readSingle(one cryptobyte.String) (Verdict, error) {
	var v Verdict
	var status, next, extensions cryptobyte.String
	var kind der.Tag
	var dated, extended bool
	if !one.ReadAnyASN1(&status, &kind) || !one.ReadASN1GeneralizedTime(&v.ThisUpdate) ||
		!one.ReadOptionalASN1(&next, &dated, tag(0)) || dated && (!next.ReadASN1GeneralizedTime(&v.NextUpdate) || !next.Empty()) ||
		!one.ReadOptionalASN1(&extensions, &extended, tag(1)) || !one.Empty() {
		return Verdict{}, unreliable("not a SingleResponse")
	}
	if extended { // none of a critical kind is known
		if err := (&Request{}).readExtensions(extensions, false); err != nil {
			return Verdict{}, fmt.Errorf("%w: %w", ErrAnswer, err)
		}
		v.ArchiveCutoff = archiveCutoff(extensions)
	}
	switch kind {
	case der.Tag(0).ContextSpecific():
		v.State = Good
	case tag(1):
		v.State = Revoked
		var reason cryptobyte.String
		var given bool
		if !status.ReadASN1GeneralizedTime(&v.RevokedAt) || !status.ReadOptionalASN1(&reason, &given, tag(0)) ||
			given && !reason.ReadASN1Enum(&v.Reason) || !status.Empty() {
			return Verdict{}, unreliable("not RevokedInfo")
		}
	case der.Tag(2).ContextSpecific():
		v.State = Unknown
	default:
		return Verdict{}, unreliable("not a CertStatus")
	}
	return v, nil
}

// archiveCutoff is the value of that extension among those that were read.
func archiveCutoff(wrapped cryptobyte.String) (at time.Time) {
	var list, one, value cryptobyte.String
	wrapped.ReadASN1(&list, der.SEQUENCE)
	for list.ReadASN1(&one, der.SEQUENCE) {
		var kind oid
		if one.ReadASN1ObjectIdentifier(&kind) && kind.Equal(oidArchiveCutoff()) &&
			one.ReadASN1(&value, der.OCTET_STRING) && !value.ReadASN1GeneralizedTime(&at) {
			return time.Time{}
		}
	}
	return at
}

// responder finds whoever is named: the issuer, or one whom the issuer itself
// has certified for the purpose and who was valid when the answer was made.
func (b *basic) responder(issuer *x509.Certificate, named func(*x509.Certificate) bool, produced time.Time) (*x509.Certificate, error) {
	if named(issuer) {
		return issuer, nil
	}
	why := unreliable("the responder's certificate is not in it")
	for _, c := range b.certificates {
		if !named(c) {
			continue
		}
		delegate := Issuer{Certificate: issuer, Responder: c}
		if err := delegate.fit(produced); err != nil {
			why = fmt.Errorf("%w: %w", ErrAnswer, err)
			continue
		}
		if err := c.CheckSignatureFrom(issuer); err != nil {
			why = fmt.Errorf("%w: responder: %w", ErrAnswer, err)
			continue
		}
		return c, nil
	}
	return nil, why
}
