package verify

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// WriteText writes the report for people: each verdict in Spanish and by the
// norm's words, what it rests on beneath.
func (r *Report) WriteText(w io.Writer) error {
	t := &text{}
	t.line(0, "%s  %s, %d octets", r.Name, strings.ToUpper(r.Format), r.Size)
	t.line(0, "validated as of %s, algorithms by %s", stamp(r.Time), r.Algorithms)
	t.line(0, "%s", sentence(r.Conclusion, len(r.Signatures)))
	t.conclusion(0, r.Conclusion)
	for _, s := range r.Signatures {
		t.signature(s)
	}
	for _, s := range r.TimeStamps {
		t.line(0, "")
		t.timeStamp(0, s)
	}
	if len(r.Warnings) > 0 {
		t.line(0, "")
	}
	for _, warning := range r.Warnings {
		t.line(0, "warning: %s", warning)
	}
	if _, err := io.WriteString(w, strings.Join(t.lines, "")); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}

// sentence is the sentence that answers the question.
func sentence(c Conclusion, signatures int) string {
	switch {
	case signatures == 0:
		return "El documento no está firmado."
	case c.Indication == Passed && signatures == 1:
		return "La firma es válida."
	case c.Indication == Passed:
		return fmt.Sprintf("Las %d firmas son válidas.", signatures)
	case c.Indication == Failed:
		return "El documento tiene alguna firma que NO es válida."
	default:
		return "No se puede afirmar que todas las firmas sean válidas."
	}
}

type text struct{ lines []string }

// line writes one line. What comes from the document is kept from playing tricks
// on a terminal.
func (t *text) line(depth int, format string, args ...any) {
	line := strings.Map(func(c rune) rune {
		if c < ' ' || c >= 0x7f && c < 0xa0 || c >= 0x200e && c <= 0x200f || c >= 0x2028 && c <= 0x202e || c >= 0x2066 && c <= 0x2069 {
			return '·'
		}
		return c
	}, fmt.Sprintf(format, args...))
	t.lines = append(t.lines, strings.TrimRight(strings.Repeat("  ", depth)+line, " ")+"\n")
}

func (t *text) conclusion(depth int, c Conclusion) {
	if c.Indication == Passed {
		t.line(depth, "%s", c.Indication)
		return
	}
	t.line(depth, "%s %s: %s", c.Indication, c.SubIndication, c.Reason)
}

func (t *text) signature(s *Signature) {
	t.line(0, "")
	who := "signer unknown"
	if s.Signer != nil {
		who = strings.TrimSpace(s.Signer.Name + " " + s.Signer.Identifier)
	}
	t.line(0, "Signature %d: %s", s.Number, who)
	t.conclusion(1, s.Conclusion)
	t.line(1, "format   %s, level %s%s", s.Format, or(string(s.Level), "none"), structure(s))
	if !s.ClaimedTime.IsZero() {
		t.line(1, "claimed  %s", stamp(s.ClaimedTime))
	}
	if s.Proved {
		t.line(1, "proved   existed at %s", stamp(s.BestTime))
	}
	t.line(1, "signed   %s", s.Algorithm)
	if s.Policy != "" {
		t.line(1, "policy   %s", s.Policy)
	}
	if p := s.PDF; p != nil {
		t.line(1, "field    %q, revision %d of %d", p.Field, p.Revision, p.Revisions)
		if p.Certifies {
			t.line(1, "         certifies the document, permits changes of level %d", p.Permission)
		}
		for _, c := range p.Changes {
			t.line(1, "changed  %s: %s %s", c.Judgement, c.What, c.Where)
		}
	}
	t.chain(1, s.Chain)
	for _, stamp := range s.TimeStamps {
		t.timeStamp(1, stamp)
	}
	for _, c := range s.CounterSignatures {
		t.line(1, "counter-signature %d: %s", c.Number, c.Algorithm)
		t.conclusion(2, c.Conclusion)
		t.chain(2, c.Chain)
	}
	for _, warning := range s.Warnings {
		t.line(1, "warning: %s", warning)
	}
}

func structure(s *Signature) string {
	if s.Structure == s.Level {
		return ""
	}
	return " (it looks like " + or(string(s.Structure), "none") + ")"
}

func (t *text) timeStamp(depth int, s *TimeStamp) {
	by := ""
	if s.Authority != nil {
		by = " by " + s.Authority.Name
	}
	t.line(depth, "%s%s%s", s.Kind, by, when(" of ", s.Time))
	t.conclusion(depth+1, s.Conclusion)
	t.chain(depth+1, s.Chain)
}

func (t *text) chain(depth int, chain []Certificate) {
	for i, c := range chain {
		mark := "path    "
		if i > 0 {
			mark = "        "
		}
		t.line(depth, "%s %s, until %s%s", mark, c.Subject, stamp(c.NotAfter), standing(c))
	}
}

func standing(c Certificate) string {
	if c.Anchor {
		return ", trusted"
	}
	r := c.Revocation
	if r == nil {
		return ", revocation unknown"
	}
	said := fmt.Sprintf(" (%s of %s, from the %s)", r.Source, stamp(r.ThisUpdate), r.Origin)
	if r.Status == StatusGood {
		return ", not revoked" + said
	}
	return fmt.Sprintf(", %s at %s, %s%s", r.Status, stamp(r.RevokedAt), r.Reason, said)
}

// String names an algorithm.
func (a Algorithm) String() string {
	return strings.TrimSpace(fmt.Sprintf("%s %s, %s %d", a.Scheme, a.Digest, a.Key, a.Bits))
}

func or(s, absent string) string {
	if s == "" {
		return absent
	}
	return s
}

func when(before string, t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return before + stamp(t)
}
