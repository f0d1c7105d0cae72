package audit

import "time"

// Filter is what entries are looked for by. What is empty does not matter;
// everything given must hold of an entry.
type Filter struct {
	// Citizen is a DNI or NIE: of whom an entry is about, or of whom an auditor
	// asked about.
	Citizen   string
	Operation string
	Terms     []Term
	Types     []EventType
	From, To  time.Time // [From, To); zero for no bound
}

// Stretch is a part of the log, [From, To) by number, and from which end it is
// searched.
type Stretch struct {
	From, To    int64
	NewestFirst bool
	// Limit is how many entries are wanted.
	Limit int
}

// After is what remains of the stretch once an entry has been passed.
func (s Stretch) After(seq int64) Stretch {
	if s.NewestFirst {
		s.To = min(s.To, seq)
	} else {
		s.From = max(s.From, seq+1)
	}
	return s
}

// Empty is whether there is nothing in it.
func (s Stretch) Empty() bool { return s.From >= s.To }

// Matches are entries that a search has found, in its direction and without
// Hashes and Terms.
type Matches struct {
	Records []Record
	// Rest is what was not looked through: empty when nothing more can be found.
	// It may be left with fewer records than the limit, even none.
	Rest Stretch
}

// Total counts entries of one day (UTC).
type Total struct {
	Day         time.Time
	Type        EventType
	Application string // client id, empty if none
	Reason      string // a refusal's code, empty if none
	N           int64
	Seconds     int64 // sum of the times that the entries tell
}
