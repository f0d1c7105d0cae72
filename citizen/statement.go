package citizen

import (
	"encoding/json/jsontext"
	"encoding/json/v2"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/language"

	"github.com/rubrica-firma/rubrica/policies"
)

// ActKind is what an office may do.
type ActKind string

// The acts of an office.
const (
	ActRegister        ActKind = "register"
	ActRenewActivation ActKind = "renew_activation"
	ActBlock           ActKind = "block"
	ActUnblock         ActKind = "unblock"
	ActRevoke          ActKind = "revoke"  // of the certificates; the key is destroyed
	ActSuspend         ActKind = "suspend" // of the certificate; key and password stay
	ActRelease         ActKind = "release" // of a suspended certificate
	ActDeregister      ActKind = "deregister"
	ActReportDeath     ActKind = "report_death"  // deregisters for good, and writes to nobody
	ActCorrectDeath    ActKind = "correct_death" // of somebody who lives

	ActRenewRegistration  ActKind = "renew_registration" // the identity was proved again
	ActChangePhone        ActKind = "change_phone"
	ActChangeEmail        ActKind = "change_email"
	ActPresentCertificate ActKind = "present_certificate" // somebody showed one at the certificate door
	ActPrintLetter        ActKind = "print_letter"
	ActCloseIncident      ActKind = "close_incident"

	// ActChangeApplication is of no citizen: a supervisor administers a client. The
	// signer takes it from the registrar alone.
	ActChangeApplication ActKind = "change_application"
)

// Statement is what an act says: read, not believed. Only those that
// Desk.Accept returned without an error were said by the office that they name.
type Statement struct {
	ID         string // jti, the office's own and never again
	Office     string // client id
	OfficeName string // as the office is registered, once that is known
	Audience   string
	At         time.Time
	Kind       ActKind
	Officer    string // who was at the desk
	Second     string // the officer who confirmed it, empty if none did
	Identifier Identifier
	// Application is the person to register, without office and officer.
	Application Application
	// Renewal is how an identity was proved again, without who acts.
	Renewal Renewal
	Phone   Phone
	Email   Email
	// Evidence is what proves it, in words; of a death, "document" names the one
	// that certifies it.
	Evidence map[string]string
	// WithoutDocument says that who asked for it showed no identity document.
	WithoutDocument bool
	Presentation    Presentation
	Subject         string // id of the letter or incident that it is about
	Change          ApplicationChange
	// Reason is why, in words; CRLReason why, for RFC 5280, section 5.3.1.
	Reason    string
	CRLReason int
}

// By is who acts, for the log; the zero value is the citizen.
type By struct {
	Office    string // client id
	Officer   string // who was at the desk
	Second    string // the officer who confirmed it
	Statement string // id of what the office signed, and can be held to
}

// By says who acts.
func (s Statement) By() By {
	return By{Office: s.Office, Officer: s.Officer, Second: s.Second, Statement: s.ID}
}

// String names all three.
func (b By) String() string {
	switch {
	case b == By{}:
		return "citizen"
	case b.Statement == "":
		return b.Office
	default:
		return fmt.Sprintf("%s: %s (act %s)", b.Office, b.Officer, b.Statement)
	}
}

// into adds what there is of them to the facts of an entry.
func (b By) into(facts map[string]any) map[string]any {
	for name, value := range map[string]string{"office": b.Office, "officer": b.Officer, "confirmed_by": b.Second, "statement": b.Statement} {
		if value != "" {
			facts[name] = value
		}
	}
	return facts
}

// wireStatement is the payload of an act (RFC 7519, section 4.1, for its first
// four members).
type wireStatement struct {
	Issuer     string       `json:"iss"`
	Audience   string       `json:"aud"`
	IssuedAt   int64        `json:"iat"`
	ID         string       `json:"jti"`
	Act        ActKind      `json:"act"`
	Officer    string       `json:"officer"`
	Citizen    *wireCitizen `json:"citizen"`
	Identifier *string      `json:"identifier"`
	Reason     *string      `json:"reason"`

	Second          *string           `json:"confirmed_by"`
	Mode            *string           `json:"mode"`
	Evidence        map[string]string `json:"evidence"`
	DocumentUntil   *string           `json:"document_until"`
	Phone           *string           `json:"phone"`
	Email           *string           `json:"email"`
	WithoutDocument *bool             `json:"without_document"`
	Subject         *string           `json:"subject"`

	Change *ApplicationChange `json:"application"`

	Certificate *wireCertificate `json:"certificate"`
	Challenge   *string          `json:"challenge"`
	Procedure   *string          `json:"procedure"`
}

