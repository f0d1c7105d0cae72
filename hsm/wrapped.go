package hsm

import (
	"context"
	"crypto"
	"fmt"

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
				flag(pkcs11.CKA_TOKEN, false),
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
	return t.lend(ctx, &lentKey{
		public:    public,
		open:      func(s *session) (pkcs11.ObjectHandle, error) { return t.unwrap(s, kek, a, blob) },
		temporary: true,
	}, use)
}

// unwrap makes the session object of a wrapped key.
func (t *Token) unwrap(s *session, kek string, a algorithm, blob []byte) (pkcs11.ObjectHandle, error) {
	if len(blob) == 0 { // on which the binding panics
		return 0, fmt.Errorf("%w: it is empty", ErrBlob)
	}
	unwrapping, err := t.resolve(s, secretKey(kek))
	if err != nil {
		return 0, err
	}
	template := append(unwrapRule(), pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, a.keyType))
	handle, err := t.module.UnwrapKey(s.handle, t.wrapping(), unwrapping, blob, template)
	switch {
	case blobRefused(err):
		return 0, fmt.Errorf("%w: %w", ErrBlob, err)
	case err != nil:
		return 0, fmt.Errorf("unwrapping the key: %w", err)
	}
	return handle, nil
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
