package signer

import (
	"context"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/policies"
)

// Withdraw ends a request that waits although its envelope has ended. That it has
// is looked up here: the public side cannot take back what is somebody else's to
// sign. A request that does not wait is left as it is (policies.RequestState).
func (s *Service) Withdraw(ctx context.Context, requestID string) error {
	r, err := s.Store.Request(ctx, requestID)
	if err != nil {
		return err
	}
	if r.Envelope == "" || r.State != Received && r.State != Pending {
		return policies.Refuse(policies.RequestState, "state", string(r.State))
	}
	e, err := s.Store.Envelope(ctx, r.Envelope)
	if err != nil {
		return err
	}
	if e.State == EnvelopePending || e.State == EnvelopeCompleted {
		return policies.Refuse(policies.RequestState, "state", string(e.State))
	}
	return s.Store.WithdrawRequest(ctx, r.ID, audit.Entry{
		Type: audit.SignWithdrawn, Operation: r.ID, At: s.Now(), Person: r.Identifier,
		Payload: r.matter().facts(facts{"envelope": e.ID, "because": string(e.State)}),
	})
}
