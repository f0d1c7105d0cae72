package pdf

import "iter"

// entryKind says what a cross-reference says of an object.
type entryKind uint8

const (
	none entryKind = iota
	free
	plain
	contained
)

// entry is an Entry in little memory.
type entry struct {
	at      int64  // offset, or the object stream's number
	aux     uint32 // generation, or the index in the object stream
	section uint16
	kind    entryKind
}

func (e entry) ref(number int) Ref {
	if e.kind == plain {
		return Ref{number, int(e.aux)}
	}
	return Ref{number, 0}
}

func (e entry) exported() Entry {
	if e.kind == contained {
		return Entry{Container: int(e.at), Index: int(e.aux), Section: int(e.section)}
	}
	return Entry{Offset: e.at, Section: int(e.section)}
}

// same says that two entries of an object lead to the same place.
func (e entry) same(other entry) bool {
	return e.kind == other.kind && (e.kind == free || e.at == other.at && e.aux == other.aux)
}

// pageOf is how many entries of table stand together.
const pageOf = 64

// table holds entries by number, without memory for great gaps.
type table struct {
	pages []*[pageOf]entry
}

func (t *table) get(number int) entry {
	if number < 0 || number/pageOf >= len(t.pages) || t.pages[number/pageOf] == nil {
		return entry{}
	}
	return t.pages[number/pageOf][number%pageOf]
}

func (t *table) set(number int, e entry) {
	for number/pageOf >= len(t.pages) {
		t.pages = append(t.pages, nil)
	}
	page := &t.pages[number/pageOf]
	if *page == nil {
		*page = new([pageOf]entry)
	}
	(*page)[number%pageOf] = e
}

func (t *table) all() iter.Seq2[int, entry] {
	return func(yield func(int, entry) bool) {
		for i, page := range t.pages {
			if page == nil {
				continue
			}
			for j, e := range page {
				if e.kind != none && !yield(i*pageOf+j, e) {
					return
				}
			}
		}
	}
}

// last is the greatest number that was met.
func (t *table) last() int {
	for i := len(t.pages)*pageOf - 1; i >= 0; i-- {
		if t.get(i).kind != none {
			return i
		}
	}
	return 0
}
