package citizen

import (
	"bytes"
	"crypto/subtle"
	"log/slog"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/rubrica-firma/rubrica/policies"
)

// Lengths are in characters after normalisation.
const (
	minPassword         = 8
	maxPassword         = 128
	longPassword        = 16 // from here on the four classes are not asked for
	rulesOfChoice       = "Cl@ve Permanente, política de contraseñas"
	shortestWordToAvoid = 4
)

const redacted = "[redacted]"

// Password is a secret in Unicode NFC, so that an ñ typed as one character or
// as two opens the same key. Its holder calls Zero when done.
type Password struct{ b []byte }

// ParsePassword normalises what was typed; it does not judge strength, which
// CheckPassword does when a password is chosen. typed stays the caller's to
// clear. What can never have been a password (nothing, more than 128
// characters, control characters, no UTF-8) is refused as password_weak with a
// "reason"; a log-in page answers it as credentials_wrong, which gives nothing
// away since it does not depend on the citizen.
func ParsePassword(typed []byte) (Password, error) {
	if len(typed) > maxPassword*utf8.UTFMax {
		return Password{}, weak("long")
	}
	if !utf8.Valid(typed) {
		return Password{}, weak("characters")
	}
	p := Password{norm.NFC.Append(make([]byte, 0, maxPassword*utf8.UTFMax), typed...)}
	reason := ""
	switch length := utf8.RuneCount(p.b); {
	case length == 0:
		reason = "short"
	case length > maxPassword:
		reason = "long"
	case bytes.ContainsFunc(p.b, unicode.IsControl):
		reason = "characters"
	}
	if reason != "" {
		p.Zero()
		return Password{}, weak(reason)
	}
	return p, nil
}

// PasswordContext is what a password must not repeat. Zero fields are not
// compared.
type PasswordContext struct {
	Name       Name
	Identifier Identifier
	Previous   Password
}

// CheckPassword judges a password that is being chosen. The refusal's
// "reason" is the first that applies of "short", "classes", "name",
// "identifier" and "previous".
func CheckPassword(p Password, pc PasswordContext) error {
	length := utf8.RuneCount(p.b)
	switch {
	case length < minPassword:
		return weak("short")
	case length < longPassword && !hasAllClasses(p.b):
		return weak("classes")
	case repeatsName(p.b, pc.Name):
		return weak("name")
	case repeatsIdentifier(p.b, pc.Identifier):
		return weak("identifier")
	case len(pc.Previous.b) > 0 && p.Equal(pc.Previous):
		return weak("previous")
	}
	return nil
}

func weak(reason string) *policies.Refusal {
	return policies.Refuse(policies.PasswordWeak, "reason", reason,
		"minimum", strconv.Itoa(minPassword), "maximum", strconv.Itoa(maxPassword), "long", strconv.Itoa(longPassword)).From(rulesOfChoice)
}

// hasAllClasses asks for a lower-case and an upper-case letter, a digit and
// anything that is neither letter nor digit.
func hasAllClasses(b []byte) bool {
	var lower, upper, digit, special bool
	for _, r := range string(b) {
		switch {
		case unicode.IsLower(r):
			lower = true
		case unicode.IsUpper(r):
			upper = true
		case unicode.IsDigit(r):
			digit = true
		case !unicode.IsLetter(r):
			special = true
		}
	}
	return lower && upper && digit && special
}

// repeatsName is whether the password contains a given name or a surname,
// whatever its case and accents. Words under four letters stand in too many
// others (Ana in banana): they are refused only where no other letter stands
// beside them.
func repeatsName(b []byte, name Name) bool {
	plain := fold(string(b))
	for word := range strings.FieldsSeq(fold(name.String())) {
		if len(word) >= shortestWordToAvoid && strings.Contains(plain, word) {
			return true
		}
		if letters := onlyLetters(plain); letters != "" && letters == onlyLetters(word) {
			return true
		}
	}
	return false
}

// repeatsIdentifier is whether the password contains the seven digits that
// tell a DNI or NIE, with or without separators.
func repeatsIdentifier(b []byte, id Identifier) bool {
	return id.value != "" && strings.Contains(compact(string(b)), id.value[1:8])
}

// fold drops case and accents.
func fold(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return unicode.ToLower(r)
	}, norm.NFD.String(s))
}

func onlyLetters(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsLetter(r) {
			return -1
		}
		return r
	}, s)
}

// Reveal gives the bytes themselves, for the module that opens the key with
// them. They are cleared with Zero.
func (p Password) Reveal() []byte { return p.b }

// Zero clears the password.
func (p Password) Zero() { clear(p.b) }

// Equal compares in constant time.
func (p Password) Equal(other Password) bool { return subtle.ConstantTimeCompare(p.b, other.b) == 1 }

// String redacts.
func (Password) String() string { return redacted }

// GoString redacts.
func (Password) GoString() string { return redacted }

// LogValue redacts.
func (Password) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON redacts: a password has no business in JSON.
func (Password) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }
