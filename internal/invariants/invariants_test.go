package invariants

import (
	"testing"
)

// A secret is found in each of its spellings, wherever it stands; a code, as
// eight digits are in many a value, only where it stands apart.
func TestSpelled(t *testing.T) {
	t.Parallel()
	const password, code = "Canario-7-amarillo", "24681357"
	c := Checker{Secrets: []string{"Mirlo-8-negro", password, code}}
	for i, s := range append(Spellings(password), Spellings(code)...) {
		for _, text := range []string{s, "x " + s, s + "\tx", code + "0 " + s + " x"} {
			if got := c.spelled(text); got != s {
				t.Errorf("spelling %d in %q: got %q, want it found", i, text, got)
			}
		}
	}
	for _, text := range []string{"", "Can", password[1:], password[:len(password)-1], code + "0", "a" + code} {
		if got := c.spelled(text); got != "" {
			t.Errorf("in %q: got %q, want nothing found", text, got)
		}
	}
}
