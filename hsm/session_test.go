package hsm_test

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/hsm"
	"github.com/rubrica-firma/rubrica/internal/hsmtest"
)

// disturbances are what can happen to our sessions. None touches the sessions of
// other tests, whose handles come from the same counter.
func disturbances(t *testing.T, config hsm.Config, token *hsm.Token) map[string]func() {
	t.Helper()
	check := func(err error) {
		if err != nil {
			t.Errorf("disturbing the token: %v", err)
		}
	}
	return map[string]func(){
		"all sessions closed": func() { hsmtest.CloseAllSessions(t, config) },
		"logged out by another session": func() {
			module, session := hsmtest.Intruder(t, config)
			check(module.Logout(session))
			check(module.CloseSession(session))
		},
		"pool closed, login kept": func() { check(token.LosePool()) },
		"anchor closed":           func() { check(token.LoseAnchor()) },
		"anchor closed, then the pool": func() {
			check(token.LoseAnchor())
			check(token.LosePool())
		},
	}
}

func TestTokenHeals(t *testing.T) {
	t.Parallel()
	config := hsmtest.Config(t)
	config.Sessions = 2
	token := withKEK(t, config)
	ctx := t.Context()
	if err := token.CreatePepper(ctx, "pepper"); err != nil {
		t.Fatalf("creating: %v", err)
	}
	service, err := token.CreateServiceKey(ctx, "service", hsm.P256)
	if err != nil {
		t.Fatalf("creating: %v", err)
	}
	key := generate(t, token, hsm.P256)

	operations := map[string]func() error{
		"Exists": func() error {
			exists, err := token.Exists(ctx, "service")
			if err == nil && !exists {
				return errors.New("the key has vanished")
			}
			return err
		},
		"ServiceKey": func() error { _, err := token.ServiceKey(ctx, "service"); return err },
		"Sign":       func() error { _, err := service.Sign(nil, make([]byte, 32), crypto.SHA256); return err },
		"MAC":        func() error { _, err := token.MAC(ctx, "pepper", []byte("data")); return err },
		"CheckValue": func() error { _, err := token.CheckValue(ctx, "kek"); return err },
		"Generate":   func() error { _, _, err := token.GenerateWrapped(ctx, "kek", hsm.P256); return err },
		"WithWrapped": func() error {
			return use(ctx, token, key, func(signer crypto.Signer) error { checkSigner(t, signer); return nil })
		},
		"Create": func() error {
			_, err := token.CreateServiceKey(ctx, "new", hsm.P256)
			return errors.Join(err, token.Destroy(ctx, "new"))
		},
	}
	for cause, disturb := range disturbances(t, config, token) {
		for name, operation := range operations {
			disturb()
			for range 3 { // once for each session of the pool, and once more
				if err := operation(); err != nil {
					t.Errorf("%s, %s: got %v, want it healed", cause, name, err)
				}
			}
		}
	}
}

// A batch goes on when its session object is lost between two signatures.
func TestWrappedKeyHealsInUse(t *testing.T) {
	t.Parallel()
	config := hsmtest.Config(t)
	token := withKEK(t, config)
	for _, algorithm := range []string{hsm.P256, hsm.RSA2048} {
		key := generate(t, token, algorithm)
		for cause, disturb := range disturbances(t, config, token) {
			uses := 0
			err := use(t.Context(), token, key, func(signer crypto.Signer) error {
				uses++
				checkSigner(t, signer)
				disturb()
				checkSigner(t, signer)
				return nil
			})
			if err != nil || uses != 1 {
				t.Errorf("%s, %s: got %d uses, %v, want 1, healed", algorithm, cause, uses, err)
			}
		}
	}
	checkPrivateKeys(t, config, 0)
}

