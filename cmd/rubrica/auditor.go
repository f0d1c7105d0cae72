package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rubrica-firma/rubrica/api/staff"
	"github.com/rubrica-firma/rubrica/personnel"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/store"
)

// AuditorCommand is the auditor's door, and who may enter by it.
type AuditorCommand struct {
	Serve   AuditorServeCommand   `cmd:"" help:"Run the auditor's door: pages and API over the signature log."`
	Add     AuditorAddCommand     `cmd:"" help:"Open an account of an auditor, of a program that asks, or of an administrator of staff."`
	Invite  AuditorInviteCommand  `cmd:"" help:"Print a link by which a passkey may be added to an account, once."`
	Disable AuditorDisableCommand `cmd:"" help:"Close an account for good."`
	List    AuditorListCommand    `cmd:"" help:"List the accounts."`
}

// RegisterSettings say where accounts are kept.
type RegisterSettings struct {
	// Database is opened in the role rubrica_signer, the only one that writes the
	// log, in which each of these acts stands.
	Database string `help:"Address of the database (role rubrica_signer)." required:""`
}

// AuditorAddCommand opens an account. A program's secret is printed once and kept
// only as a hash.
type AuditorAddCommand struct {
	RegisterSettings
	Name string `arg:"" help:"Who it is, as the log will tell."`
	Role string `help:"auditor asks the log; administrator invites and disables auditors, and reads nothing of the log." enum:"auditor,administrator" required:""`
	// Certificate registers one certificate, not whoever has its name.
	Certificate string `help:"TLS client certificate to enter with (PEM)." type:"existingfile"`
	Program     bool   `help:"Draw a client secret, for a program that asks by itself."`
	// Output receives id and client_secret as JSON instead of the terminal.
	Output string `help:"Write them to this file (JSON) instead of printing them." type:"path"`
}

// Run opens the account.
func (c *AuditorAddCommand) Run(ctx context.Context) error {
	a := personnel.Account{ID: strings.ToLower(rand.Text()), Name: strings.TrimSpace(c.Name), Role: c.Role, CreatedAt: time.Now()}
	if err := c.check(a); err != nil {
		return err
	}
	credentials := auditorCredentials{ID: a.ID}
	if c.Program {
		credentials.Secret = newSecret()
		sum := sha256.Sum256([]byte(credentials.Secret))
		a.SecretHash = sum[:]
	}
	if c.Certificate != "" {
		var err error
		if a.Certificate, err = clientCertificate(c.Certificate, a.CreatedAt); err != nil {
			return err
		}
	}
	db, err := openDatabase(ctx, c.Database)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := db.Staff(personnel.Auditors()).Add(ctx, a); err != nil {
		return fmt.Errorf("opening the account: %w", err)
	}
	if c.Output != "" {
		return credentials.write(c.Output)
	}
	credentials.print()
	return nil
}

// maxAuditorName is in characters.
const maxAuditorName = 100

func (c *AuditorAddCommand) check(a personnel.Account) error {
	unfit := func(r rune) bool { return !unicode.IsGraphic(r) }
	switch {
	case a.Name == "" || utf8.RuneCountInString(a.Name) > maxAuditorName || !utf8.ValidString(a.Name) || strings.ContainsFunc(a.Name, unfit):
		return fmt.Errorf("the name must have 1 to %d characters that can be seen", maxAuditorName)
	case c.Program && a.Role != personnel.RoleAuditor:
		return errors.New("a program asks: its role is auditor")
	}
	return nil
}

// clientCertificate is the SHA-256 of the certificate in a file.
func clientCertificate(path string, now time.Time) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the auditor's certificate: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, fmt.Errorf("%s holds no certificate in PEM", path)
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("reading the auditor's certificate: %w", err)
	}
	if now.After(certificate.NotAfter) {
		return nil, fmt.Errorf("the certificate in %s ended on %s", path, certificate.NotAfter.Format(time.DateOnly))
	}
	return staff.Fingerprint(certificate), nil
}

// auditorCredentials are what a new account needs to be known by.
type auditorCredentials struct {
	ID     string `json:"id"`
	Secret string `json:"client_secret,omitempty"`
}

func (c auditorCredentials) print() {
	fmt.Println("id:           ", c.ID)
	if c.Secret != "" {
		fmt.Println("client_secret:", c.Secret, " (kept nowhere: write it down now)")
	}
}

func (c auditorCredentials) write(path string) error {
	text, err := json.MarshalIndent(c, "", "  ") //nolint:gosec // the file is where the secret belongs
	if err != nil {
		return fmt.Errorf("encoding the credentials: %w", err)
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("writing the credentials: %w", err)
	}
	return nil
}

// AuditorInviteCommand invites the owner of an account.
type AuditorInviteCommand struct {
	RegisterSettings
	ID string `arg:"" help:"The account's id."`
	// PublicURL is the door's, as AuditorServeCommand has it.
	PublicURL string `name:"public-url" help:"Address of the auditor's door, as browsers see it." required:"" production:"https"`
}

// Run prints the link. Whoever has it has the account, until it is used.
func (c *AuditorInviteCommand) Run(ctx context.Context) error {
	return c.with(ctx, c.ID, func(db *store.DB, a personnel.Account) error {
		now := time.Now()
		secret, i := staff.NewInvitation(a, now, staff.DefaultLimits().Invitation)
		if err := db.Staff(personnel.Auditors()).Invite(ctx, i, now); err != nil {
			return err
		}
		fmt.Printf("%s\n\nFor %s, once, until %s.\n", staff.AuditorPaths().Invitation(strings.TrimRight(c.PublicURL, "/"), secret), a.Name, i.ExpiresAt.Format(time.RFC1123))
		return nil
	})
}

// with does something with an account in use.
func (s RegisterSettings) with(ctx context.Context, id string, do func(*store.DB, personnel.Account) error) error {
	db, err := openDatabase(ctx, s.Database)
	if err != nil {
		return err
	}
	defer db.Close()
	a, err := db.Staff(personnel.Auditors()).Account(ctx, id)
	if errors.Is(err, policies.Refuse(policies.AuditorRefused)) || err == nil && a.Disabled() {
		return fmt.Errorf("there is no account %s in use: `rubrica auditor list` shows those that there are", id)
	}
	if err != nil {
		return fmt.Errorf("reading the account: %w", err)
	}
	return do(db, a)
}

// AuditorDisableCommand closes an account.
type AuditorDisableCommand struct {
	RegisterSettings
	ID string `arg:"" help:"The account's id."`
}

// Run ends the account with its sessions, tokens and invitations.
func (c *AuditorDisableCommand) Run(ctx context.Context) error {
	return c.with(ctx, c.ID, func(db *store.DB, a personnel.Account) error {
		return db.Staff(personnel.Auditors()).Disable(ctx, a.ID, time.Now())
	})
}

// AuditorListCommand lists the accounts.
type AuditorListCommand struct{ RegisterSettings }

// Run prints a line an account.
func (c *AuditorListCommand) Run(ctx context.Context) error {
	db, err := openDatabase(ctx, c.Database)
	if err != nil {
		return err
	}
	defer db.Close()
	accounts, err := db.Staff(personnel.Auditors()).Accounts(ctx, time.Now())
	if err != nil {
		return fmt.Errorf("reading the accounts: %w", err)
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tNAME\tROLE\tENTERS BY\tSINCE\tSTATE")
	for _, a := range accounts {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", a.ID, a.Name, a.Role, entersBy(a), a.CreatedAt.Format(time.DateOnly), stateOf(a))
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
