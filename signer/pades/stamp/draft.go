package stamp

import (
	"fmt"
	"math"
	"strings"

	"rsc.io/qr"
)

// texts are the parts of a stamp, ready to be laid out.
type texts struct {
	shaper  *shaper
	missing map[rune]bool
	url     string

	organisation, signedBy, name, identifierLabel, identifier,
	time, reasonLabel, reason, csvLabel, csv, address *paragraph
}

func read(s *shaper, o Options) (*texts, error) {
	t := &texts{shaper: s, missing: map[rune]bool{}, url: clean(o.URL)}
	labels := o.Labels
	if labels == (Labels{}) {
		labels = spanish()
	}
	for _, part := range []struct {
		to         **paragraph
		name, text string
		of         string // what a label belongs to, without which it is not there
	}{
		{&t.organisation, "organisation", o.Organisation, "."},
		{&t.signedBy, "label", labels.SignedBy, o.Name},
		{&t.name, "name", o.Name, "."},
		{&t.identifierLabel, "label", labels.Identifier, o.Identifier},
		{&t.identifier, "identifier", o.Identifier, "."},
		{&t.reasonLabel, "label", labels.Reason, o.Reason},
		{&t.reason, "reason", o.Reason, "."},
		{&t.csvLabel, "label", labels.CSV, o.CSV},
		{&t.csv, "check code", o.CSV, "."},
		{&t.address, "address", o.URL, "."},
	} {
		if clean(part.of) == "" {
			part.text = ""
		}
		p, err := s.paragraph(part.text, t.missing)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", part.name, err)
		}
		*part.to = p
	}
	t.time = s.plain(strings.ReplaceAll(timeLayout, "-", "+")) // as wide as any: digits share one width, and no sign is wider
	return t, nil
}

// block has a row for each thing, under one another.
func (t *texts) block() []row {
	return present([]row{
		{cells: []cell{{text: t.organisation, scale: 0.92, grey: grey}}},
		{above: 0.35, cells: []cell{{text: t.signedBy, scale: 0.85, grey: light, label: true}}},
		{above: 0, cells: []cell{{text: t.name, scale: 1.3, grey: black}}},
		{above: 0.1, cells: []cell{
			{text: t.identifierLabel, scale: 0.92, grey: grey, label: true},
			{text: t.identifier, scale: 0.92, grey: grey, gap: 0.35, together: true},
			{text: t.time, scale: 0.92, grey: grey, gap: 0.9, fixed: true},
		}},
		{above: 0.1, cells: []cell{
			{text: t.reasonLabel, scale: 0.92, grey: light, label: true},
			{text: t.reason, scale: 0.92, grey: black, gap: 0.3},
		}},
		{above: 0.35, cells: []cell{
			{text: t.csvLabel, scale: 0.85, grey: light, label: true},
			{text: t.csv, scale: 0.85, grey: black, gap: 0.3},
		}},
		{above: 0, cells: []cell{{text: t.address, scale: 0.85, grey: grey}}},
	})
}

// strip is for long and low boxes: two paragraphs.
func (t *texts) strip() []row {
	return present([]row{
		{cells: []cell{
			{text: t.signedBy, scale: 0.92, grey: light, label: true},
			{text: t.name, scale: 1.08, grey: black, gap: 0.35, together: true},
			{text: t.identifierLabel, scale: 0.92, grey: grey, gap: 1.2, label: true},
			{text: t.identifier, scale: 0.92, grey: grey, gap: 0.35, together: true},
			{text: t.time, scale: 0.92, grey: grey, gap: 1.2, fixed: true},
			{text: t.reasonLabel, scale: 0.92, grey: light, gap: 1.2, label: true},
			{text: t.reason, scale: 0.92, grey: black, gap: 0.35},
		}},
		{above: 0.1, cells: []cell{
			{text: t.organisation, scale: 0.92, grey: grey, together: true},
			{text: t.csvLabel, scale: 0.92, grey: light, gap: 1.2, label: true},
			{text: t.csv, scale: 0.92, grey: black, gap: 0.35, together: true},
			{text: t.address, scale: 0.92, grey: grey, gap: 1.2, together: true},
		}},
	})
}

