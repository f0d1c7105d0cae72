package hsm_test

import (
	"context"
	"crypto"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/pkcs11"

	"github.com/rubrica-firma/rubrica/hsm"
	"github.com/rubrica-firma/rubrica/internal/cputest"
	"github.com/rubrica-firma/rubrica/internal/hsmtest"
)

// healingBound is what reference/security.md (F5) allows.
const healingBound = 5 * time.Second

// rig is a Token over a shim, with one of each kind of key.
type rig struct {
	config  hsm.Config
	faults  *hsmtest.Faults
	token   *hsm.Token
	service crypto.Signer
	sealed  wrapped
	kept    crypto.PublicKey
}

func newRig(t *testing.T, change func(*hsm.Config)) *rig {
	t.Helper()
	config, faults := hsmtest.Shim(t, hsmtest.Config(t))
	return rigOf(t, config, faults, change)
}

func rigOf(t *testing.T, config hsm.Config, faults *hsmtest.Faults, change func(*hsm.Config)) *rig {
	t.Helper()
	config.Sessions = 3
	if change != nil {
		change(&config)
	}
	r := &rig{config: config, faults: faults, token: withKEK(t, config)}
	ctx := t.Context()
	if err := r.token.CreatePepper(ctx, "pepper"); err != nil {
		t.Fatalf("creating: %v", err)
	}
	var err error
	if r.service, err = r.token.CreateServiceKey(ctx, "service", hsm.P256); err != nil {
		t.Fatalf("creating: %v", err)
	}
	r.sealed = generate(t, r.token, hsm.P256)
	r.kept = createKept(t, r.token, "kept", hsm.P256)
	for _, label := range []string{"kek", "pepper"} {
		value, err := r.token.CheckValue(ctx, label)
		if err != nil {
			t.Fatalf("%s: %v", label, err)
		}
		if err := r.token.Expect(ctx, label, value); err != nil {
			t.Fatalf("%s: %v", label, err)
		}
	}
	return r
}

func signOnce(signer crypto.Signer) error {
	digest := make([]byte, 32)
	signature, err := signer.Sign(nil, digest, crypto.SHA256)
	if err != nil {
		return err
	}
	return verify(signer.Public(), digest, signature, crypto.SHA256)
}

// operations are what a signer asks of its token.
func (r *rig) operations(ctx context.Context) map[string]func() error {
	return map[string]func() error{
		"service key":   func() error { return signOnce(r.service) },
		"citizen's key": func() error { return use(ctx, r.token, r.sealed, signOnce) },
		"token key":     func() error { return r.token.WithTokenKey(ctx, "kept", hsm.P256, r.kept, signOnce) },
		"MAC":           func() error { _, err := r.token.MAC(ctx, "pepper", []byte("data")); return err },
		"generation":    func() error { _, _, err := r.token.GenerateWrapped(ctx, "kek", hsm.P256); return err },
	}
}

func TestTokenHealsFromFaults(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	causes := map[string]uint{
		"session closed": pkcs11.CKR_SESSION_HANDLE_INVALID, "logged out": pkcs11.CKR_OBJECT_HANDLE_INVALID,
		"not logged in": pkcs11.CKR_USER_NOT_LOGGED_IN, "device removed": pkcs11.CKR_DEVICE_REMOVED,
		"device error": pkcs11.CKR_DEVICE_ERROR, "token not present": pkcs11.CKR_TOKEN_NOT_PRESENT,
		"slot gone": pkcs11.CKR_SLOT_ID_INVALID,
	}
	functions := map[string][]string{
		"service key": {"C_SignInit", "C_Sign"}, "citizen's key": {"C_UnwrapKey", "C_SignInit", "C_Sign"},
		"token key": {"C_GetAttributeValue", "C_Sign"}, "MAC": {"C_SignInit", "C_Sign"},
		"generation": {"C_GenerateKeyPair", "C_GetAttributeValue", "C_WrapKey"},
	}
	awake := cputest.Awake(t)
	for cause, ckr := range causes {
		for name, operation := range r.operations(t.Context()) {
			for _, function := range functions[name] {
				before, start := r.faults.Fired(), awake()
				r.faults.Return(function, ckr, 1)
				if err := operation(); err != nil {
					t.Errorf("%s, %s in %s: got %v, want it healed", name, cause, function, err)
				}
				if took := awake() - start; took > healingBound {
					t.Errorf("%s, %s in %s: took %v, want at most %v", name, cause, function, took, healingBound)
				}
				if r.faults.Fired() == before {
					t.Errorf("%s: %s was never called: the fault shows nothing", name, function)
				}
			}
		}
	}
}

