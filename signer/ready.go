package signer

import (
	"context"
	"errors"
	"fmt"
)

// Ready reports why nothing can be signed at all, nil if something can: the gate
// is open, the log takes entries, and the token that the keys were sealed in
// answers.
func (s *Service) Ready(ctx context.Context) error {
	_, err := s.Keys.MAC(ctx, Pepper.Label(s.Vault.Epochs().Pepper), []byte("rubrica readiness"))
	if err != nil {
		err = fmt.Errorf("using the token: %w", err)
	}
	return errors.Join(s.gated(ctx), err, s.Store.Appendable(ctx))
}
