package hsm_test

import (
	"crypto"
	"errors"
	"fmt"
	"testing"

	"github.com/miekg/pkcs11"

	"github.com/rubrica-firma/rubrica/hsm"
	"github.com/rubrica-firma/rubrica/internal/hsmtest"
)

func createKept(t *testing.T, token *hsm.Token, label, algorithm string) crypto.PublicKey {
	t.Helper()
	public, err := token.CreateTokenKey(t.Context(), label, algorithm)
	if err != nil {
		t.Fatalf("creating %q: %v", label, err)
	}
	return public
}

func TestTokenKeySigns(t *testing.T) {
	t.Parallel()
	config := hsmtest.Config(t)
	token := hsmtest.Open(t, config)
	for _, algorithm := range []string{hsm.RSA2048, hsm.RSA3072, hsm.P256, hsm.P384} {
		public := createKept(t, token, algorithm, algorithm)
		var escaped crypto.Signer
		for range 2 {
			err := token.WithTokenKey(t.Context(), algorithm, algorithm, public, func(signer crypto.Signer) error {
				checkSigner(t, signer)
				escaped = signer
				return nil
			})
			if err != nil {
				t.Errorf("%s: %v", algorithm, err)
			}
		}
		if _, err := escaped.Sign(nil, make([]byte, 32), crypto.SHA256); !errors.Is(err, hsm.ErrKeySpent) {
			t.Errorf("%s, after its loan: got %v, want %v", algorithm, err, hsm.ErrKeySpent)
		}
	}
	checkPrivateKeys(t, config, 4)
	if got := countObjects(t, config, pkcs11.CKO_PUBLIC_KEY); got != 0 {
		t.Errorf("public keys in the token: got %d, want 0: a citizen is one object", got)
	}
}

func countObjects(t *testing.T, config hsm.Config, class uint) int {
	t.Helper()
	module, session := hsmtest.Intruder(t, config)
	if err := module.FindObjectsInit(session, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_CLASS, class)}); err != nil {
		t.Fatalf("looking for objects: %v", err)
	}
	found, _, err := module.FindObjects(session, 100)
	if err != nil {
		t.Fatalf("looking for objects: %v", err)
	}
	if err := module.CloseSession(session); err != nil {
		t.Errorf("closing: %v", err)
	}
	return len(found)
}

func TestTokenKeyRefusals(t *testing.T) {
	t.Parallel()
	token := hsmtest.New(t)
	ctx := t.Context()
	public := createKept(t, token, "key", hsm.P256)
	if _, err := token.CreateTokenKey(ctx, "key", hsm.P256); !errors.Is(err, hsm.ErrKeyExists) {
		t.Errorf("the label taken: got %v, want %v", err, hsm.ErrKeyExists)
	}
	if _, err := token.CreateTokenKey(ctx, "other", "ed25519"); !errors.Is(err, hsm.ErrAlgorithm) {
		t.Errorf("ed25519: got %v, want %v", err, hsm.ErrAlgorithm)
	}
	never := func(crypto.Signer) error {
		t.Error("use was called")
		return nil
	}
	if err := token.WithTokenKey(ctx, "key", hsm.RSA2048, public, never); !errors.Is(err, hsm.ErrAlgorithm) {
		t.Errorf("as another algorithm: got %v, want %v", err, hsm.ErrAlgorithm)
	}
	if err := token.WithTokenKey(ctx, "nothing", hsm.P256, public, never); !errors.Is(err, hsm.ErrNoKey) {
		t.Errorf("another label: got %v, want %v", err, hsm.ErrNoKey)
	}
	if err := token.Destroy(ctx, "key"); err != nil {
		t.Fatalf("destroying: %v", err)
	}
	if err := token.WithTokenKey(ctx, "key", hsm.P256, public, never); !errors.Is(err, hsm.ErrNoKey) {
		t.Errorf("destroyed: got %v, want %v", err, hsm.ErrNoKey)
	}
}

