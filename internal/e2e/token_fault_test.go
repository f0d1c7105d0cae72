package e2e

import (
	"context"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/hsm"
	"github.com/rubrica-firma/rubrica/internal/dev"
	"github.com/rubrica-firma/rubrica/internal/hsmtest"
	"github.com/rubrica-firma/rubrica/internal/thread"
)

const (
	// reopened is how soon a token is used again (F5).
	reopened = 5 * time.Second
	// hang is how long an operation of the token may take here.
	hang = 2 * time.Second
)

// TestFaultToken puts a module in the way that fails as hardware does, and has a
// citizen sign.
func TestFaultToken(t *testing.T) {
	faults := shimmed(t)
	c := certified(t)
	t.Run("fails", func(t *testing.T) { tokenFails(t, faults, c) })
	t.Run("hangs", func(t *testing.T) { tokenHangs(t, faults, c) })
}

// tokenFails has calls into the module return an error: the process goes on, and
// nobody notices.
func tokenFails(t *testing.T, faults *hsmtest.Faults, c *thread.Citizen) {
	t.Helper()
	signer := pidOf(t, "signer")
	for name, fail := range map[string]func(){
		"sessions closed":         func() { faults.Return("*", 0xB3, 12) },            // CKR_SESSION_HANDLE_INVALID
		"logged out":              func() { faults.Return("C_SignInit", 0x82, 2) },    // CKR_OBJECT_HANDLE_INVALID
		"logged out, before keys": func() { faults.Return("C_UnwrapKey", 0x101, 2) },  // CKR_USER_NOT_LOGGED_IN
		"device removed":          func() { faults.ReturnUntilInitialise("*", 0x32) }, // CKR_DEVICE_REMOVED
		"token gone":              func() { faults.ReturnUntilInitialise("*", 0xE0) }, // CKR_TOKEN_NOT_PRESENT
	} {
		t.Run(name, func(t *testing.T) {
			t.Cleanup(faults.Clear)
			w := walk(t, c)
			before := faults.Fired()
			fail()
			began := time.Now()
			if err := w.persevere(t.Context()); err != nil {
				t.Fatal(err)
			}
			took := time.Since(began)
			if took > reopened {
				t.Errorf("got a signature after %v, want it within %v", took, reopened)
			}
			if faults.Fired() == before {
				t.Error("the fault did not happen")
			}
			if now := pidOf(t, "signer"); now != signer {
				t.Errorf("got another signer, %d, want %d to have gone on", now, signer)
			}
			wantState(t, w.request.ID, "signed")
			checkInvariants(t)
			t.Logf("signed after %v", took.Round(time.Millisecond))
		})
	}
}

// tokenHangs has a call into the module not come back: the process ends itself,
// another takes its place, and what was under way is interrupted or untouched.
func tokenHangs(t *testing.T, faults *hsmtest.Faults, c *thread.Citizen) {
	t.Helper()
	for function, interrupted := range map[string]int{"C_UnwrapKey": 1, "C_SignInit": 0} {
		t.Run(function, func(t *testing.T) {
			t.Cleanup(faults.Clear)
			w := walk(t, c)
			w.reach(t, "/confirmar")
			digits := code(t, c, w.since)
			signer := pidOf(t, "signer")
			faults.Hang(function, time.Minute)
			began := time.Now()
			answered := make(chan struct{})
			go func() {
				defer close(answered)
				_ = w.browser.Submit(t.Context(), form{"code": digits}) // whatever comes of it
			}()
			for parentOf(signer) != 0 {
				if time.Since(began) > hang+back {
					t.Fatal("the process hangs with its token")
				}
				time.Sleep(time.Millisecond)
			}
			faults.Clear() // the next process has another connection
			died := time.Now()
			took := shared.recovered(t, "signer", signer, died) + died.Sub(began)
			<-answered
			if limit := hang + back; took > limit {
				t.Errorf("got the service back after %v, want it within %v", took, limit)
			}
			if !strings.Contains(logOf(t, "signer"), "hsm_hangs") {
				t.Error("the process does not say why it ended")
			}
			if err := w.persevere(t.Context()); err != nil {
				t.Fatal(err)
			}
			wantState(t, w.request.ID, "signed")
			if got := shared.query(t, `SELECT count(*) FROM log_entries WHERE operation = $1 AND type = 'sign.interrupted'`, w.request.ID); got != interrupted {
				t.Errorf("got %d interrupted signatures, want %d", got, interrupted)
			}
			if err := shared.settled(t.Context()); err != nil {
				t.Error(err)
			}
			t.Logf("back after %v", took.Round(time.Millisecond))
		})
	}
}

