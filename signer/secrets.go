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

// bearer is a random secret of 32 bytes of which the database has only the
// hash, and what it encrypts.
type bearer struct{ b []byte }

const bearerSize = 32

func newBearer() bearer {
	b := make([]byte, bearerSize)
	rand.Read(b)
	return bearer{b}
}

func parseBearer(s string) (bearer, bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return bearer{b}, err == nil && len(b) == bearerSize
}

// Encode is the secret's form in a cookie or in the RPC, and nowhere else.
func (t bearer) Encode() string { return base64.RawURLEncoding.EncodeToString(t.b) }

// Hash identifies the row.
func (t bearer) Hash() []byte {
	h := sha256.Sum256(t.b)
	return h[:]
}

// wrap encrypts a sealing key so that only the holder can open it, and only
// beside the same associated data.
func (t bearer) wrap(ks, additional []byte) ([]byte, error) {
	key, err := t.key()
	if err != nil {
		return nil, err
	}
	defer zero(key)
	return encrypt(key, ks, additional)
}

func (t bearer) unwrap(wrapped, additional []byte) ([]byte, error) {
	key, err := t.key()
	if err != nil {
		return nil, err
	}
	defer zero(key)
	return decrypt(key, wrapped, additional)
}

func (t bearer) key() ([]byte, error) {
	return hkdf.Key(sha256.New, t.b, nil, "rubrica bearer v1", 32)
}

// String redacts.
func (bearer) String() string { return redacted }

// GoString redacts.
func (bearer) GoString() string { return redacted }

// LogValue redacts.
func (bearer) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON redacts: a secret has no business in JSON.
func (bearer) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// Ticket is the browser's half of a ceremony, in a cookie, from the password
// to the code.
type Ticket struct{ bearer }

// NewTicket makes a random ticket.
func NewTicket() Ticket { return Ticket{newBearer()} }

// ParseTicket reads what Encode wrote. A malformed one is an ended session.
func ParseTicket(s string) (Ticket, error) {
	b, ok := parseBearer(s)
	if !ok {
		return Ticket{}, policies.Refuse(policies.SessionExpired)
	}
	return Ticket{b}, nil
}

// SAD is the signature activation data (EN 419 241-1): the holder's half of an
// authorisation.
type SAD struct{ bearer }

// NewSAD makes a random one.
func NewSAD() SAD { return SAD{newBearer()} }

// ParseSAD reads what Encode wrote. A malformed one is no authorisation.
func ParseSAD(s string) (SAD, error) {
	b, ok := parseBearer(s)
	if !ok {
		return SAD{}, policies.Refuse(policies.AuthorisationInvalid)
	}
	return SAD{b}, nil
}

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
