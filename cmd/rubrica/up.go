package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/rubrica-firma/rubrica/internal/dev"
	"github.com/rubrica-firma/rubrica/internal/dev/sede"
	"github.com/rubrica-firma/rubrica/notify"
	"github.com/rubrica-firma/rubrica/store"
)

// UpCommand runs the development environment (internal/dev) in the foreground.
type UpCommand struct {
	// Dir holds everything: database, token, secrets, logs, documents. Deleting
	// it is starting anew.
	Dir string `help:"Data directory." default:"var" type:"path" placeholder:"DIR"`
	// Database uses a server that is already there. The role must own the
	// database and be allowed to create roles.
	Database string `help:"Use this PostgreSQL database instead of a private cluster." placeholder:"URL"`
	// PKCS11Module, TokenLabel and PINFile use a token that is already there.
	PKCS11Module string `name:"pkcs11-module" help:"Use the token of this PKCS#11 library instead of a SoftHSM one." placeholder:"FILE"`
	TokenLabel   string `help:"Label of that token." placeholder:"LABEL"`
	PINFile      string `name:"pin-file" help:"File that holds the user PIN of that token." placeholder:"FILE"`
	// RootTokenLabel and RootPINFile name another token of that library; else
	// the root's key is made in the only one.
	RootTokenLabel string `help:"Label of that library's token for the root." placeholder:"LABEL"`
	RootPINFile    string `name:"root-pin-file" help:"File that holds the user PIN of the root's token." placeholder:"FILE"`
	// Listen, Sede, Inbox and SMTP are loopback addresses: none of them is meant
	// for a network.
	Listen string `help:"Address of the signing service." default:"127.0.0.1:8080" placeholder:"HOST:PORT"`
	Sede   string `help:"Address of the demo sede." default:"127.0.0.1:8081" placeholder:"HOST:PORT"`
	Inbox  string `help:"Address of the inbox page and of its SMS gateway." default:"127.0.0.1:8082" placeholder:"HOST:PORT"`
	SMTP   string `name:"smtp" help:"Address of the inbox's mail server." default:"127.0.0.1:8025" placeholder:"HOST:PORT"`
	// Witness and Auditor belong to the signature log.
	Witness string `help:"Address of the witness of the signature log." default:"127.0.0.1:8083" placeholder:"HOST:PORT"`
	Auditor string `help:"Address of the auditor's door, with TLS." default:"127.0.0.1:8443" placeholder:"HOST:PORT"`
	// Registrar and Certificates are the registrar's two doors.
	Registrar    string `help:"Address of the officers' desk, with TLS." default:"127.0.0.1:8444" placeholder:"HOST:PORT"`
	Certificates string `help:"Address where citizens show certificates, with TLS." default:"127.0.0.1:8445" placeholder:"HOST:PORT"`
	// Demo signs one document without a hand before the environment is handed
	// over, and fails if foreign validators do not accept the signature.
	Demo bool `help:"Sign a document first, as the command demo does."`
	// Document is what the demo signs.
	Document string `help:"PDF for the demo to sign; the sede's sample if none is given." type:"existingfile" placeholder:"FILE"`
	// Sandbox makes it one for developers of applications.
	Sandbox bool `help:"Be a sandbox: citizens who are always the same, whose codes applications read."`
	// Set overrides settings of the configuration that is written, for tests
	// that cannot wait as long as people can.
	Set map[string]string `help:"Override settings, command.name=value." hidden:""`
	// Once ends everything after the demo, with its exit status.
	Once bool `help:"Do not stay up after the demo."`
}

