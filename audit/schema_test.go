package audit

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The list is closed: an event that is added or taken away is meant.
func TestEventTypes(t *testing.T) {
	t.Parallel()
	types := EventTypes()
	if got, want := len(types), 120; got != want {
		t.Errorf("event types: got %d, want %d", got, want)
	}
	if got := len(slices.Compact(slices.Sorted(slices.Values(types)))); got != len(types) {
		t.Errorf("event types: %d of %d are different", got, len(types))
	}
	for _, kind := range types {
		if !operationForm.MatchString(string(kind)) || strings.Count(string(kind), ".") != 1 {
			t.Errorf("event type %q: want subject.verb", kind)
		}
		if !kind.Known() {
			t.Errorf("event type %q: got it unknown, want it known", kind)
		}
	}
	if EventType("sign.maybe").Known() {
		t.Error("event type sign.maybe: got it known, want it unknown")
	}
}

// Every schema is one that a payload can fit, and of whose fields a reader
// learns what they mean.
func TestSchemasAreWhole(t *testing.T) {
	t.Parallel()
	for _, s := range Schemas() {
		if s.Means == "" || !strings.HasSuffix(s.Means, ".") {
			t.Errorf("%s: got %q, want a sentence", s.Type, s.Means)
		}
		wantFields(t, string(s.Type), s.Fields)
		if _, err := (Entry{Type: s.Type, Operation: "op", At: start, Payload: s.Example()}).canonical(); err != nil {
			t.Errorf("the example of %s: %v", s.Type, err)
		}
	}
}

// wantFields holds fields against what all of them must be: named once, by no
// name of a secret, explained, and telephones and addresses only masked.
func wantFields(t *testing.T, place string, fields []Field) {
	t.Helper()
	seen := map[string]bool{personKey: true}
	for _, f := range fields {
		at := place + "." + f.Name
		if seen[f.Name] {
			t.Errorf("%s: named twice", at)
		}
		seen[f.Name] = true
		if !keyForm.MatchString(f.Name) || namesSecret(f.Name) {
			t.Errorf("%s: not a name that may stand in the log", at)
		}
		if f.Means == "" {
			t.Errorf("%s: got no explanation", at)
		}
		if f.Former && !f.Optional {
			t.Errorf("%s: no longer written, and required", at)
		}
		if strings.Contains(f.Name, "phone") && f.Kind != KindPhone || strings.Contains(f.Name, "mail") && f.Kind != KindMail {
			t.Errorf("%s: got kind %s, want it masked", at, f.Kind)
		}
		if (f.Kind == KindObject) != (f.Fields != nil && f.Kind != KindList) || f.Kind == KindList && (f.Each == "") == (f.Fields == nil) {
			t.Errorf("%s: %s of %q and %d fields", at, f.Kind, f.Each, len(f.Fields))
		}
		if f.Term != "" && f.Kind != KindString && f.Kind != KindHex {
			t.Errorf("%s: searched by, and of kind %s", at, f.Kind)
		}
		wantFields(t, at, f.Fields)
	}
}

// No name of a field may be a secret's, whichever event and version it is of.
func TestSecretsHaveNoName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"password", "passwd", "code", "codes", "sms_code", "otp", "pin", "puk_pin", "token", "tokens", "client_secret",
		"ticket", "sad", "salt", "cookie", "session_cookie",
	} {
		if !namesSecret(name) {
			t.Errorf("%s: got it allowed, want it a secret's name", name)
		}
		for _, payload := range []any{
			map[string]any{name: "x"},
			map[string]any{"a": []any{map[string]any{name: json.Number("1")}}},
		} {
			if checkValue(payload) == nil {
				t.Errorf("%v: got it accepted", payload)
			}
		}
	}
	for _, name := range []string{"encoded", "shipping", "pinned", "codec", "tokenless", "salty", "sadly"} {
		if namesSecret(name) {
			t.Errorf("%s: got it taken for a secret's name", name)
		}
	}
}

