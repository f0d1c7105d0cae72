package pdf

import (
	"bytes"
	"errors"
	"io"
	"strconv"

	"github.com/rubrica-firma/rubrica/policies"
)

const (
	// maxInflated bounds what the structural streams of a file may produce
	// together, and so the time that bombs take.
	maxInflated = 256 << 20
	// maxContainer bounds one object stream.
	maxContainer = 64 << 20
	// maxKept bounds the memory of an object that is remembered.
	maxKept = 4 << 20
	// maxDepth bounds objects that need others to be read.
	maxDepth = 16
)

// container is an object stream (ISO 32000-2, 7.5.7), inflated.
type container struct {
	data    []byte
	numbers []int32
	offsets []int32 // one more than numbers
}

// Resolve follows references to an object; what does not exist is null
// (ISO 32000-2, 7.3.10).
func (f *File) Resolve(o Object) (Object, error) {
	for range maxDepth {
		r, ok := o.(Ref)
		if !ok {
			return o, nil
		}
		var err error
		if o, err = f.load(r); err != nil {
			return nil, err
		}
	}
	return nil, f.src.damaged("a chain of references")
}

func (f *File) load(r Ref) (Object, error) {
	e := f.table.get(r.Number)
	if e.kind == none || e.kind == free {
		return nil, nil
	}
	if e.ref(r.Number) != r {
		// ISO says that there is no such object; some viewers show it all the same.
		return nil, f.src.damaged("a reference to another generation")
	}
	if o, ok := f.objects.get(r.Number); ok {
		return o, nil
	}
	if f.busy[r.Number] || len(f.busy) > maxDepth {
		return nil, f.src.damaged("an object needs itself")
	}
	f.busy[r.Number] = true
	defer delete(f.busy, r.Number)
	var o Object
	var cost int
	var err error
	if e.kind == contained {
		o, cost, err = f.contained(e, r.Number)
	} else {
		var found indirect
		if found, err = f.indirect(e.at); err == nil && found.ref != r {
			err = f.src.damaged("the cross-reference names another object")
		}
		o, cost = found.object, found.cost
	}
	if err != nil {
		return nil, err
	}
	if cost < maxKept {
		f.objects.put(r.Number, o, cost+costKey)
	}
	return o, nil
}

// header reads "n g obj".
func (l *lexer) header() (Ref, error) {
	number, errNumber := l.integer()
	generation, errGeneration := l.integer()
	if errNumber != nil || errGeneration != nil || !l.word("obj") ||
		number < 0 || number > maxNumber || generation < 0 || generation > 65535 {
		return Ref{}, errSyntax
	}
	return Ref{int(number), int(generation)}, nil
}

// dataStart passes the end of line behind "stream" (ISO 32000-2, 7.3.8.1).
func (l *lexer) dataStart() bool {
	return l.take('\r') && (l.take('\n') || true) || l.take('\n')
}

// indirect is an indirect object as it was read.
type indirect struct {
	object Object
	ref    Ref
	cost   int
	end    int64 // behind the object, or a stream's data
}

// indirect reads "n g obj …" at an offset.
func (f *File) indirect(at int64) (indirect, error) {
	if at <= 0 || at >= f.src.size {
		return indirect{}, f.src.damaged("an object outside the file")
	}
	if err := f.work(0); err != nil {
		return indirect{}, err
	}
	l := f.src.lexer(at)
	ref, err := l.header()
	if err != nil {
		return indirect{}, f.src.damaged("object header")
	}
	o, err := l.object(0)
	found := indirect{object: o, ref: ref, cost: l.cost, end: l.at()}
	if errWork := f.work(l.at() - at); errWork != nil {
		return found, errWork
	}
	if err != nil {
		return found, f.syntax(err, "object syntax")
	}
	d, ok := o.(Dict)
	if !ok || !l.word("stream") {
		return found, nil
	}
	if !l.dataStart() {
		return found, f.src.damaged("stream data")
	}
	length, err := f.Int(d["Length"], -1)
	if err != nil {
		return found, err
	}
	found.object, found.end, err = f.streamAt(d, l.at(), length)
	return found, err
}

// work bounds the time of reading the same octets again and again: objects may
// begin inside each other. Once it refuses, it always does.
func (f *File) work(octets int64) error {
	if f.lexed += octets; f.lexed > 32<<20+8*(f.src.size+f.inflated) {
		return refuse(policies.DocumentTooComplex, "objects that overlap")
	}
	return nil
}

// streamAt checks that a stream ends where its length says, and gives the
// offset behind it.
func (f *File) streamAt(d Dict, at, length int64) (*Stream, int64, error) {
	if length < 0 || length > f.src.size-at {
		return nil, 0, f.src.damaged("stream length")
	}
	const word = "endstream"
	rest := f.src.span(at+length, at+length+64)
	trimmed := bytes.TrimLeft(rest, "\x00\t\n\f\r ")
	if !bytes.HasPrefix(trimmed, []byte(word)) {
		return nil, 0, f.src.damaged("stream length")
	}
	end := at + length + int64(len(rest)-len(trimmed)+len(word))
	return &Stream{Dict: d, at: at, length: length}, end, nil
}

// contained reads an object out of its object stream.
func (f *File) contained(e entry, number int) (Object, int, error) {
	c, err := f.container(int(e.at))
	if err != nil {
		return nil, 0, err
	}
	i := int(e.aux)
	if i >= len(c.numbers) || int(c.numbers[i]) != number {
		return nil, 0, f.src.damaged("object stream index")
	}
	if err := f.work(0); err != nil {
		return nil, 0, err
	}
	l := memoryLexer(c.data[c.offsets[i]:c.offsets[i+1]])
	o, err := l.object(0)
	if errWork := f.work(l.at()); errWork != nil {
		return nil, 0, errWork
	}
	if err != nil {
		return nil, 0, f.syntax(err, "object syntax")
	}
	return o, l.cost, nil
}

