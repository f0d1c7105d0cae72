package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/store"
)

// AppCommand administers the applications that may ask for signatures. Every
// change stands in the signature log.
type AppCommand struct {
	Add          AppAddCommand          `cmd:"" help:"Register an application or an office and print its credentials."`
	List         AppListCommand         `cmd:"" help:"List the applications and offices."`
	Show         AppShowCommand         `cmd:"" help:"Print what an application is known by, and what is relaxed for it."`
	Key          AppKeyCommand          `cmd:"" help:"Public keys with which an application shows who it is (private_key_jwt)."`
	Certificate  AppCertificateCommand  `cmd:"" help:"TLS certificates by which an application shows who it is."`
	Redirect     AppRedirectCommand     `cmd:"" help:"Addresses to which browsers may come back."`
	Switch       AppSwitchCommand       `cmd:"" help:"Relax the FAPI 2.0 security profile for an application, or no longer."`
	Scopes       AppScopesCommand       `cmd:"" help:"Say what an application may ask for."`
	Limits       AppLimitsCommand       `cmd:"" help:"Say through which doors an application may come, for what, and how often."`
	Contact      AppContactCommand      `cmd:"" help:"Say whom to tell when something is wrong."`
	Disable      AppDisableCommand      `cmd:"" help:"Shut an application out, at once."`
	Enable       AppEnableCommand       `cmd:"" help:"Let an application in again."`
	RotateSecret AppRotateSecretCommand `cmd:"" name:"rotate-secret" help:"Give an application another secret, in the place of the one that it has."`
}

// AppAddCommand registers a client. Its secret is printed once and kept only as
// a hash.
type AppAddCommand struct {
	// Database is opened in the role rubrica_signer.
	Database     string   `help:"Address of the database (role rubrica_signer)." required:""`
	Name         string   `help:"Name of the application or office, as citizens read it." required:""`
	Organisation string   `help:"Administration that it belongs to." required:""`
	ReturnURL    []string `name:"return-url" help:"Address to which browsers may come back; exact, several allowed."`
	Scope        []string `help:"signature for applications; service and credential for those that come by Cloud Signature Consortium; registration for offices; registration:video for providers of video identification." enum:"signature,service,credential,registration,registration:video" default:"signature"`
	// Key and Certificate are by what it shows who it is. With neither, it gets a
	// secret, and what the FAPI 2.0 security profile asks beyond that is relaxed.
	Key         string `help:"File with its public key (PEM, JWK or JWK set)." type:"existingfile"`
	Certificate string `help:"File with its TLS client certificate (PEM or DER)." type:"existingfile"`
	Contact     string `help:"Whom to tell when something is wrong."`
	// PublicKey lets an office make its key itself; without it a key is made, and
	// the office gets its private part with the other credentials.
	PublicKey string `help:"File with the public key of an office that keeps its key to itself (PEM, P-256)." type:"existingfile"`
	// Output receives client_id and client_secret, and an office's private_key,
	// as JSON instead of the terminal.
	Output string `help:"Write the credentials to this file (JSON) instead of printing them." type:"path"`
	SealSettings
}

// SealSettings are TokenSettings for the commands that need the token only to
// seal an office.
type SealSettings struct {
	PKCS11Module string `name:"pkcs11-module" help:"PKCS#11 library of the HSM, for an office." type:"path"`
	TokenLabel   string `help:"Label of the token." default:"rubrica"`
	PINFile      string `name:"pin-file" help:"File with the token's PIN, for an office." type:"existingfile"`
	// WrapMechanism and SoftHSMConfig are TokenSettings'.
	WrapMechanism string `help:"PKCS#11 mechanism that wraps keys, as the signer has it." default:"${wrap}"`
	SoftHSMConfig string `name:"softhsm-config" help:"SoftHSM's configuration file, if it is not where SoftHSM looks." type:"path"`
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

	n, err := c.handedIn()
	if err != nil {
		return err
	}
	secret, hash := citizen.DrawSecret()
	client, err := newClient(citizen.NewClientID(), n, hash, time.Now())
	if err != nil {
		return err
	}
	credentials := clientCredentials{ID: client.ID}
	if client.SecretHash != nil {
		credentials.Secret = secret.Reveal()
	}
	var key citizen.OfficeKey
	if slices.Contains(c.Scope, api.ScopeRegistration) {
		if key, credentials.PrivateKey, err = c.officeKey(ctx, db, client); err != nil {
			return err
		}
	}
	if err := db.AddOffice(ctx, client, key, time.Now()); err != nil {
		return fmt.Errorf("registering the application: %w", err)
	}
	if c.Output == "" {
		credentials.print()
		return nil
	}
	return credentials.write(c.Output)
}

