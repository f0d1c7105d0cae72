package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rubrica-firma/rubrica/api/oauth"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/store"
)

// AppSettings are what every command about one application needs.
type AppSettings struct {
	// Database is opened in the role rubrica_signer.
	Database string `help:"Address of the database (role rubrica_signer)." required:""`
	ID       string `arg:"" help:"The application's client id."`
}

// do opens the database for one change.
func (s AppSettings) do(ctx context.Context, change func(db *store.DB) error) error {
	db, err := openDatabase(ctx, s.Database)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := change(db); err != nil {
		return fmt.Errorf("application %s: %w", s.ID, err)
	}
	return nil
}

// operator is whoever has the database's password and this command.
func operator(db *store.DB) store.Administration { return db.Administration(store.Operator{}) }

// AppKeyCommand changes the keys of an application.
type AppKeyCommand struct {
	Add    AppKeyAddCommand    `cmd:"" help:"Admit a public key (PEM, JWK or JWK set); the others stay good, so that keys can be changed without a break."`
	Until  AppKeyUntilCommand  `cmd:"" help:"Say until when a key is good."`
	Remove AppKeyRemoveCommand `cmd:"" help:"Take a key away, at once."`
}

// AppKeyAddCommand admits keys.
type AppKeyAddCommand struct {
	AppSettings
	File string `arg:"" help:"File with the public key." type:"existingfile"`
	SpanSettings
}

// SpanSettings say when a key is good.
type SpanSettings struct {
	NotBefore time.Time     `name:"not-before" help:"From when it is good (RFC 3339); now, if it is not said."`
	Life      time.Duration `help:"For how long it is good." default:"17520h"`
}

func (s SpanSettings) keys(path string) ([]signer.ClientKey, error) {
	text, err := textOf(path)
	if err != nil {
		return nil, err
	}
	from := s.NotBefore
	if from.IsZero() {
		from = time.Now()
	}
	return clientKeys(text, from, from.Add(s.Life))
}

// Run admits the keys and prints their ids.
func (c *AppKeyAddCommand) Run(ctx context.Context) error {
	keys, err := c.keys(c.File)
	if err != nil {
		return err
	}
	return c.do(ctx, func(db *store.DB) error {
		if err := operator(db).AddKeys(ctx, c.ID, keys, time.Now()); err != nil {
			return err
		}
		for _, k := range keys {
			fmt.Println("kid:", k.ID)
		}
		return nil
	})
}

// AppKeyUntilCommand moves a key's end.
type AppKeyUntilCommand struct {
	AppSettings
	KID   string    `arg:"" name:"kid" help:"The key's id."`
	Until time.Time `arg:"" help:"When it ends (RFC 3339)."`
}

// Run moves it.
func (c *AppKeyUntilCommand) Run(ctx context.Context) error {
	return c.do(ctx, func(db *store.DB) error { return operator(db).EndKey(ctx, c.ID, c.KID, c.Until, time.Now()) })
}

// AppKeyRemoveCommand takes a key away.
type AppKeyRemoveCommand struct {
	AppSettings
	KID string `arg:"" name:"kid" help:"The key's id."`
}

// Run takes it away.
func (c *AppKeyRemoveCommand) Run(ctx context.Context) error {
	return c.do(ctx, func(db *store.DB) error { return operator(db).RemoveKey(ctx, c.ID, c.KID, time.Now()) })
}

// AppCertificateCommand changes the TLS certificates of an application.
type AppCertificateCommand struct {
	Add    AppCertificateAddCommand    `cmd:"" help:"Admit a TLS client certificate (PEM or DER), by its fingerprint; the others stay good."`
	Until  AppCertificateUntilCommand  `cmd:"" help:"Say until when a certificate is taken, at most until its own end."`
	Remove AppCertificateRemoveCommand `cmd:"" help:"Take a certificate away, at once."`
}

// AppCertificateAddCommand admits a certificate.
type AppCertificateAddCommand struct {
	AppSettings
	File string `arg:"" help:"File with the certificate." type:"existingfile"`
}

