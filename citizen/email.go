package citizen

import (
	"log/slog"
	"net/mail"
	"strings"

	"github.com/rubrica-firma/rubrica/policies"
)

// Lengths of RFC 5321, sections 4.5.3.1.1 and 4.5.3.1.3; a path's 256 octets
// include its two brackets.
const (
	maxEmail     = 254
	maxLocalPart = 64
	maxLabel     = 63
	emailSource  = "RFC 5321, section 4.1.2"
)

// Email is an address that mail can be sent to: a dot-atom, an at sign and a
// domain name with at least one dot, its domain in lower case.
type Email struct{ address string }

// ParseEmail reads an address without display name. Quoted local parts,
// address literals and characters beyond ASCII are refused: hardly anybody has
// such an address, and not every mail server delivers to one.
func ParseEmail(s string) (Email, error) {
	refusal := policies.Refuse(policies.EmailInvalid).From(emailSource)
	s = strings.TrimSpace(s)
	if len(s) > maxEmail || !isPrintableASCII(s) || strings.ContainsAny(s, `"<>[]()\ `) {
		return Email{}, refusal
	}
	parsed, err := mail.ParseAddress(s)
	if err != nil || parsed.Address != s {
		return Email{}, refusal
	}
	local, domain, ok := strings.Cut(s, "@")
	if !ok || len(local) > maxLocalPart || !isDomain(domain) {
		return Email{}, refusal
	}
	return Email{local + "@" + strings.ToLower(domain)}, nil
}

// isDomain is the preferred name syntax of RFC 1035, section 2.3.1, as
// RFC 1123, section 2.1 relaxes it, with a top level that is no number.
func isDomain(domain string) bool {
	labels := strings.Split(domain, ".")
	for _, label := range labels {
		if label == "" || len(label) > maxLabel || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			if c := label[i] | 0x20; !isDigit(label[i]) && label[i] != '-' && (c < 'a' || c > 'z') {
				return false
			}
		}
	}
	return len(labels) > 1 && !isDigit(labels[len(labels)-1][0])
}

func isPrintableASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < 0x20 || r > 0x7e }) < 0
}

// String is the address.
func (e Email) String() string { return e.address }

// Equal ignores case in the local part too: RFC 5321 lets a host tell cases
// apart, none does, and people do not type theirs twice alike.
func (e Email) Equal(other Email) bool { return strings.EqualFold(e.address, other.address) }

// Masked shows the first character and the domain: m···@example.org.
func (e Email) Masked() string {
	local, domain, ok := strings.Cut(e.address, "@")
	if !ok {
		return ""
	}
	return local[:1] + "···@" + domain
}

// LogValue masks.
func (e Email) LogValue() slog.Value { return slog.StringValue(e.Masked()) }
