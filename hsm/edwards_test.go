package hsm_test

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/pkcs11"

	"github.com/rubrica-firma/rubrica/hsm"
	"github.com/rubrica-firma/rubrica/internal/hsmtest"
)

// edwardsKeyPairGen is CKM_EC_EDWARDS_KEY_PAIR_GEN.
const edwardsKeyPairGen = 0x1055

func TestEd25519ServiceKey(t *testing.T) {
	t.Parallel()
	config := hsmtest.Config(t)
	created, err := hsmtest.Open(t, config).CreateServiceKey(t.Context(), "checkpoint", hsm.Ed25519)
	if err != nil {
		t.Fatalf("creating: %v", err)
	}
	found, err := hsmtest.Open(t, config).ServiceKey(t.Context(), "checkpoint")
	if err != nil {
		t.Fatalf("finding: %v", err)
	}
	if diff := cmp.Diff(created.Public(), found.Public()); diff != "" {
		t.Errorf("public key of the key found again (-created +found):\n%s", diff)
	}
	public, ok := found.Public().(ed25519.PublicKey)
	if !ok {
		t.Fatalf("got a public key %T, want ed25519.PublicKey", found.Public())
	}
	for _, length := range []int{0, 1, 31, 32, 33, 64, 1 << 16} {
		message := bytes.Repeat([]byte{'m'}, length)
		for name, opts := range map[string]crypto.SignerOpts{"Hash(0)": crypto.Hash(0), "Options": &ed25519.Options{}} {
			signature, err := found.Sign(rand.Reader, message, opts)
			if err != nil || !ed25519.Verify(public, message, signature) {
				t.Errorf("%d bytes with %s: got %x, %v, want a valid signature", length, name, signature, err)
			}
		}
	}
	for name, opts := range map[string]crypto.SignerOpts{
		"SHA-256": crypto.SHA256, "SHA-512": crypto.SHA512, "Ed25519ph": &ed25519.Options{Hash: crypto.SHA512},
		"a context": &ed25519.Options{Context: "log"}, "PSS": &rsa.PSSOptions{Hash: crypto.SHA256}, "no options": nil,
	} {
		if signature, err := found.Sign(rand.Reader, make([]byte, 64), opts); !errors.Is(err, hsm.ErrDigest) || signature != nil {
			t.Errorf("%s: got %x, %v, want %v", name, signature, err, hsm.ErrDigest)
		}
	}
}

// What leaves a token for a citizen goes into certificates, whose profiles have
// no Ed25519.
func TestEd25519IsNotForCitizens(t *testing.T) {
	t.Parallel()
	token := hsmtest.New(t)
	if err := token.CreateKEK(t.Context(), "kek"); err != nil {
		t.Fatalf("creating the KEK: %v", err)
	}
	use := func(crypto.Signer) error { t.Error("got a signer, want none"); return nil }
	public := make(ed25519.PublicKey, ed25519.PublicKeySize)
	_, kept := token.CreateTokenKey(t.Context(), "citizen", hsm.Ed25519)
	_, _, wrapped := token.GenerateWrapped(t.Context(), "kek", hsm.Ed25519)
	for name, err := range map[string]error{
		"CreateTokenKey": kept, "GenerateWrapped": wrapped,
		"WithTokenKey": token.WithTokenKey(t.Context(), "citizen", hsm.Ed25519, public, use),
		"WithWrapped":  token.WithWrapped(t.Context(), "kek", hsm.Ed25519, public, []byte{1}, use),
	} {
		if !errors.Is(err, hsm.ErrAlgorithm) {
			t.Errorf("%s: got %v, want %v", name, err, hsm.ErrAlgorithm)
		}
	}
}

func TestTokenWithoutEd25519(t *testing.T) {
	t.Parallel()
	config, faults := hsmtest.Shim(t, hsmtest.Config(t))
	token := hsmtest.Open(t, config)
	faults.TakeAway("C_GenerateKeyPair", edwardsKeyPairGen)
	_, err := token.CreateServiceKey(t.Context(), "checkpoint", hsm.Ed25519)
	if !errors.Is(err, hsm.ErrMechanism) || !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("got %v, want %v", err, hsm.ErrMechanism)
	}
	if _, err := token.CreateServiceKey(t.Context(), "authority", hsm.P256); err != nil {
		t.Errorf("another algorithm: got %v, want a key", err)
	}
}

// A token that does not know one spelling of the curve is offered the next.
// SoftHSM knows the first alone.
func TestEd25519SpelledOtherwise(t *testing.T) {
	t.Parallel()
	for _, refusal := range []uint{pkcs11.CKR_ATTRIBUTE_VALUE_INVALID, pkcs11.CKR_DOMAIN_PARAMS_INVALID, pkcs11.CKR_CURVE_NOT_SUPPORTED} {
		config, faults := hsmtest.Shim(t, hsmtest.Config(t))
		token := hsmtest.Open(t, config)
		faults.ReturnAlways("C_GenerateKeyPair", refusal)
		if _, err := token.CreateServiceKey(t.Context(), "checkpoint", hsm.Ed25519); err == nil {
			t.Errorf("%#x always: got a key, want none", refusal)
		}
		if got := faults.Fired(); got != 3 {
			t.Errorf("%#x always: got %d tries, want one for each spelling", refusal, got)
		}
	}
}
