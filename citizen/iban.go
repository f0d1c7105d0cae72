package citizen

import (
	"log/slog"
	"strings"

	"github.com/rubrica-firma/rubrica/policies"
)

// ibanSource gives the check digits; the length and the country are those of
// the Spanish entry in the IBAN registry.
const ibanSource = "ISO 13616-1, section 5"

// ibanLength is that of a Spanish IBAN: ES, two check digits, twenty digits.
const ibanLength = 24

// IBAN is the number of a Spanish account.
type IBAN struct{ value string }

// ParseIBAN reads a Spanish IBAN with separators or without, in either case.
func ParseIBAN(s string) (IBAN, error) {
	value := compact(s)
	digits, spanish := strings.CutPrefix(value, "ES")
	if !spanish || len(value) != ibanLength || strings.Trim(digits, "0123456789") != "" || remainder97(digits[2:]+"1428"+digits[:2]) != 1 {
		return IBAN{}, policies.Refuse(policies.IBANInvalid).From(ibanSource)
	}
	// The remainder alone would take 98 for 01 (ISO 7064: check digits run from 02 to 98).
	if check := digits[:2]; check < "02" || check > "98" {
		return IBAN{}, policies.Refuse(policies.IBANInvalid).From(ibanSource)
	}
	return IBAN{value}, nil
}

// remainder97 is a decimal number modulo 97; E is 14 and S is 28 in it.
func remainder97(digits string) int {
	r := 0
	for i := range len(digits) {
		r = (r*10 + int(digits[i]-'0')) % 97
	}
	return r
}

// String is the number without separators.
func (i IBAN) String() string { return i.value }

// Masked shows the country and the last four digits.
func (i IBAN) Masked() string {
	if i.value == "" {
		return ""
	}
	return "ES·· ···· " + i.value[len(i.value)-4:]
}

// LogValue masks.
func (i IBAN) LogValue() slog.Value { return slog.StringValue(i.Masked()) }
