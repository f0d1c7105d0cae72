package citizen

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"math/big"
	"strings"

	"github.com/rubrica-firma/rubrica/policies"
)

const (
	accessKeyLength = 4
	pinDigits       = 9
	// pinSource describes PIN and access key.
	pinSource = "Cl@ve PIN"
)

// AccessKey is the four characters that a citizen chooses for one PIN: who sees
// the SMS alone has only half of it.
type AccessKey struct{ key string }

// ParseAccessKey reads four ASCII letters or digits; case and separators do not
// count.
func ParseAccessKey(s string) (AccessKey, error) {
	key := compact(s)
	if len(key) != accessKeyLength || strings.ContainsFunc(key, func(r rune) bool { return (r < '0' || r > '9') && (r < 'A' || r > 'Z') }) {
		return AccessKey{}, policies.Refuse(policies.AccessKeyInvalid).From(pinSource)
	}
	return AccessKey{key}, nil
}

// Reveal gives the four characters, for storing their HMAC.
func (k AccessKey) Reveal() string { return k.key }

// String redacts.
func (AccessKey) String() string { return redacted }

// GoString redacts.
func (AccessKey) GoString() string { return redacted }

// LogValue redacts.
func (AccessKey) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON redacts.
func (AccessKey) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// PIN is the half that comes by SMS: nine digits, in three groups.
type PIN struct{ digits string }

// newPIN draws a PIN uniformly.
func newPIN() (PIN, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000_000))
	if err != nil {
		return PIN{}, fmt.Errorf("drawing a PIN: %w", err)
	}
	return PIN{fmt.Sprintf("%0*d", pinDigits, n)}, nil
}

// ParsePIN reads nine digits, with separators or without. What is no PIN is
// pin_mismatch, as a wrong one is, but costs no try.
func ParsePIN(s string) (PIN, error) {
	digits := compact(s)
	if len(digits) != pinDigits || strings.Trim(digits, "0123456789") != "" {
		return PIN{}, policies.Refuse(policies.PINMismatch, "reason", "form").From(pinSource)
	}
	return PIN{digits}, nil
}

// Reveal gives the digits, for the SMS and for storing their HMAC.
func (p PIN) Reveal() string { return p.digits }

// String redacts.
func (PIN) String() string { return redacted }

// GoString redacts.
func (PIN) GoString() string { return redacted }

// LogValue redacts.
func (PIN) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON redacts.
func (PIN) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }
