// Package catalogue holds every sentence that a person reads: on pages, in SMS
// and mail, and in the answers of the API. Sentences are data, one pair of
// TOML files per language in locales/, with Spanish as the language all others
// are translated from. A language is added by adding its files.
//
// Sentences hold plain placeholders ({{.tries}}) and no logic. One that has
// plural forms agrees with the one number among its parameters: tries, number
// or count, which need not be told.
//
// # Parameters of refusals
//
// The domain gives facts in [policies.Refusal.Params]; the catalogue turns
// them into words of the reader's language. Each is optional: a sentence that
// misses one gives way to its shorter form (detail_bare, remedy_bare).
//
//	code                         params        meaning
//	identity_document_expiry     until         last day of validity
//	activation_mismatch          tries         tries left before the block
//	credentials_wrong            tries         tries left before the lock
//	password_weak                minimum, long fewest characters; length from which classes are waived
//	password_paused              seconds       wait before the next try
//	password_expired             years         age allowed
//	session_expired              minutes       length of a session
//	code_wrong                   tries         tries left for this code
//	                             seconds       wait before another can be asked
//	code_expired                 minutes       validity of a code
//	code_exhausted               seconds       wait before another can be asked
//	code_too_soon                seconds       likewise
//	code_too_many                limit         codes allowed in an hour
//	                             minutes       wait before another can be asked
//	registration_too_old         since, years  day of the registration; age allowed
//	registration_telematic       since         day of the registration
//	credential_exists            until         day the certificate ends
//	certificate_expired          since         day the certificate ended
//	certificate_revoked          since         day of the revocation
//	renewal_too_early            from, until   day from which it can be renewed; day the certificate ends
//	registration_ending          until, years  day the registration is too old; age allowed
//	document_too_large           limit         with its unit: "20 MB"
//	request_malformed            field         name of the field, as the API spells it
//	request_state                state         state the request is in
//	request_expired              until         moment the request lapsed
//	request_too_many_documents   limit         documents allowed
//	scope_missing                scope         the scope, as the API spells it
//	method_not_allowed           method        the HTTP method
//	rate_limited, busy           seconds       wait before the next try
//	internal                     reference     what the person quotes to support
//
// Any refusal may carry a reason, a word of the domain: where the catalogue has
// a sentence for it (detail_<reason>, remedy_<reason>), that one is told.
// document_unsafe knows every policies.FindingCode; identifier_invalid knows
// form and letter; password_weak short, long (with maximum), characters, classes,
// name, identifier and previous; office_act_invalid signature, audience, time,
// format and office.
//
// Numbers are decimal digits. since, from and until are days (2006-01-02) or moments
// (RFC 3339). Where seconds is missing, Refusal.RetryAfter stands in.
package catalogue

import (
	"embed"
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"time"
	_ "time/tzdata" // peninsular time must be told also where the system has no zone files

	"github.com/BurntSushi/toml"
	"github.com/nicksnyder/go-i18n/v2/i18n"
	"golang.org/x/text/language"
)

//go:embed locales/*.toml
var locales embed.FS

// ErrUnknown means that no language has the message asked for.
var ErrUnknown = errors.New("unknown message")

// ErrParams means that a message was asked for without a parameter it names.
var ErrParams = errors.New("missing parameter")

// source is the language that the others are translated from, and the one
// that answers where a translation is missing.
var source = language.Spanish

// Catalogue is the set of languages. It is immutable and safe for concurrent
// use.
type Catalogue struct {
	bundle    *i18n.Bundle
	matcher   language.Matcher
	languages []Language
	messages  map[language.Tag]map[string]sentence
	zone      *time.Location
}

// Language is one language that the catalogue speaks.
type Language struct {
	Tag  string // BCP 47, as in the HTML lang attribute
	Name string // in the language itself: "Español"
}

// sentence is what the catalogue knows of a message besides its text.
type sentence struct {
	params []string // names of its placeholders
	count  string   // the parameter that its plural forms count, if it has any
}

