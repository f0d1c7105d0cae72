package hsm_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha3" // links crypto.SHA3_256
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/hsm"
	"github.com/rubrica-firma/rubrica/internal/hsmtest"
)

var algorithms = []string{hsm.RSA2048, hsm.RSA3072, hsm.RSA4096, hsm.P256, hsm.P384}

// options are the ways to sign with a key of that type.
func options(public crypto.PublicKey) []crypto.SignerOpts {
	hashes := []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512}
	var all []crypto.SignerOpts
	for _, h := range hashes {
		all = append(all, h)
		if _, isRSA := public.(*rsa.PublicKey); isRSA {
			all = append(all, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: h})
		}
	}
	return all
}

func digestOf(h crypto.Hash, message string) []byte {
	sum := h.New()
	_, _ = io.WriteString(sum, message)
	return sum.Sum(nil)
}

// verify is what the rest of the world thinks of a signature.
func verify(public crypto.PublicKey, digest, signature []byte, opts crypto.SignerOpts) error {
	switch key := public.(type) {
	case *rsa.PublicKey:
		if pss, ok := opts.(*rsa.PSSOptions); ok {
			return rsa.VerifyPSS(key, opts.HashFunc(), digest, signature, pss)
		}
		return rsa.VerifyPKCS1v15(key, opts.HashFunc(), digest, signature)
	case *ecdsa.PublicKey:
		if !ecdsa.VerifyASN1(key, digest, signature) {
			return errors.New("ECDSA signature invalid")
		}
		return nil
	default:
		return fmt.Errorf("unknown key %T", public)
	}
}

// checkSigner signs in every way that the key knows, and verifies.
func checkSigner(t *testing.T, signer crypto.Signer) {
	t.Helper()
	for _, opts := range options(signer.Public()) {
		digest := digestOf(opts.HashFunc(), "the text of a statement")
		signature, err := signer.Sign(rand.Reader, digest, opts)
		if err != nil {
			t.Errorf("signing with %T %v: %v", opts, opts.HashFunc(), err)
			continue
		}
		if err := verify(signer.Public(), digest, signature, opts); err != nil {
			t.Errorf("verifying %T %v: %v", opts, opts.HashFunc(), err)
		}
	}
}

func TestServiceKeySigns(t *testing.T) {
	t.Parallel()
	config := hsmtest.Config(t)
	for _, algorithm := range algorithms {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			token := hsmtest.Open(t, config)
			created, err := token.CreateServiceKey(t.Context(), "ca "+algorithm, algorithm)
			if err != nil {
				t.Fatalf("creating: %v", err)
			}
			checkSigner(t, created)
			found, err := hsmtest.Open(t, config).ServiceKey(t.Context(), "ca "+algorithm)
			if err != nil {
				t.Fatalf("finding: %v", err)
			}
			if diff := cmp.Diff(created.Public(), found.Public()); diff != "" {
				t.Errorf("public key of the key found again (-created +found):\n%s", diff)
			}
			checkSigner(t, found)
		})
	}
}

func TestServiceKeyIssuesCertificates(t *testing.T) {
	t.Parallel()
	token := hsmtest.New(t)
	for _, algorithm := range []string{hsm.RSA2048, hsm.P256, hsm.P384} {
		signer, err := token.CreateServiceKey(t.Context(), algorithm, algorithm)
		if err != nil {
			t.Fatalf("%s: creating: %v", algorithm, err)
		}
		template := &x509.Certificate{
			SerialNumber:          big.NewInt(1),
			Subject:               pkix.Name{CommonName: "Root"},
			NotAfter:              time.Unix(4e9, 0),
			IsCA:                  true,
			BasicConstraintsValid: true,
			KeyUsage:              x509.KeyUsageCertSign,
		}
		der, err := x509.CreateCertificate(rand.Reader, template, template, signer.Public(), signer)
		if err != nil {
			t.Fatalf("%s: issuing: %v", algorithm, err)
		}
		root, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatalf("%s: parsing: %v", algorithm, err)
		}
		if err := root.CheckSignatureFrom(root); err != nil {
			t.Errorf("%s: got %v, want a valid signature", algorithm, err)
		}
	}
}

