package pages

import (
	"time"

	"github.com/rubrica-firma/rubrica/policies"
)

// The views of the citizen's own certificate.

// OwnIdentify tells what can be done, and asks who wants it.
type OwnIdentify struct {
	Page
	Identifier   string // as typed before
	SubmitURL    string
	ForgottenURL string
	ActivateURL  string
	BackURL      string // of the signature that waits; may be empty
}

// OwnCertificate is a certificate in plain words, and what can be done with it.
type OwnCertificate struct {
	Page
	Signer Signer
	State  CertificateState
	// Of the certificate, none of them where there is none:
	Serial    string // hexadecimal
	From      time.Time
	Until     time.Time
	DaysLeft  int       // counted in the calendar, where it is ending
	RevokedAt time.Time // or suspended

	Registration OwnRegistration
	// Obstacles are what stands in the way of another certificate, besides
	// that it is too early for one. RenewalFrom is when it no longer is; zero
	// if it may be made now, or if there is none to renew.
	Obstacles   []*policies.Refusal
	RenewalFrom time.Time

	// The addresses of what can be done, empty for what cannot.
	IssueURL   string
	SuspendURL string
	ReleaseURL string
	RevokeURL  string

	ChangeURL string // of the password
	BackURL   string // of the signature that waits; may be empty
}

// CertificateState is where a certificate stands. Its sentences are
// own.state.<state> and own.means.<state>.
type CertificateState string

// The states of a certificate.
const (
	NoCertificate        CertificateState = "none"
	InForce              CertificateState = "in_force"
	Ending               CertificateState = "ending" // in force, and can be renewed
	CertificateSuspended CertificateState = "suspended"
	CertificateRevoked   CertificateState = "revoked"
	CertificateExpired   CertificateState = "expired"
)

// Tone and Icon are how serious the state looks.
func (c *OwnCertificate) Tone() string {
	switch c.State {
	case InForce:
		return "good"
	case Ending, CertificateSuspended:
		return "warn"
	case CertificateRevoked, CertificateExpired:
		return "error"
	case NoCertificate:
	}
	return "plain"
}

// Icon is the same in a sign.
func (c *OwnCertificate) Icon() string {
	switch c.State {
	case InForce:
		return "check"
	case Ending:
		return "clock"
	case CertificateSuspended:
		return "warning"
	case CertificateRevoked, CertificateExpired:
		return "error"
	case NoCertificate:
	}
	return "seal"
}

// Ends is when the certificate does.
func (c *OwnCertificate) Ends() time.Time { return c.Until }

// Issues is what making a certificate is called.
func (c *OwnCertificate) Issues() Affair {
	if c.State == Ending || c.State == InForce {
		return Renew
	}
	return Issue
}

// OwnRegistration is the act that proved the identity, and how long it carries
// new certificates.
type OwnRegistration struct {
	Mode      string
	AssuredAt time.Time
	Years     int
	Until     time.Time // zero if it carries none at any age
	TooOld    bool
}

// Affair is something that a citizen does with the own certificate. Its
// sentences are affair.<affair>.…
type Affair string

// The affairs.
const (
	Issue   Affair = "issue" // a first one
	Renew   Affair = "renew"
	Suspend Affair = "suspend"
	Release Affair = "release"
	Revoke  Affair = "revoke"
)

// AskAffair tells what an affair does, before it is done.
type AskAffair struct {
	Page
	Affair    Affair
	Signer    Signer
	Until     time.Time // of the certificate to be, where one is made
	Issuer    string
	Tail      string // of the mobile
	SubmitURL string // sends the code
	Leave
}

// Leave is how not to do it.
type Leave struct {
	BackURL string // to the own certificate
	// DeclineURL, by POST, tells the application that has asked, and is then at
	// Site; empty: none has.
	DeclineURL string
	Site       string
}

// Issues is whether a certificate is made.
func (a *AskAffair) Issues() bool { return a.Affair == Issue || a.Affair == Renew }

// Revokes is whether there is a reason to be told.
func (a *AskAffair) Revokes() bool { return a.Affair == Revoke }

// AffairCode takes the code that does it.
type AffairCode struct {
	Page
	CodeSent  // with the mobile alone while no code has gone out
	Affair    Affair
	SubmitURL string
	Leave
}

func (l Leave) policy() []string       { return leads(l.Site) }
func (a *AffairCode) policy() []string { return append(a.CodeSent.policy(), a.Leave.policy()...) }

// Sent is whether a code is on its way.
func (a *AffairCode) Sent() bool { return !a.SentAt.IsZero() }

// Revokes is whether there is no way back.
func (a *AffairCode) Revokes() bool { return a.Affair == Revoke }

// AffairDone tells what was done.
type AffairDone struct {
	Page
	Affair      Affair
	At          time.Time
	Until       time.Time // of the new certificate
	StateURL    string    // identifies again
	ActivateURL string    // where the password is gone
	ContinueURL string    // of the signature that waits; may be empty
}

// Revoked is whether password and key are gone.
func (a *AffairDone) Revoked() bool { return a.Affair == Revoke }

// Made is whether there is a new certificate.
func (a *AffairDone) Made() bool { return a.Affair == Issue || a.Affair == Renew }

// SuspendedCertificate tells, within a request, that the certificate cannot
// sign, and where that can be changed.
type SuspendedCertificate struct {
	Page
	Until          time.Time // the request waits until then
	CertificateURL string
	ReturnURL      string // of the application; may be empty
	RefuseURL      string
}

func (*OwnIdentify) template() string          { return "own-identify" }
func (*OwnCertificate) template() string       { return "own-certificate" }
func (*AskAffair) template() string            { return "affair" }
func (*AffairCode) template() string           { return "affair-code" }
func (*AffairDone) template() string           { return "affair-done" }
func (*SuspendedCertificate) template() string { return "certificate-suspended" }