// All goroutines meet the fault; all go on within the bound, with one
// reconnection for all of them rather than one each.
func TestTokenHealsFromFaultsUnderLoad(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	faults := map[string]func(){
		"device removed":  func() { r.faults.Return("C_Sign", pkcs11.CKR_DEVICE_REMOVED, 3) },
		"sessions closed": func() { r.faults.Return("*", pkcs11.CKR_SESSION_HANDLE_INVALID, 3) },
		"away for a moment": func() {
			r.faults.ReturnAlways("*", pkcs11.CKR_TOKEN_NOT_PRESENT)
			time.Sleep(300 * time.Millisecond)
		},
		"logged out": func() { r.faults.Return("C_SignInit", pkcs11.CKR_KEY_HANDLE_INVALID, 2) },
	}
	var slowest atomic.Int64
	done := make(chan struct{})
	var group sync.WaitGroup
	for name, operation := range r.operations(t.Context()) {
		group.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				start := time.Now()
				if err := operation(); err != nil {
					t.Errorf("%s: got %v, want it healed", name, err)
				}
				slowest.Store(max(slowest.Load(), int64(time.Since(start))))
			}
		})
	}
	for range 3 {
		for name, strike := range faults {
			before := r.faults.Fired()
			strike()
			for end := time.Now().Add(healingBound); r.faults.Fired() == before; time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					t.Errorf("%s: the fault never happened", name)
					break
				}
			}
			r.faults.Clear()
			time.Sleep(50 * time.Millisecond)
		}
	}
	close(done)
	group.Wait()
	if got := time.Duration(slowest.Load()); got > healingBound {
		t.Errorf("the slowest operation took %v, want at most %v", got, healingBound)
	}
}

// Who fails in an epoch that began while he waited must not take it for one that
// began since: his session would go on with what he had begun.
func TestTokenHealsWhoeverWasOvertaken(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	for _, ckr := range []uint{pkcs11.CKR_DEVICE_REMOVED, pkcs11.CKR_SESSION_HANDLE_INVALID, pkcs11.CKR_KEY_HANDLE_INVALID} {
		before, done := r.faults.Fired(), make(chan error, 1)
		sign := func() { go func() { done <- signOnce(r.service) }() }
		if err := r.token.Overtake(sign, func() { r.faults.Return("C_Sign", ckr, 1) }); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Errorf("%v: got %v, want it healed", pkcs11.Error(ckr), err)
		}
		if r.faults.Fired() == before {
			t.Errorf("%v: the fault never happened", pkcs11.Error(ckr))
		}
	}
}

func TestOtherErrorsAreNotHealed(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	for _, ckr := range []uint{pkcs11.CKR_GENERAL_ERROR, pkcs11.CKR_FUNCTION_FAILED, pkcs11.CKR_HOST_MEMORY} {
		before := r.faults.Fired()
		r.faults.Return("C_Sign", ckr, 1)
		if err := signOnce(r.service); !errors.Is(err, pkcs11.Error(ckr)) {
			t.Errorf("got %v, want %v", err, pkcs11.Error(ckr))
		}
		if got := r.faults.Fired() - before; got != 1 {
			t.Errorf("%v: C_Sign failed %d times, want 1", pkcs11.Error(ckr), got)
		}
	}
	if err := signOnce(r.service); err != nil {
		t.Errorf("afterwards: got %v, want nil", err)
	}
}

