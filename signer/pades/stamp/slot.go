package stamp

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // legal time must be told also where the system has no zone files
)

// timeLayout is how a stamp tells the claimed time: legal time with its
// distance from UTC, always of the same length.
const timeLayout = "02/01/2006 15:04:05 (UTC-07:00)"

// timeAlphabet has every character that a time in timeLayout may have. They are the first
// glyphs of each subset, in this order.
const timeAlphabet = "0123456789/:+-() UTC"

// codeSize is how many octets of the content stream show one character: a CID
// in hexadecimal.
const codeSize = 4

// ErrTime is about a time that cannot be written into a slot.
var ErrTime = errors.New("the time does not fit its place")

// Slot is where a stamp shows the claimed time, so that it can be overwritten when the time is known.
type Slot struct {
	// Offset is from the start of the content stream or, of a Drawn, of the file.
	Offset int64 `json:"offset"`
	// Layout is the time's, as package time writes layouts.
	Layout string `json:"layout"`
	// Alphabet[n] is the character that CID n+1 shows.
	Alphabet string `json:"alphabet"`
}

// Size is how many octets the slot has.
func (s Slot) Size() int { return codeSize * len(s.Layout) }

// Encode is what shows a time when it stands in the slot.
func (s Slot) Encode(t time.Time) ([]byte, error) {
	zone, err := time.LoadLocation("Europe/Madrid")
	if err != nil {
		return nil, fmt.Errorf("loading legal time: %w", err)
	}
	text := t.In(zone).Format(s.Layout)
	if len(text) != len(s.Layout) {
		return nil, fmt.Errorf("%w: %q", ErrTime, text)
	}
	var code []byte
	for i := range len(text) {
		n := strings.IndexByte(s.Alphabet, text[i])
		if n < 0 {
			return nil, fmt.Errorf("%w: %q", ErrTime, text)
		}
		code = fmt.Appendf(code, "%04x", n+1)
	}
	return code, nil
}

// Decode is the time that stands in the slot, given the octets there.
func (s Slot) Decode(code []byte) (time.Time, error) {
	if len(code) != s.Size() {
		return time.Time{}, fmt.Errorf("%w: %d octets", ErrTime, len(code))
	}
	text := make([]byte, 0, len(s.Layout))
	for at := 0; at < len(code); at += codeSize {
		cid, err := hex.AppendDecode(nil, code[at:at+codeSize])
		if err != nil {
			return time.Time{}, fmt.Errorf("%w: %w", ErrTime, err)
		}
		n := int(cid[0])<<8 + int(cid[1]) - 1
		if n < 0 || n >= len(s.Alphabet) {
			return time.Time{}, fmt.Errorf("%w: CID %d", ErrTime, n+1)
		}
		text = append(text, s.Alphabet[n])
	}
	t, err := time.Parse(s.Layout, string(text))
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: %w", ErrTime, err)
	}
	return t, nil
}

// Fix overwrites the time in place, in a content that Offset counts from the start of.
func (s Slot) Fix(content []byte, t time.Time) error {
	code, err := s.Encode(t)
	if err != nil {
		return err
	}
	if s.Offset < 0 || s.Offset > int64(len(content)-len(code)) {
		return fmt.Errorf("%w: offset %d", ErrTime, s.Offset)
	}
	place := content[s.Offset:][:len(code)]
	if _, err := s.Decode(place); err != nil {
		return err
	}
	copy(place, code)
	return nil
}
