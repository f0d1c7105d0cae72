// Package hsmtest gives each test a SoftHSM token of its own. The tokens are
// real: what passes here has gone through PKCS#11.
//
// SoftHSM reads its configuration once per process, from the environment, when
// it is initialised. So the tests of one process share a token directory, in
// which each has its own token; with the last test of the moment the directory
// goes away, and the next one begins anew.
package hsmtest

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/pkcs11"

	"github.com/rubrica-firma/rubrica/hsm"
	"github.com/rubrica-firma/rubrica/internal/scratch"
)

const (
	userPIN    = "2468-user"
	officerPIN = "8642-officer"
)

// New opens a fresh token, which is closed when the test ends.
func New(tb testing.TB) *hsm.Token {
	tb.Helper()
	return Open(tb, Config(tb))
}

// Open opens a token of Config, which is closed when the test ends.
func Open(tb testing.TB, config hsm.Config) *hsm.Token {
	tb.Helper()
	token, err := hsm.Open(config)
	if err != nil {
		tb.Fatalf("opening the test token: %v", err)
	}
	tb.Cleanup(func() {
		// A token that the test made hang is left as it is.
		if err := token.Close(); err != nil && !errors.Is(err, hsm.ErrHung) {
			tb.Errorf("closing the test token: %v", err)
		}
	})
	return token
}

// Config initialises a fresh token and says how to open it. Child processes find
// it too: they inherit SOFTHSM2_CONF.
func Config(tb testing.TB) hsm.Config {
	tb.Helper()
	path := modulePath(tb)
	process.mu.Lock()
	defer process.mu.Unlock()
	if err := process.enter(path); err != nil {
		tb.Fatalf("starting SoftHSM: %v", err)
	}
	tb.Cleanup(func() {
		if err := process.leave(); err != nil {
			tb.Errorf("stopping SoftHSM: %v", err)
		}
	})
	label := "test-" + rand.Text()[:20]
	if err := process.initialise(label); err != nil {
		tb.Fatalf("initialising a test token: %v", err)
	}
	return hsm.Config{Module: path, TokenLabel: label, PIN: hsm.PIN(userPIN)}
}

// Twin initialises a second token with the label of the first.
func Twin(tb testing.TB, config hsm.Config) {
	tb.Helper()
	process.mu.Lock()
	defer process.mu.Unlock()
	if err := process.initialise(config.TokenLabel); err != nil {
		tb.Fatalf("initialising a twin token: %v", err)
	}
}

// Intruder opens a bare session to a token of Config, as somebody would who has
// got hold of the PIN. It is logged in, like every session of this process once
// a Token is open.
func Intruder(tb testing.TB, config hsm.Config) (*pkcs11.Ctx, pkcs11.SessionHandle) {
	tb.Helper()
	module := pkcs11.New(config.Module)
	slot, err := slotOf(module, config.TokenLabel)
	if err != nil {
		tb.Fatalf("finding the test token: %v", err)
	}
	session, err := module.OpenSession(slot, pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION)
	if err != nil {
		tb.Fatalf("opening a bare session: %v", err)
	}
	if err := module.Login(session, pkcs11.CKU_USER, userPIN); err != nil &&
		err != pkcs11.Error(pkcs11.CKR_USER_ALREADY_LOGGED_IN) { //nolint:errorlint // the binding returns it bare
		tb.Fatalf("logging in: %v", err)
	}
	return module, session
}

// CloseAllSessions ends every session with the token, and so the login.
func CloseAllSessions(tb testing.TB, config hsm.Config) {
	tb.Helper()
	module := pkcs11.New(config.Module)
	slot, err := slotOf(module, config.TokenLabel)
	if err != nil {
		tb.Fatalf("finding the test token: %v", err)
	}
	if err := module.CloseAllSessions(slot); err != nil {
		tb.Fatalf("closing all sessions: %v", err)
	}
}

// modulePath finds SoftHSM, or fails the test: a test that skips proves nothing.
func modulePath(tb testing.TB) string {
	tb.Helper()
	paths := hsm.ModulePaths()
	if named := os.Getenv("RUBRICA_PKCS11_MODULE"); named != "" {
		paths = []string{named}
	}
	i := slices.IndexFunc(paths, func(path string) bool {
		_, err := os.Stat(path)
		return err == nil
	})
	if i < 0 {
		tb.Fatalf("SoftHSM is missing (looked for %v): apt-get install softhsm2, or dnf install softhsm, "+
			"or name it in RUBRICA_PKCS11_MODULE", paths)
	}
	return paths[i]
}

// process is the state that PKCS#11 and SoftHSM keep per process, and that no
// test can therefore have for itself.
var process softHSM

type softHSM struct {
	mu     sync.Mutex
	users  int
	dir    string
	module *pkcs11.Ctx
}

// enter starts SoftHSM over an empty directory, for the first user. Callers hold mu.
func (s *softHSM) enter(path string) error {
	if s.users == 0 {
		if err := s.start(path); err != nil {
			return err
		}
	}
	s.users++
	return nil
}

