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
	"hash"
	"io"
	"time"

	"github.com/rubrica-firma/rubrica/signer/cms"
	"github.com/rubrica-firma/rubrica/signer/pades/stamp"
)

// ErrLayout is in every error about an update that is not as its Layout says.
var ErrLayout = errors.New("the update does not match its layout")

// ErrChanged is the answer when the original is not the document that was prepared.
var ErrChanged = errors.New("the document is not the one that was prepared")

// ErrTooLarge is Embed's answer to a signature larger than the hole.
var ErrTooLarge = errors.New("the signature does not fit")

// Layout is where things are in a document with an update appended. Offsets
// count octets from the document's start; those of the update itself begin at
// Original. It is all that has to be kept between the two phases besides the
// update, and small.
type Layout struct {
	// Original and SHA256 are size and hash of the document as it was given.
	Original int64  `json:"original"`
	SHA256   []byte `json:"sha256"`
	// ByteRangeAt is where the array of /ByteRange begins.
	ByteRangeAt int64 `json:"byte_range_at"`
	// HoleStart and HoleEnd enclose the value of /Contents, angle brackets
	// included: the only octets that the signature does not cover.
	HoleStart int64 `json:"hole_start"`
	HoleEnd   int64 `json:"hole_end"`
	// Size is original and update together.
	Size int64 `json:"size"`
	// TimeAt is where the value of /M begins, the claimed time; 0 in a document
	// time-stamp, which claims none.
	TimeAt int64 `json:"time_at,omitempty"`
	// Shown are the places where a stamp shows it.
	Shown []stamp.Slot `json:"shown,omitempty"`
}

// timeLayout is the one form of /M (ISO 32000-2, 7.9.4), in UTC.
const timeLayout = "(D:20060102150405+00'00')"

// ByteRange is what the signature covers, as the dictionary has it.
func (l Layout) ByteRange() [4]int64 {
	return [4]int64{0, l.HoleStart, l.HoleEnd, l.Size - l.HoleEnd}
}

// Hole is how many octets of CMS fit.
func (l Layout) Hole() int { return int(l.HoleEnd-l.HoleStart-2) / 2 }

// byteRangeWidth holds three numbers of twelve digits: more than any reader opens.
const byteRangeWidth = len("[0 ") + 3*12 + len("  ]")

// byteRange is the array, padded: it is written when everything else stands.
func (l Layout) byteRange() []byte {
	r := l.ByteRange()
	return fmt.Appendf(nil, "%-*s", byteRangeWidth, fmt.Sprintf("[%d %d %d %d]", r[0], r[1], r[2], r[3]))
}

// Check says whether the update is laid out so: the ByteRange covers everything
// but the value of /Contents, the hole is one hexadecimal string, and the places
// of the claimed time hold a time, apart from each other and from both. It reads
// no other octet.
func (l Layout) Check(update []byte) error {
	if l.Original <= 0 || len(l.SHA256) != crypto.SHA256.Size() || l.Size-l.Original != int64(len(update)) {
		return fmt.Errorf("%w: sizes", ErrLayout)
	}
	taken := []span{{l.ByteRangeAt, l.ByteRangeAt + int64(byteRangeWidth)}, {l.HoleStart, l.HoleEnd}}
	if l.TimeAt != 0 {
		taken = append(taken, span{l.TimeAt, l.TimeAt + int64(len(timeLayout))})
	}
	for _, slot := range l.Shown {
		taken = append(taken, span{slot.Offset, slot.Offset + int64(slot.Size())})
	}
	for i, s := range taken {
		if s.from < l.Original || s.to <= s.from || s.to > l.Size {
			return fmt.Errorf("%w: offsets", ErrLayout)
		}
		for _, other := range taken[:i] {
			if s.from < other.to && other.from < s.to {
				return fmt.Errorf("%w: overlap", ErrLayout)
			}
		}
	}
	at := func(offset int64) []byte { return update[offset-l.Original:] }
	before := func(offset int64) []byte { return bytes.TrimRight(update[:offset-l.Original], " \n") }
	if !bytes.HasPrefix(at(l.ByteRangeAt), l.byteRange()) || !bytes.HasSuffix(before(l.ByteRangeAt), []byte("/ByteRange")) {
		return fmt.Errorf("%w: ByteRange", ErrLayout)
	}
	hole := at(l.HoleStart)[:l.HoleEnd-l.HoleStart]
	// Whether they are digits is Extract's to see; nothing else can end the string.
	if !bytes.HasSuffix(before(l.HoleStart), []byte("/Contents")) || len(hole) < 4 || len(hole)%2 != 0 ||
		hole[0] != '<' || bytes.IndexByte(hole, '>') != len(hole)-1 {
		return fmt.Errorf("%w: Contents", ErrLayout)
	}
	if l.TimeAt != 0 {
		if _, err := time.Parse(timeLayout, string(at(l.TimeAt)[:len(timeLayout)])); err != nil {
			return fmt.Errorf("%w: %w", ErrLayout, err)
		}
	}
	for _, slot := range l.Shown {
		if _, err := slot.Decode(at(slot.Offset)[:slot.Size()]); err != nil {
			return fmt.Errorf("%w: %w", ErrLayout, err)
		}
	}
	return nil
}

