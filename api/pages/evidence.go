package pages

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"codeberg.org/go-pdf/fpdf"
	"github.com/go-fonts/dejavu/dejavusans"
	"github.com/go-fonts/dejavu/dejavusansbold"
	"github.com/go-fonts/dejavu/dejavusansmono"

	"github.com/rubrica-firma/rubrica/api/receipts"
	"github.com/rubrica-firma/rubrica/audit"
)

// Measures of a sheet, in millimetres and points.
const (
	sheetMargin = 20.0
	labelWidth  = 52.0
	bodySize    = 9.5
	lineHeight  = 5.0
)

// Evidence draws what a receipt proves, in the language of the request, with the
// receipt attached to the file (ISO 32000-2, 7.11.4).
func (p *Pages) Evidence(e receipts.Evidence) ([]byte, error) {
	s := p.sheet(auditWords{p.speak(e.Request.Locale)})
	s.describe(e)
	s.pdf.AddPage()
	s.title(s.Text("evidence.title", nil))
	s.say(s.Text("evidence.lead", map[string]any{"application": e.Request.Application.Name}))
	s.row(s.Text("evidence.request", nil), e.Request.Title, false)
	s.row(s.Text("evidence.operation", nil), e.Request.ID, true)
	s.row(s.Text("evidence.signer", nil), e.Facts[1].Person, false)
	for _, document := range e.Request.Documents {
		s.row(s.Text("evidence.document", nil), document.Name, false)
		s.row(s.Text("evidence.fingerprint", nil), groups(fmt.Sprintf("%x", document.SHA256)), true)
	}
	for _, fact := range e.Facts {
		if err := s.entry(fact); err != nil {
			return nil, err
		}
	}
	s.proof(e)
	var out bytes.Buffer
	if err := s.pdf.Output(&out); err != nil {
		return nil, fmt.Errorf("drawing the evidence: %w", err)
	}
	return out.Bytes(), nil
}

// sheet is a PDF that grows downwards.
type sheet struct {
	auditWords

	pdf *fpdf.Fpdf
}

// sheet begins one. In a sandbox every page of it says so.
func (p *Pages) sheet(words auditWords) *sheet {
	organisation, notice := cmp.Or(p.brand.Organisation, p.brand.LogoText), ""
	if p.options.Sandbox {
		notice = words.Text("layout.sandbox", nil)
	}
	pdf := fpdf.New("P", "mm", "A4", "")
	s := &sheet{words, pdf}
	pdf.AddUTF8FontFromBytes("sans", "", dejavusans.TTF)
	pdf.AddUTF8FontFromBytes("sans", "B", dejavusansbold.TTF)
	pdf.AddUTF8FontFromBytes("mono", "", dejavusansmono.TTF)
	pdf.SetMargins(sheetMargin, sheetMargin, sheetMargin)
	pdf.SetAutoPageBreak(true, sheetMargin)
	pdf.SetCatalogSort(true)
	pdf.SetHeaderFunc(func() {
		s.ink(110)
		pdf.SetFont("sans", "", 8)
		pdf.CellFormat(0, lineHeight, organisation, "", 1, "L", false, 0, "")
		if notice != "" {
			pdf.SetTextColor(160, 20, 20)
			pdf.SetDrawColor(160, 20, 20)
			pdf.SetFont("sans", "B", 11)
			pdf.CellFormat(0, 2*lineHeight, notice, "1", 1, "C", false, 0, "")
		}
		pdf.Ln(2)
	})
	pdf.SetFooterFunc(func() {
		pdf.SetY(-sheetMargin + 4)
		s.ink(110)
		pdf.SetFont("sans", "", 8)
		pdf.CellFormat(0, lineHeight, strconv.Itoa(pdf.PageNo()), "", 0, "R", false, 0, "")
	})
	return s
}

func (s *sheet) describe(e receipts.Evidence) {
	s.pdf.SetTitle(s.Text("evidence.title", nil)+": "+e.Request.Title, true)
	s.pdf.SetCreator("Rúbrica", true)
	s.pdf.SetLang(s.Locale())
	// The same receipt gives the same file.
	s.pdf.SetCreationDate(e.Facts[1].At)
	s.pdf.SetModificationDate(e.Facts[1].At)
	s.pdf.SetAttachments([]fpdf.Attachment{{Content: e.File, Filename: e.FileName, Description: s.Text("evidence.attached", nil)}})
}

func (s *sheet) ink(grey int) { s.pdf.SetTextColor(grey, grey, grey) }

func (s *sheet) title(text string) {
	s.ink(20)
	s.pdf.SetFont("sans", "B", 18)
	s.pdf.MultiCell(0, 9, text, "", "L", false)
	s.pdf.Ln(2)
}