func (s *softHSM) start(path string) error {
	dir, err := os.MkdirTemp(scratch.Root(), "rubrica-softhsm-")
	if err != nil {
		return fmt.Errorf("making the token directory: %w", err)
	}
	conf := filepath.Join(dir, "softhsm2.conf")
	text := fmt.Sprintf("directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n", dir)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return fmt.Errorf("writing SoftHSM's configuration: %w", err)
	}
	if err := os.Setenv("SOFTHSM2_CONF", conf); err != nil {
		return fmt.Errorf("naming SoftHSM's configuration: %w", err)
	}
	if s.module == nil {
		s.module = pkcs11.New(path)
	}
	if s.module == nil {
		return fmt.Errorf("%s cannot be loaded", path)
	}
	if err := s.module.Initialize(); err != nil {
		return fmt.Errorf("initialising %s: %w", path, err)
	}
	s.dir = dir
	return nil
}

// leave stops SoftHSM and removes its directory, for the last user.
func (s *softHSM) leave() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users--; s.users > 0 {
		return nil
	}
	if err := s.module.Finalize(); err != nil && !errors.Is(err, pkcs11.Error(pkcs11.CKR_CRYPTOKI_NOT_INITIALIZED)) {
		return fmt.Errorf("finalising the module: %w", err)
	}
	return os.RemoveAll(s.dir)
}

// initialise makes a token in the free slot that SoftHSM always offers. Callers
// hold mu.
func (s *softHSM) initialise(label string) error {
	free, err := slotOf(s.module, "")
	if err != nil {
		return err
	}
	if err := s.module.InitToken(free, officerPIN, label); err != nil {
		return fmt.Errorf("initialising the token: %w", err)
	}
	slot, err := slotOf(s.module, label)
	if err != nil {
		return err
	}
	session, err := s.module.OpenSession(slot, pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION)
	if err != nil {
		return fmt.Errorf("opening a session: %w", err)
	}
	if err := s.module.Login(session, pkcs11.CKU_SO, officerPIN); err != nil {
		return fmt.Errorf("logging in as security officer: %w", err)
	}
	if err := s.module.InitPIN(session, userPIN); err != nil {
		return fmt.Errorf("setting the user PIN: %w", err)
	}
	if err := s.module.CloseSession(session); err != nil {
		return fmt.Errorf("closing the session: %w", err)
	}
	return nil
}

// slotOf finds a token by label; the empty label finds an uninitialised one.
func slotOf(module *pkcs11.Ctx, label string) (uint, error) {
	slots, err := module.GetSlotList(true)
	if err != nil {
		return 0, fmt.Errorf("listing the slots: %w", err)
	}
	for _, slot := range slots {
		info, err := module.GetTokenInfo(slot)
		if err != nil {
			return 0, fmt.Errorf("reading slot %d: %w", slot, err)
		}
		if blank := info.Flags&pkcs11.CKF_TOKEN_INITIALIZED == 0; blank == (label == "") && (blank || info.Label == label) {
			return slot, nil
		}
	}
	return 0, fmt.Errorf("no token labelled %q", label)
}

// Reinitialise makes the token of config an empty one of the same label and
// PINs, as somebody would from another process.
func Reinitialise(tb testing.TB, config hsm.Config) {
	tb.Helper()
	init := exec.CommandContext(tb.Context(), "softhsm2-util", "--init-token", "--token", config.TokenLabel,
		"--label", config.TokenLabel, "--so-pin", officerPIN, "--pin", userPIN)
	if text, err := init.CombinedOutput(); err != nil {
		tb.Fatalf("initialising the token anew: %v\n%s", err, text)
	}
}

// HandOver finalises SoftHSM, so that the Token that is opened next initialises
// it, and may do so again. It is for tests that are alone in their process.
func HandOver(tb testing.TB) {
	tb.Helper()
	process.mu.Lock()
	defer process.mu.Unlock()
	if err := process.module.Finalize(); err != nil {
		tb.Fatalf("finalising SoftHSM: %v", err)
	}
}

// Unplug takes the token of config out of SoftHSM's directory, and gives what
// puts it back.
func Unplug(tb testing.TB, config hsm.Config) (plug func()) {
	tb.Helper()
	module := pkcs11.New(config.Module)
	slot, err := slotOf(module, config.TokenLabel)
	if err != nil {
		tb.Fatalf("finding the test token: %v", err)
	}
	info, err := module.GetTokenInfo(slot)
	if err != nil {
		tb.Fatalf("reading the test token: %v", err)
	}
	from := tokenDir(tb, info.SerialNumber)
	to := filepath.Join(elsewhere(tb), "unplugged")
	move := func(from, to string) {
		if err := os.Rename(from, to); err != nil {
			tb.Errorf("moving the token: %v", err)
		}
	}
	move(from, to)
	return func() { move(to, from) }
}

// elsewhere is a directory on the file system of the tokens, which only there
// can be moved at once.
func elsewhere(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp(filepath.Dir(process.dir), "rubrica-unplugged-") //nolint:usetesting // its own may be on another file system
	if err != nil {
		tb.Fatalf("making a directory: %v", err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// tokenDir finds SoftHSM's directory of a token: its name ends with the serial
// number.
func tokenDir(tb testing.TB, serial string) string {
	tb.Helper()
	entries, err := os.ReadDir(process.dir)
	if err != nil {
		tb.Fatalf("reading the token directory: %v", err)
	}
	for _, e := range entries {
		if name := strings.ReplaceAll(e.Name(), "-", ""); e.IsDir() && strings.HasSuffix(name, serial) {
			return filepath.Join(process.dir, e.Name())
		}
	}
	tb.Fatalf("no token directory of serial number %s", serial)
	return ""
}
