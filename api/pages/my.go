package pages

import (
	"time"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// The views of the citizen's own pages.

// Names of their fields.
const (
	FieldNewEmail = "new_email"
	FieldSaid     = "said"
	FieldNotices  = "avisos"
	FieldState    = "estado"
	FieldAsker    = "aplicacion"
)

// myInput fills in a field of theirs, and tells whether it is one.
func myInput(input *Input) bool {
	if input.Name != FieldNewEmail {
		return false
	}
	input.Type, input.Autocomplete, input.InputMode, input.Hint = "email", "email", "email", true
	return true
}

// OwnHead is the head of the own pages: whose they are, and where they lead.
type OwnHead struct {
	Signer   Signer
	Via      signer.Via
	Links    []OwnLink
	LeaveURL string
}

// OwnLink is a way to another own page; its words are mi.nav.<Name>.
type OwnLink struct {
	Name, URL string
	Current   bool
}

// Way is another way in than the password.
type Way struct {
	Name string // its sentences are mi.way.<name>
	URL  string
}

// MyEntry asks who is there.
type MyEntry struct {
	Page
	Identifier   string // as typed before
	Password     bool   // the password is asked because something is to be changed
	SubmitURL    string
	ForgottenURL string
	ActivateURL  string
	Ways         []Way
}

// MyHome is where the own pages begin.
type MyHome struct {
	Page
	State         CertificateState
	Until         time.Time // of the certificate
	Latest        []MySignature
	Open          int // incidents that an office looks into
	SignaturesURL string
	// Addresses of what can be done.
	CertificateURL  string
	RegistrationURL string
	IncidentURL     string
	IncidentsURL    string
	ProfileURL      string
	DataURL         string
	ApplicationsURL string
}

// Tone is how serious the state of the certificate looks.
func (h *MyHome) Tone() string { return (&OwnCertificate{State: h.State}).Tone() }

// Icon is the same in a sign.
func (h *MyHome) Icon() string { return (&OwnCertificate{State: h.State}).Icon() }

// MySignature is a row of the own signatures.
type MySignature struct {
	Title        string
	Organisation string
	Application  string
	State        signer.State
	At           time.Time // when it ended, or was asked
	Documents    int
	URL          string
}

// MySignatures lists what the citizen was asked to sign.
type MySignatures struct {
	Page
	Rows         []MySignature
	State        string
	Asker        string
	From, To     string // as typed
	States       []signer.State
	Applications []Choice
	Filtered     bool
	Later        bool // these are not the newest
	SubmitURL    string
	FirstURL     string
	NextURL      string
	AllURL       string
	IncidentURL  string
}

// MyStep is one moment in the life of a signature. Its sentences are
// mi.step.<name> and mi.step.<name>_text.
type MyStep struct {
	Name   string
	Result string // class of the time line: succeeded, refused, expired, interrupted, or none
	At     time.Time
	Seq    int64  // number of the entry in the log; 0 if it has none
	Phone  string // masked; of a code
}

// MySignatureDetail is one signature with its time line.
type MySignatureDetail struct {
	Page
	Title        string
	Organisation string
	Application  string
	ID           string
	Reference    string
	State        signer.State
	Documents    []Document
	Steps        []MyStep
	EvidenceURL  string // empty unless it was signed
	ReceiptURL   string
	FileName     string // of the receipt
	ContinueURL  string // of a request that waits; else empty
	IncidentURL  string
	BackURL      string
	// Kept is whether a signed document is still here, and KeptUntil until when.
	Kept      bool
	KeptUntil time.Time
}

// MyProfile shows what is known of the citizen, and what can be changed.
type MyProfile struct {
	Page
	Name          string
	Identifier    string
	DocumentUntil time.Time
	Phone         string // masked
	Email         string
	Notices       signer.Notices
	Associated    *MyCertificate
	PasswordAt    time.Time // zero without a password
	Changes       bool      // somebody who came in with the password
	EmailURL      string
	PhoneURL      string // of the change with a certificate; may be empty
	PasswordURL   string
	ForgottenURL  string
	NoticesURL    string
	LeaveAllURL   string // ends all sessions, by POST
	AssociateURL  string
	DepartureURL  string
	IdentifyURL   string // with the password
}

// MyCertificate is a certificate that the citizen logs in with.
type MyCertificate struct {
	Subject string
	Issuer  string
	Serial  string
	Until   time.Time
	Expired bool
}

// MyEmail asks for another address.
type MyEmail struct {
	Page
	Present   string
	Typed     string
	Tail      string
	SubmitURL string
	BackURL   string
}

// MyAct is something that is confirmed with a code. Its sentences are
// mi.<act>.…
type MyAct string

// The acts.
const (
	ActDeparture  MyAct = "departure"
	ActEmail      MyAct = "email"
	ActAssociate  MyAct = "associate"
	ActDissociate MyAct = "dissociate"
	ActPassword   MyAct = "password" // of a link alone
	ActNotices    MyAct = "notices"
)

// MyCode takes the code of an act.
type MyCode struct {
	Page
	CodeSent  // with the mobile alone while no code has gone out
	Act       MyAct
	SubmitURL string
	BackURL   string
}

// Sent is whether a code is on its way.
func (c *MyCode) Sent() bool { return !c.SentAt.IsZero() }

// Final is whether there is no way back.
func (c *MyCode) Final() bool { return c.Act == ActDeparture }

// MyAssociation shows the certificate that the citizen logs in with.
type MyAssociation struct {
	Page
	Certificate *MyCertificate // nil if there is none
	Shown       bool           // one was shown just now, to be assigned
	Tail        string
	SubmitURL   string // sends the code: to assign the one that was shown, or to remove
	ShowURL     string // to the certificate door; empty where the deployment has none
	BackURL     string
}

// MyDeparture tells what leaving costs, before it is confirmed.
type MyDeparture struct {
	Page
	State     CertificateState
	Until     time.Time // of the certificate
	Waiting   int       // requests that wait for the citizen
	Tail      string
	SubmitURL string
	BackURL   string
}

// Certified is whether there is a certificate to lose.
func (d *MyDeparture) Certified() bool {
	return d.State == InForce || d.State == Ending || d.State == CertificateSuspended
}

// MyDone tells that an act was done.
type MyDone struct {
	Page
	Act     MyAct
	At      time.Time
	HomeURL string
}

// MyNotices asks how the citizen wants to be told of signatures.
type MyNotices struct {
	Page
	Chosen    signer.Notices
	Choices   []signer.Notices
	SubmitURL string
	BackURL   string
}

// MyIncident asks what happened.
type MyIncident struct {
	Page
	Signature *MySignature // that it is about, nil if it is about none
	ID        string       // of its request
	Said      string
	Certified bool // there is a certificate to put on hold
	SubmitURL string
	BackURL   string
}

// MyIncidentRow is an incident in the list.
type MyIncidentRow struct {
	ID        string
	Title     string // of the signature, empty if it is about none
	URL       string
	Said      string
	OpenedAt  time.Time
	ClosedAt  time.Time
	Outcome   string
	Suspended bool
}

// MyIncidents lists them.
type MyIncidents struct {
	Page
	Rows           []MyIncidentRow
	New            bool // one was opened just now
	CertificateURL string
	BackURL        string
}

// MyRegistration explains level and age of the registration.
type MyRegistration struct {
	Page
	Mode      string
	Level     string
	AssuredAt time.Time
	Until     time.Time // zero if it carries no certificate at any age
	TooOld    bool
	Enough    bool // a certificate can be made now
	Years     int
	Reading   policies.Reading // that this service applies
	Obstacles []*policies.Refusal
	History   []OwnRegistration
	RenewURL  string // with the DNIe; may be empty
	OfficeURL string // may be empty
}

// Other is the reading that is not applied.
func (r *MyRegistration) Other() policies.Reading {
	if r.Reading == policies.ReadingAge {
		return policies.ReadingStrict
	}
	return policies.ReadingAge
}

// MyData explains what is kept and why (GDPR, articles 13 to 15).
type MyData struct {
	Page
	Organisations []string // that have asked for signatures
	DownloadURL   string
	DepartureURL  string
	ProfileURL    string
}

// FollowLink asks whether what a mailed link stands for is to be done.
type FollowLink struct {
	Page
	Act       MyAct
	ExpiresAt time.Time
	Secret    string
	SubmitURL string
}

// LinkFollowed tells that it was.
type LinkFollowed struct {
	Page
	Act     MyAct
	HomeURL string
}

// LinkMailed tells that a link is on its way.
type LinkMailed struct {
	Page
	Act     MyAct
	Life    time.Duration // of the link, 0 if it is not known
	HomeURL string
}

func (*MyEntry) template() string           { return "my-entry" }
func (*MyHome) template() string            { return "my-home" }
func (*MySignatures) template() string      { return "my-signatures" }
func (*MySignatureDetail) template() string { return "my-signature" }
func (*MyProfile) template() string         { return "my-profile" }
func (*MyEmail) template() string           { return "my-email" }
func (*MyCode) template() string            { return "my-code" }
func (*MyAssociation) template() string     { return "my-association" }
func (*MyDeparture) template() string       { return "my-departure" }
func (*MyDone) template() string            { return "my-done" }
func (*MyNotices) template() string         { return "my-notices" }
func (*MyIncident) template() string        { return "my-incident" }
func (*MyIncidents) template() string       { return "my-incidents" }
func (*MyRegistration) template() string    { return "my-registration" }
func (*MyData) template() string            { return "my-data" }
func (*FollowLink) template() string        { return "link" }
func (*LinkFollowed) template() string      { return "link-followed" }
func (*LinkMailed) template() string        { return "link-mailed" }
