package pages

import (
	"fmt"
	"time"

	"github.com/rubrica-firma/rubrica/api/auditing"
	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/policies"
)

// The views of the auditor's door.

// Names of the auditor's form fields.
const (
	FieldCitizen     = "dni"
	FieldSerial      = "serie"
	FieldHash        = "huella"
	FieldFile        = "archivo"
	FieldApplication = "aplicacion"
	FieldOperation   = "operacion"
	FieldEvent       = "tipo"
	FieldResult      = "resultado"
	FieldFrom        = "desde"
	FieldFromTime    = "desde_hora"
	FieldTo          = "hasta"
	FieldToTime      = "hasta_hora"
	FieldPurpose     = "motivo"
	FieldFormat      = "formato"
	FieldScope       = "alcance"
)

// AuditField is one field of the auditor's forms: none has to be filled in
// unless the page says so. Its words are audit.field.<Name>.label and .hint.
type AuditField struct {
	Name, Type, Value string
	Hint              bool
	Width             string
	Problem           *policies.Refusal
	// Choices make it a list to choose from, Groups one with headings.
	Choices []Choice
	Groups  []ChoiceGroup
}

// Choice is a value and its words.
type Choice struct{ Value, Text string }

// ChoiceGroup is a heading and what stands below it.
type ChoiceGroup struct {
	Label   string
	Choices []Choice
}

// newAuditField makes a field of a page, with its problem if it has one.
func newAuditField(page *Page, name, value string) AuditField {
	field := AuditField{Name: name, Type: "text", Value: value, Problem: page.Problem(name)}
	switch name {
	case FieldCitizen:
		field.Hint, field.Width = true, "short"
	case FieldSerial, FieldHash, FieldOperation:
		field.Hint = true
	case FieldFrom, FieldTo:
		field.Type, field.Width = "date", "date"
	case FieldFromTime, FieldToTime:
		field.Type, field.Width = "time", "time"
	case FieldPurpose:
		field.Hint = true
	}
	return field
}

// newAuditChoice makes a list to choose from, of choices or groups of them.
func newAuditChoice(page *Page, name, value string, from any) (AuditField, error) {
	field := AuditField{Name: name, Value: value, Problem: page.Problem(name)}
	switch choices := from.(type) {
	case []Choice:
		field.Choices = choices
	case []ChoiceGroup:
		field.Groups = choices
	default:
		return AuditField{}, fmt.Errorf("field %q: nothing to choose from in a %T", name, from)
	}
	return field, nil
}

// rangeOf is the part of a form that asks for a beginning and an end.
type rangeOf struct {
	View                       View
	From, FromTime, To, ToTime string
}

func newRange(view View, from, fromTime, to, toTime string) rangeOf {
	return rangeOf{view, from, fromTime, to, toTime}
}

// Page is that of the form.
func (r rangeOf) Page() *Page { return r.View.page() }

// AuditLogin asks who is there.
type AuditLogin struct {
	Page
	Certificate    bool // the connection carries one
	CertificateURL string
	Ended          bool // the last session
}

// AuditPurpose asks why the log is consulted.
type AuditPurpose struct {
	Page
	Purpose   string // as typed, or as stated before
	SubmitURL string
	BackURL   string // empty the first time
}

// AuditInvited lets somebody who was invited add a passkey. The invitation is in
// the part of the address that browsers keep to themselves.
type AuditInvited struct{ Page }

// SearchForm is what was typed.
type SearchForm struct {
	Citizen, Serial, Hash, Application, Operation, Event, Result string
	From, FromTime, To, ToTime                                   string
	// File is the name of the file whose fingerprint Hash is, if one was sent.
	File string
}

// AuditSearch is the form, and what was found if something was looked for.
type AuditSearch struct {
	Page
	Form         SearchForm
	Applications []Choice
	SubmitURL    string
	UploadURL    string
	UploadLimit  int64
	// Found is nil while nothing was looked for.
	Found *AuditFound
}

// AuditFound is a page of results.
type AuditFound struct {
	Rows []AuditRow
	// Asked are the filters in words, as pairs of a field's name and its value.
	Asked []AskedFor
	// Size is that of the log as searched: the last entry looked at.
	Size int64
	// Later is whether this is not the first page.
	Later              bool
	FirstURL, NextURL  string
	ChangeURL, SaveURL string // the form filled in; the export of this query
}

// AskedFor is a filter that was set.
type AskedFor struct {
	Field string
	Text  string
	Day   time.Time       // where it is one; Text is then the time of day, if given
	Event audit.EventType // where it is one
	Group string
	// Outcome is a result.
	Outcome audit.Result
}

// AuditRow is an entry in a list.
type AuditRow struct {
	auditing.Entry
	Application string // in words
	Client      string // its id
	URL         string
	StepsURL    string // the operation
}

// State tells whether an entry can be believed.
func (r AuditRow) State() string { return entryState(r.Entry) }

// The states of an entry.
const (
	stateIntact  = "intact"
	stateErased  = "erased"
	stateAltered = "altered"
)

func entryState(e auditing.Entry) string {
	switch {
	case !e.Intact:
		return stateAltered
	case e.Erased:
		return stateErased
	}
	return stateIntact
}

