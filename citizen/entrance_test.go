package citizen_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
)

func TestParseIBAN(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]string{
		"ES91 2100 0418 4502 0005 1332": "ES9121000418450200051332",
		"es7921000813610123456789":      "ES7921000813610123456789",
		"ES91-2100-0418-4502-0005-1332": "ES9121000418450200051332",
		"ES92 2100 0418 4502 0005 1332": "", // check digits
		"ES91 2100 0418 4502 0005 1323": "", // two digits swapped
		"ES91 2100 0418 4502 0005 133":  "",
		"DE89 3704 0044 0532 0130 00":   "", // of another country
		"2100 0418 4502 0005 1332":      "",
		"":                              "",
		"ES91 2100 0418 4502 0005 133O": "",
	} {
		got, err := citizen.ParseIBAN(typed)
		if got.String() != want || want == "" && !errors.Is(err, policies.Refuse(policies.IBANInvalid)) {
			t.Errorf("%q: got %q %v, want %q", typed, got.String(), err, want)
		}
	}
}

// Each number has one pair of check digits, and not its congruent neighbour.
func TestIBANHasOnePairOfCheckDigits(t *testing.T) {
	t.Parallel()
	for _, account := range []string{"21000418450200051332", "00000000000000000000", "00490001530000000077", "99999999999999999999"} {
		taken := 0
		for check := range 100 {
			if _, err := citizen.ParseIBAN(fmt.Sprintf("ES%02d%s", check, account)); err == nil {
				taken++
			}
		}
		if taken != 1 {
			t.Errorf("%s: got %d pairs of check digits, want one", account, taken)
		}
	}
}

func FuzzIBAN(f *testing.F) {
	for _, seed := range []string{"ES91 2100 0418 4502 0005 1332", "es79-2100-0813-6101-2345-6789", "ES", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		iban, err := citizen.ParseIBAN(typed)
		if err != nil {
			return
		}
		again, err := citizen.ParseIBAN(iban.String())
		if err != nil || again != iban || len(iban.String()) != 24 {
			t.Errorf("%q: got %q, which reads as %q %v", typed, iban.String(), again.String(), err)
		}
	})
}

func TestParseCardNumber(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]string{
		"4711":                           "4711",
		"0004711":                        "4711",
		"00 00 47-11":                    "4711",
		"12345678901234567890":           "12345678901234567890",
		"123456789012345678901":          "",
		"0000":                           "",
		"":                               "",
		"47a11":                          "",
		"４７１１":                           "", // digits of double width
		strings.Repeat("0", 36) + "4711": "4711",
		strings.Repeat("0", 60) + "4711": "",
	} {
		got, err := citizen.ParseCardNumber(typed)
		if got.String() != want || want == "" && !errors.Is(err, policies.Refuse(policies.CardMismatch)) {
			t.Errorf("%q: got %q %v, want %q", typed, got.String(), err, want)
		}
	}
}

func FuzzCardNumber(f *testing.F) {
	for _, seed := range []string{"0004711", "47-11", "0", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		number, err := citizen.ParseCardNumber(typed)
		if err != nil {
			return
		}
		again, err := citizen.ParseCardNumber("000" + number.String())
		if err != nil || again != number || number.String()[0] == '0' {
			t.Errorf("%q: got %q, which reads as %q %v", typed, number.String(), again.String(), err)
		}
	})
}

func TestParseDocumentDate(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]string{
		"31/12/2030":   "2030-12-31",
		"31 12 2030":   "2030-12-31",
		"31-12-2030":   "2030-12-31",
		"31.12.2030":   "2030-12-31",
		"31122030":     "2030-12-31",
		"2030-12-31":   "2030-12-31",
		"20-11-2012":   "2012-11-20",
		"01 01 9999":   "9999-01-01",
		"Permanente":   "9999-01-01",
		"31/02/2030":   "",
		"12/31/2030":   "",
		"31/12/30":     "",
		"":             "",
		"31//12//2030": "2030-12-31",
	} {
		got, err := citizen.ParseDocumentDate(typed)
		if want == "" {
			if !errors.Is(err, policies.Refuse(policies.IdentityDocumentExpiry)) {
				t.Errorf("%q: got %v %v, want it refused", typed, got, err)
			}
			continue
		}
		if err != nil || got.Format(time.DateOnly) != want {
			t.Errorf("%q: got %v %v, want %s", typed, got, err, want)
		}
	}
}