type wireCitizen struct {
	Identifier    string  `json:"identifier"`
	GivenName     string  `json:"given_name"`
	Surnames      string  `json:"surnames"`
	Phone         string  `json:"phone"`
	Email         string  `json:"email"`
	DocumentUntil string  `json:"document_until"`
	Locale        *string `json:"locale"`
}

// ReadAct reads an act without believing it, so that a door can say early what
// is wrong with its form. What the contract does not have is refused, and so
// is a member given twice.
func ReadAct(jws string) (Statement, error) {
	s, _, err := readAct(jws)
	return s, err
}

func readAct(jws string) (Statement, letter, error) {
	l, ok := openLetter(jws)
	if !ok {
		return Statement{}, letter{}, malformedAct("")
	}
	var wire wireStatement
	if err := json.Unmarshal(l.payload, &wire, json.RejectUnknownMembers(true)); err != nil {
		return Statement{}, letter{}, malformedAct(place(err))
	}
	s, err := wire.parse()
	return s, l, err
}

// maxPlace bounds what of a statement's own member names comes back.
const maxPlace = 100

// place is the JSON pointer to what cannot be read.
func place(err error) string {
	var (
		semantic  *json.SemanticError
		syntactic *jsontext.SyntacticError
		at        string
	)
	if errors.As(err, &semantic) {
		at = string(semantic.JSONPointer)
	} else if errors.As(err, &syntactic) {
		at = string(syntactic.JSONPointer)
	}
	return strings.ToValidUTF8(at[:min(len(at), maxPlace)], "")
}

// malformedAct refuses the form of an act, at a member where there is one.
func malformedAct(field string) *policies.Refusal {
	if field == "" {
		return invalidAct("format")
	}
	return policies.Refuse(policies.OfficeActInvalid, "reason", "format", "field", field)
}

func invalidAct(reason string) *policies.Refusal {
	return policies.Refuse(policies.OfficeActInvalid, "reason", reason)
}

func (w wireStatement) parse() (Statement, error) {
	s := Statement{
		ID: w.ID, Office: w.Issuer, Audience: w.Audience, At: time.Unix(w.IssuedAt, 0).UTC(), Kind: w.Act, Officer: w.Officer,
	}
	switch {
	case w.Issuer == "":
		return s, malformedAct("/iss")
	case w.Audience == "":
		return s, malformedAct("/aud")
	case w.IssuedAt <= 0:
		return s, malformedAct("/iat")
	case !isActID(w.ID):
		return s, malformedAct("/jti")
	case !policies.IsLine(w.Officer, maxOfficer):
		return s, malformedAct("/officer")
	}
	if err := w.checkMembers(); err != nil {
		return s, err
	}
	if w.Second != nil {
		if s.Second = *w.Second; !policies.IsLine(s.Second, maxOfficer) {
			return s, malformedAct("/confirmed_by")
		}
	}
	return s, w.parseMembers(&s)
}

// parseMembers reads what the act has, which checkMembers has looked at.
func (w wireStatement) parseMembers(s *Statement) (err error) {
	mode, evidence, err := w.parseProof()
	if err != nil {
		return err
	}
	switch {
	case w.Citizen != nil:
		s.Application, err = w.Citizen.parse()
		s.Application.Mode, s.Application.Evidence = mode, evidence
		s.Identifier = s.Application.Identifier
	case w.Certificate != nil:
		s.Presentation, err = w.parsePresentation()
		s.Identifier = s.Presentation.Identifier
	case w.Change != nil:
		s.Change, err = w.Change.parse()
	default:
		s.Identifier, err = ParseIdentifier(*w.Identifier)
	}
	if err != nil {
		return err
	}
	if s.Kind == ActReportDeath && evidence["document"] == "" {
		return malformedAct("/evidence/document")
	}
	s.Evidence, s.Renewal = evidence, Renewal{Mode: mode, Evidence: evidence}
	if w.DocumentUntil != nil {
		if s.Renewal.DocumentUntil, err = parseDay(*w.DocumentUntil); err != nil {
			return err
		}
	}
	if w.Phone != nil {
		if s.Phone, err = ParsePhone(*w.Phone); err != nil {
			return err
		}
	}
	if w.Email != nil {
		if s.Email, err = ParseEmail(*w.Email); err != nil {
			return err
		}
	}
	if w.Subject != nil {
		if s.Subject = *w.Subject; !policies.IsLine(s.Subject, maxSubject) {
			return malformedAct("/subject")
		}
	}
	s.WithoutDocument = w.WithoutDocument != nil && *w.WithoutDocument
	if w.Reason != nil {
		s.Reason = *w.Reason
		s.CRLReason, err = parseReason(s.Kind, s.Reason)
	}
	return err
}

