package pages

import "time"

// The views of the other ways in: Cl@ve PIN, the invitation letter, the
// municipal card.

// Names of their fields.
const (
	FieldDocumentUntil = "document_until"
	FieldAccessKey     = "access_key"
	FieldPIN           = "pin"
)

// entranceInput fills in a field of theirs, and tells whether it is one.
func entranceInput(input *Input) bool {
	switch input.Name {
	case FieldDocumentUntil:
		input.Autocomplete, input.Hint, input.Width, input.MaxLength = "off", true, "short", 20
	case FieldAccessKey:
		input.Autocomplete, input.Capitals, input.Hint, input.Width = "off", true, true, "code"
		input.Value, input.MaxLength = "", 10
	case FieldPIN:
		input.Autocomplete, input.InputMode, input.Hint, input.Width = "one-time-code", "numeric", true, "code"
		input.Value, input.MaxLength = "", 20
	default:
		return false
	}
	return true
}

// AskPIN asks who wants a PIN.
type AskPIN struct {
	Page
	Identifier    string // as typed before, like the date
	DocumentUntil string
	SubmitURL     string
	PasswordURL   string // the other way in
}

// TypePIN takes the PIN. It does not know whether one was sent.
type TypePIN struct {
	Page
	ExpiresAt time.Time
	Now       time.Time
	SubmitURL string
	AgainURL  string
}

// Left is how long the PIN stays valid.
func (v *TypePIN) Left() time.Duration { return max(0, v.ExpiresAt.Sub(v.Now)) }

func (*AskPIN) template() string  { return "pin" }
func (*TypePIN) template() string { return "pin-code" }
