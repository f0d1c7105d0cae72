package pages

import (
	"cmp"
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"

	"github.com/rubrica-firma/rubrica/api/desk"
	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// The views of the officers' desk.

// Names of the desk's form fields.
const (
	deskFieldReason        = "motivo"
	deskFieldRejection     = "rechazo"
	deskFieldAsked         = "busqueda"
	deskFieldDocument      = "documento"
	deskFieldPassport      = "pasaporte"
	deskFieldDNI           = "dni"
	deskFieldGivenName     = "nombre"
	deskFieldSurnames      = "apellidos"
	deskFieldPhone         = "movil"
	deskFieldMail          = "correo"
	deskFieldDocumentUntil = "validez"
	deskFieldLocale        = "lengua"
	deskFieldCRLReason     = "causa"
	deskFieldUndocumented  = "sin_documento"
	deskFieldList          = "lista"
	deskFieldOutcome       = "resultado"
	deskFieldCertified     = "acreditacion"
	deskFieldSealed        = "sellado"
)

// DeskField is one field of the desk's forms. Its words are
// desk.field.<Name>.label and .hint; of a choice, desk.choice.<Name>.<value>.
type DeskField struct {
	Name, Type, Value string
	InputMode         string
	Width             string
	MaxLength         int
	Rows              int // of a textarea; 0: ten
	Hint              bool
	Optional          bool
	Focus             bool // where the work begins
	Choices           []string
	Problem           *policies.Refusal
}

// newDeskField makes a field of a page, with its problem if it has one.
func newDeskField(page *Page, name, value string) (DeskField, error) {
	f := DeskField{Name: name, Type: "text", Value: value, MaxLength: 200, Problem: page.Problem(name)}
	switch name {
	case deskFieldReason, deskFieldRejection, deskFieldOutcome, deskFieldCertified:
		f.Hint = true
	case deskFieldAsked:
		f.Hint, f.Focus = true, len(page.Problems) == 0
	case deskFieldDocument:
		f.Choices, f.Hint, f.Focus = []string{string(desk.DNI), string(desk.NIE), string(desk.Passport)}, true, len(page.Problems) == 0
	case deskFieldDNI:
		f.Width, f.MaxLength, f.Hint = "short", 20, true
	case deskFieldPassport:
		f.Width, f.MaxLength, f.Hint, f.Optional = "short", 20, true, true
	case deskFieldGivenName, deskFieldSurnames:
	case deskFieldPhone:
		f.Type, f.InputMode, f.Width, f.MaxLength, f.Hint = "tel", "tel", "short", 20, true
	case deskFieldMail:
		f.Type, f.InputMode = "email", "email"
	case deskFieldDocumentUntil:
		f.Type, f.Width, f.Hint = "date", "date", true
	case deskFieldLocale:
		f.Choices = []string{"es", "ca", "ca-valencia", "gl", "eu", "en"}
	case deskFieldCRLReason:
		f.Choices = []string{"unspecified", "key_compromise", "affiliation_changed", "cessation_of_operation"}
	case deskFieldUndocumented:
		f.Type, f.Hint = "checkbox", true
	case deskFieldList:
		f.Type, f.Hint, f.MaxLength = "textarea", true, 20_000
	default:
		if !f.application(page) {
			return f, fmt.Errorf("no field %q", name)
		}
	}
	return f, nil
}

// DeskLogin asks who is there.
type DeskLogin struct {
	Page
	Certificate    bool // the connection carries one
	CertificateURL string
	Ended          bool // the last session
}

// DeskInvited lets an officer who was invited add a passkey.
type DeskInvited struct{ Page }

// DeskReason asks why somebody is going to be looked up.
type DeskReason struct {
	Page
	Reason             string
	SubmitURL, BackURL string
}

// DeskSearch is where the work begins: the search, and what it found.
type DeskSearch struct {
	Page
	Asked, Reason string // as typed
	SubmitURL     string
	// Found is nil while nothing was looked for.
	Found *DeskFound
}

// DeskFound is what a search found.
type DeskFound struct {
	Matches []DeskMatch
	More    bool
	// RegisterURL takes Identifier, where one was looked for, to registration.
	RegisterURL, Identifier string
	// DeathURL takes it to where a death is written down.
	DeathURL string
}

// DeskMatch is a person in a list.
type DeskMatch struct {
	citizen.Match

	URL string
}

// DeskFile is a citizen's file.
type DeskFile struct {
	Page
	desk.File

	Now  time.Time
	Done string // the act just done, as its address names it
	// Acts are what can be done, each a link; those of the second list end
	// something.
	Acts, Endings []DeskDeed
	// AgainURL registers anew somebody whose registration has ended.
	AgainURL string
	Past     []DeskPast
}

// DeskDeed is a way to an act; its words are desk.act.<Name>.
type DeskDeed struct{ Name, URL string }

// DeskPast is an entry of the log about the registration.
type DeskPast struct {
	audit.Record

	Office, Officer, Reason string
}

// Whole is the person's name.
func (f *DeskFile) Whole() string { return whole(f.Citizen) }

// whole is the number, of who died without having been registered.
func whole(c signer.Citizen) string {
	return cmp.Or(strings.TrimSpace(c.GivenName+" "+c.Surnames), c.Identifier)
}

// State is how a certificate stands now.
func (f *DeskFile) State(i citizen.Issued) string {
	switch {
	case i.Suspended():
		return "suspended"
	case !i.RevokedAt.IsZero():
		return "revoked"
	case f.Now.After(i.NotAfter):
		return "expired"
	}
	return "valid"
}

// Obstacles are what stands between the citizen and a certificate, without what
// time alone mends: that there is one is no obstacle here.
func (f *DeskFile) Obstacles() []*policies.Refusal {
	return slices.DeleteFunc(slices.Clone(f.Report.Certify), func(r *policies.Refusal) bool {
		return r.Code == policies.CredentialExists || r.Code == policies.RenewalTooEarly
	})
}

// DeskRegister writes down a new citizen.
type DeskRegister struct {
	Page
	Form      DeskForm
	SubmitURL string
}

// DeskForm is what was typed of a person.
type DeskForm struct {
	Document, Passport, Identifier, GivenName, Surnames, Phone, Email, DocumentUntil, Locale, Reason string
}

// DeskPerson is who an act is about.
type DeskPerson struct {
	Name, Identifier, Status string
	Phone, Email             string
	DocumentUntil            time.Time
}

func deskPerson(c signer.Citizen) DeskPerson {
	return DeskPerson{
		Name: whole(c), Identifier: c.Identifier, Status: string(c.Status), Phone: c.Phone, Email: c.Email, DocumentUntil: c.DocumentUntil,
	}
}

// DeskAct asks for what an act needs, and tells what it does before it is done.
type DeskAct struct {
	Page
	Act    string        // its words are desk.act.<Act>
	Person DeskPerson    // zero: the form asks for the number
	Case   *citizen.Case // that it closes
	// Certified is whether there is a certificate that ends with it.
	Certified          bool
	Danger             bool
	Hours              int // of the CoolOff
	Fields             []DeskField
	SubmitURL, BackURL string
}

// DeskReceipt is what the citizen takes home. It is shown once.
type DeskReceipt struct {
	Page
	Receipt RegistrationReceipt
	// Sealed carries the receipt to PDFURL, where its PDF is drawn.
	Sealed, PDFURL string
	HomeURL        string
}

// DeskMass asks whose certificates are to be revoked together.
type DeskMass struct {
	Page
	List, CRLReason, Reason string
	Limit                   int
	SubmitURL               string
}

// DeskOrders are the orders that wait, and those decided lately.
type DeskOrders struct {
	Page
	Orders []DeskOrderRow
}

// DeskOrderRow is an order in a list.
type DeskOrderRow struct {
	citizen.DeskOrder

	URL string
}

// DeskOrderView is one order.
type DeskOrderView struct {
	Page
	Order citizen.DeskOrder
	Asked bool // just now, by the reader
	// ConfirmURL carries it out, GoOnURL what is left of it, RejectURL ends it;
	// each is empty where the reader may not.
	ConfirmURL, GoOnURL, RejectURL string
	Own                            bool // the reader asked for it
	BackURL                        string
}

// Refused is the refusal that an outcome names, nil if it was done.
func (v *DeskOrderView) Refused(identifier string) *policies.Refusal {
	outcome := v.Order.Outcome[identifier]
	if outcome == "" || outcome == citizen.Done {
		return nil
	}
	return policies.Refuse(policies.Code(outcome))
}

// DeskVideos are the recordings that wait.
type DeskVideos struct {
	Page
	Videos []DeskVideoRow
}

// DeskVideoRow is a recording in a list.
type DeskVideoRow struct {
	citizen.Video

	URL string
}

// DeskVideoView is one recording.
type DeskVideoView struct {
	Page
	Video                          citizen.Video
	Reason                         string
	ApproveURL, RejectURL, BackURL string
}

// DeskIncidents are those that nobody has closed.
type DeskIncidents struct {
	Page
	Incidents []DeskCase
}

// DeskCase is an incident in a list.
type DeskCase struct {
	citizen.Case

	FileURL, CloseURL string
}

// DeskLetters are the letters that nobody has printed.
type DeskLetters struct {
	Page
	Letters   []citizen.Waiting
	SubmitURL string
}

// DeskPeople lists who may come in.
type DeskPeople struct {
	Page
	People []AuditPerson
	// Invited is an invitation just made: it is shown once and never again.
	Invited *AuditInvitation
}

// DeskDisable asks before an account is closed.
type DeskDisable struct {
	Page
	Person             AuditPerson
	SubmitURL, BackURL string
}

func (*DeskLogin) template() string     { return "desk-login" }
func (*DeskInvited) template() string   { return "desk-invited" }
func (*DeskReason) template() string    { return "desk-reason" }
func (*DeskSearch) template() string    { return "desk-search" }
func (*DeskFile) template() string      { return "desk-file" }
func (*DeskRegister) template() string  { return "desk-register" }
func (*DeskAct) template() string       { return "desk-act" }
func (*DeskReceipt) template() string   { return "desk-receipt" }
func (*DeskMass) template() string      { return "desk-mass" }
func (*DeskOrders) template() string    { return "desk-orders" }
func (*DeskOrderView) template() string { return "desk-order" }
func (*DeskVideos) template() string    { return "desk-videos" }
func (*DeskVideoView) template() string { return "desk-video" }
func (*DeskIncidents) template() string { return "desk-incidents" }
func (*DeskLetters) template() string   { return "desk-letters" }
func (*DeskPeople) template() string    { return "desk-people" }
func (*DeskDisable) template() string   { return "desk-disable" }

// policy: passkeys ask the server from the script.
func (*DeskLogin) policy() []string { return []string{"connect-src 'self'"} }

func (*DeskInvited) policy() []string { return []string{"connect-src 'self'"} }

// deskFunctions are what the desk's templates may call beside functions.
func deskFunctions() template.FuncMap {
	return template.FuncMap{"deskfield": newDeskField, "unfocused": unfocused, "digits": digits, "orderIcon": orderIcon, "outcomeIcon": outcomeIcon}
}

// digits writes a Spanish number so that it can be compared with paper; others
// stay as they are.
func digits(phone string) string {
	n, spanish := strings.CutPrefix(phone, "+34")
	if !spanish || len(n) != 9 {
		return phone
	}
	return "+34 " + n[:3] + " " + n[3:6] + " " + n[6:]
}

// DocumentUntil is the last day of the document, zero if the provider read none.
func (v *DeskVideoView) DocumentUntil() time.Time {
	day, err := time.Parse(time.DateOnly, v.Video.Person.DocumentUntil)
	if err != nil {
		return time.Time{}
	}
	return day
}

// unfocused is a field on a page whose work begins elsewhere.
func unfocused(f DeskField) DeskField {
	f.Focus = false
	return f
}

func orderIcon(o citizen.DeskOrder) string {
	switch o.State {
	case citizen.OrderConfirmed:
		return "check"
	case citizen.OrderRejected:
		return "error"
	default:
		return "clock"
	}
}

func outcomeIcon(outcome string) string {
	switch outcome {
	case "":
		return "clock"
	case citizen.Done:
		return "check"
	default:
		return "error"
	}
}
