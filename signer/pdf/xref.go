package pdf

import (
	"bufio"
	"errors"
	"io"

	"github.com/rubrica-firma/rubrica/policies"
)

// Section is one cross-reference section: a table with its trailer, or a stream.
type Section struct {
	At, End int64 // End is behind its trailer or stream object
	// Stream says that it is a cross-reference stream.
	Stream bool
	// XRefStm is where the stream stands that completes the table of a hybrid
	// file; else 0.
	XRefStm int64
	Trailer Dict
	// shift is how much too great its offsets are: see bridge.
	shift int64
}

// mend wraps a sink for the entries of a section that is read again.
func (s Section) mend(put sink) sink {
	return func(number int, e entry, hidden bool) {
		if e.kind == plain {
			e.at -= s.shift
		}
		put(number, e, hidden)
	}
}

// follow reads a chain of cross-references, newest first, from an offset.
func (f *File) follow(at int64) error {
	visited := map[int64]bool{}
	for at > 0 {
		if visited[at] {
			return f.src.damaged("the cross-reference chain is a loop")
		}
		if visited[at] = true; len(f.sections) >= maxSections {
			return refuse(policies.DocumentTooComplex, "too many revisions")
		}
		s, err := f.section(at, f.put)
		if err != nil {
			return err
		}
		f.sections = append(f.sections, s)
		if at, err = f.previous(s); err != nil {
			return err
		}
	}
	return f.checkOrder()
}

// bridge mends the chain of a producer that writes /Prev 0 for a revision that
// has predecessors (early versions of DSS, behind a signature): what the
// catalogue needs is not listed, and the tables that stand before go on with
// the chain. Where the startxref behind a table does not name its place, a
// revision before it was taken out, and its offsets are all too great by as
// much. Viewers rebuild such files to the same effect.
func (f *File) bridge() error {
	oldest := f.sections[len(f.sections)-1]
	pages, isRef := f.catalog["Pages"].(Ref)
	if oldest.Trailer["Prev"] != int64(0) || !isRef || f.table.get(pages.Number).kind != none {
		return nil
	}
	f.note(IrregularPrevious, Ref{}, oldest.At)
	at := oldest.At
	for range maxSections {
		if at = f.src.findLast([]byte("xref"), 0, at); at < 0 {
			break
		}
		// Not the end of "startxref", nor a word of something else.
		if before := f.src.span(at-1, at); len(before) == 0 || !isSpace(before[0]) {
			continue
		}
		probe := *f
		probe.table, probe.irregular = table{}, nil
		s, err := probe.section(at, probe.put)
		if encrypted(err) {
			return err
		}
		if err != nil {
			continue
		}
		l := f.src.lexer(s.End)
		if said, err := l.integerAfter("startxref"); err == nil {
			s.shift = said - at
		}
		if _, err := f.section(at, s.mend(f.put)); err != nil || len(f.sections) >= maxSections {
			return refuse(policies.DocumentTooComplex, "too many revisions")
		}
		f.sections = append(f.sections, s)
	}
	return nil
}

func encrypted(err error) bool {
	refusal := (*policies.Refusal)(nil)
	return errors.As(err, &refusal) && refusal.Code == policies.DocumentEncrypted
}

// previous is where a section's predecessor is, or 0; some producers write
// /Prev 0 for none, and nothing but the header stands there.
func (f *File) previous(s Section) (int64, error) {
	switch prev := s.Trailer["Prev"].(type) {
	case nil:
		return 0, nil
	case int64:
		if prev < 0 || prev >= f.src.size {
			return 0, f.src.damaged("/Prev points nowhere")
		}
		return prev, nil
	default:
		return 0, f.src.damaged("/Prev is no number")
	}
}

// checkOrder wants each section behind those that it updates. Only the first
// of a linearized file stands before its second (ISO 32000-2, F.3.4).
func (f *File) checkOrder() error {
	for i := 1; i < len(f.sections)-1; i++ {
		if f.sections[i].At > f.sections[i-1].At {
			return f.src.damaged("the cross-references are not in order")
		}
	}
	return nil
}

// sink takes what a cross-reference says. hidden says that it stands in the
// stream of a hybrid file.
type sink func(number int, e entry, hidden bool)

