package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rubrica-firma/rubrica/policies"
)

// An operator reads the sentence that an officer reads at the desk, in the
// language of the terminal.
func TestWords(t *testing.T) {
	refusal := fmt.Errorf("changing: %w", policies.Refuse(policies.QueryInvalid, "reason", "no_secret"))
	for lang, want := range map[string]string{
		"":                  "The application has no secret",
		"C.UTF-8":           "The application has no secret",
		"POSIX":             "The application has no secret",
		"en_GB.UTF-8":       "The application has no secret",
		"es_ES.UTF-8":       "La aplicación no tiene secreto",
		"ca_ES@valencia":    "La aplicación no tiene secreto",
		"gl_ES.ISO-8859-15": "La aplicación no tiene secreto",
	} {
		for _, variable := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
			t.Setenv(variable, "")
		}
		t.Setenv("LANG", lang)
		if got := words(refusal, locale()); !strings.Contains(got, want) {
			t.Errorf("LANG=%q: got %q, want %q in it", lang, got, want)
		}
	}
	t.Setenv("LC_ALL", "es_ES")
	if got := locale(); got != "es-ES" {
		t.Errorf("LC_ALL against LANG: got %q, want es-ES", got)
	}
	if got := words(errors.New("no such file"), "es"); got != "" {
		t.Errorf("an error that is no refusal: got %q, want nothing", got)
	}
}
