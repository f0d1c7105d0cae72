package signer

import (
	"context"
	"fmt"
)

// Check is the stored form of a secret that a person types, under the pepper of
// an epoch: an HMAC over it and what it stands for. No two kinds of secrets and
// no two lists of fields are alike.
func (v *Vault) Check(ctx context.Context, pepper int, kind string, fields ...string) ([]byte, error) {
	mac, err := v.keys.MAC(ctx, Pepper.Label(pepper), bind(append([]string{"check", kind}, fields...)...))
	if err != nil {
		return nil, fmt.Errorf("keying the check of a %s: %w", kind, err)
	}
	return mac, nil
}
