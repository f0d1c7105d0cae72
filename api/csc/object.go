package csc

import (
	"encoding/base64"
	"encoding/json/jsontext"
	"encoding/json/v2"
	"math"
)

// object is the body of a call. Members that nobody asks for are ignored, as the
// documents want it; two of one name are refused, since two readers would read
// two things. null is absence.
type object struct{ members map[string]jsontext.Value }

// deepest is how far members may nest: signDoc needs five.
const deepest = 32

// parse reads a body. An empty one is an empty object.
func parse(body []byte) (object, error) {
	var o object
	if len(body) == 0 {
		return o, nil
	}
	if depth(body) > deepest {
		return o, invalid("The request is nested too deeply")
	}
	if err := json.Unmarshal(body, &o.members); err != nil || o.members == nil {
		return o, invalid("The request is not a JSON object")
	}
	for name, value := range o.members {
		if value.Kind() == 'n' {
			delete(o.members, name)
		}
	}
	return o, nil
}

// depth is how deep arrays and objects nest. What is no JSON the parser finds.
func depth(body []byte) int {
	level, most, quoted := 0, 0, false
	for i := 0; i < len(body); i++ {
		switch b := body[i]; {
		case quoted && b == '\\':
			i++
		case b == '"':
			quoted = !quoted
		case quoted:
		case b == '{' || b == '[':
			level++
			most = max(most, level)
		case b == '}' || b == ']':
			level--
		}
	}
	return most
}

func (o object) has(name string) bool { return o.members[name] != nil }

// text reads a string; the second result is whether it is one.
func (o object) text(name string) (string, bool) {
	value := o.members[name]
	if value.Kind() != '"' {
		return "", false
	}
	var s string
	err := json.Unmarshal(value, &s)
	return s, err == nil
}

func missing(kind, name string) *fault {
	return invalid("Missing (or invalid type) " + kind + " parameter " + name)
}

// must reads a string that has to be there.
func (o object) must(name string) (string, error) {
	s, ok := o.text(name)
	if !ok {
		return "", missing("string", name)
	}
	return s, nil
}

// may reads a string that may be left out.
func (o object) may(name string) (string, error) {
	if !o.has(name) {
		return "", nil
	}
	s, ok := o.text(name)
	if !ok {
		return "", invalidParameter(name)
	}
	return s, nil
}

// flag reads a boolean that may be left out.
func (o object) flag(name string) (bool, error) {
	switch o.members[name].Kind() {
	case 't':
		return true, nil
	case 'f', 0:
		return false, nil
	default:
		return false, invalidParameter(name)
	}
}

// number reads an integer; the second result is whether it is one.
func (o object) number(name string) (int64, bool) {
	value := o.members[name]
	if value.Kind() != '0' {
		return 0, false
	}
	var f float64
	if err := json.Unmarshal(value, &f); err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return 0, false
	}
	return int64(f), true
}

// list reads an array; the second result is whether it is one.
func (o object) list(name string) ([]jsontext.Value, bool) {
	var list []jsontext.Value
	value := o.members[name]
	if value.Kind() != '[' || json.Unmarshal(value, &list) != nil {
		return nil, false
	}
	return list, true
}

// objects reads an array of objects.
func (o object) objects(name string) ([]object, bool) {
	list, ok := o.list(name)
	if !ok {
		return nil, false
	}
	out := make([]object, len(list))
	for i, value := range list {
		if value.Kind() != '{' {
			return nil, false
		}
		var err error
		if out[i], err = parse(value); err != nil {
			return nil, false
		}
	}
	return out, true
}

// within reads an object.
func (o object) within(name string) (object, bool) {
	value := o.members[name]
	if value.Kind() != '{' {
		return object{}, false
	}
	in, err := parse(value)
	return in, err == nil
}

// clientData is the last parameter of every method, and means nothing here.
func (o object) clientData() error {
	_, err := o.may("clientData")
	return err
}

// unbase64 reads base64 (RFC 4648, section 4), padded, and nothing that two
// readers could read differently.
func unbase64(s string) ([]byte, bool) {
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	for _, c := range []byte(s) {
		if c == '\r' || c == '\n' { // which the decoder skips
			return nil, false
		}
	}
	return b, err == nil
}

func base64Of(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// printable is whether an identifier is short ASCII: nothing else is one of ours,
// and a database takes it without surprises.
func printable(s string) bool {
	if s == "" || len(s) > 255 {
		return false
	}
	for _, c := range []byte(s) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}

// hashes reads an array of base64 strings, in the documents' order of complaints.
func (o object) hashes(name, array string) ([][]byte, error) {
	list, ok := o.list(name)
	if !ok {
		return nil, missing("array", "hash")
	}
	if len(list) == 0 {
		return nil, invalid("Empty hash array")
	}
	out := make([][]byte, len(list))
	for i, value := range list {
		var s string
		if value.Kind() != '"' || json.Unmarshal(value, &s) != nil {
			return nil, invalid("Invalid Base64 " + array + " string parameter")
		}
		if out[i], ok = unbase64(s); !ok || len(out[i]) == 0 {
			return nil, invalid("Invalid Base64 " + array + " string parameter")
		}
	}
	return out, nil
}
