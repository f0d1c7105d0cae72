package hsm

import (
	"context"
	"crypto"
	"io"

	"github.com/miekg/pkcs11"
)

// CreateServiceKey generates a key pair as token objects of that label: not
// extractable, not copyable, able to sign and nothing else. It returns
// ErrKeyExists if the label is taken, ErrMechanism if the token makes no such keys.
func (t *Token) CreateServiceKey(ctx context.Context, label, algorithm string) (crypto.Signer, error) {
	a, err := parseServiceAlgorithm(algorithm)
	if err != nil {
		return nil, err
	}
	err = t.create(ctx, label, func(s *session) error {
		_, _, err := t.generatePair(s, a, tokenObject(label), append(tokenObject(label), signOnly()...))
		return err
	})
	if err != nil {
		return nil, err
	}
	return t.ServiceKey(ctx, label)
}

// ServiceKey lends out the key pair of that label, or returns ErrNoKey. The
// signer outlives ctx.
func (t *Token) ServiceKey(ctx context.Context, label string) (crypto.Signer, error) {
	var public crypto.PublicKey
	err := t.do(ctx, func(s *session) error {
		if _, err := t.resolve(s, privateKey(label)); err != nil {
			return err
		}
		handle, err := t.resolve(s, publicKey(label))
		if err != nil {
			return err
		}
		a, err := t.readAlgorithm(s, handle)
		if err != nil {
			return err
		}
		public, err = t.readPublic(s, a, handle)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &serviceKey{token: t, label: label, public: public}, nil
}

// tokenObject are the attributes of whatever stays in the token for good.
func tokenObject(label string) []*pkcs11.Attribute {
	return []*pkcs11.Attribute{
		flag(pkcs11.CKA_TOKEN, true),
		flag(pkcs11.CKA_MODIFIABLE, false),
		flag(pkcs11.CKA_COPYABLE, false),
		pkcs11.NewAttribute(pkcs11.CKA_LABEL, label),
		pkcs11.NewAttribute(pkcs11.CKA_ID, []byte(label)),
	}
}

// serviceKey signs with a token object, found again by label when its handle
// has gone stale.
type serviceKey struct {
	token  *Token
	label  string
	public crypto.PublicKey
}

// Public is the public half.
func (k *serviceKey) Public() crypto.PublicKey { return k.public }

// Sign signs a SHA-256, SHA-384 or SHA-512 digest, an Ed25519 key the message
// itself with crypto.Hash(0); the token brings its own randomness.
func (k *serviceKey) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	d, err := encode(k.public, digest, opts)
	if err != nil {
		return nil, err
	}
	var raw []byte
	err = k.token.do(context.Background(), func(s *session) error {
		handle, err := k.token.resolve(s, privateKey(k.label))
		if err != nil {
			return err
		}
		raw, err = k.token.sign(s, handle, d)
		return err
	})
	if err != nil {
		return nil, err
	}
	return decode(k.public, raw), nil
}