// Run admits it and prints its fingerprint.
func (c *AppCertificateAddCommand) Run(ctx context.Context) error {
	text, err := textOf(c.File)
	if err != nil {
		return err
	}
	k, err := readCertificate(text)
	if err != nil {
		return err
	}
	fmt.Println("sha256:", hex.EncodeToString(k.SHA256))
	return c.do(ctx, func(db *store.DB) error { return operator(db).AddCertificate(ctx, c.ID, k, time.Now()) })
}

// fingerprintSettings say which certificate.
type fingerprintSettings struct {
	AppSettings
	SHA256 string `arg:"" name:"sha256" help:"The certificate's fingerprint (hexadecimal)."`
}

func (s fingerprintSettings) fingerprint() ([]byte, error) {
	fingerprint, err := hex.DecodeString(strings.ReplaceAll(s.SHA256, ":", ""))
	if err != nil || len(fingerprint) != sha256.Size {
		return nil, errors.New("a fingerprint has 64 hexadecimal digits")
	}
	return fingerprint, nil
}

// AppCertificateUntilCommand moves a certificate's end.
type AppCertificateUntilCommand struct {
	fingerprintSettings
	Until time.Time `arg:"" help:"When it ends (RFC 3339)."`
}

// Run moves it.
func (c *AppCertificateUntilCommand) Run(ctx context.Context) error {
	fingerprint, err := c.fingerprint()
	if err != nil {
		return err
	}
	return c.do(ctx, func(db *store.DB) error {
		return operator(db).EndCertificate(ctx, c.ID, fingerprint, c.Until, time.Now())
	})
}

// AppCertificateRemoveCommand takes a certificate away.
type AppCertificateRemoveCommand struct{ fingerprintSettings }

// Run takes it away.
func (c *AppCertificateRemoveCommand) Run(ctx context.Context) error {
	fingerprint, err := c.fingerprint()
	if err != nil {
		return err
	}
	return c.do(ctx, func(db *store.DB) error { return operator(db).RemoveCertificate(ctx, c.ID, fingerprint, time.Now()) })
}

// AppRedirectCommand changes where browsers may be sent back to.
type AppRedirectCommand struct {
	Add    AppRedirectAddCommand    `cmd:"" help:"Admit an address to which browsers may come back. It is compared as it stands."`
	Remove AppRedirectRemoveCommand `cmd:"" help:"Take an address away."`
}

// AppRedirectAddCommand admits an address.
type AppRedirectAddCommand struct {
	AppSettings
	Address string `arg:"" help:"The address."`
}

// Run admits it.
func (c *AppRedirectAddCommand) Run(ctx context.Context) error {
	if err := oauth.CheckReturnAddress(c.Address); err != nil {
		return err
	}
	return c.do(ctx, func(db *store.DB) error { return operator(db).AddReturnAddress(ctx, c.ID, c.Address, time.Now()) })
}

// AppRedirectRemoveCommand takes an address away.
type AppRedirectRemoveCommand struct {
	AppSettings
	Address string `arg:"" help:"The address."`
}

// Run takes it away.
func (c *AppRedirectRemoveCommand) Run(ctx context.Context) error {
	return c.do(ctx, func(db *store.DB) error { return operator(db).RemoveReturnAddress(ctx, c.ID, c.Address, time.Now()) })
}

// AppSwitchCommand relaxes the FAPI 2.0 security profile for an application, or
// no longer.
type AppSwitchCommand struct {
	AppSettings
	Name string `arg:"" help:"secret: a client secret will do. no-par: authorisation requests need not be pushed. no-sender-constraint: tokens are bound to nothing. csc-v1: version 1 of the CSC interface. explicit: factors may pass through the application (SCAL1). credentials: it may ask citizens to have a certificate made or to give it up." enum:"secret,no-par,no-sender-constraint,csc-v1,explicit,credentials"`
	To   string `arg:"" help:"on or off." enum:"on,off"`
}

// Run turns it.
func (c *AppSwitchCommand) Run(ctx context.Context) error {
	return c.do(ctx, func(db *store.DB) error {
		err := operator(db).Switch(ctx, c.ID, c.Name, c.To == "on", time.Now())
		if errors.Is(err, policies.Refuse(policies.QueryInvalid)) {
			return errors.New("it has no secret: give it one with `rubrica app rotate-secret`")
		}
		return err
	})
}

