package ocsp

import (
	"bytes"
	"crypto"
	"crypto/sha1" //nolint:gosec // RFC 6960, section 4.2.1 defines KeyHash so; it protects nothing
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
)

// What is read of an answer: certificates, and statuses of certificates.
const (
	maxCarried = 10
	maxSingles = 64
)

// Response is a successful answer of any responder (RFC 6960, section 4.2.1)
// that was read and is not yet believed.
type Response struct {
	Raw []byte
	// ResponderName is the DER of the responder's name, nil if its key names it.
	ResponderName []byte
	ProducedAt    time.Time
	Singles       []SingleResponse
	// Nonce is empty if there is none.
	Nonce []byte
	// Algorithm is zero if it is not known, or has parameters that are not its own.
	Algorithm    x509.SignatureAlgorithm
	Certificates []*x509.Certificate

	keyHash        []byte // of the responder, where its name is not given
	tbs, signature []byte
}

// SingleResponse is what an answer says of one certificate.
type SingleResponse struct {
	ID     CertID
	Status // but for Version
	// NextUpdate is zero if there may be news at any time.
	ThisUpdate, NextUpdate time.Time
	// ArchiveCutoff is since when certificates are spoken of that have expired
	// (section 4.4.4); zero: of none.
	ArchiveCutoff time.Time
}

// About says whether it is of that certificate (section 3.2, step 1).
func (s SingleResponse) About(c, issuer *x509.Certificate) bool {
	return s.ID.Serial.Cmp(c.SerialNumber) == 0 && Issuer{Certificate: issuer}.issued(s.ID)
}

// Names says whether the certificate is that of the responder.
func (r *Response) Names(c *x509.Certificate) bool {
	if r.ResponderName != nil {
		return bytes.Equal(r.ResponderName, c.RawSubject)
	}
	bits, err := publicKeyBits(c)
	sum := sha1.Sum(bits) //nolint:gosec // see the import
	return err == nil && bytes.Equal(r.keyHash, sum[:])
}

// CheckSignature says whether the key signed the answer. Whether it may, and
// whether the algorithm is one to rely on, is not said here.
func (r *Response) CheckSignature(signer *x509.Certificate) error {
	return signer.CheckSignature(r.Algorithm, r.tbs, r.signature)
}

// NoCheck says that nobody is to ask whether the responder was revoked (section
// 4.2.2.2.1).
func NoCheck(responder *x509.Certificate) bool {
	return slices.ContainsFunc(responder.Extensions, func(e pkix.Extension) bool {
		return e.Id.Equal(oid{1, 3, 6, 1, 5, 5, 7, 48, 1, 5})
	})
}

// Read reads an OCSPResponse in DER. How long it may be, the caller knows. One
// that is not successful gives a *ProtocolError.
func Read(answer []byte) (*Response, error) {
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
	r := &Response{Raw: answer}
	if err := r.readBasic(body); err != nil {
		return nil, err
	}
	if err := r.readData(r.tbs); err != nil {
		return nil, err
	}
	return r, nil
}

// readBasic reads BasicOCSPResponse but for ResponseData.
func (r *Response) readBasic(body cryptobyte.String) error {
	var tbs, algorithm, carried, list cryptobyte.String
	var present bool
	if !body.ReadASN1Element(&tbs, der.SEQUENCE) || !body.ReadASN1Element(&algorithm, der.SEQUENCE) ||
		!body.ReadASN1BitStringAsBytes(&r.signature) || !body.ReadOptionalASN1(&carried, &present, tag(0)) || !body.Empty() ||
		present && (!carried.ReadASN1(&list, der.SEQUENCE) || !carried.Empty()) {
		return unreliable("not a BasicOCSPResponse")
	}
	r.tbs, r.Algorithm = tbs, SignatureAlgorithm(algorithm)
	for !list.Empty() {
		var one cryptobyte.String
		if !list.ReadASN1Element(&one, der.SEQUENCE) || len(r.Certificates) == maxCarried {
			return unreliable("certificates")
		}
		certificate, err := x509.ParseCertificate(one)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrAnswer, err)
		}
		r.Certificates = append(r.Certificates, certificate)
	}
	return nil
}

