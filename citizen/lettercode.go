package citizen

import (
	"strings"

	"github.com/rubrica-firma/rubrica/policies"
)

// LetterCode is the secure verification code (CSV) that an invitation letter
// carries: sixteen characters, drawn as an activation code's.
type LetterCode struct{ ActivationCode }

// ParseLetterCode reads a CSV as it is printed. What is none is letter_mismatch,
// as a wrong one is.
func ParseLetterCode(s string) (LetterCode, error) {
	code, err := ParseActivationCode(s)
	if err != nil {
		return LetterCode{}, policies.Refuse(policies.LetterMismatch)
	}
	return LetterCode{code}, nil
}

// Address is where letters go.
type Address struct {
	Lines      []string `json:"lines"` // street, number, floor
	PostalCode string   `json:"postal_code"`
	Town       string   `json:"town"`
	Province   string   `json:"province,omitempty"`
}

// Bounds of an address, for the window of an envelope.
const (
	maxAddressLines = 3
	maxAddressLine  = 60
)

// Valid reports whether an address can be printed in the window of an envelope
// and be delivered in Spain.
func (a Address) Valid() bool {
	if len(a.Lines) == 0 || len(a.Lines) > maxAddressLines || len(a.PostalCode) != 5 || strings.Trim(a.PostalCode, "0123456789") != "" {
		return false
	}
	for _, line := range append([]string{a.Town}, a.Lines...) {
		if !policies.IsLine(line, maxAddressLine) {
			return false
		}
	}
	return a.Province == "" || policies.IsLine(a.Province, maxAddressLine)
}

// Recipient is whom a letter is for.
type Recipient struct {
	GivenName     string  `json:"given_name"`
	Surnames      string  `json:"surnames"`
	DocumentUntil string  `json:"document_until"` // year-month-day
	Address       Address `json:"address"`
}

// PrintableLetter is a letter on its way to the printer.
type PrintableLetter struct {
	ID        string    `json:"id"`
	Code      string    `json:"code"` // CSV, without groups: a secret, for the paper alone
	Masked    string    `json:"masked"`
	Recipient Recipient `json:"recipient"`
	Until     string    `json:"until"` // the last day on which the code is taken, year-month-day
}

// Grouped is the CSV as the letter prints it.
func (l PrintableLetter) Grouped() string { return ActivationCode{l.Code}.Print() }
