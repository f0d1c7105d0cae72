package citizen

import (
	"crypto/rand"
	"log/slog"
	"strings"

	"github.com/rubrica-firma/rubrica/policies"
)

// Bounds of what towns print on cards.
const (
	maxCardNumber  = 20
	minCardPIN     = 4
	maxCardPIN     = 8
	operationsKey  = 12 // 60 bits
	operationGroup = 4
)

// CardNumber is the number of a municipal card: digits without leading zeros.
type CardNumber struct{ digits string }

// ParseCardNumber reads a number with separators or without. Leading zeros are
// printed on the card and do not count. What is no number is card_mismatch, as
// one of no card is, but costs no try.
func ParseCardNumber(s string) (CardNumber, error) {
	digits := compact(s)
	if digits == "" || len(digits) > 2*maxCardNumber || strings.Trim(digits, "0123456789") != "" {
		return CardNumber{}, policies.Refuse(policies.CardMismatch, "reason", "number")
	}
	if digits = strings.TrimLeft(digits, "0"); digits == "" || len(digits) > maxCardNumber {
		return CardNumber{}, policies.Refuse(policies.CardMismatch, "reason", "number")
	}
	return CardNumber{digits}, nil
}

// String is the number.
func (n CardNumber) String() string { return n.digits }

// Masked shows the last three digits.
func (n CardNumber) Masked() string {
	if n.digits == "" {
		return ""
	}
	return "··· " + n.digits[max(0, len(n.digits)-3):]
}

// LogValue masks.
func (n CardNumber) LogValue() slog.Value { return slog.StringValue(n.Masked()) }

// CardPIN is the PIN that the town gave out with the card.
type CardPIN struct{ digits string }

// ParseCardPIN reads four to eight digits.
func ParseCardPIN(s string) (CardPIN, error) {
	digits := compact(s)
	if len(digits) < minCardPIN || len(digits) > maxCardPIN || strings.Trim(digits, "0123456789") != "" {
		return CardPIN{}, policies.Refuse(policies.CardMismatch, "reason", "pin")
	}
	return CardPIN{digits}, nil
}

// Reveal gives the digits, for storing their HMAC.
func (p CardPIN) Reveal() string { return p.digits }

// String redacts.
func (CardPIN) String() string { return redacted }

// GoString redacts.
func (CardPIN) GoString() string { return redacted }

// LogValue redacts.
func (CardPIN) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON redacts.
func (CardPIN) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// OperationsKey is the password that goes with a card: drawn by the service and
// mailed to the card's own address.
type OperationsKey struct{ key string }

// newOperationsKey draws a key uniformly, of an activation code's signs.
func newOperationsKey() OperationsKey {
	var b [operationsKey]byte
	rand.Read(b[:])
	for i := range b {
		b[i] = activationAlphabet[b[i]&31]
	}
	return OperationsKey{string(b[:])}
}

// ParseOperationsKey accepts separators and lower case. What is no key is
// card_mismatch, as a wrong one is, but costs no try.
func ParseOperationsKey(s string) (OperationsKey, error) {
	key := compact(s)
	if len(key) != operationsKey || strings.Trim(key, activationAlphabet) != "" {
		return OperationsKey{}, policies.Refuse(policies.CardMismatch, "reason", "key")
	}
	return OperationsKey{key}, nil
}

// Reveal gives the twelve characters, for storing their HMAC.
func (k OperationsKey) Reveal() string { return k.key }

// Print gives the key in groups of four, for the mail.
func (k OperationsKey) Print() string {
	return k.key[:operationGroup] + "-" + k.key[operationGroup:2*operationGroup] + "-" + k.key[2*operationGroup:]
}

// String redacts.
func (OperationsKey) String() string { return redacted }

// GoString redacts.
func (OperationsKey) GoString() string { return redacted }

// LogValue redacts.
func (OperationsKey) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON redacts.
func (OperationsKey) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }
