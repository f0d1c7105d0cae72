package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/rubrica-firma/rubrica/api/rest/client"
)

// CitizenCommand is the officer's desk on the command line. It calls the same
// API as any office.
type CitizenCommand struct {
	Register       CitizenRegisterCommand       `cmd:"" help:"Register a citizen in person and print the receipt."`
	ActivationCode CitizenActivationCodeCommand `cmd:"" help:"Give a citizen a new activation code, for a lost one or a forgotten password."`
}

// OfficeSettings say which office asks.
type OfficeSettings struct {
	PublicURL string `name:"public-url" help:"Address of the service." required:""`
	// Office is the JSON file that app add --scope registration wrote.
	Office string `help:"File with the office's credentials (JSON)." required:"" type:"existingfile"`
}

func (s OfficeSettings) connect() (*client.ClientWithResponses, error) {
	text, err := os.ReadFile(s.Office)
	if err != nil {
		return nil, fmt.Errorf("reading the office's credentials: %w", err)
	}
	var credentials clientCredentials
	if err := json.Unmarshal(text, &credentials); err != nil {
		return nil, fmt.Errorf("reading the office's credentials in %s: %w", s.Office, err)
	}
	return client.Connect(client.Account{BaseURL: s.PublicURL, ID: credentials.ID, Secret: credentials.Secret, Scope: "registration"})
}

// CitizenRegisterCommand registers a citizen who stands at the desk.
type CitizenRegisterCommand struct {
	OfficeSettings
	Identifier    string `help:"DNI or NIE." required:""`
	GivenName     string `help:"Given name." required:""`
	Surnames      string `help:"Surnames." required:""`
	Phone         string `help:"Spanish mobile number." required:""`
	Email         string `help:"E-mail address." required:""`
	DocumentUntil string `help:"Last day on which the DNI or NIE is valid (YYYY-MM-DD)." required:""`
	Locale        string `help:"Language for SMS and mail." default:"es"`
}

// Run registers and prints the receipt.
func (c *CitizenRegisterCommand) Run(ctx context.Context) error {
	office, err := c.connect()
	if err != nil {
		return err
	}
	answer, err := office.RegisterCitizenWithResponse(ctx, client.NewCitizen{
		Identifier: c.Identifier, GivenName: c.GivenName, Surnames: c.Surnames, Phone: c.Phone, Email: c.Email,
		DocumentUntil: c.DocumentUntil, Locale: &c.Locale,
	})
	if err := client.Check(answer, err); err != nil {
		return err
	}
	fmt.Printf("Registered: %s %s\n", c.GivenName, c.Surnames)
	printReceipt(answer.JSON201, c.PublicURL, c.Email)
	return nil
}

// CitizenActivationCodeCommand issues a new activation code.
type CitizenActivationCodeCommand struct {
	OfficeSettings
	Identifier string `help:"DNI or NIE." required:""`
}

// Run issues and prints it.
func (c *CitizenActivationCodeCommand) Run(ctx context.Context) error {
	office, err := c.connect()
	if err != nil {
		return err
	}
	answer, err := office.CreateActivationCodeWithResponse(ctx, client.NewActivationCode{Identifier: c.Identifier})
	if err := client.Check(answer, err); err != nil {
		return err
	}
	printReceipt(answer.JSON201, c.PublicURL, "")
	return nil
}

func printReceipt(r *client.Receipt, publicURL, email string) {
	fmt.Printf("Activation code: %s\n", r.ActivationCode)
	fmt.Printf("Activate at %s/activar with DNI/NIE, %s and this code; an SMS follows.\n", publicURL, cmp.Or(email, "the registered e-mail"))
}
