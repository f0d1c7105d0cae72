package pages

import (
	"bytes"
	"fmt"
	"time"

	"github.com/rubrica-firma/rubrica/citizen"
)

// The window of an envelope (220 mm by 110 mm, window at the right, as the
// Spanish post asks for machine sorting), and where the sheet is folded, in
// millimetres.
const (
	windowLeft  = 110.0
	windowTop   = 47.0
	windowWidth = 80.0
	letterFold  = 297.0 / 3
)

// Letters draws invitation letters, a sheet each, in the language that all of
// them are written in. The codes are kept nowhere else.
func (p *Pages) Letters(letters []citizen.PrintableLetter, serviceURL string, at time.Time) ([]byte, error) {
	s := p.sheet(auditWords{p.speak("")})
	s.pdf.SetTitle(s.Text("invitation.title", nil), true)
	s.pdf.SetCreator("Rúbrica", true)
	s.pdf.SetLang(s.Locale())
	s.pdf.SetCreationDate(at)
	s.pdf.SetModificationDate(at)
	for _, l := range letters {
		if err := s.letter(l, serviceURL, at); err != nil {
			return nil, err
		}
	}
	var out bytes.Buffer
	if err := s.pdf.Output(&out); err != nil {
		return nil, fmt.Errorf("drawing letters: %w", err)
	}
	return out.Bytes(), nil
}

func (s *sheet) letter(l citizen.PrintableLetter, serviceURL string, at time.Time) error {
	until, err := time.Parse(time.DateOnly, l.Until)
	if err != nil {
		return fmt.Errorf("reading until when a letter holds: %w", err)
	}
	s.pdf.AddPage()
	s.pdf.SetDrawColor(190, 190, 190)
	for fold := letterFold; fold < 3*letterFold-1; fold += letterFold {
		s.pdf.Line(4, fold, 9, fold)
	}
	s.address(l.Recipient)
	s.pdf.SetXY(sheetMargin, letterFold+6)
	s.ink(110)
	s.pdf.SetFont("sans", "", bodySize)
	s.pdf.CellFormat(0, lineHeight, s.Day(at), "", 1, "R", false, 0, "")
	s.pdf.Ln(2)
	s.title(s.Text("invitation.title", nil))
	s.say(s.Text("invitation.lead", map[string]any{"name": l.Recipient.GivenName, "identifier": l.Masked}))
	s.section(s.Text("invitation.code", nil))
	s.pdf.Ln(3)
	s.ink(0)
	s.pdf.SetFont("mono", "", 22)
	s.pdf.SetDrawColor(120, 120, 120)
	s.pdf.CellFormat(0, 16, l.Grouped(), "1", 1, "C", false, 0, "")
	s.pdf.Ln(3)
	s.say(s.Text("invitation.until", map[string]any{"day": s.Day(until)}))
	s.section(s.Text("invitation.steps", nil))
	s.say("1. " + s.Text("invitation.step_1", map[string]any{"url": serviceURL + letterCodePath}))
	s.say("2. " + s.Text("invitation.step_2", nil))
	s.say("3. " + s.Text("invitation.step_3", nil))
	s.say(s.Text("invitation.level", nil))
	s.say(s.Text("invitation.stranger", nil))
	return nil
}

// address stands in the window of the envelope.
func (s *sheet) address(to citizen.Recipient) {
	lines := append([]string{to.GivenName + " " + to.Surnames}, to.Address.Lines...)
	lines = append(lines, to.Address.PostalCode+" "+to.Address.Town)
	if to.Address.Province != "" && to.Address.Province != to.Address.Town {
		lines = append(lines, to.Address.Province)
	}
	s.ink(0)
	s.pdf.SetFont("sans", "", 10)
	s.pdf.SetXY(windowLeft, windowTop)
	for _, line := range lines {
		s.pdf.SetX(windowLeft)
		s.pdf.CellFormat(windowWidth, lineHeight, line, "", 2, "L", false, 0, "")
	}
}
