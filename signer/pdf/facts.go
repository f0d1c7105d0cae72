package pdf

import (
	"bytes"
	"errors"
	"slices"

	"github.com/rubrica-firma/rubrica/policies"
)

// Irregularity is something in the cross-references of which readers may make
// different things.
type Irregularity struct {
	Kind IrregularityKind
	Ref  Ref   // the object, where there is one
	At   int64 // the offset, where there is one
}

// IrregularityKind names an irregularity.
type IrregularityKind string

// The irregularities.
const (
	// IrregularDuplicate is an object that one section has twice, differently.
	IrregularDuplicate IrregularityKind = "duplicate"
	// IrregularHybrid is an object that a hybrid file's table and stream have
	// differently: readers of different age see different things.
	IrregularHybrid IrregularityKind = "hybrid"
	// IrregularForward is an object behind the end of the revision whose
	// cross-reference names it: that revision was made to change its meaning.
	IrregularForward IrregularityKind = "forward"
	// IrregularSize is an object number that the trailer's /Size excludes
	// (ISO 32000-2, table 15): such objects do not exist for some readers.
	IrregularSize IrregularityKind = "size"
	// IrregularShared is an offset to which two object numbers lead.
	IrregularShared IrregularityKind = "shared"
	// IrregularPrevious is a section whose trailer denies that it has a
	// predecessor, without which the document has no pages.
	IrregularPrevious IrregularityKind = "previous"
	// IrregularTail is what stands behind the last end-of-file marker.
	IrregularTail IrregularityKind = "tail"
)

// maxIrregular bounds how many irregularities and orphans are told.
const maxIrregular = 100

func (f *File) note(kind IrregularityKind, ref Ref, at int64) {
	if len(f.irregular) < maxIrregular {
		f.irregular = append(f.irregular, Irregularity{kind, ref, at})
	}
}

// Irregularities lists what is odd in the cross-references, 100 at most.
func (f *File) Irregularities() []Irregularity {
	if !f.examined {
		f.examined = true
		f.examine()
	}
	return slices.Clone(f.irregular)
}

func (f *File) examine() {
	ends := make([]int64, len(f.sections))
	for _, r := range f.Revisions() {
		for i := r.Newest; i <= r.Oldest; i++ {
			ends[i] = r.End
		}
	}
	size, sized := f.Trailer()["Size"].(int64)
	type place struct {
		at  int64
		ref Ref
	}
	var places []place
	for ref, e := range f.Objects() {
		if e.Offset >= ends[e.Section] {
			f.note(IrregularForward, ref, e.Offset)
		}
		if sized && int64(ref.Number) >= size {
			f.note(IrregularSize, ref, e.Offset)
		}
		if e.Offset > 0 {
			places = append(places, place{e.Offset, ref})
		}
	}
	slices.SortStableFunc(places, func(a, b place) int { return int(a.at - b.at) })
	for i, p := range places {
		if i > 0 && p.at == places[i-1].at {
			f.note(IrregularShared, p.ref, p.at)
		}
	}
	if tail := f.src.span(f.end, f.src.size); len(bytes.TrimLeft(tail, "\x00\t\n\f\r ")) > 0 {
		f.note(IrregularTail, Ref{}, f.end)
	}
}

// Linearized says that the file was written to be shown before it has arrived
// whole (ISO 32000-2, annex F), whatever was appended since.
func (f *File) Linearized() bool {
	l := f.src.lexer(0)
	l.end = min(l.end, headSize)
	if _, err := l.header(); err != nil {
		return false
	}
	o, err := l.object(0)
	d, ok := o.(Dict)
	return err == nil && ok && d["Linearized"] != nil
}

// Orphan is an object that stands in the file but in no cross-reference.
type Orphan struct {
	Ref Ref
	At  int64
}

// Orphans scans the whole file for objects that no cross-reference section of
// any revision names, 100 at most. What is in the data of a stream is no object.
func (f *File) Orphans() ([]Orphan, error) {
	known, err := f.offsets()
	if err != nil {
		return nil, err
	}
	var out []Orphan
	for at := int64(0); len(out) < maxIrregular; {
		word := f.src.find([]byte("obj"), at, f.src.size)
		if word < 0 {
			break
		}
		start, from := f.headerBefore(word, at)
		at = word + int64(len("obj"))
		if start < 0 {
			continue
		}
		o, err := f.indirect(start)
		if refusal := (*policies.Refusal)(nil); err != nil &&
			(!errors.As(err, &refusal) || refusal.Code == policies.DocumentTooComplex) {
			return nil, err
		}
		if i, _ := slices.BinarySearch(known, from); i == len(known) || known[i] > start {
			out = append(out, Orphan{o.ref, start})
		}
		at = max(at, o.end)
	}
	return out, f.src.err
}

// headerBefore gives where the numbers before the word obj begin, or -1, and
// where the white space before them begins: cross-references may point there.
func (f *File) headerBefore(word, least int64) (start, from int64) {
	head := f.src.span(max(least, word-64), word)
	blanks := func() int {
		n := len(head)
		head = bytes.TrimRight(head, "\x00\t\n\f\r ")
		return n - len(head)
	}
	digits := func() int {
		n := len(head)
		head = bytes.TrimRight(head, "0123456789")
		return n - len(head)
	}
	if blanks() == 0 || digits() == 0 || blanks() == 0 || digits() == 0 {
		return -1, -1
	}
	start = max(least, word-64) + int64(len(head))
	return start, start - int64(blanks())
}

// offsets gives where the cross-references of all revisions say that objects
// stand, and where these stand if they are objects themselves, in order.
func (f *File) offsets() ([]int64, error) {
	var known []int64
	again := *f
	again.entries, again.trailers = 0, 0
	for _, s := range f.sections {
		known = append(known, s.At, s.XRefStm)
		if _, err := again.section(s.At, s.mend(func(_ int, e entry, _ bool) {
			if e.kind == plain {
				known = append(known, e.at)
			}
		})); err != nil {
			return nil, err
		}
	}
	slices.Sort(known)
	return slices.Compact(known), nil
}

// Locate gives where the value of a key of an indirect dictionary stands; with
// several keys, of a dictionary inside it. It is false if there is no such
// value, or if the object is in an object stream.
func (f *File) Locate(ref Ref, path ...Name) (start, end int64, ok bool, err error) {
	e := f.table.get(ref.Number)
	if e.kind != plain || e.ref(ref.Number) != ref {
		return 0, 0, false, nil
	}
	if err := f.work(0); err != nil {
		return 0, 0, false, err
	}
	l := f.src.lexer(e.at)
	got, err := l.header()
	if err != nil || got != ref {
		return 0, 0, false, f.syntax(err, "object header")
	}
	start, err = l.descend(path)
	if errWork := f.work(l.at() - e.at); errWork != nil {
		return 0, 0, false, errWork
	}
	if err != nil {
		return 0, 0, false, f.syntax(err, "object syntax")
	}
	return start, l.at(), start > 0, nil
}

// descend passes the value to which a path of keys leads and gives where it
// begins; 0 if there is none.
func (l *lexer) descend(path []Name) (int64, error) {
	l.skipSpace()
	start := l.at()
	if len(path) == 0 {
		_, err := l.object(0)
		return start, err
	}
	if opened := l.take('<'); !opened || !l.take('<') {
		return 0, nil
	}
	for {
		key, done, err := l.key(0)
		if err != nil || done {
			return 0, err
		}
		if key == path[0] {
			return l.descend(path[1:])
		}
		if _, err := l.object(0); err != nil {
			return 0, err
		}
	}
}
