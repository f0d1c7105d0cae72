package auditing

import (
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
)

// sought is a query as it was understood.
type sought struct {
	filter audit.Filter
	limit  int
	// question is the query as it stands in the log.
	question map[string]any
	// nothing means that no entry can match: no type asked for has that result.
	nothing bool
}

// invalid is a field that cannot be read. Its value is the auditor's affair and
// goes nowhere.
func invalid(field string) error { return policies.Refuse(policies.QueryInvalid, "field", field) }

// serialForm is a serial number of at most 20 octets (RFC 5280, section
// 4.1.2.2), as it is shown in hex.
var (
	serialForm      = regexp.MustCompile(`^[0-9a-f]{1,40}$`)
	digestForm      = regexp.MustCompile(`^(?:[0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128})$`) // SHA-256, -384, -512
	applicationForm = regexp.MustCompile(`^[!-~]{1,255}$`)
	operationForm   = regexp.MustCompile(`^[0-9A-Za-z._:-]{1,128}$`)
)

// parse reads a query. Whatever it cannot read, it refuses: an auditor must not
// take a question that was not understood for one without an answer.
func (s *Service) parse(q Query) (sought, error) {
	out := sought{question: map[string]any{}}
	for _, read := range []func(Query, *sought) error{readCitizen, readTerms, readOperation, readTypes, s.readTimes, readPage} {
		if err := read(q, &out); err != nil {
			return sought{}, err
		}
	}
	return out, nil
}

func readCitizen(q Query, out *sought) error {
	if strings.TrimSpace(q.Citizen) == "" {
		return nil
	}
	id, err := citizen.ParseIdentifier(q.Citizen)
	if err != nil {
		return err
	}
	out.filter.Citizen, out.question["about"] = id.String(), id.String()
	return nil
}

func readTerms(q Query, out *sought) error {
	for _, t := range []struct {
		field, kind, value string
		form               *regexp.Regexp
	}{
		{"certificate", audit.TermCertificate, serial(q.Certificate), serialForm},
		{"document", audit.TermDocument, hexadecimal(q.Document), digestForm},
		{"application", audit.TermApplication, strings.TrimSpace(q.Application), applicationForm},
	} {
		if t.value == "" {
			continue
		}
		if !t.form.MatchString(t.value) {
			return invalid(t.field)
		}
		out.filter.Terms = append(out.filter.Terms, audit.Term{Kind: t.kind, Value: t.value})
		out.question[t.field] = t.value
	}
	return nil
}

// hexadecimal takes away what people and programs put between digits.
func hexadecimal(s string) string {
	return strings.ToLower(strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || r == ':' {
			return -1
		}
		return r
	}, s))
}

// serial is a serial number as the log has it: without leading zeros.
func serial(s string) string {
	s = hexadecimal(s)
	if trimmed := strings.TrimLeft(s, "0"); trimmed != "" {
		return trimmed
	}
	return s
}

func readOperation(q Query, out *sought) error {
	id := strings.TrimSpace(q.Operation)
	switch {
	case id == "":
		return nil
	case !operationForm.MatchString(id):
		return invalid("operation")
	}
	out.filter.Operation, out.question["operation"] = id, id
	return nil
}

// readTypes makes types of a result, too: a class of outcomes is those of its
// types.
func readTypes(q Query, out *sought) error {
	for _, t := range q.Types {
		if !t.Known() {
			return invalid("type")
		}
	}
	types := slices.Compact(slices.Sorted(slices.Values(q.Types)))
	if len(types) > 0 {
		out.question["event_types"] = slices.Clone(types)
	}
	if q.Result != "" {
		if !slices.Contains(Results(), q.Result) {
			return invalid("result")
		}
		out.question["result"] = string(q.Result)
		if len(types) == 0 {
			types = audit.EventTypes()
		}
		types = slices.DeleteFunc(types, func(t audit.EventType) bool { return audit.ResultOf(t) != q.Result })
		out.nothing = len(types) == 0
	}
	out.filter.Types = types
	return nil
}

// earliest and latest are years that a database and a person's typing agree on.
const (
	earliest = 1970
	latest   = 9999
)

func (s *Service) readTimes(q Query, out *sought) error {
	for field, t := range map[string]time.Time{"from": q.From, "to": q.To} {
		if t.IsZero() {
			continue
		}
		if y := t.UTC().Year(); y < earliest || y > latest {
			return policies.Refuse(policies.RangeImpossible)
		}
		out.question[field] = t.UTC().Format(time.RFC3339Nano)
	}
	if !q.From.IsZero() && q.From.After(s.Now()) || !q.From.IsZero() && !q.To.IsZero() && !q.From.Before(q.To) {
		return policies.Refuse(policies.RangeImpossible)
	}
	out.filter.From, out.filter.To = q.From.UTC(), q.To.UTC()
	return nil
}

// largest is the largest number that the log can say (RFC 8785, appendix B).
const largest = 1 << 53

func readPage(q Query, out *sought) error {
	switch {
	case q.Before < 0 || q.Before > largest:
		return invalid("before")
	case q.Limit < 0 || q.Limit > MaxLimit:
		return invalid("limit")
	}
	if out.limit = q.Limit; out.limit == 0 {
		out.limit = DefaultLimit
	} else {
		out.question["limit"] = q.Limit
	}
	if q.Before > 0 {
		out.question["before"] = q.Before
	}
	return nil
}
