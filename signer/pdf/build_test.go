package pdf_test

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/rubrica-firma/rubrica/signer/pdf"
)

// style is how a revision is written.
type style struct {
	xref      string // table, stream, or hybrid
	eol       string // ends of lines
	entryEnd  string // of a table's entries; 20 octets with two
	packed    bool   // objects that may be are put into an object stream (stream, hybrid)
	deflated  bool
	predictor bool // PNG up, of the cross-reference stream
}

var plainStyle = style{xref: "table", eol: "\n", entryEnd: " \n"}

// builder writes PDF files in the test's own words, revision by revision.
type builder struct {
	buf      bytes.Buffer
	previous int
	size     int
	render   func(pdf.Object) []byte
}

func newBuilder(version string) *builder {
	b := &builder{render: func(o pdf.Object) []byte { return pdf.Append(nil, o) }}
	fmt.Fprintf(&b.buf, "%%PDF-%s\n%%\xe2\xe3\xcf\xd3\n", version)
	return b
}

// flow is a stream that the test makes.
type flow struct {
	dict pdf.Dict
	data []byte
}

type place struct{ kind, at, index int }

// revision appends objects; nil frees one. Object 1 is the catalogue.
func (b *builder) revision(tb testing.TB, s style, objects map[int]pdf.Object) {
	tb.Helper()
	places := map[int]place{}
	if b.previous == 0 {
		places[0] = place{}
	}
	var packed []int
	for _, number := range slices.Sorted(maps.Keys(objects)) {
		b.size = max(b.size, number+1)
		_, isStream := objects[number].(flow)
		switch {
		case objects[number] == nil:
			places[number] = place{}
		case s.packed && s.xref != "table" && !isStream && (s.xref != "hybrid" || number != 1):
			packed = append(packed, number)
		default:
			places[number] = place{1, b.buf.Len(), 0}
			b.object(tb, number, objects[number], s)
		}
	}
	hidden := map[int]place{}
	if len(packed) > 0 {
		container := b.size
		b.size++
		into := places
		if s.xref == "hybrid" {
			into = hidden
		}
		into[container] = place{1, b.buf.Len(), 0}
		for i, number := range packed {
			into[number] = place{2, container, i}
		}
		b.container(tb, container, packed, objects, s)
	}
	switch s.xref {
	case "stream":
		b.xrefStream(tb, s, places, pdf.Dict{})
	case "hybrid":
		at := b.buf.Len()
		number := b.size
		hidden[number] = place{1, at, 0}
		b.size++
		b.stream(tb, number, b.entries(hidden, pdf.Dict{"Size": int64(b.size)}, s), s)
		for hiding := range hidden {
			places[hiding] = place{}
		}
		b.table(s, places, pdf.Dict{"XRefStm": int64(at)})
	default:
		b.table(s, places, pdf.Dict{})
	}
}

func (b *builder) object(tb testing.TB, number int, o pdf.Object, s style) {
	tb.Helper()
	if stream, ok := o.(flow); ok {
		b.stream(tb, number, stream, s)
		return
	}
	fmt.Fprintf(&b.buf, "%d 0 obj%s%s%sendobj%s", number, s.eol, b.render(o), s.eol, s.eol)
}

func (b *builder) stream(tb testing.TB, number int, stream flow, s style) {
	tb.Helper()
	data := stream.data
	d := stream.dict.Clone()
	if s.deflated {
		data = deflate(tb, data)
		d["Filter"] = pdf.Name("FlateDecode")
	}
	d["Length"] = int64(len(data))
	eol := s.eol
	if eol == "\r" {
		eol = "\n" // ISO 32000-2, 7.3.8.1: not a carriage return alone
	}
	fmt.Fprintf(&b.buf, "%d 0 obj%s%s%sstream%s%s%sendstream%sendobj%s",
		number, s.eol, pdf.Append(nil, d), s.eol, eol, data, s.eol, s.eol, s.eol)
}

func (b *builder) container(tb testing.TB, number int, members []int, objects map[int]pdf.Object, s style) {
	tb.Helper()
	var head, body bytes.Buffer
	for _, member := range members {
		fmt.Fprintf(&head, "%d %d ", member, body.Len())
		fmt.Fprintf(&body, "%s ", b.render(objects[member]))
	}
	d := pdf.Dict{"Type": pdf.Name("ObjStm"), "N": int64(len(members)), "First": int64(head.Len())}
	b.stream(tb, number, flow{d, append(head.Bytes(), body.Bytes()...)}, s)
}

