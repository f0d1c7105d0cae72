package pdf

import (
	"bytes"
	"errors"
	"io"
	"iter"
	"regexp"

	"github.com/rubrica-firma/rubrica/policies"
)

const (
	// maxNumber bounds object numbers.
	maxNumber = 4_000_000
	// maxEntries bounds what all cross-references together may hold.
	maxEntries = 2_000_000
	// maxSections bounds incremental updates.
	maxSections = 1000
	// maxTrailers bounds the memory of all trailers.
	maxTrailers = 16 << 20
	// headSize is where the header has to be (ISO 32000-1, annex H, note 13).
	headSize = 1024
	// tailSize is where the end-of-file marker has to be (ISO 32000-1, annex H,
	// note 18): garbage behind it is tolerated that far.
	tailSize = 1024
)

// header is what ISO 32000 ever gave out.
var header = regexp.MustCompile(`^%PDF-(1\.[0-7]|2\.0)[\x00\s%]`)

// File is a PDF file, read by its cross-reference.
type File struct {
	src      *source
	version  string
	start    int64 // what the last startxref says
	eof, end int64 // behind the last end-of-file marker, and behind its end of line
	sections []Section
	table    table
	entries  int // met in all cross-references
	trailers int // cost of the trailers so far
	root     Ref
	catalog  Dict

	objects    *cache[Object]
	containers *cache[*container]
	busy       map[int]bool
	inflated   int64 // octets that structural streams have produced so far
	lexed      int64 // octets that were read as objects so far
	revisions  []Revision
	irregular  []Irregularity
	examined   bool
}

// Open reads the structure of a file: header, cross-references, catalogue. The
// error is a *policies.Refusal (DocumentEmpty, DocumentNotPDF, DocumentDamaged,
// DocumentUnsupported, DocumentEncrypted, DocumentTooComplex), or what r said.
func Open(r io.ReaderAt, size int64) (*File, error) {
	f := &File{
		src:     &source{r: r, size: size, blocks: map[int64][]byte{}},
		objects: newCache[Object](16 << 20), containers: newCache[*container](32 << 20),
		busy: map[int]bool{},
	}
	if err := f.readHeader(); err != nil {
		return nil, err
	}
	if err := f.readTail(); err != nil {
		return nil, err
	}
	if err := f.follow(f.start); err != nil {
		return nil, err
	}
	if err := f.readCatalog(); err != nil {
		return nil, err
	}
	if err := f.bridge(); err != nil {
		return nil, err
	}
	return f, nil
}

func (f *File) readHeader() error {
	if f.src.size <= 0 {
		return policies.Refuse(policies.DocumentEmpty)
	}
	head := f.src.span(0, headSize)
	if f.src.err != nil {
		return f.src.err
	}
	at := bytes.Index(head, []byte("%PDF-"))
	if at < 0 {
		return policies.Refuse(policies.DocumentNotPDF)
	}
	if at > 0 {
		// Readers differ on what offsets count from.
		return refuse(policies.DocumentUnsupported, "bytes before the header")
	}
	match := header.FindSubmatch(head)
	if match == nil {
		return refuse(policies.DocumentUnsupported, "PDF version")
	}
	f.version = string(match[1])
	return nil
}

// readTail reads the last startxref before the last end-of-file marker.
func (f *File) readTail() (err error) {
	marker := f.src.findLast([]byte("%%EOF"), max(0, f.src.size-tailSize), f.src.size)
	if marker < 0 {
		return f.src.damaged("no end-of-file marker")
	}
	f.eof = marker + int64(len("%%EOF"))
	f.end = f.lineEnd(f.eof)
	f.start, err = f.startBefore(marker)
	return err
}

// startBefore reads the last startxref before an end-of-file marker.
func (f *File) startBefore(marker int64) (int64, error) {
	const word = "startxref"
	at := f.src.findLast([]byte(word), max(0, marker-tailSize), marker)
	if at < 0 {
		return 0, f.src.damaged("no startxref")
	}
	start, err := f.src.lexer(at + int64(len(word))).integer()
	if err != nil || start <= 0 || start >= f.src.size {
		return 0, f.src.damaged("startxref points nowhere")
	}
	return start, nil
}

// lineEnd is behind the end of line at an offset, if there is one.
func (f *File) lineEnd(at int64) int64 {
	switch eol := f.src.span(at, at+2); {
	case bytes.HasPrefix(eol, []byte("\r\n")):
		return at + 2
	case len(eol) > 0 && (eol[0] == '\n' || eol[0] == '\r'):
		return at + 1
	default:
		return at
	}
}

func (f *File) readCatalog() error {
	root, ok := f.Trailer()["Root"].(Ref)
	if !ok {
		return f.src.damaged("no document catalogue")
	}
	catalog, err := f.Dict(root)
	if err != nil {
		return err
	}
	kind, err := f.Name(catalog["Type"])
	if err != nil {
		return err
	}
	if kind != "Catalog" {
		return f.src.damaged("no document catalogue")
	}
	f.root, f.catalog = root, catalog
	return nil
}

// Size is the size of the file, what stands behind its end included.
func (f *File) Size() int64 { return f.src.size }

// End is behind the last end-of-file marker and its end of line.
func (f *File) End() int64 { return f.end }

// Reader reads the octets of the file.
func (f *File) Reader() *io.SectionReader { return io.NewSectionReader(f.src.r, 0, f.src.size) }

// Trailer is the newest trailer, or the dictionary of the newest
// cross-reference stream.
func (f *File) Trailer() Dict { return f.sections[0].Trailer }

// Catalog is the document catalogue.
func (f *File) Catalog() (Ref, Dict) { return f.root, f.catalog }

// Version is the greater of what header and catalogue say, such as "1.7".
func (f *File) Version() string {
	if v, err := f.Name(f.catalog["Version"]); err == nil && len(v) == 3 && string(v) > f.version {
		return string(v)
	}
	return f.version
}

// Sections are the cross-reference sections, newest first.
func (f *File) Sections() []Section { return f.sections }

// Hybrid says that a cross-reference table is completed by a stream
// (ISO 32000-2, 7.5.8.4): readers of different age see different objects.
func (f *File) Hybrid() bool {
	for _, s := range f.sections {
		if s.XRefStm > 0 {
			return true
		}
	}
	return false
}

// Entry says where an object stands.
type Entry struct {
	// Offset is where the object begins; 0 if it is in an object stream.
	Offset int64
	// Container is the number of the object stream that holds the object, at
	// Index; 0 if it is in none.
	Container, Index int
	// Section is the index in Sections of the one that says so.
	Section int
}

// Objects gives what the cross-references hold in use, in order of number.
func (f *File) Objects() iter.Seq2[Ref, Entry] {
	return func(yield func(Ref, Entry) bool) {
		for number, e := range f.table.all() {
			if e.kind == free {
				continue
			}
			if !yield(e.ref(number), e.exported()) {
				return
			}
		}
	}
}

// Lookup gives the entry of an object number that is in use.
func (f *File) Lookup(number int) (Ref, Entry, bool) {
	e := f.table.get(number)
	if e.kind == none || e.kind == free {
		return Ref{}, Entry{}, false
	}
	return e.ref(number), e.exported(), true
}

// syntax names what could not be read.
func (f *File) syntax(err error, where string) error {
	if errors.Is(err, errTooLarge) && f.src.err == nil {
		return refuse(policies.DocumentTooComplex, where)
	}
	return f.src.damaged(where)
}
