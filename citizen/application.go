package citizen

import (
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
	// Doors, Formats, Levels and Calls are the limits, all of them.
	Doors   []string `json:"doors,omitzero"`
	Formats []string `json:"formats,omitzero"`
	Levels  []string `json:"levels,omitzero"`
	Calls   int      `json:"calls,omitzero"`
}

// ApplicationAspect is what of an application is changed, as the log has it.
type ApplicationAspect string

// What a supervisor may change.
const (
	ApplicationEnabled     ApplicationAspect = "enabled"
	ApplicationDisabled    ApplicationAspect = "disabled"
	ApplicationContact     ApplicationAspect = "contact"
	ApplicationSwitchedOn  ApplicationAspect = "switched_on"
	ApplicationSwitchedOff ApplicationAspect = "switched_off"
	ApplicationLimits      ApplicationAspect = "limits"
	RedirectAdded          ApplicationAspect = "redirect_added"
	RedirectRemoved        ApplicationAspect = "redirect_removed"
	KeyAdded               ApplicationAspect = "key_added"
	KeyRemoved             ApplicationAspect = "key_removed"
	CertificateAdded       ApplicationAspect = "certificate_added"
	CertificateRemoved     ApplicationAspect = "certificate_removed"
)

// ApplicationAspects are all of them.
func ApplicationAspects() []ApplicationAspect {
	return []ApplicationAspect{
		ApplicationEnabled, ApplicationDisabled, ApplicationContact, ApplicationSwitchedOn, ApplicationSwitchedOff, ApplicationLimits,
		RedirectAdded, RedirectRemoved, KeyAdded, KeyRemoved, CertificateAdded, CertificateRemoved,
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
	}
	return c, nil
}

// Span is when a key is good: from the first day's beginning to the last day's end.
func (c ApplicationChange) Span() (from, until time.Time, err error) {
	if from, err = time.Parse(time.DateOnly, c.From); err != nil {
		return from, until, malformedAct("/application/from")
	}
	if until, err = time.Parse(time.DateOnly, c.Until); err != nil || until.Before(from) {
		return from, until, malformedAct("/application/until")
	}
	return from, until.AddDate(0, 0, 1), nil
}
