package pades

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"
	"unicode/utf16"

	"github.com/rubrica-firma/rubrica/policies"
)

const (
	// DefaultHole has room for an RSA-4096 signature, a chain of three
	// certificates and, later, a signature time-stamp with its own chain.
	DefaultHole = 16 << 10
	maxHole     = 1 << 20
	maxText     = 512
)

// Options are what the signature dictionary says besides the signature.
type Options struct {
	// Name, Reason and Location are shown by PDF viewers; may be empty.
	Name     string `json:"name,omitempty"`
	Reason   string `json:"reason,omitempty"`
	Location string `json:"location,omitempty"`
	// Hole is the least number of octets to keep for the CMS; 0 means DefaultHole.
	Hole int `json:"hole,omitempty"`
	// Time is the claimed time until Layout.FixTime sets it anew.
	Time time.Time `json:"time"`
}

// Prepared is a document with an empty signature.
type Prepared struct {
	// Content begins with the original document, octet by octet.
	Content    []byte
	Layout     Layout
	Inspection *Inspection
}

// Prepare appends an empty, invisible approval signature to a PDF, or answers
// with a *policies.Refusal. The same input gives the same output.
//
// What pdfsign wrote is taken apart and read again before it is handed out:
// the document's objects are where they were, the catalogue lost nothing, and
// the new signature is what a reader finds.
func Prepare(content []byte, o Options) (*Prepared, error) {
	if o.Hole == 0 {
		o.Hole = DefaultHole
	}
	if o.Hole < 0 || o.Hole > maxHole || max(len(o.Name), len(o.Reason), len(o.Location)) > maxText {
		return nil, fmt.Errorf("preparing a PDF: hole or texts out of bounds")
	}
	before, err := Inspect(content)
	if err != nil {
		return nil, err
	}
	d := &draft{before: before, options: o, original: len(content)}
	if err := d.write(content); err != nil {
		return nil, err
	}
	if err := d.checkAgain(); err != nil {
		return nil, err
	}
	return &Prepared{Content: d.content, Layout: d.layout, Inspection: before}, nil
}

// unsupported is the answer to every surprise: rather no signature than one
// that readers understand differently.
func unsupported(reason string) error { return refuse(policies.DocumentUnsupported, reason) }

// textString writes a text string in hexadecimal UTF-16BE (ISO 32000-2, 7.9.2.2):
// the one form in which no character of a name can end the string.
func textString(s string) []byte {
	b := []byte("\xfe\xff")
	for _, unit := range utf16.Encode([]rune(s)) {
		b = binary.BigEndian.AppendUint16(b, unit)
	}
	return appendObject(nil, text(b))
}

// fieldName is a name that no field of the form has, and of one length.
func (i *Inspection) fieldName() (string, error) {
	for n := i.Signatures + 1; n < 1000; n++ {
		candidate := fmt.Sprintf("Rubrica-%03d", n)
		if !i.names["."+candidate] {
			return candidate, nil
		}
	}
	return "", refuse(policies.DocumentTooComplex, "too many signatures")
}

// once finds the only occurrence of a mark.
func once(b []byte, mark string) (int, error) {
	at := bytes.Index(b, []byte(mark))
	if at < 0 || bytes.Contains(b[at+1:], []byte(mark)) {
		return 0, unsupported("the update is not as expected")
	}
	return at, nil
}
