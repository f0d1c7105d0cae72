package hsm_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/miekg/pkcs11"

	"github.com/rubrica-firma/rubrica/hsm"
	"github.com/rubrica-firma/rubrica/internal/hsmtest"
)

// wrapped is a citizen's key as the store would hold it.
type wrapped struct {
	algorithm string
	public    crypto.PublicKey
	blob      []byte
}

func withKEK(t *testing.T, config hsm.Config) *hsm.Token {
	t.Helper()
	token := hsmtest.Open(t, config)
	if err := token.CreateKEK(t.Context(), "kek"); err != nil {
		t.Fatalf("creating the KEK: %v", err)
	}
	return token
}

func generate(t *testing.T, token *hsm.Token, algorithm string) wrapped {
	t.Helper()
	public, blob, err := token.GenerateWrapped(t.Context(), "kek", algorithm)
	if err != nil {
		t.Fatalf("generating %s: %v", algorithm, err)
	}
	return wrapped{algorithm, public, blob}
}

func use(ctx context.Context, token *hsm.Token, key wrapped, do func(crypto.Signer) error) error {
	return token.WithWrapped(ctx, "kek", key.algorithm, key.public, key.blob, do)
}

// checkPrivateKeys fails if the token and its sessions hold other than want
// private keys.
func checkPrivateKeys(t *testing.T, config hsm.Config, want int) {
	t.Helper()
	module, session := hsmtest.Intruder(t, config)
	if err := module.FindObjectsInit(session, []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_PRIVATE_KEY),
	}); err != nil {
		t.Fatalf("looking for private keys: %v", err)
	}
	found, _, err := module.FindObjects(session, 10)
	if err != nil || len(found) != want {
		t.Errorf("private keys in the token: got %d, %v, want %d", len(found), err, want)
	}
	if err := module.CloseSession(session); err != nil {
		t.Errorf("closing: %v", err)
	}
}

func TestWrappedKeySigns(t *testing.T) {
	t.Parallel()
	config := hsmtest.Config(t)
	token := withKEK(t, config)
	for _, algorithm := range []string{hsm.RSA2048, hsm.RSA3072, hsm.P256, hsm.P384} {
		key := generate(t, token, algorithm)
		for range 2 {
			err := use(t.Context(), token, key, func(signer crypto.Signer) error {
				checkSigner(t, signer)
				return nil
			})
			if err != nil {
				t.Errorf("%s: %v", algorithm, err)
			}
		}
	}
	checkPrivateKeys(t, config, 0)
}

func TestWrappedKeyIsDestroyedHoweverUseEnds(t *testing.T) {
	t.Parallel()
	config := hsmtest.Config(t)
	token := withKEK(t, config)
	key := generate(t, token, hsm.P256)
	var escaped []crypto.Signer
	keep := func(signer crypto.Signer) { escaped = append(escaped, signer) }

	boom := errors.New("boom")
	if err := use(t.Context(), token, key, func(signer crypto.Signer) error { keep(signer); return boom }); !errors.Is(err, boom) {
		t.Errorf("an error of use: got %v, want %v", err, boom)
	}
	func() {
		defer func() {
			if got := recover(); got != "panic" {
				t.Errorf("a panic of use: got %v, want it passed on", got)
			}
		}()
		_ = use(t.Context(), token, key, func(signer crypto.Signer) error { keep(signer); panic("panic") })
	}()
	ctx, cancel := context.WithCancel(t.Context())
	if err := use(ctx, token, key, func(signer crypto.Signer) error { keep(signer); cancel(); return nil }); err != nil {
		t.Errorf("cancelled in use: got %v, want nil", err)
	}

	checkPrivateKeys(t, config, 0)
	for i, signer := range escaped {
		if _, err := signer.Sign(nil, make([]byte, 32), crypto.SHA256); !errors.Is(err, hsm.ErrKeySpent) {
			t.Errorf("escaped signer %d: got %v, want %v", i, err, hsm.ErrKeySpent)
		}
	}
	if len(escaped) != 3 {
		t.Errorf("got %d uses, want 3", len(escaped))
	}
}

