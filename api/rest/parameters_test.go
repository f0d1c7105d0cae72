package rest_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/rubrica-firma/rubrica/api/rest"
	"github.com/rubrica-firma/rubrica/policies"
)

// known are values that the rules of the domain take; every other is made from the
// contract.
func known() map[string]any {
	return map[string]any{
		"identifier": spaniard, "return_url": returnURL, "content": "JVBERi0xLjcK", "media_type": "application/pdf", "format": "pades", "phone": "612345678",
		"document_until": "2031-05-20", "url": "https://video.example.es/rec-1", "office": "office", "sha256": strings.Repeat("7f", 32), "locale": "es",
		"email": "maria@example.org", "country": "ES", "iss": "office", "jti": strings.Repeat("a", 22), "act": "register", "expires_at": nil, "upload": nil,
		"signature": nil, "level": "B-B",
	}
}

// sample is a value of a schema. Members whose known value is nil are left out of
// what is sent by itself, and spoilt all the same.
func sample(name string, schema *openapi3.Schema) any {
	if value, given := known()[name]; given && value != nil {
		if name == "content" && schema.Format != "byte" {
			return members(schema)
		}
		return value
	}
	switch {
	case name == "signers":
		return []any{members(schema.Items.Value), map[string]any{"identifier": "X1234567L"}}
	case len(schema.Enum) > 0:
		return schema.Enum[0]
	case schema.Type == nil && len(schema.AllOf) > 0:
		return sample(name, schema.AllOf[0].Value)
	case schema.Type.Is("array"):
		return []any{sample("", schema.Items.Value)}
	case schema.Type.Is("object"):
		return members(schema)
	case schema.Type.Is("boolean"):
		return true
	case schema.Type.Is("integer"), schema.Type.Is("number"):
		return 1
	case schema.Format == "date-time":
		return "2026-11-21T10:00:00Z"
	case schema.Example != nil:
		return schema.Example
	}
	return "x"
}

func members(schema *openapi3.Schema) map[string]any {
	out := map[string]any{}
	for name, member := range schema.Properties {
		if value, given := known()[name]; !given || value != nil {
			out[name] = sample(name, member.Value)
		}
	}
	return out
}

// place is a member somewhere in a body.
type place struct {
	path   []any // names, and indices of arrays
	schema *openapi3.Schema
}

func placesIn(schema *openapi3.Schema, at []any) []place {
	var out []place
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		member := schema.Properties[name].Value
		path := append(slices.Clone(at), name)
		out = append(out, place{path, member})
		if member.Type.Is("array") {
			path, member = append(path, 0), member.Items.Value
		}
		out = append(out, placesIn(member, path)...)
	}
	return out
}

// spoil gives a copy of a body in which the place holds something else. Where the
// way there is not in the body, it is made.
func spoil(body any, path []any, as any) any {
	if len(path) == 0 {
		return as
	}
	switch step := path[0].(type) {
	case string:
		object, _ := body.(map[string]any)
		object = maps.Clone(object)
		if object == nil {
			object = map[string]any{}
		}
		if as == absent && len(path) == 1 {
			delete(object, step)
			return object
		}
		object[step] = spoil(object[step], path[1:], as)
		return object
	case int:
		list, _ := body.([]any)
		if len(list) == 0 {
			list = []any{nil}
		}
		list = slices.Clone(list)
		list[step] = spoil(list[step], path[1:], as)
		return list
	}
	return body
}

// absent stands where a place is to be left out.
const absent = "<absent>"

// raw is what a member is written as that no encoder writes, by what stands for it.
func raw() *strings.Replacer {
	return strings.NewReplacer(
		`"<large>"`, "1e400", `"<deep>"`, strings.Repeat("[", 10_000)+strings.Repeat("]", 10_000), `"<bytes>"`, "\"\xff\"", `"<half>"`, `"\ud800"`)
}