// Run stays until ctx ends.
func (c *UpCommand) Run(ctx context.Context) error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	config := dev.Config{
		Dir:          c.Dir,
		Database:     c.Database,
		Token:        dev.Token{Module: c.PKCS11Module, Label: c.TokenLabel, PINFile: c.PINFile},
		RootToken:    dev.Token{Module: c.PKCS11Module, Label: c.RootTokenLabel, PINFile: c.RootPINFile},
		Listen:       c.Listen,
		Sede:         c.Sede,
		Inbox:        c.Inbox,
		SMTP:         c.SMTP,
		Witness:      c.Witness,
		Auditor:      c.Auditor,
		Registrar:    c.Registrar,
		Certificates: c.Certificates,
		Program:      program,
		Settings:     c.settings,
		Migrate:      migrate,
		Init:         developmentInit(c.Dir),
		Trust:        introduction,
		Once:         c.Once,
		Register:     developmentClients,
		Tell: func(e dev.Environment, application string) []string {
			return []string{"webhook", "add", "--application", application, sede.NoticeURL(e.SedeURL)}
		},
		Hint:   registrationHint,
		Out:    os.Stdout,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	}
	if c.Sandbox {
		config.Seed = []string{"citizen", "sandbox"}
	}
	if c.Demo {
		config.Demo = []string{"demo"}
		if c.Document != "" {
			config.Demo = append(config.Demo, c.Document)
		}
	}
	return dev.Up(ctx, config)
}

func migrate(ctx context.Context, ownerURL string) error {
	err := store.Migrate(ctx, ownerURL)
	if errors.Is(err, store.ErrNewerDatabase) {
		return fmt.Errorf("%w: %w", dev.ErrNewerSchema, err)
	}
	return err
}

func (c *UpCommand) settings(e dev.Environment) map[string]any {
	tree := developmentSettings(e)
	if c.Sandbox {
		maps.Copy(tree, map[string]any{"sandbox": true, "codes-per-hour": 10_000, "code-interval": "0s"}) // programs ask, not people
	}
	for key, value := range c.Set {
		table, at := tree, strings.Split(key, ".")
		for _, name := range at[:len(at)-1] {
			below, ok := table[name].(map[string]any)
			if !ok {
				below = map[string]any{}
				table[name] = below
			}
			table = below
		}
		table[at[len(at)-1]] = value
	}
	return tree
}

// developmentSettings is the content of <dir>/rubrica.toml: the same settings
// that production has, with the development environment at their far ends.
func developmentSettings(e dev.Environment) map[string]any {
	token := func(more map[string]any) map[string]any {
		more["pkcs11-module"] = e.Token.Module
		more["token-label"] = e.Token.Label
		more["pin-file"] = e.Token.PINFile
		if e.Token.SoftHSMConfig != "" {
			more["softhsm-config"] = e.Token.SoftHSMConfig
		}
		return more
	}
	return map[string]any{
		"mode":       "development",
		"public-url": e.PublicURL,
		"ca": token(map[string]any{
			"database":         e.Databases.Signer,
			"root-token-label": e.RootToken.Label,
			"root-pin-file":    e.RootToken.PINFile,
		}),
		"inbox": e.InboxURL,
		"citizen": map[string]any{ // Rosa Gil is at the desk of the command line
			"office": e.OfficeCredentials, "officer": "Rosa Gil", "sede": e.SedeCredentials, "return-url": sede.ReturnURL(e.SedeURL),
		},
		"officer":   map[string]any{"database": e.Databases.Signer, "public-url": e.RegistrarURL},
		"registrar": registrarSettings(e),
		"letter":    letterSettings(e),
		"demo": map[string]any{
			"office":     e.OfficeCredentials,
			"sede":       e.SedeCredentials,
			"return-url": sede.ReturnURL(e.SedeURL),
			"root-file":  e.RootFile,
			"policy":     e.LogPolicy,
			"output":     filepath.Join(e.Dir, "demo"),
		},
		"card":    token(map[string]any{"database": e.Databases.Signer}),
		"office":  map[string]any{"database": e.Databases.Signer},
		"app":     token(map[string]any{"database": e.Databases.Signer}),
		"webhook": map[string]any{"database": e.Databases.Signer, "webhook-loopback": true},
		"hsm":     token(map[string]any{}),
		"migrate": map[string]any{"database": e.Databases.Owner},
		"audit": map[string]any{
			"key":     token(map[string]any{}),
			"recover": token(map[string]any{"database": e.Databases.Signer, "witness-policy": e.LogPolicy, "log-state": e.LogState}),
			"erase":   map[string]any{"database": e.Databases.Owner},
		},
		"witness": map[string]any{"serve": map[string]any{"dir": e.WitnessDir, "listen": e.WitnessListen, "logs": e.LogWitnessed}},
		"auditor": map[string]any{
			"database": e.Databases.Signer, "public-url": e.AuditorURL,
			"serve": map[string]any{
				"database": e.Databases.Auditor, "listen": e.AuditorListen, "signer-socket": e.SignerSocket,
				"tls-certificate": e.AuditorTLS.Certificate, "tls-key": e.AuditorTLS.Key, "client-ca": e.AuditorTLS.CA, "client-revocation": "off",
				"witness-policy": e.LogPolicy, "log-url": e.PublicURL,
			},
		},
		"key": token(map[string]any{"database": e.Databases.Signer}),
		"signer": token(map[string]any{
			"database":       e.Databases.Signer,
			"socket":         e.SignerSocket,
			"peer-user":      e.Peers,
			"socket-group":   e.SocketGroup,
			"witness-policy": e.LogPolicy,
			"log-state":      e.LogState,
			"auditor-user":   e.AuditorPeers,
			"registrar-user": e.RegistrarPeers,
			"sms-gateway":    e.SMSGateway,
			"sms-token-file": e.SMSTokenFile,
			"sms-status-url": e.SMSGateway + "/" + notify.MessageID,

			"register-url":        e.RegisterURL,
			"register-token-file": e.RegisterTokenFile,
			"municipal-card":      true,

			"mail-server":      e.SMTP,
			"mail-without-tls": true,
		}),
		"api": map[string]any{
			"database":         e.Databases.API,
			"listen":           e.Listen,
			"signer-socket":    e.SignerSocket,
			"witness-policy":   e.LogPolicy,
			"certificate-url":  e.CertificateURL,
			"mail-server":      e.SMTP,
			"mail-without-tls": true,
			"letters":          true,
			"municipal-card":   true,
			"development":      true,
			"webhook-keys":     []string{e.WebhookKey},
			"webhook-loopback": true,
		},
	}
}