// checkMembers wants the members of the act and no other's.
func (w wireStatement) checkMembers() error {
	must, may, known := membersOf(w.Act)
	if !known {
		return malformedAct("/act")
	}
	for _, m := range []struct {
		name string
		here bool
	}{
		{"citizen", w.Citizen != nil},
		{"identifier", w.Identifier != nil},
		{"reason", w.Reason != nil},
		{"mode", w.Mode != nil},
		{"evidence", w.Evidence != nil},
		{"document_until", w.DocumentUntil != nil},
		{"phone", w.Phone != nil},
		{"email", w.Email != nil},
		{"without_document", w.WithoutDocument != nil},
		{"subject", w.Subject != nil},
		{"certificate", w.Certificate != nil},
		{"challenge", w.Challenge != nil},
		{"procedure", w.Procedure != nil},
		{"application", w.Change != nil},
	} {
		if m.here != slices.Contains(must, m.name) && (!m.here || !slices.Contains(may, m.name)) {
			return malformedAct("/" + m.name)
		}
	}
	return nil
}

// membersOf are the members that an act must have and may have.
func membersOf(kind ActKind) (must, may []string, known bool) {
	proof := []string{"mode", "evidence"}
	switch kind {
	case ActRegister:
		return []string{"citizen"}, proof, true
	case ActRenewRegistration:
		return []string{"identifier", "document_until"}, proof, true
	case ActRenewActivation:
		return []string{"identifier"}, nil, true
	case ActBlock, ActUnblock, ActRevoke, ActSuspend, ActRelease, ActDeregister, ActCorrectDeath:
		return []string{"identifier", "reason"}, nil, true
	case ActReportDeath:
		return []string{"identifier", "reason", "evidence"}, nil, true
	case ActChangePhone:
		return []string{"identifier", "phone", "reason"}, []string{"without_document"}, true
	case ActChangeEmail:
		return []string{"identifier", "email", "reason"}, nil, true
	case ActPresentCertificate:
		return []string{"certificate", "challenge", "procedure"}, []string{"evidence"}, true
	case ActPrintLetter:
		return []string{"identifier", "subject"}, nil, true
	case ActCloseIncident:
		return []string{"identifier", "subject", "reason"}, nil, true
	case ActChangeApplication:
		return []string{"application", "reason"}, nil, true
	case ActMassRevocation: // the desk's order, which is carried out by acts of each
	}
	return nil, nil, false
}

// Lengths in characters.
const (
	maxOfficer = 100
	maxReason  = 300
	maxSubject = 64
)

// isActID is whether a jti can hold the 128 random bits that keep it from being
// drawn twice: 22 characters of base64url, 32 of hexadecimal, a UUID.
func isActID(s string) bool {
	const sign = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return len(s) >= 22 && len(s) <= 64 && strings.Trim(s, sign) == ""
}

// parseReason reads why: for a revocation by the names of CRLReason that can be
// true of a citizen's certificate, else in the officer's words.
func parseReason(kind ActKind, reason string) (int, error) {
	if kind != ActRevoke && policies.IsLine(reason, maxReason) {
		return Unspecified, nil
	}
	if kind == ActRevoke {
		switch reason {
		case "unspecified":
			return Unspecified, nil
		case "key_compromise":
			return KeyCompromise, nil
		case "affiliation_changed":
			return AffiliationChanged, nil
		case "cessation_of_operation":
			return CessationOfOperation, nil
		}
	}
	return 0, malformedAct("/reason")
}

// parse reads what the officer wrote down.
func (w wireCitizen) parse() (a Application, err error) {
	if a.Identifier, err = ParseIdentifier(w.Identifier); err != nil {
		return a, err
	}
	if a.Name, err = ParseName(w.GivenName, w.Surnames); err != nil {
		return a, err
	}
	if a.Phone, err = ParsePhone(w.Phone); err != nil {
		return a, err
	}
	if a.Email, err = ParseEmail(w.Email); err != nil {
		return a, err
	}
	if a.DocumentUntil, err = parseDay(w.DocumentUntil); err != nil {
		return a, err
	}
	locale := language.Spanish
	if w.Locale != nil {
		if locale, err = language.Parse(*w.Locale); err != nil || len(*w.Locale) > 35 {
			return a, malformedAct("/citizen/locale")
		}
	}
	a.Locale = locale.String()
	return a, nil
}

// parseDay reads until when an identity document is valid.
func parseDay(s string) (time.Time, error) {
	day, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return day, policies.Refuse(policies.IdentityDocumentExpiry).From(policies.SourceRegister)
	}
	return day, nil
}
