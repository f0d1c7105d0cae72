package witness

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
)

func TestParseLogs(t *testing.T) {
	t.Parallel()
	a, b, c := newTreeOf(t, "a.example/log").vkey, newTreeOf(t, "b.example/log").vkey, newTreeOf(t, "a.example/log").vkey
	public := make(ed25519.PublicKey, ed25519.PublicKeySize)
	one, err := note.NewEd25519VerifierKey("one.example", public)
	if err != nil {
		t.Fatal(err)
	}
	other, err := note.NewEd25519VerifierKey("other.example", public)
	if err != nil {
		t.Fatal(err)
	}
	cosigner, err := generateKey("w")
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		text string
		want string // origins with the number of their keys; empty: refused
	}{
		"one":                      {"log " + a, "a.example/log 1"},
		"two, in no order":         {"log " + b + "\nlog " + a + "\n", "a.example/log 1, b.example/log 1"},
		"a log that changes keys":  {"log " + a + "\nlog " + c + "\n", "a.example/log 2"},
		"blanks and comments":      {"\n# log x\n  \tlog\t " + a + " \n   # end", "a.example/log 1"},
		"an address":               {"log " + a + " https://a.example/log/", "a.example/log 1"},
		"a whole policy":           {"log " + a + "\nwitness w " + cosigner.verifier.String() + " https://w\ngroup g 1 w\nquorum g\n", "a.example/log 1"},
		"nothing":                  {"", ""},
		"no log":                   {"quorum none\n", ""},
		"another word":             {"lock " + a, ""},
		"no key":                   {"log", ""},
		"too much":                 {"log " + a + " https://a b", ""},
		"a key that is none":       {"log a.example/log", ""},
		"a key with another hash":  {"log " + strings.Replace(a, "+", "+0", 1), ""},
		"the key of a witness":     {"log " + cosigner.verifier.String(), ""},
		"twice":                    {"log " + a + "\nlog " + a, ""},
		"one key under two names":  {"log " + one + "\nlog " + other, "one.example 1, other.example 1"},
		"comment behind something": {"log " + a + " https://a # b", ""},
	} {
		logs, err := ParseLogs([]byte(test.text))
		var got []string
		for _, origin := range logs.Origins() {
			got = append(got, fmt.Sprintf("%s %d", origin, len(logs.keys[origin])))
		}
		if found := strings.Join(got, ", "); found != test.want || (test.want == "") != errors.Is(err, errLogs) {
			t.Errorf("%s: got %q, %v, want %q", name, found, err, test.want)
		}
	}
}

// TestKeyChange takes either key of a log that has two.
func TestKeyChange(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	before := b.tree.grow(t, 20, "entry")
	after := before.branch()
	renewed := newTree(t)
	after.signer, after.vkey = renewed.signer, renewed.vkey
	both, err := ParseLogs([]byte("log " + before.vkey + "\nlog " + after.vkey + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		logs Logs
		l    *tree
		old  int64
		want error
	}{
		{before.logs(t), after, 0, ErrSignature},
		{before.logs(t), before, 0, nil},
		{both, after, 1, nil},
		{both, before, 2, nil},
		{after.logs(t), before, 3, ErrSignature},
		{after.logs(t), after, 3, nil},
	} {
		b.config.Logs = step.logs
		b.again(t)
		if _, err := b.Add(t.Context(), step.l.request(t, step.old, step.old+1)); !errors.Is(err, step.want) {
			t.Errorf("from %d: got %v, want %v", step.old, err, step.want)
		}
	}
}

func FuzzParseLogs(f *testing.F) {
	a, b := newTreeOf(f, "a.example/log").vkey, newTreeOf(f, "b.example/log").vkey
	f.Add([]byte("log " + a + "\n# and\n\tlog " + b + " https://b.example\nquorum none\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		logs, err := ParseLogs(text)
		if fine := len(logs.Origins()) > 0; fine == errors.Is(err, errLogs) || fine != (err == nil) {
			t.Errorf("got %q and %v, want logs or errLogs", logs.Origins(), err)
		}
		for _, origin := range logs.Origins() {
			if !bytes.Contains(text, []byte("log ")) && !bytes.Contains(text, []byte("log\t")) || !bytes.Contains(text, []byte(origin+"+")) {
				t.Errorf("got %q, which %q does not name", origin, text)
			}
		}
	})
}
