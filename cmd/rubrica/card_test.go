package main

import (
	"strings"
	"testing"
)

func TestReadCards(t *testing.T) {
	t.Parallel()
	const head = "number,identifier,email,pin\n"
	cards, err := readCards(strings.NewReader(head + "0004711,12345678Z,ana@correo.example,2580\n4712,87654321X,eva@correo.example,2581\n"))
	if err != nil || len(cards) != 2 || cards[0].Number.String() != "4711" || cards[1].Email.String() != "eva@correo.example" {
		t.Errorf("got %v %v, want two cards", cards, err)
	}
	for name, text := range map[string]string{
		"no head":      "4711,12345678Z,ana@correo.example,2580\n",
		"empty":        "",
		"three fields": head + "4711,12345678Z,ana@correo.example\n",
		"a letter":     head + "4711,12345678A,ana@correo.example,2580\n",
		"no PIN":       head + "4711,12345678Z,ana@correo.example,\n",
		"no mail":      head + "4711,12345678Z,ana,2580\n",
		"no number":    head + "0,12345678Z,ana@correo.example,2580\n",
		"a second bad": head + "4711,12345678Z,ana@correo.example,2580\n4712,12345678Z,ana@correo.example,98765432109\n",
	} {
		cards, err := readCards(strings.NewReader(text))
		if err == nil {
			t.Errorf("%s: got %v, want it refused", name, cards)
		} else if strings.Contains(err.Error(), "2580") || strings.Contains(err.Error(), "98765432109") {
			t.Errorf("%s: got %v, which tells a PIN", name, err)
		}
	}
}
