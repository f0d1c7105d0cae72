package audit

import (
	"encoding/json"
	"fmt"
	"slices"
)

// erasures are entries whose salt was erased, and those of which the log itself
// says so: who erases an entry to hide what it says leaves no such word.
type erasures struct {
	found  []int64            // ascending
	named  map[int64]struct{} // by log.erased
	ranges [][2]int64         // [from, to) refilled from leaves, by log.recovered
}

// add takes a record that has been examined.
func (e *erasures) add(r Record) error {
	if len(r.Salt) == 0 {
		e.found = append(e.found, r.Seq)
		return nil
	}
	if r.Type != LogErased && r.Type != LogRecovered {
		return nil
	}
	var told struct {
		Numbers  []int64 `json:"numbers"`
		From     int64   `json:"lost_from"`
		Refilled int64   `json:"refilled"`
	}
	if err := json.Unmarshal(r.Payload, &told); err != nil {
		return fmt.Errorf("reading what was erased: %w", err)
	}
	if e.named == nil {
		e.named = map[int64]struct{}{}
	}
	for _, seq := range told.Numbers {
		e.named[seq] = struct{}{}
	}
	if told.Refilled > 0 {
		e.ranges = append(e.ranges, [2]int64{told.From, told.From + told.Refilled})
	}
	return nil
}

// unexplained are those of which no entry says so.
func (e *erasures) unexplained() []int64 {
	var numbers []int64
	for _, seq := range e.found {
		_, named := e.named[seq]
		refilled := slices.ContainsFunc(e.ranges, func(r [2]int64) bool { return r[0] <= seq && seq < r[1] })
		if !named && !refilled {
			numbers = append(numbers, seq)
		}
	}
	return numbers
}