// entries makes a cross-reference stream.
func (b *builder) entries(places map[int]place, d pdf.Dict, s style) flow {
	var rows [][]byte
	index := pdf.Array{}
	for _, number := range slices.Sorted(maps.Keys(places)) {
		p := places[number]
		row := binary.BigEndian.AppendUint32([]byte{byte(p.kind)}, uint32(p.at))
		rows = append(rows, binary.BigEndian.AppendUint16(row, uint16(p.index)))
		if n := len(index); n > 0 && index[n-2].(int64)+index[n-1].(int64) == int64(number) { //nolint:errcheck // appended below
			index[n-1] = index[n-1].(int64) + 1 //nolint:errcheck // appended below
			continue
		}
		index = append(index, int64(number), int64(1))
	}
	d["Type"], d["W"], d["Index"] = pdf.Name("XRef"), pdf.Array{int64(1), int64(4), int64(2)}, index
	if !s.predictor || !s.deflated {
		return flow{d, bytes.Join(rows, nil)}
	}
	d["DecodeParms"] = pdf.Dict{"Predictor": int64(12), "Columns": int64(7)}
	var out []byte
	above := make([]byte, 7)
	for _, row := range rows {
		out = append(out, 2)
		for i := range row {
			out = append(out, row[i]-above[i])
		}
		above = row
	}
	return flow{d, out}
}

func (b *builder) trailer(d pdf.Dict) pdf.Dict {
	d["Root"], d["Size"] = pdf.Ref{Number: 1}, int64(b.size)
	if b.previous > 0 {
		d["Prev"] = int64(b.previous)
	}
	return d
}

func (b *builder) xrefStream(tb testing.TB, s style, places map[int]place, d pdf.Dict) {
	tb.Helper()
	start := b.buf.Len()
	places[b.size] = place{1, start, 0}
	b.size++
	b.stream(tb, b.size-1, b.entries(places, b.trailer(d), s), s)
	b.finish(s, start)
}

func (b *builder) table(s style, places map[int]place, d pdf.Dict) {
	start := b.buf.Len()
	fmt.Fprintf(&b.buf, "xref%s", s.eol)
	for _, number := range slices.Sorted(maps.Keys(places)) {
		p := places[number]
		kind, generation := "n", 0
		if p.kind == 0 {
			kind, generation = "f", 65535
		}
		fmt.Fprintf(&b.buf, "%d 1%s%010d %05d %s%s", number, s.eol, p.at, generation, kind, s.entryEnd)
	}
	fmt.Fprintf(&b.buf, "trailer%s%s%s", s.eol, pdf.Append(nil, b.trailer(d)), s.eol)
	b.finish(s, start)
}

func (b *builder) finish(s style, start int) {
	fmt.Fprintf(&b.buf, "startxref%s%d%s%%%%EOF%s", s.eol, start, s.eol, s.eol)
	b.previous = start
}

func deflate(tb testing.TB, data []byte) []byte {
	tb.Helper()
	var out bytes.Buffer
	w := zlib.NewWriter(&out)
	if _, err := w.Write(data); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

// onePage is a small whole document.
func onePage(tb testing.TB, s style) []byte {
	tb.Helper()
	b := newBuilder("1.7")
	b.revision(tb, s, map[int]pdf.Object{
		1: pdf.Dict{"Type": pdf.Name("Catalog"), "Pages": pdf.Ref{Number: 2}},
		2: pdf.Dict{"Type": pdf.Name("Pages"), "Kids": pdf.Array{pdf.Ref{Number: 3}}, "Count": int64(1)},
		3: pdf.Dict{
			"Type": pdf.Name("Page"), "Parent": pdf.Ref{Number: 2}, "Contents": pdf.Ref{Number: 4},
			"MediaBox": pdf.Array{int64(0), int64(0), int64(200), int64(100)},
		},
		4: flow{pdf.Dict{}, []byte("0 0 m 9 9 l S")},
	})
	return b.buf.Bytes()
}