// put keeps the newest entry of a number, which is the first one met. An entry
// that a hybrid file's table calls free may be in its stream: that is how it
// hides objects from old readers (ISO 32000-2, 7.5.8.4).
func (f *File) put(number int, e entry, hidden bool) {
	e.section = uint16(len(f.sections)) //nolint:gosec // at most maxSections
	old := f.table.get(number)
	switch {
	case old.kind == none:
		f.table.set(number, e)
	case old.section != e.section || old.same(e):
	case hidden && old.kind == free:
		f.table.set(number, e)
	case hidden && e.kind != free:
		f.note(IrregularHybrid, e.ref(number), e.at)
	case !hidden:
		f.note(IrregularDuplicate, e.ref(number), e.at)
	}
}

// section reads one cross-reference with its trailer.
func (f *File) section(at int64, put sink) (Section, error) {
	if at <= 0 || at >= f.src.size {
		return Section{}, f.src.damaged("the cross-reference is outside the file")
	}
	l := f.src.lexer(at)
	l.end = f.src.size
	l.skipSpace()
	s := Section{At: at}
	var err error
	if c, _ := l.peek(); c == 'x' {
		if !l.word("xref") {
			return s, f.src.damaged("no cross-reference where one should be")
		}
		if s.Trailer, err = f.classic(l, put); err != nil {
			return s, err
		}
		s.End = l.at()
		s.XRefStm, err = f.hybrid(s.Trailer, put)
	} else {
		s.Stream = true
		s.Trailer, s.End, err = f.crossReferenceStream(at, func(number int, e entry) { put(number, e, false) })
	}
	if err != nil {
		return s, err
	}
	if s.Trailer["Encrypt"] != nil {
		return s, policies.Refuse(policies.DocumentEncrypted)
	}
	return s, nil
}

// hybrid reads the stream that completes a table.
func (f *File) hybrid(trailer Dict, put sink) (int64, error) {
	at, ok := trailer["XRefStm"].(int64)
	if !ok {
		if trailer["XRefStm"] != nil {
			return 0, f.src.damaged("/XRefStm is no number")
		}
		return 0, nil
	}
	_, _, err := f.crossReferenceStream(at, func(number int, e entry) { put(number, e, true) })
	return at, err
}

// classic reads a table. Entries are read word by word, as viewers do: those
// of 19 or 21 octets are in use.
func (f *File) classic(l *lexer, put sink) (Dict, error) {
	for {
		l.skipSpace()
		word := l.regular()
		if string(word) == "trailer" {
			break
		}
		first, ok := number(word).(int64)
		count, err := l.integer()
		if !ok || err != nil || first < 0 || count < 0 {
			return nil, f.src.damaged("cross-reference subsection")
		}
		for i := range count {
			e, err := f.tableEntry(l)
			if err != nil {
				return nil, err
			}
			// Some producers count from 1 where the list's head, which is object 0,
			// comes first; every viewer knows them.
			if i == 0 && first == 1 && e.kind == free && e.at == 0 && e.aux == 65535 {
				first = 0
			}
			if err := f.take(int(first+i), e, func(number int, e entry) { put(number, e, false) }); err != nil {
				return nil, err
			}
		}
	}
	return f.trailer(l)
}

func (f *File) trailer(l *lexer) (Dict, error) {
	l.cost, l.max, l.end = 0, maxTrailers-f.trailers, min(f.src.size, l.at()+maxObject)
	o, err := l.object(0)
	f.trailers += l.cost
	trailer, ok := o.(Dict)
	if err != nil || !ok {
		return nil, f.syntax(err, "trailer")
	}
	return trailer, nil
}

// take checks the bounds and hands an entry on.
func (f *File) take(number int, e entry, put func(int, entry)) error {
	if f.entries++; f.entries > 2*maxEntries {
		return refuse(policies.DocumentTooComplex, "too many objects")
	}
	if number > maxNumber {
		return refuse(policies.DocumentTooComplex, "object numbers")
	}
	put(number, e)
	return nil
}

func (f *File) tableEntry(l *lexer) (entry, error) {
	offset, errOffset := l.integer()
	generation, errGeneration := l.integer()
	l.skipSpace()
	kind := l.regular()
	if errOffset != nil || errGeneration != nil || offset < 0 || generation < 0 || len(kind) != 1 {
		return entry{}, f.src.damaged("cross-reference entry")
	}
	switch {
	case kind[0] == 'f':
		// The list of free entries is of no use, and often wrong.
		return entry{kind: free, at: offset, aux: uint32(min(generation, 1<<20))}, nil
	case kind[0] != 'n' || generation > 65535:
		return entry{}, f.src.damaged("cross-reference entry")
	case offset == 0:
		// The header stands there: producers mean that there is no such object.
		return entry{kind: free}, nil
	default:
		return entry{kind: plain, at: offset, aux: uint32(generation)}, nil
	}
}