// TestFaultTokenInitialised makes an empty token of the same label and PIN of
// ours: it is not taken for ours, by the process that runs or by the next one,
// and all goes on by itself with the right one.
func TestFaultTokenInitialised(t *testing.T) {
	c := certified(t)
	w := walk(t, c)
	w.reach(t, "/confirmar")
	digits := code(t, c, w.since)

	tokens := filepath.Join(shared.dir, "softhsm", "tokens")
	command(t, nil, "cp", "-a", tokens, tokens+".right")
	owner := ownerOf(t, tokens)
	restore := func() {
		// A signer that starts just then may write into it: it is not removed, but
		// put aside.
		if err := errors.Join(os.Rename(tokens, tokens+".wrong"), os.Rename(tokens+".right", tokens)); err != nil {
			t.Errorf("restoring the token: %v", err)
		}
	}
	restored := false
	t.Cleanup(func() {
		if !restored {
			restore()
		}
	})
	command(t, owner, "softhsm2-util", "--init-token", "--token", "rubrica", "--label", "rubrica",
		"--so-pin", secret(t, "hsm-so-pin"), "--pin", secret(t, "hsm-pin"))
	until(t, "not ready", func() bool { return !shared.ready() })
	submit(t, w.browser, form{"code": digits})
	says(t, w.browser, http.StatusServiceUnavailable, "")
	wantState(t, w.request.ID, "pending")

	logged := len(logOf(t, "signer"))
	if err := syscall.Kill(pidOf(t, "signer"), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	until(t, "refused", func() bool {
		return strings.Contains(logOf(t, "signer")[logged:], "this is not the token that the database knows")
	})
	checkInvariants(t)
	restored = true
	restore()
	for limit := time.Now().Add(back); !shared.ready(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("the service is not ready %v after its token came back", back)
		}
	}
	if err := w.persevere(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantState(t, w.request.ID, "signed")
	checkInvariants(t)
}

// shimmed restarts the environment with a module between the signer and its
// token, until the test ends.
func shimmed(t *testing.T) *hsmtest.Faults {
	t.Helper()
	config, faults := hsmtest.Shim(t, hsm.Config{Module: dev.SoftHSM()})
	dir := filepath.Dir(config.Module)
	for dir, mode := range map[string]os.FileMode{dir: 0o777, filepath.Dir(dir): 0o711} { // for the signer's user
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
	}
	restart := func(args []string) {
		if err := shared.stop(syscall.SIGINT); err != nil {
			t.Error(err)
		}
		shared.args = args
		if err := shared.start(context.WithoutCancel(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	args := shared.args
	t.Cleanup(func() { restart(args) })
	restart(append(slices.Clip(args), "--set", "signer.pkcs11-module="+config.Module, "--set", "signer.token-hang="+hang.String()))
	return faults
}

func logOf(t *testing.T, process string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(shared.dir, "log", process+".log"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func secret(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(shared.dir, "secrets", name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

func ownerOf(t *testing.T, path string) *syscall.Credential {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		t.Fatalf("%s has no owner", path)
	}
	return &syscall.Credential{Uid: stat.Uid, Gid: stat.Gid}
}

// command runs a program, as somebody else if given, where the token is.
func command(t *testing.T, who *syscall.Credential, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), name, args...)
	cmd.Env = append(os.Environ(), "SOFTHSM2_CONF="+filepath.Join(shared.dir, "softhsm", "softhsm2.conf"))
	if who != nil && int(who.Uid) != os.Geteuid() {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: who}
		cmd.Dir = "/"
	}
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, text)
	}
}
