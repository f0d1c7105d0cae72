package pages

import (
	"encoding/json"
	"fmt"
	"html/template"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rubrica-firma/rubrica/api/auditing"
	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/notify/catalogue"
)

// auditWords puts what stands in the log into the words of one language.
type auditWords struct{ *catalogue.Messages }

// auditFunctions are what the auditor's templates may call beside functions.
func auditFunctions(m *catalogue.Messages) template.FuncMap {
	words := auditWords{m}
	return template.FuncMap{
		"reading": words.reading, "elapsed": words.elapsed, "cause": words.cause, "stamp": m.Stamp, "zone": m.Zone,
		"choose": newAuditChoice, "events": words.events, "outcomes": words.outcomes, "when": newRange,
		"less": func(a, b float64) float64 { return a - b }, "iconOf": iconOf,
		"event": words.event, "outcome": words.outcome, "facts": words.facts, "instant": words.instant,
		"number": words.number, "coordinate": coordinate, "field": newAuditField,
	}
}

// Fact is one thing that an entry tells, in words. It has a text, a time, a
// list of texts, or facts of its own.
type Fact struct {
	Label string
	Text  string
	// Code is set where the text is a number or a name for machines.
	Code bool
	At   time.Time
	List []string
	// Inner are the facts of an object, or of each object of a list.
	Inner [][]Fact
}

// event says what happened.
func (w auditWords) event(t audit.EventType) string {
	if id := "audit.event." + string(t); w.Has(id) {
		return w.Text(id, nil)
	}
	return string(t) // of a newer version
}

// outcome says how it ended.
func (w auditWords) outcome(r audit.Result) string {
	if r == "" {
		return ""
	}
	return w.Text("audit.outcome."+string(r), nil)
}

// number groups the digits of a count as the language does.
func (w auditWords) number(n int64) string {
	digits := strconv.FormatInt(n, 10)
	if len(digits) <= 4 { // Spanish writes 1234, and 12 345
		return digits
	}
	var b strings.Builder
	for i, digit := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteRune('\u202f') // narrow, and no break
		}
		b.WriteRune(digit)
	}
	return b.String()
}

// facts are those of an entry's payload in the order of its schema; what the
// schema does not know comes after, by name.
func (w auditWords) facts(t audit.EventType, payload map[string]any) []Fact {
	schema, _ := audit.SchemaOf(t)
	return w.object(schema.Fields, payload)
}

func (w auditWords) object(fields []audit.Field, values map[string]any) []Fact {
	var facts []Fact
	// Whom an entry is about, and whose application it was, stand in its head.
	told := map[string]bool{"person": true, "application": true}
	for _, field := range fields {
		if told[field.Name] {
			continue
		}
		if value, there := values[field.Name]; there && value != nil && value != "" {
			facts = append(facts, w.fact(field, value))
		}
		told[field.Name] = true
	}
	var rest []string
	for name := range values {
		if !told[name] {
			rest = append(rest, name)
		}
	}
	slices.Sort(rest)
	for _, name := range rest {
		facts = append(facts, w.fact(audit.Field{Name: name, Kind: kindOfValue(values[name])}, values[name]))
	}
	return facts
}

// label names a field.
func (w auditWords) label(name string) string {
	if id := "audit.fact_" + name; w.Has(id) {
		return w.Text(id, nil)
	}
	return name
}

func (w auditWords) fact(field audit.Field, value any) Fact {
	fact := Fact{Label: w.label(field.Name)}
	switch v := value.(type) {
	case map[string]any:
		if field.Kind == audit.KindWords {
			fact.Inner = [][]Fact{w.object(nil, v)}
			break
		}
		fact.Inner = [][]Fact{w.object(field.Fields, v)}
	case []any:
		for _, one := range v {
			if inner, ok := one.(map[string]any); ok {
				fact.Inner = append(fact.Inner, w.object(field.Fields, inner))
				continue
			}
			fact.List = append(fact.List, w.value(audit.Field{Name: field.Name, Kind: field.Each}, one).Text)
		}
	default:
		told := w.value(field, value)
		fact.Text, fact.Code, fact.At = told.Text, told.Code, told.At
	}
	return fact
}

// value says one value that is no list and no object.
func (w auditWords) value(field audit.Field, value any) Fact {
	switch v := value.(type) {
	case bool:
		if v {
			return Fact{Text: w.Text("audit.yes", nil)}
		}
		return Fact{Text: w.Text("audit.no", nil)}
	case json.Number:
		return w.count(field.Name, v)
	case string:
		return w.text(field, v)
	}
	return Fact{Text: fmt.Sprint(value), Code: true}
}

