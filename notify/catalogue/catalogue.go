// Package catalogue holds every sentence that a person reads: on pages, in SMS
// and mail, and in the answers of the API. Sentences are data, one TOML file
// per area and language in locales/, with Spanish as the language all others
// are translated from. A language is added by adding its files.
//
// What a language lacks is said in the language that it is a variety of
// (Valencian reads Catalan), and else in Spanish. What officers and auditors
// read exists in Spanish and English only: see [Catalogue.ForStaff].
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
//	door_not_allowed             door          the door, as docs/oauth.md spells it
//	format_not_allowed           format        the format, as the API spells it
//	level_not_allowed            level         likewise
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
	"cmp"
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
	// bundles has one for each language: among several, go-i18n would take
	// Valencian for Catalan, because language.Matcher does not see variants.
	bundles   map[language.Tag]*i18n.Bundle
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
		bundles:  make(map[language.Tag]*i18n.Bundle),
		messages: make(map[language.Tag]map[string]sentence),
		zone:     zone,
	}
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
	content, err := locales.ReadFile(name)
	if err != nil {
		return err
	}
	file, err := i18n.ParseMessageFileBytes(content, name, map[string]i18n.UnmarshalFunc{"toml": toml.Unmarshal})
	if err != nil {
		return err
	}
	if c.bundles[file.Tag] == nil {
		c.bundles[file.Tag] = i18n.NewBundle(file.Tag)
		c.messages[file.Tag] = make(map[string]sentence)
	}
	if err := c.bundles[file.Tag].AddMessages(file.Tag, file.Messages...); err != nil {
		return err
	}
	known := c.messages[file.Tag]
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

// offered is the order in which languages are offered: the source first, because
// the matcher falls back to the first, then the other official ones, then
// foreign ones.
func offered() []string { return []string{"es", "ca", "ca-valencia", "gl", "eu", "en"} }

// nameLanguages fixes the order of the languages and asks each for its name.
func (c *Catalogue) nameLanguages() error {
	rank := func(tag language.Tag) int {
		if at := slices.Index(offered(), tag.String()); at >= 0 {
			return at
		}
		return len(offered())
	}
	tags := slices.SortedFunc(maps.Keys(c.messages), func(a, b language.Tag) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.String(), b.String()))
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
		if found, ok := c.variety(tags[0]); ok {
			return c.speak(found)
		}
		if _, index, confidence := c.matcher.Match(tags...); confidence > language.No {
			return c.speak(language.MustParse(c.languages[index].Tag))
		}
	}
	return c.speak(source)
}

// variety finds the language with the variant wanted, whatever the region:
// ca-ES-valencia is ca-valencia. The matcher would say Catalan.
func (c *Catalogue) variety(wanted language.Tag) (language.Tag, bool) {
	if len(wanted.Variants()) == 0 {
		return language.Und, false
	}
	for _, l := range c.languages {
		tag := language.MustParse(l.Tag)
		base, _ := tag.Base()
		wantedBase, _ := wanted.Base()
		if base == wantedBase && slices.Equal(tag.Variants(), wanted.Variants()) {
			return tag, true
		}
	}
	return language.Und, false
}

// ForStaff is For among the languages that officers and auditors are served in.
func (c *Catalogue) ForStaff(wanted ...string) *Messages {
	if m := c.For(wanted...); slices.Contains(staffLanguages(), m.Locale()) {
		return m
	}
	return c.speak(source)
}

// StaffLanguages lists the languages of [Catalogue.ForStaff], the source first.
func (c *Catalogue) StaffLanguages() []Language {
	return slices.DeleteFunc(c.Languages(), func(l Language) bool { return !slices.Contains(staffLanguages(), l.Tag) })
}

func staffLanguages() []string { return []string{"es", "en"} }

// speak gathers who says a message: the language, those that it is a variety
// of, and the source.
func (c *Catalogue) speak(tag language.Tag) *Messages {
	m := &Messages{catalogue: c, tag: tag, zone: c.zone}
	for t := tag; !t.IsRoot(); t = t.Parent() {
		if _, spoken := c.messages[t]; spoken && t != source {
			m.voices = append(m.voices, c.voice(t))
		}
	}
	m.voices = append(m.voices, c.voice(source))
	return m
}

// voice says messages of one language only.
type voice struct {
	messages  map[string]sentence
	localizer *i18n.Localizer
}

func (c *Catalogue) voice(tag language.Tag) voice {
	return voice{messages: c.messages[tag], localizer: i18n.NewLocalizer(c.bundles[tag], tag.String())}
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
