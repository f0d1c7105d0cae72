package pages

import "time"

// The views of the other ways in: Cl@ve PIN, the invitation letter, the
// municipal card.

// Names of their fields.
const (
	FieldDocumentUntil = "document_until"
	FieldAccessKey     = "access_key"
	FieldPIN           = "pin"
	FieldIBAN          = "iban"
	FieldCSV           = "csv"
	FieldCard          = "card"
	FieldCardPIN       = "card_pin"
	FieldOperationsKey = "operations_key"
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
	case FieldIBAN:
		input.Autocomplete, input.Capitals, input.Hint, input.MaxLength = "off", true, true, 40
	case FieldCSV:
		input.Autocomplete, input.Capitals, input.Hint, input.Width, input.MaxLength = "off", true, true, "short", 30
	case FieldCard:
		input.Autocomplete, input.InputMode, input.Hint, input.Width, input.MaxLength = "off", "numeric", true, "short", 40
	case FieldCardPIN:
		input.Type, input.Autocomplete, input.InputMode, input.Secret, input.Width = "password", "off", "numeric", true, "code"
		input.Value, input.MaxLength = "", 12
	case FieldOperationsKey:
		input.Type, input.Autocomplete, input.Capitals, input.Hint, input.Secret, input.Width = "password", "current-password", true, true, true, "short"
		input.Value, input.MaxLength = "", 30
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

// AskLetter asks who wants an invitation letter.
type AskLetter struct {
	Page
	Identifier    string // as typed before, like the two below
	DocumentUntil string
	IBAN          string
	SubmitURL     string
	CodeURL       string // for those who have their letter
	OfficeURL     string // the other way to register
}

// LetterAsked tells that a letter comes if the data are right.
type LetterAsked struct {
	Page
	CodeURL string
	HomeURL string
}

// AnswerLetter takes the code of a letter.
type AnswerLetter struct {
	Page
	Identifier    string // as typed before, like the two below
	DocumentUntil string
	CSV           string
	SubmitURL     string
	AskURL        string // for another letter
}

// IdentifyCard takes number, PIN and operations key of a municipal card.
type IdentifyCard struct {
	Page
	Card      string // as typed before
	SubmitURL string
	KeyURL    string // for a first key, and for another
}

// AskCardKey asks for the card that a new operations key is for.
type AskCardKey struct {
	Page
	Card      string // as typed before
	SubmitURL string
	BackURL   string
}

// CardKeyAsked tells that a key comes by mail if the data are right.
type CardKeyAsked struct {
	Page
	EnterURL string
	AgainURL string
}

func (*AskPIN) template() string       { return "pin" }
func (*TypePIN) template() string      { return "pin-code" }
func (*AskLetter) template() string    { return "letter" }
func (*LetterAsked) template() string  { return "letter-asked" }
func (*AnswerLetter) template() string { return "letter-code" }
func (*IdentifyCard) template() string { return "card" }
func (*AskCardKey) template() string   { return "card-key" }
func (*CardKeyAsked) template() string { return "card-key-asked" }
