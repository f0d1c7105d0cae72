package pages

import (
	"net/http"
	"strings"
	"time"

	"github.com/rubrica-firma/rubrica/api/auditing"
	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/policies"
)

// ComponentsPath is where [Pages.Gallery] must be mounted.
const ComponentsPath = "/componentes/" //nolint:misspell // Spanish, like all addresses

// Components documents the components with their states, and links to every
// page in every state.
type Components struct {
	Page
	CodeSent
	Samples  []SampleLink
	Document Document
	Rules    []PasswordRule
	Entry    auditing.Entry
	Charts   []Chart
}

// SampleLink leads to a sample.
type SampleLink struct {
	Name   string
	States []Link
}

func (*Components) template() string { return "components-page" }

// Wrong is a field with its problem.
func (c *Components) Wrong() (Input, error) {
	page := &Page{}
	page.Fail(FieldIdentifier, policies.Refuse(policies.IdentifierInvalid))
	return page.Input(FieldIdentifier, "12345678A")
}

// Several is a page with problems of both kinds.
func (c *Components) Several() *Page {
	page := &Page{}
	page.Fail(FieldIdentifier, policies.Refuse(policies.IdentifierInvalid))
	page.Fail("", policies.Refuse(policies.CodeTooSoon, "seconds", "28"))
	return page
}

// Gallery shows the components and all samples. It belongs to the development
// mode: what it shows is invented and must not be taken for a request.
func (p *Pages) Gallery(now func() time.Time) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		locale := p.Locale(w, r)
		moment := now()
		name, state := strings.TrimPrefix(r.URL.Path, ComponentsPath), r.URL.Query().Get("estado")
		samples := p.Samples(moment)
		view := p.components(moment, samples)
		for _, sample := range samples {
			if sample.Name == name && sample.State == state {
				view = sample.View
			}
		}
		if err := p.Render(w, http.StatusOK, locale, view); err != nil {
			p.options.Logger.ErrorContext(r.Context(), "component page could not be rendered", "error", err)
			http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		}
	})
}

func (p *Pages) components(now time.Time, samples []Sample) View {
	s := &sampler{now: now, image: p.assets.addresses["sample-page.svg"]}
	c := &Components{Self: ComponentsPath, CodeSent: s.codeSent(), Document: s.documents(1)[0]}
	s.words = p.speak("")
	totals, today := &AuditTotals{}, now.UTC().Truncate(day)
	totals.draw(sampleTotals(today.AddDate(0, 0, -6), today.AddDate(0, 0, 1)), sampleNames(), s.words)
	c.Entry, c.Charts = s.entries()[5], totals.Charts[:2]
	for i, state := range []RuleState{RuleUntried, RuleKept, RuleBroken} {
		rule := PasswordRules()[i]
		rule.State = state
		c.Rules = append(c.Rules, rule)
	}
	for _, sample := range samples {
		if last := len(c.Samples) - 1; last < 0 || c.Samples[last].Name != sample.Name {
			c.Samples = append(c.Samples, SampleLink{Name: sample.Name})
		}
		last := &c.Samples[len(c.Samples)-1]
		last.States = append(last.States, Link{Text: sample.State, URL: sample.View.page().Self})
	}
	return c
}

// AuditorDesk is the head of the auditor's pages.
func (c *Components) AuditorDesk() *Desk { return sampleDesk("totals") }

// Outcomes are the classes of results.
func (c *Components) Outcomes() []audit.Result { return auditing.Results() }

// WrongHash is a filter with its problem.
func (c *Components) WrongHash() AuditField {
	page := &Page{Problems: []Problem{invalid(FieldHash, "hash")}}
	return newAuditField(page, FieldHash, "7f3a")
}

// Asked are filters that are set.
func (c *Components) Asked() []AskedFor {
	return []AskedFor{{Field: FieldCitizen, Text: "12345678Z"}, {Field: FieldResult, Outcome: audit.ResultFailed}}
}

// Swatches are the colours of app.css.
func (c *Components) Swatches() []string {
	return []string{"accent", "paper", "surface", "wash", "soft", "error", "good", "warn"}
}

// Icons are the symbols of icons.svg.
func (c *Components) Icons() []string {
	return []string{
		"mark", "check", "error", "warning", "clock", "building", "shield", "document", "receipt", "download",
		"left", "right", "key", "seal", "card", "dot", "search",
	}
}
