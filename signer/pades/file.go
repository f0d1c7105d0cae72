package pades

import (
	"bytes"
	"maps"

	"github.com/rubrica-firma/rubrica/policies"
)

const (
	// maxObjects bounds object numbers, and so what a cross-reference can ask for.
	maxObjects = 4_000_000
	// maxSections bounds incremental updates.
	maxSections = 1000
	// tailSize is where the end-of-file marker has to be (ISO 32000-1, annex H,
	// note 18): garbage behind it is tolerated that far.
	tailSize = 1024
)

// file reads the objects of a PDF by its cross-reference, strictly: nothing is
// searched for and nothing repaired. Memory and time stay proportional to the
// input, whatever it says.
type file struct {
	data     []byte
	start    int           // what startxref says
	streamed bool          // the newest cross-reference is a stream
	trailer  dict          // the newest
	xref     map[int]place // newest first seen
	inflated int           // octets that filters have produced so far
	objects  map[int]object
	opened   map[int]*container
	busy     map[int]bool
}

// place says where an object is: at an offset, or in a container.
type place struct {
	offset     int
	generation int
	container  int
	index      int
	free       bool
}

// container is an object stream (ISO 32000-2, 7.5.7), inflated.
type container struct {
	data    []byte
	numbers []int
	offsets []int
}

