package pdf

import (
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"strconv"
)

// Object is a PDF object (ISO 32000-2, 7.3), one of: nil, bool, int64, Real,
// Name, String, Array, Dict, *Stream, Ref; and *Raw where one is written.
type Object any

type (
	// Real keeps its digits as they are written.
	Real string
	// Name is decoded: #20 is a space.
	Name string
	// String is a string object, decoded from either of its two notations.
	String string
	// Array is an array.
	Array []Object
	// Dict is a dictionary. A key that is absent and one that is null mean the same.
	Dict map[Name]Object
)

// Ref is a reference to an indirect object.
type Ref struct{ Number, Generation int }

// Stream is a stream object. The data of one that was read stay in the file.
type Stream struct {
	Dict   Dict
	at     int64
	length int64
	data   []byte // of a new one; nil of one that was read
}

// NewStream makes a stream to write, with data as they are to stand in the
// file: whatever filters dict names have been applied already.
func NewStream(dict Dict, data []byte) *Stream {
	return &Stream{Dict: dict, length: int64(len(data)), data: append(make([]byte, 0, len(data)), data...)}
}

// Extent is where the data of a stream stand in the file, filters and all.
// Those of a new stream stand nowhere yet.
func (s *Stream) Extent() (at, length int64) { return s.at, s.length }

// Raw is written as it is, such as a placeholder that is overwritten later. At
// then is the offset in the whole file where it stands.
type Raw struct {
	Bytes []byte
	At    int64
}

// errDirectStream is a caller's mistake: a stream has to be an indirect object.
var errDirectStream = errors.New("a stream inside another object")

// Clone copies a dictionary, not what is in it.
func (d Dict) Clone() Dict {
	if d == nil {
		return Dict{}
	}
	return maps.Clone(d)
}

// Keys gives the keys in order.
func (d Dict) Keys() []Name { return slices.Sorted(maps.Keys(d)) }

// Append writes an object in a form that every reader takes: names with their
// specials escaped, strings in hexadecimal, keys in order, and null for a
// stream. Objects that are equal come out equal.
func Append(b []byte, o Object) []byte {
	w := writer{buf: b}
	w.object(o)
	return w.buf
}

// writer writes objects into buf, whose first octet stands at base in the file.
type writer struct {
	buf  []byte
	base int64
	err  error
}

func (w *writer) object(o Object) {
	switch v := o.(type) {
	case bool:
		w.buf = strconv.AppendBool(w.buf, v)
	case int64:
		w.buf = strconv.AppendInt(w.buf, v, 10)
	case int:
		w.buf = strconv.AppendInt(w.buf, int64(v), 10)
	case Real:
		w.buf = append(w.buf, v...)
	case Name:
		w.name(v)
	case String:
		w.buf = append(w.buf, '<')
		w.buf = hex.AppendEncode(w.buf, []byte(v))
		w.buf = append(w.buf, '>')
	case Ref:
		w.buf = strconv.AppendInt(w.buf, int64(v.Number), 10)
		w.buf = append(w.buf, ' ')
		w.buf = strconv.AppendInt(w.buf, int64(v.Generation), 10)
		w.buf = append(w.buf, " R"...)
	case Array:
		w.array(v)
	case Dict:
		w.dict(v)
	case *Raw:
		v.At = w.at()
		w.buf = append(w.buf, v.Bytes...)
	case *Stream:
		w.err = errDirectStream
		w.buf = append(w.buf, "null"...)
	default:
		w.buf = append(w.buf, "null"...)
	}
}

func (w *writer) at() int64 { return w.base + int64(len(w.buf)) }

func (w *writer) array(a Array) {
	w.buf = append(w.buf, '[')
	for i, member := range a {
		if i > 0 {
			w.buf = append(w.buf, ' ')
		}
		w.object(member)
	}
	w.buf = append(w.buf, ']')
}

func (w *writer) dict(d Dict) {
	w.buf = append(w.buf, "<<"...)
	for _, key := range d.Keys() {
		if d[key] == nil {
			continue
		}
		w.name(key)
		w.buf = append(w.buf, ' ')
		w.object(d[key])
	}
	w.buf = append(w.buf, ">>"...)
}

func (w *writer) name(n Name) {
	w.buf = append(w.buf, '/')
	for _, c := range []byte(n) {
		if c > ' ' && c < 0x7f && c != '#' && !isDelimiter(c) {
			w.buf = append(w.buf, c)
			continue
		}
		w.buf = append(w.buf, '#')
		w.buf = hex.AppendEncode(w.buf, []byte{c})
	}
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
