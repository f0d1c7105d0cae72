package ocsp

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // RFC 6960, section 4.2.1 defines KeyHash so; it protects nothing
	"crypto/sha256"
	"encoding/asn1"
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
)

// OCSPResponseStatus (RFC 6960, section 4.2.1).
const (
	successful       = 0
	malformedRequest = 1
	internalError    = 2
	tryLater         = 3
	unauthorized     = 6
)

type oid = asn1.ObjectIdentifier

func oidNonce() oid           { return oid{1, 3, 6, 1, 5, 5, 7, 48, 1, 2} }
func oidBasic() oid           { return oid{1, 3, 6, 1, 5, 5, 7, 48, 1, 1} }
func oidArchiveCutoff() oid   { return oid{1, 3, 6, 1, 5, 5, 7, 48, 1, 6} }
func oidSHA1() oid            { return oid{1, 3, 14, 3, 2, 26} }
func oidSHA256WithRSA() oid   { return oid{1, 2, 840, 113549, 1, 1, 11} }
func oidECDSAWithSHA256() oid { return oid{1, 2, 840, 10045, 4, 3, 2} }

// failure is an answer that has nothing but the protocol's status. It needs no
// signature (RFC 6960, section 2.3).
func failure(status byte) Answer { return Answer{DER: []byte{0x30, 3, 0x0a, 1, status}} }

// single is one certificate of an answer.
type single struct {
	id     CertID
	status Status
}

// data is what an answer says.
type data struct {
	issuer     Issuer
	singles    []single
	thisUpdate time.Time // producedAt, too
	nextUpdate time.Time
	nonce      []byte
}

// lone is whether it is about one certificate, and a known one.
func (d data) lone() bool { return len(d.singles) == 1 && d.singles[0].status.State != Unknown }

// serial is the first certificate's.
func (d data) serial() string { return Serial(d.singles[0].id.Serial) }

// marshal writes ResponseData. Equal data are equal octets.
func (d data) marshal() ([]byte, error) {
	key, err := publicKeyBits(d.issuer.Responder)
	if err != nil {
		return nil, err
	}
	keyHash := sha1.Sum(key) //nolint:gosec // see the import
	var b cryptobyte.Builder
	b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(tag(2), func(b *cryptobyte.Builder) { b.AddASN1OctetString(keyHash[:]) })
		b.AddASN1GeneralizedTime(d.thisUpdate)
		b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
			for _, s := range d.singles {
				b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) { d.addSingle(b, s) })
			}
		})
		if len(d.nonce) > 0 {
			b.AddASN1(tag(1), func(b *cryptobyte.Builder) { addNonce(b, d.nonce) })
		}
	})
	return b.Bytes()
}

func (d data) addSingle(b *cryptobyte.Builder, s single) {
	b.AddBytes(s.id.raw)
	switch s.status.State {
	case Good:
		b.AddASN1(der.Tag(0).ContextSpecific(), func(*cryptobyte.Builder) {})
	case Revoked:
		b.AddASN1(tag(1), func(b *cryptobyte.Builder) {
			b.AddASN1GeneralizedTime(s.status.RevokedAt.UTC())
			if s.status.Reason != 0 { // unspecified is left out, as in lists (RFC 5280, section 5.3.1)
				b.AddASN1(tag(0), func(b *cryptobyte.Builder) { b.AddASN1Enum(int64(s.status.Reason)) })
			}
		})
	default:
		b.AddASN1(der.Tag(2).ContextSpecific(), func(*cryptobyte.Builder) {})
		b.AddASN1GeneralizedTime(d.thisUpdate)
		return
	}
	b.AddASN1GeneralizedTime(d.thisUpdate)
	b.AddASN1(tag(0), func(b *cryptobyte.Builder) { b.AddASN1GeneralizedTime(d.nextUpdate) })
	b.AddASN1(tag(1), func(b *cryptobyte.Builder) {
		addExtension(b, oidArchiveCutoff(), func(b *cryptobyte.Builder) {
			b.AddASN1GeneralizedTime(d.issuer.Certificate.NotBefore.UTC())
		})
	})
}

// sign signs, verifies and wraps ResponseData.
func (i Issuer) sign(tbs []byte) ([]byte, error) {
	if err := i.vouched(); err != nil {
		return nil, err
	}
	digest := sha256.Sum256(tbs)
	signature, err := i.Signer.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errSigner, err)
	}
	var algorithm oid
	var valid bool
	switch key := i.Responder.PublicKey.(type) {
	case *rsa.PublicKey:
		algorithm, valid = oidSHA256WithRSA(), rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature) == nil
	case *ecdsa.PublicKey:
		algorithm, valid = oidECDSAWithSHA256(), ecdsa.VerifyASN1(key, digest[:], signature)
	default:
		return nil, fmt.Errorf("%w: key of type %T", errResponder, key)
	}
	if !valid {
		return nil, errors.New("signature of the responder does not verify")
	}
	var basic, b cryptobyte.Builder
	basic.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(tbs)
		b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(algorithm)
			if algorithm.Equal(oidSHA256WithRSA()) {
				b.AddASN1NULL()
			}
		})
		b.AddASN1BitString(signature)
		b.AddASN1(tag(0), func(b *cryptobyte.Builder) {
			b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(i.Responder.Raw) })
		})
	})
	inner, err := basic.Bytes()
	if err != nil {
		return nil, fmt.Errorf("encoding a BasicOCSPResponse: %w", err)
	}
	b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Enum(successful)
		b.AddASN1(tag(0), func(b *cryptobyte.Builder) {
			b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(oidBasic())
				b.AddASN1OctetString(inner)
			})
		})
	})
	return b.Bytes()
}

// says is whether a signed answer has just this ResponseData.
func says(answer, tbs []byte) bool {
	input := cryptobyte.String(answer)
	var outer, wrapped, typed, inner, basic, found cryptobyte.String
	return input.ReadASN1(&outer, der.SEQUENCE) && input.Empty() &&
		outer.SkipASN1(der.ENUM) && outer.ReadASN1(&wrapped, tag(0)) && outer.Empty() &&
		wrapped.ReadASN1(&typed, der.SEQUENCE) && typed.SkipASN1(der.OBJECT_IDENTIFIER) &&
		typed.ReadASN1(&inner, der.OCTET_STRING) && inner.ReadASN1(&basic, der.SEQUENCE) && inner.Empty() &&
		basic.ReadASN1Element(&found, der.SEQUENCE) && bytes.Equal(found, tbs)
}
