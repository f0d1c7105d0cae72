package hsm_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/pkcs11"

	"github.com/rubrica-firma/rubrica/hsm"
	"github.com/rubrica-firma/rubrica/internal/hsmtest"
)

func TestOpenRefusesWithCauseAndRemedy(t *testing.T) {
	t.Parallel()
	notALibrary := filepath.Join(t.TempDir(), "module.so")
	if err := os.WriteFile(notALibrary, []byte("no ELF"), 0o600); err != nil {
		t.Fatalf("writing: %v", err)
	}
	valid := hsmtest.Config(t)
	tests := []struct {
		name   string
		change func(*hsm.Config)
		want   error
		says   string
	}{
		{"no module given", func(c *hsm.Config) { c.Module = "" }, hsm.ErrModule, "the usual ones are"},
		{"module missing", func(c *hsm.Config) { c.Module = "/nonexistent/module.so" }, hsm.ErrModule, "install SoftHSM"},
		{"module not a library", func(c *hsm.Config) { c.Module = notALibrary }, hsm.ErrModule, "is not a PKCS#11 library"},
		{"label unknown", func(c *hsm.Config) { c.TokenLabel = "nobody" }, hsm.ErrNoToken, `none is labelled "nobody"`},
		{"label empty", func(c *hsm.Config) { c.TokenLabel = "" }, hsm.ErrNoToken, "no label given"},
		{"PIN wrong", func(c *hsm.Config) { c.PIN = hsm.PIN("canary-0000") }, hsm.ErrPIN, "correct the PIN file"},
		{"PIN of one character", func(c *hsm.Config) { c.PIN = hsm.PIN("1") }, hsm.ErrPIN, "correct the PIN file"},
		{"PIN empty", func(c *hsm.Config) { c.PIN = nil }, hsm.ErrPIN, "check the PIN file"},
	}
	for _, test := range tests {
		config := valid
		test.change(&config)
		_, err := hsm.Open(config)
		if !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", test.name, err, test.want)
			continue
		}
		if !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: got %q, want it to say %q", test.name, err, test.says)
		}
		if strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: the error gives the PIN away: %q", test.name, err)
		}
	}
}

func TestOpenRefusesAmbiguousLabel(t *testing.T) {
	t.Parallel()
	config := hsmtest.Config(t)
	hsmtest.Twin(t, config)
	if _, err := hsm.Open(config); !errors.Is(err, hsm.ErrAmbiguous) {
		t.Errorf("got %v, want %v", err, hsm.ErrAmbiguous)
	}
}

func TestClosedTokenRefuses(t *testing.T) {
	t.Parallel()
	token, err := hsm.Open(hsmtest.Config(t))
	if err != nil {
		t.Fatalf("opening: %v", err)
	}
	if err := token.Close(); err != nil {
		t.Fatalf("closing: %v", err)
	}
	if _, err := token.Exists(t.Context(), "key"); !errors.Is(err, hsm.ErrClosed) {
		t.Errorf("got %v, want %v", err, hsm.ErrClosed)
	}
}

func TestTwoTokensInOneProcess(t *testing.T) {
	t.Parallel()
	first, second := hsmtest.New(t), hsmtest.New(t)
	if err := first.CreatePepper(t.Context(), "pepper"); err != nil {
		t.Fatalf("creating: %v", err)
	}
	if exists, err := second.Exists(t.Context(), "pepper"); err != nil || exists {
		t.Errorf("the other token's pepper: got %v, %v, want false", exists, err)
	}
}

func TestPINShowsItselfToNobody(t *testing.T) {
	t.Parallel()
	const canary = "canary-1234"
	config := hsm.Config{PIN: hsm.PIN(canary)}
	var out bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(handler).InfoContext(t.Context(), "opening", "pin", config.PIN)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+" "+verb+"\n", config.PIN, config)
	}
	if err := json.NewEncoder(&out).Encode(map[string]any{"pin": config.PIN}); err != nil {
		t.Fatalf("encoding: %v", err)
	}
	shown := out.String()
	for _, form := range []string{canary, fmt.Sprintf("%x", canary), "99 97 110 97 114 121", "Y2FuYXJ5LTEyMzQ"} {
		if strings.Contains(shown, form) {
			t.Errorf("the PIN shows as %q in:\n%s", form, shown)
		}
	}
	if !strings.Contains(shown, "[redacted]") {
		t.Errorf("got no redacted PIN in:\n%s", shown)
	}
}

// A refused PIN must not be tried again by healing: hardware tokens would lock.
func TestHealingTriesARefusedPINOnce(t *testing.T) {
	t.Parallel()
	config := hsmtest.Config(t)
	token := hsmtest.Open(t, config)
	module, session := hsmtest.Intruder(t, config)
	changePIN := func(from, to string) {
		t.Helper()
		if err := module.SetPIN(session, from, to); err != nil {
			t.Fatalf("changing the PIN: %v", err)
		}
		if err := module.Logout(session); err != nil {
			t.Fatalf("logging out: %v", err)
		}
	}
	const other = "changed-4321"
	changePIN(string(config.PIN), other)
	if _, err := token.Exists(t.Context(), "key"); !errors.Is(err, hsm.ErrPIN) {
		t.Fatalf("with the PIN changed: got %v, want %v", err, hsm.ErrPIN)
	}
	// The Token's own PIN becomes right again: had it asked a second time, it
	// would have been let in.
	if err := module.Login(session, pkcs11.CKU_USER, other); err != nil {
		t.Fatalf("logging in: %v", err)
	}
	changePIN(other, string(config.PIN))
	if _, err := token.Exists(t.Context(), "key"); !errors.Is(err, hsm.ErrPIN) {
		t.Errorf("with the PIN changed back: got %v, want %v", err, hsm.ErrPIN)
	}
}
