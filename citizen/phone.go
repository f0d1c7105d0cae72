package citizen

import (
	"log/slog"
	"strings"

	"github.com/rubrica-firma/rubrica/policies"
)

// phoneSource reserves the ranges 6 and 7 for mobile services, 70 excepted,
// which is personal numbering and may end anywhere.
const phoneSource = "RD 2296/2004, Plan nacional de numeración telefónica"

// Phone is a Spanish mobile number.
type Phone struct{ e164 string }

// ParsePhone reads a Spanish mobile number with or without +34 or 0034, and
// with blanks, dots, dashes and brackets as people group it.
func ParsePhone(s string) (Phone, error) {
	number := compact(strings.NewReplacer("(", "", ")", "").Replace(s))
	for _, prefix := range []string{"+34", "0034"} {
		if rest, ok := strings.CutPrefix(number, prefix); ok {
			number = rest
			break
		}
	}
	if !isSpanishMobile(number) {
		return Phone{}, policies.Refuse(policies.PhoneInvalid).From(phoneSource)
	}
	return Phone{"+34" + number}, nil
}

func isSpanishMobile(number string) bool {
	if len(number) != 9 || strings.Trim(number, "0123456789") != "" {
		return false
	}
	return number[0] == '6' || number[0] == '7' && number[1] != '0'
}

// String is the number in E.164, such as +34612345678.
func (p Phone) String() string { return p.e164 }

// Masked shows the last three digits: ··· ··· 678.
func (p Phone) Masked() string {
	if p.e164 == "" {
		return ""
	}
	return "··· ··· " + p.e164[len(p.e164)-3:]
}

// LogValue masks.
func (p Phone) LogValue() slog.Value { return slog.StringValue(p.Masked()) }
