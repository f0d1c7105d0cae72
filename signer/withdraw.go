package signer

import (
	"context"
	"slices"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/policies"
)

// Withdraw ends a request that waits although its envelope has ended, or although
// the factors of explicit mode, which came along with it, did not hold. That it may
// be so is looked up here: the public side cannot take back what is somebody else's
// to sign. A request that does not wait is left as it is (policies.RequestState).
func (s *Service) Withdraw(ctx context.Context, requestID string) error {
	r, err := s.Store.Request(ctx, requestID)
	if err != nil {
		return err
	}
	if r.State != Received && r.State != Pending {
		return policies.Refuse(policies.RequestState, "state", string(r.State))
	}
	if r.Envelope == "" {
		return s.withdrawExplicit(ctx, r)
	}
	e, err := s.Store.Envelope(ctx, r.Envelope)
	if err != nil {
		return err
	}
	if e.State == EnvelopePending || e.State == EnvelopeCompleted {
		return policies.Refuse(policies.RequestState, "state", string(e.State))
	}
	return s.withdraw(ctx, r, facts{"envelope": e.ID, "because": string(e.State)})
}

// withdrawExplicit ends a request over hashes of an application that has explicit
// mode. The store does not where a consent was given to it.
func (s *Service) withdrawExplicit(ctx context.Context, r Request) error {
	if slices.ContainsFunc(r.Documents, func(d Document) bool { return d.Format != Hash }) {
		return policies.Refuse(policies.RequestState, "state", string(r.State))
	}
	if _, err := s.admitExplicit(ctx, r.Application.ID); err != nil {
		return err
	}
	return s.withdraw(ctx, r, facts{"because": "factors"})
}

func (s *Service) withdraw(ctx context.Context, r Request, why facts) error {
	return s.Store.WithdrawRequest(ctx, r.ID, audit.Entry{
		Type: audit.SignWithdrawn, Operation: r.ID, At: s.Now(), Person: r.Identifier, Payload: r.matter().facts(why),
	})
}
