package witness

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestParseRequest(t *testing.T) {
	t.Parallel()
	l := newTree(t).grow(t, 20, "entry")
	good := l.request(t, 13, 20).String()
	change := func(old, new string) string {
		t.Helper()
		if !strings.Contains(good, old) {
			t.Fatalf("%q is not in %q", old, good)
		}
		return strings.Replace(good, old, new, 1)
	}
	hash := strings.Split(good, "\n")[1]
	signature := "\n\n— " // between a checkpoint and who signed it
	for name, test := range map[string]struct {
		body string
		fine bool
	}{
		"a proof":                        {good, true},
		"no proof":                       {l.request(t, 0, 20).String(), true},
		"no entries":                     {l.request(t, 0, 0).String(), true},
		"lines of extension":             {change(signature, "\nmore\nand more"+signature), true},
		"63 hashes":                      {"old 13\n" + strings.Repeat(hash+"\n", 63) + good[strings.Index(good, "\n\n")+1:], true},
		"64 hashes":                      {"old 13\n" + strings.Repeat(hash+"\n", 64) + good[strings.Index(good, "\n\n")+1:], false},
		"old size with zero before":      {change("old 13", "old 013"), false},
		"old size with plus":             {change("old 13", "old +13"), false},
		"negative old size":              {change("old 13", "old -13"), false},
		"minus zero":                     {change("old 13", "old -0"), false},
		"old size over all bounds":       {change("old 13", "old 9223372036854775808"), false},
		"largest old size":               {change("old 13", "old 9223372036854775807"), true},
		"two spaces":                     {change("old 13", "old  13"), false},
		"space at the end":               {change("old 13\n", "old 13 \n"), false},
		"another word":                   {change("old 13", "new 13"), false},
		"carriage return":                {change("old 13\n", "old 13\r\n"), false},
		"carriage return in a hash":      {change(hash, hash[:20]+"\r"+hash[20:]), false},
		"hash with a bit too many":       {change(hash, hash[:42]+"/="), false},
		"hash of URLs":                   {change(hash, strings.Repeat("-_", 21)+"A="), false},
		"hash without padding":           {change(hash, strings.TrimRight(hash, "=")), false},
		"short hash":                     {change(hash, "AAAA"), false},
		"nothing":                        {"", false},
		"no checkpoint":                  {"old 13\n\n", false},
		"no empty line":                  {"old 13\n" + hash + "\n", false},
		"checkpoint without signature":   {good[:strings.LastIndex(good, "\n\n")] + "\n", false},
		"cut off":                        {good[:len(good)-1], false},
		"more at the end":                {good + "x", false},
		"size with zero before":          {change("\n20\n", "\n020\n"), false},
		"size over all bounds":           {change("\n20\n", "\n18446744073709551615\n"), false},
		"no origin":                      {change(origin+"\n20", "\n20"), false},
		"empty line of extension":        {change(signature, "\n\nmore"+signature), false},
		"control character":              {change(origin+"\n20", "a\x01b\n20"), false},
		"not UTF-8":                      {change(origin+"\n20", "a\xffb\n20"), false},
		"root of 31 bytes":               {change("\n20\n", "\n20\nAAAA\n"), false},
		"carriage returns in checkpoint": {change("\n20\n", "\n20\r\n"), false},
	} {
		r, err := ParseRequest([]byte(test.body))
		if fine := err == nil; fine != test.fine || !fine && !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: got %v, want fine: %v", name, err, test.fine)
		}
		if err == nil && r.String() != test.body {
			t.Errorf("%s: got %q again, want %q", name, r, test.body)
		}
	}
}

func FuzzParseRequest(f *testing.F) {
	l := newTree(f).grow(f, 20, "entry")
	for _, r := range []Request{l.request(f, 0, 0), l.request(f, 0, 7), l.request(f, 7, 20), l.request(f, 20, 20)} {
		f.Add([]byte(r.String()))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := ParseRequest(body)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("got %v, want ErrMalformed", err)
			}
			return
		}
		if got := r.String(); got != string(body) {
			t.Errorf("got %q again, want %q", got, body)
		}
		if !bytes.Contains(r.Note, []byte(r.checkpoint.String())) || r.OldSize < 0 || r.checkpoint.N < 0 {
			t.Errorf("got %+v, want what stands in %q", r, body)
		}
	})
}
