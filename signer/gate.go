package signer

import "context"

// gated asks the gate whether anything may be signed, before a key is used or a
// consent is given or spent. A log that is not the one that its witnesses have
// seen is no proof of what would be signed now (DESIGN section 7).
func (s *Service) gated(ctx context.Context) error {
	if s.Gate == nil {
		return nil
	}
	return s.Gate(ctx)
}