// Eight goroutines meet the disturbance at once, and none loses a signature.
// The sessions are closed between operations only: SoftHSM 2.6.1 itself crashes
// where C_CloseAllSessions meets an operation of another thread.
func TestTokenHealsUnderLoad(t *testing.T) {
	t.Parallel()
	config := hsmtest.Config(t)
	config.Sessions = 4
	token := withKEK(t, config)
	service, err := token.CreateServiceKey(t.Context(), "service", hsm.P256)
	if err != nil {
		t.Fatalf("creating: %v", err)
	}
	key := generate(t, token, hsm.P256)
	digest := digestOf(crypto.SHA256, "statement")
	sign := func(signer crypto.Signer) error {
		signature, err := signer.Sign(nil, digest, crypto.SHA256)
		if err != nil {
			return err
		}
		return verify(signer.Public(), digest, signature, crypto.SHA256)
	}

	var calm sync.RWMutex // held for writing while a disturbance happens
	done := make(chan struct{})
	signOften := func(i int) {
		for {
			select {
			case <-done:
				return
			default:
			}
			calm.RLock()
			if err := sign(service); err != nil {
				t.Errorf("service key, goroutine %d: %v", i, err)
			}
			if err := use(t.Context(), token, key, sign); err != nil {
				t.Errorf("citizen's key, goroutine %d: %v", i, err)
			}
			calm.RUnlock()
		}
	}
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() { signOften(i) })
	}
	for range 10 {
		for _, disturb := range disturbances(t, config, token) {
			time.Sleep(3 * time.Millisecond)
			calm.Lock()
			disturb()
			calm.Unlock()
		}
	}
	close(done)
	group.Wait()
	checkPrivateKeys(t, config, 1)
}

func TestConcurrentSigning(t *testing.T) {
	t.Parallel()
	config := hsmtest.Config(t)
	config.Sessions = 3 // fewer than goroutines
	token := withKEK(t, config)
	for _, algorithm := range []string{hsm.RSA2048, hsm.P256} {
		service, err := token.CreateServiceKey(t.Context(), algorithm, algorithm)
		if err != nil {
			t.Fatalf("creating: %v", err)
		}
		key := generate(t, token, algorithm)
		var group sync.WaitGroup
		for i := range 8 {
			group.Go(func() {
				for j := range 20 {
					digest := digestOf(crypto.SHA256, fmt.Sprint(i, j))
					sign := func(signer crypto.Signer) error {
						signature, err := signer.Sign(nil, digest, crypto.SHA256)
						if err != nil {
							return err
						}
						return verify(signer.Public(), digest, signature, crypto.SHA256)
					}
					if err := sign(service); err != nil {
						t.Errorf("service key, goroutine %d: %v", i, err)
					}
					if err := use(t.Context(), token, key, sign); err != nil {
						t.Errorf("citizen's key, goroutine %d: %v", i, err)
					}
				}
			})
		}
		group.Wait()
	}
}

func TestWaitingForASessionEnds(t *testing.T) {
	t.Parallel()
	config := hsmtest.Config(t)
	config.Sessions, config.Wait = 1, 200*time.Millisecond
	token := withKEK(t, config)
	service, err := token.CreateServiceKey(t.Context(), "service", hsm.P256)
	if err != nil {
		t.Fatalf("creating: %v", err)
	}
	key := generate(t, token, hsm.P256)
	err = use(t.Context(), token, key, func(crypto.Signer) error {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(20*time.Millisecond, cancel)
		if _, err := token.Exists(ctx, "service"); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled while waiting: got %v, want %v", err, context.Canceled)
		}
		if _, err := service.Sign(nil, make([]byte, 32), crypto.SHA256); !errors.Is(err, hsm.ErrBusy) {
			t.Errorf("service key without a session: got %v, want %v", err, hsm.ErrBusy)
		}
		return nil
	})
	if err != nil {
		t.Errorf("the session's holder: got %v, want nil", err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := use(cancelled, token, key, func(crypto.Signer) error { t.Error("use was called"); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before: got %v, want %v", err, context.Canceled)
	}
	if _, err := token.Exists(t.Context(), "service"); err != nil {
		t.Errorf("afterwards: got %v, want nil", err)
	}
}