// handedIn is what is to be registered.
func (c *AppAddCommand) handedIn() (n citizen.NewApplication, err error) {
	n = citizen.NewApplication{Name: c.Name, Organisation: c.Organisation, Scopes: c.Scope, ReturnAddresses: c.ReturnURL, Contact: c.Contact}
	if n.Keys, err = textOf(c.Key); err == nil {
		n.Certificate, err = textOf(c.Certificate)
	}
	return n, err
}

// textOf is what a file holds, nothing where none is named.
func textOf(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("reading by what an application shows who it is: %w", err)
	}
	return string(text), nil
}

// officeKey seals the key that an office's acts are checked with, the office's
// own or one made here, and gives the private part of the latter.
func (c *AppAddCommand) officeKey(ctx context.Context, db *store.DB, client signer.Client) (citizen.OfficeKey, string, error) {
	public, private, err := c.keyPair()
	if err != nil {
		return citizen.OfficeKey{}, "", err
	}
	token, err := TokenSettings{
		PKCS11Module: c.PKCS11Module, TokenLabel: c.TokenLabel, PINFile: c.PINFile, TokenSessions: 1, WrapMechanism: c.WrapMechanism,
		SoftHSMConfig: c.SoftHSMConfig,
	}.open(slog.Default())
	if err != nil {
		return citizen.OfficeKey{}, "", err
	}
	defer token.Close() //nolint:errcheck // the process ends
	if err := checkToken(ctx, db, token, map[string]bool{}); err != nil {
		return citizen.OfficeKey{}, "", err
	}
	office := citizen.Office{
		ID: client.ID, Name: client.Name, Organisation: client.Organisation, Scopes: client.Scopes, Enabled: true,
		PublicKey: public,
	}
	epochs, err := db.Epochs(ctx)
	if err != nil {
		return citizen.OfficeKey{}, "", fmt.Errorf("reading the keys' epochs: %w", err)
	}
	key, err := office.Sealed(ctx, signer.NewVault(signer.VaultConfig{Keys: token, Epochs: epochs}))
	return key, private, err
}

// keyPair reads the office's public key, or makes a pair on P-256.
func (c *AppAddCommand) keyPair() (public []byte, private string, err error) {
	if c.PublicKey != "" {
		text, err := os.ReadFile(c.PublicKey)
		if err != nil {
			return nil, "", fmt.Errorf("reading the office's public key: %w", err)
		}
		block, _ := pem.Decode(text)
		if block == nil || block.Type != "PUBLIC KEY" {
			return nil, "", fmt.Errorf("%s holds no public key in PEM: make one with `openssl pkey -pubout`", c.PublicKey)
		}
		return block.Bytes, "", nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, "", fmt.Errorf("making the office's key: %w", err)
	}
	if public, err = x509.MarshalPKIXPublicKey(key.Public()); err != nil {
		return nil, "", fmt.Errorf("encoding the office's public key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, "", fmt.Errorf("encoding the office's private key: %w", err)
	}
	return public, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), nil
}

// clientCredentials is a file that an application or an office keeps.
type clientCredentials struct {
	ID     string `json:"client_id"`
	Secret string `json:"client_secret,omitempty"`
	// PrivateKey signs an office's acts: PKCS #8 in PEM.
	PrivateKey string `json:"private_key,omitempty"`
}

func (c clientCredentials) print() {
	fmt.Println("client_id:    ", c.ID)
	if c.Secret != "" {
		fmt.Println("client_secret:", c.Secret, " (kept nowhere: write it down now)")
	}
	if c.PrivateKey != "" {
		fmt.Printf("private_key, kept nowhere either:\n%s", c.PrivateKey)
	}
}

func (c clientCredentials) write(path string) error {
	text, err := json.MarshalIndent(c, "", "  ") //nolint:gosec // the file is where the secret belongs
	if err != nil {
		return fmt.Errorf("encoding the credentials: %w", err)
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("writing the credentials: %w", err)
	}
	return nil
}

// check refuses what an office lacks, and what only an office has.
func (c *AppAddCommand) check() error {
	office := slices.Contains(c.Scope, api.ScopeRegistration)
	if office && (c.PKCS11Module == "" || c.PINFile == "") {
		return errors.New("an office's key is sealed by the token: name it with --pkcs11-module, --token-label and --pin-file")
	}
	if !office && c.PublicKey != "" {
		return errors.New("--public-key is for offices: add --scope registration")
	}
	return nil
}
