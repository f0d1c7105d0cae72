package signer

import (
	"context"
	"crypto"
	"errors"
	"fmt"

	"github.com/rubrica-firma/rubrica/policies"
)

// keeper is one way to keep citizens' private keys. Both make them in the token
// and use them only there.
type keeper interface {
	// generate makes k's key pair. The payload goes into the citizen's box.
	generate(ctx context.Context, k Credential) (crypto.PublicKey, []byte, error)
	// lend gives use k's private key, once the box has been opened.
	lend(ctx context.Context, k Credential, public crypto.PublicKey, payload []byte, use func(crypto.Signer) error) error
}

// sealedKeeper lets the private key out of the token wrapped; the box holds it.
// Without the password nobody can bring the two together again.
type sealedKeeper struct {
	keys  Keys
	ready *pool
}

func (s sealedKeeper) generate(ctx context.Context, k Credential) (crypto.PublicKey, []byte, error) {
	if ready, ok := s.ready.take(k.KEK, k.Algorithm); ok {
		return ready.public, ready.wrapped, nil
	}
	return s.keys.GenerateWrapped(ctx, KEK.Label(k.KEK), k.Algorithm)
}

func (s sealedKeeper) lend(ctx context.Context, k Credential, public crypto.PublicKey, payload []byte, use func(crypto.Signer) error) error {
	return s.keys.WithWrapped(ctx, KEK.Label(k.KEK), k.Algorithm, public, payload, use)
}

// tokenKeeper leaves the private key in the token for good. That the box opens
// is then only this module's condition, not the key's.
type tokenKeeper struct{ keys Keys }

func (t tokenKeeper) generate(ctx context.Context, k Credential) (crypto.PublicKey, []byte, error) {
	public, err := t.keys.CreateTokenKey(ctx, k.KeyLabel, k.Algorithm)
	return public, nil, err
}

func (t tokenKeeper) lend(ctx context.Context, k Credential, public crypto.PublicKey, _ []byte, use func(crypto.Signer) error) error {
	return t.keys.WithTokenKey(ctx, k.KeyLabel, k.Algorithm, public, use)
}

func (s *Service) keeper(k Credential) (keeper, error) {
	switch k.Keeper {
	case SealedKeeper:
		return sealedKeeper{s.Keys, s.pool}, nil
	case TokenKeeper:
		return tokenKeeper{s.Keys}, nil
	}
	return nil, fmt.Errorf("keeper %q is not one of this version's", k.Keeper)
}

// outdated reports whether a key has to give way to another: it is kept in a way
// that the deployment has left, by another keeper or under an older
// key-encryption key (neither lets a key out, so such a key cannot move), or the
// authority that certified it was revoked.
func (s *Service) outdated(k *Credential) bool {
	now := s.Vault.Epochs()
	return k.State == Usable && (k.Keeper != now.Keeper || k.Keeper == SealedKeeper && k.KEK != now.KEK ||
		k.Certificate != nil && errors.Is(s.vouched(k), policies.Refuse(policies.CertificateRevoked)))
}