func TestSchemaCheck(t *testing.T) {
	t.Parallel()
	valid := func() map[string]any {
		return map[string]any{
			"purpose": "signature", "phone": "··· ··· 421", "application": "sede", "reference": "ABCD", "challenge": "C1",
		}
	}
	for name, tc := range map[string]struct {
		kind   EventType
		change map[string]any
		fits   bool
	}{
		"as it is":          {CodeSent, nil, true},
		"unknown field":     {CodeSent, map[string]any{"note": "x"}, false},
		"missing":           {CodeSent, map[string]any{"purpose": nil}, false},
		"optional missing":  {CodeSent, map[string]any{"phone": nil, "application": nil}, true},
		"number for text":   {CodeSent, map[string]any{"purpose": 1}, false},
		"whole phone":       {CodeSent, map[string]any{"phone": "+34600111421"}, false},
		"phone in part":     {CodeSent, map[string]any{"phone": "··· 111 421"}, false},
		"text for number":   {CodeFailed, map[string]any{"reference": nil, "attempt": "1"}, false},
		"number":            {CodeFailed, map[string]any{"reference": nil, "attempt": 1}, true},
		"another's word":    {CodeSent, map[string]any{"purpose": "fun"}, false},
		"another's field":   {CodeFailed, map[string]any{"attempt": 1}, false},
		"no object":         {SignShown, map[string]any{"purpose": nil, "phone": nil, "challenge": nil, "documents": []any{"x"}}, false},
		"no list":           {SignShown, map[string]any{"purpose": nil, "phone": nil, "challenge": nil, "documents": "x"}, false},
		"empty list":        {SignShown, map[string]any{"purpose": nil, "phone": nil, "challenge": nil, "documents": []any(nil)}, true},
		"object in a list":  {SignShown, map[string]any{"purpose": nil, "phone": nil, "challenge": nil, "documents": []any{map[string]any{"ordinal": 1, "sha256": "c0ffee"}}}, true},
		"unknown in a list": {SignShown, map[string]any{"purpose": nil, "phone": nil, "challenge": nil, "documents": []any{map[string]any{"ordinal": 1, "x": 1}}}, false},
		"no hexadecimal":    {SignShown, map[string]any{"purpose": nil, "phone": nil, "challenge": nil, "documents": []any{map[string]any{"ordinal": 1, "sha256": "C0FFEE"}}}, false},
		"no time": {
			SignShown,
			map[string]any{"purpose": nil, "phone": nil, "challenge": nil, "documents": []any{map[string]any{"ordinal": 1, "signing_time": "yesterday"}}},
			false,
		},
	} {
		payload := valid()
		maps.Copy(payload, tc.change)
		maps.DeleteFunc(payload, func(_ string, v any) bool { return v == nil })
		_, err := Entry{Type: tc.kind, Operation: "op", At: start, Person: "12345678Z", Payload: payload}.canonical()
		if errors.Is(err, ErrPayload) == tc.fits || err == nil != tc.fits {
			t.Errorf("%s: got %v, want it to fit: %t", name, err, tc.fits)
		}
	}
}

func TestCheckText(t *testing.T) {
	t.Parallel()
	for kind, tc := range map[Kind]struct{ good, bad []string }{
		KindString:  {[]string{"", "x"}, nil},
		KindTime:    {[]string{"2026-03-01T09:00:00Z", "2026-03-01T09:00:00.123456+01:00"}, []string{"", "2026-03-01", "09:00"}},
		KindDate:    {[]string{"2026-03-01"}, []string{"", "2026-02-30", "2026-03-01T09:00:00Z"}},
		KindHex:     {[]string{"0", "c0ffee"}, []string{"", "C0", "0x1", "g", "c0\n"}},
		KindPhone:   {[]string{"··· ··· 421", "···"}, []string{"", "421", "600 111 421", "··· ··· 4211"}},
		KindMail:    {[]string{"a···@example.es"}, []string{"", "ana@example.es", "an···@example.es", "a···@"}},
		KindInteger: {nil, []string{"1"}}, KindBoolean: {nil, []string{"true"}}, KindObject: {nil, []string{"{}"}},
	} {
		for _, text := range tc.good {
			if err := checkText(kind, text); err != nil {
				t.Errorf("%s %q: got %v, want it to fit", kind, text, err)
			}
		}
		for _, text := range tc.bad {
			if checkText(kind, text) == nil {
				t.Errorf("%s %q: got it to fit", kind, text)
			}
		}
	}
}

