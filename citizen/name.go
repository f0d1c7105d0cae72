package citizen

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/rubrica-firma/rubrica/policies"
)

// maxNamePart is the length in characters of given names, and of surnames. The
// longest that the civil registry knows are well under it.
const maxNamePart = 100

// nameSource says that the certificate names the person as the identity
// document does.
const nameSource = "EN 319 412-2, section 4.2.4"

// Name is a person's name as the identity document prints it.
type Name struct{ given, surnames string }

// ParseName reads given names and surnames: Latin letters (ñ, ç, ŀ, ª …),
// blanks, apostrophes, hyphens, points and the middle dot of Catalan. Other
// scripts are refused, because DNI and TIE print the Latin form and because
// look-alike letters would make two names that nobody can tell apart. The
// refusal's "field" is "given" or "surnames".
func ParseName(given, surnames string) (Name, error) {
	g, ok := parseNamePart(given)
	if !ok {
		return Name{}, policies.Refuse(policies.NameInvalid, "field", "given").From(nameSource)
	}
	s, ok := parseNamePart(surnames)
	if !ok {
		return Name{}, policies.Refuse(policies.NameInvalid, "field", "surnames").From(nameSource)
	}
	return Name{given: g, surnames: s}, nil
}

// parseNamePart brings a part to NFC with single blanks.
func parseNamePart(s string) (string, bool) {
	if len(s) > maxNamePart*utf8.UTFMax || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
		return "", false
	}
	s = policies.Line(norm.NFC.String(s))
	first, _ := utf8.DecodeRuneInString(s)
	if !unicode.IsLetter(first) && first != '\'' && first != '’' {
		return "", false
	}
	return s, strings.ContainsFunc(s, unicode.IsLetter) && strings.IndexFunc(s, notInNames) < 0 && policies.IsLine(s, maxNamePart)
}

func notInNames(r rune) bool {
	switch {
	case unicode.IsLetter(r):
		// Of the Latin script, but not its phonetic small capitals, ligatures
		// and letters of double width, which look like others.
		return !unicode.Is(unicode.Latin, r) || r >= 0x02b0 && (r < 0x1e00 || r > 0x1eff)
	case r >= 0x0300 && r <= 0x036f: // a mark that has no composed letter
		return false
	default:
		return !strings.ContainsRune(" '’-.·", r)
	}
}

// Given is the given names.
func (n Name) Given() string { return n.given }

// Surnames is the surnames.
func (n Name) Surnames() string { return n.surnames }

// String is the name as it is said: given names, then surnames.
func (n Name) String() string { return strings.TrimSpace(n.given + " " + n.surnames) }
