// Package stamp draws the visible part of a signature: who signed, when, why,
// and where to check it, as a form XObject for the widget's appearance.
//
// It promises that everything stays inside the box, that the text can be
// copied and searched, that the result is allowed in PDF/A-1 to PDF/A-4, and that the same
// options give the same octets. The claimed time stands at a Slot, where it can
// be overwritten after layout.
//
// Of the text nothing is cut off: a text that cannot be shown legibly is an error.
// The check code is left out where it would be too small for a camera.
package stamp

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

var (
	// ErrTooLong is about a text that no stamp would show legibly.
	ErrTooLong = errors.New("the text is too long for a stamp")
	// ErrNoRoom is about a box that is too small for its text.
	ErrNoRoom = errors.New("the stamp is too small for its text")
)

// Options are what a stamp says and where. Empty texts are left out.
type Options struct {
	// Page is from 1, or from the end: -1 is the last page.
	Page  int   `json:"page"`
	Place Place `json:"place"`
	// Rect is for FreeRect, in points from the lower left corner of the page as it is shown: left,
	// lower, right, upper.
	Rect [4]float64 `json:"rect,omitzero"`

	Organisation string `json:"organisation,omitempty"`
	Name         string `json:"name,omitempty"`
	// Identifier is masked already: ***4567**.
	Identifier string `json:"identifier,omitempty"`
	Reason     string `json:"reason,omitempty"`
	// CSV is the secure verification code.
	CSV string `json:"csv,omitempty"`
	// URL is where the document can be checked, also in the check code (QR).
	URL  string    `json:"url,omitempty"`
	Time time.Time `json:"time"`

	Labels Labels `json:"labels,omitzero"`
}

// Labels are the words of a stamp that are not about its signature. The zero
// value means Spanish.
type Labels struct {
	SignedBy   string `json:"signed_by"`
	Identifier string `json:"identifier"`
	Reason     string `json:"reason"`
	CSV        string `json:"csv"`
}

// spanish are the words where the caller has none of their own.
func spanish() Labels {
	return Labels{SignedBy: "Firmado por", Identifier: "DNI/NIE", Reason: "Motivo:", CSV: "CSV:"}
}

// Appearance is a stamp, drawn.
type Appearance struct {
	// Box is its size.
	Box Box
	// Content is the content stream, to be stored without a filter: the slots'
	// offsets are in it.
	Content []byte
	// Slots are where the claimed time is.
	Slots []Slot
	// Missing are the characters that the typeface lacks. A replacement
	// character is drawn for each; copied text has the character itself.
	Missing []rune
	// Coded says whether the check code is there.
	Coded bool

	subset *subset
}

// New draws a stamp to fill a box.
func New(o Options, box Box) (*Appearance, error) {
	face, err := loadTypeface()
	if err != nil {
		return nil, err
	}
	t, err := read(face.shaper(), o)
	if err != nil {
		return nil, err
	}
	d, err := t.draft(box)
	if err != nil {
		return nil, err
	}
	a := &Appearance{
		Box: box, Missing: slices.Sorted(maps.Keys(t.missing)), Coded: d.code != nil, subset: newSubset(face),
	}
	if err := a.draw(d, o.Time); err != nil {
		return nil, err
	}
	return a, nil
}

// naturalHeight is how high a stamp is that has its usual size at some width.
func naturalHeight(o Options, width float64) (float64, error) {
	face, err := loadTypeface()
	if err != nil {
		return 0, err
	}
	t, err := read(face.shaper(), o)
	if err != nil {
		return 0, err
	}
	code := t.code(codeShare*width, cornerSize*8)
	a, ok := t.shaper.fit(t.block(), textWidth(width, code), 1e5, cornerSize)
	if !ok {
		return 0, fmt.Errorf("%w: %.0f points wide", ErrNoRoom, width)
	}
	return max(a.height, code.side()) + 2*padding, nil
}
