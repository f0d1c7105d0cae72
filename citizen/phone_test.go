package citizen

import (
	"testing"

	"github.com/rubrica-firma/rubrica/policies"
)

func TestParsePhone(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]string{
		"612345678":          "+34612345678",
		"+34612345678":       "+34612345678",
		"0034 612 345 678":   "+34612345678",
		"(+34) 712-345-678":  "+34712345678",
		" 6 12 34 56 78 ":    "+34612345678",
		"+34.799.999.999":    "+34799999999",
		"+34\u00a0600000000": "+34600000000",
	} {
		phone, err := ParsePhone(typed)
		if err != nil {
			t.Errorf("ParsePhone(%q): %v", typed, err)
			continue
		}
		if got := phone.String(); got != want {
			t.Errorf("ParsePhone(%q): got %q, want %q", typed, got, want)
		}
	}
}

func TestParsePhoneRefuses(t *testing.T) {
	t.Parallel()
	for _, typed := range []string{
		"", "+34", "912345678", "812345678", "702345678", "61234567", "6123456789", "+33612345678", "+346123456789",
		"+34+34612345678", "6123456a8", "61234567٨", "612345678;rm", "612345678 ext 1", "\x00612345678",
	} {
		phone, err := ParsePhone(typed)
		if err == nil {
			t.Errorf("ParsePhone(%q): got %v, want a refusal", typed, phone.e164)
			continue
		}
		wantRefusal(t, err, policies.PhoneInvalid)
	}
}

func TestPhoneMasked(t *testing.T) {
	t.Parallel()
	phone, err := ParsePhone("612345421")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := phone.Masked(), "··· ··· 421"; got != want {
		t.Errorf("Masked: got %q, want %q", got, want)
	}
	if got, want := phone.LogValue().String(), "··· ··· 421"; got != want {
		t.Errorf("LogValue: got %q, want %q", got, want)
	}
}

func FuzzParsePhone(f *testing.F) {
	for _, seed := range []string{"612345678", "+34 712 345 678", "0034612345678", "702345678", "+34+34612345678", "(6)12345678"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		phone, err := ParsePhone(typed)
		if err != nil {
			wantRefusal(t, err, policies.PhoneInvalid)
			return
		}
		again, err := ParsePhone(phone.String())
		if err != nil || again != phone || len(phone.String()) != len("+34612345678") {
			t.Errorf("ParsePhone(%q): got %q, which reads as %q, %v", typed, phone.e164, again.e164, err)
		}
	})
}
