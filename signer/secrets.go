package signer

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log/slog"
	"math/big"
	"strings"

	"github.com/rubrica-firma/rubrica/policies"
)

const redacted = "[redacted]"

// Ticket is the browser's half of a ceremony: 32 random bytes in a cookie. The
// database has only its hash, and what it encrypts.
type Ticket struct{ b []byte }

const ticketSize = 32

// NewTicket makes a random ticket.
func NewTicket() Ticket {
	b := make([]byte, ticketSize)
	rand.Read(b)
	return Ticket{b}
}

// ParseTicket reads what Encode wrote. A malformed one is an ended session.
func ParseTicket(s string) (Ticket, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != ticketSize {
		return Ticket{}, policies.Refuse(policies.SessionExpired)
	}
	return Ticket{b}, nil
}

// Encode is the ticket's form in a cookie and in the RPC, and nowhere else.
func (t Ticket) Encode() string { return base64.RawURLEncoding.EncodeToString(t.b) }

// Hash identifies the ticket's row.
func (t Ticket) Hash() []byte {
	h := sha256.Sum256(t.b)
	return h[:]
}

// key derives the key that encrypts the sealing key while the citizen goes
// from the password to the code.
func (t Ticket) key() ([]byte, error) {
	return hkdf.Key(sha256.New, t.b, nil, "rubrica ticket v1", 32)
}

// String redacts.
func (Ticket) String() string { return redacted }

// GoString redacts.
func (Ticket) GoString() string { return redacted }

// LogValue redacts.
func (Ticket) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON redacts: a ticket has no business in JSON.
func (Ticket) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// Code is a one-time code of eight digits.
type Code struct{ digits string }

const codeDigits = 8

// newCode draws a code uniformly.
func newCode() (Code, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(100_000_000))
	if err != nil {
		return Code{}, fmt.Errorf("drawing a code: %w", err)
	}
	return Code{fmt.Sprintf("%0*d", codeDigits, n)}, nil
}

// ParseCode accepts eight digits with blanks and dashes between them. Anything
// else is a wrong code, though one that costs no try.
func ParseCode(s string) (Code, error) {
	digits := strings.Map(func(r rune) rune {
		switch r {
		case ' ', '-', '\u00a0', '\t':
			return -1
		}
		return r
	}, s)
	if len(digits) != codeDigits || strings.Trim(digits, "0123456789") != "" {
		return Code{}, policies.Refuse(policies.CodeMalformed)
	}
	return Code{digits}, nil
}

// Reveal gives the digits, for the SMS and the RPC.
func (c Code) Reveal() string { return c.digits }

// String redacts.
func (Code) String() string { return redacted }

// GoString redacts.
func (Code) GoString() string { return redacted }

// LogValue redacts.
func (Code) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON redacts.
func (Code) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// referenceAlphabet has 32 signs, none of which reads like another.
const referenceAlphabet = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"

// Reference derives the four characters that the page and the SMS show from
// the exact ordered hashes: whoever exchanges a document exchanges them, but
// for one chance in a million.
func Reference(documents []Bound) string {
	h := sha256.New()
	for _, d := range documents {
		h.Write(fmt.Appendf(nil, "%d|%s|%s|%x\n", d.Ordinal, d.Format, d.Hash, d.Digest))
	}
	sum := h.Sum(nil)
	bits := uint32(sum[0])<<12 | uint32(sum[1])<<4 | uint32(sum[2])>>4
	var out [4]byte
	for i := range out {
		out[i] = referenceAlphabet[bits>>(15-5*i)&31]
	}
	return string(out[:])
}

func zero(b []byte) {
	clear(b)
}
