package citizen

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/rubrica-firma/rubrica/policies"
)

func TestCheckPassword(t *testing.T) {
	t.Parallel()
	name, err := ParseName("Ana María", "Núñez Gil")
	if err != nil {
		t.Fatal(err)
	}
	pc := PasswordContext{Name: name, Identifier: mustIdentifier(t, "12345678Z"), Previous: mustPassword(t, "Anterior-2024")}
	for typed, reason := range map[string]string{
		"Sol-y-2-lunas":          "", // all four classes
		"Ñandú 1a":               "", // a blank is special, an Ñ upper case
		"correcto caballo":       "", // sixteen characters, one class
		"Banana-44":              "", // Ana within another word
		"gilipuertas-X1":         "", // Gil likewise
		"Corta-1":                "short",
		"aB1-":                   "short",
		"sin-mayuscula-1":        "classes",
		"SIN-MINUSC-1":           "classes",
		"Sin-Digito-":            "classes",
		"SinEspecial1":           "classes",
		"correcto caball":        "classes", // fifteen
		"Nuñez-2026":             "name",
		"NUNEZ-2026x":            "name",
		"xMARIAx-2026":           "name",
		"Ana-20262026":           "name", // nothing but the short name
		"12345678Z-aaaaaaaaaaaa": "identifier",
		"a-12.345.678-Zzz":       "identifier",
		"Ab-2345678":             "identifier",
		"Anterior-2024":          "previous",
	} {
		err := CheckPassword(mustPassword(t, typed), pc)
		if reason == "" {
			if err != nil {
				t.Errorf("CheckPassword(%q): got %v, want no refusal", typed, err)
			}
			continue
		}
		if got := wantRefusal(t, err, policies.PasswordWeak)["reason"]; got != reason {
			t.Errorf("CheckPassword(%q): got reason %q, want %q", typed, got, reason)
		}
	}
}

func TestCheckPasswordWithoutContext(t *testing.T) {
	t.Parallel()
	if err := CheckPassword(mustPassword(t, "Sol-y-2-lunas"), PasswordContext{}); err != nil {
		t.Errorf("got %v, want no refusal", err)
	}
}

// The identifier is found in the longest password too.
func TestIdentifierInLongPassword(t *testing.T) {
	t.Parallel()
	p := mustPassword(t, strings.Repeat("x", 100)+"12345678")
	err := CheckPassword(p, PasswordContext{Identifier: mustIdentifier(t, "12345678Z")})
	if got := wantRefusal(t, err, policies.PasswordWeak)["reason"]; got != "identifier" {
		t.Errorf("got reason %q, want identifier", got)
	}
}

func TestParsePasswordNormalises(t *testing.T) {
	t.Parallel()
	composed, decomposed := mustPassword(t, "Ñandú-2026"), mustPassword(t, "N\u0303andu\u0301-2026")
	if !composed.Equal(decomposed) {
		t.Error("two spellings of one password differ")
	}
	if composed.Equal(mustPassword(t, "Nandu-2026")) {
		t.Error("two passwords are equal")
	}
}

func TestParsePasswordRefuses(t *testing.T) {
	t.Parallel()
	for typed, reason := range map[string]string{
		"":                         "short",
		strings.Repeat("ñ", 129):   "long",
		strings.Repeat("a", 1<<20): "long",
		"abc\x00defgh":             "characters",
		"abc\ndefgh":               "characters",
		"abc\xffdefgh":             "characters",
	} {
		_, err := ParsePassword([]byte(typed))
		if got := wantRefusal(t, err, policies.PasswordWeak)["reason"]; got != reason {
			t.Errorf("ParsePassword(%.20q): got reason %q, want %q", typed, got, reason)
		}
	}
	mustPassword(t, strings.Repeat("ñ", 128))
}

func TestPasswordZero(t *testing.T) {
	t.Parallel()
	p := mustPassword(t, "Sol-y-2-lunas")
	held := p.Reveal()
	p.Zero()
	if got, want := held, make([]byte, len("Sol-y-2-lunas")); !bytes.Equal(got, want) {
		t.Errorf("after Zero: got %q, want zeroes", got)
	}
}

func TestSecretsAreRedacted(t *testing.T) {
	t.Parallel()
	const secret = "Sol-y-2-lunas"
	code := NewActivationCode()
	for _, value := range []any{mustPassword(t, secret), code, PasswordContext{Previous: mustPassword(t, secret)}} {
		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("test", "value", value)
		encoded, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{
			fmt.Sprint(value), fmt.Sprintf("%+v", value), fmt.Sprintf("%#v", value), fmt.Sprintf("%s", value), string(encoded), log.String(),
		} {
			for _, leak := range []string{secret, fmt.Sprintf("%d", []byte(secret)), hex.EncodeToString([]byte(secret)), code.code, code.Print()} {
				if strings.Contains(text, leak) {
					t.Errorf("%T in text: got %q, want it redacted", value, text)
				}
			}
		}
	}
}

// Making an accepted password longer with letters of the same kind never
// makes it too short or poorer in classes.
func TestLongerIsNeverWeaker(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		typed := rapid.StringMatching(`[a-zA-Z0-9ñÑ .,;-]{1,40}`).Draw(t, "typed")
		more := rapid.StringMatching(`[a-zA-Z0-9 -]{1,20}`).Draw(t, "more")
		p, err := ParsePassword([]byte(typed))
		if err != nil {
			t.Fatal(err)
		}
		longer, err := ParsePassword([]byte(typed + more))
		if err != nil {
			t.Fatal(err)
		}
		if CheckPassword(p, PasswordContext{}) == nil && CheckPassword(longer, PasswordContext{}) != nil {
			t.Errorf("%q is accepted, %q is not", typed, typed+more)
		}
	})
}

func FuzzParsePassword(f *testing.F) {
	for _, seed := range []string{"Sol-y-2-lunas", "N\u0303andu\u0301", "", "\x00", "\xff", strings.Repeat("ñ", 129)} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, typed []byte) {
		p, err := ParsePassword(typed)
		if err != nil {
			wantRefusal(t, err, policies.PasswordWeak)
			return
		}
		again, err := ParsePassword(p.Reveal())
		if err != nil || !again.Equal(p) {
			t.Errorf("ParsePassword(%q): got %q, which reads as %q, %v", typed, p.b, again.b, err)
		}
	})
}

func mustPassword(t *testing.T, s string) Password {
	t.Helper()
	p, err := ParsePassword([]byte(s))
	if err != nil {
		t.Fatalf("ParsePassword(%q): %v", s, err)
	}
	return p
}
