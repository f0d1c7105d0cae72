package desk

import (
	"context"
	"errors"
	"fmt"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
)

// Act is what an officer wants done. What of it is needed depends on its kind.
type Act struct {
	Kind       citizen.ActKind
	CitizenID  string // for the log; empty of somebody to be registered
	Identifier string
	// Person is whom to register.
	Person *Person
	// Document is what the person showed, to be registered or renewed.
	Document      Document
	Passport      string // its number
	Phone         string
	Email         string
	DocumentUntil string // year-month-day
	// CRLWord is why certificates are revoked, as acts spell it.
	CRLWord string
	// WithoutDocument is a change of mobile for somebody who could not show an
	// identity document: a second officer has to confirm it.
	WithoutDocument bool
	// Certified names the document that certifies a death.
	Certified string
	// Subject is the id of the incident, with Outcome, or of the recording.
	Subject string
	Outcome string
}

// Person is whom an officer registers.
type Person struct {
	Identifier    string `json:"identifier"`
	GivenName     string `json:"given_name"`
	Surnames      string `json:"surnames"`
	Phone         string `json:"phone"`
	Email         string `json:"email"`
	DocumentUntil string `json:"document_until"`
	Locale        string `json:"locale,omitzero"`
}

// Document is the kind of identity document that a person showed.
type Document string

// The documents that an office accepts. A passport has no DNI's check letter,
// so the DNI number is asked for with it.
const (
	DNI      Document = "dni"
	NIE      Document = "nie"
	Passport Document = "passport" // Spanish
)

// statement is an act as it is signed: the members of package citizen's.
type statement struct {
	Act             citizen.ActKind   `json:"act"`
	Officer         string            `json:"officer"`
	ConfirmedBy     string            `json:"confirmed_by,omitzero"`
	Citizen         *Person           `json:"citizen,omitzero"`
	Mode            string            `json:"mode,omitzero"`
	Evidence        map[string]string `json:"evidence,omitzero"`
	Identifier      string            `json:"identifier,omitzero"`
	Phone           string            `json:"phone,omitzero"`
	Email           string            `json:"email,omitzero"`
	DocumentUntil   string            `json:"document_until,omitzero"`
	WithoutDocument bool              `json:"without_document,omitzero"`
	Subject         string            `json:"subject,omitzero"`
	Reason          string            `json:"reason,omitzero"`

	Application *citizen.ApplicationChange `json:"application,omitzero"`
}

// said is the act in the words of a statement.
func (act Act) said(a Asking) statement {
	s := statement{Act: act.Kind, Officer: signature(a.Officer), Identifier: act.Identifier}
	switch act.Kind {
	case citizen.ActRegister:
		s.Citizen, s.Identifier = act.Person, ""
		s.Evidence = act.evidence()
	case citizen.ActRenewRegistration:
		s.DocumentUntil, s.Evidence = act.DocumentUntil, act.evidence()
	case citizen.ActRenewActivation:
	case citizen.ActRevoke:
		s.Reason = act.CRLWord
	case citizen.ActChangePhone:
		s.Phone, s.WithoutDocument, s.Reason = act.Phone, act.WithoutDocument, a.Reason
	case citizen.ActChangeEmail:
		s.Email, s.Reason = act.Email, a.Reason
	case citizen.ActReportDeath:
		s.Reason, s.Evidence = a.Reason, map[string]string{"document": act.Certified}
	case citizen.ActCloseIncident:
		s.Subject, s.Reason = act.Subject, act.Outcome
	default:
		s.Reason = a.Reason
	}
	return s
}

// evidence is what the person showed.
func (act Act) evidence() map[string]string {
	if act.Document == "" {
		return nil
	}
	shown := map[string]string{"document": string(act.Document)}
	if act.Document == Passport {
		shown["document_number"] = act.Passport
	}
	return shown
}

// needsSecond is whether one officer is not enough.
func (act Act) needsSecond() bool {
	return act.Kind == citizen.ActChangePhone && act.WithoutDocument || act.Kind == citizen.ActMassRevocation || act.Kind == citizen.ActCorrectDeath
}

// Do has an act carried out that one officer may ask for. The receipt is empty
// where the act leaves none.
func (s *Service) Do(ctx context.Context, a Asking, act Act) (citizen.Receipt, error) {
	if err := a.admit(); err != nil {
		return citizen.Receipt{}, err
	}
	if act.needsSecond() {
		return citizen.Receipt{}, policies.Refuse(policies.SecondOfficerNeeded)
	}
	return s.perform(ctx, a, act.said(a), about{citizenID: act.CitizenID, subject: act.Subject})
}

// about is what an entry says of an act beside the act.
type about struct {
	citizenID, subject, order, second string
}

// perform signs a statement, writes down who asked for it and why, and has it
// carried out.
func (s *Service) perform(ctx context.Context, a Asking, wanted statement, of about) (citizen.Receipt, error) {
	pen, ok := s.Pens[a.Officer.Office]
	if !ok {
		return citizen.Receipt{}, policies.Refuse(policies.OfficeActInvalid, "reason", "office")
	}
	act, err := pen.Sign(wanted)
	if err != nil {
		return citizen.Receipt{}, fmt.Errorf("signing an act: %w", err)
	}
	read, err := citizen.ReadAct(act.JWS)
	if err != nil {
		return citizen.Receipt{}, err
	}
	facts := map[string]any{"act": string(wanted.Act), "statement": read.ID}
	for name, value := range map[string]string{"subject": of.subject, "order": of.order, "confirmed_by": of.second} {
		if value != "" {
			facts[name] = value
		}
	}
	about := subject{operation: of.citizenID, person: read.Identifier.String()}
	if err := s.record(ctx, a, audit.DeskActed, about, facts); err != nil {
		return citizen.Receipt{}, err
	}
	return s.Register.Perform(ctx, act)
}

// asRefusal is the refusal that an error is, if it is one.
func asRefusal(err error) (*policies.Refusal, bool) {
	refusal := (*policies.Refusal)(nil)
	ok := errors.As(err, &refusal)
	return refusal, ok
}
