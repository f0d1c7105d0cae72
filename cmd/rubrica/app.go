package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/rubrica-firma/rubrica/signer"
)

// AppCommand administers the applications that may ask for signatures.
type AppCommand struct {
	Add AppAddCommand `cmd:"" help:"Register an application or an office and print its credentials."`
}

// AppAddCommand registers a client. Its secret is printed once and kept only as
// a hash.
type AppAddCommand struct {
	// Database is opened in the role rubrica_signer.
	Database     string   `help:"Address of the database (role rubrica_signer)." required:""`
	Name         string   `help:"Name of the application or office, as citizens read it." required:""`
	Organisation string   `help:"Administration that it belongs to." required:""`
	ReturnURL    []string `name:"return-url" help:"Address to which browsers may come back; exact, several allowed."`
	Scope        []string `help:"signature for applications, registration for offices." enum:"signature,registration" default:"signature"`
	// Output receives client_id and client_secret as JSON instead of the terminal.
	Output string `help:"Write the credentials to this file (JSON) instead of printing them." type:"path"`
}

// Run registers the client.
func (c *AppAddCommand) Run(ctx context.Context) error {
	if err := c.check(); err != nil {
		return err
	}
	db, err := openDatabase(ctx, c.Database)
	if err != nil {
		return err
	}
	defer db.Close()

	id, secret := strings.ToLower(rand.Text()), newSecret()
	hash := sha256.Sum256([]byte(secret))
	err = db.AddApplication(ctx, signer.Client{
		ID: id, Name: c.Name, Organisation: c.Organisation,
		SecretHash: hash[:], Scopes: c.Scope, ReturnAddresses: c.ReturnURL,
	}, time.Now())
	if err != nil {
		return fmt.Errorf("registering the application: %w", err)
	}
	if c.Output == "" {
		fmt.Println("client_id:    ", id)
		fmt.Println("client_secret:", secret, " (kept nowhere: write it down now)")
		return nil
	}
	return writeCredentials(c.Output, clientCredentials{ID: id, Secret: secret})
}

// clientCredentials is a file that an application or an office keeps.
type clientCredentials struct {
	ID     string `json:"client_id"`
	Secret string `json:"client_secret"`
}

func writeCredentials(path string, c clientCredentials) error {
	text, err := json.MarshalIndent(c, "", "  ") //nolint:gosec // the file is where the secret belongs
	if err != nil {
		return fmt.Errorf("encoding the credentials: %w", err)
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("writing the credentials: %w", err)
	}
	return nil
}

func newSecret() string {
	b := make([]byte, 32)
	rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

// check refuses what would never work later: an application that cannot take
// its citizens back.
func (c *AppAddCommand) check() error {
	for _, address := range c.ReturnURL {
		u, err := url.Parse(address)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.Fragment != "" {
			return fmt.Errorf("return address %q must be an absolute http or https address without a fragment", address)
		}
	}
	if slices.Contains(c.Scope, "signature") && len(c.ReturnURL) == 0 {
		return fmt.Errorf("an application needs at least one --return-url")
	}
	return nil
}
