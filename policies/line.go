package policies

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// IsLine reports whether a text is one line of 1 to limit characters that shows
// all that it is, in the order in which it is written: names of offices and of
// who works there, addresses, reasons. Somebody reads it later on a page, on
// paper or in the log, and must not be made to read something else.
//
// So it holds nothing that cannot be seen or that turns a line around (control
// characters, direction marks, fillers, letters of scripts that run from right to
// left), no blanks but single ones between words, and no heap of marks that
// covers the line above.
func IsLine(text string, limit int) bool {
	return text != "" && utf8.ValidString(text) && utf8.RuneCountInString(text) <= limit &&
		text == strings.TrimSpace(text) && !strings.Contains(text, "  ") &&
		!strings.ContainsFunc(text, unfit) && !heaped(text)
}

// Line puts a text that was typed or pasted into one line.
func Line(text string) string { return strings.Join(strings.Fields(text), " ") }

// blank are the characters that Unicode counts among letters, marks and symbols
// though nothing of them is seen (UAX #44, Default_Ignorable_Code_Point; and the
// empty pattern of Braille).
func blank(r rune) bool {
	switch r {
	case 0x034f, 0x115f, 0x1160, 0x17b4, 0x17b5, 0x2800, 0x3164, 0xffa0:
		return true
	}
	return unicode.Is(unicode.Variation_Selector, r)
}

// leftwards are the blocks that are kept for scripts that run from right to left
// (UAX #9; DerivedBidiClass.txt).
func leftwards(r rune) bool {
	return r >= 0x0590 && r <= 0x08ff || r >= 0xfb1d && r <= 0xfdff || r >= 0xfe70 && r <= 0xfeff ||
		r >= 0x10800 && r <= 0x10fff || r >= 0x1e800 && r <= 0x1efff
}

func unfit(r rune) bool { return !unicode.IsPrint(r) || blank(r) || leftwards(r) }

// mostMarks are more than any orthography of Latin letters sets on one.
const mostMarks = 2

func heaped(text string) bool {
	marks := 0
	return strings.ContainsFunc(text, func(r rune) bool {
		if !unicode.Is(unicode.Mn, r) {
			marks = 0
			return false
		}
		marks++
		return marks > mostMarks
	})
}
