package signer

import (
	"context"
	"errors"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/policies"
)

// Reap gives an outcome to whatever a crash or time has left without one.
// Interrupted signatures are never retried: the password is gone, and the
// citizen is asked again. Replicas may reap at once; each compare-and-swap has
// one winner, the others find nothing to do.
func (s *Service) Reap(ctx context.Context) error {
	now := s.Now()
	overdue, err := s.Store.Overdue(ctx, now)
	if err != nil {
		return err
	}
	var failures []error
	end := func(items []OverdueItem, kind audit.EventType, apply func(context.Context, string, audit.Entry) error) {
		for _, item := range items {
			err := apply(ctx, item.ID, audit.Entry{
				Type: kind, Operation: item.RequestID, At: now, Person: item.Identifier,
				Payload: map[string]any{"id": item.ID},
			})
			if err != nil && !errors.Is(err, policies.Refuse(policies.RequestState)) {
				failures = append(failures, err)
			}
		}
	}
	end(overdue.Intents, audit.SignInterrupted, s.Store.InterruptSignature)
	end(overdue.Certificates, audit.CertificateInterrupted, s.Store.InterruptCertificate)
	end(overdue.Requests, audit.SignExpired, s.Store.ExpireRequest)
	return errors.Join(append(failures, s.Store.Forget(ctx, now))...)
}

// KeepReaping reaps now and then every interval until ctx ends.
func (s *Service) KeepReaping(ctx context.Context, interval time.Duration) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		if err := s.Reap(ctx); err != nil && ctx.Err() == nil {
			s.Logger.ErrorContext(ctx, "reaping_failed", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