// AppScopesCommand says what an application may ask for.
type AppScopesCommand struct {
	AppSettings
	Scope []string `help:"signature; service and credential for those that come by Cloud Signature Consortium; registration:video for providers of video identification." enum:"signature,service,credential,registration:video" required:""`
}

// Run sets all of them.
func (c *AppScopesCommand) Run(ctx context.Context) error {
	if err := checkScopes(c.Scope); err != nil {
		return err
	}
	return c.do(ctx, func(db *store.DB) error { return operator(db).SetScopes(ctx, c.ID, c.Scope, time.Now()) })
}

// AppLimitsCommand says what an application may use. What is not said is not
// limited.
type AppLimitsCommand struct {
	AppSettings
	Door   []string `help:"Doors through which it may come: rest, csc-v1, csc-v2, and oauth for what citizens grant it." enum:"rest,csc-v1,csc-v2,oauth"`
	Format []string `help:"Formats of signature that it may ask for: pades, cades-detached, cades-attached; hash for bare signatures over hashes."`
	Level  []string `help:"Levels that it may ask for, such as B-B,B-T."`
	Calls  int      `help:"Calls a second; 0: what the deployment grants."`
}

// Run sets all of them.
func (c *AppLimitsCommand) Run(ctx context.Context) error {
	limited := signer.Client{ID: c.ID, Doors: c.Door, Calls: c.Calls}
	for _, name := range c.Format {
		format := signer.Format(name)
		if !slices.Contains(signer.Formats(), format) {
			return fmt.Errorf("there is no format %q", name)
		}
		limited.Formats = append(limited.Formats, format)
	}
	for _, name := range c.Level {
		level := cades.Level(name)
		if !slices.Contains(cades.Levels(), level) {
			return fmt.Errorf("there is no level %q", name)
		}
		limited.Levels = append(limited.Levels, level)
	}
	if c.Calls < 0 {
		return errors.New("calls a second cannot be negative")
	}
	return c.do(ctx, func(db *store.DB) error { return operator(db).Limit(ctx, limited, time.Now()) })
}

// AppContactCommand says whom to tell when something is wrong.
type AppContactCommand struct {
	AppSettings
	Contact string `arg:"" help:"Name, mail or telephone."`
}

// Run keeps it.
func (c *AppContactCommand) Run(ctx context.Context) error {
	return c.do(ctx, func(db *store.DB) error { return operator(db).SetContact(ctx, c.ID, c.Contact, time.Now()) })
}

// AppDisableCommand shuts an application out.
type AppDisableCommand struct{ AppSettings }

// Run does it: from now on, every token of it is refused.
func (c *AppDisableCommand) Run(ctx context.Context) error {
	return c.do(ctx, func(db *store.DB) error { return operator(db).Enable(ctx, c.ID, false, time.Now()) })
}

// AppEnableCommand lets an application in again.
type AppEnableCommand struct{ AppSettings }

// Run does it.
func (c *AppEnableCommand) Run(ctx context.Context) error {
	return c.do(ctx, func(db *store.DB) error { return operator(db).Enable(ctx, c.ID, true, time.Now()) })
}

// AppRotateSecretCommand gives an application another secret.
type AppRotateSecretCommand struct {
	AppSettings
	Overlap time.Duration `help:"How long the secret that it has is good beside the other, at most 744h; 0: no longer." default:"0"`
	Output  string        `help:"Write the credentials to this file (JSON) instead of printing them." type:"path"`
}

// Run prints it once. The one before it is good for the overlap.
func (c *AppRotateSecretCommand) Run(ctx context.Context) error {
	secret, hash := citizen.DrawSecret()
	credentials := clientCredentials{ID: c.ID, Secret: secret.Reveal()}
	now, until := time.Now(), time.Time{}
	if c.Overlap != 0 {
		until = now.Add(c.Overlap)
	}
	if err := c.do(ctx, func(db *store.DB) error { return operator(db).SetSecret(ctx, c.ID, hash, until, now) }); err != nil {
		return err
	}
	if c.Output == "" {
		credentials.print()
		return nil
	}
	return credentials.write(c.Output)
}
