package cades

import (
	"bytes"
	"crypto"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"io"
	"time"

	"github.com/rubrica-firma/rubrica/signer/cms"
)

var idTSTInfo = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 4}

// maxToken bounds a TimeStampToken: far above those that hold a chain and its
// revocation values, and an index of all that a signature holds.
const maxToken = 1 << 20

// token is a TimeStampToken (RFC 3161, 2.4.2) as far as it is read here.
type token struct {
	message *cms.Message
	signer  *cms.SignerInfo
	hash    crypto.Hash
	imprint []byte
	time    time.Time
}

// tstInfo is TSTInfo up to genTime.
type tstInfo struct {
	Version        int
	Policy         asn1.ObjectIdentifier
	MessageImprint struct {
		Algorithm pkix.AlgorithmIdentifier
		Digest    []byte
	}
	SerialNumber asn1.RawValue
	GenTime      asn1.RawValue
}

func readToken(der []byte) (*token, error) {
	if len(der) > maxToken {
		return nil, fmt.Errorf("%w: a token of %d octets", ErrTimeStamp, len(der))
	}
	m, err := cms.Open(bytes.NewReader(der), int64(len(der)))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTimeStamp, err)
	}
	if len(m.Signers) != 1 || !m.Attached() || !m.ContentType.Equal(idTSTInfo) {
		return nil, fmt.Errorf("%w: not a time-stamp token", ErrTimeStamp)
	}
	content, err := io.ReadAll(m.Content())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTimeStamp, err)
	}
	var info tstInfo
	if _, err := asn1.Unmarshal(content, &info); err != nil {
		return nil, fmt.Errorf("%w: TSTInfo: %w", ErrTimeStamp, err)
	}
	t := &token{message: m, signer: m.Signers[0], imprint: info.MessageImprint.Digest}
	if t.hash, err = hashOf(info.MessageImprint.Algorithm.Algorithm); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTimeStamp, err)
	}
	if len(t.imprint) != t.hash.Size() {
		return nil, fmt.Errorf("%w: an imprint of %d octets for %v", ErrTimeStamp, len(t.imprint), t.hash)
	}
	// A fraction of a second may follow, which this layout reads too.
	if t.time, err = time.Parse("20060102150405Z", string(info.GenTime.Bytes)); err != nil || info.GenTime.Tag != asn1.TagGeneralizedTime {
		return nil, fmt.Errorf("%w: genTime %q", ErrTimeStamp, info.GenTime.Bytes)
	}
	return t, nil
}
