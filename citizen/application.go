package citizen

import (
	"crypto/rand"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// ApplicationChange is what a supervisor of an office wants changed of an
// application (ActChangeApplication). What of it is needed depends on the change.
type ApplicationChange struct {
	Application string            `json:"id"` // client id
	By          string            `json:"by"` // id of the supervisor's account
	What        ApplicationAspect `json:"change"`
	// Value is the address, contact or name of a switch; the text of a key or a
	// certificate; or by what that is known which is to go.
	Value string `json:"value,omitzero"`
	// From and Until are when a key is good, year-month-day.
	From  string `json:"from,omitzero"`
	Until string `json:"until,omitzero"`
	// Scopes are what it may ask for, all of them.
	Scopes []string `json:"scopes,omitzero"`
	// Doors, Formats, Levels and Calls are the limits, all of them.
	Doors   []string `json:"doors,omitzero"`
	Formats []string `json:"formats,omitzero"`
	Levels  []string `json:"levels,omitzero"`
	Calls   int      `json:"calls,omitzero"`
	// New is the application to be registered.
	New *NewApplication `json:"new,omitzero"`
	// SecretSHA256 is the hash of a secret that nobody else has yet (hexadecimal).
	SecretSHA256 string `json:"secret_sha256,omitzero"`
}

// NewApplication is an application that is to be registered, as it was handed in.
type NewApplication struct {
	Name            string   `json:"name"`
	Organisation    string   `json:"organisation"`
	Scopes          []string `json:"scopes"`
	ReturnAddresses []string `json:"return_addresses,omitzero"`
	Contact         string   `json:"contact,omitzero"`
	// Keys and Certificate are by what it shows who it is, if not by a secret: public
	// keys (PEM, JWK or JWK set), and a TLS certificate (PEM).
	Keys        string `json:"keys,omitzero"`
	Certificate string `json:"certificate,omitzero"`
}

// ApplicationAspect is what of an application is changed, as the log has it.
type ApplicationAspect string

// What a supervisor may change.
const (
	ApplicationAdded       ApplicationAspect = "added"
	ApplicationEnabled     ApplicationAspect = "enabled"
	ApplicationDisabled    ApplicationAspect = "disabled"
	ApplicationContact     ApplicationAspect = "contact"
	ApplicationSwitchedOn  ApplicationAspect = "switched_on"
	ApplicationSwitchedOff ApplicationAspect = "switched_off"
	ApplicationScopes      ApplicationAspect = "scopes"
	ApplicationLimits      ApplicationAspect = "limits"
	RedirectAdded          ApplicationAspect = "redirect_added"
	RedirectRemoved        ApplicationAspect = "redirect_removed"
	KeyAdded               ApplicationAspect = "key_added"
	KeyUntil               ApplicationAspect = "key_until"
	KeyRemoved             ApplicationAspect = "key_removed"
	CertificateAdded       ApplicationAspect = "certificate_added"
	CertificateUntil       ApplicationAspect = "certificate_until"
	CertificateRemoved     ApplicationAspect = "certificate_removed"
	SecretReplaced         ApplicationAspect = "secret_replaced"
	WebhookAdded           ApplicationAspect = "webhook_added"
	WebhookRemoved         ApplicationAspect = "webhook_removed"
)

// ApplicationAspects are all of them.
func ApplicationAspects() []ApplicationAspect {
	return []ApplicationAspect{
		ApplicationAdded, ApplicationEnabled, ApplicationDisabled, ApplicationContact, ApplicationSwitchedOn, ApplicationSwitchedOff, ApplicationScopes,
		ApplicationLimits, RedirectAdded, RedirectRemoved, KeyAdded, KeyUntil, KeyRemoved, CertificateAdded, CertificateUntil, CertificateRemoved, SecretReplaced,
		WebhookAdded, WebhookRemoved,
	}
}

const (
	maxClientID = 100
	// maxValue holds a certificate in PEM; the whole act is bounded by ActLimit.
	maxValue = 6 << 10
	maxCalls = 100_000
)

// parse wants the form; what the value must be, who carries it out looks at.
func (c ApplicationChange) parse() (ApplicationChange, error) {
	plain := func(s string, limit int) bool {
		return s != "" && len(s) <= limit && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsGraphic(r) })
	}
	odd := func(r rune) bool { return !unicode.IsGraphic(r) && r != '\n' && r != '\r' && r != '\t' }
	switch {
	case !plain(c.Application, maxClientID):
		return c, malformedAct("/application/id")
	case !plain(c.By, maxClientID):
		return c, malformedAct("/application/by")
	case !slices.Contains(ApplicationAspects(), c.What):
		return c, malformedAct("/application/change")
	case len(c.Value) > maxValue || !utf8.ValidString(c.Value) || strings.ContainsFunc(c.Value, odd):
		return c, malformedAct("/application/value")
	case c.Calls < 0 || c.Calls > maxCalls:
		return c, malformedAct("/application/calls")
	case (c.What == ApplicationAdded) != (c.New != nil), c.New != nil && !isClientID(c.Application):
		return c, malformedAct("/application/new")
	}
	return c, nil
}

// NewClientID draws the id of an application that is going to be registered.
func NewClientID() string { return strings.ToLower(rand.Text()) }

// isClientID is whether NewClientID could have drawn it. Older ones may be otherwise.
func isClientID(s string) bool {
	return len(s) == 26 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz234567") == ""
}

// Span is when a key is good: from the first day's beginning to the last day's end.
func (c ApplicationChange) Span() (from, until time.Time, err error) {
	if from, err = time.Parse(time.DateOnly, c.From); err != nil {
		return from, until, malformedAct("/application/from")
	}
	if until, err = c.End(); err != nil || !from.Before(until) {
		return from, until, malformedAct("/application/until")
	}
	return from, until, nil
}

// End is until when it is good: the last day's end.
func (c ApplicationChange) End() (time.Time, error) {
	last, err := time.Parse(time.DateOnly, c.Until)
	if err != nil {
		return last, malformedAct("/application/until")
	}
	return last.AddDate(0, 0, 1), nil
}
