package citizen

import (
	"log/slog"
	"strconv"
	"strings"

	"github.com/rubrica-firma/rubrica/policies"
)

// identifierSource gives both numbers their form and their check letter.
const identifierSource = "RD 1065/2007, arts. 19 and 20"

// checkLetters holds the letter for each remainder of the number modulo 23.
const checkLetters = "TRWAGMYFPDXBNJZSQVHLCKE"

// Identifier is the number of a DNI (eight digits and a check letter) or of a
// NIE (X, Y or Z, seven digits and a check letter), always nine characters.
type Identifier struct{ value string }

// ParseIdentifier reads a DNI or NIE as people write it: with blanks, dots and
// dashes, in lower case, without the leading zero of an old DNI. The refusal's
// "reason" is "form" or "letter".
func ParseIdentifier(s string) (Identifier, error) {
	value := compact(s)
	if len(value) == 8 && isDigit(value[0]) {
		value = "0" + value // DNIs under ten million are printed with seven digits
	}
	number, ok := identifierNumber(value)
	if !ok {
		return Identifier{}, policies.Refuse(policies.IdentifierInvalid, "reason", "form").From(identifierSource)
	}
	if value[8] != checkLetters[number%23] {
		return Identifier{}, policies.Refuse(policies.IdentifierInvalid, "reason", "letter").From(identifierSource)
	}
	return Identifier{value}, nil
}

// identifierNumber is the number that the check letter is computed over: a
// NIE's X, Y and Z count as a leading 0, 1 and 2.
func identifierNumber(value string) (int, bool) {
	if len(value) != 9 || value[8] < 'A' || value[8] > 'Z' {
		return 0, false
	}
	lead, digits := value[:1], value[1:8]
	if i := strings.Index("XYZ", lead); i >= 0 {
		lead = strconv.Itoa(i)
	}
	digits = lead + digits
	for i := range len(digits) {
		if !isDigit(digits[i]) {
			return 0, false
		}
	}
	number, err := strconv.Atoi(digits)
	return number, err == nil
}

// String is the canonical form, such as 12345678Z or X1234567L.
func (id Identifier) String() string { return id.value }

// IsNIE is whether it is a foreigner's number.
func (id Identifier) IsNIE() bool {
	return id.value != "" && !isDigit(id.value[0])
}

// Masked shows the fourth to the seventh digit, as the data protection
// agencies agreed for publications under the seventh additional provision of
// LO 3/2018: ***4567** for a DNI, ****4567* for a NIE.
func (id Identifier) Masked() string {
	switch {
	case id.value == "":
		return ""
	case id.IsNIE():
		return "****" + id.value[4:8] + "*"
	default:
		return "***" + id.value[3:7] + "**"
	}
}

// LogValue masks: logs are read by more people than the log of record.
func (id Identifier) LogValue() slog.Value { return slog.StringValue(id.Masked()) }

// compact drops the separators that people put between groups and raises
// ASCII letters.
func compact(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ' || r == '\u00a0' || r == '\t' || r == '-' || r == '.':
			return -1
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		}
		return r
	}, s)
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