func TestWrappedKeyRefusals(t *testing.T) {
	t.Parallel()
	token := withKEK(t, hsmtest.Config(t))
	if err := token.CreateKEK(t.Context(), "other"); err != nil {
		t.Fatalf("creating: %v", err)
	}
	ec, rsa := generate(t, token, hsm.P256), generate(t, token, hsm.RSA2048)
	tests := []struct {
		name string
		kek  string
		key  wrapped
		want error
	}{
		{"another KEK", "other", ec, hsm.ErrBlob},
		{"no KEK", "nothing", ec, hsm.ErrNoKey},
		{"empty blob", "kek", wrapped{ec.algorithm, ec.public, nil}, hsm.ErrBlob},
		{"truncated", "kek", wrapped{ec.algorithm, ec.public, ec.blob[:len(ec.blob)-8]}, hsm.ErrBlob},
		{"truncated within a block", "kek", wrapped{ec.algorithm, ec.public, ec.blob[:len(ec.blob)-3]}, hsm.ErrBlob},
		{"longer", "kek", wrapped{ec.algorithm, ec.public, slices.Concat(ec.blob, make([]byte, 8))}, hsm.ErrBlob},
		{"RSA blob as EC", "kek", wrapped{ec.algorithm, ec.public, rsa.blob}, hsm.ErrBlob},
		{"EC blob as RSA", "kek", wrapped{rsa.algorithm, rsa.public, ec.blob}, hsm.ErrBlob},
		{"EC key called P-384", "kek", wrapped{hsm.P384, ec.public, ec.blob}, hsm.ErrAlgorithm},
		{"EC key called RSA", "kek", wrapped{hsm.RSA2048, ec.public, ec.blob}, hsm.ErrAlgorithm},
		{"RSA key of another length", "kek", wrapped{hsm.RSA3072, rsa.public, rsa.blob}, hsm.ErrAlgorithm},
		{"no public key", "kek", wrapped{hsm.P256, nil, ec.blob}, hsm.ErrAlgorithm},
		{"unknown algorithm", "kek", wrapped{"ed25519", ec.public, ec.blob}, hsm.ErrAlgorithm},
	}
	never := func(crypto.Signer) error {
		t.Error("use was called")
		return nil
	}
	for _, test := range tests {
		err := token.WithWrapped(t.Context(), test.kek, test.key.algorithm, test.key.public, test.key.blob, never)
		if !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", test.name, err, test.want)
		}
	}
	for _, key := range []wrapped{ec, rsa} {
		for i := range key.blob {
			altered := bytes.Clone(key.blob)
			altered[i] ^= 1 << (i % 8)
			if err := use(t.Context(), token, wrapped{key.algorithm, key.public, altered}, never); !errors.Is(err, hsm.ErrBlob) {
				t.Errorf("%s, byte %d altered: got %v, want %v", key.algorithm, i, err, hsm.ErrBlob)
			}
		}
	}
	if _, _, err := token.GenerateWrapped(t.Context(), "nothing", hsm.P256); !errors.Is(err, hsm.ErrNoKey) {
		t.Errorf("generating under no KEK: got %v, want %v", err, hsm.ErrNoKey)
	}
	if _, _, err := token.GenerateWrapped(t.Context(), "kek", "ed25519"); !errors.Is(err, hsm.ErrAlgorithm) {
		t.Errorf("generating ed25519: got %v, want %v", err, hsm.ErrAlgorithm)
	}
}

// The token cannot tell whose blob it is given: the signature can.
func TestBlobOfAnotherCitizenDoesNotVerify(t *testing.T) {
	t.Parallel()
	token := withKEK(t, hsmtest.Config(t))
	mine, theirs := generate(t, token, hsm.P256), generate(t, token, hsm.P256)
	digest := digestOf(crypto.SHA256, "statement")
	err := use(t.Context(), token, wrapped{mine.algorithm, mine.public, theirs.blob}, func(signer crypto.Signer) error {
		signature, err := signer.Sign(rand.Reader, digest, crypto.SHA256)
		if err != nil {
			return err
		}
		if verify(mine.public, digest, signature, crypto.SHA256) == nil {
			t.Error("got a valid signature by another citizen's key")
		}
		return verify(theirs.public, digest, signature, crypto.SHA256)
	})
	if err != nil {
		t.Errorf("got %v, want a signature of the blob's own key", err)
	}
}

func TestWrappedKeyServesGoroutines(t *testing.T) {
	t.Parallel()
	token := withKEK(t, hsmtest.Config(t))
	key := generate(t, token, hsm.P256)
	err := use(t.Context(), token, key, func(signer crypto.Signer) error {
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() { checkSigner(t, signer) })
		}
		group.Wait()
		return nil
	})
	if err != nil {
		t.Errorf("got %v, want nil", err)
	}
}
