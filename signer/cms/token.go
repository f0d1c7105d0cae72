package cms

import (
	"bytes"
	"crypto"
	"encoding/asn1"
	"fmt"
	"io"
	"math/big"
	"strings"
	"time"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
)

// maxTSTInfo bounds what a token signs. An ordinary TSTInfo has 150 octets.
const maxTSTInfo = 64 << 10

// IDTSTInfo is id-ct-TSTInfo (RFC 3161, 2.4.2).
func IDTSTInfo() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 4}
}

// TSTInfo is what a time-stamp token says (RFC 3161, 2.4.2).
type TSTInfo struct {
	Policy asn1.ObjectIdentifier
	// Digest is the imprint, as long as Hash makes it. Whether Hash is one to rely
	// on is not said here.
	Hash     crypto.Hash
	Digest   []byte
	Serial   *big.Int
	Time     time.Time
	Accuracy time.Duration // zero: none is given
	Nonce    *big.Int      // nil: none
}

// Token is a TimeStampToken of any authority that was read and is not yet
// believed: its one signature is still to be verified, over Content.
type Token struct {
	TSTInfo

	Raw     []byte
	Message *Message
	Signer  *SignerInfo
	Content []byte // the TSTInfo, DER
}

// OpenToken reads a token. How long it may be, with all that hangs on it, the
// caller knows.
func OpenToken(token []byte) (*Token, error) {
	m, err := Open(bytes.NewReader(token), int64(len(token)))
	if err != nil {
		return nil, err
	}
	if !m.Attached() || !m.ContentType.Equal(IDTSTInfo()) || m.ContentSize() > maxTSTInfo || len(m.Signers) != 1 {
		return nil, fmt.Errorf("%w: not one signature over a TSTInfo", ErrMalformed)
	}
	t := &Token{Raw: token, Message: m, Signer: m.Signers[0]}
	if t.Content, err = io.ReadAll(m.Content()); err != nil {
		return nil, err
	}
	return t, t.read(t.Content)
}

// read reads a TSTInfo.
func (t *TSTInfo) read(input cryptobyte.String) error {
	var fields, imprint, at, span, name, extensions cryptobyte.String
	var version int
	var spanned, ordering, named, extended bool
	malformed := fmt.Errorf("%w: TSTInfo", ErrMalformed)
	t.Serial = new(big.Int)
	if !input.ReadASN1(&fields, der.SEQUENCE) || !input.Empty() || !fields.ReadASN1Integer(&version) || version != 1 ||
		!fields.ReadASN1ObjectIdentifier(&t.Policy) || !fields.ReadASN1(&imprint, der.SEQUENCE) ||
		!fields.ReadASN1Integer(t.Serial) || !fields.ReadASN1(&at, der.GeneralizedTime) ||
		!fields.ReadOptionalASN1(&span, &spanned, der.SEQUENCE) || !readFlag(&fields, &ordering) {
		return malformed
	}
	if fields.PeekASN1Tag(der.INTEGER) {
		if t.Nonce = new(big.Int); !fields.ReadASN1Integer(t.Nonce) {
			return malformed
		}
	}
	if !fields.ReadOptionalASN1(&name, &named, der.Tag(0).ContextSpecific().Constructed()) ||
		!fields.ReadOptionalASN1(&extensions, &extended, der.Tag(1).ContextSpecific().Constructed()) || !fields.Empty() ||
		spanned && !t.readAccuracy(span) {
		return malformed
	}
	if err := t.readImprint(imprint); err != nil {
		return err
	}
	if err := t.readTime(string(at)); err != nil {
		return err
	}
	return checkExtensions(extensions)
}

func (t *TSTInfo) readImprint(imprint cryptobyte.String) error {
	var element cryptobyte.String
	var hash algorithm
	if !imprint.ReadASN1Element(&element, der.SEQUENCE) ||
		!imprint.ReadASN1Bytes(&t.Digest, der.OCTET_STRING) || !imprint.Empty() {
		return fmt.Errorf("%w: imprint of a time-stamp", ErrMalformed)
	}
	rest, err := asn1.Unmarshal(element, &hash)
	if err != nil || len(rest) > 0 {
		return fmt.Errorf("%w: imprint of a time-stamp", ErrMalformed)
	}
	if t.Hash, err = foreignHash(hash); err != nil {
		return err
	}
	if len(t.Digest) != t.Hash.Size() {
		return fmt.Errorf("%w: an imprint of %d octets for %v", ErrMalformed, len(t.Digest), t.Hash)
	}
	return nil
}

// readTime reads a GeneralizedTime with a fraction, which neither encoding/asn1
// nor cryptobyte does.
func (t *TSTInfo) readTime(text string) error {
	at, err := time.Parse("20060102150405Z", text)
	if err != nil || strings.Contains(text, ",") {
		return fmt.Errorf("%w: genTime %.40q", ErrMalformed, text)
	}
	t.Time = at.UTC()
	return nil
}

func (t *TSTInfo) readAccuracy(fields cryptobyte.String) bool {
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
	t.Accuracy = time.Duration(parts[0])*time.Second + time.Duration(parts[1])*time.Millisecond + time.Duration(parts[2])*time.Microsecond
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
			return fmt.Errorf("%w: extension %v of a time-stamp", ErrMalformed, kind)
		}
	}
	return nil
}
