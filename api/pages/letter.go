package pages

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json/v2"
	"errors"
	"fmt"
	"time"

	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
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

// LetterPrinter draws invitation letters, in the registrar's process. What goes
// on the paper is what the signer has answered, which has checked the seal of
// it; the CSV passes through here alone, and is kept nowhere.
type LetterPrinter struct {
	Pages *Pages
	// Waiting are the letters that can be printed.
	Waiting func(ctx context.Context) ([]citizen.Waiting, error)
	// Sign signs for the office, and Perform has it done.
	Sign    func(wanted any) (citizen.Act, error)
	Perform func(ctx context.Context, a citizen.Act) (citizen.Receipt, error)
	// ServiceURL is the public address of the service.
	ServiceURL string
	Now        func() time.Time
}

// printLetter are the members of the act that prints a letter.
type printLetter struct {
	Act        citizen.ActKind `json:"act"`
	Officer    string          `json:"officer"`
	Identifier string          `json:"identifier"`
	Subject    string          `json:"subject"`
}

// Print gives one PDF of the letters with these ids, a sheet each. Those that
// were drawn come out even if one could not be: their codes exist nowhere else.
func (l *LetterPrinter) Print(ctx context.Context, officer string, ids []string) ([]byte, int, error) {
	waiting, err := l.Waiting(ctx)
	if err != nil {
		return nil, 0, err
	}
	whose := make(map[string]string, len(waiting))
	for _, w := range waiting {
		whose[w.ID] = w.Identifier
	}
	var (
		letters  []citizen.PrintableLetter
		failures []error
	)
	for _, id := range ids {
		letter, err := l.print(ctx, printLetter{Act: citizen.ActPrintLetter, Officer: officer, Identifier: whose[id], Subject: id})
		if err != nil {
			failures = append(failures, err)
			continue
		}
		letters = append(letters, letter)
	}
	if len(letters) == 0 {
		return nil, 0, errors.Join(append(failures, policies.Refuse(policies.NotFound))...)
	}
	pdf, err := l.Pages.Letters(letters, l.ServiceURL, l.Now())
	return pdf, len(letters), err
}

func (l *LetterPrinter) print(ctx context.Context, wanted printLetter) (letter citizen.PrintableLetter, err error) {
	if wanted.Identifier == "" {
		return letter, policies.Refuse(policies.NotFound)
	}
	act, err := l.Sign(wanted)
	if err != nil {
		return letter, err
	}
	receipt, err := l.Perform(ctx, act)
	if err != nil {
		return letter, err
	}
	if err := json.Unmarshal([]byte(receipt.Code), &letter); err != nil {
		return letter, errors.New("the signer has answered with no letter") // its text may be in the error
	}
	return letter, nil
}

// Letters draws letters, in the language that all of them are written in.
func (p *Pages) Letters(letters []citizen.PrintableLetter, serviceURL string, at time.Time) ([]byte, error) {
	s := newSheet(auditWords{p.speak("")}, cmp.Or(p.brand.Organisation, p.brand.LogoText))
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