// present drops cells without text, and rows without cells.
func present(rows []row) []row {
	kept := make([]row, 0, len(rows))
	for _, r := range rows {
		cells := make([]cell, 0, len(r.cells))
		for _, c := range r.cells {
			if len(c.text.runes) > 0 {
				cells = append(cells, c)
			}
		}
		if r.cells = cells; len(cells) > 0 {
			kept = append(kept, r)
		}
	}
	return kept
}

// draft is a stamp laid out: everything has its place.
type draft struct {
	box  Box
	text area
	// left and top are where the text area is, from the upper left corner.
	left, top float64
	code      *checkCode
	// codeLeft is where the code is: on the right of a block, on the left of a strip.
	codeLeft float64
}

// Shares of the box.
const (
	codeShare  = 0.28 // the check code's of a block's width
	codeLimit  = 68.0
	blockSize  = 5.5 // plain text of this size is legible: a block is kept as it is
	blockShare = 0.8 // below, a strip is better if its text is so much larger
)

// draft lays the texts out as a block or as a strip, whichever is more legible.
func (t *texts) draft(box Box) (draft, error) {
	if !(box.Width > 0 && box.Height > 0) || math.IsInf(box.Width+box.Height, 0) {
		return draft{}, fmt.Errorf("%w: %.1f × %.1f points", ErrNoRoom, box.Width, box.Height)
	}
	inset := min(padding, box.Height/12, box.Width/12)
	height := box.Height - 2*inset
	best, found := draft{}, false
	for _, try := range []struct {
		rows    []row
		code    *checkCode
		largest float64
		leading bool // the code comes before the text
	}{
		{t.block(), t.code(min(codeShare*box.Width, codeLimit), height), largest, false},
		{t.strip(), t.code(min(codeShare*box.Width, codeLimit), height), discreet, true},
		{t.block(), nil, largest, false},
		{t.strip(), nil, discreet, true},
	} {
		if found && (try.code == nil || best.text.size >= blockSize) {
			break // a code is left out only where the text would not fit beside it
		}
		a, ok := t.shaper.fit(try.rows, textWidth(box.Width, try.code), height, try.largest)
		if ok && (!found || a.size*blockShare > best.text.size) {
			best, found = draft{box: box, text: a, code: try.code, left: textLeft(box.Width)}, true
			best.codeLeft = box.Width - min(padding, box.Width/12) - try.code.side()
			if try.leading && try.code != nil {
				best.codeLeft = best.left
				best.left += try.code.side() + gutter
			}
		}
	}
	if !found {
		return draft{}, fmt.Errorf("%w: %.1f × %.1f points", ErrNoRoom, box.Width, box.Height)
	}
	best.top = (box.Height - best.text.height) / 2
	return best, nil
}

// textLeft is where the text starts in a box, behind the rule.
func textLeft(width float64) float64 { return min(bar+gutter, width/20) }

// textWidth is what rule and check code leave of a box's width.
func textWidth(width float64, code *checkCode) float64 {
	rest := width - textLeft(width) - min(padding, width/12)
	if code != nil {
		rest -= code.side() + gutter
	}
	return rest
}

// checkCode is a QR code with the size of its modules in points.
type checkCode struct {
	*qr.Code
	module float64
}

// Module sizes: cameras read a quarter of a millimetre in print; more than half
// a millimetre only takes room.
const (
	smallestModule = 0.25 * 72 / 25.4
	largestModule  = 0.55 * 72 / 25.4
)

// side is the length of the code's side, without quiet zone; nothing has none.
func (c *checkCode) side() float64 {
	if c == nil {
		return 0
	}
	return float64(c.Size) * c.module
}

// code is the check code of the address, if it can be read at this size.
func (t *texts) code(width, height float64) *checkCode {
	if t.url == "" {
		return nil
	}
	for _, level := range []qr.Level{qr.M, qr.L} {
		code, err := qr.Encode(t.url, level)
		if err != nil {
			continue // longer than this level takes
		}
		module := min(min(width, height)/float64(code.Size), largestModule)
		if module = math.Floor(module*1000) / 1000; module >= smallestModule {
			return &checkCode{code, module}
		}
	}
	return nil
}
