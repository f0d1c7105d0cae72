package policies_test

import (
	"strings"
	"testing"

	"github.com/rubrica-firma/rubrica/policies"
)

func TestIsLine(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"Oficina de Gijón-Sur (planta 2.ª)":     true,
		"C/ Ramón y Cajal, 5, 3.º dcha.":        true,
		"ha perdido el móvil; trae el DNI":      true,
		"Avinguda Paral·lel, 12":                true,
		"Αθήνα & Київ":                          true,
		"e\u0301\u0323, as somebody decomposed": true,
		strings.Repeat("ñ", 60):                 true,
		strings.Repeat("ñ", 61):                 false,
		strings.Repeat("a", 300):                false,
		"":                                      false,
		" ":                                     false,
		"Calle Mayor ":                          false,
		"Calle  Mayor":                          false,
		"Calle\nMayor":                          false,
		"Calle\tMayor":                          false,
		"Calle\u00a0Mayor":                      false,
		"Calle\u2028Mayor":                      false,
		"Calle\x00Mayor":                        false,
		"Calle\x7fMayor":                        false,
		"Calle\u0085Mayor":                      false,
		"Calle \u202eroyaM":                     false, // right-to-left override
		"Calle \u200fMayor":                     false, // right-to-left mark
		"Calle \u2067Mayor\u2069":               false, // isolate
		"Calle \u061cMayor":                     false, // Arabic letter mark
		"Calle \u05d0 12 34":                    false, // alef, which turns the digits around
		"Calle \u0645 12 34":                    false,
		"Calle\u200bMayor":                      false, // zero-width blank
		"Calle\u00adMayor":                      false, // soft hyphen
		"\ufeffCalle Mayor":                     false,
		"Calle \u3164":                          false, // Hangul filler, a letter
		"Calle \u2800 Mayor":                    false,
		"Calle\ufe0fMayor":                      false,
		"Calle\U000e0101Mayor":                  false,
		"C\u0301\u0302\u0303alle Mayor":         false,
		"Calle \xffMayor":                       false,
		"Calle \ue000Mayor":                     false, // private use
		"Calle \U0010ffffMayor":                 false,
	} {
		if got := policies.IsLine(text, 60); got != want {
			t.Errorf("IsLine(%+q, 60): got %v, want %v", text, got, want)
		}
	}
}

func TestLine(t *testing.T) {
	t.Parallel()
	if got, want := policies.Line("\t ha  perdido\u00a0el\r\nmóvil "), "ha perdido el móvil"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