// readData reads ResponseData.
func (r *Response) readData(element cryptobyte.String) error {
	var fields, version, singles, extensions cryptobyte.String
	var given, extended bool
	if !element.ReadASN1(&fields, der.SEQUENCE) || !fields.ReadOptionalASN1(&version, &given, tag(0)) ||
		!r.readResponder(&fields) || !fields.ReadASN1GeneralizedTime(&r.ProducedAt) || !fields.ReadASN1(&singles, der.SEQUENCE) ||
		!fields.ReadOptionalASN1(&extensions, &extended, tag(1)) || !fields.Empty() {
		return unreliable("not ResponseData")
	}
	for !singles.Empty() {
		if len(r.Singles) == maxSingles {
			return unreliable("too many certificates in it")
		}
		s, err := readSingle(&singles)
		if err != nil {
			return err
		}
		r.Singles = append(r.Singles, s)
	}
	if !extended {
		return nil
	}
	return understand(extensions, func(e extension) bool {
		if !e.kind.Equal(oidNonce()) {
			return false
		}
		inner := e.value
		if !inner.ReadASN1Bytes(&r.Nonce, der.OCTET_STRING) || !inner.Empty() {
			r.Nonce = e.value // as old responders have it
		}
		return true
	})
}

// readResponder reads ResponderID.
func (r *Response) readResponder(fields *cryptobyte.String) bool {
	var by, name cryptobyte.String
	if fields.PeekASN1Tag(tag(1)) {
		read := fields.ReadASN1(&by, tag(1)) && by.ReadASN1Element(&name, der.SEQUENCE) && by.Empty()
		r.ResponderName = name
		return read
	}
	return fields.ReadASN1(&by, tag(2)) && by.ReadASN1Bytes(&r.keyHash, der.OCTET_STRING) && by.Empty()
}

