package pades

import (
	"bytes"
	"compress/zlib"
	"io"

	"github.com/rubrica-firma/rubrica/policies"
)

// maxInflated bounds what the filters of one document may produce together.
// Only cross-references and object streams are inflated, never page content.
const maxInflated = 100 << 20

// resolve follows references to an object; what does not exist is null
// (ISO 32000-2, 7.3.10).
func (f *file) resolve(o object) (object, error) {
	for range 16 {
		r, ok := o.(ref)
		if !ok {
			return o, nil
		}
		var err error
		if o, err = f.load(r.number); err != nil {
			return nil, err
		}
	}
	return nil, damaged("a chain of references")
}

func (f *file) load(number int) (object, error) {
	if o, ok := f.objects[number]; ok {
		return o, nil
	}
	p, ok := f.xref[number]
	if !ok || p.free {
		return nil, nil
	}
	if f.busy[number] {
		return nil, damaged("an object needs itself")
	}
	f.busy[number] = true
	defer delete(f.busy, number)
	var o object
	var err error
	if p.container > 0 {
		o, err = f.contained(p, number)
	} else {
		var got int
		if o, got, err = f.indirect(p.offset); err == nil && got != number {
			err = damaged("the cross-reference names another object")
		}
	}
	if err != nil {
		return nil, err
	}
	f.objects[number] = o
	return o, nil
}

// indirect reads "n g obj …" at an offset.
func (f *file) indirect(at int) (object, int, error) {
	if at <= 0 || at >= len(f.data) {
		return nil, 0, damaged("an object outside the file")
	}
	l := lexer{data: f.data, pos: at}
	number, err := l.integer()
	if err != nil {
		return nil, 0, damaged("object header")
	}
	if _, err := l.integer(); err != nil || l.want("obj") != nil || number > maxObjects {
		return nil, 0, damaged("object header")
	}
	o, err := l.object(0)
	if err != nil {
		return nil, 0, damaged("object syntax")
	}
	d, isDict := o.(dict)
	if isDict && l.want("stream") == nil {
		s, err := f.stream(d, l.pos)
		return s, int(number), err
	}
	return o, int(number), nil
}

func (f *file) stream(d dict, at int) (*stream, error) {
	if bytes.HasPrefix(f.data[at:], []byte("\r\n")) {
		at += 2
	} else if at < len(f.data) && (f.data[at] == '\n' || f.data[at] == '\r') {
		at++
	}
	length, err := f.resolve(d["Length"])
	if err != nil {
		return nil, err
	}
	n, ok := length.(int64)
	if !ok || n < 0 || n > int64(len(f.data)-at) {
		return nil, damaged("stream length")
	}
	l := lexer{data: f.data, pos: at + int(n)}
	if l.want("endstream") != nil {
		return nil, damaged("stream length")
	}
	return &stream{dict: d, data: f.data[at : at+int(n)]}, nil
}

// contained reads an object out of its object stream.
func (f *file) contained(p place, number int) (object, error) {
	c, err := f.container(p.container)
	if err != nil {
		return nil, err
	}
	if p.index >= len(c.numbers) || c.numbers[p.index] != number {
		return nil, damaged("object stream index")
	}
	l := lexer{data: c.data, pos: c.offsets[p.index]}
	o, err := l.object(0)
	if err != nil {
		return nil, damaged("object syntax")
	}
	return o, nil
}

func (f *file) container(number int) (*container, error) {
	if c, ok := f.opened[number]; ok {
		return c, nil
	}
	if f.xref[number].container > 0 {
		return nil, damaged("an object stream inside another")
	}
	o, err := f.load(number)
	if err != nil {
		return nil, err
	}
	s, ok := o.(*stream)
	if !ok || s.dict["Type"] != name("ObjStm") {
		return nil, damaged("no object stream where one should be")
	}
	data, err := f.inflate(s)
	if err != nil {
		return nil, err
	}
	count, okCount := s.dict["N"].(int64)
	first, okFirst := s.dict["First"].(int64)
	if !okCount || !okFirst || count < 0 || count > int64(len(data)) || first < 0 || first > int64(len(data)) {
		return nil, damaged("object stream header")
	}
	c := &container{data: data}
	l := lexer{data: data[:first]}
	for range count {
		member, errMember := l.integer()
		offset, errOffset := l.integer()
		if errMember != nil || errOffset != nil || offset < 0 || first+offset > int64(len(data)) {
			return nil, damaged("object stream header")
		}
		c.numbers, c.offsets = append(c.numbers, int(member)), append(c.offsets, int(first+offset))
	}
	f.opened[number] = c
	return c, nil
}

// inflate undoes the only filter that cross-references and object streams have
// in practice.
func (f *file) inflate(s *stream) ([]byte, error) {
	filter, params := s.dict["Filter"], s.dict["DecodeParms"]
	if list, ok := filter.(array); ok && len(list) == 1 {
		filter = list[0]
	}
	if list, ok := params.(array); ok && len(list) == 1 {
		params = list[0]
	}
	if filter == nil {
		return s.data, nil
	}
	if filter != name("FlateDecode") {
		return nil, refuse(policies.DocumentUnsupported, "a filter on a structural stream")
	}
	r, err := zlib.NewReader(bytes.NewReader(s.data))
	if err != nil {
		return nil, damaged("compressed stream")
	}
	data, err := io.ReadAll(io.LimitReader(r, int64(maxInflated-f.inflated+1)))
	if f.inflated += len(data); f.inflated > maxInflated {
		return nil, refuse(policies.DocumentTooComplex, "inflates too far")
	}
	if err != nil {
		return nil, damaged("compressed stream")
	}
	d, ok := params.(dict)
	if !ok {
		return data, nil
	}
	return unpredict(data, d)
}

// unpredict undoes the PNG predictors (ISO 32000-2, 7.4.4.4), row by row.
func unpredict(data []byte, params dict) ([]byte, error) {
	predictor, _ := params["Predictor"].(int64)
	if predictor <= 1 {
		return data, nil
	}
	columns, ok := params["Columns"].(int64)
	if !ok {
		columns = 1
	}
	if predictor < 10 || columns < 1 || columns > 1<<16 || params["Colors"] != nil || params["BitsPerComponent"] != nil {
		return nil, refuse(policies.DocumentUnsupported, "predictor")
	}
	n := int(columns)
	out := make([]byte, 0, len(data))
	above := make([]byte, n)
	for ; len(data) > n; data = data[n+1:] {
		row := bytes.Clone(data[1 : n+1])
		for i := range row {
			left, corner := byte(0), byte(0)
			if i > 0 {
				left, corner = row[i-1], above[i-1]
			}
			switch data[0] {
			case 0:
			case 1:
				row[i] += left
			case 2:
				row[i] += above[i]
			case 3:
				row[i] += byte((int(left) + int(above[i])) / 2) //nolint:gosec // a mean of octets
			case 4:
				row[i] += paeth(left, above[i], corner)
			default:
				return nil, damaged("predictor")
			}
		}
		out, above = append(out, row...), row
	}
	return out, nil
}

func paeth(left, above, corner byte) byte {
	distance := func(v byte) int {
		d := int(left) + int(above) - int(corner) - int(v)
		return max(d, -d)
	}
	switch a, b, c := distance(left), distance(above), distance(corner); {
	case a <= b && a <= c:
		return left
	case b <= c:
		return above
	default:
		return corner
	}
}
