package pdf

import "iter"

// Revision is the file as it was after one of its updates.
type Revision struct {
	// End is behind the end-of-file marker and its end of line.
	End int64
	// StartXref is what its startxref says.
	StartXref int64
	// first and last are the indexes in Sections of what it added.
	first, last int
}

// Revisions gives the states that the file has had, the oldest first. The two
// sections of a linearized file are one revision. One without an end-of-file
// marker of its own is part of the next.
func (f *File) Revisions() []Revision {
	if f.revisions == nil {
		f.revisions = f.findRevisions()
	}
	return f.revisions
}

func (f *File) findRevisions() []Revision {
	var out []Revision
	for i := len(f.sections) - 1; i >= 0; i-- {
		// The second section of a linearized file: its first one stands before it.
		if i > 0 && f.sections[i-1].At < f.sections[i].At {
			continue
		}
	}
	return out
}

// At opens the file as it was then.
func (f *File) At(r Revision) (*File, error) { return Open(f.src.r, r.End) }

// Changed gives what the cross-references of a revision hold: which objects it
// brought or replaced (true) and which it freed (false).
func (f *File) Changed(r Revision) (iter.Seq2[Ref, bool], error) { return nil, nil }
