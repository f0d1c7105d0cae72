package hsm

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/miekg/pkcs11"
)

// Config says which token to open and how.
type Config struct {
	// Module is the path of the PKCS#11 library; ModulePaths lists usual ones.
	Module string
	// TokenLabel names the token; exactly one must carry it.
	TokenLabel string
	// PIN is the user PIN. Open copies it; the caller may wipe its own.
	PIN PIN
	// Sessions bounds how many operations run at once; 0 means 8.
	Sessions int
	// Wait bounds how long an operation waits for a free session before it fails
	// with ErrBusy; 0 means 10 seconds.
	Wait time.Duration
	// WrapMechanism wraps citizens' keys under the key-encryption key; 0 means
	// CKM_AES_KEY_WRAP_PAD (0x210A), under which SoftHSM implements RFC 5649.
	// Tokens of PKCS#11 3.0 may want CKM_AES_KEY_WRAP_KWP (0x210B).
	WrapMechanism uint
	// Hang bounds how long an operation in the module may take; generating a key
	// may take eight times as long. 0 means 15 seconds.
	Hang time.Duration
	// OnHang hears, once, that an operation has not come back. A call in C cannot
	// be abandoned: its thread and its session are lost. So OnHang should end the
	// process, and who supervises it start another. nil means that nobody hears.
	OnHang func(error)
	// Logger hears when the token had to be opened again; nil means nobody.
	Logger *slog.Logger
}

// complete checks the settings and fills in the defaults.
func (c Config) complete() (Config, error) {
	if c.Module == "" {
		return c, fmt.Errorf("%w: no path given: the usual ones are %v", ErrModule, ModulePaths())
	}
	if c.TokenLabel == "" {
		return c, fmt.Errorf("%w: no label given", ErrNoToken)
	}
	if len(c.PIN) == 0 {
		return c, fmt.Errorf("%w: it is empty: check the PIN file", ErrPIN)
	}
	if c.Sessions < 0 || c.Wait < 0 || c.Hang < 0 {
		return c, errors.New("sessions, wait and hang must not be negative")
	}
	if c.Sessions == 0 {
		c.Sessions = 8
	}
	if c.Wait == 0 {
		c.Wait = 10 * time.Second
	}
	if c.Hang == 0 {
		c.Hang = 15 * time.Second
	}
	if c.WrapMechanism == 0 {
		c.WrapMechanism = pkcs11.CKM_AES_KEY_WRAP_PAD
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// ModulePaths lists where distributions put SoftHSM's module: Debian, Ubuntu,
// Fedora, Alpine, Arch, and what is built by hand.
func ModulePaths() []string {
	return []string{
		"/usr/lib/softhsm/libsofthsm2.so",
		"/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
		"/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
		"/usr/lib64/pkcs11/libsofthsm2.so",
		"/usr/lib64/softhsm/libsofthsm.so",
		"/usr/lib/libsofthsm2.so",
		"/usr/local/lib/softhsm/libsofthsm2.so",
		"/opt/homebrew/lib/softhsm/libsofthsm2.so",
	}
}

// PIN is a user PIN that no log, format verb or encoder gives away. The login
// itself needs short-lived copies that Go and the binding do not let us wipe.
type PIN []byte

const redacted = "[redacted]"

// String hides the PIN.
func (PIN) String() string { return redacted }

// Format hides the PIN from every verb, %x and %d included.
func (PIN) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, redacted) }

// LogValue hides the PIN.
func (PIN) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText hides the PIN from encoders, JSON log handlers among them.
func (PIN) MarshalText() ([]byte, error) { return []byte(redacted), nil }
