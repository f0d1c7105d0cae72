package catalogue

import (
	"strconv"
	"strings"
	"time"

	"github.com/rubrica-firma/rubrica/policies"
)

// RefusalText is what a person reads of a refusal: what it is, why, and what
// to do now.
type RefusalText struct {
	Title  string
	Detail string
	Remedy string
}

// Refusal puts a refusal into words. A code that this catalogue does not know
// (from a newer process) reads as an internal failure.
func (m *Messages) Refusal(r *policies.Refusal) RefusalText {
	id := "refusal." + string(r.Code)
	if !m.Has(id + ".title") {
		id = "refusal." + string(policies.Internal)
	}
	params := m.facts(r)
	return RefusalText{
		Title:  m.Text(m.variant(id+".title", r.Params["reason"]), nil),
		Detail: m.sentence(m.variant(id+".detail", r.Params["reason"]), params),
		Remedy: m.sentence(m.variant(id+".remedy", r.Params["reason"]), params),
	}
}

// Finding puts into words what a document is signed in spite of.
func (m *Messages) Finding(f policies.Finding) RefusalText {
	text := m.Refusal(policies.Refuse(policies.DocumentUnsafe, "reason", string(f.Code)))
	text.Title = m.Text("refusal."+string(policies.DocumentUnsafe)+".title_warning", nil)
	return text
}

// Where tells a place at which a refusal can be mended.
func (m *Messages) Where(place policies.Where) string { return m.Text("where."+string(place), nil) }

// variant is the sentence for a reason, if there is one of its own.
func (m *Messages) variant(id, reason string) string {
	if particular := id + "_" + reason; reason != "" && m.Has(particular) {
		return particular
	}
	return id
}

// sentence falls back to the shorter form where a fact is missing.
func (m *Messages) sentence(id string, params map[string]any) string {
	text, err := m.Lookup(id, params)
	if err != nil && (strings.Contains(id, ".detail_") || strings.Contains(id, ".remedy_")) {
		return m.sentence(id[:strings.LastIndexByte(id, '_')], params)
	}
	if err != nil {
		return m.Text(id+"_bare", nil)
	}
	return text
}

// facts turns the domain's parameters into what sentences name: days and
// moments as the language writes them, seconds and minutes as spans (wait and
// span), a state as its name. A count of nothing left is no fact to tell: "you
// have 0 tries left" is another refusal.
func (m *Messages) facts(r *policies.Refusal) map[string]any {
	facts := make(map[string]any, len(r.Params)+1)
	if r.RetryAfter > 0 {
		facts["wait"] = m.Duration(r.RetryAfter)
	}
	for name, value := range r.Params {
		switch name {
		case "since", "from", "until":
			facts[name] = m.date(value)
		case "seconds":
			m.addSpan(facts, "wait", value, time.Second)
		case "minutes":
			m.addSpan(facts, "span", value, time.Minute)
		case "state":
			if m.Has("state." + value) {
				facts[name] = m.Text("state."+value, nil)
			}
		default:
			if value != "" && (!counting(name) || value != "0") {
				facts[name] = value
			}
		}
	}
	return facts
}

func (m *Messages) addSpan(facts map[string]any, name, value string, unit time.Duration) {
	if n, err := strconv.Atoi(value); err == nil && n > 0 {
		facts[name] = m.Duration(time.Duration(n) * unit)
	}
}

// date reads a day or a moment; what is neither shows as it came.
func (m *Messages) date(value string) string {
	if t, err := time.ParseInLocation(time.DateOnly, value, m.zone); err == nil {
		return m.Day(t)
	}
	if t, err := time.Parse(time.RFC3339, value); err == nil {
		return m.Moment(t)
	}
	return value
}