func (f *File) container(number int) (*container, error) {
	if c, ok := f.containers.get(number); ok {
		return c, nil
	}
	e := f.table.get(number)
	if e.kind != plain {
		return nil, f.src.damaged("no object stream where one should be")
	}
	o, err := f.load(e.ref(number))
	if err != nil {
		return nil, err
	}
	s, ok := o.(*Stream)
	if !ok || s.Dict["Type"] != Name("ObjStm") {
		return nil, f.src.damaged("no object stream where one should be")
	}
	r, err := f.structural(s)
	if err != nil {
		return nil, err
	}
	data, err := readAll(r, maxContainer)
	if err != nil {
		return nil, err
	}
	c, err := f.unpack(s.Dict, data)
	if err != nil {
		return nil, err
	}
	f.containers.put(number, c, len(data)+8*len(c.numbers))
	return c, nil
}

// unpack reads the head of an object stream: numbers and offsets, which
// increase (ISO 32000-2, 7.5.7), so that no two objects share octets.
func (f *File) unpack(d Dict, data []byte) (*container, error) {
	count, errCount := f.Int(d["N"], -1)
	first, errFirst := f.Int(d["First"], -1)
	size := int64(len(data))
	if errCount != nil || errFirst != nil || count < 0 || count > size || first < 0 || first > size {
		return nil, f.src.damaged("object stream header")
	}
	c := &container{data: data}
	l := memoryLexer(data[:first])
	for range count {
		number, errNumber := l.integer()
		offset, errOffset := l.integer()
		if errNumber != nil || errOffset != nil || number < 0 || number > maxNumber ||
			offset < 0 || first+offset > size ||
			len(c.offsets) > 0 && first+offset < int64(c.offsets[len(c.offsets)-1]) {
			return nil, f.src.damaged("object stream header")
		}
		c.numbers = append(c.numbers, int32(number))
		c.offsets = append(c.offsets, int32(first+offset)) //nolint:gosec // at most maxContainer
	}
	c.offsets = append(c.offsets, int32(size)) //nolint:gosec // at most maxContainer
	return c, f.work(first)
}

// structural undoes the filters of a stream that the file's structure needs.
func (f *File) structural(s *Stream) (io.Reader, error) {
	r, err := f.Decoded(s, maxInflated)
	if err != nil {
		return nil, err
	}
	return &metered{r: r, f: f}, nil
}

// metered counts what structural streams produce.
type metered struct {
	r io.Reader
	f *File
}

func (m *metered) Read(b []byte) (int, error) {
	n, err := m.r.Read(b)
	if m.f.inflated += int64(n); m.f.inflated > maxInflated {
		return 0, refuse(policies.DocumentTooComplex, "inflates too far")
	}
	return n, err
}

// inflating keeps a refusal; any other failure is the compressed data's, or
// what the reader of the file said.
func (f *File) inflating(err error) error {
	if refusal := (*policies.Refusal)(nil); errors.As(err, &refusal) {
		return err
	}
	return f.src.damaged("compressed stream")
}

// Dict resolves an object that has to be a dictionary; nothing is an empty one.
func (f *File) Dict(o Object) (Dict, error) { return resolved(f, o, Dict{}) }

// Array resolves an object that has to be an array; nothing is an empty one.
func (f *File) Array(o Object) (Array, error) { return resolved(f, o, Array(nil)) }

// Int resolves an object that has to be an integer.
func (f *File) Int(o Object, absent int64) (int64, error) { return resolved(f, o, absent) }

// Bool resolves an object that has to be a boolean.
func (f *File) Bool(o Object, absent bool) (bool, error) { return resolved(f, o, absent) }

// Name resolves an object that has to be a name; nothing is "".
func (f *File) Name(o Object) (Name, error) { return resolved(f, o, Name("")) }

// String resolves an object that has to be a string; nothing is "".
func (f *File) String(o Object) (String, error) { return resolved(f, o, String("")) }

// Stream resolves an object that has to be a stream; nothing is nil.
func (f *File) Stream(o Object) (*Stream, error) { return resolved(f, o, (*Stream)(nil)) }

// Float resolves an object that has to be a number.
func (f *File) Float(o Object, absent float64) (float64, error) {
	o, err := f.Resolve(o)
	if err != nil {
		return 0, err
	}
	switch v := o.(type) {
	case nil:
		return absent, nil
	case int64:
		return float64(v), nil
	case Real:
		value, err := strconv.ParseFloat(string(v), 64)
		if err != nil {
			return 0, f.src.damaged("a number")
		}
		return value, nil
	default:
		return 0, f.src.damaged("an object of another type")
	}
}

// Rect resolves a rectangle (ISO 32000-2, 7.9.5): left, bottom, right, top.
func (f *File) Rect(o Object) ([4]float64, error) {
	var r [4]float64
	list, err := f.Array(o)
	if err != nil {
		return r, err
	}
	if len(list) != len(r) {
		return r, f.src.damaged("a rectangle")
	}
	for i, member := range list {
		if r[i], err = f.Float(member, 0); err != nil {
			return r, err
		}
	}
	return [4]float64{min(r[0], r[2]), min(r[1], r[3]), max(r[0], r[2]), max(r[1], r[3])}, nil
}

func resolved[T any](f *File, o Object, absent T) (T, error) {
	o, err := f.Resolve(o)
	if err != nil || o == nil {
		return absent, err
	}
	v, ok := o.(T)
	if !ok {
		return absent, f.src.damaged("an object of another type")
	}
	return v, nil
}
