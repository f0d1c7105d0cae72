package inspect

import (
	"errors"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/pdf"
)

// maxOperands bounds lists of which more than that is no good sign.
const maxOperands = 1024

// reader reads objects for somebody who goes on where one cannot be read: such
// an object counts as absent, and err says that there was one.
type reader struct {
	file  *pdf.File
	err   error
	short bool // a budget was met, and something was not looked at

	items, octets, operations int
}

// What one reader may spend in all, so that whatever refers to what, time and
// memory are bounded.
const (
	maxItems      = 5_000_000 // members of arrays, each time they are read
	maxOctets     = 128 << 20 // of streams whose content is read
	maxOperations = 2_000_000 // of content, and comparisons of what it draws
)

// spend counts; it is false when there is nothing left.
func (r *reader) spend(account *int, n, limit int) bool {
	*account += n
	if *account > limit {
		r.short = true
	}
	return *account <= limit
}

// fail keeps the first failure, unless a later one is not the document's alone:
// a limit that was met, or a file that cannot be read.
func (r *reader) fail(err error) {
	if err != nil && (r.err == nil || !fatal(r.err) && fatal(err)) {
		r.err = err
	}
}

// fatal tells a failure that ends the inspection from a damaged object.
func fatal(err error) bool {
	return err != nil && !errors.Is(err, policies.Refuse(policies.DocumentDamaged)) &&
		!errors.Is(err, policies.Refuse(policies.DocumentUnsupported))
}

func (r *reader) get(o pdf.Object) pdf.Object {
	o, err := r.file.Resolve(o)
	r.fail(err)
	return o
}

// dict gives an empty dictionary for what is none.
func (r *reader) dict(o pdf.Object) pdf.Dict {
	switch v := r.get(o).(type) {
	case pdf.Dict:
		return v
	case *pdf.Stream:
		return v.Dict
	default:
		return pdf.Dict{}
	}
}

func (r *reader) array(o pdf.Object) pdf.Array {
	v, ok := r.get(o).(pdf.Array)
	if !ok || !r.spend(&r.items, len(v), maxItems) {
		return nil
	}
	return v
}

func (r *reader) name(o pdf.Object) pdf.Name {
	v, ok := r.get(o).(pdf.Name)
	if !ok {
		return ""
	}
	return v
}

func (r *reader) text(o pdf.Object) string {
	switch v := r.get(o).(type) {
	case pdf.String:
		return pdf.DecodeText(v)
	case *pdf.Stream:
		return pdf.DecodeText(pdf.String(r.data(v, maxFieldText)))
	default:
		return ""
	}
}

func (r *reader) integer(o pdf.Object) int64 {
	v, ok := r.get(o).(int64)
	if !ok {
		return 0
	}
	return v
}

func (r *reader) truth(o pdf.Object) bool {
	v, ok := r.get(o).(bool)
	return ok && v
}

func (r *reader) stream(o pdf.Object) *pdf.Stream {
	v, ok := r.get(o).(*pdf.Stream)
	if !ok {
		return nil
	}
	return v
}

// data undoes a stream's filters, up to a limit. What cannot be undone is
// empty: it draws nothing either.
func (r *reader) data(s *pdf.Stream, limit int64) []byte {
	if s == nil {
		return nil
	}
	data, err := r.file.Data(s, limit)
	if errors.Is(err, policies.Refuse(policies.DocumentTooComplex)) {
		r.short = true
		return nil
	}
	r.fail(err)
	if !r.spend(&r.octets, len(data), maxOctets) {
		return nil
	}
	return data
}

// numbers reads an array of numbers; missing ones are zero.
func (r *reader) numbers(o pdf.Object) []float64 {
	list := r.array(o)
	out := make([]float64, 0, min(len(list), maxOperands))
	for _, member := range list[:min(len(list), maxOperands)] {
		out = append(out, float(r.get(member)))
	}
	return out
}

// shownOn gives the index of the page that shows an annotation.
func (r *reader) shownOn(pages []pdf.Page) map[pdf.Ref]int {
	shown := map[pdf.Ref]int{}
	for index, page := range pages {
		for _, o := range r.array(page.Dict["Annots"]) {
			if ref, ok := o.(pdf.Ref); ok {
				shown[ref] = index
			}
		}
	}
	return shown
}

// box reads a rectangle.
func (r *reader) box(o pdf.Object) rectangle {
	n := r.numbers(o)
	if len(n) != 4 {
		return rectangle{}
	}
	return rectangle{min(n[0], n[2]), min(n[1], n[3]), max(n[0], n[2]), max(n[1], n[3])}
}
