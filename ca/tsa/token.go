package tsa

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"fmt"
	"math/big"
	"time"

	"github.com/rubrica-firma/rubrica/signer/cms"
)

// info is TSTInfo (RFC 3161, 2.4.2) without what the profile leaves out:
//
//	version         1
//	policy          the authority's                   EN 319 421, 5
//	messageImprint  the query's, octet by octet       RFC 3161, 2.4.2
//	serialNumber    128 random bits                   RFC 3161, 2.4.2: at most 160
//	genTime         UTC, to the millisecond           EN 319 422, 5.2: as precise as accuracy needs
//	accuracy        present, at most a second         EN 319 422, 5.2
//	ordering        absent, which is FALSE            EN 319 422, 5.2
//	nonce           the query's                       RFC 3161, 2.4.2
//	tsa             absent: a hint that               RFC 3161, 2.4.2
//	                signing-certificate-v2 gives, and proves
//	extensions      absent: not a qualified stamp     EN 319 422, 9.1
//
// The signed attributes are content-type, message-digest and
// signing-certificate-v2. There is no signing-time: a second time beside genTime
// could only contradict it.
type info struct {
	Version        int
	Policy         asn1.ObjectIdentifier
	MessageImprint messageImprint
	SerialNumber   *big.Int
	GenTime        asn1.RawValue
	Accuracy       accuracy
	Nonce          *big.Int `asn1:"optional"`
}

// accuracy is Accuracy (RFC 3161, 2.4.2).
type accuracy struct {
	Seconds int64 `asn1:"optional"`
	Millis  int64 `asn1:"optional,tag:0"`
	Micros  int64 `asn1:"optional,tag:1"`
}

func newAccuracy(d time.Duration) accuracy {
	return accuracy{
		Seconds: int64(d / time.Second),
		Millis:  int64(d % time.Second / time.Millisecond),
		Micros:  int64(d % time.Millisecond / time.Microsecond),
	}
}

// token makes the TimeStampToken and verifies it.
func (a *Authority) token(q *query, at time.Time) ([]byte, error) {
	tst, err := asn1.Marshal(info{
		Version:        1,
		Policy:         a.config.Policy,
		MessageImprint: q.MessageImprint,
		SerialNumber:   newSerial(),
		GenTime:        genTime(at),
		Accuracy:       a.accuracy,
		Nonce:          q.Nonce,
	})
	if err != nil {
		return nil, fmt.Errorf("encoding TSTInfo: %w", err)
	}
	attributes, err := a.attributes(tst)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(attributes)
	value, err := a.config.Signer.Sign(rand.Reader, digest[:], signatureHash)
	if err != nil {
		return nil, fmt.Errorf("signing a time-stamp: %w", err)
	}
	content := cms.Content{Type: cms.IDTSTInfo(), DER: tst}
	token, err := cms.Assemble(cms.Parts{
		SignedAttributes: attributes,
		Signature:        value,
		Certificate:      a.config.Certificate,
		Chain:            a.config.Chain,
		Hash:             signatureHash,
		Content:          &content,
		Bare:             !q.CertReq,
	})
	if err != nil {
		return nil, fmt.Errorf("assembling a time-stamp: %w", err)
	}
	if err := cms.VerifyContent(token, content, a.config.Certificate, a.config.Chain...); err != nil {
		return nil, fmt.Errorf("verifying a time-stamp: %w", err)
	}
	return token, nil
}

func (a *Authority) attributes(tst []byte) ([]byte, error) {
	digest := sha256.Sum256(tst)
	messageDigest, err := cms.MessageDigest(digest[:])
	if err != nil {
		return nil, fmt.Errorf("encoding message-digest: %w", err)
	}
	attributes, err := cms.EncodeAttributes(a.contentType, messageDigest, a.certificate)
	if err != nil {
		return nil, fmt.Errorf("encoding the signed attributes: %w", err)
	}
	return attributes, nil
}

// genTime is a GeneralizedTime as RFC 3161, 2.4.2 has it: UTC, and a fraction
// without zeros at its end, which encoding/asn1 does not write.
func genTime(at time.Time) asn1.RawValue {
	text := at.UTC().Truncate(time.Millisecond).Format("20060102150405.999Z")
	return asn1.RawValue{Tag: asn1.TagGeneralizedTime, Bytes: []byte(text)}
}

// newSerial draws 128 random bits. No count is kept, so that any number of
// processes may stamp with one key; the chance that two of 2^40 stamps meet is
// 2^-49.
func newSerial() *big.Int {
	var b [16]byte
	rand.Read(b[:])
	return new(big.Int).SetBytes(b[:])
}