// developmentClients are the demo sede and the office of the hint.
func developmentClients(e dev.Environment) []dev.Registration {
	return []dev.Registration{
		{File: e.SedeCredentials, Command: []string{
			"app", "add", "--name", "Sede electrónica", "--organisation", "Ayuntamiento de Valdehierro",
			"--scope", "signature,service,credential",
			"--return-url", sede.ReturnURL(e.SedeURL), "--return-url", sede.ConsortiumReturnURL(e.SedeURL), "--output", e.SedeCredentials,
		}},
		{File: e.OfficeCredentials, Command: []string{
			"app", "add", "--name", "Oficina de registro de Valdehierro", "--organisation", "Ayuntamiento de Valdehierro",
			"--scope", "registration", "--output", e.OfficeCredentials,
		}},
		{File: e.OfficerID, Command: []string{
			"officer", "add", "Rosa Gil", "--role", "supervisor", "--office-file", e.OfficeCredentials,
			"--certificate", e.Registrar.ClientCertificate, "--output", e.OfficerID,
		}},
		{File: e.SecondID, Command: []string{
			"officer", "add", "Marcos Ruiz Vega", "--role", "officer", "--office-file", e.OfficeCredentials,
			"--certificate", e.Registrar.Second, "--output", e.SecondID,
		}},
		{File: e.AuditorID, Command: []string{
			"auditor", "add", "Auditora de Desarrollo", "--role", "auditor", "--certificate", e.AuditorTLS.ClientCertificate, "--output", e.AuditorID,
		}},
	}
}

func registrationHint(e dev.Environment) string {
	return "To sign as yourself, be registered as at an office, and follow what the receipt says:\n\n  " +
		os.Args[0] + " citizen register --config " + e.ConfigFile + ` \
    --identifier 12345678Z --given-name Ana --surnames "Núñez Pérez" \
    --phone 600000421 --email ana@example.es --document-until 2031-12-31`
}