// A token that is away for good is given up, within the bound; later operations
// do not wait for it again, and find it when it is back.
func TestTokenAwayIsGivenUp(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	awake := cputest.Awake(t)
	for function, ckr := range map[string]uint{"*": pkcs11.CKR_TOKEN_NOT_PRESENT, "C_Sign": pkcs11.CKR_DEVICE_REMOVED} {
		r.faults.ReturnAlways(function, ckr)
		start := awake()
		if err := signOnce(r.service); !errors.Is(err, pkcs11.Error(ckr)) {
			t.Errorf("%s: got %v, want %v", function, err, pkcs11.Error(ckr))
		}
		if took := awake() - start; took > healingBound+time.Second {
			t.Errorf("%s: took %v, want at most %v", function, took, healingBound)
		}
		if function == "*" {
			start = awake()
			if err := signOnce(r.service); err == nil {
				t.Error("while it is away: got no error")
			}
			if took := awake() - start; took > time.Second {
				t.Errorf("the second operation of an outage: took %v, want it to fail at once", took)
			}
		}
		r.faults.Clear()
		time.Sleep(time.Second) // longer than the longest pause between attempts
		if err := signOnce(r.service); err != nil {
			t.Errorf("%s, back again: got %v, want nil", function, err)
		}
	}
}

// Some modules see tokens at C_Initialize only.
func TestModuleIsInitialisedAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	awake := cputest.Awake(t)
	for _, function := range []string{"C_Sign", "C_OpenSession"} {
		before, start := r.faults.Fired(), awake()
		r.faults.ReturnUntilInitialise(function, pkcs11.CKR_DEVICE_REMOVED)
		if function == "C_OpenSession" {
			r.faults.Return("C_GetSessionInfo", pkcs11.CKR_DEVICE_REMOVED, 1)
			r.faults.Return("C_Sign", pkcs11.CKR_DEVICE_REMOVED, 1)
		}
		if err := signOnce(r.service); err != nil {
			t.Errorf("%s: got %v, want it healed", function, err)
		}
		if took := awake() - start; took > healingBound {
			t.Errorf("%s: took %v, want at most %v", function, took, healingBound)
		}
		if r.faults.Fired() == before {
			t.Errorf("%s: the fault never happened", function)
		}
		for name, operation := range r.operations(t.Context()) {
			if err := operation(); err != nil {
				t.Errorf("%s afterwards: got %v, want nil", name, err)
			}
		}
	}
}

// A batch goes on when the token goes away between two signatures.
func TestLentKeysSurviveTheDevice(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	batch := func(signer crypto.Signer) error {
		for range 3 {
			r.faults.Return("C_Sign", pkcs11.CKR_DEVICE_REMOVED, 1)
			if err := signOnce(signer); err != nil {
				return err
			}
		}
		return nil
	}
	if err := use(t.Context(), r.token, r.sealed, batch); err != nil {
		t.Errorf("citizen's key: got %v, want it healed", err)
	}
	if err := r.token.WithTokenKey(t.Context(), "kept", hsm.P256, r.kept, batch); err != nil {
		t.Errorf("token key: got %v, want it healed", err)
	}
	checkPrivateKeys(t, r.config, 2) // service and kept: no session object is left over
}

// A creation that is broken off leaves nothing behind that its repetition, or
// another, would find in its way.
func TestCreationHealsInItsMiddle(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	for _, ckr := range []uint{pkcs11.CKR_SESSION_HANDLE_INVALID, pkcs11.CKR_DEVICE_REMOVED} {
		before := r.faults.Fired()
		r.faults.Return("C_GetAttributeValue", ckr, 1)
		public, err := r.token.CreateTokenKey(t.Context(), "new", hsm.P256)
		if err != nil {
			t.Fatalf("creating: got %v, want it healed", err)
		}
		if r.faults.Fired() == before {
			t.Error("the fault never happened")
		}
		if err := r.token.WithTokenKey(t.Context(), "new", hsm.P256, public, signOnce); err != nil {
			t.Errorf("signing with it: got %v, want nil", err)
		}
		if err := r.token.Destroy(t.Context(), "new"); err != nil {
			t.Errorf("destroying: %v", err)
		}
	}
}

