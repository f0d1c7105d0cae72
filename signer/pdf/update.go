package pdf

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/rubrica-firma/rubrica/policies"
)

// maxRewritten bounds the data of a stream that an update takes over from the file.
const maxRewritten = 64 << 20

// Update collects objects to append to a file (ISO 32000-2, 7.5.6). What it
// writes depends on the file and the calls alone.
type Update struct {
	f       *File
	next    int
	objects map[Ref]Object
	order   []Ref
}

// NewUpdate begins an update.
func (f *File) NewUpdate() *Update {
	next := max(f.table.last()+1, 1)
	if size, ok := f.Trailer()["Size"].(int64); ok && size <= maxNumber {
		next = max(next, int(size))
	}
	return &Update{f: f, next: next, objects: map[Ref]Object{}}
}

// Reserve gives a new object's number before the object is known: Set it.
func (u *Update) Reserve() Ref {
	u.next++
	return Ref{Number: u.next - 1}
}

// Add writes a new object.
func (u *Update) Add(o Object) Ref {
	ref := u.Reserve()
	u.Set(ref, o)
	return ref
}

// AddStream writes a new stream, with data as they are to stand in the file.
func (u *Update) AddStream(d Dict, data []byte) Ref { return u.Add(NewStream(d, data)) }

// Set writes an object in place of one of the file, or under a reserved number.
func (u *Update) Set(ref Ref, o Object) {
	if _, again := u.objects[ref]; !again {
		u.order = append(u.order, ref)
	}
	u.objects[ref] = o
	u.next = max(u.next, ref.Number+1)
}

// Get resolves a reference: what the update has, or else the file.
func (u *Update) Get(ref Ref) (Object, error) {
	if o, ok := u.objects[ref]; ok {
		return o, nil
	}
	return u.f.Resolve(ref)
}

// Empty says that nothing has been set.
func (u *Update) Empty() bool { return len(u.order) == 0 }

// Bytes gives what to append to the file. It sets At of every *Raw. Its
// cross-reference is of the kind that the file's newest one has (ISO 32000-2,
// 7.5.8.4: a table updates a hybrid file).
func (u *Update) Bytes() ([]byte, error) {
	if u.next > maxNumber {
		return nil, refuse(policies.DocumentTooComplex, "object numbers")
	}
	w := &writer{base: u.f.src.size}
	if last := u.f.src.span(u.f.src.size-1, u.f.src.size); !bytes.Equal(last, []byte("\n")) {
		w.buf = append(w.buf, '\n')
	}
	offsets := map[Ref]int64{}
	for _, ref := range u.order {
		offsets[ref] = w.at()
		if err := u.indirect(w, ref); err != nil {
			return nil, err
		}
	}
	start := w.at()
	if u.f.sections[0].Stream {
		u.stream(w, offsets)
	} else {
		u.table(w, offsets)
	}
	w.buf = fmt.Appendf(w.buf, "startxref\n%d\n%%%%EOF\n", start)
	return w.buf, w.err
}

func (u *Update) indirect(w *writer, ref Ref) error {
	w.buf = fmt.Appendf(w.buf, "%d %d obj\n", ref.Number, ref.Generation)
	s, ok := u.objects[ref].(*Stream)
	if !ok {
		w.object(u.objects[ref])
		w.buf = append(w.buf, "\nendobj\n"...)
		return nil
	}
	data, err := readAll(u.f.Raw(s), maxRewritten)
	if err != nil {
		return fmt.Errorf("reading a stream: %w", err)
	}
	w.stream(s.Dict, data)
	return nil
}

func (w *writer) stream(d Dict, data []byte) {
	d = d.Clone()
	d["Length"] = int64(len(data))
	w.object(d)
	w.buf = append(w.buf, "\nstream\n"...)
	w.buf = append(w.buf, data...)
	w.buf = append(w.buf, "\nendstream\nendobj\n"...)
}

// trailer is the newest one, continued. Of the file identifier the second half
// changes with each update (ISO 32000-2, 14.4).
func (u *Update) trailer(written []byte, size int) Dict {
	trailer := u.f.Trailer().Clone()
	for _, key := range []Name{"Type", "W", "Index", "Length", "Filter", "DecodeParms", "XRefStm"} {
		delete(trailer, key)
	}
	digest := sha256.New()
	digest.Write(Append(nil, trailer))
	digest.Write(written)
	changing := String(digest.Sum(nil)[:16])
	permanent := Object(changing)
	if id, err := u.f.Array(trailer["ID"]); err == nil && len(id) == 2 {
		if first, err := u.f.String(id[0]); err == nil && first != "" {
			permanent = first
		}
	}
	trailer["ID"] = Array{permanent, changing}
	trailer["Prev"] = u.f.start
	trailer["Size"] = int64(size)
	return trailer
}

func (u *Update) table(w *writer, offsets map[Ref]int64) {
	trailer := u.trailer(w.buf, u.next)
	w.buf = append(w.buf, "xref\n"...)
	for _, run := range runs(offsets) {
		w.buf = fmt.Appendf(w.buf, "%d %d\n", run[0].Number, len(run))
		for _, ref := range run {
			w.buf = fmt.Appendf(w.buf, "%010d %05d n \n", offsets[ref], ref.Generation)
		}
	}
	w.buf = append(w.buf, "trailer\n"...)
	w.object(trailer)
	w.buf = append(w.buf, '\n')
}

// stream writes a cross-reference stream, which lists itself.
func (u *Update) stream(w *writer, offsets map[Ref]int64) {
	self := Ref{Number: u.next}
	start := w.at()
	offsets[self] = start
	trailer := u.trailer(w.buf, u.next+1)
	width := 1
	for start>>(8*width) > 0 {
		width++
	}
	index := Array{}
	var entries []byte
	for _, run := range runs(offsets) {
		index = append(index, int64(run[0].Number), int64(len(run)))
		for _, ref := range run {
			entries = append(entries, 1)
			for shift := width - 1; shift >= 0; shift-- {
				entries = append(entries, byte(offsets[ref]>>(8*shift))) //nolint:gosec // octet by octet
			}
			entries = append(entries, byte(ref.Generation>>8), byte(ref.Generation)) //nolint:gosec // octet by octet
		}
	}
	trailer["Type"] = Name("XRef")
	trailer["W"] = Array{int64(1), int64(width), int64(2)}
	trailer["Index"] = index
	w.buf = fmt.Appendf(w.buf, "%d 0 obj\n", self.Number)
	w.stream(trailer, entries)
}

// runs puts objects in order and together those whose numbers follow each other.
func runs(offsets map[Ref]int64) [][]Ref {
	refs := make([]Ref, 0, len(offsets))
	for ref := range offsets {
		refs = append(refs, ref)
	}
	slices.SortFunc(refs, func(a, b Ref) int { return a.Number - b.Number })
	var out [][]Ref
	for i, ref := range refs {
		if i == 0 || ref.Number != refs[i-1].Number+1 {
			out = append(out, nil)
		}
		out[len(out)-1] = append(out[len(out)-1], ref)
	}
	return out
}

// Append opens the file with an update behind it.
func (f *File) Append(update []byte) (*File, error) {
	whole := Join(Part{f.src.r, f.src.size}, Octets(update))
	return Open(whole, whole.Size())
}
