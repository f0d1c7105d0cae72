package hsm

import (
	"context"
	"crypto"
	"fmt"
	"io"
	"sync"

	"github.com/miekg/pkcs11"
)

// GenerateWrapped makes a citizen's key pair in the token and lets the private
// half out wrapped under the KEK of that label (RFC 5649 over PKCS #8). The
// token keeps nothing. Until it is destroyed, some milliseconds later, the fresh
// key is a sensitive session object that can be wrapped but not read.
func (t *Token) GenerateWrapped(ctx context.Context, kek, algorithm string) (crypto.PublicKey, []byte, error) {
	a, err := parseAlgorithm(algorithm)
	if err != nil {
		return nil, nil, err
	}
	var public crypto.PublicKey
	var blob []byte
	err = t.do(ctx, func(s *session) error {
		wrapping, err := t.resolve(s, secretKey(kek))
		if err != nil {
			return err
		}
		publicHandle, privateHandle, err := t.generatePair(s, a,
			[]*pkcs11.Attribute{flag(pkcs11.CKA_TOKEN, false)},
			[]*pkcs11.Attribute{
				flag(pkcs11.CKA_PRIVATE, true),
				flag(pkcs11.CKA_SENSITIVE, true),
				flag(pkcs11.CKA_EXTRACTABLE, true),
				flag(pkcs11.CKA_SIGN, true),
				flag(pkcs11.CKA_DECRYPT, false),
				flag(pkcs11.CKA_UNWRAP, false),
				flag(pkcs11.CKA_DERIVE, false),
			})
		if err != nil {
			return fmt.Errorf("generating a key pair: %w", err)
		}
		defer t.destroy(s, publicHandle)
		defer t.destroy(s, privateHandle)
		if public, err = t.readPublic(s, a, publicHandle); err != nil {
			return err
		}
		if blob, err = t.module.WrapKey(s.handle, t.wrapping(), wrapping, privateHandle); err != nil {
			return fmt.Errorf("wrapping the key: %w", err)
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	return public, blob, nil
}

// WithWrapped unwraps a citizen's key for the length of use, and destroys it
// however use ends. The signer is void afterwards (ErrKeySpent). One session of
// the pool is held all the while: use must not ask the token for anything else,
// or a full pool waits for itself.
//
// A blob that was altered, or wrapped under another key, gives ErrBlob. A blob of
// another citizen's key does not: the signature then does not verify with public.
func (t *Token) WithWrapped(ctx context.Context, kek, algorithm string, public crypto.PublicKey, blob []byte, use func(crypto.Signer) error) error {
	a, err := parseAlgorithm(algorithm)
	if err != nil {
		return err
	}
	if err := a.check(public); err != nil {
		return err
	}
	s, err := t.acquire(ctx)
	if err != nil {
		return err
	}
	defer t.release(s)
	k := &wrappedKey{token: t, session: s, kek: kek, algorithm: a, public: public, blob: blob}
	defer k.destroy()
	if err := t.call(s, k.unwrap); err != nil {
		return err
	}
	return use(k)
}

// wrappedKey signs with a session object that lives as long as WithWrapped runs.
type wrappedKey struct {
	token     *Token
	kek       string
	algorithm algorithm
	public    crypto.PublicKey
	blob      []byte

	mu      sync.Mutex // a session does one thing at a time
	session *session
	handle  pkcs11.ObjectHandle
	epoch   int // of the session that the object belongs to; 0: no object
	spent   bool
}

// Public is the public half.
func (k *wrappedKey) Public() crypto.PublicKey { return k.public }

// Sign signs a SHA-256, SHA-384 or SHA-512 digest; the token brings its own
// randomness.
func (k *wrappedKey) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	d, err := encode(k.public, digest, opts)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.spent {
		return nil, ErrKeySpent
	}
	var raw []byte
	err = k.token.call(k.session, func() error {
		if err := k.unwrap(); err != nil {
			return err
		}
		raw, err = k.token.sign(k.session, k.handle, d)
		return err
	})
	if err != nil {
		return nil, err
	}
	return decode(k.public, raw), nil
}

// unwrap makes the session object, unless the present session has it already.
func (k *wrappedKey) unwrap() error {
	if k.epoch == k.session.epoch {
		return nil
	}
	if len(k.blob) == 0 { // on which the binding panics
		return fmt.Errorf("%w: it is empty", ErrBlob)
	}
	kek, err := k.token.resolve(k.session, secretKey(k.kek))
	if err != nil {
		return err
	}
	template := append(unwrapRule(), pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, k.algorithm.keyType()))
	handle, err := k.token.module.UnwrapKey(k.session.handle, k.token.wrapping(), kek, k.blob, template)
	switch {
	case blobRefused(err):
		return fmt.Errorf("%w: %w", ErrBlob, err)
	case err != nil:
		return fmt.Errorf("unwrapping the key: %w", err)
	}
	k.handle, k.epoch = handle, k.session.epoch
	return nil
}

// destroy ends the key's life. With an older session its object is gone already.
func (k *wrappedKey) destroy() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.spent = true
	if k.epoch != 0 && k.epoch == k.session.epoch {
		k.token.destroy(k.session, k.handle)
	}
}

// destroy removes a session object. Where the token will not, closing the
// session does.
func (t *Token) destroy(s *session, handle pkcs11.ObjectHandle) {
	if err := t.module.DestroyObject(s.handle, handle); err != nil && !stale(err) {
		t.log.Error("destroying a session key", "token_label", t.label, "cause", err)
		t.discard(s)
	}
}

// wrapping is the mechanism between KEK and citizens' keys.
func (t *Token) wrapping() []*pkcs11.Mechanism {
	return []*pkcs11.Mechanism{pkcs11.NewMechanism(t.wrap, nil)}
}
