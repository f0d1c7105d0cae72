package citizen

import (
	"crypto/rand"
	"crypto/subtle"
	"log/slog"
	"strings"

	"github.com/rubrica-firma/rubrica/policies"
)

const (
	// activationAlphabet has 32 signs: digits and capitals without 0, O, 1
	// and I, which a printed receipt does not tell apart.
	activationAlphabet = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
	// activationLength gives 80 bits: too many to search even for somebody
	// who holds a plain hash of the code.
	activationLength = 16
	activationGroup  = 4
)

// ActivationCode is the secret on the office's receipt.
type ActivationCode struct{ code string }

// NewActivationCode draws a code uniformly.
func NewActivationCode() ActivationCode {
	var b [activationLength]byte
	rand.Read(b[:])
	for i := range b {
		b[i] = activationAlphabet[b[i]&31]
	}
	return ActivationCode{string(b[:])}
}

// ParseActivationCode accepts blanks, dots, dashes and lower case. What is no
// code is activation_mismatch, as a wrong one is.
func ParseActivationCode(s string) (ActivationCode, error) {
	code := compact(s)
	if len(code) != activationLength || strings.Trim(code, activationAlphabet) != "" {
		return ActivationCode{}, policies.Refuse(policies.ActivationMismatch)
	}
	return ActivationCode{code}, nil
}

// Reveal gives the sixteen characters, for storing their HMAC.
func (c ActivationCode) Reveal() string { return c.code }

// Print gives the code in groups of four, for the receipt.
func (c ActivationCode) Print() string {
	var groups []string
	for rest := c.code; rest != ""; rest = rest[activationGroup:] {
		groups = append(groups, rest[:activationGroup])
	}
	return strings.Join(groups, "-")
}

// Equal compares in constant time.
func (c ActivationCode) Equal(other ActivationCode) bool {
	return subtle.ConstantTimeCompare([]byte(c.code), []byte(other.code)) == 1
}

// String redacts.
func (ActivationCode) String() string { return redacted }

// GoString redacts.
func (ActivationCode) GoString() string { return redacted }

// LogValue redacts.
func (ActivationCode) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON redacts.
func (ActivationCode) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }
