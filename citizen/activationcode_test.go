package citizen

import (
	"regexp"
	"strings"
	"testing"

	"github.com/rubrica-firma/rubrica/policies"
)

func TestActivationCodePrint(t *testing.T) {
	t.Parallel()
	printed := regexp.MustCompile(`^([2-9A-HJ-NP-Z]{4}-){3}[2-9A-HJ-NP-Z]{4}$`)
	seen := map[string]bool{}
	for range 1000 {
		code := NewActivationCode()
		if !printed.MatchString(code.Print()) {
			t.Fatalf("Print: got %q, want four groups of four", code.Print())
		}
		if seen[code.Reveal()] {
			t.Fatalf("the code %q came twice", code.Reveal())
		}
		seen[code.Reveal()] = true
	}
	signs := map[rune]int{}
	for code := range seen {
		for _, sign := range code {
			signs[sign]++
		}
	}
	// 16,000 draws of 32 signs: 500 each, with a standard deviation of 22.
	for _, sign := range activationAlphabet {
		if n := signs[sign]; n < 350 || n > 650 {
			t.Errorf("the sign %c came %d times of 16000, want about 500", sign, n)
		}
	}
}

func TestParseActivationCode(t *testing.T) {
	t.Parallel()
	code := NewActivationCode()
	for _, typed := range []string{
		code.Print(), code.Reveal(), strings.ToLower(code.Print()), " " + strings.ReplaceAll(code.Print(), "-", " ") + "\t",
	} {
		got, err := ParseActivationCode(typed)
		if err != nil || !got.Equal(code) {
			t.Errorf("ParseActivationCode(%q): got %q, %v, want %q", typed, got.code, err, code.code)
		}
	}
	if code.Equal(NewActivationCode()) || code.Equal(ActivationCode{}) {
		t.Error("two codes are equal")
	}
}

func TestParseActivationCodeRefuses(t *testing.T) {
	t.Parallel()
	for _, typed := range []string{
		"", "ABCD-EFGH-JKLM-NPQ", "ABCD-EFGH-JKLM-NPQRS", "ABCD-EFGH-JKLM-NPQ0", "ABCD-EFGH-JKLM-NPQ1", "ABCD-EFGH-JKLM-NPQI",
		"ABCD-EFGH-JKLM-NPQO", "ABCD_EFGH_JKLM_NPQR", "ABCDEFGHJKLMNPÑ", strings.Repeat("A", 1<<16),
	} {
		_, err := ParseActivationCode(typed)
		wantRefusal(t, err, policies.ActivationMismatch)
	}
}

func FuzzParseActivationCode(f *testing.F) {
	for _, seed := range []string{"ABCD-EFGH-JKLM-NPQR", "abcd efgh jklm npqr", "2345678923456789", "", "ABCD-EFGH-JKLM-NPQ0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		code, err := ParseActivationCode(typed)
		if err != nil {
			wantRefusal(t, err, policies.ActivationMismatch)
			return
		}
		again, err := ParseActivationCode(code.Print())
		if err != nil || again != code {
			t.Errorf("ParseActivationCode(%q): got %q, which reads as %q, %v", typed, code.code, again.code, err)
		}
	})
}
