package citizen

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/rubrica-firma/rubrica/policies"
)

func TestParseIdentifier(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]string{
		"12345678Z":             "12345678Z",
		"12345678z":             "12345678Z",
		" 12.345.678-z ":        "12345678Z",
		"12 345 678 Z":          "12345678Z",
		"12\u00a0345\u00a0678Z": "12345678Z",
		"1234567L":              "01234567L", // printed without its leading zero
		"00000000T":             "00000000T",
		"X1234567L":             "X1234567L",
		"x-1234567-l":           "X1234567L",
		"Y1234567X":             "Y1234567X",
		"Z1234567R":             "Z1234567R",
	} {
		id, err := ParseIdentifier(typed)
		if err != nil {
			t.Errorf("ParseIdentifier(%q): %v", typed, err)
			continue
		}
		if got := id.String(); got != want {
			t.Errorf("ParseIdentifier(%q): got %q, want %q", typed, got, want)
		}
		if got, want := id.IsNIE(), strings.ContainsAny(want[:1], "XYZ"); got != want {
			t.Errorf("IsNIE of %q: got %v, want %v", typed, got, want)
		}
	}
}

func TestParseIdentifierRefuses(t *testing.T) {
	t.Parallel()
	for typed, reason := range map[string]string{
		"":                         "form",
		"12345678":                 "form",
		"12345678A":                "letter",
		"12345678I":                "letter", // no remainder has I, Ñ, O or U
		"X1234567A":                "letter",
		"A1234567L":                "form", // a company's number
		"K1234567L":                "form", // neither DNI nor NIE
		"X12345678L":               "form",
		"123456L":                  "form",
		"123456789Z":               "form",
		"1234567٨Z":                "form",
		"１２３４５６７８Z":                "form",
		"12345678Z\x00":            "form",
		"12345678Z'--":             "form",
		"+2345678Z":                "form",
		"0x345678Z":                "form",
		strings.Repeat("1", 1<<16): "form",
	} {
		_, err := ParseIdentifier(typed)
		if got := wantRefusal(t, err, policies.IdentifierInvalid)["reason"]; got != reason {
			t.Errorf("ParseIdentifier(%.20q): got reason %q, want %q", typed, got, reason)
		}
	}
}

func TestIdentifierMasked(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]string{
		"12345678Z": "***4567**",
		"X1234567L": "****4567*",
	} {
		id := mustIdentifier(t, typed)
		if got := id.Masked(); got != want {
			t.Errorf("Masked of %s: got %q, want %q", typed, got, want)
		}
		if got := id.LogValue().String(); got != want {
			t.Errorf("LogValue of %s: got %q, want %q", typed, got, want)
		}
	}
	if got := (Identifier{}).Masked(); got != "" {
		t.Errorf("Masked of none: got %q, want nothing", got)
	}
}

// Of the 26 letters one is right, whatever the number.
func TestOneLetterFitsEachNumber(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		lead := rapid.SampledFrom(strings.Split("0123456789XYZ", "")).Draw(t, "lead")
		number := lead + fmt.Sprintf("%07d", rapid.IntRange(0, 9_999_999).Draw(t, "number"))
		var fit []string
		for letter := 'A'; letter <= 'Z'; letter++ {
			id, err := ParseIdentifier(number + string(letter))
			if err == nil {
				fit = append(fit, id.String())
			}
		}
		if len(fit) != 1 {
			t.Errorf("letters that fit %s: got %v, want one", number, fit)
		}
	})
}

// A letter catches every single wrong digit, which is what it is for.
func TestLetterCatchesOneWrongDigit(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 99_999_999).Draw(t, "number")
		right := fmt.Sprintf("%08d%c", n, checkLetters[n%23])
		at := rapid.IntRange(0, 7).Draw(t, "at")
		digit := byte('0' + rapid.IntRange(0, 9).Draw(t, "digit"))
		wrong := right[:at] + string(digit) + right[at+1:]
		_, err := ParseIdentifier(wrong)
		if got, want := err == nil, wrong == right; got != want {
			t.Errorf("ParseIdentifier(%s) for %s: accepted %v, want %v", wrong, right, got, want)
		}
	})
}

func FuzzParseIdentifier(f *testing.F) {
	for _, seed := range []string{"12345678Z", "1234567L", "x-1234567-l", "Y1234567X", "12345678A", "", "12.345.678 z", "Ñ1234567L"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		id, err := ParseIdentifier(typed)
		if err != nil {
			wantRefusal(t, err, policies.IdentifierInvalid)
			return
		}
		if again := mustIdentifier(t, id.String()); again != id || again.String() != id.String() || len(id.String()) != 9 {
			t.Errorf("ParseIdentifier(%q): got %q, which reads as %q", typed, id.value, again.value)
		}
	})
}

func mustIdentifier(t *testing.T, s string) Identifier {
	t.Helper()
	id, err := ParseIdentifier(s)
	if err != nil {
		t.Fatalf("ParseIdentifier(%q): %v", s, err)
	}
	return id
}

// wantRefusal demands a refusal of one code and gives its parameters.
func wantRefusal(t *testing.T, err error, want policies.Code) map[string]string {
	t.Helper()
	refusal, ok := errors.AsType[*policies.Refusal](err)
	if !ok || refusal.Code != want {
		t.Fatalf("got error %v, want a refusal %s", err, want)
	}
	if refusal.Source == "" && want != policies.ActivationMismatch {
		t.Errorf("refusal %s names no source", want)
	}
	return refusal.Params
}
