package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/rubrica-firma/rubrica/api/rest"
	"github.com/rubrica-firma/rubrica/internal/dev"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/signer/rpc"
	"github.com/rubrica-firma/rubrica/signer/sandbox"
)

// SandboxSettings are the same for api and signer: `sandbox = true` outside any
// table of the configuration file.
type SandboxSettings struct {
	// Sandbox makes the deployment one for developers: its citizens are always the
	// same, and applications read their codes (docs/integrate/sandbox.md).
	Sandbox bool `help:"Be a sandbox for developers, whose signatures are worth nothing." production:"never"`
}

// codes are where applications read codes, nil where there is no such place.
func (s SandboxSettings) codes(client *rpc.Client) rest.Sandbox {
	if !s.Sandbox {
		return nil
	}
	return client.Sandbox()
}

// rows finds people. *store.DB fulfils it.
type rows interface {
	CitizenByIdentifier(ctx context.Context, identifier string) (signer.Citizen, *signer.Credential, error)
}

// admit refuses the database of a sandbox to what is none: everybody knows the
// password of its citizens.
func (s SandboxSettings) admit(ctx context.Context, people rows) error {
	if s.Sandbox {
		return nil
	}
	for _, c := range sandbox.Citizens() {
		found, _, err := people.CitizenByIdentifier(ctx, c.Identifier)
		switch {
		case errors.Is(err, policies.Refuse(policies.CitizenUnknown)):
		case err != nil:
			return fmt.Errorf("looking for citizens of a sandbox: %w", err)
		case found.GivenName == sandbox.GivenName:
			return &dev.FailureError{Status: dev.StatusProduction, Err: fmt.Errorf("this is the database of a sandbox (%s is registered): begin with an empty one", c.Identifier)}
		}
	}
	return nil
}
