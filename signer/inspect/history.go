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

// maxCompared bounds how many signatures are compared with the present.
const maxCompared = 64

// history tells what the document was before: what changed after its
// signatures, and before there were any.
func (i *inspector) history() error {
	revisions := i.file.Revisions()
	firstSigned := len(revisions) - 1
	compared := 0
	for _, s := range i.signatures(i.fields) {
		where := "field " + s.field.name
		end := i.coverage(s)
		at, ok := 0, false
		if end >= 0 {
			at, ok = revisionOf(revisions, i.file, end)
		}
		if !ok {
			i.found(policies.FindingSignatureMalformed, where)
			continue
		}
		firstSigned = min(firstSigned, at)
		if at == len(revisions)-1 {
			continue
		}
		if compared++; compared > maxCompared {
			i.found(policies.FindingIncomplete, where)
			break
		}
		if err := i.since(revisions[at], s, where); err != nil {
			return err
		}
	}
	if firstSigned > 0 {
		return i.before(revisions[0], revisions[firstSigned])
	}
	return nil
}

// since judges what came after a signature.
func (i *inspector) since(revision pdf.Revision, s signed, where string) error {
	older, err := i.file.At(revision)
	if err == nil {
		var changes []Change
		if changes, err = Changes(older, i.file, i.permission(s.dict, s.field.dict)); err == nil {
			i.judge(changes, where)
			return nil
		}
	}
	if refusal := (*policies.Refusal)(nil); !errors.As(err, &refusal) {
		return fmt.Errorf("comparing with what was signed: %w", err)
	}
	i.found(policies.FindingSignatureBroken, where, "cause", err.Error())
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
	changes, err := Changes(older, newer, Permission{})
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
	if refusal := (*policies.Refusal)(nil); !errors.As(err, &refusal) {
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
