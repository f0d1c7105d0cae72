package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/rubrica-firma/rubrica/api/staff"
	"github.com/rubrica-firma/rubrica/personnel"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/store"
)

// RegisterSettings say where accounts of auditors and officers are kept.
type RegisterSettings struct {
	// Database is opened in the role rubrica_signer, the only one that writes the
	// log, in which each of these acts stands.
	Database string `help:"Address of the database (role rubrica_signer)." required:""`
}

// NewAccountSettings describe somebody who is to have an account.
type NewAccountSettings struct {
	Name string `arg:"" help:"Who it is, as the log will tell."`
	// Certificate registers one certificate, not whoever has its name.
	Certificate string `help:"TLS client certificate to enter with (PEM)." type:"existingfile"`
	// Output receives what is printed otherwise, as JSON.
	Output string `help:"Write the account's id and secret to this file (JSON) instead of printing them." type:"path"`
}

// maxAccountName is in characters.
const maxAccountName = 100

func (s NewAccountSettings) account(role string, now time.Time) (personnel.Account, error) {
	a := personnel.Account{ID: strings.ToLower(rand.Text()), Name: policies.Line(s.Name), Role: role, CreatedAt: now}
	if !policies.IsLine(a.Name, maxAccountName) {
		return a, fmt.Errorf("the name must have 1 to %d characters that can be seen", maxAccountName)
	}
	if s.Certificate == "" {
		return a, nil
	}
	var err error
	a.Certificate, err = clientCertificate(s.Certificate, now)
	return a, err
}

// clientCertificate is the SHA-256 of the certificate in a file.
func clientCertificate(path string, now time.Time) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading a client certificate: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, fmt.Errorf("%s holds no certificate in PEM", path)
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("reading a client certificate: %w", err)
	}
	if now.After(certificate.NotAfter) {
		return nil, fmt.Errorf("the certificate in %s ended on %s", path, certificate.NotAfter.Format(time.DateOnly))
	}
	return staff.Fingerprint(certificate), nil
}

// open gives the accounts of a kind, and how to let the database go.
func (s RegisterSettings) open(ctx context.Context, kind personnel.Kind) (accounts store.Staff, closed func(), err error) {
	db, err := openDatabase(ctx, s.Database)
	if err != nil {
		return store.Staff{}, nil, err
	}
	return db.Staff(kind), db.Close, nil
}

func (s RegisterSettings) add(ctx context.Context, kind personnel.Kind, a personnel.Account) error {
	accounts, closed, err := s.open(ctx, kind)
	if err != nil {
		return err
	}
	defer closed()
	if err := accounts.Add(ctx, a); err != nil {
		return fmt.Errorf("opening the account: %w", err)
	}
	return nil
}

// with does something with an account in use.
func (s RegisterSettings) with(ctx context.Context, kind personnel.Kind, id string, do func(store.Staff, personnel.Account) error) error {
	accounts, closed, err := s.open(ctx, kind)
	if err != nil {
		return err
	}
	defer closed()
	a, err := accounts.Account(ctx, id)
	if errors.Is(err, policies.Refuse(kind.Refused)) || err == nil && a.Disabled() {
		return fmt.Errorf("there is no account %s in use: `rubrica %s list` shows those that there are", id, kind.Name)
	}
	if err != nil {
		return fmt.Errorf("reading the account: %w", err)
	}
	return do(accounts, a)
}

// invite prints the link that has the secret.
func (s RegisterSettings) invite(ctx context.Context, kind personnel.Kind, id string, link func(secret string) string) error {
	return s.with(ctx, kind, id, func(accounts store.Staff, a personnel.Account) error {
		now := time.Now()
		secret, i := staff.NewInvitation(a, now, staff.DefaultLimits().Invitation)
		if err := accounts.Invite(ctx, i, now); err != nil {
			return err
		}
		fmt.Printf("%s\n\nFor %s, once, until %s.\n", link(secret), a.Name, i.ExpiresAt.Format(time.RFC1123))
		return nil
	})
}

func (s RegisterSettings) disable(ctx context.Context, kind personnel.Kind, id string) error {
	return s.with(ctx, kind, id, func(accounts store.Staff, a personnel.Account) error { return accounts.Disable(ctx, a.ID, time.Now()) })
}

func (s RegisterSettings) list(ctx context.Context, kind personnel.Kind) error {
	accounts, closed, err := s.open(ctx, kind)
	if err != nil {
		return err
	}
	defer closed()
	all, err := accounts.Accounts(ctx, time.Now())
	if err != nil {
		return fmt.Errorf("reading the accounts: %w", err)
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	row := func(cells ...string) { fmt.Fprintln(table, strings.Join(cells, "\t")) }
	row("ID", "NAME", "ROLE", "OFFICE", "ENTERS BY", "SINCE", "STATE")
	for _, a := range all {
		row(a.ID, a.Name, a.Role, cmp.Or(a.Office, "-"), entersBy(a), a.CreatedAt.Format(time.DateOnly), stateOf(a))
	}
	return table.Flush()
}

func entersBy(a personnel.State) string {
	var ways []string
	if a.Certificate != nil {
		ways = append(ways, "certificate")
	}
	if a.Passkeys > 0 {
		ways = append(ways, fmt.Sprintf("%d passkeys", a.Passkeys))
	}
	if a.SecretHash != nil {
		ways = append(ways, "client secret")
	}
	if len(ways) == 0 {
		return "nothing yet"
	}
	return strings.Join(ways, ", ")
}

func stateOf(a personnel.State) string {
	switch {
	case a.Disabled():
		return "disabled " + a.DisabledAt.Format(time.DateOnly)
	case !a.InvitedUntil.IsZero():
		return "invited until " + a.InvitedUntil.Format(time.DateTime)
	}
	return "in use"
}

// accountCredentials are what a new account needs to be known by.
type accountCredentials struct {
	ID     string `json:"id"`
	Secret string `json:"client_secret,omitempty"`
}

// tell prints them, or writes them to a file.
func (c accountCredentials) tell(path string) error {
	if path != "" {
		return c.write(path)
	}
	fmt.Println("id:           ", c.ID)
	if c.Secret != "" {
		fmt.Println("client_secret:", c.Secret, " (kept nowhere: write it down now)")
	}
	return nil
}

func (c accountCredentials) write(path string) error {
	text, err := json.MarshalIndent(c, "", "  ") //nolint:gosec // the file is where the secret belongs
	if err != nil {
		return fmt.Errorf("encoding the credentials: %w", err)
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("writing the credentials: %w", err)
	}
	return nil
}

func withoutSlash(address string) string { return strings.TrimRight(address, "/") }