func TestHangIsReported(t *testing.T) {
	t.Parallel()
	const hang = 300 * time.Millisecond
	for _, function := range []string{"C_Sign", "C_OpenSession"} {
		heard := make(chan error, 2)
		r := newRig(t, func(c *hsm.Config) {
			c.Sessions, c.Wait, c.Hang = 1, 200*time.Millisecond, hang
			c.OnHang = func(err error) { heard <- err }
		})
		r.faults.Hang(function, 2*time.Second)
		if function == "C_OpenSession" {
			r.faults.Return("C_Sign", pkcs11.CKR_SESSION_HANDLE_INVALID, 1)
		}
		stuck := make(chan error, 1)
		go func() { stuck <- signOnce(r.service) }()
		time.Sleep(50 * time.Millisecond)
		if err := signOnce(r.service); !errors.Is(err, hsm.ErrBusy) {
			t.Errorf("%s: who waits meanwhile: got %v, want %v", function, err, hsm.ErrBusy)
		}
		select {
		case err := <-heard:
			if !errors.Is(err, hsm.ErrHung) {
				t.Errorf("%s: got %v, want %v", function, err, hsm.ErrHung)
			}
		case err := <-stuck:
			t.Fatalf("%s: the call came back (%v) before OnHang heard of it", function, err)
		}
		if err := <-stuck; err != nil {
			t.Errorf("%s: the call itself, come back late: got %v, want nil", function, err)
		}
		if len(heard) != 0 {
			t.Errorf("%s: OnHang was called twice", function)
		}
	}
}

// Generating a key may take longer than anything else.
func TestSlowGenerationIsNoHang(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *hsm.Config) {
		c.Hang = 300 * time.Millisecond
		c.OnHang = func(err error) { t.Errorf("OnHang: got %v, want nothing", err) }
	})
	r.faults.Hang("C_GenerateKeyPair", 900*time.Millisecond)
	if _, _, err := r.token.GenerateWrapped(t.Context(), "kek", hsm.P256); err != nil {
		t.Errorf("got %v, want nil", err)
	}
	if r.faults.Fired() != 1 {
		t.Error("the fault never happened")
	}
}

// Close must not wait for what does not come back.
func TestCloseLeavesAHungModule(t *testing.T) {
	t.Parallel()
	config, faults := hsmtest.Shim(t, hsmtest.Config(t))
	config.Hang = 200 * time.Millisecond
	token, err := hsm.Open(config)
	if err != nil {
		t.Fatalf("opening: %v", err)
	}
	service, err := token.CreateServiceKey(t.Context(), "service", hsm.P256)
	if err != nil {
		t.Fatalf("creating: %v", err)
	}
	faults.Hang("C_Sign", 2*time.Second)
	stuck := make(chan error, 1)
	go func() { stuck <- signOnce(service) }()
	time.Sleep(50 * time.Millisecond)
	awake := cputest.Awake(t)
	if err := token.Close(); !errors.Is(err, hsm.ErrHung) {
		t.Errorf("got %v, want %v", err, hsm.ErrHung)
	}
	if took := awake(); took > time.Second {
		t.Errorf("took %v, want it not to wait", took)
	}
	if err := <-stuck; err != nil {
		t.Errorf("the call itself, come back late: got %v, want nil", err)
	}
}

// check that errors name a cause, and no PIN.
func TestErrorsOfHealingSayWhy(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.faults.ReturnAlways("*", pkcs11.CKR_TOKEN_NOT_PRESENT)
	err := signOnce(r.service)
	if err == nil || !strings.Contains(err.Error(), "CKR_TOKEN_NOT_PRESENT") || strings.Contains(err.Error(), string(slices.Clone(r.config.PIN))) {
		t.Errorf("got %v, want it to name the cause and no PIN", err)
	}
	r.faults.Clear()
}
