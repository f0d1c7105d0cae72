package pages

import "time"

// The views of a password's life after the activation.

// ChangePassword tells what a change does, and asks who wants it: step 1 of 3.
type ChangePassword struct {
	Page
	Identifier     string // as typed before
	SubmitURL      string
	ForgottenURL   string
	CertificateURL string
	BackURL        string // of the signature that waits; may be empty
}

// ChangeCode takes the code sent to the mobile: step 2.
type ChangeCode struct {
	Page
	CodeSent   // with the mobile alone while no code has gone out
	SubmitURL  string
	RestartURL string
}

// Sent is whether a code is on its way.
func (c *ChangeCode) Sent() bool { return !c.SentAt.IsZero() }

// Changed tells what has become of the password and of the rest.
type Changed struct {
	Page
	At          time.Time
	ContinueURL string // of the signature that waits; may be empty
	HomeURL     string
}

// Forgotten tells what will be lost with a forgotten password, before it is.
type Forgotten struct {
	Page
	ActivateURL string
	ChangeURL   string
	BackURL     string // of the signature that waits; may be empty
}

func (*ChangePassword) template() string { return "change-password" }
func (*ChangeCode) template() string     { return "change-code" }
func (*Changed) template() string        { return "changed" }
func (*Forgotten) template() string      { return "forgotten" }
