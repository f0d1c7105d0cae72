package check

import (
	"encoding/json/jsontext"
	"fmt"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
)

// Kind is what was looked at.
type Kind string

// The kinds.
const (
	Log      Kind = "log"
	Database Kind = "database"
	Export   Kind = "export"
	Receipt  Kind = "receipt"
	Proof    Kind = "proof"
)

// Verdict is the answer.
type Verdict string

// The verdicts. Undecided is what is as it should be, and seen by too few: the
// doubts say by whom.
const (
	Holds     Verdict = "holds"
	Undecided Verdict = "undecided"
	Broken    Verdict = "broken"
)

// Report is what was checked, and what was found.
type Report struct {
	Name    string  `json:"name"`
	Kind    Kind    `json:"kind"`
	Verdict Verdict `json:"verdict"`
	// Fault is the first thing that is wrong; nil if nothing is.
	Fault *Fault `json:"fault,omitempty"`
	// Doubts are why a verdict is Undecided.
	Doubts []string `json:"doubts,omitempty"`
	// Checked says what was verified, in this order, each of it without a fault
	// unless it is the one in Fault.
	Checked []string `json:"checked"`
	// Notes are what was not looked at, and why that is no fault.
	Notes []string `json:"notes,omitempty"`

	Checkpoint *Checkpoint `json:"checkpoint,omitempty"`
	Stamp      *Stamp      `json:"timestamp,omitempty"`
	Known      *Known      `json:"known,omitempty"`
	Range      *Range      `json:"range,omitempty"`
	Entries    Entries     `json:"entries"`
	Facts      []Fact      `json:"facts,omitempty"`
	// Signed and Token are what a foreign tool verifies the time-stamp with: the
	// checkpoint as the log signed it, and the RFC 3161 token.
	Signed []byte `json:"-"`
	Token  []byte `json:"-"`
}

// Fault is what is wrong.
type Fault struct {
	// Index is the first entry that cannot be believed, and Until the one after
	// the last of those among which it is: Index+1 where it is known exactly.
	// Both are -1 where the fault is not in an entry.
	Index int64 `json:"index"`
	Until int64 `json:"until"`
	// Reason says what is wrong with it.
	Reason string `json:"reason"`
}

// Checkpoint is the one that all else was checked under.
type Checkpoint struct {
	Origin    string    `json:"origin"`
	Size      int64     `json:"size"`
	Root      string    `json:"root"` // base64
	Witnesses []Witness `json:"witnesses"`
	// WitnessedAt is when there were enough of them; zero if there are not.
	WitnessedAt time.Time `json:"witnessed_at,omitzero"`
}

// Witness is who cosigned it.
type Witness struct {
	Name string    `json:"name"`
	At   time.Time `json:"at"`
}

// Stamp is the RFC 3161 time-stamp of the checkpoint.
type Stamp struct {
	At        time.Time `json:"at"`
	Authority string    `json:"authority"`
	// Trusted is whether the authority's certificate leads to one that was given.
	Trusted bool `json:"trusted"`
}

// Known is the older checkpoint that the verifier kept.
type Known struct {
	Size       int64 `json:"size"`
	Consistent bool  `json:"consistent"`
}

// Range is what an export covers.
type Range struct {
	From     int64 `json:"from"`
	To       int64 `json:"to"`
	Complete bool  `json:"complete"` // proved to be
	// Next is where it goes on, if it had to end before To.
	Next *int64 `json:"next,omitempty"`
}

// Entries counts what was verified.
type Entries struct {
	Checked int64 `json:"checked"`
	// Opened are those whose payload is the one committed to, Erased those of the
	// database whose payload was erased, Sealed those that were shown without.
	Opened int64 `json:"opened"`
	Erased int64 `json:"erased"`
	Sealed int64 `json:"sealed"`
	// Unread are leaves in a form that this program does not know.
	Unread int64 `json:"unread"`
}

// Fact is what an entry says.
type Fact struct {
	Seq       int64           `json:"seq"`
	Type      audit.EventType `json:"type"`
	Operation string          `json:"operation"`
	At        time.Time       `json:"at"`
	Person    string          `json:"person,omitempty"`
	Payload   jsontext.Value  `json:"payload,omitempty"`
}

func (r *Report) checked(format string, args ...any) {
	r.Checked = append(r.Checked, fmt.Sprintf(format, args...))
}

func (r *Report) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

func (r *Report) doubt(format string, args ...any) {
	r.Doubts = append(r.Doubts, fmt.Sprintf(format, args...))
}

// broken keeps the fault of the lowest entry; one that is not in an entry only
// where there is no other.
func (r *Report) broken(index, until int64, format string, args ...any) {
	if f := r.Fault; f != nil && (index < 0 || f.Index >= 0 && f.Index <= index) {
		return
	}
	r.Fault = &Fault{Index: index, Until: until, Reason: fmt.Sprintf(format, args...)}
}

// wrong is a fault that is not in an entry.
func (r *Report) wrong(format string, args ...any) { r.broken(-1, -1, format, args...) }

// conclude draws the verdict.
func (r *Report) conclude() *Report {
	switch {
	case r.Fault != nil:
		r.Verdict = Broken
	case len(r.Doubts) > 0:
		r.Verdict = Undecided
	default:
		r.Verdict = Holds
	}
	return r
}

// fact adds what an entry says.
func (r *Report) fact(f audit.Fact) {
	r.Facts = append(r.Facts, Fact{
		Seq: f.Seq, Type: f.Type, Operation: f.Operation, At: f.At, Person: f.Person, Payload: f.Payload,
	})
	r.count(f)
}

func (r *Report) count(f audit.Fact) {
	r.Entries.Checked++
	if f.Opened {
		r.Entries.Opened++
	} else {
		r.Entries.Sealed++
	}
}
