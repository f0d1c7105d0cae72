package dev

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/miekg/pkcs11"
)

// Token says where the PKCS#11 token is and how to log in.
type Token struct {
	Module  string // the library
	Label   string
	PINFile string
	// SoftHSMConfig is the value of SOFTHSM2_CONF, empty for another's token.
	SoftHSMConfig string
}

// Environ is what a process needs in its environment to find the token.
func (t Token) Environ() []string {
	if t.SoftHSMConfig == "" {
		return nil
	}
	return []string{"SOFTHSM2_CONF=" + t.SoftHSMConfig}
}

// SoftHSM finds the library of SoftHSM, "" if it is not installed.
func SoftHSM() string {
	for _, pattern := range []string{
		"/usr/lib/softhsm/libsofthsm2.so",
		"/usr/lib/*/softhsm/libsofthsm2.so",
		"/usr/lib*/pkcs11/libsofthsm2.so",
		"/usr/local/lib/softhsm/libsofthsm2.so",
	} {
		if found, err := filepath.Glob(pattern); err == nil && len(found) > 0 {
			return found[0]
		}
	}
	return ""
}

// prepareTokens returns the tokens to use, the service's and the root's, after
// logging in to each once. Unless others are configured, they are SoftHSM tokens
// in the data directory, with PINs of their own: that of the root's token is for
// whoever runs this, and no process of the service can read it.
func prepareTokens(d *directory, c Config) (service, root Token, err error) {
	if c.Token.Module != "" {
		return existingTokens(c)
	}
	service = Token{Module: SoftHSM(), Label: "rubrica", SoftHSMConfig: d.join("softhsm", "softhsm2.conf")}
	if service.Module == "" {
		return Token{}, Token{}, failure(StatusToken, "SoftHSM is not installed: sudo apt-get install -y softhsm2")
	}
	if err := os.MkdirAll(d.join("softhsm", "tokens"), 0o700); err != nil {
		return Token{}, Token{}, failure(StatusDirectory, "making a directory for the tokens: %w", err)
	}
	config := "directories.tokendir = " + d.join("softhsm", "tokens") + "\nobjectstore.backend = file\nlog.level = ERROR\n"
	if err := d.write("softhsm/softhsm2.conf", config); err != nil {
		return Token{}, Token{}, err
	}
	// The library reads its configuration once, when it is loaded.
	if err := os.Setenv("SOFTHSM2_CONF", service.SoftHSMConfig); err != nil {
		return Token{}, Token{}, failure(StatusToken, "telling SoftHSM where its tokens are: %w", err)
	}
	root = service
	root.Label = "rubrica-root"
	if err := ownToken(d, &service, "hsm"); err != nil {
		return Token{}, Token{}, err
	}
	return service, root, ownToken(d, &root, "hsm-root")
}

// ownToken opens a token of the data directory, or makes it, with PINs in the
// secrets of that name.
func ownToken(d *directory, t *Token, name string) error {
	path, userPIN, err := d.secretFrom(name+"-pin", pin)
	if err != nil {
		return err
	}
	_, officerPIN, err := d.secretFrom(name+"-so-pin", pin)
	if err != nil {
		return err
	}
	t.PINFile = path
	return openToken(*t, userPIN, officerPIN)
}

// existingTokens are somebody's. Where there is but one, the root's key is in
// it: that is no arrangement for production, where the root's is off line.
func existingTokens(c Config) (service, root Token, err error) {
	service, root = c.Token, c.RootToken
	if root.Label == "" {
		root = service
	}
	for _, t := range []Token{service, root} {
		if t.Label == "" || t.PINFile == "" {
			return Token{}, Token{}, failure(StatusToken,
				"--pkcs11-module also needs --token-label and --pin-file, and --root-token-label needs --root-pin-file")
		}
		pin, err := os.ReadFile(t.PINFile)
		if err != nil {
			return Token{}, Token{}, failure(StatusToken, "reading the PIN of the token: %w", err)
		}
		if err := openToken(t, strings.TrimSpace(string(pin)), ""); err != nil {
			return Token{}, Token{}, err
		}
	}
	return service, root, nil
}

// openToken logs in to see that the PIN is right. A token that does not exist
// is made when there is an officer's PIN to make it with.
func openToken(t Token, userPIN, officerPIN string) (err error) {
	lib := pkcs11.New(t.Module)
	if lib == nil {
		return failure(StatusToken, "the PKCS#11 module %s cannot be loaded", t.Module)
	}
	defer lib.Destroy()
	if err := lib.Initialize(); err != nil {
		return failure(StatusToken, "initialising the PKCS#11 module %s: %w", t.Module, err)
	}
	defer func() { err = errors.Join(err, lib.Finalize()) }()

	slot, found, err := findToken(lib, t.Label)
	if err != nil {
		return err
	}
	if !found {
		if officerPIN == "" {
			return failure(StatusToken, "no token with the label %q behind %s", t.Label, t.Module)
		}
		if slot, err = makeToken(lib, t.Label, userPIN, officerPIN); err != nil {
			return failure(StatusToken, "making the token: %w", err)
		}
	}
	session, err := lib.OpenSession(slot, pkcs11.CKF_SERIAL_SESSION)
	if err != nil {
		return failure(StatusToken, "opening a session with the token: %w", err)
	}
	err = lib.Login(session, pkcs11.CKU_USER, userPIN)
	switch {
	case errors.Is(err, pkcs11.Error(pkcs11.CKR_PIN_INCORRECT)):
		return failure(StatusToken, "the token %q has another PIN than the one in %s: restore that file, or start with another --dir", t.Label, t.PINFile)
	case errors.Is(err, pkcs11.Error(pkcs11.CKR_PIN_LOCKED)):
		return failure(StatusToken, "the PIN of the token %q is locked", t.Label)
	case err != nil:
		return failure(StatusToken, "logging in to the token %q: %w", t.Label, err)
	}
	return nil
}

func findToken(lib *pkcs11.Ctx, label string) (slot uint, found bool, err error) {
	slots, err := lib.GetSlotList(true)
	if err != nil {
		return 0, false, failure(StatusToken, "listing the tokens: %w", err)
	}
	for _, slot := range slots {
		info, err := lib.GetTokenInfo(slot)
		if err == nil && info.Flags&pkcs11.CKF_TOKEN_INITIALIZED != 0 && strings.TrimRight(info.Label, " \x00") == label {
			return slot, true, nil
		}
	}
	return 0, false, nil
}

// makeToken initialises the free slot that SoftHSM always offers. Doing it here
// and not with softhsm2-util keeps the PINs off a command line.
func makeToken(lib *pkcs11.Ctx, label, userPIN, officerPIN string) (uint, error) {
	slots, err := lib.GetSlotList(true)
	if err != nil {
		return 0, fmt.Errorf("listing slots: %w", err)
	}
	if len(slots) == 0 {
		return 0, errors.New("the module offers no slot")
	}
	slot := slots[len(slots)-1]
	if err := lib.InitToken(slot, officerPIN, label); err != nil {
		return 0, fmt.Errorf("initialising: %w", err)
	}
	session, err := lib.OpenSession(slot, pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION)
	if err != nil {
		return 0, fmt.Errorf("opening a session: %w", err)
	}
	defer func() { _ = lib.CloseSession(session) }()
	if err := lib.Login(session, pkcs11.CKU_SO, officerPIN); err != nil {
		return 0, fmt.Errorf("logging in as security officer: %w", err)
	}
	if err := lib.InitPIN(session, userPIN); err != nil {
		return 0, fmt.Errorf("setting the PIN: %w", err)
	}
	return slot, lib.Logout(session)
}
