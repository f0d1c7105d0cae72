package hsm_test

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/miekg/pkcs11"

	"github.com/rubrica-firma/rubrica/hsm"
	"github.com/rubrica-firma/rubrica/internal/cputest"
	"github.com/rubrica-firma/rubrica/internal/hsmtest"
)

func TestExpect(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	ctx := t.Context()
	value, err := r.token.CheckValue(ctx, "kek")
	if err != nil {
		t.Fatalf("check value: %v", err)
	}
	wrong := append([]byte{value[0] ^ 1}, value[1:]...)
	if err := r.token.Expect(ctx, "kek", wrong); !errors.Is(err, hsm.ErrOtherToken) {
		t.Errorf("another value: got %v, want %v", err, hsm.ErrOtherToken)
	}
	for name, operation := range r.operations(ctx) {
		if err := operation(); !errors.Is(err, hsm.ErrOtherToken) {
			t.Errorf("%s with another token: got %v, want %v", name, err, hsm.ErrOtherToken)
		}
	}
	if err := r.token.Expect(ctx, "kek", nil); err != nil {
		t.Errorf("expecting nothing: got %v, want nil", err)
	}
	time.Sleep(time.Second) // longer than the longest pause between attempts
	if err := r.token.Expect(ctx, "kek", value); err != nil {
		t.Errorf("the right value: got %v, want nil", err)
	}
	for name, operation := range r.operations(ctx) {
		if err := operation(); err != nil {
			t.Errorf("%s with the right token: got %v, want nil", name, err)
		}
	}
	if err := r.token.Expect(ctx, "nothing", value); !errors.Is(err, hsm.ErrOtherToken) {
		t.Errorf("no such key: got %v, want %v", err, hsm.ErrOtherToken)
	}
}

// A rotation ends with the destruction of the old key, which is then no longer
// expected.
func TestDestroyEndsExpectation(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	if err := r.token.Destroy(t.Context(), "pepper"); err != nil {
		t.Fatalf("destroying: %v", err)
	}
	r.faults.Return("C_Sign", pkcs11.CKR_DEVICE_REMOVED, 1)
	if err := signOnce(r.service); err != nil {
		t.Errorf("after a reconnection: got %v, want nil", err)
	}
}

// The token comes back, but with another KEK of the label: nothing of it is used.
func TestTokenWithAnotherKEKIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	elsewhere := hsmtest.Open(t, r.config)
	if err := elsewhere.Destroy(t.Context(), "kek"); err != nil {
		t.Fatalf("destroying: %v", err)
	}
	if err := elsewhere.CreateKEK(t.Context(), "kek"); err != nil {
		t.Fatalf("creating: %v", err)
	}
	r.faults.Return("C_Sign", pkcs11.CKR_DEVICE_REMOVED, 1)
	for range 3 {
		for name, operation := range r.operations(t.Context()) {
			if err := operation(); !errors.Is(err, hsm.ErrOtherToken) {
				t.Errorf("%s: got %v, want %v", name, err, hsm.ErrOtherToken)
			}
		}
	}
}

func TestTokenReinitialisedIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	hsmtest.Reinitialise(t, r.config)
	awake := cputest.Awake(t)
	for range 2 {
		for name, operation := range r.operations(t.Context()) {
			start := awake()
			if err := operation(); !errors.Is(err, hsm.ErrOtherToken) {
				t.Errorf("%s: got %v, want %v", name, err, hsm.ErrOtherToken)
			}
			if took := awake() - start; took > healingBound+time.Second {
				t.Errorf("%s: refused after %v, want at most %v", name, took, healingBound)
			}
		}
	}
}

// aloneVariable tells a test that it has a process of its own.
const aloneVariable = "RUBRICA_TEST_ALONE"

// alone runs the calling test again in a child process, if it is not in one: it
// does to SoftHSM what no other test would survive.
func alone(t *testing.T) bool {
	t.Helper()
	if os.Getenv(aloneVariable) != "" {
		return true
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatalf("finding this program: %v", err)
	}
	child := exec.CommandContext(t.Context(), program, "-test.run=^"+t.Name()+"$", "-test.v")
	child.Env = append(os.Environ(), aloneVariable+"=1")
	text, err := child.CombinedOutput()
	if err != nil || !strings.Contains(string(text), "--- PASS: "+t.Name()) {
		t.Errorf("in its own process: %v\n%s", err, text)
	}
	return false
}

// The token's directory goes away and comes back. SoftHSM sees neither before it
// is initialised anew.
func TestTokenUnpluggedComesBack(t *testing.T) {
	if !alone(t) {
		return
	}
	config := hsmtest.Config(t)
	hsmtest.HandOver(t)
	r := rigOf(t, config, nil, nil)
	plug := hsmtest.Unplug(t, config)
	for name, operation := range r.operations(t.Context()) {
		if err := operation(); err == nil {
			t.Errorf("%s without the token: got no error", name)
		}
	}
	plug()
	end := time.Now().Add(healingBound)
	for name, operation := range r.operations(t.Context()) {
		err := operation()
		for ; err != nil && time.Now().Before(end); err = operation() {
			time.Sleep(50 * time.Millisecond)
		}
		if err != nil {
			t.Errorf("%s with the token back: got %v, want it healed", name, err)
		}
	}
}

// The token goes away and comes back while operations wait for it.
func TestTokenAwayForAMoment(t *testing.T) {
	if !alone(t) {
		return
	}
	config := hsmtest.Config(t)
	hsmtest.HandOver(t)
	r := rigOf(t, config, nil, nil)
	for name, operation := range r.operations(t.Context()) {
		time.AfterFunc(time.Second, hsmtest.Unplug(t, config))
		start := time.Now()
		err := operation()
		for ; errors.Is(err, hsm.ErrOtherToken); err = operation() { // what SoftHSM makes of it at first
			time.Sleep(50 * time.Millisecond)
		}
		if err != nil {
			t.Errorf("%s: got %v, want it healed", name, err)
		}
		if took := time.Since(start); took < time.Second || took > healingBound {
			t.Errorf("%s: took %v, want more than 1s and at most %v", name, took, healingBound)
		}
	}
}
