package ca

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"
)

// PublishedList is a revocation list as it is kept.
type PublishedList struct {
	Number     int64 // 0 if there is none yet
	DER        []byte
	ThisUpdate time.Time
	NextUpdate time.Time
}

// RevokedCertificate is a revocation as it is kept.
type RevokedCertificate struct {
	Serial string // lower-case hexadecimal
	At     time.Time
	Reason Reason
}

// Lists is where an authority's lists are kept. Several processes may publish
// at once: a number is given to one of them.
type Lists interface {
	NewestList(ctx context.Context, issuer string) (PublishedList, error)
	// Revocations lists the issuer's revoked certificates that have not expired.
	Revocations(ctx context.Context, issuer string, now time.Time) ([]RevokedCertificate, error)
	// RevokedSince reports whether anything was revoked after t.
	RevokedSince(ctx context.Context, issuer string, t time.Time) (bool, error)
	// PublishList stores a list unless its number is taken.
	PublishList(ctx context.Context, issuer string, l PublishedList) error
}

// Publisher keeps one authority's revocation list fresh.
type Publisher struct {
	Issuer string // the authority's name in Lists
	Lists  Lists
	Sign   func(List) ([]byte, error)
	Life   time.Duration // from ThisUpdate to NextUpdate
	Renew  time.Duration // after it a new list is made though nothing was revoked
	Now    func() time.Time
}

// Publish makes a new list if the last one is stale or getting old.
func (p *Publisher) Publish(ctx context.Context) error {
	now := p.Now()
	last, err := p.Lists.NewestList(ctx, p.Issuer)
	if err != nil {
		return fmt.Errorf("reading the last list: %w", err)
	}
	stale, err := p.Lists.RevokedSince(ctx, p.Issuer, last.ThisUpdate)
	if err != nil {
		return fmt.Errorf("looking for revocations: %w", err)
	}
	if last.Number > 0 && !stale && now.Before(last.ThisUpdate.Add(p.Renew)) {
		return nil
	}
	list := List{Number: last.Number + 1, ThisUpdate: now, NextUpdate: now.Add(p.Life)}
	revoked, err := p.Lists.Revocations(ctx, p.Issuer, now)
	if err != nil {
		return fmt.Errorf("reading the revocations: %w", err)
	}
	for _, r := range revoked {
		serial, err := hex.DecodeString(r.Serial)
		if err != nil {
			return fmt.Errorf("reading serial %s: %w", r.Serial, err)
		}
		list.Revoked = append(list.Revoked, Revocation{Serial: serial, At: r.At, Reason: r.Reason})
	}
	der, err := p.Sign(list)
	if err != nil {
		return fmt.Errorf("signing the list: %w", err)
	}
	return p.Lists.PublishList(ctx, p.Issuer, PublishedList{Number: list.Number, DER: der, ThisUpdate: now, NextUpdate: list.NextUpdate})
}
