package pages

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"html/template"
	"strings"

	"github.com/rubrica-firma/rubrica/signer/verify"
)

//go:embed report.html
var reportHTML string

//go:embed report.css
var reportCSS string

// VerificationReport is a validation as people read it: one verdict on top, what
// it rests on beneath.
type VerificationReport struct {
	Title    string
	Lang     string
	Verdict  string
	Mood     string // good, bad or open
	Advice   string
	Rows     []ReportRow
	Sections []ReportSection
}

// ReportSection is about one signature or time-stamp.
type ReportSection struct {
	Title   string
	Verdict string
	Mood    string
	Rows    []ReportRow
}

// ReportRow is a fact. One for machines keeps its letters apart.
type ReportRow struct {
	Label, Text string
	Machine     bool
}

// ReportHTML draws a validation as a page that stands by itself, and says which
// Content-Security-Policy lets it have its one stylesheet.
func (p *Pages) ReportHTML(locale string, r *verify.Report) (page []byte, policy string, err error) {
	parsed, err := template.New("report").Parse(reportHTML)
	if err != nil {
		return nil, "", fmt.Errorf("parsing the report's page: %w", err)
	}
	words, notice := auditWords{p.speak(locale)}, ""
	if p.options.Sandbox {
		notice = words.Text("layout.sandbox", nil)
	}
	var out bytes.Buffer
	err = parsed.Execute(&out, map[string]any{
		"Sandbox": notice,
		"Report":  reportWords{words}.report(r),
		"Style":   template.CSS(reportCSS), //nolint:gosec // ours, compiled in
		"By":      cmp.Or(p.brand.Organisation, p.brand.LogoText),
	})
	if err != nil {
		return nil, "", fmt.Errorf("drawing a report: %w", err)
	}
	sum := sha256.Sum256([]byte(reportCSS))
	policy = "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
	return out.Bytes(), policy, nil
}

// ReportPDF draws the same on paper.
func (p *Pages) ReportPDF(locale string, r *verify.Report) ([]byte, error) {
	words := auditWords{p.speak(locale)}
	view := reportWords{words}.report(r)
	s := p.sheet(words)
	s.pdf.SetTitle(view.Title+": "+r.Name, true)
	s.pdf.SetCreator("Rúbrica", true)
	s.pdf.SetLang(s.Locale())
	s.pdf.SetCreationDate(r.Time)
	s.pdf.SetModificationDate(r.Time)
	s.pdf.AddPage()
	s.title(view.Verdict)
	s.say(view.Advice)
	s.reportRows(view.Rows)
	for _, section := range view.Sections {
		s.section(section.Title)
		s.say(section.Verdict)
		s.reportRows(section.Rows)
	}
	var out bytes.Buffer
	if err := s.pdf.Output(&out); err != nil {
		return nil, fmt.Errorf("drawing a report: %w", err)
	}
	return out.Bytes(), nil
}

func (s *sheet) reportRows(rows []ReportRow) {
	for _, row := range rows {
		s.row(row.Label, row.Text, row.Machine)
	}
}

// reportWords tell a validation.
type reportWords struct{ auditWords }

func (w reportWords) report(r *verify.Report) VerificationReport {
	v := VerificationReport{Title: w.say("title"), Lang: w.Locale(), Verdict: w.verdict(r), Mood: mood(r.Conclusion, len(r.Signatures))}
	v.Advice = w.say("advice_" + v.Mood)
	v.Rows = told(
		ReportRow{Label: w.say("document"), Text: visible(r.Name)},
		ReportRow{Label: w.say("format"), Text: strings.ToUpper(r.Format) + ", " + w.Size(r.Size)},
		ReportRow{Label: w.say("time"), Text: w.Instant(r.Time)},
		ReportRow{Label: w.say("algorithms"), Text: r.Algorithms},
	)
	for _, warning := range r.Warnings {
		v.Rows = append(v.Rows, ReportRow{Label: w.say("warning"), Text: visible(warning)})
	}
	for _, s := range r.Signatures {
		v.Sections = append(v.Sections, w.signature(s))
	}
	for _, t := range r.TimeStamps {
		v.Sections = append(v.Sections, w.stamp(t))
	}
	return v
}

func (w reportWords) say(id string) string { return w.Text("report."+id, nil) }

// verdict answers the question in one sentence.
func (w reportWords) verdict(r *verify.Report) string {
	switch {
	case len(r.Signatures) == 0:
		return w.say("unsigned")
	case r.Indication == verify.Passed:
		return w.Text("report.passed", map[string]any{"count": len(r.Signatures)})
	case r.Indication == verify.Failed:
		return w.say("failed")
	default:
		return w.say("indeterminate")
	}
}

func mood(c verify.Conclusion, signatures int) string {
	switch {
	case signatures == 0:
		return "unsigned"
	case c.Indication == verify.Passed:
		return "good"
	case c.Indication == verify.Failed:
		return "bad"
	default:
		return "open"
	}
}

