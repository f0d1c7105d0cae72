package pages

import (
	"bytes"
	"fmt"
	"time"
)

// ReceiptKind is what a receipt is of.
type ReceiptKind string

// The receipts that citizens take home.
const (
	ReceiptRegistered ReceiptKind = "registered"
	ReceiptRenewed    ReceiptKind = "renewed"
	ReceiptActivation ReceiptKind = "activation" // a new activation code
)

// RegistrationReceipt is what a citizen takes home from an office, or from a
// renewal on line. What is empty is not told.
type RegistrationReceipt struct {
	Kind           ReceiptKind
	Name           string
	Identifier     string
	Phone          string
	Email          string
	DocumentUntil  time.Time
	Mode           string
	Level          string
	AssuredAt      time.Time
	Office         string
	Officer        string
	IssuedAt       time.Time
	ActivationCode string // in groups; a secret, on paper alone
	ServiceURL     string
}

// ActivateURL is where the code is used.
func (r RegistrationReceipt) ActivateURL() string { return r.ServiceURL + "/activar" }

// Receipt draws a receipt as a sheet of paper, in a language.
func (p *Pages) Receipt(locale string, r RegistrationReceipt) ([]byte, error) {
	s := p.sheet(auditWords{p.speak(locale)})
	kind := "receipt." + string(r.Kind)
	s.pdf.SetTitle(s.Text(kind+".title", nil), true)
	s.pdf.SetCreator("Rúbrica", true)
	s.pdf.SetLang(s.Locale())
	s.pdf.SetCreationDate(r.IssuedAt)
	s.pdf.SetModificationDate(r.IssuedAt)
	s.pdf.AddPage()
	s.title(s.Text(kind+".title", nil))
	s.say(s.Text(kind+".lead", nil))
	s.registration(r)
	if r.ActivationCode != "" {
		s.activation(r)
	}
	var out bytes.Buffer
	if err := s.pdf.Output(&out); err != nil {
		return nil, fmt.Errorf("drawing a receipt: %w", err)
	}
	return out.Bytes(), nil
}

// registration tells who was registered, how and by whom.
func (s *sheet) registration(r RegistrationReceipt) {
	day := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return s.Day(t)
	}
	s.row(s.Text("receipt.name", nil), r.Name, false)
	s.row(s.Text("receipt.identifier", nil), r.Identifier, false)
	s.row(s.Text("receipt.document_until", nil), day(r.DocumentUntil), false)
	s.row(s.Text("receipt.phone", nil), digits(r.Phone), false)
	s.row(s.Text("receipt.email", nil), r.Email, false)
	if r.Mode != "" && r.Kind != ReceiptActivation {
		s.row(s.Text("receipt.mode", nil), s.Text("receipt.mode_"+r.Mode, nil), false)
		s.row(s.Text("receipt.level", nil), s.Text("receipt.level_"+r.Level, nil), false)
		s.row(s.Text("receipt.assured_at", nil), s.Instant(r.AssuredAt), false)
	}
	s.row(s.Text("receipt.office", nil), r.Office, false)
	s.row(s.Text("receipt.officer", nil), r.Officer, false)
	s.row(s.Text("receipt.issued_at", nil), s.Instant(r.IssuedAt), false)
}

// activation prints the code large, and what to do with it.
func (s *sheet) activation(r RegistrationReceipt) {
	s.section(s.Text("receipt.code", nil))
	s.pdf.Ln(3)
	s.ink(0)
	s.pdf.SetFont("mono", "", 22)
	s.pdf.SetDrawColor(120, 120, 120)
	s.pdf.CellFormat(0, 18, r.ActivationCode, "1", 1, "C", false, 0, "")
	s.pdf.Ln(4)
	s.say(s.Text("receipt.code_secret", nil))
	s.section(s.Text("receipt.steps", nil))
	s.say("1. " + s.Text("receipt.step_1", map[string]any{"url": r.ActivateURL()}))
	s.say("2. " + s.Text("receipt.step_2", nil))
	s.say("3. " + s.Text("receipt.step_3", nil))
}