func TestParseEntranceSecrets(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		parse func(string) (string, error)
		code  policies.Code
		good  map[string]string
		bad   []string
	}{
		{
			"access key",
			func(s string) (string, error) { k, err := citizen.ParseAccessKey(s); return k.Reveal(), err },
			policies.AccessKeyInvalid,
			map[string]string{"ab12": "AB12", "A-B 1.2": "AB12", "0000": "0000"},
			[]string{"", "abc", "abcde", "ñabc", "ab!2", "ａｂ12"},
		},
		{
			"PIN",
			func(s string) (string, error) { p, err := citizen.ParsePIN(s); return p.Reveal(), err },
			policies.PINMismatch,
			map[string]string{"123 456 789": "123456789", "123-456-789": "123456789"},
			[]string{"", "12345678", "1234567890", "12345678a"},
		},
		{
			"CSV",
			func(s string) (string, error) { c, err := citizen.ParseLetterCode(s); return c.Reveal(), err },
			policies.LetterMismatch,
			map[string]string{"abcd-efgh-jklm-npqr": "ABCDEFGHJKLMNPQR"},
			[]string{"", "ABCDEFGHJKLMNPQ", "ABCDEFGHJKLMNPQ0", "ABCDEFGHJKLMNPQRS"},
		},
		{
			"card's PIN",
			func(s string) (string, error) { p, err := citizen.ParseCardPIN(s); return p.Reveal(), err },
			policies.CardMismatch,
			map[string]string{"2580": "2580", "12345678": "12345678"},
			[]string{"", "258", "123456789", "25a0"},
		},
		{
			"operations key",
			func(s string) (string, error) { k, err := citizen.ParseOperationsKey(s); return k.Reveal(), err },
			policies.CardMismatch,
			map[string]string{"abcd-efgh-jklm": "ABCDEFGHJKLM"},
			[]string{"", "ABCDEFGHJKL", "ABCDEFGHJKL1", "ABCDEFGHJKLMN"},
		},
	} {
		for typed, want := range test.good {
			if got, err := test.parse(typed); err != nil || got != want {
				t.Errorf("%s %q: got %q %v, want %q", test.name, typed, got, err, want)
			}
		}
		for _, typed := range test.bad {
			if got, err := test.parse(typed); got != "" || !errors.Is(err, policies.Refuse(test.code)) {
				t.Errorf("%s %q: got %q %v, want %s", test.name, typed, got, err, test.code)
			}
		}
	}
}

// What people type as a secret shows in no text that might be written down.
func TestEntranceSecretsAreRedacted(t *testing.T) {
	t.Parallel()
	key, _ := citizen.ParseAccessKey("ab12")
	pin, _ := citizen.ParsePIN("123456789")
	csv, _ := citizen.ParseLetterCode("ABCDEFGHJKLMNPQR")
	cardPIN, _ := citizen.ParseCardPIN("2580")
	operations, _ := citizen.ParseOperationsKey("ABCDEFGHJKLM")
	for _, secret := range []any{key, pin, csv, cardPIN, operations} {
		for _, form := range []string{"%v", "%+v", "%#v", "%s"} {
			text := fmt.Sprintf(form, secret)
			for _, part := range []string{"AB12", "123456789", "ABCDEFGH", "2580"} {
				if strings.Contains(text, part) {
					t.Errorf("%T as %s: got %q, want it redacted", secret, form, text)
				}
			}
		}
	}
}