// crossReferenceStream reads a stream of entries (ISO 32000-2, 7.5.8) and
// returns its dictionary, whose values are all direct ones.
func (f *File) crossReferenceStream(at int64, put func(int, entry)) (Dict, int64, error) {
	d, l, err := f.streamHead(at)
	if err != nil {
		return nil, 0, err
	}
	length, ok := d["Length"].(int64)
	if !ok || d["Type"] != Name("XRef") {
		return nil, 0, f.src.damaged("no cross-reference where one should be")
	}
	s, end, err := f.streamAt(d, l.at(), length)
	if err != nil {
		return nil, 0, err
	}
	if l = f.src.lexer(end); l.word("endobj") {
		end = l.at()
	}
	widths, ok := integers(d["W"], 8)
	if !ok || len(widths) != 3 {
		return nil, 0, f.src.damaged("cross-reference stream widths")
	}
	size, ok := d["Size"].(int64)
	if !ok || size < 0 {
		return nil, 0, f.src.damaged("cross-reference stream size")
	}
	index, ok := integers(d["Index"], 1<<31)
	if !ok {
		index = []int{0, int(min(size, 1<<31))}
	}
	r, err := f.structural(s)
	if err != nil {
		return nil, 0, err
	}
	return d, end, f.streamEntries(bufio.NewReader(r), widths, index, put)
}

// streamHead reads a cross-reference stream's dictionary; the lexer then
// stands where the data begin.
func (f *File) streamHead(at int64) (Dict, *lexer, error) {
	if at <= 0 || at >= f.src.size {
		return nil, nil, f.src.damaged("the cross-reference is outside the file")
	}
	l := f.src.lexer(at)
	l.max = maxTrailers - f.trailers
	if _, err := l.header(); err != nil {
		return nil, nil, f.src.damaged("no cross-reference where one should be")
	}
	o, err := l.object(0)
	f.trailers += l.cost
	d, ok := o.(Dict)
	if err != nil || !ok || !l.word("stream") || !l.dataStart() {
		return nil, nil, f.syntax(err, "no cross-reference where one should be")
	}
	return d, l, nil
}

func (f *File) streamEntries(r io.Reader, widths, index []int, put func(int, entry)) error {
	row := make([]byte, widths[0]+widths[1]+widths[2])
	if len(index)%2 != 0 || len(row) == 0 {
		return f.src.damaged("cross-reference stream index")
	}
	for ; len(index) > 0; index = index[2:] {
		for i := range index[1] {
			if _, err := io.ReadFull(r, row); err != nil {
				return f.short(err)
			}
			e, ok := streamEntry(row, widths)
			if !ok {
				return f.src.damaged("cross-reference entry")
			}
			if err := f.take(index[0]+i, e, put); err != nil {
				return err
			}
		}
	}
	return nil
}

// short says why a stream of entries ended before its time.
func (f *File) short(err error) error {
	if refusal := (*policies.Refusal)(nil); errors.As(err, &refusal) {
		return err
	}
	return f.src.damaged("cross-reference stream is short")
}

func streamEntry(row []byte, widths []int) (entry, bool) {
	kind := uint64(1)
	if widths[0] > 0 {
		kind = bigEndian(row[:widths[0]])
	}
	second := bigEndian(row[widths[0] : widths[0]+widths[1]])
	third := bigEndian(row[widths[0]+widths[1]:])
	switch {
	case kind == 1 && second > 0:
		return entry{kind: plain, at: int64(min(second, 1<<62)), aux: uint32(third)}, third <= 65535 //nolint:gosec // bounded
	case kind == 2:
		return entry{kind: contained, at: int64(second), aux: uint32(third)}, second > 0 && second <= maxNumber && third <= maxNumber //nolint:gosec // bounded
	default:
		// A kind that is not known is a null object (ISO 32000-2, table 18).
		return entry{kind: free}, true
	}
}

// integers reads an array of non-negative numbers.
func integers(o Object, most int64) ([]int, bool) {
	list, ok := o.(Array)
	if !ok {
		return nil, false
	}
	out := make([]int, 0, len(list))
	for _, member := range list {
		n, ok := member.(int64)
		if !ok || n < 0 || n > most {
			return nil, false
		}
		out = append(out, int(n))
	}
	return out, true
}

func bigEndian(b []byte) uint64 {
	n := uint64(0)
	for _, c := range b {
		n = n<<8 | uint64(c)
	}
	return n
}