// New reads the embedded files. It refuses files whose sentences hold anything
// but plain placeholders, or count something undefined.
func New() (*Catalogue, error) {
	zone, err := time.LoadLocation("Europe/Madrid")
	if err != nil {
		return nil, fmt.Errorf("loading the time zone: %w", err)
	}
	c := &Catalogue{
		bundle:   i18n.NewBundle(source),
		messages: make(map[language.Tag]map[string]sentence),
		zone:     zone,
	}
	c.bundle.RegisterUnmarshalFunc("toml", toml.Unmarshal)
	files, err := locales.ReadDir("locales")
	if err != nil {
		return nil, fmt.Errorf("listing languages: %w", err)
	}
	for _, file := range files {
		if err := c.load(path.Join("locales", file.Name())); err != nil {
			return nil, fmt.Errorf("loading %s: %w", file.Name(), err)
		}
	}
	return c, c.nameLanguages()
}

func (c *Catalogue) load(name string) error {
	file, err := c.bundle.LoadMessageFileFS(locales, name)
	if err != nil {
		return err
	}
	known := c.messages[file.Tag]
	if known == nil {
		known = make(map[string]sentence)
		c.messages[file.Tag] = known
	}
	for _, m := range file.Messages {
		if _, twice := known[m.ID]; twice {
			return fmt.Errorf("message %q stands twice", m.ID)
		}
		described, err := describe(m)
		if err != nil {
			return fmt.Errorf("message %q: %w", m.ID, err)
		}
		known[m.ID] = described
	}
	return nil
}

// nameLanguages fixes the order of the languages: the source first, because
// the matcher falls back to the first, then by tag.
func (c *Catalogue) nameLanguages() error {
	tags := slices.SortedFunc(maps.Keys(c.messages), func(a, b language.Tag) int {
		switch {
		case a == source:
			return -1
		case b == source:
			return 1
		case a.String() < b.String():
			return -1
		default:
			return 1
		}
	})
	c.matcher = language.NewMatcher(tags)
	for _, tag := range tags {
		name, err := c.speak(tag).Lookup("language.name", nil)
		if err != nil {
			return fmt.Errorf("naming language %s: %w", tag, err)
		}
		c.languages = append(c.languages, Language{Tag: tag.String(), Name: name})
	}
	return nil
}

// Languages lists the languages, the source first.
func (c *Catalogue) Languages() []Language { return slices.Clone(c.languages) }

// IDs lists the messages of the source language, sorted.
func (c *Catalogue) IDs() []string {
	return slices.Sorted(maps.Keys(c.messages[source]))
}

// For chooses the language that serves a reader best. Each locale is a tag
// ("ca-valencia") or an Accept-Language header; earlier ones weigh more, and
// what does not parse is passed over.
func (c *Catalogue) For(wanted ...string) *Messages {
	for _, want := range wanted {
		tags, _, err := language.ParseAcceptLanguage(want)
		if err != nil || len(tags) == 0 {
			continue
		}
		if _, index, confidence := c.matcher.Match(tags...); confidence > language.No {
			return c.speak(language.MustParse(c.languages[index].Tag))
		}
	}
	return c.speak(source)
}

func (c *Catalogue) speak(tag language.Tag) *Messages {
	return &Messages{catalogue: c, tag: tag, localizer: i18n.NewLocalizer(c.bundle, tag.String()), zone: c.zone}
}

var (
	placeholder = regexp.MustCompile(`{{\.([a-z_]+)}}`)
	anyAction   = regexp.MustCompile(`{{[^}]*}*`)
)

// counting reports whether a parameter is a number that sentences agree with.
func counting(param string) bool {
	return slices.Contains([]string{"tries", "count", "number"}, param)
}

func describe(m *i18n.Message) (sentence, error) {
	var described sentence
	for _, action := range anyAction.FindAllString(m.Other, -1) {
		if !placeholder.MatchString(action) {
			return sentence{}, fmt.Errorf("%s is not a plain placeholder", action)
		}
	}
	for _, match := range placeholder.FindAllStringSubmatch(m.Other, -1) {
		if name := match[1]; !slices.Contains(described.params, name) {
			described.params = append(described.params, name)
		}
	}
	if m.One == "" {
		return described, nil
	}
	for _, name := range described.params {
		if !counting(name) {
			continue
		}
		if described.count != "" {
			return sentence{}, fmt.Errorf("counts both %s and %s", described.count, name)
		}
		described.count = name
	}
	if described.count == "" {
		described.count = "count"
	}
	return described, nil
}

// number reads a count as the domain gives it: digits or an integer.
func number(value any) (int, bool) {
	switch v := value.(type) {
	case int:
		return v, true
	case string:
		n, err := strconv.Atoi(v)
		return n, err == nil
	default:
		return 0, false
	}
}
