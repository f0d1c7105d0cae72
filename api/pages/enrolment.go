package pages

import (
	"time"

	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
)

// The views of registration on line, and of what else somebody does who shows
// a certificate.

// Names of their fields.
const (
	FieldMobile       = "mobile"
	FieldContactEmail = "contact_email"
)

// enrolmentInput fills in a field of theirs, and tells whether it is one.
func enrolmentInput(input *Input) bool {
	switch input.Name {
	case FieldMobile:
		input.Type, input.Autocomplete, input.InputMode, input.Hint, input.Width, input.MaxLength = "tel", "tel", "tel", true, "short", 20
	case FieldContactEmail:
		input.Type, input.Autocomplete, input.InputMode, input.Hint = "email", "email", "email", true
	default:
		return false
	}
	return true
}

// RegisterWays tells how somebody comes to be registered. A way that the
// deployment does not have has no address.
type RegisterWays struct {
	Page
	// Strict is the reading of the five-year rule by which a certificate other
	// than the DNIe's registers for identification alone.
	Strict         bool
	CertificateURL string
	LetterURL      string
	OfficesURL     string
	ActivateURL    string
}

// ShowCertificate says what somebody is about who is asked for a certificate,
// before anything is asked. Its sentences are procedure.<Procedure>.
type ShowCertificate struct {
	Page
	Procedure  citizen.Procedure
	Years      int    // that a registration holds
	Hours      int    // that follow a change of mobile
	StartURL   string // empty where the deployment asks for no certificates
	OfficesURL string
}

// EnrolData asks whoever has shown a certificate or answered a letter for the
// rest.
type EnrolData struct {
	Page
	Procedure     citizen.Procedure
	Kind          citizen.EnrolmentKind
	Signer        Signer
	Mobile        string // as typed before, like the two below
	Email         string
	DocumentUntil string
	// Obstacles are what the registration will not be enough for.
	Obstacles []*policies.Refusal
	Hours     int
	SubmitURL string
	BackURL   string
}

// Asks tells which fields there are.
func (v *EnrolData) Asks(field string) bool {
	switch field {
	case FieldMobile:
		return v.Procedure == citizen.ProcedureRegister || v.Procedure == citizen.ProcedurePhone
	case FieldDocumentUntil: // the letter's was typed and checked before
		return v.Procedure == citizen.ProcedureRegister && v.Kind != citizen.ByLetter || v.Procedure == citizen.ProcedureRenew
	default:
		return v.Procedure == citizen.ProcedureRegister
	}
}

// EnrolCode takes the code that was sent to the mobile that was typed.
type EnrolCode struct {
	Page
	CodeSent
	Procedure citizen.Procedure
	SubmitURL string
	BackURL   string // where another number is typed
}

// EnrolDone tells what has been done. The activation code is shown this once.
type EnrolDone struct {
	Page
	Procedure      citizen.Procedure
	At             time.Time
	ActivationCode string // in groups; empty where none was issued
	Until          time.Time
	Obstacles      []*policies.Refusal
	Tail           string // of the mobile
	Hours          int
	ReceiptURL     string
	ActivateURL    string
	OwnURL         string
}

func (*RegisterWays) template() string    { return "register" }
func (*ShowCertificate) template() string { return "procedure" }
func (*EnrolData) template() string       { return "enrol-data" }
func (*EnrolCode) template() string       { return "enrol-code" }
func (*EnrolDone) template() string       { return "enrol-done" }