func (w reportWords) signature(s *verify.Signature) ReportSection {
	out := ReportSection{
		Title: w.Text("report.signature", map[string]any{"number": s.Number}), Verdict: w.conclusion(s.Conclusion), Mood: mood(s.Conclusion, 1),
	}
	if s.Signer != nil {
		out.Rows = append(out.Rows, ReportRow{Label: w.say("signer"), Text: visible(strings.TrimSpace(s.Signer.Name + " " + s.Signer.Identifier))},
			ReportRow{Label: w.say("organisation"), Text: visible(s.Signer.Organisation)})
	}
	out.Rows = append(out.Rows, w.why(s.Conclusion)...)
	level := string(s.Level)
	if level == "" {
		level = w.say("no_level")
	}
	out.Rows = append(out.Rows, ReportRow{Label: w.say("level"), Text: s.Format + ", " + level})
	if !s.ClaimedTime.IsZero() {
		out.Rows = append(out.Rows, ReportRow{Label: w.say("claimed"), Text: w.Instant(s.ClaimedTime)})
	}
	if s.Proved {
		out.Rows = append(out.Rows, ReportRow{Label: w.say("proved"), Text: w.Instant(s.BestTime)})
	}
	out.Rows = append(out.Rows, ReportRow{Label: w.say("algorithm"), Text: s.Algorithm.String()}, ReportRow{Label: w.say("policy"), Text: s.Policy, Machine: true})
	if s.PDF != nil {
		out.Rows = append(out.Rows, w.placement(s.PDF)...)
	}
	out.Rows = append(out.Rows, w.chain(s.Chain)...)
	for _, t := range s.TimeStamps {
		inner := w.stamp(t)
		out.Rows = append(out.Rows, ReportRow{Label: inner.Title, Text: inner.Verdict})
		out.Rows = append(out.Rows, inner.Rows...)
	}
	for _, warning := range s.Warnings {
		out.Rows = append(out.Rows, ReportRow{Label: w.say("warning"), Text: visible(warning)})
	}
	out.Rows = told(out.Rows...)
	return out
}

// conclusion is the norm's words and what they mean.
func (w reportWords) conclusion(c verify.Conclusion) string {
	return w.say("is_" + mood(c, 1))
}

// why is for those who want to know: table 5 and 6 of EN 319 102-1.
func (w reportWords) why(c verify.Conclusion) []ReportRow {
	code := string(c.Indication)
	if c.SubIndication != "" {
		code += " / " + string(c.SubIndication)
	}
	out := []ReportRow{{Label: w.say("indication"), Text: code, Machine: true}}
	if c.SubIndication != "" {
		out = append(out, ReportRow{Label: w.say("meaning"), Text: w.say("sub." + string(c.SubIndication))}, ReportRow{Label: w.say("detail"), Text: visible(c.Reason)})
	}
	return out
}

func (w reportWords) placement(p *verify.Placement) []ReportRow {
	out := []ReportRow{
		{Label: w.say("reason"), Text: visible(p.Reason)},
		{Label: w.say("place"), Text: visible(p.Location)},
		{Label: w.say("revision"), Text: w.Text("report.revision_of", map[string]any{"number": p.Revision, "all": p.Revisions})},
	}
	if p.Certifies {
		out = append(out, ReportRow{Label: w.say("certifies"), Text: w.say(fmt.Sprintf("certifies_%d", min(max(p.Permission, 1), 3)))})
	}
	for _, c := range p.Changes {
		what := w.say("change." + c.What)
		if c.Where != "" {
			what += " (" + visible(c.Where) + ")"
		}
		out = append(out, ReportRow{Label: w.say("changed_" + c.Judgement), Text: what})
	}
	return out
}

func (w reportWords) stamp(t *verify.TimeStamp) ReportSection {
	out := ReportSection{Title: w.say("stamp_" + strings.ReplaceAll(t.Kind, "-", "_")), Verdict: w.say("stamp_" + mood(t.Conclusion, 1)), Mood: mood(t.Conclusion, 1)}
	if !t.Time.IsZero() {
		out.Rows = append(out.Rows, ReportRow{Label: w.say("stamped"), Text: w.Instant(t.Time)})
	}
	if t.Authority != nil {
		out.Rows = append(out.Rows, ReportRow{Label: w.say("authority"), Text: visible(t.Authority.Name)})
	}
	out.Rows = append(out.Rows, w.why(t.Conclusion)...)
	out.Rows = told(out.Rows...)
	return out
}

func (w reportWords) chain(chain []verify.Certificate) []ReportRow {
	var out []ReportRow
	for i, c := range chain {
		label := w.say("certificate")
		if i > 0 {
			label = w.say("issuer")
		}
		text := visible(c.Subject) + "\n" + w.Text("report.valid", map[string]any{"from": w.Day(c.NotBefore), "until": w.Day(c.NotAfter)})
		switch {
		case c.Anchor:
			text += "\n" + w.say("anchor")
		case c.Revocation != nil:
			text += "\n" + w.status(c.Revocation)
		}
		out = append(out, ReportRow{Label: label, Text: text})
		if i == 0 {
			if sum, err := hex.DecodeString(c.SHA256); err == nil {
				out = append(out, ReportRow{Label: w.say("fingerprint"), Text: groups(hex.EncodeToString(sum)), Machine: true})
			}
		}
	}
	return out
}

func (w reportWords) status(r *verify.Revocation) string {
	source := strings.ToUpper(r.Source)
	if r.Status == verify.StatusGood {
		return w.Text("report.status_good", map[string]any{"source": source, "time": w.Instant(r.ThisUpdate)})
	}
	return w.Text("report.status_"+string(r.Status), map[string]any{"source": source, "time": w.Instant(r.RevokedAt)})
}

// told leaves out what says nothing.
func told(all ...ReportRow) []ReportRow {
	var kept []ReportRow
	for _, row := range all {
		if strings.TrimSpace(row.Text) != "" {
			kept = append(kept, row)
		}
	}
	return kept
}

// visible is a stranger's text with nothing in it that turns other text around
// or hides it.
func visible(s string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c < ' ' || c >= 0x7f && c < 0xa0, c >= 0x200b && c <= 0x200f, c >= 0x2028 && c <= 0x202e, c >= 0x2060 && c <= 0x2069, c == 0xfeff:
			return '·'
		}
		return c
	}, s)
}
