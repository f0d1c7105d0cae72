package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rubrica-firma/rubrica/api/rest/client"
	"github.com/rubrica-firma/rubrica/internal/thread"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/sandbox"
)

// CitizenSandboxCommand registers the citizens of a sandbox as an office does, and
// goes through the pages for them. Run again, it does what is missing.
type CitizenSandboxCommand struct {
	PublicURL string `name:"public-url" help:"Address of the service." required:""`
	ReturnURL string `name:"return-url" help:"A return address of the application." required:""`
	Office    string `help:"Credentials of an office (JSON)." required:"" type:"existingfile"`
	Sede      string `help:"Credentials of an application (JSON)." required:"" type:"existingfile"`
}

// Run prints who there is.
func (c *CitizenSandboxCommand) Run(ctx context.Context) error {
	world, err := WorldSettings{PublicURL: c.PublicURL, ReturnURL: c.ReturnURL, Office: c.Office, Sede: c.Sede}.open()
	if err != nil {
		return err
	}
	for _, one := range sandbox.Citizens() {
		if err := (sandboxSeed{world: world, Citizen: one}).grow(ctx); err != nil {
			return fmt.Errorf("%s %s: %w", sandbox.GivenName, one.Surnames, err)
		}
		fmt.Printf("%s  %s %s\n", one.Identifier, sandbox.GivenName, one.Surnames)
	}
	return nil
}

// sandboxSeed is one of the citizens on the way to where it should be.
type sandboxSeed struct {
	sandbox.Citizen

	world  *thread.World
	person *thread.Citizen
}

// grow takes step after step, and asks before each what is missing.
func (s sandboxSeed) grow(ctx context.Context) (err error) {
	if s.person, err = s.world.NewCitizen(); err != nil {
		return err
	}
	s.person.Identifier, s.person.GivenName, s.person.Surnames = s.Identifier, sandbox.GivenName, s.Surnames
	s.person.Phone, s.person.Email, s.person.Password = s.Phone, s.Email, sandbox.Password
	const steps = 4
	for range steps {
		now, err := s.obstacle(ctx)
		if err != nil {
			return err
		}
		if now == s.Obstacle {
			return nil
		}
		if err := s.step(ctx, now); err != nil {
			return err
		}
	}
	return errors.New("does not come to where it should be")
}

// obstacle is the first that stands in the way of a signature.
func (s sandboxSeed) obstacle(ctx context.Context) (policies.Code, error) {
	answer, err := s.world.Sede.PreflightCitizenWithResponse(ctx, client.Signer{Identifier: s.Identifier})
	if err := client.Check(answer, err); err != nil {
		return "", fmt.Errorf("asking what is missing: %w", err)
	}
	if all := answer.JSON200.Obstacles.Sign; len(all) > 0 {
		return policies.Code(all[0].Code), nil
	}
	return "", nil
}

func (s sandboxSeed) step(ctx context.Context, now policies.Code) error {
	switch {
	case now == policies.CitizenUnknown:
		return s.register(ctx)
	case now == policies.CitizenInactive:
		return s.activate(ctx)
	case s.Blocked:
		return s.person.Undergo(ctx, client.ActBlock, "Sandbox")
	case s.Deregistered:
		return s.person.Undergo(ctx, client.ActDeregister, "Sandbox")
	case s.Certified:
		return s.certify(ctx)
	}
	return fmt.Errorf("%s is in the way", now)
}

func (s sandboxSeed) register(ctx context.Context) error {
	_, err := s.world.Office.Perform(ctx, client.OfficeAct{Act: client.ActRegister, Officer: "Sandbox", Citizen: &client.NewCitizen{
		Identifier: s.Identifier, GivenName: sandbox.GivenName, Surnames: s.Surnames, Phone: s.Phone, Email: s.Email,
		DocumentUntil: time.Now().AddDate(s.DocumentYears, 0, 0).Format(time.DateOnly),
	}})
	return err
}

// activate uses a code of its own: that of the registration may be lost.
func (s sandboxSeed) activate(ctx context.Context) error {
	s.world.Codes = s.codes(s.Identifier)
	if err := s.person.Renew(ctx); err != nil {
		return err
	}
	return s.person.Activate(ctx)
}

// certify has the application ask for a signature, which brings a certificate
// along; the signature itself nobody needs.
func (s sandboxSeed) certify(ctx context.Context) error {
	content := []byte("Sandbox\n")
	request, err := s.world.Ask(ctx, s.person, "Sandbox", client.NewDocument{
		Name: "sandbox.txt", MediaType: "text/plain", Format: client.CadesAttached, Content: &content,
	})
	if err != nil {
		return err
	}
	s.world.Codes = s.codes(request.ID)
	return s.person.Certify(ctx, request.SigningURL)
}

// codes reads codes as any application does.
func (s sandboxSeed) codes(id string) func(context.Context, *thread.Citizen, time.Time) (string, error) {
	return func(ctx context.Context, _ *thread.Citizen, _ time.Time) (string, error) {
		answer, err := s.world.Sede.GetSandboxCodeWithResponse(ctx, id)
		if err := client.Check(answer, err); err != nil {
			return "", fmt.Errorf("reading a code: %w", err)
		}
		return answer.JSON200.Code, nil
	}
}