// The length of a digest says nothing about the hash; both must agree, and the
// hash must be one of three.
func TestSignRefusesHashConfusion(t *testing.T) {
	t.Parallel()
	token := hsmtest.New(t)
	pss := func(h crypto.Hash, salt int) crypto.SignerOpts { return &rsa.PSSOptions{Hash: h, SaltLength: salt} }
	tests := []struct {
		name   string
		opts   crypto.SignerOpts
		length int
		onEC   bool // what an EC key answers; an RSA key refuses unless says
		onRSA  bool
	}{
		{"SHA-256", crypto.SHA256, 32, true, true},
		{"SHA-384", crypto.SHA384, 48, true, true},
		{"SHA-512", crypto.SHA512, 64, true, true},
		{"PSS SHA-256", pss(crypto.SHA256, rsa.PSSSaltLengthEqualsHash), 32, false, true},
		{"PSS SHA-384 with its salt named", pss(crypto.SHA384, 48), 48, false, true},
		{"PSS SHA-256, any salt", pss(crypto.SHA256, rsa.PSSSaltLengthAuto), 32, false, true},
		{"PSS SHA-256, salt of 20", pss(crypto.SHA256, 20), 32, false, false},
		{"PSS SHA-256, length of SHA-384", pss(crypto.SHA256, 32), 48, false, false},
		{"PSS SHA3-256", pss(crypto.SHA3_256, 32), 32, false, false},
		{"PSS without hash", pss(0, 32), 32, false, false},
		{"SHA-256, length of SHA-384", crypto.SHA256, 48, false, false},
		{"SHA-256, length of SHA-512", crypto.SHA256, 64, false, false},
		{"SHA-384, length of SHA-256", crypto.SHA384, 32, false, false},
		{"SHA-512, length of SHA-256", crypto.SHA512, 32, false, false},
		{"SHA-256, a byte short", crypto.SHA256, 31, false, false},
		{"SHA-256, a byte long", crypto.SHA256, 33, false, false},
		{"SHA-256, nothing", crypto.SHA256, 0, false, false},
		{"SHA3-256", crypto.SHA3_256, 32, false, false},
		{"SHA3-512", crypto.SHA3_512, 64, false, false},
		{"SHA-512/256", crypto.SHA512_256, 32, false, false},
		{"SHA-1", crypto.SHA1, 20, false, false},
		{"SHA-224", crypto.SHA224, 28, false, false},
		{"MD5+SHA-1", crypto.MD5SHA1, 36, false, false},
		{"no hash", crypto.Hash(0), 32, false, false},
		{"no options", nil, 32, false, false},
	}
	for _, algorithm := range []string{hsm.RSA2048, hsm.P256} {
		signer, err := token.CreateServiceKey(t.Context(), algorithm, algorithm)
		if err != nil {
			t.Fatalf("creating: %v", err)
		}
		for _, test := range tests {
			accepts := test.onRSA
			if algorithm == hsm.P256 {
				accepts = test.onEC
			}
			signature, err := signer.Sign(rand.Reader, make([]byte, test.length), test.opts)
			if accepts && err != nil {
				t.Errorf("%s, %s: got %v, want a signature", algorithm, test.name, err)
			}
			if !accepts && (!errors.Is(err, hsm.ErrDigest) || signature != nil) {
				t.Errorf("%s, %s: got %x, %v, want %v", algorithm, test.name, signature, err, hsm.ErrDigest)
			}
		}
	}
}

func TestCreateRefusesTakenLabels(t *testing.T) {
	t.Parallel()
	token := hsmtest.New(t)
	creators := map[string]func(label string) error{
		"service key": func(label string) error {
			_, err := token.CreateServiceKey(t.Context(), label, hsm.P256)
			return err
		},
		"KEK":    func(label string) error { return token.CreateKEK(t.Context(), label) },
		"pepper": func(label string) error { return token.CreatePepper(t.Context(), label) },
	}
	for first, create := range creators {
		if err := create(first); err != nil {
			t.Fatalf("creating %s: %v", first, err)
		}
		for second, again := range creators {
			if err := again(first); !errors.Is(err, hsm.ErrKeyExists) {
				t.Errorf("%s over %s: got %v, want %v", second, first, err, hsm.ErrKeyExists)
			}
		}
	}
	if _, err := token.CreateServiceKey(t.Context(), "x", "dsa-1024"); !errors.Is(err, hsm.ErrAlgorithm) {
		t.Errorf("dsa-1024: got %v, want %v", err, hsm.ErrAlgorithm)
	}
}

// SoftHSM 2.6.1 spoils token objects that are generated at the same time.
func TestConcurrentCreation(t *testing.T) {
	t.Parallel()
	token := hsmtest.New(t)
	var group sync.WaitGroup
	for i := range 16 {
		group.Go(func() {
			signer, err := token.CreateServiceKey(t.Context(), fmt.Sprint("key ", i), hsm.P256)
			if err != nil {
				t.Errorf("creating key %d: %v", i, err)
				return
			}
			checkSigner(t, signer)
		})
	}
	group.Wait()
}

