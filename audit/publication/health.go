package publication

import (
	"errors"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
)

// Facts are what the tables say of publication.
type Facts struct {
	Tree      Tree // without an Origin if the log has no name yet
	Size      int64
	LastEntry time.Time // zero for an empty log
	// Recent are the last checkpoints, the largest first; Witnessed is the largest
	// with a quorum, of size zero if there is none.
	Recent    []Published
	Witnessed Published
}

// Point is a checkpoint as far as it has come. Size and At are zero if there is
// none.
type Point struct {
	Size int64
	At   time.Time
	Age  time.Duration
}

// WitnessHealth is the last that one witness cosigned, of what is recent.
type WitnessHealth struct {
	Name string
	Point
}

// Health is how publication stands.
type Health struct {
	Origin    string
	Key       string
	Size      int64
	LastEntry time.Time
	// Signed, Witnessed and Stamped are the largest that are.
	Signed, Witnessed, Stamped Point
	// Unsigned and Unwitnessed count the entries that are not yet.
	Unsigned, Unwitnessed int64
	// Witnesses are those of the policy, in its order.
	Witnesses []WitnessHealth
}

// Survey judges the facts. Signatures are verified here: what a row says of a
// witness counts for nothing.
func Survey(f Facts, policy audit.Policy, now time.Time) Health {
	h := Health{Origin: f.Tree.Origin, Key: f.Tree.Key, Size: f.Size, LastEntry: f.LastEntry, Unsigned: f.Size, Unwitnessed: f.Size}
	point := func(size int64, at time.Time) Point { return Point{size, at, now.Sub(at)} }
	for _, w := range policy.Witnesses() {
		h.Witnesses = append(h.Witnesses, WitnessHealth{Name: w.Name})
	}
	believed, err := policy.WithLog(f.Tree.Key)
	if err != nil {
		return h
	}
	for _, p := range append([]Published{f.Witnessed}, f.Recent...) {
		s, err := believed.Open(p.Note)
		if err != nil && !errors.Is(err, audit.ErrUnwitnessed) || s.Checkpoint != p.Checkpoint {
			continue
		}
		if p.Size > h.Signed.Size {
			h.Signed, h.Unsigned = point(p.Size, p.SignedAt), f.Size-p.Size
		}
		if err == nil && p.Size > h.Witnessed.Size {
			h.Witnessed, h.Unwitnessed = point(p.Size, p.WitnessedAt), f.Size-p.Size
		}
		if p.Timestamp != nil && p.Size > h.Stamped.Size {
			h.Stamped = point(p.Size, p.SignedAt)
		}
		for i, name := range s.Witnesses {
			for n := range h.Witnesses {
				if w := &h.Witnesses[n]; w.Name == name && s.Cosigned[i].After(w.At) {
					w.Point = point(p.Size, s.Cosigned[i])
				}
			}
		}
	}
	return h
}
