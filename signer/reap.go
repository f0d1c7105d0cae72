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
	end := func(items []OverdueItem, kind audit.EventType, apply func(context.Context, string, audit.Entry) error) {
		for _, item := range items {
			payload, err := s.overdue(ctx, kind, item)
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
	end(overdue.Intents, audit.SignInterrupted, s.Store.InterruptSignature)
	end(overdue.Certificates, audit.CertificateInterrupted, s.Store.InterruptCertificate)
	end(overdue.Requests, audit.SignExpired, s.Store.ExpireRequest)
	end(overdue.TokenKeys, audit.KeyDestroyed, s.destroyTokenKey)
	return errors.Join(append(failures, s.Store.Forget(ctx, now))...)
}

// overdue are the facts of what is ended.
func (s *Service) overdue(ctx context.Context, kind audit.EventType, item OverdueItem) (facts, error) {
	switch kind {
	case audit.CertificateInterrupted:
		return asked(item.Application, facts{"serial": item.Serial, "credential": item.Credential}), nil
	case audit.KeyDestroyed:
		return facts{"label": item.ID, "credential": item.Credential, "keeper": string(TokenKeeper)}, nil
	}
	r, err := s.Store.Request(ctx, item.RequestID)
	if err != nil {
		return nil, err
	}
	f := r.matter().facts(facts{})
	if kind == audit.SignInterrupted {
		f["authorisation"], f["serial"] = item.ID, item.Serial
	}
	return f, nil
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