// spoilt are the values that no member is to have, by what they are.
func spoilt() map[string]any {
	return map[string]any{
		"missing": absent, "null": nil, "a number": 7.5, "a large number": "<large>", "a boolean": true, "an empty text": "", "a text": "x",
		"an array": []any{}, "an array of arrays": []any{[]any{}}, "an object": map[string]any{}, "an object of objects": map[string]any{"a": map[string]any{"b": 1}},
		"huge": strings.Repeat("x", 40<<10), "with NUL": "a\x00b", "turned round": "a\u202eb", "in lines": "a\r\nb", "a long list": slices.Repeat([]any{"x"}, 1000),
		"10,000 deep": "<deep>", "not UTF-8": "<bytes>", "half a letter": "<half>",
	}
}

// bodyOf is the JSON of an operation, and how it is sent: an office's act travels
// inside a JWS.
func bodyOf(t *testing.T, op *openapi3.Operation) (schema *openapi3.Schema, kind string, wrap func(string) string) {
	t.Helper()
	asItIs := func(s string) string { return s }
	if op.OperationID == "performOfficeAct" {
		document, err := sharedDocument()
		if err != nil {
			t.Fatal(err)
		}
		return document.Components.Schemas["OfficeAct"].Value, "application/jose", act
	}
	if op.RequestBody == nil {
		return nil, "", asItIs
	}
	if media := op.RequestBody.Value.Content.Get(asJSON); media != nil {
		return media.Schema.Value, asJSON, asItIs
	}
	for kind := range op.RequestBody.Value.Content {
		return nil, kind, asItIs
	}
	return nil, "", asItIs
}

// inForm is whether an answer is one of this door's: what agreed does not look at
// is what has no route in the contract.
func inForm(t *testing.T, what string, got reply) {
	t.Helper()
	if got.status >= http.StatusInternalServerError {
		t.Errorf("%s: got %d %s", what, got.status, got.body)
	}
	if kind := got.header.Get("Content-Type"); got.status >= http.StatusBadRequest && kind != "application/problem+json" {
		t.Errorf("%s: got %d as %q %.80q, want a problem", what, got.status, kind, got.body)
	}
}

// Every member of every body, spoilt in every way, is refused or is no matter; and
// what is let through is in the contract (agreed). A new operation is tried as soon
// as the contract has it.
func TestEveryMember(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	tried := 0
	each(t, func(path, method string, op *openapi3.Operation) {
		schema, kind, wrap := bodyOf(t, op)
		if schema == nil {
			return
		}
		send := func(what, body string) {
			tried++
			inForm(t, op.OperationID+": "+what, s.send(method, concrete(path), kind, scopeOf(op), wrap(body)))
		}
		base := members(schema)
		send("as it should be", text(t, base))
		for _, p := range placesIn(schema, nil) {
			for name, as := range spoilt() {
				send(fmt.Sprint(p.path, " ", name), text(t, spoil(base, p.path, as)))
			}
			// Two readers of one body must not see two things.
			last := fmt.Sprint(p.path[len(p.path)-1])
			twice := strings.Replace(text(t, spoil(base, p.path, sample(last, p.schema))), fmt.Sprintf("%q:", last), fmt.Sprintf("%q:null,%q:", last, last), 1)
			got := s.send(method, concrete(path), kind, scopeOf(op), wrap(twice))
			if inForm(t, fmt.Sprint(op.OperationID, ": ", p.path, " twice"), got); got.status < http.StatusBadRequest {
				t.Errorf("%s: %v twice: got %d, want it refused", op.OperationID, p.path, got.status)
			}
			unknown := s.send(method, concrete(path), kind, scopeOf(op), wrap(text(t, spoil(base, append(slices.Clone(p.path[:len(p.path)-1]), "unknown"), 1))))
			if inForm(t, fmt.Sprint(op.OperationID, ": beside ", p.path), unknown); unknown.status < http.StatusBadRequest && !free(schema, p.path) {
				t.Errorf("%s: an unknown member beside %v: got %d, want it refused", op.OperationID, p.path, unknown.status)
			}
		}
		for name, body := range map[string]string{
			"nothing": "", "blank": " ", "null": "null", "an array": "[]", "a text": `"x"`, "two": "{}{}", "cut short": "{", "a mark of order": "\ufeff{}",
			"10,000 deep": strings.Repeat(`{"a":[`, 5_000) + strings.Repeat("]}", 5_000),
		} {
			send(name, body)
		}
	})
	if tried < 1000 {
		t.Errorf("got %d bodies tried, want all of them", tried)
	}
}

