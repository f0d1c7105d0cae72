package pages

import (
	"time"

	"github.com/rubrica-firma/rubrica/policies"
)

// The views outside the ceremony: activation, home, what went wrong.

// Activate asks for what the office's receipt says: step 1 of 3.
type Activate struct {
	Page
	Identifier     string // as typed before, like the two below
	Email          string
	ActivationCode string
	SubmitURL      string
}

// ActivationCode takes the code sent to the mobile: step 2.
type ActivationCode struct {
	Page
	CodeSent
	SubmitURL  string
	RestartURL string
}

// SetPassword asks for a password, the first or another: step 3.
type SetPassword struct {
	Page
	Identifier string // for the browser's password store
	Rules      []PasswordRule
	SubmitURL  string
	Changes    bool // there is a password already
}

// PasswordRule is one rule and whether the last try kept it. Its sentence is
// password_rule.<Name>.
type PasswordRule struct {
	Name  string
	State RuleState
}

// RuleState is what the last try did to a rule.
type RuleState string

// A rule starts untried.
const (
	RuleUntried RuleState = "untried"
	RuleKept    RuleState = "kept"
	RuleBroken  RuleState = "broken"
)

// PasswordRules are the rules in their order, untried.
func PasswordRules() []PasswordRule {
	var rules []PasswordRule
	for _, name := range []string{"length", "classes", "personal", "previous", "match"} {
		rules = append(rules, PasswordRule{Name: name, State: RuleUntried})
	}
	return rules
}

// Activated tells that the account can sign.
type Activated struct {
	Page
	At          time.Time
	ContinueURL string // where the reader came from; may be empty
}

// Home says what the service is.
type Home struct {
	Page
	RegisterURL    string
	ActivateURL    string
	ChangeURL      string
	ForgottenURL   string
	CertificateURL string
	OwnURL         string
	OfficesURL     string
	Authorities    []Authority
	ComponentsURL  string // development mode only
}

// Authority is a certificate of the internal certification authority.
type Authority struct {
	Name        string
	Until       time.Time
	Fingerprint string // SHA-256, hexadecimal
	URL         string // downloads it
}

// Trouble is the page for every refusal that no form can show: not found,
// rate limited, a request of somebody else, a failure of ours.
type Trouble struct {
	Page
	Refusal   *policies.Refusal
	Reference string // what to quote to support; empty if there is nothing to look up
	RetryURL  string // may be empty
	HomeURL   string // may be empty
	ReturnURL string // of an application that has heard of it; may be empty
}

func (*Activate) template() string       { return "activate" }
func (*ActivationCode) template() string { return "activation-code" }
func (*SetPassword) template() string    { return "set-password" }
func (*Activated) template() string      { return "activated" }
func (*Home) template() string           { return "home" }
func (*Trouble) template() string        { return "trouble" }
