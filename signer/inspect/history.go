package inspect

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/pdf"
)

// maxRevisions bounds how many revisions are looked into.
const maxRevisions = 100

// history tells what the document was before: what changed after each of its
// signatures, those that were taken away included, and before there were any.
func (i *inspector) history() error {
	revisions := i.file.Revisions()
	last := len(revisions) - 1
	if last >= maxRevisions {
		i.found(policies.FindingIncomplete, "document", "kind", "revisions")
		return nil
	}
	firstSigned := last
	sound := map[int64]bool{} // ends of signatures that cover a revision
	for at, revision := range revisions {
		older := i.file
		if at < last {
			var err error
			if older, err = i.file.At(revision); err != nil && isRefusal(err) {
				continue // what it signed cannot be sound
			} else if err != nil {
				return fmt.Errorf("reading an earlier revision: %w", err)
			}
		}
		for _, s := range signaturesOf(older) {
			end := (&reader{file: older}).coverage(s)
			if sound[end] || !i.ends(revision, end) {
				continue
			}
			sound[end] = true
			firstSigned = min(firstSigned, at)
			if at < last {
				if err := i.since(older, s); err != nil {
					return err
				}
			}
		}
	}
	for _, s := range i.signatures(i.fields) {
		if !sound[i.coverage(s)] {
			i.found(policies.FindingSignatureMalformed, "field "+s.field.name)
		}
	}
	if firstSigned > 0 {
		return i.before(revisions[0], revisions[firstSigned])
	}
	return nil
}

func isRefusal(err error) bool {
	refusal := (*policies.Refusal)(nil)
	return errors.As(err, &refusal)
}

func signaturesOf(f *pdf.File) []signed {
	r := &reader{file: f}
	_, catalog := f.Catalog()
	return r.signatures(r.fields(r.dict(catalog["AcroForm"])))
}

// ends says that a signature's cover ends where a revision does, but for white
// space.
func (i *inspector) ends(revision pdf.Revision, end int64) bool {
	if end < 0 || end > revision.End || revision.End-end > 64 {
		return false
	}
	rest := make([]byte, revision.End-end)
	if _, err := io.ReadFull(io.NewSectionReader(i.file.Reader(), end, revision.End-end), rest); err != nil {
		i.fail(err)
		return false
	}
	return len(bytes.Trim(rest, "\x00\t\n\f\r ")) == 0
}

// since judges what came after a signature.
func (i *inspector) since(older *pdf.File, s signed) error {
	where := "field " + s.field.name
	changes, err := compare(older, i.file, PermissionOf(older, s.dict, s.field.dict), i.orphans)
	switch {
	case err == nil:
		i.judge(changes, where)
	case isRefusal(err):
		i.found(policies.FindingSignatureBroken, where, "cause", err.Error())
	default:
		return fmt.Errorf("comparing with what was signed: %w", err)
	}
	return nil
}

func (i *inspector) judge(changes []Change, where string) {
	for _, change := range changes {
		switch {
		case change.Judgement == Forbidden:
			i.found(policies.FindingSignatureBroken, where, "kind", string(change.Kind), "change", change.Where)
		case change.Judgement == Suspect, change.Kind == FormFilled, change.Kind == AnnotationAdded:
			i.found(policies.FindingSignatureExtended, where, "kind", string(change.Kind))
		}
	}
}

// before compares the document as it was first with what its first signer, or
// the next one, is shown.
func (i *inspector) before(first, last pdf.Revision) error {
	older, err := i.file.At(first)
	if err != nil {
		return i.unlike(err)
	}
	newer, err := i.file.At(last)
	if err != nil {
		return i.unlike(err)
	}
	changes, err := compare(older, newer, Permission{}, nil)
	if err != nil {
		return i.unlike(err)
	}
	for _, change := range changes {
		if change.Judgement != Permitted {
			i.found(policies.FindingRevisionsChanged, "document", "kind", string(change.Kind), "change", change.Where)
			return nil
		}
	}
	i.found(policies.FindingRevisions, "document")
	return nil
}

// unlike: an earlier revision that cannot be read showed something else, or
// nothing.
func (i *inspector) unlike(err error) error {
	if !isRefusal(err) {
		return fmt.Errorf("reading an earlier revision: %w", err)
	}
	i.found(policies.FindingRevisionsChanged, "document", "cause", err.Error())
	return nil
}

// placeholders looks for what signing libraries write where ByteRange will
// stand, and look for later. One that takes the wrong one for its own changes
// the document.
func (i *inspector) placeholders() error {
	const window = 1 << 20
	const overlap = 256
	buffer := make([]byte, window+overlap)
	r := i.file.Reader()
	kept := 0
	for at := int64(0); ; {
		n, err := io.ReadFull(r, buffer[kept:])
		if at := placeholder(buffer[:kept+n]); at >= 0 {
			i.found(policies.FindingPlaceholder, "document")
			return nil
		}
		if err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return nil
			}
			return fmt.Errorf("reading the document: %w", err)
		}
		kept = copy(buffer, buffer[window:])
		at += window
	}
}

// placeholder gives where one begins, or -1: a ByteRange whose numbers are
// not known yet. pdfsign, node-signpdf and others write asterisks, PDFBox
// 1000000000, others a row of nines, zeros or blanks.
func placeholder(data []byte) int {
	for at := 0; ; {
		next := bytes.Index(data[at:], []byte("ByteRange"))
		if next < 0 {
			return -1
		}
		at += next
		end := min(len(data), at+160)
		if unfilled(data[at+len("ByteRange") : end]) {
			return at
		}
		at += len("ByteRange")
	}
}

// unfilled reads the array that follows the word ByteRange.
func unfilled(data []byte) bool {
	data = bytes.TrimLeft(data, "\x00\t\n\f\r ")
	if len(data) == 0 || data[0] != '[' {
		return false
	}
	closing := bytes.IndexByte(data, ']')
	if closing < 0 {
		closing = len(data)
	}
	inner := data[1:closing]
	if bytes.Contains(inner, []byte("****")) || len(bytes.TrimLeft(inner, " ")) == 0 && len(inner) >= 12 {
		return true
	}
	numbers := bytes.Fields(inner)
	if len(numbers) != 4 {
		return false
	}
	for _, number := range numbers[1:] {
		n, err := strconv.ParseInt(string(number), 10, 64)
		if err != nil || n < 1_000_000_000 {
			return len(bytes.Trim(number, "0")) == 0 && len(number) >= 8
		}
	}
	return true // no document of ours is that large
}
