package ca

import (
	"context"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"math/big"
	"slices"
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

// Publish makes a new list if the last one misses a revocation or is getting
// old. What it misses is read from the list itself: a revocation may become
// visible after a list that is dated later.
func (p *Publisher) Publish(ctx context.Context) error {
	now := p.Now()
	last, err := p.Lists.NewestList(ctx, p.Issuer)
	if err != nil {
		return fmt.Errorf("reading the last list: %w", err)
	}
	revoked, err := p.revoked(ctx, now)
	if err != nil {
		return err
	}
	if now.Before(last.ThisUpdate.Add(p.Renew)) && names(last.DER, revoked) {
		return nil
	}
	list := List{Number: last.Number + 1, ThisUpdate: now, NextUpdate: now.Add(p.Life), Revoked: revoked}
	der, err := p.Sign(list)
	if err != nil {
		return fmt.Errorf("signing the list: %w", err)
	}
	return p.Lists.PublishList(ctx, p.Issuer, PublishedList{Number: list.Number, DER: der, ThisUpdate: now, NextUpdate: list.NextUpdate})
}

func (p *Publisher) revoked(ctx context.Context, now time.Time) ([]Revocation, error) {
	kept, err := p.Lists.Revocations(ctx, p.Issuer, now)
	if err != nil {
		return nil, fmt.Errorf("reading the revocations: %w", err)
	}
	revoked := make([]Revocation, len(kept))
	for i, r := range kept {
		serial, err := hex.DecodeString(r.Serial)
		if err != nil {
			return nil, fmt.Errorf("reading serial %s: %w", r.Serial, err)
		}
		revoked[i] = Revocation{Serial: serial, At: r.At, Reason: r.Reason}
	}
	return revoked, nil
}

// names is whether a list has all the revocations. One that cannot be read has
// none, and is replaced.
func names(der []byte, revoked []Revocation) bool {
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		return false
	}
	listed := make(map[string]bool, len(list.RevokedCertificateEntries))
	for _, e := range list.RevokedCertificateEntries {
		listed[e.SerialNumber.String()] = true
	}
	return !slices.ContainsFunc(revoked, func(r Revocation) bool {
		return !listed[new(big.Int).SetBytes(r.Serial).String()]
	})
}
