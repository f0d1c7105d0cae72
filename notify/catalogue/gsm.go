package catalogue

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// The default alphabet of GSM 03.38 (3GPP TS 23.038, section 6.2.1), and its
// extension (6.2.1.1), whose characters cost two septets. Neither holds the
// acute vowels nor the quotation marks of Spanish: one such character would
// turn the whole message into UCS-2 and its 160 characters into 70.
const (
	gsmAlphabet = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?" +
		"¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
	gsmExtension = "\f^{}\\[~]|€"
)

// MessageSeptets is how many septets fit into one SMS.
const MessageSeptets = 160

// Septets counts what a text costs in the GSM alphabet. It reports false if a
// character is in neither table.
func Septets(text string) (int, bool) {
	total := 0
	for _, r := range text {
		switch {
		case strings.ContainsRune(gsmAlphabet, r):
			total++
		case strings.ContainsRune(gsmExtension, r):
			total += 2
		default:
			return 0, false
		}
	}
	return total, true
}

// toGSM writes a text with the GSM alphabet alone: it drops accents that the
// alphabet lacks, replaces typographic signs by plain ones and anything else by
// a question mark. Control characters become blanks, so that nothing in a title
// can start a line of its own.
func toGSM(text string) string {
	var b strings.Builder
	for _, r := range norm.NFC.String(text) {
		switch {
		case unicode.IsControl(r) || unicode.IsSpace(r):
			b.WriteByte(' ')
		case strings.ContainsRune(gsmAlphabet, r) || strings.ContainsRune(gsmExtension, r):
			b.WriteRune(r)
		case unicode.Is(unicode.Cf, r):
			// Direction marks and joiners have no width; they only disguise.
		default:
			b.WriteString(plainly(r))
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func plainly(r rune) string {
	switch r {
	case '«', '»', '“', '”', '„':
		return `"`
	case '‘', '’', '´', '`':
		return "'"
	case '–', '—', '−', '·', '•':
		return "-"
	case '…':
		return "..."
	case 'ª':
		return "a"
	case 'º', '°':
		return "o"
	}
	base := []rune(norm.NFD.String(string(r)))[0]
	if base != r && strings.ContainsRune(gsmAlphabet, base) {
		return string(base)
	}
	return "?"
}

// shorten cuts out the middle of a GSM text until it costs at most the septets
// given, and marks the cut: how a document begins and how its name ends tell
// most.
func shorten(text string, septets int) string {
	runes := []rune(text)
	if cost(string(runes)) <= septets {
		return text
	}
	head, tail := (len(runes)+1)/2, (len(runes)+1)/2
	for head > 1 && cost(string(runes[:head]))+cost(string(runes[tail:]))+len("...") > septets {
		if head >= len(runes)-tail {
			head--
		} else {
			tail++
		}
	}
	return strings.TrimSpace(string(runes[:head])) + "..." + strings.TrimSpace(string(runes[tail:]))
}
