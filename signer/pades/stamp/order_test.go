package stamp

import (
	"slices"
	"testing"

	"golang.org/x/text/unicode/bidi"
	"pgregory.net/rapid"
)

// The letters stand for Hebrew or Arabic ones: the text as it is stored, and as it
// is seen from left to right.
func TestVisualOrder(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ stored, seen string }{
		{"abc def", "abc def"},
		{"שלום", "םולש"},
		{"abc אבג def", "abc גבא def"},
		{"אבג 12 דהו", "והד 12 גבא"},
		{"abc אבג 12 דהו", "abc והד 12 גבא"},
		{"abc אבג 12 def", "abc 12 גבא def"},
		{"abc אבג 12% def", "abc 12% גבא def"},
		{"abc אבג $12 def", "abc $12 גבא def"},
		{"abc אבג 1.2, def", "abc 1.2 גבא, def"},
		{"abc אבג 12.", "abc 12 גבא."},
		{"abc ابج ١٢ def", "abc ١٢ جبا def"},
		{"abc ابج 12% def", "abc 12 جبا% def"},
		{"abc ١٢ ابج", "abc جبا ١٢"},
		{"אבג def.", ".def גבא"},
		{"אבג 21/11/2026.", ".21/11/2026 גבא"},
		{"12 אבג", "גבא 12"},
	} {
		runes := []rune(c.stored)
		var seen []rune
		for _, part := range visual(levels(runes), 0, len(runes)) {
			letters := slices.Clone(runes[part.from:part.to])
			if part.level%2 == 1 {
				slices.Reverse(letters)
			}
			seen = append(seen, letters...)
		}
		if got := string(seen); got != c.seen {
			t.Errorf("%s: got %q, want %q", c.stored, got, c.seen)
		}
	}
}

// Another implementation of the algorithm finds the same directions. (Not of brackets, of which
// it leaves the closing one behind.)
func TestDirectionsAgree(t *testing.T) {
	t.Parallel()
	texts := rapid.StringOfN(rapid.RuneFrom([]rune("abcאבגابج١٢12.,:/-+%$ !\u0301")), 1, 30, -1)
	rapid.Check(t, func(r *rapid.T) {
		text := texts.Draw(r, "text")
		runes := []rune(text)
		var p bidi.Paragraph
		if _, err := p.SetString(text); err != nil {
			r.Fatal(err)
		}
		order, err := p.Order()
		if err != nil {
			r.Fatal(err)
		}
		want := make([]int, len(runes))
		for i := range order.NumRuns() {
			run := order.Run(i)
			for start, end := run.Pos(); start <= end; start++ {
				if run.Direction() == bidi.RightToLeft {
					want[start] = 1
				}
			}
		}
		got := levels(runes)
		for i := range got {
			if got[i]%2 != want[i] {
				r.Fatalf("got levels %v of %q, want parities %v", got, text, want)
			}
		}
	})
}