func open(data []byte) (*file, error) {
	f := &file{
		data: data, xref: map[int]place{}, objects: map[int]object{},
		opened: map[int]*container{}, busy: map[int]bool{},
	}
	start, err := findStart(data)
	if err != nil {
		return nil, err
	}
	f.start = start
	visited := map[int]bool{}
	for at := start; at >= 0; {
		if visited[at] {
			return nil, damaged("the cross-reference chain is a loop")
		}
		if visited[at] = true; len(visited) > maxSections {
			return nil, refuse(policies.DocumentTooComplex, "too many revisions")
		}
		trailer, err := f.section(at)
		if err != nil {
			return nil, err
		}
		if f.trailer == nil {
			f.trailer = trailer
		}
		if at, err = previous(trailer); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// findStart reads the last startxref before the last end-of-file marker.
func findStart(data []byte) (int, error) {
	tail := max(0, len(data)-tailSize)
	end := bytes.LastIndex(data[tail:], []byte("%%EOF"))
	if end < 0 {
		return 0, damaged("no end-of-file marker")
	}
	head := max(0, tail+end-tailSize)
	at := bytes.LastIndex(data[head:tail+end], []byte("startxref"))
	if at < 0 {
		return 0, damaged("no startxref")
	}
	l := lexer{data: data[:tail+end], pos: head + at + len("startxref")}
	start, err := l.integer()
	if err != nil || start <= 0 || start >= int64(len(data)) {
		return 0, damaged("startxref points nowhere")
	}
	return int(start), nil
}

func previous(trailer dict) (int, error) {
	switch prev := trailer["Prev"].(type) {
	case nil:
		return -1, nil
	case int64:
		if prev < 0 || prev > 1<<40 {
			return 0, damaged("/Prev points nowhere")
		}
		return int(prev), nil
	default:
		return 0, damaged("/Prev is no number")
	}
}

// section reads one cross-reference table or stream and returns its trailer.
func (f *file) section(at int) (dict, error) {
	if at >= len(f.data) {
		return nil, damaged("the cross-reference is outside the file")
	}
	l := lexer{data: f.data, pos: at}
	token, err := l.token(0)
	if err != nil {
		return nil, damaged("no cross-reference where one should be")
	}
	var trailer dict
	first := f.trailer == nil
	if token == keyword("xref") {
		trailer, err = f.table(&l)
	} else {
		f.streamed = f.streamed || first
		trailer, err = f.crossReferenceStream(at)
	}
	if err != nil {
		return nil, err
	}
	if trailer["Encrypt"] != nil {
		return nil, refuse(policies.DocumentEncrypted, "")
	}
	if trailer["XRefStm"] != nil {
		return nil, refuse(policies.DocumentUnsupported, "hybrid cross-reference")
	}
	return trailer, nil
}

func (f *file) table(l *lexer) (dict, error) {
	for {
		token, err := l.token(0)
		if err != nil {
			return nil, damaged("cross-reference table")
		}
		if token == keyword("trailer") {
			break
		}
		first, ok := token.(int64)
		count, err := l.integer()
		if !ok || err != nil || first < 0 || count < 0 || first+count > maxObjects {
			return nil, damaged("cross-reference subsection")
		}
		for i := range int(count) {
			if err := f.tableEntry(l, int(first)+i); err != nil {
				return nil, err
			}
		}
	}
	o, err := l.object(0)
	if err != nil {
		return nil, damaged("trailer")
	}
	trailer, ok := o.(dict)
	if !ok {
		return nil, damaged("trailer")
	}
	return trailer, nil
}

func (f *file) tableEntry(l *lexer, number int) error {
	offset, errOffset := l.integer()
	generation, errGeneration := l.integer()
	kind, errKind := l.token(0)
	if errOffset != nil || errGeneration != nil || errKind != nil || offset < 0 || offset > 1<<40 {
		return damaged("cross-reference entry")
	}
	switch kind {
	case keyword("n"):
		f.put(number, place{offset: int(offset), generation: int(generation)})
	case keyword("f"):
		f.put(number, place{free: true})
	default:
		return damaged("cross-reference entry")
	}
	return nil
}

// put keeps the newest entry of a number, which is the first one met.
func (f *file) put(number int, p place) {
	if _, newer := f.xref[number]; !newer {
		f.xref[number] = p
	}
}

func (f *file) crossReferenceStream(at int) (dict, error) {
	o, _, err := f.indirect(at)
	if err != nil {
		return nil, damaged("no cross-reference where one should be")
	}
	s, ok := o.(*stream)
	if !ok || s.dict["Type"] != name("XRef") {
		return nil, damaged("no cross-reference where one should be")
	}
	data, err := f.inflate(s)
	if err != nil {
		return nil, err
	}
	widths, ok := integers(s.dict["W"])
	if !ok || len(widths) != 3 || max(widths[0], widths[1], widths[2]) > 8 {
		return nil, damaged("cross-reference stream widths")
	}
	size, ok := s.dict["Size"].(int64)
	if !ok || size < 0 || size > maxObjects {
		return nil, damaged("cross-reference stream size")
	}
	index, ok := integers(s.dict["Index"])
	if !ok {
		index = []int{0, int(size)}
	}
	if err := f.streamEntries(data, widths, index); err != nil {
		return nil, err
	}
	return maps.Clone(s.dict), nil
}

func (f *file) streamEntries(data []byte, widths, index []int) error {
	row := widths[0] + widths[1] + widths[2]
	if len(index)%2 != 0 || row == 0 {
		return damaged("cross-reference stream index")
	}
	for ; len(index) > 0; index = index[2:] {
		if index[0]+index[1] > maxObjects {
			return damaged("cross-reference stream index")
		}
		for i := range index[1] {
			if len(data) < row {
				return damaged("cross-reference stream is short")
			}
			kind := 1
			if widths[0] > 0 {
				kind = bigEndian(data[:widths[0]])
			}
			second := bigEndian(data[widths[0] : widths[0]+widths[1]])
			third := bigEndian(data[widths[0]+widths[1] : row])
			data = data[row:]
			switch kind {
			case 0:
				f.put(index[0]+i, place{free: true})
			case 1:
				f.put(index[0]+i, place{offset: second, generation: third})
			case 2:
				f.put(index[0]+i, place{container: second, index: third})
			}
		}
	}
	return nil
}

// integers reads an array of small non-negative numbers.
func integers(o object) ([]int, bool) {
	list, ok := o.(array)
	if !ok {
		return nil, false
	}
	out := make([]int, 0, len(list))
	for _, member := range list {
		n, ok := member.(int64)
		if !ok || n < 0 || n > maxObjects {
			return nil, false
		}
		out = append(out, int(n))
	}
	return out, true
}

func bigEndian(b []byte) int {
	n := uint64(0)
	for _, c := range b {
		n = n<<8 | uint64(c)
	}
	return int(n & (1<<62 - 1))
}
