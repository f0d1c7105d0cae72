package online

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rubrica-firma/rubrica/ca"
	"github.com/rubrica-firma/rubrica/ca/ocsp"
)

const (
	// answerLife is how long an answer about a certificate is good for.
	answerLife = 24 * time.Hour
	// listLife is how long a revocation list is good for, and listRenew after how
	// long there is another though nothing was revoked (ETSI EN 319 411-1 wants
	// one a day at least).
	listLife  = 7 * 24 * time.Hour
	listRenew = 12 * time.Hour
	// turn is how long a change may wait for its list and its answer.
	turn = time.Second
	// round is after how long everything is looked at though no change was seen.
	round = 10 * time.Minute
)

// Keep keeps the hierarchy, the lists and the answers fresh until ctx ends.
func (c *CA) Keep(ctx context.Context) {
	k := keeping{CA: c}
	tick := time.NewTicker(turn)
	defer tick.Stop()
	for {
		if err := k.turn(ctx); err != nil && ctx.Err() == nil {
			c.Logger.ErrorContext(ctx, "authority_failed", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// keeping is what a process that keeps things fresh remembers between turns.
type keeping struct {
	*CA

	seen    int64     // of the feed
	rounded time.Time // when everything was last looked at
	behind  bool      // the last turn failed: what it missed is not known
}

// turn does what has come to be due. What fails is done again with everything
// else, at the next.
func (k *keeping) turn(ctx context.Context) error {
	if err := k.Refresh(ctx); err != nil {
		return err
	}
	now := k.Now()
	if k.behind || k.rounded.IsZero() || now.Sub(k.rounded).Abs() >= round {
		err := k.round(ctx, now)
		k.behind = err != nil
		return err
	}
	changes, err := k.Store.CertificateChanges(ctx, k.seen)
	if err != nil {
		return fmt.Errorf("reading what has changed: %w", err)
	}
	if len(changes) == 0 {
		return nil
	}
	err = errors.Join(k.answer(ctx, changes), k.publish(ctx, now, shardsOf(changes)))
	k.seen, k.behind = changes[len(changes)-1].Seq, err != nil
	return err
}

// round looks at everything. Where the feed stands is read first, so that what
// changes meanwhile is looked at again.
func (k *keeping) round(ctx context.Context, now time.Time) error {
	seen, err := k.Store.LastCertificateChange(ctx)
	if err != nil {
		return fmt.Errorf("reading what has changed: %w", err)
	}
	err = errors.Join(k.publish(ctx, now, nil), k.renewResponders(ctx, now), k.Store.ForgetPublished(ctx, now))
	k.seen, k.rounded = seen, now
	return err
}

// answer signs the answers about certificates that have changed before anybody
// asks. Those of an authority without a responder nobody answers for: a
// deployment of before there were any has none until its ceremony.
func (k *keeping) answer(ctx context.Context, changes []ca.Change) error {
	responders := k.standing.Load().responders
	latest := map[string]ca.Change{}
	for _, change := range changes {
		if slices.ContainsFunc(responders, func(r ocsp.Issuer) bool { return r.Name == change.Issuer }) {
			latest[change.Serial] = change
		}
	}
	var failures []error
	for _, change := range latest {
		failures = append(failures, k.responder.Presign(ctx, change.Issuer, change.Serial))
	}
	return errors.Join(failures...)
}

func shardsOf(changes []ca.Change) map[string]bool {
	shards := map[string]bool{}
	for _, change := range changes {
		shards[change.Shard] = true
	}
	return shards
}

// publish looks at the lists of these shards, of all if only is nil.
func (k *keeping) publish(ctx context.Context, now time.Time, only map[string]bool) error {
	shards, err := k.Store.Shards(ctx, now)
	if err != nil {
		return fmt.Errorf("reading which lists there are: %w", err)
	}
	issuers := k.standing.Load().issuers
	var failures []error
	for _, shard := range shards {
		by := issuers[shard.Issuer]
		if by == nil || only != nil && !only[shard.Name] {
			continue
		}
		publisher := ca.Publisher{
			Shard: shard.Name, Address: k.address("ca/" + shard.Name + ".crl"), Ends: shard.Ends,
			Lists: k.Store, Sign: by.CRL, Life: listLife, Renew: listRenew, Now: k.Now, Trusted: k.Trusted,
		}
		if _, err := publisher.Publish(ctx); err != nil {
			failures = append(failures, fmt.Errorf("list %s: %w", shard.Name, err))
		}
	}
	return errors.Join(failures...)
}
