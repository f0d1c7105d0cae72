package signer

import (
	"context"
	"errors"
	"fmt"
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
	end := func(items []OverdueItem, kind audit.EventType, tell tell, apply func(context.Context, string, audit.Entry) error) {
		for _, item := range items {
			payload, err := tell(ctx, item)
			if err == nil {
				err = apply(ctx, item.ID, audit.Entry{
					Type: kind, Operation: item.RequestID, At: now, Person: item.Identifier, Payload: payload,
				})
			}
			if err != nil && !errors.Is(err, policies.Refuse(policies.RequestState)) {
				failures = append(failures, err)
			}
		}
	}
	end(overdue.Intents, audit.SignInterrupted, s.unsigned, s.Store.InterruptSignature)
	end(overdue.Certificates, audit.CertificateInterrupted, uncertified, s.Store.InterruptCertificate)
	end(overdue.Requests, audit.SignExpired, s.unsigned, s.Store.ExpireRequest)
	end(overdue.TokenKeys, audit.KeyDestroyed, doomed, s.destroyTokenKey)
	return errors.Join(append(failures, s.Store.Forget(ctx, now))...)
}

// tell gives the facts of what is ended.
type tell func(ctx context.Context, item OverdueItem) (facts, error)

// unsigned is a request, or the intent of one.
func (s *Service) unsigned(ctx context.Context, item OverdueItem) (facts, error) {
	r, err := s.Store.Request(ctx, item.RequestID)
	if err != nil {
		return nil, err
	}
	f := r.matter().facts(facts{})
	if item.Serial != "" {
		f["authorisation"], f["serial"] = item.ID, item.Serial
	}
	return f, nil
}

func uncertified(_ context.Context, item OverdueItem) (facts, error) {
	return asked(item.Application, facts{"serial": item.Serial, "credential": item.Credential}), nil
}

func doomed(_ context.Context, item OverdueItem) (facts, error) {
	return facts{"label": item.ID, "credential": item.Credential, "keeper": string(TokenKeeper)}, nil
}

// destroyTokenKey removes an object that no credential needs any more, and
// forgets it once it is gone.
func (s *Service) destroyTokenKey(ctx context.Context, label string, e audit.Entry) error {
	there, err := s.Keys.Exists(ctx, label)
	if err != nil {
		return fmt.Errorf("looking for a key to destroy: %w", err)
	}
	if there {
		if err := s.Keys.Destroy(ctx, label); err != nil {
			return fmt.Errorf("destroying a key: %w", err)
		}
	}
	return s.Store.ForgetTokenKey(ctx, label, e)
}

// Refresh learns of epochs that began, or of a keeper that was changed, since.
func (s *Service) Refresh(ctx context.Context) error {
	epochs, err := s.Store.Epochs(ctx)
	if err != nil {
		return fmt.Errorf("reading the keys' epochs: %w", err)
	}
	s.Vault.Adopt(epochs)
	return nil
}

// KeepReaping reaps now and then every interval until ctx ends.
func (s *Service) KeepReaping(ctx context.Context, interval time.Duration) {
	s.keep(ctx, interval, "reaping_failed", func(ctx context.Context) error {
		return errors.Join(s.Refresh(ctx), s.Reap(ctx))
	})
}

// keep does something now and then every interval until ctx ends. What fails is
// for the operator to read, under a name of its own.
func (s *Service) keep(ctx context.Context, interval time.Duration, failure string, do func(context.Context) error) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		if err := do(ctx); err != nil && ctx.Err() == nil {
			s.Logger.ErrorContext(ctx, failure, "error", err) //nolint:sloglint // one of a few fixed names
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
