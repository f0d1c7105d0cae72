package pages

import (
	"fmt"
	"slices"
	"time"

	"github.com/rubrica-firma/rubrica/policies"
)

// Page is what every view carries.
type Page struct {
	// Self is the address that shows this page by GET, for the language links;
	// empty where there is none.
	Self string
	// Request says who asks and what for; nil outside the ceremony.
	Request *Request
	// Desk is the head of the auditor's pages; nil elsewhere.
	Desk *Desk
	// Own is the head of the citizen's own pages; nil elsewhere.
	Own *OwnHead
	// Guard is the token that binds the forms to the session.
	Guard string
	// Problems are what kept the last answer from being accepted.
	Problems []Problem
}

func (p *Page) page() *Page { return p }

// Problem is a refusal and the field that it is about; an empty field means
// the whole form.
type Problem struct {
	Field   string
	Refusal *policies.Refusal
}

// Fail adds a problem.
func (p *Page) Fail(field string, refusal *policies.Refusal) {
	p.Problems = append(p.Problems, Problem{Field: field, Refusal: refusal})
}

// Problem gives the first problem of a field, nil if there is none.
func (p *Page) Problem(field string) *policies.Refusal {
	for _, problem := range p.Problems {
		if problem.Field == field {
			return problem.Refusal
		}
	}
	return nil
}

// Refused tells whether one of the problems is of this kind.
func (p *Page) Refused(code policies.Code) bool {
	return slices.ContainsFunc(p.Problems, func(problem Problem) bool { return problem.Refusal.Code == code })
}

// Pause is how long a reader who has typed a wrong password too often has to
// wait; 0 where there is nothing to wait for.
func (p *Page) Pause() time.Duration {
	for _, problem := range p.Problems {
		if problem.Refusal.Code == policies.PasswordPaused {
			return problem.Refusal.RetryAfter
		}
	}
	return 0
}

// Request is what an application asks, as the page's head tells it: a signature or,
// Unsigned, something else.
type Request struct {
	Unsigned     bool
	Organisation string // "Ayuntamiento de Gijón"
	Application  string // "Sede electrónica"
	Procedure    string // "Ayudas a la rehabilitación 2026"; may be empty
	// Details are what else the application tells.
	Details []Detail
}

// Detail is a fact in the application's own words.
type Detail struct{ Label, Value string }

// Signer is the person who signs.
type Signer struct {
	Name   string
	Masked string // DNI or NIE with only some digits: ***4567**
}

// Names of the form fields: what handlers read and problems point to.
const (
	FieldIdentifier     = "identifier"
	FieldPassword       = "password"
	FieldPasswordNow    = "password_now"
	FieldCode           = "code"
	FieldEmail          = "email"
	FieldActivationCode = "activation_code"
	FieldPasswordNew    = "password_new"
	FieldPasswordAgain  = "password_again"
	FieldGuard          = "guard"
)

// Input is one text field. Its label and hint stand in the catalogue, as
// field.<name>.label and field.<name>.hint.
type Input struct {
	Name         string
	Type         string
	Value        string // what was typed before; never a password or a code
	Autocomplete string
	InputMode    string
	Width        string // of the box, as a hint of how much goes in: "short", "code" or ""
	MaxLength    int    // generous: blanks and dashes are welcome
	Hint         bool
	Capitals     bool
	Secret       bool // can be shown for a moment
	Problem      *policies.Refusal
}

// Input makes a field of this page, with its problem if it has one.
func (p *Page) Input(name, value string) (Input, error) {
	input := Input{Name: name, Type: "text", Value: value, MaxLength: 120, Problem: p.Problem(name)}
	switch name {
	case FieldIdentifier:
		input.Autocomplete, input.Capitals, input.Hint, input.Width = "username", true, true, "short"
	case FieldPassword, FieldPasswordNow:
		input.Type, input.Autocomplete, input.Secret, input.Value = "password", "current-password", true, ""
	case FieldPasswordNew, FieldPasswordAgain:
		input.Type, input.Autocomplete, input.Secret, input.Value = "password", "new-password", true, ""
	case FieldEmail:
		input.Type, input.Autocomplete, input.InputMode, input.Hint = "email", "email", "email", true
	case FieldActivationCode:
		input.Autocomplete, input.Capitals, input.Hint, input.Width = "off", true, true, "short"
	case FieldCode:
		input.Autocomplete, input.InputMode, input.Hint, input.Width = "one-time-code", "numeric", true, "code"
		input.Value, input.MaxLength = "", 20
	default:
		if !entranceInput(&input) && !myInput(&input) && !enrolmentInput(&input) {
			return Input{}, fmt.Errorf("no field %q", name)
		}
	}
	return input, nil
}

// CodeSent is a one-time code on its way.
type CodeSent struct {
	Tail      string // the last digits of the mobile
	SentAt    time.Time
	Delivered bool // the operator has confirmed delivery
	Failed    bool // the operator could not deliver it
	ExpiresAt time.Time
	Now       time.Time
	AgainIn   time.Duration // until another may be asked; 0 for now
	AgainURL  string        // asks for another, by POST
}

// Left is how long the code stays valid.
func (c CodeSent) Left() time.Duration { return max(0, c.ExpiresAt.Sub(c.Now)) }

func (c CodeSent) wait() time.Duration { return c.AgainIn }

// policy lets the script look again for what became of the message.
func (c CodeSent) policy() []string { return []string{"connect-src 'self'"} }
