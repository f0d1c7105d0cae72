// Package pades puts PAdES baseline signatures (EN 319 142-1 V1.2.1) into PDFs
// in two phases, so that no key is needed while a PDF is read and no PDF is read
// while a key is at hand:
//
//   - Prepare makes an update with an empty hole that is to be appended to a
//     document, whose own octets never change. It parses what strangers wrote,
//     so it runs in a document worker; so do PrepareTimeStamp and AddEvidence,
//     which lift a signature to the levels B-LT and B-LTA.
//   - A Layout says where the hole and the claimed time are. Its methods move
//     octets and hash, parse nothing, and run anywhere.
//
// Signatures, DSS and LevelOf read what stands in a document.
package pades

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/pades/stamp"
	"github.com/rubrica-firma/rubrica/signer/pdf"
)

// ErrOptions is in every error about options that no document could satisfy.
var ErrOptions = errors.New("cannot prepare a signature so")

const (
	maxHole = 1 << 20
	maxText = 512
)

// Options are what the signature says besides the signature, and where it goes.
type Options struct {
	// Name, Reason, Location and ContactInfo are shown by PDF viewers; may be empty.
	Name        string `json:"name,omitempty"`
	Reason      string `json:"reason,omitempty"`
	Location    string `json:"location,omitempty"`
	ContactInfo string `json:"contact_info,omitempty"`
	// Field is the full name of an empty signature field to fill; empty makes a new one.
	Field string `json:"field,omitempty"`
	// Certify makes a certification signature (ISO 32000-2, 12.8.1) that
	// permits so much; 0 makes an approval signature.
	Certify Permission `json:"certify,omitempty"`
	// Hole is how many octets to keep for the CMS, as HoleFor computes it; 0
	// means DefaultHole.
	Hole int `json:"hole,omitempty"`
	// Time is the claimed time until Layout.FixTime sets it anew.
	Time time.Time `json:"time"`
	// Stamp makes the signature visible.
	Stamp *stamp.Options `json:"stamp,omitempty"`
}

func (o Options) check() error {
	if o.Hole < 0 || o.Hole > maxHole || o.Certify < 0 || o.Certify > Annotate {
		return fmt.Errorf("%w: hole or permission out of bounds", ErrOptions)
	}
	for _, s := range []string{o.Name, o.Reason, o.Location, o.ContactInfo, o.Field} {
		if len(s) > maxText || !utf8.ValidString(s) {
			return fmt.Errorf("%w: a text is too long or no UTF-8", ErrOptions)
		}
	}
	return nil
}

// Prepared is a document with an empty signature.
type Prepared struct {
	// Update is to be appended to the document.
	Update []byte
	Layout Layout
	// Field is the full name of the signature's field.
	Field string
	// Facts are those of the document as it was given.
	Facts Facts
	// Missing are the characters that the stamp's typeface lacks.
	Missing []rune
}

// Prepare makes an update with an empty signature, or answers with a
// *policies.Refusal. The same input gives the same output.
//
// Before the update is handed out, it is read again behind the document as a
// stranger's: the new signature is what a reader finds.
func Prepare(f *pdf.File, o Options) (*Prepared, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	claimed, err := formatTime(o.Time)
	if err != nil {
		return nil, err
	}
	d, err := newDraft(f, o)
	if err != nil {
		return nil, err
	}
	if err := d.permitted.allow(d.name, d.target == nil, o); err != nil {
		return nil, err
	}
	d.claimed = &pdf.Raw{Bytes: claimed}
	signature := pdf.Dict{
		"Type":      pdf.Name("Sig"),
		"Filter":    pdf.Name("Adobe.PPKLite"),
		"SubFilter": pdf.Name("ETSI.CAdES.detached"),
		"M":         d.claimed,
	}
	for key, text := range map[pdf.Name]string{
		"Name": o.Name, "Reason": o.Reason, "Location": o.Location, "ContactInfo": o.ContactInfo,
	} {
		if text != "" {
			signature[key] = pdf.TextString(text)
		}
	}
	if err := d.write(signature); err != nil {
		return nil, err
	}
	return d.finish()
}

// PrepareTimeStamp makes an update with an empty document time-stamp (EN 319
// 142-1, 5.4.3; ISO 32000-2, 12.8.5), invisible and in a field of its own.
// Its Layout claims no time: the token does. No permission forbids one: updates
// that only add document time-stamps and validation data are no changes (ISO
// 32000-2, 12.8.2.2.2).
func PrepareTimeStamp(f *pdf.File, hole int) (*Prepared, error) {
	o := Options{Hole: hole}
	if err := o.check(); err != nil {
		return nil, err
	}
	d, err := newDraft(f, o)
	if err != nil {
		return nil, err
	}
	err = d.write(pdf.Dict{
		"Type":      pdf.Name("DocTimeStamp"),
		"Filter":    pdf.Name("Adobe.PPKLite"),
		"SubFilter": pdf.Name("ETSI.RFC3161"),
	})
	if err != nil {
		return nil, err
	}
	return d.finish()
}

// finish turns the draft into octets, reads them as a stranger's document, and
// notes where things are.
func (d *draft) finish() (*Prepared, error) {
	update, err := d.update.Bytes()
	if err != nil {
		return nil, fmt.Errorf("writing the update: %w", err)
	}
	hash := crypto.SHA256.New()
	// io.Copy takes no more memory than a LimitedReader says that there is.
	if _, err := io.Copy(hash, io.LimitReader(d.file.Reader(), d.file.Size())); err != nil {
		return nil, fmt.Errorf("reading the document: %w", err)
	}
	l := Layout{
		Original:    d.file.Size(),
		SHA256:      hash.Sum(nil),
		ByteRangeAt: d.byteRange.At,
		HoleStart:   d.contents.At,
		HoleEnd:     d.contents.At + int64(len(d.contents.Bytes)),
		Size:        d.file.Size() + int64(len(update)),
	}
	if d.claimed != nil {
		l.TimeAt = d.claimed.At
	}
	if d.drawn.Raw != nil {
		l.Shown = d.drawn.Slots()
	}
	copy(update[l.ByteRangeAt-l.Original:], l.byteRange())
	after, err := d.file.Append(update)
	if err != nil {
		return nil, strange("no readable structure")
	}
	if err := l.Check(update); err != nil {
		return nil, fmt.Errorf("checking the update: %w", err)
	}
	if err := d.checkAgain(after, l); err != nil {
		return nil, err
	}
	return &Prepared{Update: update, Layout: l, Field: d.name, Facts: d.facts, Missing: d.missing}, nil
}

// strange is the answer to every surprise: rather no signature than one that
// readers understand differently.
func strange(what string) error {
	return policies.Refuse(policies.DocumentUnsupported, "reason", "the result has "+what)
}

// checkAgain finds the new signature the way a verifier does.
func (d *draft) checkAgain(after *pdf.File, l Layout) error {
	root, catalog := d.file.Catalog()
	newRoot, newCatalog := after.Catalog()
	if root != newRoot || newCatalog["Pages"] != catalog["Pages"] {
		return strange("another catalogue")
	}
	form, err := readForm(after)
	if err != nil {
		return strange("no readable form")
	}
	for _, fd := range form.fields {
		if fd.name != d.name {
			continue
		}
		s, err := form.read(fd)
		if err != nil || s == nil {
			return strange("no readable signature")
		}
		if s.ByteRange != l.ByteRange() || len(s.Contents) != l.Hole() || len(bytes.Trim(s.Contents, "\x00")) > 0 {
			return strange("another signature")
		}
		return nil
	}
	return strange("no signature")
}
