package rest

import (
	"encoding/json/v2"
	"fmt"
	"mime"
	"time"

	"github.com/labstack/echo/v4"
	openapi_types "github.com/oapi-codegen/runtime/types"

	"github.com/rubrica-firma/rubrica/api/auditing"
	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/policies"
)

// decode reads a question. What the contract does not have is refused: an
// auditor must not take a member that was passed over for one that was heeded.
func decode(c echo.Context, into any) error {
	r := c.Request()
	kind, _, err := mime.ParseMediaType(r.Header.Get(echo.HeaderContentType))
	if err != nil || kind != echo.MIMEApplicationJSON {
		return policies.Refuse(policies.RequestMalformed, "field", echo.HeaderContentType)
	}
	if err := json.UnmarshalRead(r.Body, into, json.RejectUnknownMembers(true)); err != nil {
		return fmt.Errorf("%w: reading a question: %w", policies.Refuse(policies.RequestMalformed), err)
	}
	return nil
}

func typesOf(names []string) []audit.EventType {
	types := make([]audit.EventType, len(names))
	for i, name := range names {
		types[i] = audit.EventType(name)
	}
	return types
}

func encodePage(f auditing.Found) EntryPage {
	page := EntryPage{Entries: make([]LogEntry, len(f.Entries)), Next: f.Next, Size: f.Size}
	for i, e := range f.Entries {
		page.Entries[i] = encodeEntry(e)
	}
	return page
}

func encodeEntry(e auditing.Entry) LogEntry {
	return LogEntry{
		Seq: e.Seq, Type: string(e.Type), Operation: e.Operation, At: e.At, Person: e.Person, Result: string(e.Result), Facts: e.Facts,
		Leaf: append([]byte{}, e.Leaf...), Payload: e.Payload, Salt: e.Salt, Erased: e.Erased, Intact: e.Intact,
	}
}

func date(t time.Time) openapi_types.Date { return openapi_types.Date{Time: t} }

func encodeTotals(t auditing.Totals) LogTotals {
	out := LogTotals{
		From: date(t.From), To: date(t.To), Counted: t.Counted, Size: t.Size,
		Signatures: []SignatureCount{}, Refusals: []ReasonCount{}, CodeFailures: []EventCount{}, Confirmations: []TimeCount{}, Events: []EventCount{},
	}
	for _, s := range t.Signatures {
		out.Signatures = append(out.Signatures, SignatureCount{Day: date(s.Day), Application: s.Application, Result: string(s.Result), N: s.N})
	}
	for _, r := range t.Refusals {
		out.Refusals = append(out.Refusals, ReasonCount{Type: string(r.Type), Reason: r.Reason, N: r.N})
	}
	for _, e := range t.CodeFailures {
		out.CodeFailures = append(out.CodeFailures, EventCount{Day: date(e.Day), Type: string(e.Type), N: e.N})
	}
	for _, m := range t.Confirmations {
		out.Confirmations = append(out.Confirmations, TimeCount{Day: date(m.Day), N: m.N, Seconds: m.Seconds})
	}
	for _, e := range t.Events {
		out.Events = append(out.Events, EventCount{Type: string(e.Type), N: e.N})
	}
	return out
}

func encodeHealth(h auditing.Health) LogHealth {
	out := LogHealth{
		At: h.At, Origin: h.Origin, Size: h.Size, Last: h.Last,
		Signed: encodeCheckpoint(h.Signed), Witnessed: encodeCheckpoint(h.Witnessed), Stamped: encodeCheckpoint(h.Stamped),
		Witnesses: make([]WitnessState, len(h.Witnesses)), Suspended: h.Suspended, Since: h.Since, Reason: h.Reason, Signing: h.Signing,
		Recoveries: h.Recoveries, Counted: h.Counted,
	}
	for i, w := range h.Witnesses {
		out.Witnesses[i] = WitnessState{Name: w.Name, Size: w.Size, At: w.At}
	}
	return out
}

func encodeCheckpoint(c auditing.CheckpointHealth) CheckpointState {
	if c.At.IsZero() {
		return CheckpointState{}
	}
	return CheckpointState{Size: c.Size, At: c.At, AgeSeconds: int64(c.Age / time.Second), Lag: c.Lag}
}