func TestTerms(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		kind    EventType
		payload string
		want    []Term
	}{
		"a request": {
			SignRequested,
			`{"application":"sede","title":"x","documents":[{"ordinal":1,"sha256":"aa"},{"ordinal":2,"sha256":"bb"},{"ordinal":3,"sha256":"aa"}]}`,
			[]Term{{"application", "sede"}, {"document", "aa"}, {"document", "bb"}},
		},
		"an intent": {
			SignIntent,
			`{"application":"sede","authorisation":"A","serial":"7f","documents":[{"ordinal":1,"sha256":"aa","digest":"cc","dtbs_r":"dd","hash":"2.16"}]}`,
			[]Term{{"application", "sede"}, {"certificate", "7f"}, {"document", "aa"}, {"document", "cc"}},
		},
		"a consent, whose digest the intent repeats": {
			SignAuthorised, `{"documents":[{"ordinal":1,"sha256":"aa","digest":"cc"}],"serial":"7f"}`,
			[]Term{{"certificate", "7f"}, {"document", "aa"}},
		},
		"an intent of an older version":    {SignIntent, `{"serial":"7f","documents":[{"ordinal":1,"digest":"cc","hash":"2.16"}]}`, []Term{{"certificate", "7f"}, {"document", "cc"}}},
		"a refusal":                        {AuthFailed, `{"reason":"credentials_wrong"}`, []Term{{"reason", "credentials_wrong"}}},
		"a refusal of an older version":    {OfficeActRefused, `{"reason":"office_act_invalid: time"}`, []Term{{"reason", "office_act_invalid"}}},
		"an officer's words":               {KeyRevoked, `{"reason":"perdió el móvil"}`, nil},
		"the reason of a list":             {CertificateRevoked, `{"serial":"7f","reason":1}`, []Term{{"certificate", "7f"}}},
		"an interrupted one, as it was":    {CertificateInterrupted, `{"id":"7f"}`, []Term{{"certificate", "7f"}}},
		"a question":                       {AuditQueried, `{"question":{"about":"12345678Z","document":"aa"},"purpose":"x"}`, []Term{{"citizen", "12345678Z"}, {"document", "aa"}}},
		"nothing to search by":             {ServiceStarted, `{"version":"1"}`, nil},
		"facts that no schema knows":       {SignDone, `{"serial":7,"application":["x"],"documents":{"sha256":"aa"},"x":{"serial":"1"}}`, []Term{{"document", "aa"}}},
		"documents that are not as wanted": {SignDone, `{"documents":["aa",7,null]}`, nil},
		"empty":                            {SignDone, `{"serial":""}`, nil},
		"unknown type":                     {"sign.maybe", `{"serial":"7f"}`, nil},
	} {
		got, err := Terms(tc.kind, []byte(tc.payload))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if terms, err := Terms(SignDone, []byte(`{`)); err == nil {
		t.Errorf("no JSON: got %v, want an error", terms)
	}
}

// Each outcome of a request or of a certificate belongs to a class.
func TestResults(t *testing.T) {
	t.Parallel()
	for kind, want := range map[EventType]Result{
		SignDone: ResultSucceeded, SignFailed: ResultFailed, SignInterrupted: ResultInterrupted,
		SignRefused: ResultRefused, SignDenied: ResultRefused, SignExpired: ResultExpired, SignWithdrawn: ResultExpired,
		CertificateIssued: ResultSucceeded, CertificateRefused: ResultRefused, CertificateInterrupted: ResultInterrupted,
		AuthFailed: ResultFailed, CodeExpired: ResultExpired, SignIntent: ResultNone, "sign.maybe": ResultNone,
	} {
		if got := ResultOf(kind); got != want {
			t.Errorf("%s: got %q, want %q", kind, got, want)
		}
	}
}

func BenchmarkCanonical(b *testing.B) {
	e := entry(start, 1)
	for b.Loop() {
		if _, err := e.canonical(); err != nil {
			b.Fatal(err)
		}
	}
}

// Terms reads whatever stands in a database: it never fails otherwise than by
// saying so, and what it finds is in order, each once, and of a kind that is known.
func FuzzTerms(f *testing.F) {
	kinds := EventTypes()
	for i, s := range Schemas() {
		payload, err := json.Marshal(s.Example())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(i), payload)
	}
	f.Add(uint8(0), []byte(`{"documents":[[{"sha256":"aa"}],null,{"sha256":["bb"]}]}`))
	known := []string{TermApplication, TermCertificate, TermCitizen, TermDocument, TermReason}
	f.Fuzz(func(t *testing.T, kind uint8, payload []byte) {
		terms, err := Terms(kinds[int(kind)%len(kinds)], payload)
		if err != nil && terms != nil {
			t.Errorf("got %v with %v", terms, err)
		}
		for i, term := range terms {
			if term.Value == "" || !slices.Contains(known, term.Kind) {
				t.Errorf("got %v", term)
			}
			if i > 0 && (terms[i-1].Kind > term.Kind || terms[i-1].Kind == term.Kind && terms[i-1].Value >= term.Value) {
				t.Errorf("got %v after %v", term, terms[i-1])
			}
		}
	})
}