// Another process destroys the key, and perhaps makes another of that label.
func TestTokenKeyIsNotRememberedForGood(t *testing.T) {
	t.Parallel()
	config := hsmtest.Config(t)
	token, elsewhere := hsmtest.Open(t, config), hsmtest.Open(t, config)
	ctx := t.Context()
	sign := func(public crypto.PublicKey) error {
		return token.WithTokenKey(ctx, "key", hsm.P256, public, func(signer crypto.Signer) error {
			checkSigner(t, signer)
			return nil
		})
	}
	for range 3 {
		public := createKept(t, elsewhere, "key", hsm.P256)
		if err := sign(public); err != nil {
			t.Errorf("while it is there: got %v, want nil", err)
		}
		if err := elsewhere.Destroy(ctx, "key"); err != nil {
			t.Fatalf("destroying: %v", err)
		}
		if err := sign(public); !errors.Is(err, hsm.ErrNoKey) {
			t.Errorf("destroyed elsewhere: got %v, want %v", err, hsm.ErrNoKey)
		}
	}
}

func TestTokenKeyResistsThePIN(t *testing.T) {
	t.Parallel()
	config := hsmtest.Config(t)
	token := withKEK(t, config)
	createKept(t, token, "key", hsm.P256)
	module, session := hsmtest.Intruder(t, config)
	key := findOne(t, module, session, pkcs11.CKO_PRIVATE_KEY, "key")
	want := map[uint]byte{
		pkcs11.CKA_TOKEN: 1, pkcs11.CKA_PRIVATE: 1, pkcs11.CKA_SENSITIVE: 1, pkcs11.CKA_ALWAYS_SENSITIVE: 1,
		pkcs11.CKA_NEVER_EXTRACTABLE: 1, pkcs11.CKA_LOCAL: 1, pkcs11.CKA_SIGN: 1,
		pkcs11.CKA_EXTRACTABLE: 0, pkcs11.CKA_COPYABLE: 0, pkcs11.CKA_MODIFIABLE: 0,
		pkcs11.CKA_SIGN_RECOVER: 0, pkcs11.CKA_DECRYPT: 0, pkcs11.CKA_UNWRAP: 0, pkcs11.CKA_DERIVE: 0,
	}
	for kind, value := range want {
		got, err := module.GetAttributeValue(session, key, []*pkcs11.Attribute{pkcs11.NewAttribute(kind, nil)})
		if err != nil || len(got) != 1 || len(got[0].Value) != 1 || got[0].Value[0] != value {
			t.Errorf("attribute %#x: got %v, %v, want %d", kind, got, err, value)
		}
	}
	if got, err := module.GetAttributeValue(session, key, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_VALUE, nil)}); err == nil {
		t.Errorf("reading it: got %d bytes, want a refusal", len(got[0].Value))
	}
	wrap := []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_AES_KEY_WRAP_PAD, nil)}
	if _, err := module.WrapKey(session, wrap, findOne(t, module, session, pkcs11.CKO_SECRET_KEY, "kek"), key); err == nil {
		t.Error("wrapping it out: got a blob, want a refusal")
	}
	for _, a := range []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, true), pkcs11.NewAttribute(pkcs11.CKA_LABEL, "another's"),
	} {
		if err := module.SetAttributeValue(session, key, []*pkcs11.Attribute{a}); err == nil {
			t.Errorf("changing attribute %#x: got no error", a.Type)
		}
	}
	if _, err := module.CopyObject(session, key, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_TOKEN, false)}); err == nil {
		t.Error("copying it: got a copy, want a refusal")
	}
}

// A million citizens must not be remembered all at once.
func TestHandlesRememberedAreBounded(t *testing.T) {
	t.Parallel()
	token := hsmtest.New(t)
	createKept(t, token, "real", hsm.P256)
	for i := range 3 * hsm.MaxHandles {
		token.Remember(fmt.Sprint("citizen ", i))
	}
	if got := token.Remembered(); got > hsm.MaxHandles {
		t.Errorf("got %d handles, want at most %d", got, hsm.MaxHandles)
	}
}