func (w auditWords) count(name string, v json.Number) Fact {
	n, err := v.Int64()
	if err != nil {
		return Fact{Text: v.String(), Code: true}
	}
	switch name {
	case "seconds", "shown_seconds", "wait":
		return Fact{Text: w.Duration(time.Duration(n) * time.Second)}
	case "bytes":
		return Fact{Text: w.Size(n)}
	}
	return Fact{Text: w.number(n)}
}

func (w auditWords) text(field audit.Field, v string) Fact {
	switch field.Kind { //nolint:exhaustive // the others are texts
	case audit.KindTime:
		if t, err := time.Parse(time.RFC3339Nano, v); err == nil {
			return Fact{Text: w.instant(t), At: t}
		}
	case audit.KindDate:
		if t, err := time.Parse(time.DateOnly, v); err == nil {
			return Fact{Text: w.In(time.UTC).Day(t)}
		}
	case audit.KindHex:
		return Fact{Text: groups(v), Code: true}
	}
	if id := "audit.value_" + field.Name + "_" + word(v); w.Has(id) {
		return Fact{Text: w.Text(id, nil)}
	}
	// A refusal is told by its title, with the code under which it can be
	// searched.
	if id := "refusal." + v + ".title"; w.Has(id) {
		return Fact{Text: w.Text(id, nil) + " (" + v + ")"}
	}
	if id := "audit.event." + v; w.Has(id) {
		return Fact{Text: w.Text(id, nil)}
	}
	return Fact{Text: v, Code: machine(field.Name, v)}
}

// machine is whether a text is an identifier and no sentence: long, and in one
// piece.
func machine(name, v string) bool {
	return len(v) > 20 && !strings.ContainsAny(v, " @") && name != "title"
}

// word makes of a value what can stand in a message's identifier.
func word(v string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToLower(v))
}

// kindOfValue guesses what an unknown field holds.
func kindOfValue(value any) audit.Kind {
	text, ok := value.(string)
	if !ok {
		return audit.KindString
	}
	if _, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return audit.KindTime
	}
	if _, err := time.Parse(time.DateOnly, text); err == nil {
		return audit.KindDate
	}
	return audit.KindString
}

// instant tells a moment to the second, with its zone: entries follow each
// other too fast for minutes.
func (w auditWords) instant(t time.Time) string { return w.Instant(t) }

// reading is how a list tells an entry in one line: a reason or a title, if it
// has one.
func (w auditWords) reading(e auditing.Entry) string {
	for _, name := range []string{"reason", "title", "purpose", "factor", "asked", "name"} {
		if v, ok := e.Facts[name].(string); ok && v != "" {
			return w.text(audit.Field{Name: name}, v).Text
		}
	}
	return ""
}

// elapsed tells the time between two steps: people need seconds, machines take
// thousandths.
func (w auditWords) elapsed(d time.Duration) string {
	if d < time.Second {
		return w.Text("audit.operation.at_once", nil)
	}
	return w.Duration(d.Truncate(time.Second))
}

// cause says why signing was stopped.
func (w auditWords) cause(reason string) string {
	return w.text(audit.Field{Name: "cause"}, reason).Text
}

// events are what the search form lets choose: a whole group, or one of it.
func (w auditWords) events() []ChoiceGroup {
	var all []ChoiceGroup
	for _, group := range eventGroups() {
		label := w.Text("audit.group."+group.Name, nil)
		list := []Choice{{groupPrefix + group.Name, w.Text("audit.group_all", map[string]any{"group": label})}}
		for _, t := range group.Types {
			list = append(list, Choice{string(t), w.event(t)})
		}
		all = append(all, ChoiceGroup{label, list})
	}
	return all
}

func (w auditWords) outcomes() []Choice {
	var all []Choice
	for _, r := range auditing.Results() {
		all = append(all, Choice{string(r), w.outcome(r)})
	}
	return all
}

// iconOf is the symbol of an entry's state.
func iconOf(state string) string {
	return map[string]string{stateIntact: "check", stateErased: "dot", stateAltered: "error"}[state]
}

// eventGroup is a part of the list of events in the search form.
type eventGroup struct {
	Name  string // audit.group.<Name>
	Types []audit.EventType
}

// eventGroups are the houses of the schemas.
func eventGroups() []eventGroup {
	var all []eventGroup
	for _, house := range audit.Houses() {
		group := eventGroup{Name: word(house.Name)}
		for _, schema := range house.Schemas {
			group.Types = append(group.Types, schema.Type)
		}
		all = append(all, group)
	}
	return all
}
