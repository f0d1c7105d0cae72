package hsm

import (
	"context"
	"crypto"
	"fmt"

	"github.com/miekg/pkcs11"
)

// CreateTokenKey generates a citizen's key pair of which the private half stays
// in the token under that label: not extractable, not copyable, not modifiable,
// able to sign and nothing else. The token keeps no public half, so that a
// citizen costs it one object. It returns ErrKeyExists if the label is taken.
func (t *Token) CreateTokenKey(ctx context.Context, label, algorithm string) (crypto.PublicKey, error) {
	a, err := parseAlgorithm(algorithm)
	if err != nil {
		return nil, err
	}
	var public crypto.PublicKey
	err = t.create(ctx, label, func(s *session) error {
		publicHandle, privateHandle, err := t.generatePair(s, a,
			[]*pkcs11.Attribute{flag(pkcs11.CKA_TOKEN, false)},
			append(tokenObject(label), signOnly()...))
		if err != nil {
			return err
		}
		defer t.destroy(s, publicHandle)
		if public, err = t.readPublic(s, a, publicHandle); err != nil {
			// Without its public half the private one is of no use to anybody.
			t.destroy(s, privateHandle)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return public, nil
}

// WithTokenKey lends out a key of CreateTokenKey for the length of use. The
// signer is void afterwards (ErrKeySpent). One session of the pool is held all
// the while: use must not ask the token for anything else, or a full pool waits
// for itself. It returns ErrNoKey if no key has the label.
func (t *Token) WithTokenKey(ctx context.Context, label, algorithm string, public crypto.PublicKey, use func(crypto.Signer) error) error {
	a, err := parseAlgorithm(algorithm)
	if err != nil {
		return err
	}
	if err := a.check(public); err != nil {
		return err
	}
	return t.lend(ctx, &lentKey{
		public: public,
		open:   func(s *session) (pkcs11.ObjectHandle, error) { return t.confirm(s, privateKey(label)) },
	}, use)
}

// confirm is resolve for objects that other processes destroy: it asks the token
// whether the handle that is remembered still stands for the label.
func (t *Token) confirm(s *session, o object) (pkcs11.ObjectHandle, error) {
	handle, err := t.resolve(s, o)
	if err != nil {
		return 0, err
	}
	values, err := t.attributes(s, handle, pkcs11.CKA_LABEL)
	switch {
	case err == nil && string(values[0]) == o.label:
		return handle, nil
	case err != nil && !handleGone(err):
		return 0, fmt.Errorf("confirming %q: %w", o.label, err)
	}
	t.handles.forget(o)
	return t.resolve(s, o)
}
