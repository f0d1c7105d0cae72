package hsm

import (
	"context"
	"crypto"
	"io"
	"sync"

	"github.com/miekg/pkcs11"
)

// lentKey signs with one object for as long as its holder's use runs, on one
// session of the pool that is held all the while.
type lentKey struct {
	token  *Token
	public crypto.PublicKey
	// open finds or makes the object with the present session.
	open func(*session) (pkcs11.ObjectHandle, error)
	// temporary says that the object is destroyed with the end of the loan.
	temporary bool

	mu      sync.Mutex // a session does one thing at a time
	session *session
	handle  pkcs11.ObjectHandle
	epoch   int64 // of the session that the object belongs to; 0: no object
	spent   bool
}

// lend lets use have the key.
func (t *Token) lend(ctx context.Context, k *lentKey, use func(crypto.Signer) error) error {
	s, err := t.acquire(ctx)
	if err != nil {
		return err
	}
	defer t.release(s)
	k.token, k.session = t, s
	defer k.end()
	if err := t.call(s, k.ready); err != nil {
		return err
	}
	return use(k)
}

// Public is the public half.
func (k *lentKey) Public() crypto.PublicKey { return k.public }

// Sign signs a SHA-256, SHA-384 or SHA-512 digest; the token brings its own
// randomness.
func (k *lentKey) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
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
	err = k.token.call(k.session, func(s *session) error {
		if err := k.ready(s); err != nil {
			return err
		}
		raw, err = k.token.sign(s, k.handle, d)
		return err
	})
	if err != nil {
		return nil, err
	}
	return decode(k.public, raw), nil
}

// ready makes sure that the present session has the object.
func (k *lentKey) ready(s *session) error {
	if k.epoch == s.epoch {
		return nil
	}
	handle, err := k.open(s)
	if err != nil {
		return err
	}
	k.handle, k.epoch = handle, s.epoch
	return nil
}

// end ends the loan. With an older session a temporary object is gone already,
// or goes now, as the session does.
func (k *lentKey) end() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.spent = true
	if !k.temporary || k.epoch == 0 || k.epoch != k.session.epoch {
		return
	}
	if k.token.enter(k.session) {
		defer k.session.leave()
		k.token.destroy(k.session, k.handle)
		return
	}
	if err := k.token.renew(k.session); err != nil {
		k.token.log.Warn("opening a session for the next key", "token_label", k.token.label, "cause", err)
	}
}
