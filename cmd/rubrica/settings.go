package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"time"

	"github.com/rubrica-firma/rubrica/hsm"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/store"
)

// TokenSettings say where the PKCS#11 token is.
type TokenSettings struct {
	PKCS11Module string `name:"pkcs11-module" help:"PKCS#11 library of the HSM." required:"" type:"path"`
	TokenLabel   string `help:"Label of the token." default:"rubrica"`
	// PINFile holds the user PIN; a line break at its end is ignored.
	PINFile string `name:"pin-file" help:"File with the token's PIN." required:"" type:"existingfile"`
	// TokenSessions bounds how many operations run on the token at once.
	TokenSessions int `help:"Sessions with the token." default:"8"`
}

func (s TokenSettings) open(logger *slog.Logger) (*hsm.Token, error) {
	pin, err := secretFile(s.PINFile)
	if err != nil {
		return nil, err
	}
	defer clear(pin)
	return hsm.Open(hsm.Config{Module: s.PKCS11Module, TokenLabel: s.TokenLabel, PIN: hsm.PIN(pin), Sessions: s.TokenSessions, Logger: logger})
}

// PublicSettings say how the service is known outside.
type PublicSettings struct {
	// PublicURL is where citizens and applications reach the service.
	PublicURL string `name:"public-url" help:"Address of the service, as browsers see it." required:"" production:"https"`
	// Service is who speaks in SMS and mail where no application asks.
	Service string `help:"Name of the service." default:"Rúbrica"`
}

func (s PublicSettings) host() (string, error) {
	u, err := url.Parse(s.PublicURL)
	if err != nil || u.Hostname() == "" {
		return "", fmt.Errorf("public-url %q is no address", s.PublicURL)
	}
	return u.Hostname(), nil
}

// caURL is where certificates and lists of the CA are published: plain http,
// since whoever fetches them is checking a certificate (RFC 5280, section
// 4.2.1.13).
func (s PublicSettings) caURL(file string) (string, error) {
	u, err := url.Parse(s.PublicURL)
	if err != nil {
		return "", fmt.Errorf("public-url %q is no address", s.PublicURL)
	}
	u.Scheme = "http"
	return u.JoinPath("ca", file).String(), nil
}

// RuleSettings are the policies that a deployment may set.
type RuleSettings struct {
	// FiveYears selects the reading of the five-year rule: strict refuses also
	// registrations made on line with a certificate, age only old ones.
	FiveYears string `help:"Reading of the five-year rule: strict or age." enum:"strict,age" default:"strict"`
}

func (s RuleSettings) rules() policies.Rules {
	rules := policies.DefaultRules()
	rules.Reading = policies.Reading(s.FiveYears)
	return rules
}

// secretFile reads a secret; the line break that editors add is not part of it.
func secretFile(path string) ([]byte, error) {
	secret, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading a secret: %w", err)
	}
	if secret = bytes.TrimRight(secret, "\r\n"); len(secret) == 0 {
		return nil, fmt.Errorf("the secret file %s is empty", path)
	}
	return secret, nil
}

// openDatabase waits a little for a server that is just starting.
func openDatabase(ctx context.Context, address string) (*store.DB, error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	for {
		db, err := store.Open(ctx, address)
		if err == nil {
			return db, nil
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(err, errors.New("check the address of the database, its password file, and that the server runs"))
		case <-time.After(300 * time.Millisecond):
		}
	}
}

// MigrateCommand brings the database up to this version, as its owner.
type MigrateCommand struct {
	Database string `help:"Address of the database, as its owner." required:""`
}

// Run migrates.
func (c *MigrateCommand) Run(ctx context.Context) error { return store.Migrate(ctx, c.Database) }
