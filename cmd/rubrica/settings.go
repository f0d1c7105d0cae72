package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/rubrica-firma/rubrica/hsm"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/store"
)

// TokenSettings say where the PKCS#11 token is.
type TokenSettings struct {
	PKCS11Module string `name:"pkcs11-module" help:"PKCS#11 library of the HSM." required:"" type:"path"`
	TokenLabel   string `help:"Label of the token." default:"rubrica"`
	// SoftHSMConfig is for SoftHSM alone, which else looks in SOFTHSM2_CONF and
	// in /etc.
	SoftHSMConfig string `name:"softhsm-config" help:"SoftHSM's configuration file, if it is not where SoftHSM looks." type:"path"`
	// PINFile holds the user PIN; a line break at its end is ignored.
	PINFile string `name:"pin-file" help:"File with the token's PIN." required:"" type:"existingfile"`
	// TokenSessions bounds how many operations run on the token at once.
	TokenSessions int `help:"Sessions with the token." default:"8"`
	// WrapMechanism wraps citizens' keys; hsm probe says which one a token has.
	WrapMechanism string `help:"PKCS#11 mechanism that wraps keys: 0x210A (SoftHSM's) or 0x210B (PKCS#11 3.0)." default:"${wrap}"`
	// TokenHang is after how long an operation that has not come back ends the
	// process: a call into a PKCS#11 library cannot be given up.
	TokenHang time.Duration `help:"How long an operation of the token may take." default:"15s"`
}

func (s TokenSettings) open(logger *slog.Logger) (*hsm.Token, error) {
	config, err := s.config(logger)
	if err != nil {
		return nil, err
	}
	defer clear(config.PIN)
	return hsm.Open(config)
}

// config holds the PIN: its caller wipes it.
func (s TokenSettings) config(logger *slog.Logger) (hsm.Config, error) {
	pin, err := secretFile(s.PINFile)
	if err != nil {
		return hsm.Config{}, err
	}
	return s.withPIN(pin, logger)
}

func (s TokenSettings) withPIN(pin hsm.PIN, logger *slog.Logger) (hsm.Config, error) {
	if err := s.findSoftHSM(); err != nil {
		return hsm.Config{}, err
	}
	mechanism, err := strconv.ParseUint(s.WrapMechanism, 0, 32)
	if err != nil {
		return hsm.Config{}, fmt.Errorf("wrap-mechanism %q is not a number such as %s", s.WrapMechanism, defaultWrap)
	}
	return hsm.Config{
		Module: s.PKCS11Module, TokenLabel: s.TokenLabel, PIN: pin, Sessions: s.TokenSessions,
		WrapMechanism: uint(mechanism), Hang: s.TokenHang, Logger: logger,
		OnHang: func(err error) {
			logger.Error("hsm_hangs", "error", err)
			os.Exit(statusHang) // whoever supervises the process starts another
		},
	}, nil
}

// findSoftHSM tells the library where its tokens are: it reads its environment
// once, when it is loaded.
func (s TokenSettings) findSoftHSM() error {
	if s.SoftHSMConfig == "" {
		return nil
	}
	if err := os.Setenv("SOFTHSM2_CONF", s.SoftHSMConfig); err != nil {
		return fmt.Errorf("telling SoftHSM where its tokens are: %w", err)
	}
	return nil
}

// defaultWrap is CKM_AES_KEY_WRAP_PAD, under which SoftHSM implements RFC 5649.
const defaultWrap = "0x210A"

// statusHang is the exit status of a process whose token does not answer.
const statusHang = 75 // EX_TEMPFAIL, sysexits(3)

// PasswordSettings are the numbers of passwords.
type PasswordSettings struct {
	// Argon2Memory, Argon2Passes and Argon2Lanes are what one guess costs (RFC
	// 9106). Boxes of another cost move at their next use.
	Argon2Memory uint32 `name:"argon2-memory" help:"Memory of one password evaluation, MiB." default:"64"`
	Argon2Passes uint32 `name:"argon2-passes" help:"Passes over it." default:"3"`
	Argon2Lanes  uint8  `name:"argon2-lanes" help:"Lanes." default:"1"`
	// Argon2Parallel and Argon2Queue bound the memory: beyond them callers are
	// told to come back.
	Argon2Parallel int `name:"argon2-parallel" help:"Evaluations at once; 0: one for each processor."`
	Argon2Queue    int `name:"argon2-queue" help:"Evaluations that may wait; 0: sixteen for each processor."`
	// PasswordLife is after how long a password opens nothing but its change.
	PasswordLife time.Duration `help:"Validity of a password." default:"17520h"`
	// PasswordLockout says whose wrong passwords lock: those from a network that
	// the citizen has come from before (others are made to wait, for longer each
	// time), or everybody's, as Cl@ve has it, and whoever likes can lock anybody.
	PasswordLockout string `help:"Who locks a password with wrong tries: familiar networks, or all." enum:"familiar,all" default:"familiar"`
}

func (s PasswordSettings) vault(keys signer.Keys, epochs signer.Epochs) *signer.Vault {
	processors := runtime.GOMAXPROCS(0)
	return signer.NewVault(signer.VaultConfig{
		Keys: keys, Epochs: epochs,
		Cost:     signer.Cost{MemoryKiB: s.Argon2Memory << 10, Passes: s.Argon2Passes, Lanes: s.Argon2Lanes},
		Parallel: cmp.Or(s.Argon2Parallel, processors), Queue: cmp.Or(s.Argon2Queue, 16*processors),
	})
}

func (s PasswordSettings) bound(limits *signer.Limits) {
	limits.PasswordLife = s.PasswordLife
	if s.PasswordLockout == "all" {
		limits.Password.Hard = limits.Password.Tries
	}
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

// plainURL is the address under which certificates, lists and answers of the CA
// are published: http, since whoever fetches them is checking a certificate
// (RFC 5280, section 4.2.1.13).
func (s PublicSettings) plainURL() (string, error) {
	u, err := url.Parse(s.PublicURL)
	if err != nil {
		return "", fmt.Errorf("public-url %q is no address", s.PublicURL)
	}
	u.Scheme = "http"
	return strings.TrimRight(u.String(), "/"), nil
}

// RuleSettings are the policies that a deployment may set.
type RuleSettings struct {
	// FiveYears selects the reading of the five-year rule: strict refuses also
	// registrations made on line with a certificate, age only old ones.
	FiveYears string `help:"Reading of the five-year rule: strict or age." enum:"strict,age" default:"strict"`
	// PhoneCoolOff is for how long after a change of mobile nothing is issued and no
	// password is set anew: between a day and thirty. Less would not leave whoever
	// lost the number to a thief the time to read of it.
	PhoneCoolOff coolOff `name:"phone-cool-off" help:"Time after a change of mobile without new certificates or passwords, 24h to 720h." default:"72h"`
}

// coolOff is a duration within the bounds of RuleSettings.PhoneCoolOff.
type coolOff struct{ time.Duration }

// UnmarshalText implements encoding.TextUnmarshaler.
func (c *coolOff) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	if err != nil {
		return err
	}
	const day = 24 * time.Hour
	if d < day || d > 30*day || d%time.Hour != 0 {
		return fmt.Errorf("%s is not whole hours between 24h and 720h", d)
	}
	c.Duration = d
	return nil
}

func (s RuleSettings) rules() policies.Rules {
	rules := policies.DefaultRules()
	rules.Reading, rules.PhoneCoolOff = policies.Reading(s.FiveYears), s.PhoneCoolOff.Duration
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
