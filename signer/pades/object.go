package pades

import (
	"encoding/hex"
	"slices"
	"strconv"
)

// A PDF object (ISO 32000-2, 7.3) is one of: nil, bool, int64, real, name,
// text, array, dict, *stream, ref.
type (
	object any
	// real keeps its digits as they are written.
	real string
	// name is decoded: #20 is a space.
	name string
	// text is a string object, decoded from either of its two notations.
	text  string
	array []object
	dict  map[name]object
	ref   struct{ number, generation int }
)

// stream is a stream object; its data still wear their filters.
type stream struct {
	dict dict
	data []byte
}

// appendObject writes an object in a form that every reader takes: names with
// their specials escaped, strings in hexadecimal, keys in order.
func appendObject(b []byte, o object) []byte {
	switch v := o.(type) {
	case bool:
		return strconv.AppendBool(b, v)
	case int64:
		return strconv.AppendInt(b, v, 10)
	case real:
		return append(b, v...)
	case name:
		return appendName(b, v)
	case text:
		b = append(b, '<')
		b = hex.AppendEncode(b, []byte(v))
		return append(b, '>')
	case ref:
		b = strconv.AppendInt(b, int64(v.number), 10)
		b = append(b, ' ')
		b = strconv.AppendInt(b, int64(v.generation), 10)
		return append(b, " R"...)
	case array:
		b = append(b, '[')
		for i, member := range v {
			if i > 0 {
				b = append(b, ' ')
			}
			b = appendObject(b, member)
		}
		return append(b, ']')
	case dict:
		b = append(b, "<<"...)
		for _, key := range v.keys() {
			b = appendName(b, key)
			b = append(b, ' ')
			b = appendObject(b, v[key])
		}
		return append(b, ">>"...)
	default: // nil; a stream is never a direct object
		return append(b, "null"...)
	}
}

func appendName(b []byte, n name) []byte {
	b = append(b, '/')
	for _, c := range []byte(n) {
		if c > ' ' && c < 0x7f && c != '#' && !isDelimiter(c) {
			b = append(b, c)
			continue
		}
		b = append(b, '#')
		b = hex.AppendEncode(b, []byte{c})
	}
	return b
}

func (d dict) keys() []name {
	keys := make([]name, 0, len(d))
	for key := range d {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func isSpace(c byte) bool {
	return c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == '\f' || c == 0
}

func isDelimiter(c byte) bool {
	switch c {
	case '(', ')', '<', '>', '[', ']', '{', '}', '/', '%':
		return true
	default:
		return false
	}
}
