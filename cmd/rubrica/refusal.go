package main

import (
	"cmp"
	"errors"
	"os"
	"strings"

	"github.com/rubrica-firma/rubrica/notify/catalogue"
	"github.com/rubrica-firma/rubrica/policies"
)

// words is the catalogue's sentence for a refusal, empty for any other error:
// what an officer reads at the desk, an operator reads here, after the code.
func words(err error, locale string) string {
	refusal, ok := errors.AsType[*policies.Refusal](err)
	if !ok {
		return ""
	}
	sentences, err := catalogue.New()
	if err != nil {
		return "" // the code has been told
	}
	text := sentences.ForStaff(locale).Refusal(refusal)
	return strings.TrimSpace(text.Title + ". " + text.Detail + " " + text.Remedy)
}

// locale is the language of the terminal (POSIX.1-2017, XBD 8.2), as BCP 47
// spells it. A machine that has none reads what the manual is written in.
func locale() string {
	tag := cmp.Or(os.Getenv("LC_ALL"), os.Getenv("LC_MESSAGES"), os.Getenv("LANG"), "C")
	tag, _, _ = strings.Cut(tag, "@")
	tag, _, _ = strings.Cut(tag, ".")
	if tag == "C" || tag == "POSIX" {
		return "en"
	}
	return strings.ReplaceAll(tag, "_", "-")
}
