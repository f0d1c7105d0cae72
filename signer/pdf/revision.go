package pdf

import (
	"bytes"
	"iter"
	"slices"
)

// Revision is the file as it was after one of its updates.
type Revision struct {
	// EOF is behind its end-of-file marker, End behind the end of line there. That
	// end of line may belong to the next update.
	EOF, End int64
	// StartXref is what its startxref says.
	StartXref int64
	// Newest and Oldest are the indexes in Sections of what it added.
	Newest, Oldest int
}

// Revisions gives the states that the file has had, the oldest first; the last
// is the file as it is. The two sections of a linearized file are one revision.
// One without an end-of-file marker of its own is part of the next.
func (f *File) Revisions() []Revision {
	if f.revisions == nil {
		f.revisions = f.findRevisions()
	}
	return slices.Clone(f.revisions)
}

func (f *File) findRevisions() []Revision {
	var out []Revision
	oldest := len(f.sections) - 1
	for i := oldest; i > 0; i-- {
		// The second section of a linearized file: its first one stands before it.
		if f.sections[i-1].At < f.sections[i].At {
			continue
		}
		from := f.sections[i].End
		if i < len(f.sections)-1 {
			from = max(from, f.sections[i+1].At)
		}
		if marker := f.endOf(f.sections[i].At, from, f.sections[i-1].At); marker > 0 {
			out = append(out, Revision{
				EOF: marker, End: f.lineEnd(marker), StartXref: f.sections[i].At, Newest: i, Oldest: oldest,
			})
			oldest = i - 1
		}
	}
	return append(out, Revision{EOF: f.eof, End: f.end, StartXref: f.start, Newest: 0, Oldest: oldest})
}

// endOf looks between two offsets for the end-of-file marker behind a
// startxref with a given value.
func (f *File) endOf(start, from, to int64) int64 {
	const word = "startxref"
	for at := from; ; {
		if at = f.src.find([]byte(word), at, to); at < 0 {
			return 0
		}
		at += int64(len(word))
		l := f.src.lexer(at)
		if value, err := l.integer(); err != nil || value != start {
			continue
		}
		rest := f.src.span(l.at(), l.at()+64)
		trimmed := bytes.TrimLeft(rest, "\x00\t\n\f\r ")
		if bytes.HasPrefix(trimmed, []byte("%%EOF")) {
			return l.at() + int64(len(rest)-len(trimmed)+len("%%EOF"))
		}
	}
}

// At opens the file as it was then.
func (f *File) At(r Revision) (*File, error) { return Open(f.src.r, r.End) }

// Changed gives what the cross-references of a revision hold, in order of
// number: which objects it brought or replaced (true) and which it freed (false).
func (f *File) Changed(r Revision) (iter.Seq2[Ref, bool], error) {
	added, err := f.reread(r.Newest, r.Oldest)
	if err != nil {
		return nil, err
	}
	return func(yield func(Ref, bool) bool) {
		for number, e := range added.all() {
			if !yield(e.ref(number), e.kind != free) {
				return
			}
		}
	}, nil
}

// reread reads some of the sections again, which count against no bound twice.
func (f *File) reread(newest, oldest int) (*table, error) {
	again := *f
	again.table, again.sections, again.entries, again.trailers, again.irregular = table{}, nil, 0, 0, nil
	for i := newest; i <= oldest && i < len(f.sections); i++ {
		s, err := again.section(f.sections[i].At, f.sections[i].mend(again.put))
		if err != nil {
			return nil, err
		}
		again.sections = append(again.sections, s)
	}
	return &again.table, nil
}