type span struct{ from, to int64 }

// FixTime writes the claimed signing time into the update, in place. It has to
// come before Digest, which covers it.
func (l Layout) FixTime(update []byte, t time.Time) error {
	if err := l.Check(update); err != nil {
		return err
	}
	if l.TimeAt != 0 {
		claimed, err := formatTime(t)
		if err != nil {
			return err
		}
		copy(update[l.TimeAt-l.Original:], claimed)
	}
	for _, slot := range l.Shown {
		code, err := slot.Encode(t)
		if err != nil {
			return fmt.Errorf("fixing the claimed time: %w", err)
		}
		copy(update[slot.Offset-l.Original:], code)
	}
	return nil
}

// formatTime writes a time the way /M has it.
func formatTime(t time.Time) ([]byte, error) {
	claimed := t.UTC().Format(timeLayout)
	if len(claimed) != len(timeLayout) {
		return nil, fmt.Errorf("%w: the year %d", ErrOptions, t.Year())
	}
	return []byte(claimed), nil
}

// Digest hashes what the signature covers: everything but the hole. Original is
// read to its end once, never held; another one than was prepared is ErrChanged.
func (l Layout) Digest(original io.Reader, update []byte, hash crypto.Hash) ([]byte, error) {
	if err := l.Check(update); err != nil {
		return nil, err
	}
	// A sum does not end a hash: one pass over the original serves both.
	h, prefix := hash.New(), crypto.SHA256.New()
	both := io.MultiWriter(h, prefix)
	if hash == crypto.SHA256 {
		both, prefix = h, h
	}
	n, err := io.Copy(both, io.LimitReader(original, l.Original+1))
	if err != nil {
		return nil, fmt.Errorf("reading the document: %w", err)
	}
	if n != l.Original || !bytes.Equal(prefix.Sum(nil), l.SHA256) {
		return nil, ErrChanged
	}
	return l.behind(h, update), nil
}

// DigestBehind is Digest by SHA-256 where the original has been hashed already:
// it goes on with that hash, which is spent.
func (l Layout) DigestBehind(original hash.Hash, update []byte) ([]byte, error) {
	if err := l.Check(update); err != nil {
		return nil, err
	}
	if !bytes.Equal(original.Sum(nil), l.SHA256) {
		return nil, ErrChanged
	}
	return l.behind(original, update), nil
}

func (l Layout) behind(h hash.Hash, update []byte) []byte {
	h.Write(update[:l.HoleStart-l.Original])
	h.Write(update[l.HoleEnd-l.Original:])
	return h.Sum(nil)
}

// Embed writes a detached CMS signature into the hole, in place, and zeros
// behind it (ISO 32000-2, 12.8.1). The CMS is not looked at: Verify does that.
func (l Layout) Embed(update, signature []byte) error {
	if err := l.Check(update); err != nil {
		return err
	}
	if len(signature) > l.Hole() {
		return fmt.Errorf("%w: %d octets into %d", ErrTooLarge, len(signature), l.Hole())
	}
	hole := update[l.HoleStart+1-l.Original : l.HoleEnd-1-l.Original]
	end := hex.Encode(hole, signature)
	for i := end; i < len(hole); i++ {
		hole[i] = '0'
	}
	return nil
}

// Extract is the CMS that Embed wrote.
func (l Layout) Extract(update []byte) ([]byte, error) {
	if err := l.Check(update); err != nil {
		return nil, err
	}
	digits := update[l.HoleStart+1-l.Original : l.HoleEnd-1-l.Original]
	hole, err := hex.AppendDecode(nil, digits)
	if err != nil || !bytes.Equal(hex.AppendEncode(nil, hole), digits) {
		return nil, fmt.Errorf("%w: Contents", ErrLayout)
	}
	signature, ok := trimPadding(hole)
	if !ok {
		return nil, fmt.Errorf("%w: Contents hold no signature", ErrLayout)
	}
	return signature, nil
}

// trimPadding takes the zeros off that fill a hole.
func trimPadding(contents []byte) ([]byte, bool) {
	var signature asn1.RawValue
	padding, err := asn1.Unmarshal(contents, &signature)
	if err != nil || signature.Tag != asn1.TagSequence || len(bytes.Trim(padding, "\x00")) > 0 {
		return nil, false
	}
	return signature.FullBytes, true
}

// Verify says whether a signed document holds, at its layout, a valid signature
// of cert over everything else. Nothing leaves without it.
func (l Layout) Verify(original io.Reader, update []byte, cert *x509.Certificate) error {
	der, err := l.Extract(update)
	if err != nil {
		return err
	}
	signature, err := cms.Parse(der)
	if err != nil {
		return fmt.Errorf("reading the signature: %w", err)
	}
	digest, err := l.Digest(original, update, signature.Hash)
	if err != nil {
		return err
	}
	if err := cms.Verify(der, digest, cert); err != nil {
		return fmt.Errorf("verifying the signature: %w", err)
	}
	return nil
}
