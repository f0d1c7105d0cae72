// Package pades prepares PDFs for a PAdES baseline signature (EN 319 142-1
// V1.2.1) in two phases, so that no key is needed while a PDF is read and no
// PDF is read while a key is at hand:
//
//   - Prepare appends a signature dictionary with an empty hole to a document,
//     whose own bytes never change. It parses what strangers wrote, so it runs
//     in a document worker.
//   - A Layout says where the hole and the claimed time are. Its methods move
//     bytes and hash, parse nothing, and run anywhere.
package pades

import (
	"bytes"
	"crypto"
	_ "crypto/sha256" // the hashes that Digest may be asked for
	_ "crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/rubrica-firma/rubrica/signer/cms"
)

// ErrLayout is in every error about a document that is not as its Layout says.
var ErrLayout = errors.New("the document does not match its layout")

// ErrTooLarge is Embed's answer to a signature larger than the hole.
var ErrTooLarge = errors.New("the signature does not fit")

// timeLayout is the one width of the claimed time (ISO 32000-2, 7.9.4), in UTC.
const timeLayout = "D:20060102150405+00'00'"

const (
	contentsKey  = "/Contents"
	byteRangeKey = "/ByteRange"
)

// Layout is where things are in a prepared document, in octets from its start.
type Layout struct {
	// Original is the size of the document as it was given.
	Original int `json:"original"`
	// ByteRangeAt is where the key /ByteRange is.
	ByteRangeAt int `json:"byte_range_at"`
	// HoleStart and HoleEnd enclose the value of /Contents, angle brackets
	// included: the only octets that the signature does not cover.
	HoleStart int `json:"hole_start"`
	HoleEnd   int `json:"hole_end"`
	// TimeAt is where the claimed time is, the value of /M without brackets.
	TimeAt int `json:"time_at"`
	// Size is the size of the prepared document.
	Size int `json:"size"`
}

// ByteRange is what the signature covers, as the dictionary has it.
func (l Layout) ByteRange() [4]int {
	return [4]int{0, l.HoleStart, l.HoleEnd, l.Size - l.HoleEnd}
}

// Hole is how many octets of CMS fit.
func (l Layout) Hole() int { return (l.HoleEnd - l.HoleStart - 2) / 2 }

// Check says whether content is laid out so: the ByteRange covers everything but
// the value of /Contents, the hole holds nothing but hexadecimal digits, and the claimed
// time is there. It reads no other octet.
func (l Layout) Check(content []byte) error {
	ordered := 0 < l.Original && l.Original < l.ByteRangeAt && l.ByteRangeAt < l.HoleStart &&
		l.HoleStart+2 < l.HoleEnd && l.HoleEnd < l.TimeAt && l.TimeAt+len(timeLayout) < l.Size
	if !ordered || l.Size != len(content) || (l.HoleEnd-l.HoleStart)%2 != 0 {
		return fmt.Errorf("%w: offsets", ErrLayout)
	}
	if !bytes.HasPrefix(content[l.ByteRangeAt:l.HoleStart], l.byteRange()) {
		return fmt.Errorf("%w: ByteRange", ErrLayout)
	}
	if !bytes.HasSuffix(content[:l.HoleStart], []byte(contentsKey)) ||
		content[l.HoleStart] != '<' || content[l.HoleEnd-1] != '>' || !isHex(content[l.HoleStart+1:l.HoleEnd-1]) {
		return fmt.Errorf("%w: Contents", ErrLayout)
	}
	if content[l.TimeAt-1] != '(' || content[l.TimeAt+len(timeLayout)] != ')' {
		return fmt.Errorf("%w: M", ErrLayout)
	}
	return nil
}

func (l Layout) byteRange() []byte {
	r := l.ByteRange()
	return fmt.Appendf(nil, byteRangeKey+" [%d %d %d %d]", r[0], r[1], r[2], r[3])
}

// FixTime writes the claimed signing time into content, in place. It has to
// come before Digest, which covers it.
func (l Layout) FixTime(content []byte, t time.Time) error {
	if err := l.Check(content); err != nil {
		return err
	}
	copy(content[l.TimeAt:], t.UTC().Format(timeLayout))
	return nil
}

// Digest hashes what the signature covers: everything but the hole.
func (l Layout) Digest(content []byte, hash crypto.Hash) ([]byte, error) {
	if err := l.Check(content); err != nil {
		return nil, err
	}
	h := hash.New()
	h.Write(content[:l.HoleStart])
	h.Write(content[l.HoleEnd:])
	return h.Sum(nil), nil
}

// Embed writes a detached CMS signature into the hole, in place, and zeros
// behind it (ISO 32000-2, 12.8.1). The CMS is not looked at: Verify does that.
func (l Layout) Embed(content, signature []byte) error {
	if err := l.Check(content); err != nil {
		return err
	}
	if len(signature) > l.Hole() {
		return fmt.Errorf("%w: %d octets into %d", ErrTooLarge, len(signature), l.Hole())
	}
	hole := content[l.HoleStart+1 : l.HoleEnd-1]
	end := hex.Encode(hole, signature)
	for i := end; i < len(hole); i++ {
		hole[i] = '0'
	}
	return nil
}

// Extract is the CMS that Embed wrote.
func (l Layout) Extract(content []byte) ([]byte, error) {
	if err := l.Check(content); err != nil {
		return nil, err
	}
	hole, err := hex.AppendDecode(nil, content[l.HoleStart+1:l.HoleEnd-1])
	if err != nil {
		return nil, fmt.Errorf("%w: Contents", ErrLayout)
	}
	var signature asn1.RawValue
	padding, err := asn1.Unmarshal(hole, &signature)
	if err != nil || len(bytes.Trim(padding, "\x00")) > 0 {
		return nil, fmt.Errorf("%w: Contents hold no signature", ErrLayout)
	}
	return signature.FullBytes, nil
}

// Verify says whether a signed document holds, at its layout, a valid signature
// of cert over everything else. Nothing leaves without it.
func (l Layout) Verify(content []byte, cert *x509.Certificate) error {
	der, err := l.Extract(content)
	if err != nil {
		return err
	}
	signature, err := cms.Parse(der)
	if err != nil {
		return fmt.Errorf("reading the signature: %w", err)
	}
	digest, err := l.Digest(content, signature.Hash)
	if err != nil {
		return err
	}
	if err := cms.Verify(der, digest, cert); err != nil {
		return fmt.Errorf("verifying the signature: %w", err)
	}
	return nil
}

func isHex(b []byte) bool {
	for _, c := range b {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
