package main

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/rubrica-firma/rubrica/internal/dev"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/signer/sandbox"
)

// TestSandboxInProduction looks for the rule on every command that has the
// switch, and applies it.
func TestSandboxInProduction(t *testing.T) {
	t.Parallel()
	parser, err := newParser(new(CLI), new(tomlFile))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, s := range settings(parser.Model.Node) {
		if s.flag.Name != "sandbox" || s.keys[0] == "up-sandbox" {
			continue
		}
		found[s.keys[0]] = true
		for mode, refused := range map[string]bool{"": true, "production": true, "development": false} {
			err := checkProduction(mode, map[string]ruled{s.keys[0]: {rule: s.rule, value: "true"}})
			failed, ok := errors.AsType[*dev.FailureError](err)
			if refused != (ok && failed.Status == dev.StatusProduction) {
				t.Errorf("%s in mode %q: got %v, want it refused: %v", s.keys[0], mode, err, refused)
			}
		}
	}
	for _, key := range []string{"api-sandbox", "signer-sandbox", "registrar-serve-sandbox", "auditor-serve-sandbox"} {
		if !found[key] {
			t.Errorf("got no setting %s", key)
		}
	}
}

// register has one person in it.
type register struct{ identifier, given string }

func (r register) CitizenByIdentifier(_ context.Context, identifier string) (signer.Citizen, *signer.Credential, error) {
	if identifier != r.identifier {
		return signer.Citizen{}, nil, policies.Refuse(policies.CitizenUnknown)
	}
	return signer.Citizen{GivenName: r.given}, nil, nil
}

func TestSandboxDatabase(t *testing.T) {
	t.Parallel()
	last := sandbox.Citizens()[len(sandbox.Citizens())-1].Identifier
	for name, test := range map[string]struct {
		on      bool
		people  register
		refused bool
	}{
		"nobody":                      {false, register{}, false},
		"somebody":                    {false, register{"12345678Z", "Ana"}, false},
		"somebody with such a DNI":    {false, register{last, "Ana"}, false},
		"a citizen of a sandbox":      {false, register{last, sandbox.GivenName}, true},
		"one of them, in the sandbox": {true, register{last, sandbox.GivenName}, false},
	} {
		err := SandboxSettings{Sandbox: test.on}.admit(t.Context(), test.people)
		if got := err != nil && strings.Contains(err.Error(), "database of a sandbox"); got != test.refused {
			t.Errorf("%s: got %v, want it refused: %v", name, err, test.refused)
		}
	}
}
