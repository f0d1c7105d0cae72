package check

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// WriteText writes the report for people: the answer in Spanish, and what it
// rests on beneath.
func (r *Report) WriteText(w io.Writer) error {
	t := &text{}
	t.line(0, "%s", r.sentence())
	t.line(0, "%s  %s", r.Name, r.Kind)
	if f := r.Fault; f != nil {
		t.line(0, "wrong    %s", f.Reason)
		t.line(0, "first    %s", f.place())
	}
	for _, doubt := range r.Doubts {
		t.line(0, "doubt    %s", doubt)
	}
	t.checkpoint(r)
	for _, f := range r.Facts {
		t.fact(f)
	}
	t.line(0, "")
	for _, checked := range r.Checked {
		t.line(0, "checked  %s", checked)
	}
	e := r.Entries
	if r.Kind == Log { // which has leaves only
		t.line(0, "entries  %d", e.Checked)
	} else {
		t.line(0, "entries  %d: %d opened, %d erased, %d shown without their payload", e.Checked, e.Opened, e.Erased, e.Sealed)
	}
	for _, note := range r.Notes {
		t.line(0, "note     %s", note)
	}
	if _, err := io.WriteString(w, strings.Join(t.lines, "")); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}

// place is where the fault is.
func (f *Fault) place() string {
	switch {
	case f.Index < 0:
		return "in no entry"
	case f.Until <= f.Index+1:
		return fmt.Sprintf("entry %d", f.Index)
	default:
		return fmt.Sprintf("one of the entries from %d to %d", f.Index, f.Until-1)
	}
}

// sentence is the sentence that answers the question.
func (r *Report) sentence() string {
	subject, ending := "El registro", "o"
	switch r.Kind {
	case Export:
		subject, ending = "La exportación del registro", "a"
	case Receipt:
		subject = "El justificante"
	case Proof:
		subject, ending = "La prueba", "a"
	case Log, Database:
	}
	switch r.Verdict {
	case Holds:
		return fmt.Sprintf("%s es auténtic%s y está íntegr%s.", subject, ending, ending)
	case Broken:
		return fmt.Sprintf("%s NO es auténtic%s o NO está íntegr%s.", subject, ending, ending)
	default:
		return fmt.Sprintf("%s no presenta errores, pero no se puede afirmar que sea auténtic%s.", subject, ending)
	}
}

type text struct{ lines []string }

// line writes one line. What comes from outside is kept from playing tricks on a
// terminal.
func (t *text) line(depth int, format string, args ...any) {
	line := strings.Map(func(c rune) rune {
		if c < ' ' || c >= 0x7f && c < 0xa0 || c >= 0x200e && c <= 0x200f || c >= 0x2028 && c <= 0x202e || c >= 0x2066 && c <= 0x2069 {
			return '·'
		}
		return c
	}, fmt.Sprintf(format, args...))
	t.lines = append(t.lines, strings.TrimRight(strings.Repeat("  ", depth)+line, " ")+"\n")
}

func (t *text) checkpoint(r *Report) {
	if c := r.Checkpoint; c != nil {
		t.line(0, "")
		t.line(0, "Checkpoint of %s: %d entries", c.Origin, c.Size)
		t.line(1, "root     %s", c.Root)
		for _, w := range c.Witnesses {
			t.line(1, "witness  %s, %s", w.Name, stamp(w.At))
		}
		if !c.WitnessedAt.IsZero() {
			t.line(1, "enough   %s", stamp(c.WitnessedAt))
		}
	}
	if s := r.Stamp; s != nil {
		trusted := "authority not judged"
		if s.Trusted {
			trusted = "authority trusted"
		}
		t.line(1, "stamped  %s by %s, %s", stamp(s.At), s.Authority, trusted)
	}
	if k := r.Known; k != nil && k.Consistent {
		t.line(1, "known    %d entries, consistent", k.Size)
	}
	if p := r.Range; p != nil {
		complete := "not proved complete"
		if p.Complete {
			complete = "complete"
		}
		t.line(1, "range    from %d to %d, %s", p.From, p.To, complete)
	}
}

func (t *text) fact(f Fact) {
	t.line(0, "")
	t.line(0, "Entry %d: %s", f.Seq, f.Type)
	t.line(1, "at       %s", f.At.UTC().Format(time.RFC3339Nano))
	t.line(1, "of       %s", f.Operation)
	if f.Person != "" {
		t.line(1, "person   %s", f.Person)
	}
	if len(f.Payload) > 0 {
		t.line(1, "says     %s", f.Payload)
	}
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