// free is whether a place lies in an object of which the contract names no member.
func free(schema *openapi3.Schema, path []any) bool {
	for _, step := range path[:len(path)-1] {
		if name, ok := step.(string); ok {
			schema = schema.Properties[name].Value
		}
		if schema.Type.Is("array") {
			schema = schema.Items.Value
		}
	}
	return schema.AdditionalProperties.Has == nil || *schema.AdditionalProperties.Has
}

func text(t *testing.T, body any) string {
	t.Helper()
	var out strings.Builder
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(body); err != nil {
		t.Fatal(err)
	}
	return raw().Replace(out.String())
}

// Every parameter of every address and header, spoilt, is refused or is no matter.
func TestEveryParameter(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	values := []string{"", "0", "-1", "2147483648", "99999999999999999999", "1e9", "1.5", "x", "null", "[]", "a b", "\x00", "\r\nX-Y: z", "\xff", "../x", "%", strings.Repeat("x", 8000)}
	each(t, func(path, method string, op *openapi3.Operation) {
		_, kind, _ := bodyOf(t, op)
		try := func(what, address string, more map[string]string) {
			asked := headers(s.tokens[scopeOf(op)], "k")
			asked["Content-Type"] = kind
			maps.Copy(asked, more)
			inForm(t, op.OperationID+": "+what, s.call(t, method, address, strings.NewReader(""), asked))
		}
		try("a parameter that nobody knows", concrete(path)+"?unknown=1&unknown=2&%00=%ff", nil)
		try("an address that cannot be read", concrete(path)+"?wait=%zz;a=b&&=", nil)
		for _, p := range op.Parameters {
			name := p.Value.Name
			for _, value := range values {
				what := fmt.Sprintf("%s as %.20q", name, value)
				switch p.Value.In {
				case "path":
					if value == "" {
						continue // another address
					}
					try(what, strings.ReplaceAll(concrete(strings.Replace(path, "{"+name+"}", "HERE", 1)), "HERE", url.PathEscape(value)), nil)
				case "query":
					try(what, concrete(path)+"?"+name+"="+url.QueryEscape(value), nil)
					try(what+" twice", concrete(path)+"?"+name+"="+url.QueryEscape(value)+"&"+name+"=1", nil)
				case "header":
					if value = strings.Map(printableOnly, value); value != "" {
						try(what, concrete(path), map[string]string{name: value})
					}
				}
			}
		}
	})
}

// printableOnly leaves out what Go's client would not send in a header.
func printableOnly(r rune) rune {
	if r < ' ' {
		return -1
	}
	return r
}

// Every body that is too large, and every type that is not the contract's, is
// refused in this door's form.
func TestEveryBody(t *testing.T) {
	t.Parallel()
	s := newScene(t, func(c *rest.Config) { c.Limits.InlineBytes, c.Limits.DocumentBytes = 1, 1 })
	each(t, func(path, method string, op *openapi3.Operation) {
		if op.RequestBody == nil {
			return
		}
		_, kind, _ := bodyOf(t, op)
		wantRefusal(t, s.send(method, concrete(path), kind, scopeOf(op), strings.Repeat(" ", 1<<20)), policies.DocumentTooLarge)
		for _, other := range []string{
			"", "text/plain", "application/xml", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "application/json-seq", "application/jsonp",
			"application/json, text/plain", ";", "application/json; charset", strings.Repeat("a", 4000),
		} {
			wantRefusal(t, s.send(method, concrete(path), other, scopeOf(op), "x"), policies.RequestMalformed)
		}
	})
}
