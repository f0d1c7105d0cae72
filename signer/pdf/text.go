package pdf

import (
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// docEncoding is PDFDocEncoding where it departs from Latin-1 (ISO 32000-2,
// annex D.2); what is undefined is U+FFFD.
func docEncoding(c byte) rune {
	const (
		low  = "\u02d8\u02c7\u02c6\u02d9\u02dd\u02db\u02da\u02dc"
		high = "\u2022\u2020\u2021\u2026\u2014\u2013\u0192\u2044\u2039\u203a\u2212\u2030\u201e\u201c\u201d\u2018" +
			"\u2019\u201a\u2122\ufb01\ufb02\u0141\u0152\u0160\u0178\u017d\u0131\u0142\u0153\u0161\u017e\ufffd\u20ac"
	)
	switch {
	case c >= 0x18 && c <= 0x1f:
		return []rune(low)[c-0x18]
	case c >= 0x80 && c <= 0xa0:
		return []rune(high)[c-0x80]
	case c == 0x7f || c == 0xad:
		return utf8.RuneError
	default:
		return rune(c)
	}
}

// TextString writes a text string (ISO 32000-2, 7.9.2.2): in ASCII where that
// is enough, which is the part of PDFDocEncoding that nobody gets wrong, else
// in UTF-16BE.
func TextString(s string) String {
	ascii := true
	for _, r := range s {
		ascii = ascii && (r >= ' ' && r < 0x7f || r == '\n' || r == '\r' || r == '\t')
	}
	if ascii {
		return String(s)
	}
	out := []byte{0xfe, 0xff}
	for _, unit := range utf16.Encode([]rune(s)) {
		out = append(out, byte(unit>>8), byte(unit)) //nolint:gosec // the halves of a unit
	}
	return String(out)
}

// DecodeText reads a text string: UTF-16 or UTF-8 by their marks, otherwise
// PDFDocEncoding.
func DecodeText(v String) string {
	s := string(v)
	switch {
	case strings.HasPrefix(s, "\xfe\xff"):
		return decodeUTF16(s[2:], 0)
	case strings.HasPrefix(s, "\xff\xfe"): // not allowed, and common
		return decodeUTF16(s[2:], 1)
	case strings.HasPrefix(s, "\xef\xbb\xbf") && utf8.ValidString(s):
		return s[3:]
	}
	runes := make([]rune, 0, len(s))
	for _, c := range []byte(s) {
		runes = append(runes, docEncoding(c))
	}
	return string(runes)
}

// decodeUTF16 takes the high octet of each unit at an offset of 0 or 1.
func decodeUTF16(s string, high int) string {
	units := make([]uint16, 0, len(s)/2)
	for i := 0; i+1 < len(s); i += 2 {
		units = append(units, uint16(s[i+high])<<8|uint16(s[i+1-high]))
	}
	return string(utf16.Decode(units))
}

// Date writes a date (ISO 32000-2, 7.9.4) with its offset, always 23 octets.
func Date(t time.Time) String {
	offset := t.Format("-0700")
	return String(t.Format("D:20060102150405") + offset[:3] + "'" + offset[3:] + "'")
}

// ParseDate reads a date; parts that are left out have their defaults.
func ParseDate(v String) (time.Time, bool) {
	s := strings.TrimPrefix(DecodeText(v), "D:")
	digits := 0
	for digits < len(s) && digits < 14 && s[digits] >= '0' && s[digits] <= '9' {
		digits++
	}
	if digits < 4 || digits%2 != 0 {
		return time.Time{}, false
	}
	zone, ok := parseZone(s[digits:])
	if !ok {
		return time.Time{}, false
	}
	const complete = "00000101000000"
	t, err := time.ParseInLocation("20060102150405", s[:digits]+complete[digits:], zone)
	return t, err == nil
}

// parseZone reads Z, +HH'mm, and what is made of it.
func parseZone(s string) (*time.Location, bool) {
	s = strings.ReplaceAll(s, "'", "")
	if s == "" || s[0] == 'Z' {
		return time.UTC, strings.Trim(s, "Z0") == ""
	}
	layout := "-0700"
	if len(s) == 3 {
		layout = "-07"
	}
	t, err := time.Parse(layout, s)
	if err != nil {
		return nil, false
	}
	return t.Location(), true
}