// section stays with what follows it.
func (s *sheet) section(text string) {
	_, height := s.pdf.GetPageSize()
	if s.pdf.GetY() > height-sheetMargin-35 {
		s.pdf.AddPage()
	}
	s.pdf.Ln(5)
	s.ink(20)
	s.pdf.SetFont("sans", "B", 12)
	s.pdf.MultiCell(0, 7, text, "", "L", false)
	y := s.pdf.GetY()
	width, _ := s.pdf.GetPageSize()
	s.pdf.SetDrawColor(190, 190, 190)
	s.pdf.Line(sheetMargin, y, width-sheetMargin, y)
	s.pdf.Ln(2)
}

func (s *sheet) say(text string) {
	s.ink(40)
	s.pdf.SetFont("sans", "", bodySize)
	s.pdf.MultiCell(0, lineHeight, text, "", "L", false)
	s.pdf.Ln(2)
}

// row has a label and a text; one for machines keeps its letters apart.
func (s *sheet) row(label, text string, machine bool) {
	if text == "" {
		return
	}
	_, height := s.pdf.GetPageSize()
	if s.pdf.GetY() > height-sheetMargin-2*lineHeight {
		s.pdf.AddPage()
	}
	y := s.pdf.GetY()
	s.ink(110)
	s.pdf.SetFont("sans", "", bodySize-1)
	s.pdf.MultiCell(labelWidth-3, lineHeight, label, "", "L", false)
	below, page := s.pdf.GetY(), s.pdf.PageNo()
	s.pdf.SetXY(sheetMargin+labelWidth, y)
	s.ink(20)
	s.pdf.SetFont("sans", "", bodySize)
	if machine {
		s.pdf.SetFont("mono", "", bodySize-1.5)
	}
	s.pdf.SetLeftMargin(sheetMargin + labelWidth)
	s.pdf.MultiCell(0, lineHeight, text, "", "L", false)
	s.pdf.SetLeftMargin(sheetMargin)
	if s.pdf.PageNo() == page && s.pdf.GetY() < below {
		s.pdf.SetY(below)
	}
	s.pdf.SetX(sheetMargin)
}

// entry tells one entry of the log.
func (s *sheet) entry(f audit.Fact) error {
	s.section(s.event(f.Type))
	s.row(s.Text("evidence.number", nil), strconv.FormatInt(f.Seq, 10), false)
	s.row(s.Text("evidence.time", nil), s.Instant(f.At), false)
	var payload map[string]any
	decoder := json.NewDecoder(bytes.NewReader(f.Payload))
	decoder.UseNumber()
	if err := decoder.Decode(&payload); err != nil {
		return fmt.Errorf("reading an entry: %w", err)
	}
	s.tell(s.facts(f.Type, payload), "")
	return nil
}

// tell writes facts, those within others with the label of the outer one before.
func (s *sheet) tell(facts []Fact, within string) {
	for _, fact := range facts {
		label := within + fact.Label
		s.row(label, fact.Text, fact.Code)
		s.row(label, strings.Join(fact.List, "\n"), false)
		for i, inner := range fact.Inner {
			prefix := label + " · "
			if len(fact.Inner) > 1 {
				prefix = fmt.Sprintf("%s %d · ", label, i+1)
			}
			s.tell(inner, prefix)
		}
	}
}

// proof says what the entries are proved by, and how to check it.
func (s *sheet) proof(e receipts.Evidence) {
	s.section(s.Text("evidence.proof", nil))
	s.say(s.Text("evidence.proof_text", nil))
	s.row(s.Text("evidence.origin", nil), e.Signed.Origin, true)
	s.row(s.Text("evidence.size", nil), s.number(e.Signed.Size), false)
	s.row(s.Text("evidence.root", nil), base64.StdEncoding.EncodeToString(e.Signed.Root[:]), true)
	for i, witness := range e.Signed.Witnesses {
		s.row(s.Text("evidence.witness", nil), witness+", "+s.Instant(e.Signed.Cosigned[i]), false)
	}
	if len(e.Signed.Witnesses) == 0 {
		s.row(s.Text("evidence.witness", nil), s.Text("evidence.unwitnessed", nil), false)
	}
	if !e.StampedAt.IsZero() {
		s.row(s.Text("evidence.stamped", nil), s.Instant(e.StampedAt), false)
	}
	s.section(s.Text("evidence.check", nil))
	s.say(s.Text("evidence.check_text", map[string]any{"file": e.FileName}))
	s.ink(20)
	s.pdf.SetFont("mono", "", bodySize-1)
	s.pdf.MultiCell(0, lineHeight, "rubrica audit verify "+e.FileName+" --policy policy.txt", "", "L", false)
	s.pdf.Ln(2)
	s.say(s.Text("evidence.check_policy", nil))
}
