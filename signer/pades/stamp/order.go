package stamp

import (
	"slices"

	segments "github.com/go-text/typesetting/bidi"
	"golang.org/x/text/unicode/bidi"
)

// levels are the embedding levels of the Unicode bidirectional algorithm (UAX
// 9, 3.3). The first strong character gives the direction of the whole; texts
// hold no explicit formatting. The library tells directions only, that is odd levels from even
// ones: what is even in a text from left to right is level 2 where it is a number
// after Arabic or Hebrew, and 0 elsewhere (rules W1 to W7, I1).
func levels(runes []rune) []int {
	classes := make([]bidi.Class, len(runes))
	leftwards, known := false, false
	for i, r := range runes {
		p, _ := bidi.LookupRune(r)
		classes[i] = p.Class()
		if !known && (classes[i] == bidi.L || rightToLeft(classes[i])) {
			leftwards, known = classes[i] != bidi.L, true
		}
	}
	all := make([]int, len(runes))
	var p segments.Paragraph
	runs := p.Segment(runes, segments.Neutral)
	for i := range runs.NumRuns() {
		for run, at := runs.Run(i), runs.Run(i).Start; at < run.End; at++ {
			switch {
			case !run.IsLeftToRight():
				all[at] = 1
			case leftwards:
				all[at] = 2
			}
		}
	}
	if !leftwards {
		markNumbers(classes, all)
	}
	return all
}

func rightToLeft(c bidi.Class) bool { return c == bidi.R || c == bidi.AL }

// markNumbers raises the levels of numbers from 0 to 2.
func markNumbers(classes []bidi.Class, levels []int) {
	strong := bidi.L
	european := make([]bool, len(levels)) // digits that stayed European (W2)
	for i, c := range classes {
		switch {
		case c == bidi.L || rightToLeft(c):
			strong = c
		case c == bidi.AN || c == bidi.EN && strong != bidi.L:
			levels[i] = 2
			european[i] = c == bidi.EN && strong == bidi.R
		case (c == bidi.NSM || c == bidi.BN) && i > 0 && levels[i] == 0: // W1
			levels[i], european[i] = levels[i-1], european[i-1]
		}
	}
	for i, c := range classes { // W4
		if (c == bidi.CS || c == bidi.ES) && 0 < i && i+1 < len(levels) && levels[i] == 0 && levels[i-1] == 2 && levels[i+1] == 2 {
			levels[i], european[i] = 2, european[i-1]
		}
	}
	spread := func(i, from int) { // W5
		if classes[i] == bidi.ET && levels[i] == 0 && european[from] {
			levels[i], european[i] = 2, true
		}
	}
	for i := 1; i < len(levels); i++ {
		spread(i, i-1)
	}
	for i := len(levels) - 2; i >= 0; i-- {
		spread(i, i+1)
	}
}

// visual orders the stretches of a line from left to right (UAX 9, rule L2).
func visual(levels []int, from, to int) []stretch {
	var parts []stretch
	highest := 0
	for i := from; i < to; i++ {
		if last := len(parts) - 1; last >= 0 && parts[last].level == levels[i] {
			parts[last].to = i + 1
			continue
		}
		parts = append(parts, stretch{from: i, to: i + 1, level: levels[i]})
		highest = max(highest, levels[i])
	}
	for level := highest; level > 0; level-- {
		for i := 0; i < len(parts); i++ {
			start := i
			for i < len(parts) && parts[i].level >= level {
				i++
			}
			slices.Reverse(parts[start:i])
		}
	}
	return parts
}