// AuditEntry is one entry with everything that it tells.
type AuditEntry struct {
	Page
	AuditRow
	Leaf       string // hex, as the tree has it
	Commitment string // hex: of salt and payload
	Salt       string // hex
	Payload    string // as committed to
	Proven     bool   // there is a proof
	Witnessed  bool
	ProofURL   string
	BackURL    string // the results it was found in; may be empty
}

// AuditOperation is one operation as a time line.
type AuditOperation struct {
	Page
	Operation string
	Person    string
	// Application is in words; empty if the operation has none.
	Application string
	Steps       []AuditStep
	Size        int64
	More        bool // there are more than are shown
}

// Took is the time from the first event to the last.
func (o *AuditOperation) Took() time.Duration {
	if len(o.Steps) == 0 {
		return 0
	}
	return o.Steps[len(o.Steps)-1].At.Sub(o.Steps[0].At)
}

// AuditStep is an event of an operation, and how long after the one before.
type AuditStep struct {
	AuditRow
	First bool
	After time.Duration
}

// AuditTotals counts what happened in a range of days.
type AuditTotals struct {
	Page
	From, To      string // as typed
	Application   string
	Applications  []Choice
	SubmitURL     string
	Counted, Size int64
	Monthly       bool // too many days to tell apart
	Charts        []Chart
}

// Behind is how many entries are not in the totals yet.
func (t *AuditTotals) Behind() int64 { return max(0, t.Size-t.Counted) }

// AuditHealth is how the log stands, readable from across a room.
type AuditHealth struct {
	Page
	auditing.Health
	AgainURL string
}

// lateAfter is how long entries may wait for their witnesses before the tile
// says so: publication takes seconds.
const lateAfter = time.Minute

// State names what the tile says: suspended, unpublished, late or good.
func (h *AuditHealth) State() string {
	switch {
	case h.Suspended:
		return "suspended"
	case h.Witnessed.At.IsZero():
		return "unpublished"
	case h.Witnessed.Lag > 0 && h.Witnessed.Age > lateAfter:
		return "late"
	}
	return "good"
}

// Tone and Icon go with the state; its words tell the same.
func (h *AuditHealth) Tone() string {
	return map[string]string{"suspended": "error", "unpublished": "warn", "late": "warn", "good": "good"}[h.State()]
}

// Icon is the tile's symbol.
func (h *AuditHealth) Icon() string {
	return map[string]string{"suspended": "error", "unpublished": "warning", "late": "clock", "good": "check"}[h.State()]
}

// Seen are the witnesses that have seen something.
func (h *AuditHealth) Seen() []auditing.WitnessHealth {
	var seen []auditing.WitnessHealth
	for _, witness := range h.Witnesses {
		if !witness.At.IsZero() && witness.Size >= h.Witnessed.Size {
			seen = append(seen, witness)
		}
	}
	return seen
}

// AuditExport asks in which form entries are to be taken away.
type AuditExport struct {
	Page
	From, FromTime, To, ToTime string // as typed
	Scope                      string // complete, or query
	Format                     string
	// Asked is the query that the export can be of, nil if there is none; Search
	// is what carries it.
	Asked     []AskedFor
	Search    string
	SubmitURL string
	VerifyURL string
	SearchURL string
}

// AuditVerify is the one page that says how everything can be verified without
// this service.
type AuditVerify struct {
	Page
	Origin string
	LogURL string // where the log is published
}

// AuditPeople lists who may come in.
type AuditPeople struct {
	Page
	People []AuditPerson
	// Invited is an invitation just made: it is shown once and never again.
	Invited *AuditInvitation
}

// AuditPerson is one account.
type AuditPerson struct {
	ID, Name, Role        string
	CreatedAt, DisabledAt time.Time
	Passkeys              int
	Certificate, Program  bool
	Self                  bool // the reader's own
	InviteURL, DisableURL string
}

// Enrolled is whether there is a way in.
func (p AuditPerson) Enrolled() bool { return p.Passkeys > 0 || p.Certificate || p.Program }

// AuditInvitation is a link by which a passkey may be added.
type AuditInvitation struct {
	Name, Link string
	Until      time.Time
}

// AuditDisable asks before an account is closed.
type AuditDisable struct {
	Page
	Person             AuditPerson
	SubmitURL, BackURL string
}

func (*AuditLogin) template() string     { return "auditor-login" }
func (*AuditPurpose) template() string   { return "auditor-purpose" }
func (*AuditInvited) template() string   { return "auditor-invited" }
func (*AuditSearch) template() string    { return "auditor-search" }
func (*AuditEntry) template() string     { return "auditor-entry" }
func (*AuditOperation) template() string { return "auditor-operation" }
func (*AuditTotals) template() string    { return "auditor-totals" }
func (*AuditHealth) template() string    { return "auditor-health" }
func (*AuditExport) template() string    { return "auditor-export" }
func (*AuditVerify) template() string    { return "auditor-verify" }
func (*AuditPeople) template() string    { return "auditor-people" }
func (*AuditDisable) template() string   { return "auditor-disable" }

// policy is what a page may do beside what all may: passkeys ask the server from
// the script.
func (*AuditLogin) policy() []string { return []string{"connect-src 'self'"} }

func (*AuditInvited) policy() []string { return []string{"connect-src 'self'"} }

// A file is hashed beside the page.
func (*AuditSearch) policy() []string { return []string{"worker-src 'self'"} }
