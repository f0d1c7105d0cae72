package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/rubrica-firma/rubrica/ca/ceremony"
	"github.com/rubrica-firma/rubrica/hsm"
	"github.com/rubrica-firma/rubrica/store"
)

// CATokens say where the two tokens are. That of the root is plugged in for
// ceremonies that need it, and for them alone.
type CATokens struct {
	PKCS11Module  string `name:"pkcs11-module" help:"PKCS#11 library of the HSM." type:"path"`
	TokenLabel    string `help:"Label of the service's token." default:"rubrica"`
	SoftHSMConfig string `name:"softhsm-config" help:"SoftHSM's configuration file, if it is not where SoftHSM looks." type:"path"`
	PINFile       string `name:"pin-file" help:"File with the PIN of the service's token." type:"path"`
	WrapMechanism string `help:"PKCS#11 mechanism that wraps keys: 0x210A (SoftHSM's) or 0x210B (PKCS#11 3.0)." default:"${wrap}"`

	// RootPKCS11Module is another library if the root's token is another HSM's.
	RootPKCS11Module string `name:"root-pkcs11-module" help:"PKCS#11 library of the root's token; the same if none is given." type:"path"`
	// RootTokenLabel may be the service's own: then the root stays on line.
	RootTokenLabel string `help:"Label of the root's token." default:"rubrica-root"`
	RootPINFile    string `name:"root-pin-file" help:"File with the PIN of the root's token." type:"path"`
	// RootSoftHSMConfig needs a library of its own: SoftHSM reads one
	// configuration a process.
	RootSoftHSMConfig string `name:"root-softhsm-config" help:"SoftHSM's configuration file for the root's token." type:"path"`
}

func (c *CATokens) service() TokenSettings {
	return TokenSettings{
		PKCS11Module: c.PKCS11Module, TokenLabel: c.TokenLabel, SoftHSMConfig: c.SoftHSMConfig, PINFile: c.PINFile,
		TokenSessions: 1, WrapMechanism: c.WrapMechanism,
	}
}

func (c *CATokens) root() TokenSettings {
	return TokenSettings{
		PKCS11Module: cmp.Or(c.RootPKCS11Module, c.PKCS11Module), TokenLabel: c.RootTokenLabel,
		SoftHSMConfig: cmp.Or(c.RootSoftHSMConfig, c.SoftHSMConfig), PINFile: c.RootPINFile, TokenSessions: 1, WrapMechanism: c.WrapMechanism,
	}
}

// oneToken is whether the root's key belongs into the service's token.
func (c *CATokens) oneToken() bool {
	return c.TokenLabel == c.RootTokenLabel && c.root().PKCS11Module == c.PKCS11Module && c.root().SoftHSMConfig == c.SoftHSMConfig
}

// caPINs are read while the process may still read them. The root's may be
// missing, with the reason why.
type caPINs struct {
	service, root hsm.PIN
	noRoot        error
}

func (p *caPINs) wipe() {
	clear(p.service)
	clear(p.root)
}

var (
	errNoServiceToken = errors.New("the service's token is needed: name it with --pkcs11-module, --token-label and --pin-file")
	errNoRootToken    = errors.New("the root's token is needed: plug it in, and name it with --root-token-label, --root-pin-file and, if it is another HSM's, --root-pkcs11-module")
	errOneSoftHSM     = errors.New("SoftHSM reads one configuration a process: keep both tokens in one directory, or give a copy of the library with --root-pkcs11-module")
)

func (c *CATokens) readPINs() (*caPINs, error) {
	if c.PKCS11Module == "" || c.PINFile == "" {
		return nil, errNoServiceToken
	}
	pins := &caPINs{}
	pin, err := secretFile(c.PINFile)
	if err != nil {
		return nil, err
	}
	pins.service = pin
	if c.RootPINFile == "" {
		pins.noRoot = fmt.Errorf("%w (no --root-pin-file)", errNoRootToken)
		return pins, nil
	}
	if pin, err = secretFile(c.RootPINFile); err != nil {
		pins.noRoot = fmt.Errorf("%w (--root-pin-file: %w)", errNoRootToken, err)
	}
	pins.root = pin
	return pins, nil
}

// openToken is TokenSettings.open with a PIN that was read before.
func openToken(s TokenSettings, pin hsm.PIN) (*hsm.Token, error) {
	config, err := s.withPIN(pin, slog.Default())
	if err != nil {
		return nil, err
	}
	return hsm.Open(config)
}

// caRoom is what ceremonies are held in.
type caRoom struct {
	settings  *CACommand
	db        *store.DB
	token     *hsm.Token
	rootToken *hsm.Token // nil until a step needs it
	pins      *caPINs
	house     *ceremony.House
}

func (r *caRoom) close() {
	r.pins.wipe()
	for _, token := range []*hsm.Token{r.rootToken, r.token} {
		if token != nil {
			_ = token.Close() // the process ends
		}
	}
	if r.db != nil {
		r.db.Close()
	}
}

// root opens the root's token, once.
func (r *caRoom) root(context.Context) (ceremony.Token, error) {
	if r.settings.oneToken() {
		return r.token, nil
	}
	if r.rootToken != nil {
		return r.rootToken, nil
	}
	if r.pins.noRoot != nil {
		return nil, r.pins.noRoot
	}
	s, service := r.settings.root(), r.settings.service()
	if s.SoftHSMConfig != service.SoftHSMConfig && s.PKCS11Module == service.PKCS11Module {
		return nil, errOneSoftHSM
	}
	token, err := openToken(s, r.pins.root)
	if errors.Is(err, hsm.ErrNoToken) {
		return nil, fmt.Errorf("%w (%w)", errNoRootToken, err)
	}
	if err != nil {
		return nil, fmt.Errorf("the root's token (--root-token-label %s): %w", s.TokenLabel, err)
	}
	r.rootToken = token
	// The service's library, if it has to begin anew, reads its own again.
	return token, service.findSoftHSM()
}

// makeExport makes the directory of the export while the process may, and gives
// it to whom it is going to be.
func (c *CACommand) makeExport() error {
	if _, err := os.Stat(c.Export); err == nil {
		return nil
	}
	if err := os.MkdirAll(c.Export, 0o755); err != nil { //nolint:gosec // all that will be in it is public
		return fmt.Errorf("making the directory of the export: %w", err)
	}
	owner, err := c.service().owner()
	if err != nil || owner == nil {
		return err
	}
	return os.Chown(c.Export, int(owner.Uid), int(owner.Gid))
}