func TestOneOfManyCreatesALabel(t *testing.T) {
	t.Parallel()
	token := hsmtest.New(t)
	var created atomic.Int64
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			_, err := token.CreateServiceKey(t.Context(), "key", hsm.P256)
			switch {
			case err == nil:
				created.Add(1)
			case !errors.Is(err, hsm.ErrKeyExists):
				t.Errorf("got %v, want %v", err, hsm.ErrKeyExists)
			}
		})
	}
	group.Wait()
	if created.Load() != 1 {
		t.Errorf("got %d keys of one label, want 1", created.Load())
	}
}

func TestDestroy(t *testing.T) {
	t.Parallel()
	token := hsmtest.New(t)
	ctx := t.Context()
	signer, err := token.CreateServiceKey(ctx, "key", hsm.P256)
	if err != nil {
		t.Fatalf("creating: %v", err)
	}
	checkSigner(t, signer)
	if exists, err := token.Exists(ctx, "key"); err != nil || !exists {
		t.Errorf("before: got %v, %v, want true", exists, err)
	}
	if err := token.Destroy(ctx, "key"); err != nil {
		t.Fatalf("destroying: %v", err)
	}
	if exists, err := token.Exists(ctx, "key"); err != nil || exists {
		t.Errorf("after: got %v, %v, want false", exists, err)
	}
	if _, err := signer.Sign(nil, make([]byte, 32), crypto.SHA256); !errors.Is(err, hsm.ErrNoKey) {
		t.Errorf("signing with it: got %v, want %v", err, hsm.ErrNoKey)
	}
	if _, err := token.ServiceKey(ctx, "key"); !errors.Is(err, hsm.ErrNoKey) {
		t.Errorf("finding it: got %v, want %v", err, hsm.ErrNoKey)
	}
	if err := token.Destroy(ctx, "key"); !errors.Is(err, hsm.ErrNoKey) {
		t.Errorf("destroying it twice: got %v, want %v", err, hsm.ErrNoKey)
	}
}

func TestMAC(t *testing.T) {
	t.Parallel()
	token := hsmtest.New(t)
	ctx := t.Context()
	for _, label := range []string{"pepper 1", "pepper 2"} {
		if err := token.CreatePepper(ctx, label); err != nil {
			t.Fatalf("creating: %v", err)
		}
	}
	mac := func(label, data string) string {
		t.Helper()
		sum, err := token.MAC(ctx, label, []byte(data))
		if err != nil {
			t.Fatalf("MAC(%q, %q): %v", label, data, err)
		}
		if len(sum) != 32 {
			t.Fatalf("MAC(%q, %q): got %d bytes, want 32", label, data, len(sum))
		}
		return string(sum)
	}
	if first, again := mac("pepper 1", "a"), mac("pepper 1", "a"); first != again {
		t.Errorf("the same data twice: got %x and %x, want the same", first, again)
	}
	distinct := map[string]bool{mac("pepper 1", "a"): true, mac("pepper 1", "b"): true, mac("pepper 1", ""): true, mac("pepper 2", "a"): true}
	if len(distinct) != 4 {
		t.Errorf("got %d different values of 4 inputs", len(distinct))
	}
	if _, err := token.MAC(ctx, "pepper 3", []byte("a")); !errors.Is(err, hsm.ErrNoKey) {
		t.Errorf("unknown pepper: got %v, want %v", err, hsm.ErrNoKey)
	}
}

func TestCheckValue(t *testing.T) {
	t.Parallel()
	config := hsmtest.Config(t)
	token := hsmtest.Open(t, config)
	ctx := t.Context()
	creators := map[string]func(context.Context, string) error{"kek": token.CreateKEK, "pepper": token.CreatePepper}
	for label, create := range creators {
		if err := create(ctx, label); err != nil {
			t.Fatalf("creating: %v", err)
		}
		first, err := token.CheckValue(ctx, label)
		if err != nil {
			t.Fatalf("%s: %v", label, err)
		}
		again, err := hsmtest.Open(t, config).CheckValue(ctx, label)
		if err != nil {
			t.Fatalf("%s, opened again: %v", label, err)
		}
		if len(first) != 32 || !bytes.Equal(first, again) {
			t.Errorf("%s: got %x and then %x, want 32 bytes and the same", label, first, again)
		}
		if err := token.Destroy(ctx, label); err != nil {
			t.Fatalf("destroying: %v", err)
		}
		if err := create(ctx, label); err != nil {
			t.Fatalf("creating again: %v", err)
		}
		other, err := token.CheckValue(ctx, label)
		if err != nil {
			t.Fatalf("%s, another key: %v", label, err)
		}
		if bytes.Equal(first, other) {
			t.Errorf("%s: another key of the label has the same check value", label)
		}
	}
	if _, err := token.CheckValue(ctx, "nothing"); !errors.Is(err, hsm.ErrNoKey) {
		t.Errorf("unknown label: got %v, want %v", err, hsm.ErrNoKey)
	}
}