func readSingle(list *cryptobyte.String) (s SingleResponse, err error) {
	var one, id, next, extensions cryptobyte.String
	var dated, extended bool
	if !list.ReadASN1(&one, der.SEQUENCE) || !one.ReadASN1Element(&id, der.SEQUENCE) || !s.readStatus(&one) ||
		!one.ReadASN1GeneralizedTime(&s.ThisUpdate) ||
		!one.ReadOptionalASN1(&next, &dated, tag(0)) || dated && (!next.ReadASN1GeneralizedTime(&s.NextUpdate) || !next.Empty()) ||
		!one.ReadOptionalASN1(&extensions, &extended, tag(1)) || !one.Empty() {
		return s, unreliable("not a SingleResponse")
	}
	if s.ID, err = parseCertID(id); err != nil {
		return s, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	if !extended {
		return s, nil
	}
	return s, understand(extensions, func(e extension) bool {
		return e.kind.Equal(oidArchiveCutoff()) && e.value.ReadASN1GeneralizedTime(&s.ArchiveCutoff)
	})
}

// readStatus reads CertStatus.
func (s *Status) readStatus(one *cryptobyte.String) bool {
	var status, reason cryptobyte.String
	var kind der.Tag
	var given bool
	if !one.ReadAnyASN1(&status, &kind) {
		return false
	}
	switch kind {
	case der.Tag(0).ContextSpecific():
		s.State = Good
	case tag(1):
		s.State = Revoked
		if !status.ReadASN1GeneralizedTime(&s.RevokedAt) || !status.ReadOptionalASN1(&reason, &given, tag(0)) ||
			given && (!reason.ReadASN1Enum(&s.Reason) || !reason.Empty()) {
			return false
		}
	case der.Tag(2).ContextSpecific():
		s.State = Unknown
	default:
		return false
	}
	return status.Empty()
}

// extension is one of Extensions.
type extension struct {
	kind     oid
	value    cryptobyte.String
	critical bool
	flagged  bool // whether critical was said, be it false
}

// readExtensions reads Extensions; false if they are malformed, or one stands
// there twice.
func readExtensions(wrapped cryptobyte.String) ([]extension, bool) {
	var list cryptobyte.String
	if !wrapped.ReadASN1(&list, der.SEQUENCE) || !wrapped.Empty() {
		return nil, false
	}
	var all []extension
	for !list.Empty() {
		var one cryptobyte.String
		var e extension
		if !list.ReadASN1(&one, der.SEQUENCE) || !one.ReadASN1ObjectIdentifier(&e.kind) {
			return nil, false
		}
		e.flagged = one.PeekASN1Tag(der.BOOLEAN)
		if e.flagged && !one.ReadASN1Boolean(&e.critical) || !one.ReadASN1(&e.value, der.OCTET_STRING) || !one.Empty() ||
			slices.ContainsFunc(all, func(other extension) bool { return other.kind.Equal(e.kind) }) {
			return nil, false
		}
		all = append(all, e)
	}
	return all, true
}

// understand hands out the extensions of an answer. One that is critical and is
// not understood makes all of it unusable (section 4.4).
func understand(wrapped cryptobyte.String, use func(extension) bool) error {
	all, read := readExtensions(wrapped)
	if !read {
		return unreliable("extensions")
	}
	for _, e := range all {
		if !use(e) && e.critical {
			return unreliable("critical extension " + e.kind.String())
		}
	}
	return nil
}

// SignatureAlgorithm reads an AlgorithmIdentifier, as answers and certificates
// have it; one that is not known, or has parameters that do not belong to it, is
// none.
func SignatureAlgorithm(element []byte) x509.SignatureAlgorithm {
	input := cryptobyte.String(element)
	var fields cryptobyte.String
	var kind oid
	if !input.ReadASN1(&fields, der.SEQUENCE) || !input.Empty() || !fields.ReadASN1ObjectIdentifier(&kind) {
		return x509.UnknownSignatureAlgorithm
	}
	if kind.Equal(oid{1, 2, 840, 113549, 1, 1, 10}) {
		return pssAlgorithm(fields)
	}
	if !fields.Empty() && !bytes.Equal(fields, asn1.NullBytes) {
		return x509.UnknownSignatureAlgorithm
	}
	return map[string]x509.SignatureAlgorithm{
		"1.2.840.113549.1.1.5": x509.SHA1WithRSA, "1.2.840.113549.1.1.11": x509.SHA256WithRSA,
		"1.2.840.113549.1.1.12": x509.SHA384WithRSA, "1.2.840.113549.1.1.13": x509.SHA512WithRSA,
		"1.2.840.10045.4.1": x509.ECDSAWithSHA1, "1.2.840.10045.4.3.2": x509.ECDSAWithSHA256,
		"1.2.840.10045.4.3.3": x509.ECDSAWithSHA384, "1.2.840.10045.4.3.4": x509.ECDSAWithSHA512,
		"1.3.101.112": x509.PureEd25519,
	}[kind.String()]
}

// pssAlgorithm is RSASSA-PSS by its parameters (RFC 8017, A.2.3). That the salt
// is as long as the hash, and the mask made by the same, shows in verifying.
func pssAlgorithm(parameters []byte) x509.SignatureAlgorithm {
	var pss struct {
		Hash pkix.AlgorithmIdentifier `asn1:"explicit,tag:0"`
		MGF  pkix.AlgorithmIdentifier `asn1:"explicit,tag:1"`
		Salt int                      `asn1:"explicit,tag:2"`
	}
	if rest, err := asn1.Unmarshal(parameters, &pss); err != nil || len(rest) > 0 {
		return x509.UnknownSignatureAlgorithm
	}
	return map[crypto.Hash]x509.SignatureAlgorithm{
		crypto.SHA256: x509.SHA256WithRSAPSS, crypto.SHA384: x509.SHA384WithRSAPSS, crypto.SHA512: x509.SHA512WithRSAPSS,
	}[hashOf(pss.Hash.Algorithm)]
}
