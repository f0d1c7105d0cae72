package pages

import (
	"context"
	"fmt"
	"html/template"
	"log/slog"
	"maps"
	"strings"
	"time"

	"github.com/rubrica-firma/rubrica/notify/catalogue"
	"github.com/rubrica-firma/rubrica/policies"
)

// functions are what templates may call, bound to one language.
func (p *Pages) functions(m *catalogue.Messages) template.FuncMap {
	functions := template.FuncMap{
		// t says a message of the catalogue, with parameters as name, value …
		"t": func(id string, pairs ...any) (string, error) { return p.say(m, id, pairs) },
		// refusal puts a refusal into words.
		"refusal": func(r *policies.Refusal) catalogue.RefusalText { return m.Refusal(r) },
		// finding puts something found in a document into words.
		"finding": func(f policies.Finding) catalogue.RefusalText { return m.Finding(f) },
		// where tells a place at which a refusal can be mended.
		"where": m.Where,
		// asset gives the address of an embedded file.
		"asset": p.assets.address,
		// moment, clock, day, span and size write facts as the language does.
		"moment": m.Moment,
		"clock":  m.Clock,
		"day":    m.Day,
		"span":   m.Duration,
		"size":   m.Size,
		// seconds rounds a span up, for scripts that count down.
		"seconds": func(d time.Duration) int { return max(0, int((d+time.Second-1)/time.Second)) },
		// iso is a time for machines.
		"iso": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		// groups cuts a long number into blocks of four; shorten keeps the first two.
		"groups":  groups,
		"shorten": func(s string) string { return groups(s[:min(len(s), 8)]) + " …" },
		// progress is a step of one of the ways through the service.
		"progress": newProgress,
		"add":      func(a, b int) int { return a + b },
		// myday is a date that the own signatures are filtered by.
		"myday": func(p Page, name, value string) Input {
			return Input{Name: name, Value: value, Problem: p.Problem(name)}
		},
	}
	maps.Copy(functions, auditFunctions(m))
	maps.Copy(functions, deskFunctions())
	return functions
}

// say fills a message. A sentence that cannot be said shows as its identifier
// and goes to the log: a signing page with one odd word is better than none.
func (p *Pages) say(m *catalogue.Messages, id string, pairs []any) (string, error) {
	if len(pairs)%2 != 0 {
		return "", fmt.Errorf("message %q: a parameter has no value", id)
	}
	params := make(map[string]any, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		name, ok := pairs[i].(string)
		if !ok {
			return "", fmt.Errorf("message %q: the name of a parameter is a %T", id, pairs[i])
		}
		params[name] = pairs[i+1]
	}
	text, err := m.Lookup(id, params)
	if err != nil {
		p.options.Logger.LogAttrs(context.Background(), slog.LevelError, "sentence could not be said",
			slog.String("language", m.Locale()), slog.String("message_id", id), slog.Any("error", err))
		return id, nil
	}
	return text, nil
}

// groups writes a hexadecimal number the way people compare them.
func groups(number string) string {
	number = strings.ToUpper(number)
	var blocks []string
	for len(number) > 4 {
		blocks = append(blocks, number[:4])
		number = number[4:]
	}
	return strings.Join(append(blocks, number), " ")
}

// progress tells where one is on the way through several pages.
type progress struct {
	Way   string // "sign" or "activate"
	Step  int
	Steps []bool // for each step, whether it has been reached
}

func newProgress(way string, step int) progress {
	p := progress{Way: way, Step: step}
	for i := range 3 {
		p.Steps = append(p.Steps, i < step)
	}
	return p
}
